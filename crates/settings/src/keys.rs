//! Every configuration key: its type, its default and the sentence that explains it.
//!
//! The same tables drive reading (defaults, unknown keys, masking of secrets), the manual in
//! `config/kafkamq.toml` and the reference in `docs/configuration.md`, so the three cannot disagree.

mod input;
mod route;

pub use crate::outputs::OUTPUT;
pub use crate::tables::dead_letter::DEAD_LETTER;
pub use crate::tables::limits::LIMITS;
pub use crate::tables::log::LOG;
pub use crate::tables::pipeline::PIPELINE;
pub use crate::tables::recorder::RECORDER;
pub use crate::tables::server::SERVER;
pub use crate::tables::token::TOKEN;
pub(crate) use input::CLUSTER;
pub use input::{INPUT, TOPIC};
pub use route::{CUSTOM, JAEGER, OTEL, REMOTE_HANDLE, SKYWALKING};

/// What a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// A file or folder of this machine.
    Path,
    /// A list of folders of this machine.
    PathList,
    /// A whole number.
    Integer,
    /// A number, with or without a fraction.
    Number,
    /// `true` or `false`.
    Flag,
    /// Text such as `"30s"`, or a number of seconds.
    Duration,
    /// Text such as `"64MiB"`, or a number of bytes.
    Bytes,
    /// A list of strings.
    TextList,
    /// A table of strings.
    TextTable,
    /// A table of `true` and `false`.
    FlagTable,
    /// A table of request headers, whose values are strings or `{ file = "..." }`.
    HeaderTable,
    /// A secret string; the same key with `_file` appended names a file that holds it.
    Secret,
    /// A list of secret strings; with `_file`, one a line.
    SecretList,
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// A list of HTTP status codes and classes such as `503` and `"5xx"`.
    StatusList,
    /// A word, a number or a time, as the sentence explains.
    Mixed,
}

impl Kind {
    /// The words of the reference for this type.
    #[cfg(test)]
    pub(crate) fn describe(self) -> String {
        match self {
            Self::Text => "string".into(),
            Self::Path => "path".into(),
            Self::PathList => "list of paths".into(),
            Self::Integer => "integer".into(),
            Self::Number => "number".into(),
            Self::Flag => "boolean".into(),
            Self::Duration => "duration".into(),
            Self::Bytes => "size".into(),
            Self::TextList => "list of strings".into(),
            Self::TextTable => "table of strings".into(),
            Self::FlagTable => "table of booleans".into(),
            Self::HeaderTable => "table of headers".into(),
            Self::Secret => "secret".into(),
            Self::SecretList => "list of secrets".into(),
            Self::Choice(words) => words
                .iter()
                .map(|word| format!("`{word}`"))
                .collect::<Vec<_>>()
                .join(", "),
            Self::StatusList => "list of status codes".into(),
            Self::Mixed => "see text".into(),
        }
    }

    /// Whether values must be masked wherever they are shown.
    #[must_use]
    pub(crate) const fn is_secret(self) -> bool {
        matches!(self, Self::Secret | Self::SecretList | Self::HeaderTable)
    }

    /// Whether values name files or folders of this machine.
    #[must_use]
    pub(crate) const fn is_path(self) -> bool {
        matches!(self, Self::Path | Self::PathList)
    }

    /// Whether `<key>_file` is a key too.
    #[must_use]
    pub(crate) const fn has_file(self) -> bool {
        matches!(self, Self::Secret | Self::SecretList)
    }
}

/// When a changed value takes effect in a running service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakesEffect {
    /// At once, without touching anything else.
    InPlace,
    /// At once; routes, destinations or scripts are made anew, and topics that go elsewhere settle
    /// what they have in flight first.
    Route,
    /// At once, by a new client of the input: the group rebalances.
    NewClient,
    /// When the input gets its next client, at the latest with the next start.
    NextClient,
    /// When the process starts next.
    NextStart,
}

impl TakesEffect {
    /// The words of the reference.
    #[cfg(test)]
    pub(crate) const fn describe(self) -> &'static str {
        match self {
            Self::InPlace => "at once",
            Self::Route => "at once, by route",
            Self::NewClient => "new client",
            Self::NextClient => "next client",
            Self::NextStart => "next start",
        }
    }
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Name in the file.
    pub name: &'static str,
    /// Further accepted names.
    pub(crate) aliases: &'static [&'static str],
    /// What it takes.
    pub kind: Kind,
    /// Default as TOML text; empty when the key is simply absent.
    pub default: &'static str,
    /// A value for the manual where there is no default, as TOML text.
    pub example: &'static str,
    /// One sentence.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "tests write the manual from it")
    )]
    pub(crate) doc: &'static str,
    /// For keys kept for old files: what to write today.
    pub(crate) instead: Option<&'static str>,
    /// Whether the value decides who receives the secrets of the same table.
    pub receiver: bool,
    /// When a change takes effect, where that differs from the table's other keys.
    pub takes_effect: Option<TakesEffect>,
}

