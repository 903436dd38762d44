//! `kind = "kafka"`: another topic.

use kafkamq_point::codec::Encoding;

use super::{KindOfOutput, OutputKind};
use crate::ClusterSettings;
use crate::keys::{Group, Key, Kind};
use crate::reader::Section;
use crate::resolve::security;

pub(super) const KAFKA: KindOfOutput = KindOfOutput {
    word: "kafka",
    keys: Group::of(
        "For `kafka`:",
        &[
            Key::new("addrs", Kind::TextList, "[]", "Brokers.")
                .receiver()
                .example(r#"["localhost:9092"]"#),
            Key::new(
                "topic",
                Kind::Text,
                "",
                "Topic; `{category}` in it is replaced.",
            )
            .example(r#""points-{category}""#),
            Key::new(
                "record_key",
                Kind::Flag,
                "false",
                "Whether written records get the key of the record that the point was made from.",
            ),
            Key::new(
                "record_headers",
                Kind::Flag,
                "false",
                "Whether written records get the headers of that record.",
            ),
            Key::new("client_id", Kind::Text, "", "Client id.").example(r#""kafkamq""#),
            Key::new(
                "librdkafka",
                Kind::TextTable,
                "{}",
                "Further options of the client library.",
            )
            .example(r#"{ "linger.ms" = "5" }"#),
        ],
    ),
    encodings: &Encoding::ALL,
    read,
};

/// A topic as an output.
#[derive(Debug, Clone, PartialEq)]
pub struct KafkaOutput {
    /// The cluster that the topic belongs to.
    pub cluster: ClusterSettings,
    /// The topic; `{category}` in it is replaced by the category of the point.
    pub topic: String,
    /// What written records take over from the records that were read.
    pub origin: OriginParts,
}

/// Parts of a record that was read which the records made from it get, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OriginParts {
    /// The key, so that what belongs together stays in one partition.
    pub key: bool,
    /// The headers, in their order.
    pub headers: bool,
}

fn read(section: &Section<'_>) -> Option<OutputKind> {
    let addrs = security::addrs(section, None);
    if addrs.is_empty() && !section.is_filled("addrs") {
        section.missing("addrs", "`kafka` needs `addrs`");
    }
    let topic = section.text("topic");
    if topic.is_empty() {
        section.missing("topic", "`kafka` needs `topic`");
    }
    Some(OutputKind::Kafka(Box::new(KafkaOutput {
        cluster: security::cluster(section, addrs),
        topic,
        origin: OriginParts {
            key: section.flag("record_key"),
            headers: section.flag("record_headers"),
        },
    })))
}
