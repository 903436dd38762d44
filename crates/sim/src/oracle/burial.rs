//! What may be a dead letter, and whether it is one of what it says.

use super::*;

impl Oracle {
    /// An operator may bury an item.
    pub(crate) fn allow_burial(&mut self, told: Told, output: usize) {
        if let Some((id, at)) = self.place_of(told, output) {
            self.change(id, at, |part| part.is_allowed = true);
        }
    }

    /// A forwarder gives an item up.
    pub(crate) fn gives_up(&mut self, told: Told, output: usize) {
        if let Some((id, at)) = self.place_of(told, output) {
            self.change(id, at, |part| part.given_up = true);
        }
    }

    /// A letter is on the disk.
    pub(crate) fn buried(&mut self, now: Micros, letter: &DeadLetter) {
        self.figures.letters += 1;
        let value = letter.value.clone().unwrap_or_default();
        let source = TopicPartition::new(&*letter.topic, letter.partition);
        self.arrivals.insert(source.clone(), now);
        self.arrived_at = now;
        let Some((id, range)) = self.buried_parts(letter, &value, &source) else {
            if self.expected.is_some() {
                return self.foreign_letter(now, letter, &source);
            }
            return;
        };
        for at in range {
            let Some(part) = self
                .records
                .get(id)
                .and_then(|truth| truth.parts.get(at))
                .copied()
            else {
                continue;
            };
            if let Some(why) = self.wrongly(&part, letter) {
                let (offset, stage, status) = (letter.offset, &letter.stage, letter.status);
                self.breaks(2, now, || {
                    format!(
                        "{source} at {offset} was buried ({stage}, status {status:?}, tried {} times), {why}; {part:?}",
                        letter.attempts
                    )
                });
            }
            self.change(id, at, |part| part.buried = true);
        }
    }

    pub(super) fn buried_parts(
        &self,
        letter: &DeadLetter,
        value: &Bytes,
        source: &TopicPartition,
    ) -> Option<(usize, std::ops::Range<usize>)> {
        if let LetterPart::Point { destination, .. } = &letter.part {
            let output = destination.parse().ok()?;
            let told = Told::read(value)?;
            let (id, at) = self.place_of(told, output)?;
            return Some((id, at..at + 1));
        }
        let stated = Stated::parse(value)?;
        let id = usize::try_from(stated.id).ok()?;
        let truth = self.records.get(id)?;
        if truth.source != *source || truth.offset != letter.offset {
            return None;
        }
        match letter.part {
            LetterPart::Element { number, .. } => Some((id, self.range(&stated, number))),
            _ => Some((id, 0..truth.parts.len())),
        }
    }

    /// Why a burial of a part is wrong, if it is.
    pub(super) fn wrongly(&self, part: &Part, letter: &DeadLetter) -> Option<&'static str> {
        if letter.stage == "parse" {
            return (part.due != Due::Buried).then_some("although it can be converted");
        }
        if part.is_allowed {
            return None;
        }
        let output = match &letter.part {
            LetterPart::Point { destination, .. } => destination.parse().ok()?,
            // All that was made of it is one item for one output.
            _ => 0,
        };
        let Some((first, last)) = part.refused else {
            return Some("although no receiver refused it");
        };
        if letter
            .status
            .is_some_and(|status| matches!(status, 400 | 413 | 415 | 422))
        {
            return (part.due != Due::Refused).then_some("although it is not at fault");
        }
        let accepts = self.accepts.get(output)?;
        let after = accepts.partition_point(|accepted| *accepted < first);
        let has_evidence = accepts.get(after).is_some_and(|accepted| *accepted <= last);
        (!has_evidence).then_some("although its receiver accepted nothing between its refusals")
    }

    /// Without statements: what is buried must not have been made without faults.
    pub(super) fn foreign_letter(
        &mut self,
        now: Micros,
        letter: &DeadLetter,
        source: &TopicPartition,
    ) {
        let origin = (source.clone(), letter.offset, letter.timestamp, 0);
        let Some(id) = self.id_at(&origin) else {
            return;
        };
        let has_parts = self
            .records
            .get(id)
            .is_some_and(|truth| !truth.parts.is_empty());
        if has_parts && letter.stage == "parse" {
            let (stage, offset) = (letter.stage.clone(), letter.offset);
            self.breaks(1, now, || {
                format!("{source} at {offset} was buried ({stage}), which does not happen without faults")
            });
        }
        if letter.stage == "deliver" {
            let count = self.records.get(id).map_or(0, |truth| truth.parts.len());
            for at in 0..count {
                self.change(id, at, |part| part.buried = true);
            }
        }
    }
}
