//! Fetch: whole batches from the asked offsets on, or a wait until there are enough.
//!
//! The answer is written by hand, not through the codec, so that batches go to the socket from where they are stored.
//! Fetch sessions are declined, as the protocol allows: every request lists all its partitions.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::FetchRequest;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Call, CodecError, Outcome};
use crate::frame::FrameBuilder;
use crate::log::StoredBatch;
use crate::topics::Partition;

/// What one look at the logs found, partition by partition in the order of the request.
#[derive(Default)]
struct Found {
    bytes: usize,
    /// There is something to tell at once.
    urgent: bool,
    partitions: Vec<FoundPartition>,
}

struct FoundPartition {
    error: Option<ResponseError>,
    start: i64,
    end: i64,
    batches: Vec<StoredBatch>,
}

pub(super) async fn answer(call: &Call<'_>, body: Bytes) -> Result<Outcome, CodecError> {
    let request: FetchRequest = call.decode(body)?;
    let min_bytes = usize::try_from(request.min_bytes).unwrap_or(0);
    let mut found = look(call, &request);
    if !found.urgent && found.bytes < min_bytes && request.max_wait_ms > 0 {
        let wait = Duration::from_millis(request.max_wait_ms.unsigned_abs().into());
        let until = Instant::now() + wait;
        let mut waiting = Waiting {
            change: Arc::new(Notify::new()),
            partitions: Vec::new(),
        };
        loop {
            waiting.enlist(call, &request);
            // Only now, as a record may have come in before the fetch was on the lists.
            found = look(call, &request);
            if found.urgent || found.bytes >= min_bytes {
                break;
            }
            if tokio::time::timeout_at(until, waiting.change.notified())
                .await
                .is_err()
            {
                found = look(call, &request);
                break;
            }
        }
    }
    Ok(Outcome::Answer(encode(call, &request, &found)))
}

/// A fetch on the waiting lists of its partitions, taken off them when it ends in any way.
struct Waiting {
    change: Arc<Notify>,
    partitions: Vec<Arc<Partition>>,
}

impl Waiting {
    fn enlist(&mut self, call: &Call<'_>, request: &FetchRequest) {
        self.delist();
        for topic in &request.topics {
            for wanted in &topic.partitions {
                let partition = call.shared.topics.partition(&topic.topic, wanted.partition);
                if let Some(partition) = partition {
                    partition.wait(&self.change);
                    self.partitions.push(partition);
                }
            }
        }
    }

