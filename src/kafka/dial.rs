//! Finds out whether a cluster can be used from here and, if not, which layer is in the way.
//!
//! Every broker is dialled on its own and from the bottom up: its name, TCP, then a client that
//! does not know any other address and asks it for metadata, which takes TLS and SASL. The addresses that
//! brokers announce are dialled like those of the configuration, since records come from there.
//! Through the first broker that answers, topics and the group are looked at. Nothing is joined,
//! created, written or committed, and no secret appears in a text.

use std::fmt;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError as ClientError, KafkaResult, RDKafkaErrorCode};
use rdkafka::metadata::MetadataTopic;
use rdkafka::{ClientConfig, TopicPartitionList};

use super::KafkaError;
use super::client::set_cluster;
use super::report::is_close;
use kafkamq_settings::{ClusterSettings, Sasl};

pub(super) mod certificate;
pub(super) mod fault;
#[cfg(test)]
mod tests;

use certificate::judge;
pub(crate) use fault::{DialFault, Layer};

/// Brokers dialled at the same time.
const AT_ONCE: usize = 16;
/// How long one request waits before what the client reported meanwhile is looked at.
const SLICE: Duration = Duration::from_secs(1);
/// How long a report may follow the failure it explains.
const REPORT_WAIT: Duration = Duration::from_millis(50);
/// Stands where a client needs a group and none is asked about.
const NO_GROUP: &str = "kafkamq-check";

/// What is to be reached.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DialTarget<'a> {
    /// Addresses, transport and authentication.
    pub(crate) cluster: &'a ClusterSettings,
    /// The consumer group whose offsets are to be readable.
    pub(crate) group: Option<&'a str>,
    /// Topics that are to be there.
    pub(crate) topics: &'a [&'a str],
}

/// What a finding is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DialSubject {
    /// A broker of the configuration, as `host:port`.
    Broker(String),
    /// A broker that another one announced, as `host:port`.
    Announced(String),
    /// A topic that is read or written, by name.
    Topic(String),
    /// A consumer group.
    Group(String),
}

impl fmt::Display for DialSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broker(address) => write!(f, "broker {address}"),
            Self::Announced(address) => write!(f, "announced broker {address}"),
            Self::Topic(topic) => write!(f, "topic `{topic}`"),
            Self::Group(group) => write!(f, "group `{group}`"),
        }
    }
}

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DialFinding {
    /// What it was.
    pub(crate) subject: DialSubject,
    /// What is wrong with it, if something is.
    pub(crate) fault: Option<DialFault>,
}

/// Dials everything `target` names. `timeout` bounds each step of each broker: name resolution,
/// TCP, and every request. Blocks; brokers are dialled side by side.
///
/// Topics and the group are left out of the findings when no broker answers.
#[must_use]
pub(crate) fn dial(target: &DialTarget<'_>, timeout: Duration) -> Vec<DialFinding> {
    let configured = target.cluster.addrs.clone();
    let mut findings = Vec::new();
    let mut first = None;
    let mut announced = Vec::new();
    for (address, outcome) in dial_brokers(target, configured, timeout) {
        let fault = match outcome {
            Ok(broker) => {
                announced.extend(broker.announced.iter().cloned());
                first.get_or_insert(broker);
                None
            }
            Err(fault) => Some(fault),
        };
        findings.push(DialFinding {
            subject: DialSubject::Broker(address),
            fault,
        });
    }
    announced.sort_unstable();
    announced.dedup();
    announced.retain(|address| !target.cluster.addrs.contains(address));
    for (address, outcome) in dial_brokers(target, announced, timeout) {
        findings.push(DialFinding {
            subject: DialSubject::Announced(address),
            fault: outcome.err().map(DialFault::announced),
        });
    }
    if let Some(broker) = first {
        for topic in target.topics {
            findings.push(DialFinding {
                subject: DialSubject::Topic((*topic).to_owned()),
                fault: broker.look_at_topic(topic, timeout).err(),
            });
        }
        if let Some(group) = target.group {
            findings.push(DialFinding {
                subject: DialSubject::Group(group.to_owned()),
                fault: broker.look_at_group(target.topics, timeout).err(),
            });
        }
    }
    findings
}

