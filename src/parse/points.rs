//! One text to one point, as it stands before a script changes it.

use kafkamq_point::{Category, Point, Text, Value};

/// Where a text came from.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The topic, which is also the measurement.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// The record's offset.
    pub offset: i64,
}

/// The point of `message`: measurement and tags from its origin, the text itself as `message`.
///
/// Metrics cannot hold text in fields, so there the message is a tag. It is whole: a script sees
/// all of it, and the limit of tag values applies to what is left of it when the point is encoded.
/// `time_ns` counts nanoseconds since the Unix epoch.
#[must_use]
pub fn build_point(message: &str, category: Category, origin: Origin<'_>, time_ns: i64) -> Point {
    let mut point = Point::new(origin.topic, category, time_ns);
    let entries = point.entries_mut();
    let mut add = |key: &'static str, value: Value, tag: bool| {
        entries.push(kafkamq_point::Entry {
            key: Text::const_new(key),
            value,
            tag,
        });
    };
    add("type", Value::Str(Text::const_new("kafka")), true);
    if category == Category::Rum {
        // A script for RUM is looked up by this tag.
        add("app_id", Value::Str(origin.topic.into()), true);
    }
    add(
        "message",
        Value::Str(message.into()),
        category == Category::Metric,
    );
    if category != Category::Metric {
        add("status", Value::Str(Text::const_new("info")), false);
    }
    add(
        "message_len",
        Value::Int(i64::try_from(message.len()).unwrap_or(i64::MAX)),
        false,
    );
    add("offset", Value::Int(origin.offset), false);
    add("partition", Value::Int(i64::from(origin.partition)), false);
    point
}

#[cfg(test)]
mod tests {
    use kafkamq_point::codec::Encoding;

    use super::*;

    const ORIGIN: Origin<'static> = Origin {
        topic: "app-log",
        partition: 2,
        offset: 41,
    };

    fn line(category: Category) -> String {
        let point = build_point("a \"text\"", category, ORIGIN, 1_700_000_000_000_000_000);
        let mut out = Vec::new();
        Encoding::LineProtocol.encode(&point, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_category_places_the_message_where_it_may_stand() {
        insta::assert_snapshot!(
            [Category::Logging, Category::Metric, Category::Rum].map(line).join("\n"),
            @r#"
        app-log,type=kafka message="a \"text\"",message_len=8i,offset=41i,partition=2i,status="info" 1700000000000000000
        app-log,message=a\ "text",type=kafka message_len=8i,offset=41i,partition=2i 1700000000000000000
        app-log,app_id=app-log,type=kafka message="a \"text\"",message_len=8i,offset=41i,partition=2i,status="info" 1700000000000000000
        "#
        );
    }
}
