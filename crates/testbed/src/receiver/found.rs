//! What a decoder finds in a body: ids in order, things without one, oddities.

use crate::record::{RECORD_ID_KEY, RecordId};

/// The yield of one body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) ids: Vec<RecordId>,
    pub(super) anonymous: u64,
    pub(super) notes: Vec<&'static str>,
}

impl Found {
    /// Counts one item by the id text under its key, else by an id inside its message.
    pub(super) fn item(&mut self, id: Option<&str>, message: Option<&str>) {
        let id = id
            .and_then(|text| text.parse().ok())
            .or_else(|| message.and_then(|text| RecordId::find(text.as_bytes())));
        self.push(id);
    }

    pub(super) fn push(&mut self, id: Option<RecordId>) {
        match id {
            Some(id) => self.ids.push(id),
            None => self.anonymous += 1,
        }
    }

    pub(super) fn note(&mut self, note: &'static str) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

/// The value of `record_id` among pairs.
pub(super) fn id_of<'a>(mut pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Option<RecordId> {
    pairs
        .find(|(key, _)| *key == RECORD_ID_KEY)
        .and_then(|(_, value)| value.parse().ok())
}