impl Key {
    /// A key with a default (TOML text, empty for none) and its sentence.
    pub(crate) const fn new(
        name: &'static str,
        kind: Kind,
        default: &'static str,
        doc: &'static str,
    ) -> Self {
        Self {
            name,
            aliases: &[],
            kind,
            default,
            example: "",
            doc,
            instead: None,
            receiver: false,
            takes_effect: None,
        }
    }

    /// Says when a change takes effect, in place of what the table says.
    pub(crate) const fn takes_effect(mut self, when: TakesEffect) -> Self {
        self.takes_effect = Some(when);
        self
    }

    /// Marks the key as one that decides who receives the secrets of the same table.
    pub(crate) const fn receiver(mut self) -> Self {
        self.receiver = true;
        self
    }

    /// Adds names that mean the same.
    pub(crate) const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// Adds a value for the manual.
    pub(crate) const fn example(mut self, example: &'static str) -> Self {
        self.example = example;
        self
    }

    /// Marks the key as old.
    pub(crate) const fn instead(mut self, instead: &'static str) -> Self {
        self.instead = Some(instead);
        self
    }
}

/// Keys that belong together.
#[derive(Debug, Clone, Copy)]
pub struct Group {
    /// Title of keys that several tables share, so that they are explained once; otherwise empty.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "tests write the manual from it")
    )]
    pub(crate) shared: &'static str,
    /// What stands above the keys of one table; may be empty.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "tests write the manual from it")
    )]
    pub(crate) about: &'static str,
    /// The keys, in the order of the manual.
    pub(crate) keys: &'static [Key],
}

impl Group {
    /// Keys of one table.
    pub(crate) const fn own(keys: &'static [Key]) -> Self {
        Self::of("", keys)
    }

    /// Keys of one table that some of its kinds read; `about` says which.
    pub(crate) const fn of(about: &'static str, keys: &'static [Key]) -> Self {
        Self {
            shared: "",
            about,
            keys,
        }
    }

    /// Keys that several tables share, called `title`.
    pub(crate) const fn shared(title: &'static str, keys: &'static [Key]) -> Self {
        Self {
            shared: title,
            about: "",
            keys,
        }
    }
}

/// One table of keys.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// Header in the file, such as `[server]`.
    pub header: &'static str,
    /// What the table is for.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "tests write the manual from it")
    )]
    pub(crate) doc: &'static str,
    /// When a change of its keys takes effect, unless a key says otherwise.
    pub takes_effect: TakesEffect,
    /// Keys, in the order of the manual.
    pub(crate) groups: &'static [Group],
    /// Tables inside it, by key.
    pub tables: &'static [(&'static str, &'static Table)],
}

impl Table {
    /// All keys, in the order of the manual.
    pub fn keys(&self) -> impl Iterator<Item = &'static Key> + use<> {
        self.groups.iter().flat_map(|group| group.keys.iter())
    }

    /// When a change of `key` takes effect.
    #[must_use]
    pub fn effect_of(&self, key: &Key) -> TakesEffect {
        key.takes_effect.unwrap_or(self.takes_effect)
    }

    /// The key called `name`, by its name or an alias.
    #[must_use]
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys()
            .find(|key| key.name == name || key.aliases.contains(&name))
    }

    /// The secret whose `_file` variant `name` is.
    #[must_use]
    pub(crate) fn file_key(&self, name: &str) -> Option<&'static Key> {
        let name = name.strip_suffix("_file")?;
        self.keys()
            .find(|key| key.kind.has_file() && key.name == name)
    }

    /// Every name a file may use in this table.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for key in self.keys() {
            names.push(key.name.to_owned());
            names.extend(key.aliases.iter().map(|&alias| alias.to_owned()));
            if key.kind.has_file() {
                names.push(format!("{}_file", key.name));
            }
        }
        names.extend(self.tables.iter().map(|(name, _)| (*name).to_owned()));
        names
    }
}

