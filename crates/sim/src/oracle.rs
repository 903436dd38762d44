//! The judge of a run. It uses what records state, what brokers hold, what receivers accepted and what
//! disks hold of dead letters, and nothing of what is judged.
//!
//! | Law | What holds |
//! | --- | --- |
//! | 1 | below every committed offset each part arrived, was left out by the rule it states and counted, or was buried as itself |
//! | 2 | no commit by anybody but the owner, none that steps back, and no burial without evidence |
//! | 3 | order within a lane; no more records are repeated after a crash than may be in flight |
//! | 4 | memory stays within its bounds |
//! | 5 | when faults end, everything drains; the service was never ready over a partition that was stuck |
//! | 6 | a receiver that asked to be left alone is left alone |

mod burial;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use kafkamq_delivery::answer::{Reply, TransportError};
use kafkamq_delivery::dead_letter::{DeadLetter, LetterPart};
use kafkamq_record::{LeftOut, Record, TopicPartition};

use crate::cluster::PartitionLog;
use crate::mail::Process;
use crate::payload::{Fate, Form, Stated, Told};
use crate::receiver::blames;
use crate::time::{Micros, shown};

/// Where an item came from: partition, offset, timestamp, and a number for what it is a part of.
pub(crate) type Origin = (TopicPartition, i64, Option<i64>, u64);

/// Output, log, partition, lane.
type Lane = (usize, i64, TopicPartition, u8);

/// A law that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The number of the law.
    pub law: u8,
    /// When, in microseconds since the start of the run.
    pub at: Micros,
    /// What happened.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "law {} is broken at {}: {}",
            self.law,
            shown(self.at),
            self.text
        )
    }
}

/// What has to become of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Arrives,
    /// It is refused for its content, with or without a reason.
    Refused,
    LeftOut(LeftOut),
    Buried,
}

/// What became of a part so far.
#[derive(Debug, Clone, Copy)]
struct Part {
    due: Due,
    arrived: bool,
    buried: bool,
    left_out: bool,
    /// When it was first sent to be refused, and when refused last, in a way that may be its fault.
    refused: Option<(Micros, Micros)>,
    /// An operator may have buried it.
    is_allowed: bool,
    /// It is to be buried, so that what stands behind it goes before it if it comes again.
    given_up: bool,
}

impl Part {
    const fn new(due: Due) -> Self {
        Self {
            due,
            arrived: false,
            buried: false,
            left_out: false,
            refused: None,
            is_allowed: false,
            given_up: false,
        }
    }

    const fn is_complete(&self) -> bool {
        match self.due {
            Due::Arrives | Due::Refused => self.arrived || self.buried,
            Due::LeftOut(_) => self.left_out,
            Due::Buried => self.buried,
        }
    }
}

/// What is known of a record.
#[derive(Debug)]
struct Truth {
    source: TopicPartition,
    offset: i64,
    /// Counts the logs of the cluster.
    log: i64,
    lane: u8,
    is_required: bool,
    stated: Option<Stated>,
    parts: Vec<Part>,
    /// Without a statement: output and number of each part.
    keys: Vec<(usize, u64)>,
    open: usize,
}

/// The judge.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    records: Vec<Truth>,
    /// Where records without a statement are.
    places: HashMap<(TopicPartition, i64, i64), u64>,
    outputs: usize,
    violation: Option<Violation>,
    /// What was committed: number of the log, offset.
    commits: BTreeMap<TopicPartition, (i64, i64)>,
    /// Where logs begin from which records were removed.
    removed: BTreeMap<TopicPartition, i64>,
    /// Where logs ended when records were taken back.
    taken_back: BTreeMap<TopicPartition, i64>,
    /// When something was accepted, by output.
    accepts: Vec<Vec<Micros>>,
    /// The newest first arrival in each lane: output, log, partition, lane.
    order: HashMap<Lane, (i64, u32)>,
    pub(crate) checks_order: bool,
    /// Topics that were made again or cut: some of what is new is read before that is noticed.
    pub(crate) made_again: std::collections::BTreeSet<std::sync::Arc<str>>,
    /// Until when a forwarder was asked to be quiet.
    quiet: HashMap<(Process, usize), Micros>,
    pub(crate) figures: Figures,
    /// When something arrived last.
    pub(crate) arrived_at: Micros,
    /// When a commit moved last.
    committed_at: Micros,
    /// When something of a partition arrived last.
    pub(crate) arrivals: BTreeMap<TopicPartition, Micros>,
    /// What a run without faults made of each record; set where records state nothing.
    pub(crate) expected: Option<BTreeMap<u64, Vec<(usize, u64)>>>,
    /// What arrived, where that is wanted.
    pub(crate) gathered: Option<BTreeMap<u64, Vec<(usize, u64)>>>,
}

