//! `[[inputs.kafkamq]]` and its per-topic table.

use super::{
    CUSTOM, Group, JAEGER, Key, Kind, OTEL, REMOTE_HANDLE, SKYWALKING, Table, TakesEffect,
};

/// `[[inputs.kafkamq]]`.
pub const INPUT: Table = Table {
    header: "[[inputs.kafkamq]]",
    doc: "One member of one consumer group. Repeat the table for further clusters or groups; files add theirs to the list.",
    takes_effect: TakesEffect::NewClient,
    groups: &[Group::own(GROUP), FLOW, SECURITY, Group::own(TIMING)],
    tables: &[
        ("skywalking", &SKYWALKING),
        ("jaeger", &JAEGER),
        ("otel", &OTEL),
        ("custom", &CUSTOM),
        ("remote_handle", &REMOTE_HANDLE),
        ("topics", &TOPIC),
    ],
};

/// `[inputs.kafkamq.topics."NAME"]`.
pub const TOPIC: Table = Table {
    header: r#"[inputs.kafkamq.topics."NAME"]"#,
    doc: "Rules of one topic in place of those of the input; keys that are absent keep the input's value.",
    takes_effect: TakesEffect::InPlace,
    groups: &[FLOW],
    tables: &[],
};

const GROUP: &[Key] = &[
    Key::new("name", Kind::Text, "", "Name of the input in metrics and logs; the group id when absent.")
        .example(r#""orders-cluster""#),
    Key::new("addrs", Kind::TextList, "", "Brokers to start from, as `host:port`; required.").receiver()
        .example(r#"["localhost:9092"]"#),
    Key::new("addr", Kind::Text, "", "One broker, put before those of `addrs`.").receiver()
        .example(r#""localhost:9092""#)
        .instead("addrs"),
    Key::new("group_id", Kind::Text, "", "Consumer group; required.").example(r#""datakit-group""#),
    Key::new("group_instance_id", Kind::Text, "", "Static membership: a restart within `session_timeout` does not cause a rebalance.")
        .example(r#""kafkamq-0""#),
    Key::new("client_id", Kind::Text, "", "Name of the client in the brokers' logs and quotas; the client library's default when absent.")
        .example(r#""kafkamq""#),
    Key::new("kafka_version", Kind::Text, "", "Only for brokers before 0.10, which do not report their version: `\"0.9.0\"` turns negotiation off and keeps the session at 30 s or less. Any later version is accepted and ignored; 0.8 has no consumer groups and is refused.")
        .example(r#""2.0.0""#),
    Key::new("client_rack", Kind::Text, "", "Location of this member (`client.rack`), such as an availability zone: where brokers allow it, records are fetched from a replica there.")
        .example(r#""eu-west-1a""#),
    Key::new("assignor", Kind::Choice(&["range", "roundrobin", "sticky", "cooperative-sticky"]), r#""range""#, "How partitions are shared out; every member of a group needs the same one. `sticky` becomes `cooperative-sticky`, which old members do not support."),
    Key::new("group_protocol", Kind::Choice(&["classic", "consumer"]), r#""classic""#, "How the group is run: `classic` by its members, on every broker; `consumer` by the brokers (Kafka 4.0 and later), without stopping the world. With `consumer`, `range` selects the brokers' assignor of that name, the other values select their `uniform`, and the brokers decide about `session_timeout` and `heartbeat_interval`."),
    Key::new("exclude_topics", Kind::TextList, "[]", "Patterns of topics that no pattern of a route may take. A topic that begins with `^` in a route is a pattern, a regular expression for the whole name; topics created later are found within 10 seconds.").takes_effect(TakesEffect::Route)
        .example(r#"["-dead-letter$"]"#),
    Key::new("offsets", Kind::Mixed, "-1", "Where to begin when the group has no committed offset: -1 or `\"newest\"`, -2 or `\"oldest\"`, a time such as `\"2025-01-31T08:00:00Z\"`, or how long ago, such as `\"1h ago\"`. It counts from the moment at which the group first looked at the topic: partitions and topics that appear later are read from then on, or from their start.").takes_effect(TakesEffect::NextClient),
    Key::new("offset_out_of_range", Kind::Mixed, r#""oldest""#, "Where to go on when the offset to be read no longer exists: `\"oldest\"`, `\"newest\"`, a time or how long ago, or `\"stop\"` to stop the partition and raise an alarm."),
    Key::new("ordering", Kind::Choice(&["thread", "partition", "key", "none"]), r#""thread""#, "Order kept inside a partition; `\"thread\"` leaves it to `thread` of the route: one lane keeps the partition's order, several keep the order per record key.").takes_effect(TakesEffect::Route),
    Key::new("max_in_flight", Kind::Integer, "10000", "Most records of one partition that may be in flight. A crash can deliver them twice.").takes_effect(TakesEffect::InPlace),
    Key::new("librdkafka", Kind::TextTable, "{}", "Further options of the client library. Options that other keys control, that load code, or that break the delivery contract are refused.")
        .example(r#"{ "fetch.wait.max.ms" = "100" }"#),
];

const FLOW: Group = Group::shared("Flow", FLOW_KEYS);

const FLOW_KEYS: &[Key] = &[
    Key::new("limit_sec", Kind::Integer, "0", "Records per second, with a burst of twice as many; 0 is unlimited. The backlog waits in Kafka, nothing is dropped.").takes_effect(TakesEffect::InPlace),
    Key::new("limit_bytes_sec", Kind::Bytes, "0", "Bytes of record values per second; 0 is unlimited.").takes_effect(TakesEffect::InPlace),
    Key::new("limit_key_sec", Kind::Integer, "0", "Records per second of each record key within a partition, with a burst of as many; 0 is unlimited. Records over it wait in flight while other keys go on, so keep it well below `max_in_flight`.").takes_effect(TakesEffect::InPlace),
    Key::new("sampling_rate", Kind::Number, "0", "Share of records kept, between 0 and 1; 0 and 1 keep all.").takes_effect(TakesEffect::InPlace),
    Key::new("sampling_key", Kind::Choice(&["record", "key"]), r#""record""#, "What sampling decides about: each record, or each record key, so that the records of one trace stay together.").takes_effect(TakesEffect::InPlace),
    Key::new("null_value", Kind::Choice(&["skip", "pass", "dlq"]), "", "Records without a value (tombstones): count and skip, process, or write to the dead letters; when absent, `skip`, but `pass` towards a remote handle.").takes_effect(TakesEffect::InPlace)
        .example(r#""skip""#),
    Key::new("empty_value", Kind::Choice(&["skip", "pass", "dlq"]), r#""pass""#, "Records whose value has no bytes.").takes_effect(TakesEffect::InPlace),
];

const SECURITY: Group = Group::shared("Kafka security", SECURITY_KEYS);

const SECURITY_KEYS: &[Key] = &[
    Key::new("tls_enable", Kind::Flag, "false", "Switches security on; despite its name also for SASL without TLS, see `tls_security_protocol`.").receiver(),
    Key::new("tls_security_protocol", Kind::Choice(&["", "PLAINTEXT", "SASL_PLAINTEXT", "SASL_SSL", "SSL"]), r#""""#, "Transport; `\"\"` and `PLAINTEXT` mean SASL_PLAINTEXT once `tls_enable` is true.").receiver(),
    Key::new("tls_sasl_mechanism", Kind::Choice(&["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]), r#""PLAIN""#, "SASL mechanism.").receiver(),
    Key::new("tls_sasl_plain_username", Kind::Text, r#""""#, "User name, for all mechanisms except OAUTHBEARER."),
    Key::new("tls_sasl_plain_password", Kind::Secret, "", "Password of that user.")
        .example(r#""change-me""#),
    Key::new("ssl_cert", Kind::Path, "", "PEM file of root certificates that brokers are verified against; the system's when absent.").receiver()
        .example(r#""/etc/kafkamq/kafka-ca.pem""#),
    Key::new("tls_insecure_skip_verify", Kind::Flag, "false", "Accept any broker certificate and host name; for tests only.").receiver(),
    Key::new("tls_client_cert", Kind::Path, "", "PEM file of the certificate shown to brokers.")
        .example(r#""/etc/kafkamq/kafka-client.pem""#),
    Key::new("tls_client_key", Kind::Path, "", "PEM file of the private key of `tls_client_cert`.")
        .example(r#""/etc/kafkamq/kafka-client.key""#),
    Key::new("tls_client_key_password", Kind::Secret, "", "Password of that key.")
        .example(r#""change-me""#),
    Key::new("oauth_token_url", Kind::Text, "", "Token endpoint for OAUTHBEARER (client credentials grant).").receiver()
        .example(r#""https://login.example.com/oauth2/token""#),
    Key::new("oauth_client_id", Kind::Text, r#""""#, "Client id for that endpoint."),
    Key::new("oauth_client_secret", Kind::Secret, "", "Client secret for that endpoint.")
        .example(r#""change-me""#),
    Key::new("oauth_scope", Kind::Text, "", "Scope asked for.").example(r#""kafka""#),
    Key::new("oauth_extensions", Kind::TextTable, "{}", "SASL extensions sent to the broker.")
        .example(r#"{ logicalCluster = "lkc-1" }"#),
];

const TIMING: &[Key] = &[
    Key::new(
        "session_timeout",
        Kind::Duration,
        r#""45s""#,
        "Time without heartbeats after which the group gives the partitions away.",
    ),
    Key::new(
        "heartbeat_interval",
        Kind::Duration,
        r#""3s""#,
        "Time between heartbeats; at most a third of `session_timeout`, and a third of it by default where that is less.",
    ),
    Key::new(
        "max_poll_interval",
        Kind::Duration,
        r#""5m""#,
        "Time without a poll after which the client leaves the group; paused topics are polled as well.",
    ),
    Key::new(
        "drain_timeout",
        Kind::Duration,
        r#""10s""#,
        "How long revoke and shutdown wait for records in flight; records that are not settled by then are delivered again later. Shorter than `session_timeout`, and half of it by default where that is less.",
    ).takes_effect(TakesEffect::NextClient),
    Key::new(
        "commit_interval",
        Kind::Duration,
        r#""1s""#,
        "Time between commits of settled offsets.",
    ),
];

/// Keys of another cluster than an input's own: where points or dead letters are written.
pub(crate) const CLUSTER: Group = SECURITY;
