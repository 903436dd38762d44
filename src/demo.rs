//! The demonstration: everything at work with nothing installed.
//!
//! An embedded broker, producers for every route, the very service that `kafkamq run` runs, and
//! receivers that decode what arrives, all in this process. Each record carries an id, so the
//! closing table is an account of records, not of totals.

mod config;
mod progress;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use kafkamq_broker::{Broker, BrokerOptions};
use kafkamq_pipeline::{Clock as _, SystemClock};
use kafkamq_testbed::Testbed;
use kafkamq_testbed::expect::{Expectation, Rule, Table};
use kafkamq_testbed::receiver::HandleOptions;
use kafkamq_testbed::scenario::{Scenario, TOPICS};
use parking_lot::Mutex;

use crate::app::Service;
use crate::cli::DemoOptions;
use crate::kafka::{Outbound, Producer};
use crate::telemetry;

/// Records a second while the demonstration runs without an end in sight.
const ENDLESS_RATE: f64 = 2_000.0;
/// Everything has arrived, or nothing has for this long: the account is closed.
const STALL: Duration = Duration::from_secs(20);
/// How long the producer waits for the broker's last confirmations.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(30);
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);
/// How often the ledgers are looked at.
const WATCH_INTERVAL: Duration = Duration::from_millis(50);

/// Runs the demonstration. `false` means that records are missing.
///
/// # Errors
/// When a part cannot be started.
pub fn run(options: DemoOptions) -> anyhow::Result<bool> {
    let scripts = tempfile::tempdir().context("no folder for the demonstration's scripts")?;
    let broker = Broker::start(BrokerOptions::default()).context("the embedded broker")?;
    for topic in &TOPICS {
        broker
            .create_topic(topic.name, i32::from(topic.partitions))
            .with_context(|| format!("topic {}", topic.name))?;
    }
    let testbed = Testbed::start(HandleOptions::default()).context("the receivers")?;
    let (loaded, sources) =
        config::load(&broker.bootstrap(), &testbed.addresses(), scripts.path())?;
    telemetry::init(&loaded.settings.log)?;

    let account = Arc::new(Account::new());
    let producing = spawn_producer(&broker.bootstrap(), &options, Arc::clone(&account))?;
    let system = actix_rt::System::new();
    let complete = system.block_on(async {
        let service = Service::start(loaded, sources)?;
        progress::introduce(&broker.bootstrap(), service.address(), &testbed.addresses());
        let ended = watch(&account, &testbed).await;
        service.stop().await;
        ended
    });
    account.stop.store(true, Ordering::Release);
    if producing.join().is_err() {
        anyhow::bail!("the producer panicked");
    }
    let table = account.table(&testbed);
    progress::conclude(&table, account.started.elapsed());
    complete.map(|()| table.is_complete() && account.error.lock().is_none())
}

/// What was produced and what must arrive.
struct Account {
    expectation: Mutex<Expectation>,
    produced: std::sync::atomic::AtomicU64,
    done: AtomicBool,
    stop: AtomicBool,
    error: Mutex<Option<String>>,
    started: Instant,
}

impl Account {
    fn new() -> Self {
        let rules = [Rule::HeaderCheck, Rule::Script, Rule::NoDestination];
        Self {
            expectation: Mutex::new(Expectation::new(rules)),
            produced: std::sync::atomic::AtomicU64::new(0),
            done: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            error: Mutex::new(None),
            started: Instant::now(),
        }
    }

    fn table(&self, testbed: &Testbed) -> Table {
        let ledgers = testbed
            .receivers()
            .map(|(_, receiver)| receiver.ledger().as_ref());
        self.expectation.lock().table(&ledgers)
    }
}

fn spawn_producer(
    bootstrap: &str,
    options: &DemoOptions,
    account: Arc<Account>,
) -> anyhow::Result<thread::JoinHandle<()>> {
    let producer = Producer::connect(bootstrap).context("the producer")?;
    let records = options.records;
    let until = options.duration.map(|duration| account.started + duration);
    let start_ns = u64::try_from(SystemClock.now_ns()).unwrap_or(0);
    thread::Builder::new()
        .name("demo-producer".into())
        .spawn(move || {
            if let Err(error) = produce(&producer, start_ns, records, until, &account) {
                *account.error.lock() = Some(format!("{error:#}"));
            }
            account.done.store(true, Ordering::Release);
        })
        .context("no thread for the producer")
}

#[expect(
    clippy::disallowed_methods,
    reason = "the producer has a thread of its own"
)]
fn produce(
    producer: &Producer,
    start_ns: u64,
    records: Option<u64>,
    until: Option<Instant>,
    account: &Account,
) -> anyhow::Result<()> {
    let began = Instant::now();
    for (count, record) in (0u64..).zip(Scenario::new(SEED, start_ns)) {
        let ended = records.is_some_and(|records| count >= records)
            || until.is_some_and(|until| Instant::now() >= until)
            || account.stop.load(Ordering::Acquire);
        if ended {
            break;
        }
        if records.is_none() {
            let due = Duration::from_secs_f64(count as f64 / ENDLESS_RATE);
            thread::sleep(due.saturating_sub(began.elapsed()));
        }
        let sample = &record.sample;
        let headers: Vec<_> = sample
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), Some(bytes::Bytes::copy_from_slice(value))))
            .collect();
        producer.send(Outbound {
            topic: record.topic,
            partition: Some(i32::from(record.partition)),
            key: sample.key.as_deref(),
            value: Some(&sample.value),
            timestamp: None,
            headers: &headers,
        })?;
        account.expectation.lock().produced(sample);
        account.produced.store(count + 1, Ordering::Release);
    }
    producer.flush(FLUSH_TIMEOUT)?;
    anyhow::ensure!(
        producer.failed() == 0,
        "the broker refused {} records",
        producer.failed()
    );
    Ok(())
}

/// The same stream each time.
const SEED: u64 = 20_26;

/// Prints progress until producing has ended and everything has arrived, or nothing moves any more.
async fn watch(account: &Account, testbed: &Testbed) -> anyhow::Result<()> {
    let mut last = (0, Instant::now());
    let mut compared = None;
    let mut shown = Instant::now();
    let mut interrupted = Box::pin(crate::app::stop_requested());
    loop {
        tokio::select! {
            signal = &mut interrupted => {
                signal.context("signals")?;
                if account.stop.swap(true, Ordering::AcqRel) {
                    anyhow::bail!("ended before everything had arrived");
                }
                // What was produced still arrives; a second signal does not wait for it.
                progress::stopping();
                interrupted = Box::pin(crate::app::stop_requested());
                last.1 = Instant::now();
            }
            () = tokio::time::sleep(WATCH_INTERVAL) => {}
        }
        let arrived: u64 = testbed
            .receivers()
            .iter()
            .map(|(_, receiver)| receiver.ledger().total())
            .sum();
        if arrived != last.0 {
            last = (arrived, Instant::now());
        }
        if shown.elapsed() >= PROGRESS_INTERVAL {
            shown = Instant::now();
            progress::line(
                account.produced.load(Ordering::Acquire),
                arrived,
                account.started,
            );
        }
        if let Some(error) = account.error.lock().as_ref() {
            anyhow::bail!("producing failed: {error}");
        }
        if !account.done.load(Ordering::Acquire) {
            continue;
        }
        // The table compares every record, so it is made when the flow pauses and not at each look.
        if compared != Some(arrived) && last.1.elapsed() >= WATCH_INTERVAL {
            compared = Some(arrived);
            if account.table(testbed).is_complete() {
                return Ok(());
            }
        }
        if last.1.elapsed() > STALL {
            return Ok(());
        }
    }
}
