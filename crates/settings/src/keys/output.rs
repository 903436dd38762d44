//! `[output]`.

use super::{Group, HTTP, Key, Kind, Table, TakesEffect};

/// `[output]`, or several `[[output]]`.
pub const OUTPUT: Table = Table {
    header: "[output]",
    doc: "Where points go. Write `[[output]]` for several: a point goes to each whose categories hold its own.",
    takes_effect: TakesEffect::Route,
    groups: &[
        Group::own(&[
            Key::new("kind", Kind::Choice(&["datakit", "dataway", "influxdb", "kafka", "file", "stdout"]), r#""datakit""#, "What the destination is."),
            Key::new("name", Kind::Text, "", "Name in metrics and logs; the kind when absent.").example(r#""datakit""#),
            Key::new("endpoint", Kind::Text, "", "Address: of the agent for `datakit` (default `http://localhost:9529`), of the centre for `dataway`, the full write URL for `influxdb`.").receiver()
                .example(r#""http://localhost:9529""#),
            Key::new("token", Kind::Secret, "", "Workspace token for `dataway`; for `influxdb` sent as `Authorization: Token`.")
                .example(r#""change-me""#),
            Key::new("username", Kind::Text, "", "User for HTTP basic authentication.").example(r#""writer""#),
            Key::new("password", Kind::Secret, "", "Password of that user.").example(r#""change-me""#),
            Key::new("categories", Kind::TextList, "[]", "Categories of points taken; empty is all.")
                .example(r#"["logging", "metric"]"#),
            Key::new("encoding", Kind::Choice(&["line-protocol", "json", "pbjson", "protobuf"]), "", "Wire format; when absent line protocol, but protobuf for `dataway`.")
                .example(r#""line-protocol""#),
            Key::new("compression", Kind::Choice(&["none", "gzip", "zstd"]), "", "Compression of bodies; when absent none, but gzip for `dataway`.")
                .example(r#""none""#),
            Key::new("batch_points", Kind::Integer, "1000", "Points that make a batch full."),
            Key::new("batch_bytes", Kind::Bytes, r#""1MiB""#, "Encoded bytes that make a batch full."),
            Key::new("batch_wait", Kind::Duration, r#""200ms""#, "Age of the oldest point that makes a batch full."),
            Key::new("required", Kind::Flag, "true", "Whether records wait until this output has their points. If not, it stops no topic: points wait in its `backlog`, and what is more, or refused, is dropped and counted."),
            Key::new("backlog", Kind::Bytes, r#""16MiB""#, "Bytes of points that may wait for an output that is not required."),
            Key::new("path", Kind::Path, r#""output""#, "Folder for `file`."),
            Key::new("rotate_bytes", Kind::Bytes, r#""64MiB""#, "Size at which a file of `file` is closed."),
            Key::new("keep", Kind::Integer, "0", "Closed files of `file` that are kept per category; 0 keeps all."),
            Key::new("addrs", Kind::TextList, "[]", "Brokers for `kafka`.").receiver().example(r#"["localhost:9092"]"#),
            Key::new("topic", Kind::Text, "", "Topic for `kafka`; `{category}` in it is replaced.")
                .example(r#""points-{category}""#),
            Key::new("record_key", Kind::Flag, "false", "Whether records of `kafka` get the key of the record that the point was made from."),
            Key::new("record_headers", Kind::Flag, "false", "Whether they get its headers."),
            Key::new("client_id", Kind::Text, "", "Client id for `kafka`.").example(r#""kafkamq""#),
            Key::new("librdkafka", Kind::TextTable, "{}", "Further client library options for `kafka`.")
                .example(r#"{ "linger.ms" = "5" }"#),
        ]),
        super::input::CLUSTER,
        HTTP,
    ],
    tables: &[],
};
