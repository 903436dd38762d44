//! Settings to client configuration: the keys that the delivery contract forces, those derived
//! from limits, and the operator's own, in this order of precedence from last to first.

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::BaseConsumer;

use super::KafkaError;

use kafkamq_settings::{
    ClusterSettings, GroupProtocol, InputSettings, LimitSettings, Offset, OutOfRange, Sasl,
};
use kafkamq_source::start::InitialOffset;

/// Share of the memory limit that prefetched records may take, all partitions together.
const PREFETCH_SHARE: u64 = 2;
/// Bounds of the prefetch queue of one partition, in KiB. More than the upper bound gains nothing;
/// less than the lower one starves the reader.
const PREFETCH_KIB: std::ops::RangeInclusive<u64> = 256..=2048;

/// Room for prefetched records of one partition, in KiB, which a client keeps for its life.
#[must_use]
pub(crate) fn prefetch_kib(limits: &LimitSettings) -> u64 {
    let per_partition = limits.memory_bytes / PREFETCH_SHARE / limits.partitions.max(1) as u64;
    (per_partition / 1024).clamp(*PREFETCH_KIB.start(), *PREFETCH_KIB.end())
}

/// What `offsets` and `offset_out_of_range` mean to those who look for positions.
#[must_use]
pub(crate) const fn initial_offset(offset: Offset) -> InitialOffset {
    match offset {
        Offset::Newest => InitialOffset::Newest,
        Offset::Oldest => InitialOffset::Oldest,
        Offset::At(time) => InitialOffset::At(time),
        Offset::Ago(span) => InitialOffset::Ago(span),
    }
}

/// The configuration of a consumer for `input`.
#[must_use]
pub(crate) fn consumer_config(input: &InputSettings, limits: &LimitSettings) -> ClientConfig {
    let mut config = ClientConfig::new();
    // The operator's options come first so that nothing in them can undo the delivery contract.
    for (key, value) in &input.cluster.librdkafka {
        config.set(key, value);
    }
    set_cluster(&mut config, &input.cluster);

    let prefetch_kib = prefetch_kib(limits);
    let fetch_bytes = (prefetch_kib * 1024 / 8).max(64 * 1024);
    for (key, value) in [
        // Both limits hold per partition once queues are split.
        ("queued.max.messages.kbytes", prefetch_kib),
        ("fetch.message.max.bytes", fetch_bytes),
        // The default of a second idles the fetcher whenever a queue was full.
        ("fetch.queue.backoff.ms", 5),
        ("queued.min.messages", 10_000),
        ("statistics.interval.ms", 1000),
        // How soon a topic that did not exist at start is noticed.
        ("topic.metadata.refresh.interval.ms", 10_000),
    ] {
        set_default(&mut config, input, key, &value.to_string());
    }

    config
        .set("group.id", &input.group_id)
        .set(
            "max.poll.interval.ms",
            input.max_poll_interval.as_millis().to_string(),
        )
        // There is one writer of committed offsets, and it is not the client.
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // Tells when a reader has passed what is not a record, such as the end of a transaction.
        .set("enable.partition.eof", "true")
        .set("allow.auto.create.topics", "false")
        // Partitions are always given a position, so this only decides what follows one that does
        // not exist.
        .set("auto.offset.reset", reset_policy(input));
    if let Some(instance) = &input.group_instance_id {
        config.set("group.instance.id", instance);
    }
    if let Some(rack) = &input.client_rack {
        config.set("client.rack", rack);
    }
    if let Some(version) = &input.old_version {
        config
            .set("api.version.request", "false")
            .set("broker.version.fallback", version);
    }
    match input.group_protocol {
        GroupProtocol::Classic => config
            .set("partition.assignment.strategy", input.assignor.name())
            .set(
                "session.timeout.ms",
                input.session_timeout.as_millis().to_string(),
            )
            .set(
                "heartbeat.interval.ms",
                input.heartbeat_interval.as_millis().to_string(),
            ),
        // Both times are settings of the brokers there, and the client refuses them.
        GroupProtocol::Consumer => config
            .set("group.protocol", "consumer")
            .set("group.remote.assignor", input.assignor.remote_name()),
    };
    config
}

/// The configuration of a consumer that reads what `input` reads, and is not a member of its group: it
/// commits nothing, and hears where a partition ends.
#[must_use]
pub(crate) fn outside_config(input: &InputSettings, limits: &LimitSettings) -> ClientConfig {
    let mut config = consumer_config(input, limits);
    config
        // Records that were removed meanwhile are counted as skipped.
        .set("auto.offset.reset", "earliest")
        .remove("group.instance.id");
    config
}

fn reset_policy(input: &InputSettings) -> &'static str {
    match input.out_of_range {
        OutOfRange::Resume(Offset::Newest) => "latest",
        // The client knows neither a time nor how to wait. The reader of the partition notices where
        // it went, and goes on by the policy; from the first record on nothing is lost meanwhile.
        OutOfRange::Resume(Offset::Oldest | Offset::At(_) | Offset::Ago(_)) | OutOfRange::Stop => {
            "earliest"
        }
    }
}

fn set_default(config: &mut ClientConfig, input: &InputSettings, key: &str, value: &str) {
    if !input.cluster.librdkafka.contains_key(key) {
        config.set(key, value);
    }
}

/// Asks the client library whether it takes these options. No broker is named to it, so none is
/// dialled.
///
/// # Errors
/// What the library refuses.
pub(crate) fn refused_options(mut config: ClientConfig) -> Result<(), KafkaError> {
    config.remove("bootstrap.servers");
    config
        .create::<BaseConsumer>()
        .map(drop)
        .map_err(KafkaError::from_client)
}

