//! URLs, taken apart by the rules of the log pipelines that already rely on them (lenient about characters, strict
//! about escapes, host and port).

use super::percent::{decode_path, decode_query, hex};
use std::net::Ipv6Addr;

/// Why a text is not a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UrlError {
    /// A percent escape is broken.
    #[error("invalid percent escape")]
    Escape,
    /// A control character outside the fragment.
    #[error("control character")]
    Control,
    /// It begins with a colon, or the first segment of a path without a scheme has one.
    #[error("missing scheme before `:`")]
    Scheme,
    /// Something in the user information that does not belong there.
    #[error("invalid user information")]
    User,
    /// The host is malformed.
    #[error("invalid host")]
    Host,
    /// The port is not a number.
    #[error("invalid port")]
    Port,
}

/// The parts of a URL.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Url {
    /// Lower case, empty without one.
    pub(crate) scheme: String,
    /// With port and brackets, case kept.
    pub(crate) host: String,
    /// Digits or empty.
    pub(crate) port: String,
    /// Decoded.
    pub(crate) path: String,
    /// Names and values of the query in order of appearance, repeated ones joined with commas.
    pub(crate) params: Vec<(String, String)>,
}

impl Url {
    /// Takes a URL apart.
    ///
    /// # Errors
    /// If the text is not a URL.
    pub(crate) fn parse(text: &str) -> Result<Self, UrlError> {
        let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
        decode_path(fragment).map_err(|_| UrlError::Escape)?;
        if text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
            return Err(UrlError::Control);
        }
        let mut url = Self::default();
        if text == "*" {
            url.path = text.to_owned();
            return Ok(url);
        }
        let rest = match split_scheme(text)? {
            Some((scheme, rest)) => {
                url.scheme = scheme.to_ascii_lowercase();
                rest
            }
            None => text,
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        url.params = params(query);
        if !rest.starts_with('/') {
            if !url.scheme.is_empty() {
                return Ok(url);
            }
            let segment = rest.split('/').next().unwrap_or(rest);
            if segment.contains(':') {
                return Err(UrlError::Scheme);
            }
        }
        let mut path = rest;
        if (!url.scheme.is_empty() || !rest.starts_with("///"))
            && let Some(authority) = rest.strip_prefix("//")
        {
            let end = authority.find('/').unwrap_or(authority.len());
            let (authority, behind) = authority.split_at(end);
            path = behind;
            (url.host, url.port) = host_and_port(authority)?;
        }
        url.path = lossy(decode_path(path).map_err(|_| UrlError::Escape)?);
        Ok(url)
    }
}

fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn split_scheme(text: &str) -> Result<Option<(&str, &str)>, UrlError> {
    let Some((scheme, rest)) = text.split_once(':') else {
        return Ok(None);
    };
    if scheme.is_empty() {
        return Err(UrlError::Scheme);
    }
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let valid = scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(inner);
    Ok(valid.then_some((scheme, rest)))
}

fn params(query: &str) -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> = Vec::new();
    for part in query.split('&') {
        if part.is_empty() || part.contains(';') {
            continue;
        }
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let (Ok(name), Ok(value)) = (decode_query(name), decode_query(value)) else {
            continue;
        };
        let (name, value) = (lossy(name), lossy(value));
        match out.iter_mut().find(|(known, _)| *known == name) {
            Some((_, all)) => {
                all.push(',');
                all.push_str(&value);
            }
            None => out.push((name, value)),
        }
    }
    out
}

