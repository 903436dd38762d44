//! Headers by which the centre accounts for what it receives.

use http::{HeaderName, HeaderValue};

use super::header_value;

const POINTS: HeaderName = HeaderName::from_static("x-points");
const PACKAGE_ID: HeaderName = HeaderName::from_static("x-pkg-id");

/// The headers of a request of `items` items whose [`idempotency_key`](super::idempotency_key) is
/// `key`: how many points it holds, and an id that stays the same when the request is sent again.
#[must_use]
pub fn package_headers(items: usize, key: &HeaderValue) -> Vec<(HeaderName, HeaderValue)> {
    // The digest stands last; what comes before it repeats the coordinates for people.
    let digest = key
        .to_str()
        .ok()
        .and_then(|key| key.rsplit('/').next())
        .unwrap_or_default();
    vec![
        (POINTS, HeaderValue::from(items)),
        (PACKAGE_ID, header_value(format!("dk_{digest}").as_bytes())),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_says_its_points_and_an_id() {
        for key in ["abc", "topic/0/1-2/abc"] {
            let headers = package_headers(7, &HeaderValue::from_static(key));
            assert_eq!(headers[0], (POINTS, HeaderValue::from_static("7")));
            assert_eq!(headers[1], (PACKAGE_ID, HeaderValue::from_static("dk_abc")));
        }
    }
}
