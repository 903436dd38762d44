//! How fast a receiver takes small requests: posts segments over keep-alive connections and prints
//! requests a second and the CPU time of the receiver's thread.
//!
//! `cargo run --profile ci -p kafkamq-testbed --example flood [REQUESTS] [CONNECTIONS]`

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that fails should stop, and its result is what it prints"
)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use kafkamq_testbed::receiver::DatakitOptions;
use kafkamq_testbed::{Faker, Receiver, RecordId, Route, Sample};

/// Clock ticks of user and system time of the receiver's thread, on Linux.
fn receiver_ticks() -> u64 {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    threads
        .filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("stat")).ok())
        .filter(|stat| stat.contains("(testbed-receive)"))
        .map(|stat| {
            let fields: Vec<_> = stat
                .rsplit(')')
                .next()
                .unwrap()
                .split_whitespace()
                .collect();
            fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
        })
        .sum()
}

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|text| text.parse::<u32>().unwrap());
    let requests = arguments.next().unwrap_or(200_000);
    let connections = arguments.next().unwrap_or(16);
    let receiver = Receiver::datakit(DatakitOptions::default()).unwrap();
    let each = requests / connections;
    let mut faker = Faker::new(1, 1_700_000_000_000_000_000);
    let prepared: Vec<Vec<Vec<u8>>> = (0..connections)
        .map(|partition| {
            (0..each)
                .map(|sequence| {
                    let id = RecordId::new(Route::SkywalkingSegments, partition as u16, sequence);
                    let body = Sample::of(id, &mut faker).value;
                    let head = format!(
                        "POST /v3/trace HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
                        body.len()
                    );
                    [head.as_bytes(), &body].concat()
                })
                .collect()
        })
        .collect();
    let before = Instant::now();
    std::thread::scope(|scope| {
        for requests in &prepared {
            let addr = receiver.addr();
            scope.spawn(move || {
                let mut stream = TcpStream::connect(addr).unwrap();
                stream.set_nodelay(true).unwrap();
                let mut reply = [0; 1024];
                for request in requests {
                    stream.write_all(request).unwrap();
                    let len = stream.read(&mut reply).unwrap();
                    assert!(reply[..len].starts_with(b"HTTP/1.1 200"));
                }
            });
        }
    });
    let took = before.elapsed().as_secs_f64();
    let report = receiver.ledger().report();
    assert_eq!(report.delivered, u64::from(each * connections));
    let cpu = receiver_ticks() as f64 / 100.0;
    println!(
        "{} requests in {took:.2} s: {:.0}/s; receiver {cpu:.2} s of CPU: {:.0}/s per core",
        report.delivered,
        report.delivered as f64 / took,
        report.delivered as f64 / cpu,
    );
}