fn host_and_port(authority: &str) -> Result<(String, String), UrlError> {
    let host = match authority.rsplit_once('@') {
        Some((user, host)) => {
            let allowed = |c: char| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c);
            if !user.chars().all(allowed) || decode_path(user).is_err() {
                return Err(UrlError::User);
            }
            host
        }
        None => authority,
    };
    let (host, port) = match host.strip_prefix('[') {
        Some(inner) => {
            let (address, behind) = inner.rsplit_once(']').ok_or(UrlError::Host)?;
            let (ip, zone) = match address.split_once("%25") {
                Some((ip, zone)) => (ip, Some(zone)),
                None => (address, None),
            };
            ip.parse::<Ipv6Addr>().map_err(|_| UrlError::Host)?;
            let mut host = format!("[{ip}");
            if let Some(zone) = zone {
                let zone = decode_path(zone).map_err(|_| UrlError::Escape)?;
                if zone.is_empty() {
                    return Err(UrlError::Host);
                }
                host.push('%');
                host.push_str(&lossy(zone));
            }
            host.push(']');
            let port = match behind {
                "" => None,
                _ => Some(behind.strip_prefix(':').ok_or(UrlError::Port)?),
            };
            if let Some(port) = port {
                host.push(':');
                host.push_str(port);
            }
            (host, port)
        }
        None => {
            if host.contains('[') {
                return Err(UrlError::Host);
            }
            (
                decode_host(host)?,
                host.rsplit_once(':').map(|(_, port)| port),
            )
        }
    };
    let port = port.unwrap_or("");
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(UrlError::Port);
    }
    Ok((host, port.to_owned()))
}

/// Escapes of bytes beyond ASCII and of the percent sign are decoded, others are errors.
fn decode_host(host: &str) -> Result<String, UrlError> {
    let mut out = Vec::with_capacity(host.len());
    let mut rest = host.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match *byte {
            b'%' => {
                let [high, low, after @ ..] = tail else {
                    return Err(UrlError::Escape);
                };
                let value = hex(*high).zip(hex(*low)).map(|(h, l)| h << 4 | l);
                match value.ok_or(UrlError::Escape)? {
                    value @ (b'%' | 0x80..) => out.push(value),
                    _ => return Err(UrlError::Host),
                }
                rest = after;
            }
            byte if byte >= 0x80
                || byte.is_ascii_alphanumeric()
                || b"-_.~!$&'()*+,;=:[]<>\"".contains(&byte) =>
            {
                out.push(byte);
            }
            _ => return Err(UrlError::Host),
        }
    }
    Ok(lossy(out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(text: &str) -> [String; 4] {
        let url = Url::parse(text).unwrap();
        [url.scheme, url.host, url.port, url.path]
    }

    #[test]
    fn urls() {
        for (text, result) in [
            (
                "HTTPS://u:p@Example.com:8443/a%20b+c?q=1#frag",
                ["https", "Example.com:8443", "8443", "/a b+c"],
            ),
            ("mailto:a@b.c?x=1", ["mailto", "", "", ""]),
            ("svc:9090/x", ["svc", "", "", ""]),
            ("/just/a path", ["", "", "", "/just/a path"]),
            ("//h/p", ["", "h", "", "/p"]),
            ("///p", ["", "", "", "///p"]),
            ("file:///p", ["file", "", "", "/p"]),
            (
                "http://[::1%25eth0]:80/",
                ["http", "[::1%eth0]:80", "80", "/"],
            ),
            ("http://a:1:2/", ["http", "a:1:2", "2", "/"]),
            ("*", ["", "", "", "*"]),
            ("", ["", "", "", ""]),
            ("http://%E4%BD%A0/", ["http", "你", "", "/"]),
        ] {
            assert_eq!(parts(text), result, "{text}");
        }
        for text in [
            ":x",
            "10.0.0.1:80/x",
            "http://a b/",
            "http://[::1",
            "http://[x]/",
            "http://a[/",
            "http://h:8x/",
            "http://h/%zz",
            "http://u{@h/",
            "a\tb",
            "x#%4",
            "http://%41/",
            "http://[::1]80/",
            "http://a%/",
        ] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn queries() {
        let url = Url::parse("/?a=1&b&a=2%2C3&bad=%z&c;d=1&&e+f=g+h").unwrap();
        let params: Vec<_> = url
            .params
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(params, [("a", "1,2,3"), ("b", ""), ("e f", "g h")]);
    }

    proptest! {
        #[test]
        fn any_text_has_an_answer(text in r"([a-z:/?#@%\[\]&=;.]|é|http://|%41){0,30}") {
            let _url = Url::parse(&text);
        }
    }
}