/// The whole file.
pub(crate) const ROOT: Table = Table {
    header: "",
    doc: "",
    takes_effect: TakesEffect::NextStart,
    groups: &[],
    tables: &[
        ("inputs", &INPUTS),
        ("output", &OUTPUT),
        ("pipeline", &PIPELINE),
        ("server", &SERVER),
        ("dead_letter", &DEAD_LETTER),
        ("recorder", &RECORDER),
        ("limits", &LIMITS),
        ("log", &LOG),
    ],
};

/// `[inputs]`, which holds nothing but the array `kafkamq`.
pub(crate) const INPUTS: Table = Table {
    header: "[inputs]",
    doc: "",
    takes_effect: TakesEffect::NewClient,
    groups: &[],
    tables: &[("kafkamq", &INPUT)],
};

/// Keys of everything that sends HTTP requests.
pub(crate) const HTTP: Group = Group::shared("HTTP requests", HTTP_KEYS);

const HTTP_KEYS: &[Key] = &[
    Key::new(
        "headers",
        Kind::HeaderTable,
        "",
        "Headers added to every request.",
    )
    .example(
        r#"{ "X-Tenant" = "shop", "Authorization" = { file = "/run/secrets/authorization" } }"#,
    ),
    Key::new(
        "ca_file",
        Kind::Path,
        "",
        "PEM file of root certificates trusted in addition to the system's.",
    )
    .receiver()
    .example(r#""/etc/kafkamq/ca.pem""#),
    Key::new(
        "client_cert",
        Kind::Path,
        "",
        "PEM file of the certificate shown to the server.",
    )
    .example(r#""/etc/kafkamq/client.pem""#),
    Key::new(
        "client_key",
        Kind::Path,
        "",
        "PEM file of the private key of `client_cert`.",
    )
    .example(r#""/etc/kafkamq/client.key""#),
    Key::new(
        "insecure_skip_verify",
        Kind::Flag,
        "false",
        "Accept any certificate and host name; for tests only.",
    )
    .receiver(),
    Key::new(
        "concurrency",
        Kind::Integer,
        "16",
        "Most requests that may be under way at once, at least `thread` of the route when absent; the number in use follows from the answers.",
    ),
    Key::new(
        "connect_timeout",
        Kind::Duration,
        r#""5s""#,
        "Limit for name look-up, TCP and TLS together.",
    ),
    Key::new(
        "timeout",
        Kind::Duration,
        r#""30s""#,
        "Limit for a whole request, its answer included.",
    ),
    Key::new(
        "connection_max_age",
        Kind::Duration,
        r#""0s""#,
        "How long a connection is used at most, for receivers behind a load balancer; 0 means that a connection is used until one side closes it.",
    ),
    Key::new(
        "proxy",
        Kind::Choice(&["environment", "none"]),
        r#""environment""#,
        "Whether requests go through the proxy that `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` name; addresses of this machine are always connected to directly.",
    ),
    Key::new(
        "max_retries",
        Kind::Integer,
        "3",
        "Unclear refusals of a request (such as 500 or a reset) after which other requests are sent before it. If those are accepted, it is sent once more and goes to the dead letters if it is refused again. 0 counts as 1.",
    ),
    Key::new(
        "probe_past",
        Kind::Flag,
        "false",
        "Whether, when nothing else is left to send, records behind one that is refused may be sent before it, which gives up their order.",
    ),
    Key::new(
        "backoff_min",
        Kind::Duration,
        r#""100ms""#,
        "Upper bound of the pause after the first failure. It doubles up to `backoff_max`; each pause is random below it.",
    ),
    Key::new(
        "backoff_max",
        Kind::Duration,
        r#""5s""#,
        "Largest upper bound of a pause between tries.",
    ),
    Key::new(
        "hold_backoff",
        Kind::Duration,
        r#""10s""#,
        "Longest pause between tries while 401, 403, 404, 405 or a redirect holds the topic.",
    ),
    Key::new(
        "retry_after_max",
        Kind::Duration,
        r#""5m""#,
        "Longest `Retry-After` that is obeyed.",
    ),
    Key::new(
        "retry_status",
        Kind::StatusList,
        "[]",
        "Status codes that are retried without end and never count as the fault of a record.",
    ),
    Key::new(
        "hold_status",
        Kind::StatusList,
        "[]",
        "Status codes that hold the topic and raise an alarm; its records never become dead letters because of them.",
    ),
    Key::new(
        "dlq_status",
        Kind::StatusList,
        "[]",
        "Status codes that mean a fault of the content: the record at fault goes to the dead letters at once.",
    ),
    Key::new(
        "drop_status",
        Kind::StatusList,
        "[]",
        "Status codes whose records are counted and dropped.",
    ),
];
