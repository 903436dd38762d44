//! A parser: works on batches in portions, one batch of a partition after the other.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use kafkamq_memory::{Account, Charge};
use kafkamq_record::TopicPartition;

use crate::bugs::Bug;
use crate::consignment::Consignment;
use crate::convert::{Convert, Made, Work};
use crate::core::Core;
use crate::mail::{Bury, Echo, Echoes, Message, Place, Process};

/// Bounds of what is made before it is sent on its way, in bytes.
const PORTION: std::ops::RangeInclusive<usize> = 16 * 1024..=1024 * 1024;

struct Job {
    consignment: Consignment,
    work: Box<dyn Work>,
}

/// What is to be done next.
enum Next {
    Done,
    Again,
    Room {
        account: Arc<Account>,
        below: usize,
    },
    /// The parser died of it.
    Died,
}

/// One parser.
pub(crate) struct Parser {
    process: Process,
    index: usize,
    life: u32,
    echoes: Echoes,
    waiting: BTreeMap<TopicPartition, VecDeque<Job>>,
}

impl Parser {
    pub(crate) const fn new(process: Process, index: usize, life: u32, echoes: Echoes) -> Self {
        Self {
            process,
            index,
            life,
            echoes,
            waiting: BTreeMap::new(),
        }
    }

    fn place(&self) -> Place {
        Place::Parser(self.index, self.life)
    }

    /// Takes a message. Returns whether the parser lives on.
    pub(crate) fn handle(
        &mut self,
        message: Message,
        converter: &mut dyn Convert,
        forwarders: &[Option<Place>],
        letters: Option<&Place>,
        core: &mut Core,
    ) -> bool {
        match message {
            Message::Parse(consignment) => {
                let source = consignment.batch.source().clone();
                let work = converter.begin(Arc::clone(&consignment.batch));
                let job = Job { consignment, work };
                match self.waiting.get_mut(&source) {
                    Some(queue) => {
                        queue.push_back(job);
                        true
                    }
                    None => self.go_on(source, VecDeque::from([job]), forwarders, letters, core),
                }
            }
            Message::GoOn(source) => match self.waiting.remove(&source) {
                Some(queue) => self.go_on(source, queue, forwarders, letters, core),
                None => true,
            },
            _ => true,
        }
    }

    fn go_on(
        &mut self,
        source: TopicPartition,
        mut queue: VecDeque<Job>,
        forwarders: &[Option<Place>],
        letters: Option<&Place>,
        core: &mut Core,
    ) -> bool {
        let Some(mut job) = queue.pop_front() else {
            return true;
        };
        job.consignment.share.begin();
        let next = self.step(&mut job, forwarders, letters, core);
        if !matches!(next, Next::Died) {
            job.consignment.share.rest();
        }
        match next {
            Next::Died => return false,
            Next::Done if queue.is_empty() => return true,
            Next::Done => self.again(&source, core),
            Next::Again => {
                queue.push_front(job);
                self.again(&source, core);
            }
            Next::Room { account, below } => {
                queue.push_front(job);
                let (echoes, place, own) = (Arc::clone(&self.echoes), self.place(), source.clone());
                let wake = move || echoes.lock().push(Echo::GoOn(place, own));
                account.on_room(below, Box::new(wake));
            }
        }
        self.waiting.insert(source, queue);
        true
    }

    fn again(&self, source: &TopicPartition, core: &mut Core) {
        let message = Message::GoOn(source.clone());
        core.send(self.process, self.place(), self.place(), message);
    }

    fn step(
        &self,
        job: &mut Job,
        forwarders: &[Option<Place>],
        letters: Option<&Place>,
        core: &mut Core,
    ) -> Next {
        let account = Arc::clone(&job.consignment.share.accounts().made);
        loop {
            if job.consignment.is_cancelled() {
                return Next::Done;
            }
            let (most, _charge) = match portion(&account) {
                Ok(portion) => portion,
                Err(next) => return next,
            };
            let made = job.work.go_on(most, &account);
            if made.is_deadly {
                return Next::Died;
            }
            let is_done = made.is_done;
            self.hand_on(&job.consignment, made, forwarders, letters, core);
            if is_done {
                return Next::Done;
            }
            if core.rng.u8(..4) == 0 {
                return Next::Again;
            }
        }
    }

    fn hand_on(
        &self,
        own: &Consignment,
        made: Made,
        forwarders: &[Option<Place>],
        letters: Option<&Place>,
        core: &mut Core,
    ) {
        // Before anything that may settle one of them.
        for (record, obligations) in made.obligations {
            own.share.expect_items(record, obligations);
        }
        for (record, element, why) in made.left_out {
            if let Some(record) = own.batch.get(record as usize) {
                core.oracle.left_out(&record, element, why);
            }
        }
        own.share.settle_all(made.ended.into_iter());
        for outgoing in made.outgoing {
            let mut consignment = own.of(outgoing.output, outgoing.parts.clone());
            if core.has(Bug::CommitBeforeDelivery) {
                consignment.settle_all(outgoing.items.iter().map(|item| item.record));
                consignment.parts = Arc::from([]);
            }
            if let Some(Some(forwarder)) = forwarders.get(outgoing.output) {
                let (to, message) = (forwarder.clone(), Message::Forward(outgoing, consignment));
                core.send(self.process, self.place(), to, message);
            }
        }
        if !made.letters.is_empty()
            && let Some(to) = letters
        {
            let (records, letters) = made.letters.into_iter().unzip();
            let bury = Bury {
                letters,
                records,
                consignment: own.share(),
            };
            core.send(self.process, self.place(), to.clone(), Message::Bury(bury));
        }
    }
}

/// Memory for the next portion, taken before it is made. Where there is none and nothing made before is
/// on its way, the smallest portion is taken all the same.
fn portion(account: &Arc<Account>) -> Result<(usize, Charge), Next> {
    let allowance = account.limit();
    let bytes = (allowance / 4).clamp(*PORTION.start(), *PORTION.end());
    match account.try_charge(bytes) {
        Ok(charge) => Ok((bytes, charge)),
        Err(_) if account.used() == 0 => {
            let least = *PORTION.start();
            Ok((least, account.charge_beyond(least)))
        }
        Err(refused) => Err(Next::Room {
            account: Arc::clone(account),
            below: match *refused.account == *account.name() {
                true => allowance.saturating_sub(bytes).min(allowance / 2),
                false => 0,
            },
        }),
    }
}
