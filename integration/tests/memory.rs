//! `limits.memory` bounds the process, whatever the records are and however long its output is away.
//!
//! Everything that once went past the limit happens at the same time: large records on very many
//! partitions, arrays that expand fifty times, aggregation that keeps its groups, taps that nobody
//! reads. `KAFKAMQ_MEMORY_SECONDS` says how long (30; 3,600 for an hour), and the figures of every
//! second go to the file that `KAFKAMQ_MEMORY_FIGURES` names.

#![expect(
    clippy::print_stdout,
    reason = "the figures belong into the test's output"
)]

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use kafkamq_integration::{Scene, free_port, size};

const MIB: u64 = 1 << 20;
/// `[limits] memory` of the service.
const LIMIT: u64 = 128 * MIB;
/// What the process takes besides, as docs/architecture.md says: code, threads, buffers of the
/// client library, what the allocator holds back.
const FIXED: u64 = 128 * MIB;

const LARGE_PARTITIONS: i32 = 200;
const ARRAY_PARTITIONS: i32 = 32;
const TAPS: usize = 8;

const AGGREGATION: &str = "agg_create(\"b\", on_interval=\"1s\", keep_value=true)\n\
                           agg_metric(\"b\", \"f\", \"set\", [\"message\"], \"message_len\")\n\
                           drop()\n";

#[test]
fn memory_stays_under_its_limit_while_the_output_is_away() -> Result<()> {
    let Some(scene) = Scene::alone("memory", kafkamq_integration::Release::Current)? else {
        return Ok(());
    };
    let seconds = size("KAFKAMQ_MEMORY_SECONDS", 30, 600);
    let large = scene.topic("large", LARGE_PARTITIONS)?;
    let arrays = scene.topic("arrays", ARRAY_PARTITIONS)?;
    let groups = scene.topic("groups", 1)?;
    scene.script("groups.p", AGGREGATION)?;
    let mut producer = scene.producer()?;
    let value = vec![b'a'; 1_000_000];
    for partition in 0..LARGE_PARTITIONS {
        producer.send(&large, partition, None, Some(&value), &[])?;
    }
    let array = format!("[{}1]", "1,".repeat(500_000));
    for partition in 0..ARRAY_PARTITIONS {
        producer.send(&arrays, partition, None, Some(array.as_bytes()), &[])?;
    }
    for group in 0..20_000 {
        let text = format!("group {group} {}", "x".repeat(300));
        producer.send(&groups, 0, None, Some(text.as_bytes()), &[])?;
    }
    producer.flush()?;

    let away = format!("http://127.0.0.1:{}", free_port()?);
    let custom = format!(
        "split_json_body = true\n\
         log_topic_map = {{ \"{large}\" = \"-\", \"{arrays}\" = \"-\", \"{groups}\" = \"groups.p\" }}"
    );
    let config = scene
        .config()
        .output_kind("datakit", Some(&away))
        .table("limits", &format!("memory = {LIMIT}"))
        .route("custom", &custom);
    let kafkamq = scene.kafkamq(&config, "kafkamq")?;
    let mut taps = Vec::new();
    for _ in 0..TAPS {
        let mut tap = TcpStream::connect(("127.0.0.1", kafkamq.port()))?;
        write!(
            tap,
            "GET /v1/topics/{large}/tap?rate=1000&max_bytes=1000000 HTTP/1.1\r\nHost: localhost\r\n\r\n"
        )?;
        taps.push(tap);
    }

    let began = Instant::now();
    let (mut figures, mut most) = (String::from("seconds,resident\n"), 0);
    while began.elapsed() < Duration::from_secs(u64::from(seconds)) {
        let resident = kafkamq.process().resident_bytes()?;
        most = most.max(resident);
        writeln!(figures, "{:.1},{resident}", began.elapsed().as_secs_f64())?;
        ensure!(
            resident <= LIMIT + FIXED,
            "{} MiB resident with a limit of {} MiB\n{}",
            resident / MIB,
            LIMIT / MIB,
            kafkamq.get("/v1/status")?.body
        );
        std::thread::sleep(Duration::from_millis(500));
    }
    if let Some(path) = std::env::var_os("KAFKAMQ_MEMORY_FIGURES") {
        std::fs::write(path, figures)?;
    }
    println!(
        "{seconds} s with the output away: at most {} MiB resident, limit {} MiB",
        most / MIB,
        LIMIT / MIB
    );
    drop(taps);
    scene.passed();
    Ok(())
}
