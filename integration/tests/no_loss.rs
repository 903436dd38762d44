//! Nothing is lost, however often the service is killed, the broker restarted and the group
//! changed, through each kind of route; and each such event delivers at most one window twice.
//!
//! `KAFKAMQ_FULL=1`: a million records for each route, twenty kills.

#![expect(
    clippy::print_stdout,
    reason = "the figures belong into the test's output"
)]

use std::sync::Mutex;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use kafkamq_integration::{Config, Ending, Kafkamq, Release, Scene, random, size};
use kafkamq_testbed::faults::{Fault, FaultKind};
use kafkamq_testbed::{Receiver, Route};

const PARTITIONS: u16 = 8;
/// Records of one partition in flight: an event may deliver so many of each partition again. Settled
/// records are among them until their commit is confirmed.
const WINDOW: u64 = 1000;
const ALLOWED: u64 = WINDOW * PARTITIONS as u64;
const LIMIT: Duration = Duration::from_secs(300);
const DRAIN_LIMIT: Duration = Duration::from_secs(15);

/// Each test takes the whole machine.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Each takes partitions away from whoever reads them, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Kill,
    RestartBroker,
    MemberJoins,
    MemberLeaves,
}

#[test]
fn forwarding_loses_nothing() -> Result<()> {
    let route = |topic: &str, scene: &Scene| {
        (
            "otel",
            format!(
                "dk_endpoint = \"{}\"\ntrace_topics = [\"{topic}\"]",
                scene.testbed.datakit.url("")
            ),
        )
    };
    survive("forward", Route::OtelTraces, route, |scene| {
        &scene.testbed.datakit
    })
}

#[test]
fn points_lose_nothing() -> Result<()> {
    let route = |topic: &str, _: &Scene| {
        (
            "custom",
            format!("log_topic_map = {{ \"{topic}\" = \"log.p\" }}"),
        )
    };
    survive("points", Route::CustomLog, route, |scene| {
        &scene.testbed.datakit
    })
}

#[test]
fn a_remote_handle_loses_nothing() -> Result<()> {
    let route = |topic: &str, scene: &Scene| {
        (
            "remote_handle",
            format!(
                "endpoint = \"{}\"\ntopics = [\"{topic}\"]\nsend_message_count = 100\nflush_interval = \"200ms\"",
                scene.testbed.handle.url("/")
            ),
        )
    };
    survive("handle", Route::Handle, route, |scene| {
        &scene.testbed.handle
    })
}

fn survive(
    name: &str,
    route: Route,
    table: impl Fn(&str, &Scene) -> (&'static str, String),
    receiver: impl Fn(&Scene) -> &Receiver,
) -> Result<()> {
    let _alone = ONE_AT_A_TIME.lock();
    let Some(scene) = Scene::alone(&format!("no-loss-{name}"), Release::Current)? else {
        return Ok(());
    };
    let (seed, mut rng) = random();
    println!("KAFKAMQ_SEED={seed}");
    let total = size("KAFKAMQ_RECORDS", 40_000, 1_000_000);
    let kills = size("KAFKAMQ_KILLS", 3, 20);
    let members = size("KAFKAMQ_REBALANCES", 1, 3);
    let mut events = vec![Event::Kill; kills as usize];
    events.extend(vec![Event::MemberJoins; members as usize]);
    events.push(Event::RestartBroker);
    rng.shuffle(&mut events);
    let events: Vec<_> = events
        .into_iter()
        .flat_map(|event| match event {
            Event::MemberJoins => vec![Event::MemberJoins, Event::MemberLeaves],
            other => vec![other],
        })
        .collect();

    let topic = scene.topic("records", i32::from(PARTITIONS))?;
    scene.script(
        "log.p",
        "data = load_json(message)\nadd_key(record_id, data[\"record_id\"])\n",
    )?;
    let (table, lines) = table(&topic, &scene);
    let config = scene
        .config()
        .short_session()
        .input(format!("max_in_flight = {WINDOW}"))
        .output("batch_points = 100")
        .route(table, &lines);

    let steps = events.len() as u32 + 1;
    let each = (total / u32::from(PARTITIONS)).div_ceil(steps) * steps;
    let (mut producer, chunks, producing) = {
        let producer = scene.producer()?;
        let (sender, receiver) = sync_channel::<std::ops::Range<u32>>(1);
        (producer, sender, receiver)
    };
    let began = Instant::now();
    let duplicates = std::thread::scope(|scope| {
        let (topic, producer) = (&topic, &mut producer);
        let produced = scope.spawn(move || -> Result<()> {
            for range in producing {
                producer.send_range(route, topic, PARTITIONS, range)?;
            }
            producer.flush()
        });
        let mut play = Play {
            scene: &scene,
            receiver: receiver(&scene),
            config: &config,
            topic,
            rng: &mut rng,
            members: 0,
            second: None,
        };
        let outcome = play.run(&events, each / steps, chunks);
        // A failure in there shows as records that do not arrive; this is its cause.
        produced
            .join()
            .map_err(|_| anyhow!("the producer's thread died"))??;
        outcome
    })?;

    let receiver = receiver(&scene);
    scene.await_all(receiver, producer.ids(), LIMIT)?;
    let took = began.elapsed().as_secs_f64();
    let foreign = receiver
        .ledger()
        .seen()
        .count_missing(producer.ids(), route);
    ensure!(foreign == 0, "{foreign} ids arrived that were not produced");
    scene.broker()?.await_committed(
        scene.group(),
        &topic,
        &[i64::from(each); PARTITIONS as usize],
        Duration::from_secs(30),
    )?;
    let last = receiver.ledger().report().duplicates;
    let records = u64::from(each) * u64::from(PARTITIONS);
    let most = duplicates.iter().map(|(_, count)| *count).max();
    println!(
        "{name}: {records} records, {kills} kills, 1 broker restart, {members} members joined and \
         left, {took:.0} s: 0 lost, {last} delivered twice (at most {:?} by one event, {ALLOWED} \
         allowed)\n{duplicates:?}",
        most.unwrap_or(0)
    );
    let counted: u64 = duplicates.iter().map(|(_, count)| count).sum();
    ensure!(last == counted, "{} twice without an event", last - counted);
    scene.passed();
    Ok(())
}

struct Play<'a> {
    scene: &'a Scene,
    receiver: &'a Receiver,
    config: &'a Config,
    topic: &'a str,
    rng: &'a mut fastrand::Rng,
    members: u32,
    second: Option<Kafkamq>,
}

