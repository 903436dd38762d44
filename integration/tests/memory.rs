//! `limits.memory` bounds the process, whatever the records are and however long its output is away.
//!
//! Everything that once went past the limit happens at the same time: large records on very many
//! partitions, arrays that expand fifty times, aggregation that keeps its groups, taps that nobody
//! reads. Records go on being produced, while the output is first away and then comes and goes: it
//! refuses connections, does not answer, answers 503, and works in between.
//!
//! `KAFKAMQ_MEMORY_SECONDS` says how long (30; 3,600 for an hour). The figures of every half second go to
//! the file that `KAFKAMQ_MEMORY_FIGURES` names, and as a picture to the one that
//! `KAFKAMQ_MEMORY_PLOT` names. From ten minutes on the test also waits at the end until everything
//! is delivered and committed.

#![expect(
    clippy::print_stdout,
    reason = "the figures belong into the test's output"
)]

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use kafkamq_integration::{Scene, size};
use kafkamq_testbed::faults::{Fault, FaultKind};

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
fn memory_stays_under_its_limit_while_the_output_comes_and_goes() -> Result<()> {
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

    let custom = format!(
        "split_json_body = true\n\
         log_topic_map = {{ \"{large}\" = \"-\", \"{arrays}\" = \"-\", \"{groups}\" = \"groups.p\" }}"
    );
    let config = scene
        .config()
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

    let output = &scene.testbed.datakit;
    output.set_faults([Fault::new(FaultKind::Refuse)]);
    let phases = Phases::new(seconds);
    let began = Instant::now();
    let (mut samples, mut phase, mut fed) = (Vec::new(), AWAY, 0);
    while began.elapsed() < Duration::from_secs(u64::from(seconds)) {
        let at = began.elapsed();
        let now = phases.at(at.as_secs());
        if now != phase {
            phase = now;
            output.set_faults(now.fault());
        }
        if at.as_secs() > fed {
            fed = at.as_secs();
            let partition = i32::try_from(fed)? % LARGE_PARTITIONS;
            producer.send(&large, partition, None, Some(&value), &[])?;
            if fed.is_multiple_of(20) {
                let partition = i32::try_from(fed / 20)? % ARRAY_PARTITIONS;
                producer.send(&arrays, partition, None, Some(array.as_bytes()), &[])?;
            }
            for group in 0..200 {
                let text = format!("group {fed} {group} {}", "x".repeat(300));
                producer.send(&groups, 0, None, Some(text.as_bytes()), &[])?;
            }
        }
        let resident = kafkamq.process().resident_bytes()?;
        samples.push(Sample {
            seconds: at.as_secs_f64(),
            resident,
            is_away: phase.fault().is_some(),
        });
        ensure!(
            resident <= LIMIT + FIXED,
            "{} MiB resident with a limit of {} MiB\n{}",
            resident / MIB,
            LIMIT / MIB,
            kafkamq.get("/v1/status")?.body
        );
        std::thread::sleep(Duration::from_millis(500));
    }
    drop(taps);
    write_figures(&samples)?;
    let most = samples.iter().map(|sample| sample.resident).max();
    println!(
        "{seconds} s while the output came and went: at most {} MiB resident, limit {} MiB",
        most.unwrap_or_default() / MIB,
        LIMIT / MIB
    );
    if seconds >= 600 {
        output.set_faults([]);
        producer.flush()?;
        let broker = scene.broker()?;
        for (topic, partitions) in [
            (&large, LARGE_PARTITIONS),
            (&arrays, ARRAY_PARTITIONS),
            (&groups, 1),
        ] {
            let ends = (0..partitions).map(|one| Ok(broker.watermarks(topic, one)?.1));
            let ends = ends.collect::<Result<Vec<_>>>()?;
            broker.await_committed(scene.group(), topic, &ends, Duration::from_secs(600))?;
        }
    }
    scene.passed();
    Ok(())
}

/// What the output does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Works,
    Refuses,
    Hangs,
    Unavailable,
}

const AWAY: Phase = Phase::Refuses;