/// Dials `addresses` side by side, in batches; the outcomes come in their order.
fn dial_brokers(
    target: &DialTarget<'_>,
    addresses: Vec<String>,
    timeout: Duration,
) -> Vec<(String, Result<Broker, DialFault>)> {
    let mut outcomes = Vec::with_capacity(addresses.len());
    for batch in addresses.chunks(AT_ONCE) {
        thread::scope(|scope| {
            let dials: Vec<_> = batch
                .iter()
                .map(|address| scope.spawn(|| Broker::dial(target, address, timeout)))
                .collect();
            for (address, dial) in batch.iter().zip(dials) {
                match dial.join() {
                    Ok(outcome) => outcomes.push((address.clone(), outcome)),
                    Err(payload) => std::panic::resume_unwind(payload),
                }
            }
        });
    }
    outcomes
}

/// Resolves `address` and connects to one of the results.
fn reach(address: &str, timeout: Duration) -> Result<(), DialFault> {
    let deadline = Instant::now() + timeout;
    let (tell, told) = mpsc::channel();
    let name = address.to_owned();
    // The system's resolver cannot be called off; its thread is left behind instead.
    let resolver = thread::Builder::new().spawn(move || {
        let found = name
            .to_socket_addrs()
            .map(|found| found.collect::<Vec<SocketAddr>>());
        // Nobody waits for an answer that comes too late.
        tell.send(found).ok();
    });
    let dns = |message: String| DialFault::new(Layer::Dns, message);
    resolver.map_err(|error| dns(format!("no thread for the resolver: {error}")))?;
    let found = told
        .recv_timeout(timeout)
        .map_err(|_| dns(format!("the name server did not answer within {timeout:?}")))?
        .map_err(|error| dns(error.to_string()))?;
    let mut last = "the name has no address".to_owned();
    let mut left = u32::try_from(found.len()).unwrap_or(u32::MAX);
    for socket in found {
        // Every address gets an equal share of the time, or one that swallows packets would keep
        // the others from being tried.
        let share = deadline.saturating_duration_since(Instant::now()) / left.max(1);
        left = left.saturating_sub(1);
        match TcpStream::connect_timeout(&socket, share.max(Duration::from_millis(1))) {
            Ok(_stream) => return Ok(()),
            Err(error) => last = format!("{socket}: {error}"),
        }
    }
    Err(DialFault::new(Layer::Tcp, last))
}

/// A broker that answered.
struct Broker {
    client: BaseConsumer<Reports>,
    announced: Vec<String>,
}

impl Broker {
    fn dial(target: &DialTarget<'_>, address: &str, timeout: Duration) -> Result<Self, DialFault> {
        reach(address, timeout)?;
        if let Some(Sasl::OAuthBearer(_)) = target.cluster.security.sasl {
            return Err(DialFault::unsupported("OAUTHBEARER"));
        }
        let client = client_config(target, address)
            .create_with_context(Reports::default())
            .map_err(|error| DialFault::refused(&KafkaError::from_client(error)))?;
        let mut broker = Self {
            client,
            announced: Vec::new(),
        };
        // Without a topic the answer lists all of them, which is much in a large cluster.
        let topic = target.topics.first().copied();
        let metadata = broker
            .ask(timeout, |client, wait| client.fetch_metadata(topic, wait))
            .map_err(|fault| match fault.is_about_certificate() {
                true => fault.judged(judge(address, &target.cluster.security, timeout)),
                false => fault,
            })?;
        broker.announced = metadata
            .brokers()
            .iter()
            .map(|broker| match broker.host() {
                host if host.contains(':') => format!("[{host}]:{}", broker.port()),
                host => format!("{host}:{}", broker.port()),
            })
            .collect();
        Ok(broker)
    }

