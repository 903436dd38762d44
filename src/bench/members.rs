//! Several members of one group share a load.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Instant;

use anyhow::Context as _;

use super::case::Case;
use super::part::Usage;
use super::process::{Counters, assigned, counters};
use super::run::{Load, Speed, Stage, Watch, busiest};

impl Stage {
    /// Runs `members` routers of `binary` in one group over `load`, which is written once each of
    /// them has partitions: whoever comes first would read everything otherwise, and what is read
    /// twice because partitions move is nothing to measure here. Processor time is the sum of the
    /// members, memory that of the largest, and the time begins with the first record written.
    pub(super) fn group(
        &mut self,
        binary: &Path,
        case: &Case,
        load: &Load,
        members: usize,
    ) -> anyhow::Result<Speed> {
        self.receiver.tell(&format!("expect {}", load.elements()))?;
        self.runs += 1;
        let mut routers = Vec::with_capacity(members);
        for _ in 0..members {
            routers.push(self.router(binary, case, load, false, false)?);
        }
        let partitions = load.feeds.len() * self.partitions.unsigned_abs() as usize;
        let mut watch = Watch::new();
        loop {
            let shares = routers.iter().map(|router| assigned(&router.listen));
            let shares: Vec<usize> = shares.map(Option::unwrap_or_default).collect();
            if shares.iter().sum::<usize>() == partitions && !shares.contains(&0) {
                break;
            }
            watch.pause(Counters::default(), 1).with_context(|| {
                format!("the members have {shares:?} of {partitions} partitions")
            })?;
        }
        let mut before = Vec::new();
        for router in &mut routers {
            before.push(router.part.ask::<Usage>("usage")?);
        }
        let start = Instant::now();
        self.fill(load, None, &AtomicBool::new(false), &AtomicU64::new(0))?;
        let records = load.records();
        let mut watch = Watch::new();
        let seen = loop {
            let seen = routers.iter().filter_map(|router| counters(&router.listen));
            let seen = seen.fold(Counters::default(), |sum, one| Counters {
                received: sum.received + one.received,
                received_bytes: sum.received_bytes + one.received_bytes,
                settled: sum.settled + one.settled,
                odd: sum.odd + one.odd,
                joined: one.joined,
            });
            if seen.settled >= records {
                break seen;
            }
            watch.pause(seen, records)?;
        };
        let seconds = start.elapsed().as_secs_f64();
        let (mut cpu, mut peak_memory, mut most) = (0.0, 0, (String::new(), 0.0));
        for (router, before) in routers.iter_mut().zip(&before) {
            let after: Usage = router.part.ask("usage")?;
            cpu += after.cpu - before.cpu;
            let one = busiest(before, &after);
            if one.1 > most.1 {
                most = one;
            }
            peak_memory = peak_memory.max(router.part.memory("VmHWM")?);
        }
        let account = self.account_of(load, seen)?;
        for router in routers {
            router.part.end()?;
        }
        Ok(Speed {
            records,
            bytes: seen.received_bytes,
            seconds,
            cpu,
            requests: account.requests,
            peak_memory,
            repeated: account.repeated,
            busiest: most,
            ..Speed::default()
        })
    }
}