/// Numbers of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Records that were written.
    pub records: u64,
    /// Items that arrived, repeats included.
    pub arrived: u64,
    /// Items that had arrived before.
    pub(crate) repeated: u64,
    /// Dead letters.
    pub letters: u64,
    /// Parts that a rule left out.
    pub left_out: u64,
    /// Commits that brokers applied.
    pub(crate) commits: u64,
    /// The most memory that was charged at once, in bytes.
    pub peak: usize,
    /// The longest time from the end of the faults to the last commit, in microseconds.
    pub(crate) recovery: Micros,
}

impl Oracle {
    pub(crate) fn new(outputs: usize) -> Self {
        Self {
            outputs,
            accepts: vec![Vec::new(); outputs],
            ..Self::default()
        }
    }

    pub(crate) const fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    /// A law is broken. The first one counts.
    pub(crate) fn breaks(&mut self, law: u8, at: Micros, text: impl FnOnce() -> String) {
        if self.violation.is_none() {
            let text = text();
            self.violation = Some(Violation { law, at, text });
        }
    }

    /// The number of the next record.
    pub(crate) fn next_id(&self) -> u64 {
        self.records.len() as u64
    }

    /// A record was written.
    pub(crate) fn produced(
        &mut self,
        source: &TopicPartition,
        log: i64,
        offset: i64,
        timestamp_ms: i64,
        stated: Option<Stated>,
        is_required: bool,
    ) {
        let id = self.next_id();
        self.figures.records += 1;
        let mut keys = Vec::new();
        let parts: Vec<Part> = match &stated {
            Some(stated) => self.parts_of(stated),
            None => {
                let place = (source.clone(), offset, timestamp_ms);
                self.places.insert(place, id);
                let known = self.expected.as_ref().and_then(|all| all.get(&id));
                keys = known.cloned().unwrap_or_default();
                keys.iter().map(|_| Part::new(Due::Arrives)).collect()
            }
        };
        self.records.push(Truth {
            source: source.clone(),
            offset,
            log,
            lane: stated.as_ref().map_or(0, |stated| stated.lane),
            is_required,
            open: parts.len(),
            stated,
            parts,
            keys,
        });
    }

    fn parts_of(&self, stated: &Stated) -> Vec<Part> {
        let mut parts = Vec::new();
        for &(fate, points) in &stated.elements {
            let count = usize::from(points.max(1)) * self.outputs;
            let (due, count) = match fate {
                _ if stated.form == Form::Deadly => (Due::Buried, 1),
                Fate::Sent => (Due::Arrives, count),
                Fate::Clear | Fate::Unclear => (Due::Refused, count),
                Fate::TooOld => (Due::LeftOut(LeftOut::Age), 1),
                Fate::Dropped => (Due::LeftOut(LeftOut::Script), 1),
                Fate::Poison => (Due::Buried, 1),
            };
            parts.extend(std::iter::repeat_n(Part::new(due), count));
        }
        parts
    }

    /// The places of an element's parts.
    fn range(&self, stated: &Stated, element: u32) -> std::ops::Range<usize> {
        let count =
            |&(fate, points): &(Fate, u8)| match fate.is_sent() && stated.form != Form::Deadly {
                true => usize::from(points.max(1)) * self.outputs,
                false => 1,
            };
        let element = element as usize;
        let start = stated.elements.iter().take(element).map(count).sum();
        let own = stated.elements.get(element).map_or(0, count);
        start..start + own
    }

    fn place_of(&self, told: Told, output: usize) -> Option<(usize, usize)> {
        let id = usize::try_from(told.id).ok()?;
        let stated = self.records.get(id)?.stated.as_ref()?;
        let range = self.range(stated, told.element);
        let at = range.start + usize::from(told.point) * self.outputs + output;
        range.contains(&at).then_some((id, at))
    }

    /// Finds the part that an item is, by what it says or, where it says nothing, by its content.
    fn find(&self, output: usize, body: &Bytes, origin: &Origin) -> Option<(usize, usize)> {
        if let Some(told) = Told::read(body) {
            return self.place_of(told, output);
        }
        let id = self.id_at(origin)?;
        let key = (output, origin.3);
        let keys = &self.records.get(id)?.keys;
        let at = keys.iter().position(|own| *own == key)?;
        Some((id, at))
    }

    fn id_at(&self, (source, offset, time, _): &Origin) -> Option<usize> {
        let place = (source.clone(), *offset, time.unwrap_or(-1));
        let id = self.places.get(&place)?;
        usize::try_from(*id).ok()
    }

    fn change(&mut self, id: usize, at: usize, change: impl FnOnce(&mut Part)) {
        if let Some(truth) = self.records.get_mut(id)
            && let Some(part) = truth.parts.get_mut(at)
        {
            let before = part.is_complete();
            change(part);
            if !before && part.is_complete() {
                truth.open -= 1;
            }
        }
    }