    fn delist(&mut self) {
        for partition in self.partitions.drain(..) {
            partition.forget(&self.change);
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.delist();
    }
}

fn look(call: &Call<'_>, request: &FetchRequest) -> Found {
    let mut found = Found::default();
    let mut left = usize::try_from(request.max_bytes).unwrap_or(0);
    for topic in &request.topics {
        for wanted in &topic.partitions {
            let mut partition = FoundPartition {
                error: call.error,
                start: -1,
                end: -1,
                batches: Vec::new(),
            };
            match call.shared.topics.partition(&topic.topic, wanted.partition) {
                _ if call.error.is_some() => {}
                None => partition.error = Some(ResponseError::UnknownTopicOrPartition),
                Some(stored) => {
                    let log = stored.log.lock();
                    partition.start = log.start();
                    partition.end = log.end();
                    let max = usize::try_from(wanted.partition_max_bytes)
                        .unwrap_or(0)
                        .min(left);
                    // A partition whose turn comes when the answer is full waits for the next request, except that
                    // a batch above all limits must get through some time: the first is always sent.
                    let read = match left > 0 || found.bytes == 0 {
                        true => log.read(wanted.fetch_offset, max, &mut partition.batches),
                        false => Ok(0),
                    };
                    match read {
                        Ok(bytes) => {
                            found.bytes += bytes;
                            left = left.saturating_sub(bytes);
                        }
                        Err(error) => partition.error = Some(error),
                    }
                }
            }
            found.urgent |= partition.error.is_some();
            found.partitions.push(partition);
        }
    }
    found
}

fn encode(call: &Call<'_>, request: &FetchRequest, found: &Found) -> crate::frame::Frame {
    let version = call.version;
    let mut frame = FrameBuilder::new(call.correlation);
    frame.out().put_i32(0);
    if version >= 7 {
        frame.out().put_i16(0);
        frame.out().put_i32(0);
    }
    put_count(frame.out(), request.topics.len());
    let mut partitions = found.partitions.iter();
    for topic in &request.topics {
        let name = topic.topic.as_bytes();
        frame.out().put_i16(i16::try_from(name.len()).unwrap_or(0));
        frame.out().extend_from_slice(name);
        put_count(frame.out(), topic.partitions.len());
        for (wanted, partition) in topic.partitions.iter().zip(&mut partitions) {
            let out = frame.out();
            out.put_i32(wanted.partition);
            out.put_i16(partition.error.map_or(0, |error| error.code()));
            out.put_i64(partition.end);
            out.put_i64(partition.end);
            if version >= 5 {
                out.put_i64(partition.start);
            }
            out.put_i32(0);
            if version >= 11 {
                out.put_i32(-1);
            }
            put_count(out, partition.batches.iter().map(StoredBatch::size).sum());
            for batch in &partition.batches {
                frame.out().put_i64(batch.base_offset);
                frame.share(&batch.tail);
            }
        }
    }
    frame.finish()
}

fn put_count(out: &mut BytesMut, count: usize) {
    out.put_i32(i32::try_from(count).unwrap_or(i32::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch;
    use crate::options::BrokerOptions;
    use crate::record::Record;
    use crate::shared::Shared;
    use bytes::Buf;
    use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
    use kafka_protocol::messages::{FetchResponse, TopicName};
    use kafka_protocol::protocol::{Decodable, StrBytes};

    fn shared() -> Shared {
        let shared = Shared::new(BrokerOptions::default());
        shared.topics.create("a", 3).unwrap();
        let record = |size| Record {
            value: Some(vec![1; size].into()),
            ..Record::default()
        };
        for (partition, size) in [(0, 100), (0, 5000), (0, 100), (1, 10)] {
            let bytes = batch::encode(&[record(size), record(size)]);
            shared
                .topics
                .partition("a", partition)
                .unwrap()
                .append(bytes, 0, usize::MAX)
                .unwrap();
        }
        shared
    }

    fn request(max_bytes: i32, wanted: &[(i32, i64)]) -> FetchRequest {
        let partitions = wanted.iter().map(|(partition, offset)| {
            FetchPartition::default()
                .with_partition(*partition)
                .with_fetch_offset(*offset)
                .with_partition_max_bytes(1 << 20)
        });
        let topic = FetchTopic::default()
            .with_topic(TopicName(StrBytes::from_static_str("a")))
            .with_partitions(partitions.collect());
        FetchRequest::default()
            .with_max_bytes(max_bytes)
            .with_topics(vec![topic])
    }

    fn call(shared: &Shared, version: i16) -> Call<'_> {
        Call {
            shared,
            version,
            correlation: 9,
            client: "c",
            host: "h",
            error: None,
        }
    }

    fn fetched(shared: &Shared, version: i16, request: &FetchRequest) -> Vec<(i16, Vec<i64>)> {
        let call = call(shared, version);
        let mut frame = encode(&call, request, &look(&call, request));
        let mut bytes = frame.copy_to_bytes(frame.remaining());
        assert_eq!(bytes.get_i32() as usize, bytes.len());
        assert_eq!(bytes.get_i32(), 9);
        let response = FetchResponse::decode(&mut bytes, version).unwrap();
        assert!(bytes.is_empty());
        let partitions = response
            .responses
            .into_iter()
            .flat_map(|topic| topic.partitions);
        let offsets = partitions.map(|partition| {
            let mut records = partition.records.unwrap();
            let mut offsets = Vec::new();
            while !records.is_empty() {
                let base = records.slice(..8).get_i64();
                let header = batch::BatchHeader::parse(&records).unwrap();
                offsets.push(base);
                records.advance(header.length);
            }
            (partition.error_code, offsets)
        });
        offsets.collect()
    }

    #[test]
    fn every_version_reads_as_the_codec_expects() {
        let shared = shared();
        for version in 4..=11 {
            let request = request(1 << 20, &[(0, 3), (1, 0), (2, 0), (3, 0), (1, 7)]);
            let expected = [
                (0, vec![2, 4]),
                (0, vec![0]),
                (0, vec![]),
                (3, vec![]),
                (1, vec![]),
            ];
            assert_eq!(fetched(&shared, version, &request), expected);
        }
    }

    #[test]
    fn a_full_answer_ends_but_never_without_a_batch() {
        let shared = shared();
        let wanted = [(0, 0), (1, 0)];
        assert_eq!(
            fetched(&shared, 11, &request(1, &wanted)),
            [(0, vec![0]), (0, vec![])]
        );
        assert_eq!(
            fetched(&shared, 11, &request(400, &wanted)),
            [(0, vec![0]), (0, vec![0])]
        );
    }
}