impl Phase {
    fn fault(self) -> Option<Fault> {
        match self {
            Self::Works => None,
            Self::Refuses => Some(Fault::new(FaultKind::Refuse)),
            Self::Hangs => Some(Fault::new(FaultKind::Hang)),
            Self::Unavailable => Some(Fault::status(503)),
        }
    }
}

/// The output is away for two thirds of a short run; later it comes and goes.
struct Phases {
    first: u64,
    each: u64,
}

impl Phases {
    fn new(seconds: u32) -> Self {
        let first = (u64::from(seconds) * 2 / 3).min(120);
        Self { first, each: 60 }
    }

    fn at(&self, second: u64) -> Phase {
        let Some(later) = second.checked_sub(self.first) else {
            return AWAY;
        };
        match later / self.each % 6 {
            1 => Phase::Hangs,
            3 => Phase::Unavailable,
            5 => Phase::Refuses,
            _ => Phase::Works,
        }
    }
}

struct Sample {
    seconds: f64,
    resident: u64,
    is_away: bool,
}

fn write_figures(samples: &[Sample]) -> Result<()> {
    if let Some(path) = std::env::var_os("KAFKAMQ_MEMORY_FIGURES") {
        let mut figures = String::from("seconds,resident,away\n");
        for one in samples {
            writeln!(
                figures,
                "{:.1},{},{}",
                one.seconds,
                one.resident,
                u8::from(one.is_away)
            )?;
        }
        std::fs::write(path, figures)?;
    }
    if let Some(path) = std::env::var_os("KAFKAMQ_MEMORY_PLOT") {
        std::fs::write(path, plot(samples)?)?;
    }
    Ok(())
}

/// Resident memory over time as an SVG document; the background is dark while the output is away.
fn plot(samples: &[Sample]) -> Result<String> {
    const WIDTH: f64 = 760.0;
    const HEIGHT: f64 = 260.0;
    let end = samples.last().map_or(1.0, |one| one.seconds.max(1.0));
    let x = |seconds: f64| 50.0 + seconds / end * (WIDTH - 60.0);
    let y = |bytes: u64| HEIGHT - 30.0 - bytes as f64 / (LIMIT + FIXED) as f64 * (HEIGHT - 70.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"50\" y=\"20\">Resident memory while the output comes (white) and goes (grey), \
         {end:.0} seconds</text>\n"
    );
    let mut left = None;
    for one in samples {
        match (left, one.is_away) {
            (None, true) => left = Some(one.seconds),
            (Some(since), false) => {
                away(&mut out, x(since), x(one.seconds), (y(LIMIT + FIXED), y(0)))?;
                left = None;
            }
            _ => {}
        }
    }
    if let Some(since) = left {
        away(&mut out, x(since), x(end), (y(LIMIT + FIXED), y(0)))?;
    }
    for (bytes, about) in [(0, "0"), (LIMIT, "limits.memory"), (LIMIT + FIXED, "bound")] {
        writeln!(
            out,
            "<path d=\"M50 {at:.1}H{right}\" stroke=\"#a02020\" stroke-dasharray=\"4 3\"/>\
             <text x=\"54\" y=\"{text:.1}\">{about}: {} MiB</text>",
            bytes / MIB,
            at = y(bytes),
            right = WIDTH - 10.0,
            text = y(bytes) - 4.0
        )?;
    }
    let mut line = String::new();
    // The largest of neighbours, as more points than that cannot be seen.
    for some in samples.chunks(samples.len().div_ceil(700).max(1)) {
        if let Some(one) = some.iter().max_by_key(|one| one.resident) {
            write!(line, " {:.1},{:.1}", x(one.seconds), y(one.resident))?;
        }
    }
    writeln!(
        out,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"#1f4e79\" stroke-width=\"1.5\"/>\n</svg>",
        line.trim_start()
    )?;
    Ok(out)
}

/// A time without output, from `left` to `right` and from `top` to `bottom`.
fn away(out: &mut String, left: f64, right: f64, (top, bottom): (f64, f64)) -> Result<()> {
    writeln!(
        out,
        "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"#dddddd\"/>",
        right - left,
        bottom - top
    )?;
    Ok(())
}
