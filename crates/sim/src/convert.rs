//! What becomes of records: the interface of whoever converts them, and the converter of records that
//! state their fates.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;
use kafkamq_delivery::dead_letter::{DeadLetter, LetterPart};
use kafkamq_delivery::endpoint::Endpoint;
use kafkamq_delivery::lanes::Item;
use kafkamq_memory::Account;
use kafkamq_record::{Fates, LeftOut, PartId, Record, RecordBatch, TopicPartition};

use crate::bugs::Bug;
use crate::payload::{Fate, Form, Stated, Told};

/// Converts records.
pub trait Convert {
    /// Begins the work on the records of `batch`.
    fn begin(&mut self, batch: Arc<RecordBatch>) -> Box<dyn Work>;
    /// The outputs that the records go to, by the numbers that [`Outgoing::output`] carries.
    fn outputs(&self) -> usize;
}

/// Work on one batch.
pub trait Work {
    /// Works on until about `most` bytes are made, which are charged to `account`.
    fn go_on(&mut self, most: usize, account: &Arc<Account>) -> Made;
}

/// What one portion of work made.
#[derive(Default)]
pub struct Made {
    /// Records of which several things were made, each of which is settled by itself.
    pub obligations: Vec<(u32, u32)>,
    /// Records that are done with.
    pub ended: Vec<u32>,
    /// Items on their way.
    pub outgoing: Vec<Outgoing>,
    /// What goes to the dead letters, with the place of its record.
    pub letters: Vec<(u32, DeadLetter)>,
    /// Parts that a rule left out: place of the record, element, rule.
    pub left_out: Vec<(u32, u32, LeftOut)>,
    /// Whether all records were worked on.
    pub is_done: bool,
    /// Whether the work killed whoever did it.
    pub is_deadly: bool,
}

/// Items of one lane for one endpoint.
pub struct Outgoing {
    /// The number of the output.
    pub output: usize,
    /// Where they go.
    pub endpoint: Arc<Endpoint>,
    /// The lane whose order they keep.
    pub lane: u64,
    /// The items, each with its place in `parts`.
    pub items: Vec<Item>,
    /// What each item is a part of.
    pub parts: Vec<PartId>,
}

