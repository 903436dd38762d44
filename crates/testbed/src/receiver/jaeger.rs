//! Where ids stand in a Jaeger Thrift batch.

use super::found::{Found, id_of};
use crate::wire::thrift::{ThriftError, read_batch};

/// Decodes a Thrift binary `Batch`; spans without an id count only where the whole batch has none,
/// since a record's id stands in one of its spans.
pub(super) fn batch(body: &[u8]) -> Result<Found, ThriftError> {
    let batch = read_batch(body)?;
    let mut found = Found::default();
    for span in &batch.spans {
        let pairs = span
            .tags
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        found.ids.extend(id_of(pairs));
        if span.trace_id == (0, 0) || span.span_id == 0 {
            found.note("span without trace id or span id");
        }
    }
    if batch.spans.is_empty() {
        found.note("no spans in the batch");
    } else if found.ids.is_empty() {
        found.anonymous = batch.spans.len() as u64;
    }
    Ok(found)
}
