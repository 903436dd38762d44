//! URLs and headers as they may be shown.

use url::Url;

pub(super) use kafkamq_address::is_secret_name;

/// What stands where a secret was.
pub(super) const MASK: &str = "***";

pub(super) fn mask_url(url: &Url) -> String {
    kafkamq_address::masked(url, MASK).unwrap_or_else(|| url.to_string())
}

/// The same of text that may not be a URL.
pub(super) fn mask_text(text: &str) -> String {
    kafkamq_address::masked_text(text, MASK)
}
