//! URLs and headers as they may be shown.

use url::Url;

/// What stands where a secret was.
pub(super) const MASK: &str = "***";

/// True for a header or query parameter whose value is taken for a secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    const PARTS: [&str; 8] = [
        "token", "secret", "password", "passwd", "auth", "key", "cookie", "sign",
    ];
    let name = name.to_ascii_lowercase();
    // InfluxDB's own name for the password; a key that only names the request is no secret.
    name == "p" || (name != "idempotency-key" && PARTS.iter().any(|part| name.contains(part)))
}

/// True for the token forms of the DataFlux centre wherever they stand.
fn is_secret_word(word: &str) -> bool {
    ["tkn_", "token_", "tokn_"]
        .iter()
        .any(|prefix| word.starts_with(prefix))
}

pub(super) fn mask_url(url: &Url) -> String {
    let mut out = format!("{}://", url.scheme());
    if !url.username().is_empty() || url.password().is_some() {
        out.push_str(MASK);
        out.push('@');
    }
    out.push_str(url.host_str().unwrap_or_default());
    if let Some(port) = url.port() {
        out.push_str(&format!(":{port}"));
    }
    let segments = url.path().split('/');
    let masked: Vec<&str> = segments
        .map(|word| if is_secret_word(word) { MASK } else { word })
        .collect();
    out.push_str(&masked.join("/"));
    if let Some(query) = url.query() {
        let pairs: Vec<String> = query.split('&').map(mask_pair).collect();
        out.push('?');
        out.push_str(&pairs.join("&"));
    }
    out
}

fn mask_pair(pair: &str) -> String {
    match pair.split_once('=') {
        Some((name, value)) if is_secret_name(name) || is_secret_word(value) => {
            format!("{name}={MASK}")
        }
        None if is_secret_word(pair) => MASK.to_owned(),
        _ => pair.to_owned(),
    }
}

/// Masks text that is no valid URL: whatever precedes an `@` and follows a `?` goes.
pub(super) fn mask_text(text: &str) -> String {
    if let Ok(url) = Url::parse(text)
        && url.has_host()
    {
        return mask_url(&url);
    }
    let visible = text.split('?').next().unwrap_or_default();
    let host = visible.rsplit('@').next().unwrap_or_default();
    let masked = |whole: &str| {
        if host.len() < whole.len() {
            format!("{MASK}@{host}")
        } else {
            host.to_owned()
        }
    };
    let mut out = masked(visible);
    if visible.len() < text.len() {
        out.push('?');
        out.push_str(MASK);
    }
    out
}