    fn look_at_topic(&self, topic: &str, timeout: Duration) -> Result<(), DialFault> {
        let metadata = self.ask(timeout, |client, wait| {
            client.fetch_metadata(Some(topic), wait)
        })?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        found.map_or_else(
            || Err(DialFault::new(Layer::Topic, "the brokers do not list it")),
            judge_topic,
        )
    }

    /// Reads the group's offset of one partition, which takes the same right as joining it.
    fn look_at_group(&self, topics: &[&str], timeout: Duration) -> Result<(), DialFault> {
        let mut partitions = TopicPartitionList::new();
        partitions.add_partition(topics.first().copied().unwrap_or(NO_GROUP), 0);
        self.ask(timeout, |client, wait| {
            client.committed_offsets(partitions.clone(), wait)
        })
        .map(drop)
    }

    /// Repeats a request until it is answered, until the client reports what is in the way, or
    /// until the time is up.
    fn ask<T>(
        &self,
        timeout: Duration,
        request: impl Fn(&BaseConsumer<Reports>, Duration) -> KafkaResult<T>,
    ) -> Result<T, DialFault> {
        let deadline = Instant::now() + timeout;
        self.client.context().forget();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let error = match request(&self.client, left.min(SLICE)) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            self.listen();
            let reports = self.client.context();
            if let Some(fault) = reports.fault.lock().take() {
                return Err(fault);
            }
            let code = error.rdkafka_error_code();
            if let Some(fault) = code.and_then(|code| DialFault::classify(code, "")) {
                return Err(fault);
            }
            if left.is_zero() {
                return Err(DialFault::silent(timeout, reports.last.lock().as_deref()));
            }
        }
    }

    /// Takes in what the client reports, which it does inside `poll` only.
    fn listen(&self) {
        let until = Instant::now() + REPORT_WAIT;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            // Records cannot come, and errors are heard by the context as well.
            drop(self.client.poll(left));
            if left.is_zero() {
                return;
            }
        }
    }
}

fn judge_topic(topic: &MetadataTopic) -> Result<(), DialFault> {
    if let Some(error) = topic.error() {
        let code = RDKafkaErrorCode::from(error);
        return Err(DialFault::classify(code, "")
            .unwrap_or_else(|| DialFault::new(Layer::Topic, code.to_string())));
    }
    let partitions = topic.partitions();
    let headless = partitions.iter().filter(|p| p.leader() < 0).count();
    if headless > 0 {
        let all = partitions.len();
        return Err(DialFault::headless(headless, all));
    }
    Ok(())
}

/// The configuration of a client that knows `address` only.
fn client_config(target: &DialTarget<'_>, address: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (key, value) in &target.cluster.librdkafka {
        config.set(key, value);
    }
    set_cluster(&mut config, target.cluster);
    config
        .set("bootstrap.servers", address)
        .set("group.id", target.group.unwrap_or(NO_GROUP))
        .set("enable.auto.commit", "false")
        .set("allow.auto.create.topics", "false")
        .set("statistics.interval.ms", "0");
    config
}

/// Keeps what a client reports besides the answers to its requests.
#[derive(Default)]
struct Reports {
    /// The first report that names a layer.
    fault: Mutex<Option<DialFault>>,
    /// The last one that does not.
    last: Mutex<Option<String>>,
}

impl Reports {
    fn forget(&self) {
        *self.fault.lock() = None;
        *self.last.lock() = None;
    }

    fn note(&self, code: RDKafkaErrorCode, reason: &str) {
        match DialFault::classify(code, reason) {
            Some(fault) => {
                self.fault.lock().get_or_insert(fault);
            }
            // It follows from the others.
            None if code == RDKafkaErrorCode::AllBrokersDown => {}
            None => *self.last.lock() = Some(fault::plain(reason)),
        }
    }
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(target: "librdkafka", facility, message);
        if is_close(level, facility) {
            self.note(RDKafkaErrorCode::BrokerTransportFailure, message);
        }
    }

    fn error(&self, error: ClientError, reason: &str) {
        if let Some(code) = error.rdkafka_error_code() {
            self.note(code, reason);
        }
    }
}

impl ConsumerContext for Reports {}
