//! What is measured: topics with their load, and the configuration that an operator would write
//! for them.

use std::path::Path;

use super::token::Token;

/// Elements in each JSON array.
const ARRAY: u64 = 100;

/// The goal of a case on one core of the router.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Goal {
    /// Share of the bare loop's speed.
    OfBare(f64),
    /// Records per second of processor time.
    PerSecond(f64),
    None,
}

/// Records of one topic, and what the router is to do with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Feed {
    /// Counted and acknowledged, nothing is sent.
    Settle,
    /// One POST for each record, bytes unchanged.
    Forward,
    /// A log in JSON, eleven keys of it made fields.
    Json,
    /// The metric example of the manual: dimensions to tags, metrics to fields.
    Metric,
    /// An access log line of nginx through `grok`, casts and its time.
    Nginx,
    /// Arrays of small logs, split.
    Arrays,
    /// Batches of a hundred to the user's own handle.
    Handle,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) feeds: &'static [Feed],
    pub(super) goal: Goal,
}

/// All cases, in the order of the table.
pub(super) const CASES: [Case; 8] = [
    Case {
        name: "settle",
        about: "consume and settle only",
        feeds: &[Feed::Settle],
        goal: Goal::OfBare(0.8),
    },
    Case {
        name: "forward",
        about: "raw forward, one POST a record",
        feeds: &[Feed::Forward],
        goal: Goal::PerSecond(60_000.0),
    },
    Case {
        name: "json",
        about: "custom JSON, script of 11 keys",
        feeds: &[Feed::Json],
        goal: Goal::PerSecond(350_000.0),
    },
    Case {
        name: "metric",
        about: "custom metric, the manual's example",
        feeds: &[Feed::Metric],
        goal: Goal::None,
    },
    Case {
        name: "nginx",
        about: "nginx line: grok, casts, time",
        feeds: &[Feed::Nginx],
        goal: Goal::PerSecond(250_000.0),
    },
    Case {
        name: "arrays",
        about: "JSON arrays of 100, split",
        feeds: &[Feed::Arrays],
        goal: Goal::None,
    },
    Case {
        name: "handle",
        about: "remote_handle, 100 records a batch",
        feeds: &[Feed::Handle],
        goal: Goal::PerSecond(500_000.0),
    },
    Case {
        name: "mixed",
        about: "all of these side by side",
        feeds: &[
            Feed::Settle,
            Feed::Forward,
            Feed::Json,
            Feed::Metric,
            Feed::Nginx,
            Feed::Arrays,
            Feed::Handle,
        ],
        goal: Goal::None,
    },
];

/// Where things are, for the configuration.
#[derive(Debug)]
pub(super) struct Surroundings<'a> {
    pub(super) bootstrap: &'a str,
    pub(super) receiver: &'a str,
    pub(super) folder: &'a Path,
    pub(super) prefix: &'a str,
    pub(super) group: &'a str,
    pub(super) listen: &'a str,
    pub(super) threads: usize,
    /// Whether requests go out at once, instead of waiting for a fuller batch.
    pub(super) hasty: bool,
}

impl Feed {
    /// The topic of this feed. SkyWalking topics are known by how their names end.
    pub(super) fn topic(self, prefix: &str) -> String {
        let name = match self {
            Self::Settle => "skywalking-managements",
            Self::Forward => "forward",
            Self::Json => "json",
            Self::Metric => "metric",
            Self::Nginx => "nginx",
            Self::Arrays => "arrays",
            Self::Handle => "handle",
        };
        format!("{prefix}-{name}")
    }

    /// Elements in a record.
    pub(super) const fn elements(self) -> u64 {
        match self {
            Self::Arrays => ARRAY,
            _ => 1,
        }
    }

    /// Elements of a record that reach the receiver.
    pub(super) const fn arriving(self) -> u64 {
        match self {
            Self::Settle => 0,
            _ => self.elements(),
        }
    }

