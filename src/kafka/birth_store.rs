//! The births of all groups, kept in the state folder where there is one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::state_folder;
use kafkamq_source::births::Births;

const FILE: &str = "births.json";
/// The version of the file's shape.
const VERSION: u32 = 1;

#[derive(Debug, Default, Serialize, Deserialize)]
struct File {
    version: u32,
    /// By group and cluster.
    groups: BTreeMap<String, Births>,
}

/// Since when each group looks at its topics.
#[derive(Debug, Default)]
pub(crate) struct BirthStore {
    folder: Option<PathBuf>,
    file: Mutex<File>,
}

impl BirthStore {
    /// Reads what an earlier process has kept in `folder`. What cannot be read is put aside and said:
    /// the commits of the groups remember the same.
    #[must_use]
    pub(crate) fn open(folder: Option<&Path>) -> Self {
        let kept = folder.map(|folder| state_folder::read::<File>(folder, FILE));
        let file = match kept {
            Some(Ok(Some(file))) if file.version == VERSION => file,
            Some(Ok(Some(_)) | Err(_)) => {
                tracing::warn!(file = FILE, "cannot be read and is put aside");
                if let Some(folder) = folder {
                    state_folder::set_aside(folder, FILE);
                }
                File::default()
            }
            Some(Ok(None)) | None => File::default(),
        };
        Self {
            folder: folder.map(Path::to_owned),
            file: Mutex::new(file),
        }
    }

    /// Those of one group of one cluster.
    #[must_use]
    pub(crate) fn of(self: &Arc<Self>, group: &str, brokers: &[String]) -> GroupBirths {
        let mut brokers: Vec<&str> = brokers.iter().map(String::as_str).collect();
        brokers.sort_unstable();
        GroupBirths {
            store: Arc::clone(self),
            key: format!("{group}@{}", brokers.join(",")),
        }
    }
}

/// The births of one group.
#[derive(Debug, Clone)]
pub(crate) struct GroupBirths {
    store: Arc<BirthStore>,
    key: String,
}

impl GroupBirths {
    /// Looks at them and perhaps adds some, which are kept.
    pub(super) fn update<T>(&self, change: impl FnOnce(&mut Births) -> T) -> T {
        let mut file = self.store.file.lock();
        let births = file.groups.entry(self.key.clone()).or_default();
        let before = births.clone();
        let result = change(births);
        if *births != before
            && let Some(folder) = &self.store.folder
        {
            file.version = VERSION;
            if let Err(error) = state_folder::write(folder, FILE, &*file) {
                tracing::warn!(%error, "cannot keep since when topics are read");
            }
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_process_knows_what_was_looked_at_and_other_groups_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Arc::new(BirthStore::open(Some(folder.path())));
        let brokers = ["b:1".to_owned(), "a:1".to_owned()];
        open()
            .of("g", &brokers)
            .update(|births| births.look_at("t", 3, 500));
        let swapped = ["a:1".to_owned(), "b:1".to_owned()];
        let at = |group| {
            let births = open().of(group, &swapped);
            births.update(|births| births.topic("t").map(|birth| birth.at))
        };
        assert_eq!((at("g"), at("h")), (Some(500), None));
        std::fs::write(folder.path().join(FILE), "{").unwrap();
        assert_eq!(at("g"), None);
    }
}