/// A number for `what` that is the same in every run.
pub(crate) fn number_of(what: impl Hash) -> u64 {
    struct Fnv(u64);
    impl Hasher for Fnv {
        fn finish(&self) -> u64 {
            self.0
        }
        fn write(&mut self, bytes: &[u8]) {
            for byte in bytes {
                self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    what.hash(&mut hasher);
    hasher.finish()
}

/// Converts records that state their fates.
pub(crate) struct StatedConverter {
    endpoints: Vec<Arc<Endpoint>>,
    bug: Option<Bug>,
}

impl StatedConverter {
    pub(crate) const fn new(endpoints: Vec<Arc<Endpoint>>, bug: Option<Bug>) -> Self {
        Self { endpoints, bug }
    }
}

impl Convert for StatedConverter {
    fn begin(&mut self, batch: Arc<RecordBatch>) -> Box<dyn Work> {
        Box::new(StatedWork {
            batch,
            endpoints: self.endpoints.clone(),
            bug: self.bug,
            record: 0,
            open: None,
        })
    }

    fn outputs(&self) -> usize {
        self.endpoints.len()
    }
}

struct StatedWork {
    batch: Arc<RecordBatch>,
    endpoints: Vec<Arc<Endpoint>>,
    bug: Option<Bug>,
    record: usize,
    /// A record of which some elements were worked on.
    open: Option<(Stated, usize, Fates)>,
}

/// A part, and where it begins and ends in the buffer.
type Slice = (PartId, usize, usize);

/// Items as they are made: their ends in one buffer.
#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    /// By output and lane: part, begin and end.
    items: BTreeMap<(usize, u64), Vec<Slice>>,
}

impl Work for StatedWork {
    fn go_on(&mut self, most: usize, account: &Arc<Account>) -> Made {
        let mut made = Made::default();
        let mut buffer = Buffer::default();
        let batch = Arc::clone(&self.batch);
        while let Some(record) = batch.get(self.record) {
            let index = u32::try_from(self.record).unwrap_or(u32::MAX);
            let (stated, element, fates) = match self.open.take() {
                Some(open) => open,
                None => match record.value().and_then(Stated::parse) {
                    Some(stated) if stated.form == Form::Deadly => {
                        made.is_deadly = true;
                        return made;
                    }
                    Some(stated) => (stated, 0, Fates::default()),
                    None => {
                        made.ended.push(index);
                        self.record += 1;
                        continue;
                    }
                },
            };
            let open = self.elements(
                index,
                &record,
                stated,
                element,
                fates,
                most,
                &mut buffer,
                &mut made,
            );
            if open.is_some() {
                self.open = open;
                break;
            }
            self.record += 1;
            if self.record < batch.len() && buffer.bytes.len() >= most {
                break;
            }
        }
        made.is_done = self.record >= batch.len();
        self.hand_out(buffer, account, &mut made);
        made
    }
}

impl StatedWork {
    #[expect(
        clippy::too_many_arguments,
        reason = "the state of a loop that can be left"
    )]
    fn elements(
        &self,
        index: u32,
        record: &Record<'_>,
        stated: Stated,
        from: usize,
        fates: Fates,
        most: usize,
        buffer: &mut Buffer,
        made: &mut Made,
    ) -> Option<(Stated, usize, Fates)> {
        let count = stated.elements.len();
        for at in from..count {
            if at > from && buffer.bytes.len() >= most {
                // The record keeps an obligation of its own until its last element was worked on.
                let owed = fates.take_owed();
                if owed > 0 {
                    made.obligations.push((index, owed + 1));
                }
                return Some((stated, at, fates));
            }
            self.element(index, record, &stated, at, &fates, buffer, made);
        }
        if stated.form == Form::Split && self.bug == Some(Bug::ElementForgotten) && fates.sent() > 0
        {
            let owed = fates.take_owed();
            if owed > 1 {
                made.obligations.push((index, owed));
            } else if owed == 0 {
                made.ended.push(index);
            }
            return None;
        }
        conclude(index, &fates, made);
        None
    }

    #[expect(clippy::too_many_arguments, reason = "one step of a loop")]
    fn element(
        &self,
        index: u32,
        record: &Record<'_>,
        stated: &Stated,
        at: usize,
        fates: &Fates,
        buffer: &mut Buffer,
        made: &mut Made,
    ) {
        let Some(&(fate, points)) = stated.elements.get(at) else {
            return;
        };
        let element = u32::try_from(at).unwrap_or(u32::MAX);
        let name = match stated.form {
            Form::Split => element,
            _ => PartId::WHOLE,
        };
        let own = PartId {
            record: index,
            element: name,
            point: PartId::ONLY,
            output: 0,
        };
        let forgets = stated.form == Form::Split
            && self.bug == Some(Bug::ElementForgotten)
            && stated.elements.iter().any(|(fate, _)| fate.is_sent());
        match fate {
            Fate::TooOld | Fate::Dropped => {
                let part = fates.part(own);
                if forgets {
                    drop(part);
                    return;
                }
                part.left_out();
                let why = match fate {
                    Fate::TooOld => LeftOut::Age,
                    _ => LeftOut::Script,
                };
                made.left_out.push((index, element, why));
            }
            Fate::Poison => {
                let part = fates.part(own);
                if forgets {
                    drop(part);
                    return;
                }
                part.bury();
                let letter = letter_of(self.batch.source(), record, name, "parse");
                made.letters.push((index, letter));
            }
            Fate::Sent | Fate::Clear | Fate::Unclear => {
                let lane = self.lane(stated, record.offset());
                for point in 0..u16::from(points.max(1)) {
                    for output in 0..self.endpoints.len() {
                        let only = points <= 1 && self.endpoints.len() == 1;
                        let id = PartId {
                            point: if only { PartId::ONLY } else { point },
                            output: u16::try_from(output).unwrap_or(u16::MAX),
                            ..own
                        };
                        let id = fates.part(id).sent();
                        let begin = buffer.bytes.len();
                        let told = Told {
                            id: stated.id,
                            element,
                            point,
                            fate,
                        };
                        told.write(stated.padding / 2, &mut buffer.bytes);
                        let end = buffer.bytes.len();
                        let items = buffer.items.entry((output, lane)).or_default();
                        items.push((id, begin, end));
                    }
                }
            }
        }
    }

    fn lane(&self, stated: &Stated, offset: i64) -> u64 {
        let source = self.batch.source();
        match self.bug {
            Some(Bug::LanesForgotten) => number_of((source, offset)),
            _ => number_of((source, stated.lane)),
        }
    }

    fn hand_out(&self, buffer: Buffer, account: &Arc<Account>, made: &mut Made) {
        if buffer.items.is_empty() {
            return;
        }
        let charge = account.charge_beyond(buffer.bytes.len());
        let bytes = charge.seal(buffer.bytes);
        for ((output, lane), own) in buffer.items {
            let Some(endpoint) = self.endpoints.get(output) else {
                continue;
            };
            let items = own.iter().enumerate().map(|(place, (_, begin, end))| Item {
                record: u32::try_from(place).unwrap_or(u32::MAX),
                body: bytes.slice(*begin..*end),
            });
            made.outgoing.push(Outgoing {
                output,
                endpoint: Arc::clone(endpoint),
                lane,
                items: items.collect(),
                parts: own.iter().map(|(id, ..)| *id).collect(),
            });
        }
    }
}

/// Says how many obligations came of a record, or ends it if none did.
fn conclude(index: u32, fates: &Fates, made: &mut Made) {
    if !fates.are_all_known() {
        let owed = fates.take_owed();
        made.obligations.push((index, owed.saturating_add(1)));
        return;
    }
    match fates.take_owed() {
        0 => made.ended.push(index),
        1 => {}
        owed => made.obligations.push((index, owed)),
    }
}

/// The letter of a record, or of one of its elements.
pub(crate) fn letter_of(
    source: &TopicPartition,
    record: &Record<'_>,
    element: u32,
    stage: &str,
) -> DeadLetter {
    DeadLetter {
        topic: source.topic.to_string(),
        partition: source.partition,
        offset: record.offset(),
        timestamp: record.timestamp_ms(),
        value: record.value_bytes(),
        stage: stage.to_owned(),
        part: match element {
            PartId::WHOLE => LetterPart::Record,
            number => LetterPart::Element {
                number,
                pointer: None,
            },
        },
        ..DeadLetter::default()
    }
}

/// The letter of one point.
pub(crate) fn letter_of_point(
    source: &TopicPartition,
    record: &Record<'_>,
    output: usize,
    body: &Bytes,
) -> DeadLetter {
    DeadLetter {
        value: Some(body.clone()),
        part: LetterPart::Point {
            destination: output.to_string(),
            category: String::new(),
            from: Vec::new(),
        },
        ..letter_of(source, record, PartId::WHOLE, "deliver")
    }
}
