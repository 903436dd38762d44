//! `[[server.tokens]]`: bearer tokens of the HTTP interface, plain secrets and tables with a name and a
//! role.

use std::collections::HashSet;

use crate::keys::{Group, Key, Kind, Table, TakesEffect};
use crate::reader::{SecretOrTable, Section};
use crate::{MASK, Secret};

/// `[[server.tokens]]`.
pub const TOKEN: Table = Table {
    header: "[[server.tokens]]",
    doc: "A bearer token with a name, which the log of changes shows, and a role.",
    takes_effect: TakesEffect::InPlace,
    groups: &[Group::own(&[
        Key::new(
            "name",
            Kind::Text,
            "",
            "Who uses it; when absent `token-` and its place in the list.",
        )
        .example(r#""dashboard""#),
        Key::new(
            "role",
            Kind::Choice(&["read", "operate", "configure"]),
            "",
            "What it allows. `read`: to look; `operate`: to pause topics and replay dead letters, too; `configure`: to change configuration and scripts, too. When absent, `configure`.",
        )
        .example(r#""read""#),
        Key::new("token", Kind::Secret, "", "The token.").example(r#""change-me""#),
        Key::new(
            "env",
            Kind::Text,
            "",
            "Environment variable that holds the token.",
        )
        .example(r#""DASHBOARD_TOKEN""#),
    ])],
    tables: &[],
};

/// What a caller of the HTTP interface may do. Each role includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Look.
    Read,
    /// Pause and resume topics, replay dead letters, change the log level.
    Operate,
    /// Change configuration and scripts.
    Configure,
}

impl Role {
    /// The word for it in configuration and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Configure => "configure",
        }
    }
}

/// A bearer token.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    /// Who uses it, for the log of changes.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// The token itself.
    pub secret: Secret,
}

/// Reads `tokens` of `[server]`.
pub(super) fn tokens(section: &Section<'_>) -> Vec<Token> {
    let Some(elements) = section.secrets_and_tables("tokens") else {
        let plain = section.secrets("tokens").into_iter().enumerate();
        return plain
            .map(|(index, secret)| nameless(index, secret))
            .collect();
    };
    let mut names = HashSet::new();
    let mut tokens = Vec::new();
    for (index, element) in elements.into_iter().enumerate() {
        let token = match &element {
            SecretOrTable::Secret(secret) if secret.expose() == MASK => {
                section.error(
                    "tokens",
                    "`tokens` holds the mask that stands for a secret, not a secret",
                );
                continue;
            }
            SecretOrTable::Secret(secret) => nameless(index, secret.clone()),
            SecretOrTable::Table(table) => match named(index, table) {
                Some(token) => token,
                None => continue,
            },
        };
        if token.secret.is_empty() {
            section.error("tokens", format!("`{}` is an empty token", token.name));
        } else if names.insert(token.name.clone()) {
            tokens.push(token);
        } else if let SecretOrTable::Table(table) = &element {
            table.error("name", format!("there are two tokens `{}`", token.name));
        } else {
            section.error("tokens", format!("there are two tokens `{}`", token.name));
        }
    }
    tokens
}

fn nameless(index: usize, secret: Secret) -> Token {
    Token {
        name: name(index),
        role: Role::Configure,
        secret,
    }
}

fn name(index: usize) -> String {
    format!("token-{}", index + 1)
}

fn named(index: usize, table: &Section<'_>) -> Option<Token> {
    let role = table.choice(
        "role",
        &[
            ("read", Role::Read),
            ("operate", Role::Operate),
            ("configure", Role::Configure),
        ],
    );
    let variable = table.some_text("env");
    let own = table.secret("token");
    let own_is_set = own.is_some() || table.has_file("token");
    let secret = match (own, variable) {
        (_, Some(_)) if own_is_set => {
            table.error("env", "both `env` and `token` or `token_file` are set");
            None
        }
        (own @ Some(_), _) => own,
        (None, Some(variable)) => {
            let value = std::env::var(&variable)
                .ok()
                .filter(|text| !text.is_empty());
            if value.is_none() {
                table.error("env", format!("the variable {variable} is not set"));
            }
            value.map(Secret::new)
        }
        (None, None) if own_is_set => None,
        (None, None) => {
            table.missing("token", "a token needs `token`, `token_file` or `env`");
            None
        }
    };
    Some(Token {
        name: table.some_text("name").unwrap_or_else(|| name(index)),
        // A wrong role was noted; the least is the safe one.
        role: role.unwrap_or(if table.is_set("role") {
            Role::Read
        } else {
            Role::Configure
        }),
        secret: secret?,
    })
}
