//! `[output]` and `[[output]]`.

use ::http::header::{AUTHORIZATION, HeaderValue};
use url::Url;

use super::super::diagnostic::Diagnostic;
use super::super::reader::Section;
use super::super::{
    BatchSettings, Compression, DestinationKind, Encoding, KafkaDestination, OriginParts,
    OutputSettings, Secret,
};
use super::{http, security};
use crate::tables::categories;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Datakit,
    Dataway,
    Influxdb,
    Kafka,
    File,
    Stdout,
}

const KINDS: &[(&str, Kind)] = &[
    ("datakit", Kind::Datakit),
    ("dataway", Kind::Dataway),
    ("influxdb", Kind::Influxdb),
    ("kafka", Kind::Kafka),
    ("file", Kind::File),
    ("stdout", Kind::Stdout),
];

/// Reads all outputs; without any, the default one.
pub(super) fn outputs(root: &Section<'_>) -> Vec<OutputSettings> {
    let mut sections = root.sections("output");
    if sections.is_empty() {
        sections.extend(root.section_or_default("output"));
    }
    let mut outputs: Vec<OutputSettings> = Vec::new();
    let mut paths: Vec<String> = Vec::new();
    for section in &sections {
        let Some(output) = output(section) else {
            continue;
        };
        if let Some(at) = outputs.iter().position(|known| known.name == output.name) {
            let mut diagnostic = Diagnostic::error(
                section.path_of("name"),
                format!("two outputs are called `{}`", output.name),
            )
            .with_hint("give each a `name` of its own");
            let first = paths.get(at).map_or("", String::as_str);
            diagnostic.related.extend(root.reader().related(
                first,
                super::super::document::Part::Value,
                "the other one",
            ));
            root.reader().note_value(diagnostic);
        }
        paths.push(section.path_of("name"));
        outputs.push(output);
    }
    outputs
}

fn output(section: &Section<'_>) -> Option<OutputSettings> {
    let kind = section.choice("kind", KINDS).unwrap_or(Kind::Datakit);
    let word = KINDS
        .iter()
        .find(|(_, known)| *known == kind)
        .map_or("", |(word, _)| *word);
    let encoding = section
        .choice(
            "encoding",
            &[
                ("line-protocol", Encoding::LineProtocol),
                ("json", Encoding::Json),
                ("pbjson", Encoding::PbJson),
                ("protobuf", Encoding::Protobuf),
            ],
        )
        .unwrap_or(if kind == Kind::Dataway {
            Encoding::Protobuf
        } else {
            Encoding::LineProtocol
        });
    if encoding != Encoding::LineProtocol && kind == Kind::Influxdb {
        section.error("encoding", "`influxdb` takes line protocol only");
    }
    if encoding == Encoding::Protobuf && matches!(kind, Kind::File | Kind::Stdout) {
        section.error("encoding", format!("`{word}` takes text encodings only"));
    }
    let name = section.some_text("name").unwrap_or_else(|| word.to_owned());
    Some(OutputSettings {
        name,
        kind: destination(section, kind)?,
        encoding,
        categories: categories(section, "categories"),
        batch: BatchSettings {
            max_points: section.size("batch_points", 1),
            max_bytes: section.bytes("batch_bytes").max(1),
            max_wait: section.duration("batch_wait"),
        },
        backlog: match section.flag("required") {
            true => None,
            false => Some(section.bytes("backlog").max(1)),
        },
    })
}

fn destination(section: &Section<'_>, kind: Kind) -> Option<DestinationKind> {
    Some(match kind {
        Kind::Datakit => DestinationKind::Datakit(Box::new(http_settings(section, kind)?.0)),
        Kind::Influxdb => DestinationKind::Influxdb(Box::new(http_settings(section, kind)?.0)),
        Kind::Dataway => {
            let (http, token) = http_settings(section, kind)?;
            if token.is_none() && !section.has_file("token") {
                section.missing("token", "`dataway` needs `token` or `token_file`");
            }
            DestinationKind::Dataway {
                http: Box::new(http),
                token: token.unwrap_or_default(),
            }
        }
        Kind::Kafka => {
            let addrs = security::addrs(section, None);
            if addrs.is_empty() && !section.is_filled("addrs") {
                section.missing("addrs", "`kafka` needs `addrs`");
            }
            let topic = section.text("topic");
            if topic.is_empty() {
                section.missing("topic", "`kafka` needs `topic`");
            }
            let cluster = security::cluster(section, addrs);
            let origin = OriginParts {
                key: section.flag("record_key"),
                headers: section.flag("record_headers"),
            };
            DestinationKind::Kafka(Box::new(KafkaDestination {
                cluster,
                topic,
                origin,
            }))
        }
        Kind::File => {
            let rotate_bytes = section.bytes("rotate_bytes");
            if rotate_bytes == 0 {
                section.error("rotate_bytes", "`rotate_bytes` must be at least 1");
            }
            let path = section.some_path("path");
            if path.is_none() {
                section.error("path", "`path` is empty");
            }
            DestinationKind::File {
                path: path?,
                rotate_bytes,
                keep: section.size("keep", 0),
            }
        }
        Kind::Stdout => DestinationKind::Stdout,
    })
}

/// The HTTP keys of an output, and the token that is not a header.
fn http_settings(
    section: &Section<'_>,
    kind: Kind,
) -> Option<(super::super::HttpSettings, Option<Secret>)> {
    let mut endpoint = match section.url("endpoint") {
        Some(endpoint) => endpoint,
        None if section.is_set("endpoint") => return None,
        None if kind == Kind::Datakit => Url::parse("http://localhost:9529").ok()?,
        None => {
            section.missing("endpoint", "`endpoint` is missing");
            return None;
        }
    };
    let mut token = section.secret("token");
    if kind == Kind::Dataway {
        // Agents write the token into the address; there it would be shown with the address.
        let in_address = take_token(&mut endpoint);
        token = token.or(in_address);
    }
    let compression =
        section
            .choice("compression", http::COMPRESSION)
            .unwrap_or(if kind == Kind::Dataway {
                Compression::Gzip
            } else {
                Compression::None
            });
    let mut http = http::http(section, endpoint, compression);
    let username = section.some_text("username");
    let password = section.secret("password");
    let header = match (kind, username, password, &token) {
        (_, Some(username), password, _) => {
            http::basic(&username, password.unwrap_or_default().expose())
        }
        (Kind::Influxdb, None, _, Some(token)) => {
            let mut value = HeaderValue::from_str(&format!("Token {}", token.expose())).ok();
            if let Some(value) = &mut value {
                value.set_sensitive(true);
            } else {
                section.error("token", "the token holds characters a header cannot hold");
            }
            value
        }
        _ => None,
    };
    if let Some(header) = header {
        http.headers.insert(AUTHORIZATION, header);
    }
    if kind == Kind::Datakit && token.is_some() {
        section
            .reader()
            .note_key(section.warning("token", "`datakit` takes no token, the agent has its own"));
    }
    Some((http, token))
}

fn take_token(endpoint: &mut Url) -> Option<Secret> {
    let pairs: Vec<(String, String)> = endpoint
        .query_pairs()
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .collect();
    let token = pairs
        .iter()
        .find(|(key, _)| key == "token")
        .map(|(_, value)| Secret::new(value.as_str()))?;
    let rest: Vec<_> = pairs
        .into_iter()
        .filter(|(key, _)| key != "token")
        .collect();
    if rest.is_empty() {
        endpoint.set_query(None);
    } else {
        endpoint.query_pairs_mut().clear().extend_pairs(rest);
    }
    Some(token)
}