    /// A receiver has an item.
    pub(crate) fn accepted(&mut self, now: Micros, output: usize, body: &Bytes, origin: &Origin) {
        self.figures.arrived += 1;
        self.arrivals.insert(origin.0.clone(), now);
        self.arrived_at = now;
        if let Some(gathered) = &mut self.gathered {
            let place = (origin.0.clone(), origin.1, origin.2.unwrap_or(-1));
            if let Some(id) = self.places.get(&place) {
                let key = (output, origin.3);
                let all = gathered.entry(*id).or_default();
                if !all.contains(&key) {
                    all.push(key);
                }
            }
            return;
        }
        let Some((id, at)) = self.find(output, body, origin) else {
            let text = String::from_utf8_lossy(body).into_owned();
            let (source, offset, ..) = origin;
            return self.breaks(1, now, || {
                format!("output {output} got an item that no record states: {text} of {source} at {offset}")
            });
        };
        let is_first = self.records[id].parts[at].arrived;
        self.figures.repeated += u64::from(is_first);
        if !is_first {
            self.in_order(now, output, id, at);
        }
        self.change(id, at, |part| part.arrived = true);
    }

    fn in_order(&mut self, now: Micros, output: usize, id: usize, at: usize) {
        let truth = &self.records[id];
        let is_mixed = self.made_again.contains(&truth.source.topic);
        // A part that was given up left its place in the lane. It may come again with its record. And who reads
        // next begins behind what was removed, while who read before may still send it.
        let left = truth
            .parts
            .get(at)
            .is_none_or(|part| part.buried || part.given_up)
            || self
                .removed
                .get(&truth.source)
                .is_some_and(|low| truth.offset < *low);
        if !self.checks_order || is_mixed || truth.stated.is_none() || left {
            return;
        }
        let own = (truth.offset, u32::try_from(at).unwrap_or(u32::MAX));
        let key = (output, truth.log, truth.source.clone(), truth.lane);
        let newest = self.order.entry(key).or_insert(own);
        if own < *newest {
            let (newest, source) = (*newest, truth.source.clone());
            let part = truth.parts[at];
            return self.breaks(3, now, || {
                format!(
                    "output {output} got part {} of offset {} of {source} after {newest:?}, in one lane; {part:?}",
                    own.1, own.0
                )
            });
        }
        *newest = own;
    }

    /// A receiver accepted a request.
    pub(crate) fn accepts(&mut self, now: Micros, output: usize) {
        if let Some(accepts) = self.accepts.get_mut(output) {
            accepts.push(now);
        }
    }

    /// Whoever sent an item at `sent` hears what may be a refusal.
    pub(crate) fn refused(
        &mut self,
        now: Micros,
        sent: Micros,
        output: usize,
        body: &Bytes,
        origin: &Origin,
        outcome: &Result<Reply, TransportError>,
    ) {
        if !blames(outcome) || self.gathered.is_some() {
            return;
        }
        if let Some((id, at)) = self.find(output, body, origin) {
            self.change(id, at, |part| {
                let first = part.refused.map_or(sent, |(first, _)| first);
                part.refused = Some((first, now));
            });
        }
    }

    /// A rule left a part of a record out, and that was counted.
    pub(crate) fn left_out(&mut self, record: &Record<'_>, element: u32, why: LeftOut) {
        self.figures.left_out += 1;
        let Some(stated) = record.value().and_then(Stated::parse) else {
            return;
        };
        let Ok(id) = usize::try_from(stated.id) else {
            return;
        };
        for at in self.range(&stated, element) {
            self.change(id, at, |part| {
                part.left_out |= part.due == Due::LeftOut(why);
            });
        }
    }

    /// Records that a rule allows to be passed over.
    pub(crate) fn excuse(&mut self, source: &TopicPartition) {
        for truth in self.records.iter_mut().filter(|one| one.source == *source) {
            truth.is_required = false;
        }
    }

    /// Brokers applied a commit for the log that is there.
    pub(crate) fn committed(
        &mut self,
        now: Micros,
        source: &TopicPartition,
        number: i64,
        log: &PartitionLog,
        offset: i64,
    ) {
        self.figures.commits += 1;
        let before = self.commits.insert(source.clone(), (number, offset));
        if before != Some((number, offset)) {
            self.committed_at = now;
        }
        let from = match before {
            Some((known, before)) if known == number => {
                let end = self.taken_back.get(source).copied().unwrap_or(i64::MAX);
                if offset < before && end >= before {
                    return self.breaks(2, now, || {
                        format!("the commit of {source} stepped back from {before} to {offset}")
                    });
                }
                before.min(offset)
            }
            _ => log.low,
        };
        if self.gathered.is_some() {
            return;
        }
        let lost = log
            .from(from)
            .take_while(|entry| entry.offset < offset)
            .filter(|entry| entry.value.is_some())
            .find(|entry| self.is_open(entry.id));
        if let Some(entry) = lost {
            let (at, missing) = (entry.offset, missing_of(&self.records, entry.id));
            self.breaks(1, now, || {
                format!("{source} is committed to {offset}, and of the record at {at} {missing}")
            });
        }
    }

