//! Records for a user's own HTTP handle.

use kafkamq_record::Record;
use kafkamq_settings::{HandleContent, HeaderCheck};

/// Appends what the handle gets of `record` to `out`.
///
/// In a batch that is `{"topic":…,"value":…}` with the value in base64, or `null` for a tombstone;
/// alone it is the value itself. `topic` is the topic's name as a JSON string, quotes included.
pub fn encode_for_handle(
    record: &Record<'_>,
    topic: &str,
    content: HandleContent,
    out: &mut Vec<u8>,
) {
    match content {
        HandleContent::SingleRecord => out.extend_from_slice(record.value().unwrap_or_default()),
        HandleContent::Batch => {
            out.extend_from_slice(b"{\"topic\":");
            out.extend_from_slice(topic.as_bytes());
            out.extend_from_slice(b",\"value\":");
            match record.value() {
                None => out.extend_from_slice(b"null"),
                Some(value) => {
                    out.push(b'"');
                    base64_simd::STANDARD.encode_append(value, out);
                    out.push(b'"');
                }
            }
            out.push(b'}');
        }
    }
}

/// Whether a value passes the test of its first four bytes.
///
/// The original's test lets a value pass if byte 0 is 0xEF *or* byte 2 is 0; the strict one asks
/// for both. Byte 3 has to be 40 or 70 either way.
#[inline]
#[must_use]
pub(crate) fn passes_header_check(value: &[u8], check: HeaderCheck) -> bool {
    let magic = |value: &[u8; 4]| (value[0] == 0xEF, value[2] == 0, matches!(value[3], 40 | 70));
    match (check, value.first_chunk::<4>().map(magic)) {
        (HeaderCheck::Off, _) => true,
        (_, None) => false,
        (HeaderCheck::Original, Some((first, third, kind))) => (first || third) && kind,
        (HeaderCheck::Strict, Some((first, third, kind))) => first && third && kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafkamq_record::{RecordBatchBuilder, TopicPartition};

    fn encode(value: Option<&[u8]>, content: HandleContent) -> String {
        let mut builder = RecordBatchBuilder::with_capacity(TopicPartition::new("t", 0), 1, 0);
        builder.push(0, -1, None, value);
        let batch = builder.build();
        let mut out = b"before".to_vec();
        encode_for_handle(&batch.get(0).unwrap(), "\"t\"", content, &mut out);
        String::from_utf8(out).unwrap().replacen("before", "", 1)
    }

    #[test]
    fn values_travel_as_padded_base64() {
        assert_eq!(
            encode(Some(b"hello"), HandleContent::Batch),
            r#"{"topic":"t","value":"aGVsbG8="}"#
        );
        assert_eq!(
            encode(Some(b""), HandleContent::Batch),
            r#"{"topic":"t","value":""}"#
        );
        assert_eq!(
            encode(None, HandleContent::Batch),
            r#"{"topic":"t","value":null}"#
        );
        assert_eq!(encode(Some(b"hello"), HandleContent::SingleRecord), "hello");
    }

    #[test]
    fn the_header_check_keeps_the_original_truth_table() {
        let cases: [(&[u8], bool, bool); 8] = [
            (&[0xEF, 1, 0, 40], true, true),
            (&[0xEF, 1, 0, 70, 9], true, true),
            (&[0xEF, 1, 5, 40], true, false),
            (&[0, 1, 0, 40], true, false),
            (&[0, 1, 5, 40], false, false),
            (&[0xEF, 1, 0, 41], false, false),
            (&[0xEF, 1, 0], false, false),
            (&[], false, false),
        ];
        for (value, original, strict) in cases {
            assert_eq!(
                passes_header_check(value, HeaderCheck::Original),
                original,
                "{value:?}"
            );
            assert_eq!(
                passes_header_check(value, HeaderCheck::Strict),
                strict,
                "{value:?}"
            );
            assert!(passes_header_check(value, HeaderCheck::Off));
        }
    }
}
