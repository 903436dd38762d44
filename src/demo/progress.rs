//! What the demonstration prints.
#![expect(clippy::print_stdout, reason = "printing is what this module is for")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use kafkamq_testbed::Addresses;
use kafkamq_testbed::expect::Table;

/// Says where everything is.
pub(super) fn introduce(bootstrap: &str, service: SocketAddr, receivers: &Addresses) {
    println!("kafkamq demo: everything runs in this process, on loopback.");
    println!("  broker     {bootstrap}   (any Kafka client can read along)");
    println!("  service    http://{service}/v1/status  /readyz  /metrics");
    println!(
        "  DataKit    http://{}   (stand-in that decodes what arrives)",
        receivers.datakit
    );
    println!("  handle     http://{}", receivers.handle);
}

/// One line about the state of things.
pub(super) fn line(produced: u64, arrived: u64, started: Instant) {
    let seconds = started.elapsed().as_secs_f64();
    println!("{seconds:7.1} s   produced {produced:>9} records   delivered {arrived:>9} elements");
}

/// Ctrl-C was pressed.
pub(super) fn stopping() {
    println!(
        "stopping: no more records are produced; waiting for those on their way (Ctrl-C again ends at once)"
    );
}

/// The account.
pub(super) fn conclude(table: &Table, took: Duration) {
    println!("\n{table}");
    let verdict = if table.is_complete() {
        "nothing is missing"
    } else {
        "RECORDS ARE MISSING"
    };
    println!("{verdict} ({:.1} s)", took.as_secs_f64());
}
