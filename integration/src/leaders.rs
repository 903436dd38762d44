//! Moves the leadership of partitions: the order of the replicas is changed
//! (`AlterPartitionReassignments`, KIP-455), then the first of them is elected (`ElectLeaders`,
//! KIP-460). The coordinator of a group moves with the partition of `__consumer_offsets` that holds
//! it.

use anyhow::{Context, Result, bail};

use crate::request::Request;

const TIMEOUT_MS: i32 = 20_000;
/// The replica that stands first.
const PREFERRED: i8 = 0;
/// The preferred replica leads already.
const NOT_NEEDED: i16 = 84;

/// Makes the first of `replicas` the leader of a partition, through the broker that listens in clear
/// on `address`. All of them must hold the partition already and be in sync.
///
/// # Errors
/// The broker refuses or does not answer.
pub fn move_leader(address: &str, topic: &str, partition: i32, replicas: &[i32]) -> Result<()> {
    let mut request = Request::new(45, 0, true)
        .int32(TIMEOUT_MS)
        .list(1)
        .text(topic)
        .list(1)
        .int32(partition)
        .list(replicas.len());
    for replica in replicas {
        request = request.int32(*replica);
    }
    // Of the partition, of the topic, of the request.
    let answer = request.tags().tags().tags().ask(address)?;
    // Tags of the header and the throttle time come first.
    match int16(&answer, 5)? {
        0 => {}
        code => bail!("{topic}/{partition} is not reassigned: error {code}"),
    }

    let request = Request::new(43, 1, false)
        .int8(PREFERRED)
        .list(1)
        .text(topic)
        .list(1)
        .int32(partition)
        .int32(TIMEOUT_MS);
    let answer = request.ask(address)?;
    match int16(&answer, 4)? {
        0 => {}
        code => bail!("no leader is elected: error {code}"),
    }
    // Behind the count of topics, the topic, the count of partitions and the partition.
    match int16(&answer, 4 + 2 + 4 + 2 + topic.len() + 4 + 4) {
        Ok(0 | NOT_NEEDED) | Err(_) => Ok(()),
        Ok(code) => bail!("{topic}/{partition} gets no other leader: error {code}"),
    }
}

fn int16(answer: &[u8], at: usize) -> Result<i16> {
    let bytes = answer.get(at..at + 2).context("the answer is too short")?;
    Ok(i16::from_be_bytes(bytes.try_into()?))
}