    /// Appends the value of the record whose first element is `token`; its other elements are
    /// numbered from there. Where the size is free, the value has about `bytes` bytes.
    pub(super) fn write(self, token: Token, bytes: usize, out: &mut Vec<u8>) {
        match self {
            Self::Settle | Self::Forward | Self::Handle => {
                token.write(out);
                const TEXT: &[u8] = b" the quick brown fox jumps over the lazy dog, again and";
                while out.len() < bytes {
                    let room = (bytes - out.len()).min(TEXT.len());
                    out.extend_from_slice(TEXT.get(..room).unwrap_or_default());
                }
            }
            Self::Json => {
                out.extend_from_slice(br#"{"time":1717000000000,"level":"warn","service":"checkout","host":"web-17","method":"POST","path":"/api/v1/cart/items","status":201,"bytes":5120,"duration":12.75,"user":"u-48151623","trace":"4bf92f3577b34da6a3ce929d0e0e4736","text":"the cart was updated","id":""#);
                token.write(out);
                out.extend_from_slice(b"\"}");
            }
            Self::Metric => {
                out.extend_from_slice(
                    br#"{"time":1717000000000,"dimensions":{"host":"web-17","region":"cn-east","id":""#,
                );
                token.write(out);
                out.extend_from_slice(
                    br#""},"metrics":{"cpu.usage":12.5,"mem.used":73.25,"load.one":0.75}}"#,
                );
            }
            Self::Nginx => {
                out.extend_from_slice(br#"192.0.2.17 - alice [21/Nov/2026:10:00:00 +0000] "GET /api/v1/cart/items?page=2&size=50 HTTP/1.1" 200 5316 "https://shop.example.com/cart" "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 "#);
                token.write(out);
                out.push(b'"');
            }
            Self::Arrays => {
                for index in 0..ARRAY {
                    out.push(if index == 0 { b'[' } else { b',' });
                    out.extend_from_slice(
                        br#"{"level":"info","service":"cart","took":12,"text":"item added","id":""#,
                    );
                    Token {
                        sequence: token.sequence + index,
                        ..token
                    }
                    .write(out);
                    out.extend_from_slice(b"\"}");
                }
                out.push(b']');
            }
        }
    }

    fn script(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Json => Some(("json.p", JSON)),
            Self::Metric => Some(("metric/metric.p", METRIC)),
            Self::Nginx => Some(("nginx.p", NGINX)),
            _ => None,
        }
    }
}

const JSON: &str = include_str!("../../crates/pipeline/benches/scripts/json.p");

const METRIC: &str = include_str!("../../crates/pipeline/benches/scripts/metric.p");

const NGINX: &str = include_str!("../../crates/pipeline/benches/scripts/nginx.p");

/// Writes the scripts of `case` below the folder and returns the configuration.
pub(super) fn configure(case: &Case, around: &Surroundings<'_>) -> std::io::Result<String> {
    let scripts = around.folder.join("pipeline");
    std::fs::create_dir_all(scripts.join("metric"))?;
    for (name, text) in case.feeds.iter().filter_map(|feed| feed.script()) {
        std::fs::write(scripts.join(name), text)?;
    }
    let Surroundings {
        bootstrap,
        receiver,
        prefix,
        group,
        listen,
        threads,
        hasty,
        ..
    } = around;
    let folder = around.folder.display();
    let (batch_wait, flush_interval) = match hasty {
        true => ("1ms", "1ms"),
        // Long enough for full batches at any speed, and no long wait for the last one.
        false => ("200ms", "200ms"),
    };
    let mut text = format!(
        r#"[server]
listen = "{listen}"
[log]
level = "warn"
[pipeline]
path = "{folder}/pipeline"
threads = {threads}
watch = false
[dead_letter]
path = "{folder}/dead-letters"
[output]
kind = "datakit"
endpoint = "http://{receiver}"
batch_wait = "{batch_wait}"
[[inputs.kafkamq]]
name = "bench"
addrs = ["{bootstrap}"]
group_id = "{group}"
offsets = "oldest"
"#
    );
    let has = |feed| case.feeds.contains(&feed);
    if has(Feed::Settle) {
        let topic = Feed::Settle.topic(prefix);
        text.push_str(&format!("[inputs.kafkamq.skywalking]\ndk_endpoint = \"http://{receiver}\"\ntopics = [\"{topic}\"]\n"));
    }
    if has(Feed::Forward) {
        let topic = Feed::Forward.topic(prefix);
        text.push_str(&format!("[inputs.kafkamq.jaeger]\ndk_endpoint = \"http://{receiver}\"\ntopics = [\"{topic}\"]\nencoding = \"raw\"\nthread = 4\n"));
    }
    let custom = [Feed::Json, Feed::Nginx, Feed::Metric, Feed::Arrays];
    if custom.into_iter().any(has) {
        text.push_str("[inputs.kafkamq.custom]\n");
        for (map, feeds) in [
            (
                "log_topic_map",
                &[
                    (Feed::Json, "\"json.p\""),
                    (Feed::Nginx, "\"nginx.p\""),
                    (Feed::Arrays, "\"-\""),
                ][..],
            ),
            ("metric_topic_map", &[(Feed::Metric, "\"metric.p\"")]),
            ("split_topic_map", &[(Feed::Arrays, "true")]),
        ] {
            text.push_str(&format!("[inputs.kafkamq.custom.{map}]\n"));
            for (feed, value) in feeds.iter().filter(|(feed, _)| has(*feed)) {
                text.push_str(&format!("\"{}\" = {value}\n", feed.topic(prefix)));
            }
        }
    }
    if has(Feed::Handle) {
        let topic = Feed::Handle.topic(prefix);
        text.push_str(&format!("[inputs.kafkamq.remote_handle]\nendpoint = \"http://{receiver}/handle\"\ntopics = [\"{topic}\"]\nsend_message_count = 100\nflush_interval = \"{flush_interval}\"\n"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafkamq_settings::{Sources, load};

    #[test]
    fn every_case_is_a_valid_configuration() {
        for case in CASES {
            let folder = tempfile::tempdir().unwrap();
            let around = Surroundings {
                bootstrap: "127.0.0.1:9092",
                receiver: "127.0.0.1:9529",
                folder: folder.path(),
                prefix: "bench",
                group: "bench",
                listen: "127.0.0.1:0",
                threads: 1,
                hasty: false,
            };
            let text = configure(&case, &around).unwrap();
            if let Err(found) = load(&Sources::new().text("bench", text)) {
                panic!("{}: {found}", case.name);
            }
        }
    }

    #[test]
    fn every_record_holds_its_elements() {
        for feed in CASES[7].feeds {
            let mut value = Vec::new();
            let token = Token {
                sequence: 700,
                micros: 5,
            };
            feed.write(token, 1024, &mut value);
            let found: Vec<_> = Token::all(&value).map(|token| token.sequence).collect();
            assert_eq!(found, (700..700 + feed.elements()).collect::<Vec<_>>());
        }
    }
}
