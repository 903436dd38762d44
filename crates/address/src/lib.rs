//! The credentials of an address: taken out of it for the request that needs them, and masked
//! wherever the address is shown.
//!
//! Credentials stand in many places of an address: user and password, a segment of the path, an
//! argument, a bare query. A list of secret words misses the next one. So the rule is turned
//! around: what looks like an ordinary word of a path or is a known harmless argument is shown, and
//! a mask stands for everything else.
//!
//! Also how bodies for an address are compressed ([`Compression`]): this is what settings and
//! delivery both know of the receiver.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod compression;

pub use compression::Compression;
use percent_encoding::percent_decode_str;
use url::Url;

/// Words that make a name or a word secret wherever they occur in it.
const SECRET: [&str; 13] = [
    "token",
    "tkn",
    "tokn",
    "secret",
    "pass",
    "pwd",
    "auth",
    "key",
    "cookie",
    "sign",
    "credential",
    "session",
    "hook",
];

/// Arguments whose values are names and modes, never credentials.
const HARMLESS: [&str; 20] = [
    "bucket",
    "consistency",
    "database",
    "db",
    "encoding",
    "extra_label",
    "format",
    "global",
    "input",
    "org",
    "precision",
    "query",
    "retention_policy",
    "rp",
    "source",
    "tenant",
    "timeout",
    "timestamp",
    "v",
    "version",
];

/// Longest word of a path that is shown, in characters.
const LONGEST: usize = 32;
/// Digits in a word that is shown, at most: `v2` and `8086` are words, `a1b2c3d4e5` is not.
const DIGITS: usize = 4;

/// Whether the value of a header, an argument or an option of this name is taken for a secret.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    // A key that only names the request is not a secret.
    name != "idempotency-key" && SECRET.iter().any(|word| name.contains(word))
}

/// Whether a text looks like a word that somebody chose as a name.
fn is_plain(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-{}".contains(c);
    word.len() <= LONGEST
        && word.chars().all(plain)
        && word.chars().filter(char::is_ascii_digit).count() <= DIGITS
        && !is_secret_name(word)
}

/// The value of `Authorization` (RFC 7617) for the user and password of an address, if it has any.
/// Percent-encoded bytes are taken as they were meant, also those that are not UTF-8.
#[must_use]
pub fn basic_authorization(url: &Url) -> Option<String> {
    let (user, password) = (url.username(), url.password().unwrap_or_default());
    if user.is_empty() && password.is_empty() {
        return None;
    }
    let pair: Vec<u8> = percent_decode_str(user)
        .chain([b':'])
        .chain(percent_decode_str(password))
        .collect();
    let encoded = base64_simd::STANDARD.encode_to_string(pair);
    Some(format!("Basic {encoded}"))
}

/// The address with `mask` in place of everything that may be a credential; `None` if it holds
/// nothing of the kind.
#[must_use]
pub fn masked(url: &Url, mask: &str) -> Option<String> {
    let mut found = false;
    let mut hide = |shown: bool, text: &str| {
        found |= !shown;
        if shown { text } else { mask }.to_owned()
    };
    let mut out = format!("{}://", url.scheme());
    if !url.username().is_empty() || url.password().is_some() {
        out.push_str(&hide(false, ""));
        out.push('@');
    }
    out.push_str(url.host_str().unwrap_or_default());
    if let Some(port) = url.port() {
        out.push_str(&format!(":{port}"));
    }
    let decoded = url.path().replace("%7B", "{").replace("%7D", "}");
    let words: Vec<String> = decoded
        .split('/')
        .map(|word| hide(is_plain(word), word))
        .collect();
    out.push_str(&words.join("/"));
    if let Some(query) = url.query() {
        let pairs: Vec<String> = query
            .split('&')
            .map(|pair| match pair.split_once('=') {
                Some((name, value)) if is_plain(name) || is_secret_name(name) => {
                    format!("{name}={}", hide(HARMLESS.contains(&name), value))
                }
                _ => hide(false, pair),
            })
            .collect();
        out.push('?');
        out.push_str(&pairs.join("&"));
    }
    if url.fragment().is_some() {
        out.push('#');
        out.push_str(&hide(false, ""));
    }
    found.then_some(out)
}

/// The same of a text that may be an address; of one that is not, what precedes an `@` and follows
/// a `?` is masked.
#[must_use]
pub fn masked_text(text: &str, mask: &str) -> String {
    if let Ok(url) = Url::parse(text)
        && url.has_host()
    {
        return masked(&url, mask).unwrap_or_else(|| url.to_string());
    }
    let (visible, query) = match text.split_once('?') {
        Some((visible, _)) => (visible, format!("?{mask}")),
        None => (text, String::new()),
    };
    match visible.rsplit_once('@') {
        Some((_, host)) => format!("{mask}@{host}{query}"),
        None => format!("{visible}{query}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let url = Url::parse(text).unwrap();
        masked(&url, "***").unwrap_or_else(|| text.to_owned())
    }

    #[test]
    fn ordinary_addresses_are_shown_as_they_are() {
        for text in [
            "http://localhost:9529",
            "https://collector.example/v1/write/logging",
            "http://h:8086/api/v2/write?org=shop&bucket=logs&precision=ns",
            "http://h/insert/loki/api/v1/push",
            "http://h/v1/write/{category}",
            "http://127.0.0.1:8428/api/v1/import/prometheus?extra_label=env=prod",
        ] {
            assert_eq!(shown(text), text);
        }
    }

    #[test]
    fn credentials_are_masked_wherever_they_stand() {
        for (text, expected) in [
            ("http://user@h/", "http://***@h/"),
            ("http://user:password@h/", "http://***@h/"),
            ("http://:password@h/", "http://***@h/"),
            ("http://h/in/tokn_0123/x?tkn_9", "http://h/in/***/x?***"),
            (
                "http://h/services/T00/B00/XXXX",
                "http://h/services/***/***/***",
            ),
            ("http://h/d41d8cd98f00b204/x", "http://h/***/x"),
            ("http://h/x?p=hunter2&db=a", "http://h/x?p=***&db=a"),
            ("http://h/x?sig=hunter2", "http://h/x?sig=***"),
            ("http://h/x?api%5Fkey=hunter2", "http://h/x?api%5Fkey=***"),
            ("http://h/x#hunter2", "http://h/x#***"),
            ("http://h/x?apikey=a=b", "http://h/x?apikey=***"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn user_and_password_become_a_header() {
        let header = |text: &str| basic_authorization(&Url::parse(text).unwrap());
        assert_eq!(header("http://h/"), None);
        assert_eq!(
            header("http://me:pa%20ss@h/").unwrap(),
            "Basic bWU6cGEgc3M="
        );
        assert_eq!(header("http://a+b@h/").unwrap(), "Basic YStiOg==");
        assert_eq!(header("http://%ff@h/").unwrap(), "Basic /zo=");
    }

    #[test]
    fn text_that_is_not_an_address_shows_no_credentials_either() {
        assert_eq!(masked_text("me:pw@h:1/x?token=1", "***"), "***@h:1/x?***");
        assert_eq!(masked_text("h:1/x", "***"), "h:1/x");
        assert_eq!(masked_text("http://h/x?p=1", "***"), "http://h/x?p=***");
    }
}