    /// Whether no rule allows to pass a record over.
    pub(crate) fn is_required(&self, id: u64) -> bool {
        self.truth(id).is_some_and(|truth| truth.is_required)
    }

    fn is_open(&self, id: u64) -> bool {
        let truth = self.truth(id);
        truth.is_some_and(|truth| truth.is_required && truth.open > 0)
    }

    fn truth(&self, id: u64) -> Option<&Truth> {
        self.records.get(usize::try_from(id).ok()?)
    }

    /// Records below `low` were removed.
    pub(crate) fn removed(&mut self, source: &TopicPartition, low: i64) {
        self.removed.insert(source.clone(), low);
    }

    /// Records from `end` on were taken back.
    pub(crate) fn truncated(&mut self, source: &TopicPartition, end: i64) {
        if let Some((_, offset)) = self.commits.get_mut(source) {
            *offset = (*offset).min(end);
        }
        let taken = self.taken_back.entry(source.clone()).or_insert(end);
        *taken = end.min(*taken);
        self.made_again.insert(source.topic.clone());
    }

    /// The first record of a log that is there and not done with, and what of it is missing.
    pub(crate) fn missing(&self, log: &PartitionLog) -> Option<(i64, String)> {
        let mut open = log.from(log.low).filter(|entry| self.is_open(entry.id));
        let entry = open.next()?;
        Some((entry.offset, missing_of(&self.records, entry.id)))
    }

    /// When something arrived, was buried or was committed last.
    pub(crate) fn moved_at(&self) -> Micros {
        self.arrived_at.max(self.committed_at)
    }

    /// Parts that receivers refuse without a reason, and that are still open. An operator decides about
    /// each, where nothing else is sent.
    pub(crate) fn undecided(&self) -> u64 {
        let all = self.records.iter().filter(|truth| truth.open > 0);
        let open = all.flat_map(|truth| &truth.parts);
        let refused = open.filter(|part| part.due == Due::Refused && !part.is_complete());
        refused.count() as u64
    }

    /// A forwarder sends a request.
    pub(crate) fn sends(&mut self, now: Micros, process: Process, output: usize) {
        let quiet = self.quiet.get(&(process, output)).copied();
        if let Some(until) = quiet.filter(|until| now < *until) {
            let seat = process.seat;
            self.breaks(6, now, || {
                format!(
                    "member {seat} sends to output {output}, which asked for quiet until {}",
                    shown(until)
                )
            });
        }
    }

    /// A forwarder hears an outcome.
    pub(crate) fn hears(
        &mut self,
        now: Micros,
        process: Process,
        output: usize,
        outcome: &Result<Reply, TransportError>,
    ) {
        let Ok(Reply::Http(answer)) = outcome else {
            return;
        };
        let key = (process, output);
        match (answer.status, answer.retry_after) {
            (200..=299, _) => drop(self.quiet.remove(&key)),
            (429 | 503, Some(wish)) => {
                let wish = wish.min(Duration::from_secs(300));
                let until = now + Micros::try_from(wish.as_micros()).unwrap_or(0);
                let quiet = self.quiet.entry(key).or_default();
                *quiet = until.max(*quiet);
            }
            _ => {}
        }
    }

    /// An operator has a forwarder try again at once.
    pub(crate) fn reopens(&mut self, process: Process, output: usize) {
        self.quiet.remove(&(process, output));
    }

    /// Whether more records are read beyond what is committed than may be in flight.
    pub(crate) fn within_window(
        &mut self,
        now: Micros,
        source: &TopicPartition,
        ahead: usize,
        most: usize,
    ) {
        if ahead > most {
            self.breaks(3, now, || {
                format!("{ahead} records of {source} were sent beyond the commit; {most} may be in flight")
            });
        }
    }
}

fn missing_of(records: &[Truth], id: u64) -> String {
    let truth = usize::try_from(id).ok().and_then(|id| records.get(id));
    let Some(truth) = truth else {
        return "nothing is known".to_owned();
    };
    let open: Vec<String> = truth
        .parts
        .iter()
        .enumerate()
        .filter(|(_, part)| !part.is_complete())
        .map(|(at, part)| format!("part {at} ({:?})", part.due))
        .collect();
    let kind = truth.stated.as_ref().map_or_else(String::new, |stated| {
        let text = Stated {
            padding: 0,
            ..stated.clone()
        }
        .encode();
        format!("{} ", String::from_utf8_lossy(&text))
    });
    format!("{kind}is missing: {}", open.join(", "))
}