impl Play<'_> {
    /// Lets one event happen while each chunk flows; returns the duplicates seen after each.
    fn run(
        &mut self,
        events: &[Event],
        chunk: u32,
        chunks: std::sync::mpsc::SyncSender<std::ops::Range<u32>>,
    ) -> Result<Vec<(Event, u64)>> {
        let mut kafkamq = self.scene.kafkamq(self.config, "first")?;
        kafkamq.await_assigned(usize::from(PARTITIONS))?;
        let mut duplicates = Vec::new();
        for (step, event) in (0..).zip(events) {
            chunks.send(step * chunk..(step + 1) * chunk)?;
            let before = self.receiver.ledger().report();
            let target = u64::from((step + 1) * chunk) * u64::from(PARTITIONS);
            let left = target.saturating_sub(before.delivered).max(1);
            let some = self.rng.u64(0..left);
            self.reach(before.delivered + some)
                .with_context(|| format!("before {event:?} in step {step}"))?;
            match event {
                Event::Kill => kafkamq = kafkamq.kill_and_restart()?,
                Event::RestartBroker => self.scene.kafka().restart()?,
                Event::MemberJoins | Event::MemberLeaves => {
                    // Slow enough that records flow while the group changes.
                    let slow = Fault::new(FaultKind::Delay { ms: 200 });
                    self.receiver.set_faults([slow]);
                    match event {
                        Event::MemberJoins => self.join(&kafkamq)?,
                        _ => self.leave(&kafkamq)?,
                    }
                    self.receiver.set_faults([]);
                }
            }
            // A member that was killed holds its partitions until its session is over.
            self.reach(target)
                .with_context(|| format!("after {event:?} in step {step}"))?;
            // What is committed comes no more: the duplicates of this event are all there.
            self.scene.broker()?.await_committed(
                self.scene.group(),
                self.topic,
                &[i64::from((step + 1) * chunk); PARTITIONS as usize],
                LIMIT,
            )?;
            let after = self.receiver.ledger().report().duplicates;
            let caused = after - before.duplicates;
            ensure!(
                caused <= ALLOWED,
                "{caused} duplicates by {event:?} in step {step}, {ALLOWED} allowed"
            );
            duplicates.push((*event, caused));
        }
        let last = events.len() as u32;
        chunks.send(last * chunk..(last + 1) * chunk)?;
        drop(chunks);
        self.reach(u64::from((last + 1) * chunk) * u64::from(PARTITIONS))?;
        // Commits what is settled, for the account at the end.
        let ending = kafkamq.terminate(DRAIN_LIMIT)?;
        ensure!(ending == Ending::Code(0), "{ending:?}");
        Ok(duplicates)
    }

    /// Waits until so many distinct records have arrived.
    fn reach(&self, count: u64) -> Result<()> {
        let ledger = self.receiver.ledger();
        ensure!(
            ledger.wait_until(LIMIT, |ledger| ledger.total() >= count),
            "{} of {count} arrived",
            ledger.total()
        );
        Ok(())
    }

    /// Another process joins the group.
    fn join(&mut self, first: &Kafkamq) -> Result<()> {
        self.members += 1;
        let half = usize::from(PARTITIONS) / 2;
        let name = format!("second-{}", self.members);
        let second = self.scene.kafkamq(self.config, &name)?;
        second.await_assigned(half)?;
        first.await_assigned(half)?;
        self.second = Some(second);
        Ok(())
    }

    /// It leaves the group again.
    fn leave(&mut self, first: &Kafkamq) -> Result<()> {
        let mut second = self.second.take().context("there is no second member")?;
        let ending = second.terminate(DRAIN_LIMIT)?;
        ensure!(ending == Ending::Code(0), "{ending:?}");
        first.await_assigned(usize::from(PARTITIONS))
    }
}