/// The configuration of a producer for `cluster`. What is not confirmed in half a minute is given
/// back, so that an operator learns why and whoever sent it can send it again.
#[must_use]
pub(crate) fn producer_config(cluster: &ClusterSettings) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("linger.ms", "5")
        .set("compression.type", "lz4")
        .set("message.timeout.ms", "30000");
    for (key, value) in &cluster.librdkafka {
        config.set(key, value);
    }
    set_cluster(&mut config, cluster);
    config
}

/// Adds what every client of `cluster` needs: addresses, transport, authentication.
pub(crate) fn set_cluster(config: &mut ClientConfig, cluster: &ClusterSettings) {
    let security = &cluster.security;
    config
        .set_log_level(RDKafkaLogLevel::Info)
        .set("bootstrap.servers", cluster.addrs.join(","))
        .set("security.protocol", security.protocol.name())
        .set("enable.metrics.push", "false")
        .set("reconnect.backoff.ms", "100")
        .set("reconnect.backoff.max.ms", "10000")
        .set("socket.keepalive.enable", "true");
    if let Some(client_id) = &cluster.client_id {
        config.set("client.id", client_id);
    }
    if security.protocol.is_tls() {
        // Without a bundle, `probe` looks in the places distributions use; a statically linked TLS
        // library knows none of them.
        let ca = security
            .ca_file
            .as_ref()
            .map_or("probe".into(), |file| file.to_string_lossy());
        config.set("ssl.ca.location", ca);
        if security.insecure_skip_verify {
            config
                .set("enable.ssl.certificate.verification", "false")
                .set("ssl.endpoint.identification.algorithm", "none");
        }
        if let Some(identity) = &security.identity {
            config
                .set(
                    "ssl.certificate.location",
                    identity.cert_file.to_string_lossy(),
                )
                .set("ssl.key.location", identity.key_file.to_string_lossy());
            if let Some(password) = &identity.key_password {
                config.set("ssl.key.password", password.expose());
            }
        }
    }
    if let Some(sasl) = &security.sasl {
        config.set("sasl.mechanisms", sasl.mechanism());
        match sasl {
            Sasl::Plain { username, password }
            | Sasl::ScramSha256 { username, password }
            | Sasl::ScramSha512 { username, password } => {
                config
                    .set("sasl.username", username)
                    .set("sasl.password", password.expose());
            }
            Sasl::OAuthBearer(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafkamq_settings::{Settings, Sources, load};

    fn settings(input: &str) -> Settings {
        let text = format!(
            "[[inputs.kafkamq]]\naddrs = [\"a:1\", \"b:2\"]\ngroup_id = \"g\"\n{input}\n[inputs.kafkamq.custom.log_topic_map]\nt = \"-\"\n"
        );
        load(&Sources::new().text("test", &text)).unwrap().settings
    }

    fn config(input: &str) -> ClientConfig {
        let settings = settings(input);
        consumer_config(&settings.inputs[0], &settings.limits)
    }

    #[test]
    fn the_group_protocol_decides_who_shares_partitions_out_and_keeps_the_time() {
        for (words, strategy) in [
            ("", "range"),
            ("assignor = \"roundrobin\"", "roundrobin"),
            ("assignor = \"sticky\"", "cooperative-sticky"),
            ("assignor = \"cooperative-sticky\"", "cooperative-sticky"),
        ] {
            let config = config(words);
            assert_eq!(config.get("partition.assignment.strategy"), Some(strategy));
            assert_eq!(config.get("session.timeout.ms"), Some("45000"));
            assert_eq!(config.get("group.protocol"), None);
        }
        for (words, assignor) in [("", "range"), ("\nassignor = \"roundrobin\"", "uniform")] {
            let config = config(&format!("group_protocol = \"consumer\"{words}"));
            assert_eq!(config.get("group.protocol"), Some("consumer"));
            assert_eq!(config.get("group.remote.assignor"), Some(assignor));
            for key in [
                "partition.assignment.strategy",
                "session.timeout.ms",
                "heartbeat.interval.ms",
            ] {
                assert_eq!(config.get(key), None, "{key}");
            }
        }
    }

    #[test]
    fn nothing_is_committed_that_is_not_settled_and_nothing_is_created() {
        let config = config("group_instance_id = \"one\"\nclient_id = \"me\"");
        for (key, value) in [
            ("bootstrap.servers", "a:1,b:2"),
            ("group.instance.id", "one"),
            ("client.id", "me"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("allow.auto.create.topics", "false"),
        ] {
            assert_eq!(config.get(key), Some(value), "{key}");
        }
    }

    #[test]
    fn brokers_that_do_not_tell_their_version_are_told_it_and_have_short_sessions() {
        let old = config("kafka_version = \"0.9.0\"\nclient_rack = \"a\"");
        for (key, value) in [
            ("api.version.request", "false"),
            ("broker.version.fallback", "0.9.0"),
            ("session.timeout.ms", "30000"),
            ("client.rack", "a"),
        ] {
            assert_eq!(old.get(key), Some(value), "{key}");
        }
        let new = config("kafka_version = \"2.0.0\"");
        assert_eq!(new.get("api.version.request"), None);
        assert_eq!(new.get("session.timeout.ms"), Some("45000"));
    }

    #[test]
    fn what_follows_a_missing_offset_is_told_to_the_client_where_it_knows_it() {
        for (policy, told) in [
            ("oldest", "earliest"),
            ("newest", "latest"),
            ("stop", "earliest"),
            ("2025-01-31T08:00:00Z", "earliest"),
            ("1h ago", "earliest"),
        ] {
            let config = config(&format!("offset_out_of_range = \"{policy}\""));
            assert_eq!(config.get("auto.offset.reset"), Some(told), "{policy}");
        }
    }
}
