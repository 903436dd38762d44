//! One text to one point, as it stands before a script changes it.

use std::borrow::Cow;

use kafkamq_point::{Category, Point, Text, Value};

use kafkamq_record::Record;
use kafkamq_settings::RecordFields;

/// Room made for the entries of a point, so that a script that adds a dozen moves none of them.
const ENTRIES: usize = 24;

/// Where a text came from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PointOrigin<'a> {
    /// The topic, which is also the measurement.
    pub(crate) topic: &'a str,
    /// The partition of that topic.
    pub(crate) partition: i32,
    /// The record's offset.
    pub(crate) offset: i64,
}

/// The point of `message`: measurement and tags from its origin, the text itself as `message`.
///
/// Metrics cannot hold text in fields, so there the message is a tag. It is whole: a script sees
/// all of it, and the limit of tag values applies to what is left of it when the point is encoded.
/// `time_ns` counts nanoseconds since the Unix epoch.
#[must_use]
pub(crate) fn build_point(
    message: &str,
    category: Category,
    origin: PointOrigin<'_>,
    time_ns: i64,
) -> Point {
    let mut point = Point::new(origin.topic, category, time_ns);
    point.reserve(ENTRIES);
    let mut add = |key: &'static str, value: Value, tag: bool| {
        point.push(kafkamq_point::Entry {
            key: Text::const_new(key),
            value,
            tag,
        });
    };
    add("type", Value::Str(Text::const_new("kafka")), true);
    // Scripts of these categories are looked up by a tag.
    let feature = match category {
        Category::Rum => Some("app_id"),
        Category::Tracing | Category::Profiling => Some("service"),
        Category::Security => Some("category"),
        Category::KeyEvent => Some("df_source"),
        _ => None,
    };
    if let Some(feature) = feature {
        add(feature, Value::Str(origin.topic.into()), true);
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

/// Adds what `fields` asks for of `record`, so that scripts can read it.
///
/// Text becomes fields, but tags in metrics, which cannot hold text in fields. Bytes that are not
/// UTF-8 are replaced; of headers with one name the last counts.
pub(crate) fn add_record_fields(point: &mut Point, record: &Record<'_>, fields: RecordFields) {
    let metric = point.category() == Category::Metric;
    let mut text = |key: Text, bytes: &[u8]| {
        let value: Text = String::from_utf8_lossy(bytes).as_ref().into();
        if metric {
            point.set_tag(key, value);
        } else {
            point.set_field(key, Value::Str(value));
        }
    };
    if let Some(key) = record.key().filter(|_| fields.key) {
        text(Text::const_new("kafka_key"), key);
    }
    if fields.headers {
        for (name, value) in record.headers() {
            text(
                format!("kafka_header_{name}").as_str().into(),
                value.unwrap_or_default(),
            );
        }
    }
    if let Some(millis) = record.timestamp_ms().filter(|_| fields.timestamp) {
        point.set_field(Text::const_new("kafka_timestamp"), Value::Int(millis));
    }
}

/// A text with a space for each line break, as the original has it.
#[must_use]
pub(crate) fn without_newlines(text: &str) -> Cow<'_, str> {
    if memchr::memchr(b'\n', text.as_bytes()).is_some() {
        Cow::Owned(text.replace('\n', " "))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use kafkamq_point::codec::Encoding;

    use super::*;

    const ORIGIN: PointOrigin<'static> = PointOrigin {
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

    #[test]
    fn categories_with_scripts_by_tag_carry_the_topic_in_it() {
        let feature = |category| {
            let point = build_point("x", category, ORIGIN, 1);
            kafkamq_pipeline::manager::feature_text(category, &point).map(|text| text.into_owned())
        };
        for category in [
            Category::Logging,
            Category::Tracing,
            Category::Profiling,
            Category::Security,
            Category::KeyEvent,
            Category::Object,
            Category::Network,
        ] {
            assert_eq!(
                feature(category).as_deref(),
                Some("app-log"),
                "{category:?}"
            );
        }
        assert_eq!(feature(Category::Rum).as_deref(), Some("app-log_app-log"));
    }

    #[test]
    fn key_headers_and_timestamp_are_shown_where_asked_for() {
        use kafkamq_record::{RecordBatchBuilder, TopicPartition};

        let mut builder = RecordBatchBuilder::with_capacity(TopicPartition::new("t", 0), 1, 0);
        builder.push(0, 1_700_000_000_123, Some(b"k\xff"), Some(b"v"));
        builder.push_header(b"tenant", Some(b"a"));
        builder.push_header(b"tenant", Some(b"b"));
        builder.push_header(b"empty", None);
        let batch = builder.build();
        let record = batch.get(0).unwrap();
        let all = RecordFields {
            key: true,
            headers: true,
            timestamp: true,
        };
        let shown = |category, fields| {
            let mut point = build_point("v", category, ORIGIN, 1);
            add_record_fields(&mut point, &record, fields);
            let entries = point.entries().iter();
            let mut shown: Vec<String> = entries
                .filter(|entry| entry.key.starts_with("kafka_"))
                .map(|entry| format!("{} {:?} {}", entry.key, entry.value, entry.tag))
                .collect();
            shown.sort();
            shown.join("\n")
        };
        insta::assert_snapshot!(shown(Category::Logging, all), @r#"
        kafka_header_empty Str("") false
        kafka_header_tenant Str("b") false
        kafka_key Str("k�") false
        kafka_timestamp Int(1700000000123) false
        "#);
        assert!(shown(Category::Metric, all).contains("kafka_key Str(\"k\u{fffd}\") true"));
        assert_eq!(shown(Category::Logging, RecordFields::default()), "");
    }

    #[test]
    fn line_breaks_become_spaces_and_carriage_returns_stay() {
        assert_eq!(without_newlines("a\r\nb\n"), "a\r b ");
        assert!(matches!(without_newlines("ab"), Cow::Borrowed(_)));
    }
}
