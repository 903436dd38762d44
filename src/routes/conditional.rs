//! Conditional requests: a change is made to the version that its author saw.

use actix_web::HttpRequest;
use actix_web::http::header::IF_MATCH;

use super::problem::{Kind, Problem};

/// Refuses a request whose `If-Match` names other versions than the present one; `None` means that
/// there is nothing. Tags are compared strongly (RFC 9110, 13.1.1): a weak one never matches.
pub(super) fn if_match(request: &HttpRequest, etag: Option<&str>) -> Result<(), Problem> {
    let mut wanted = request.headers().get_all(IF_MATCH).peekable();
    if wanted.peek().is_none() {
        return Ok(());
    }
    let found = wanted
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split(','))
        .map(str::trim)
        .any(|tag| etag.is_some_and(|etag| tag == "*" || tag == etag));
    if found {
        return Ok(());
    }
    let problem = Problem::new(
        Kind::PreconditionFailed,
        match etag {
            Some(etag) => format!("the present version is {etag}"),
            None => "there is nothing here yet".to_owned(),
        },
    );
    Err(match etag {
        Some(etag) => problem.with_etag(etag),
        None => problem,
    })
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn only_the_present_version_matches() {
        for (header, etag, passes) in [
            (None, Some("\"a\""), true),
            (None, None, true),
            (Some("\"a\""), Some("\"a\""), true),
            (Some("\"b\", \"a\""), Some("\"a\""), true),
            (Some("\"b\""), Some("\"a\""), false),
            (Some("W/\"a\""), Some("\"a\""), false),
            (Some("*"), Some("\"a\""), true),
            (Some("*"), None, false),
            (Some("\"a\""), None, false),
        ] {
            let request = TestRequest::default();
            let request = match header {
                Some(header) => request.insert_header((IF_MATCH, header)),
                None => request,
            };
            let outcome = if_match(&request.to_http_request(), etag);
            assert_eq!(outcome.is_ok(), passes, "{header:?} {etag:?}");
        }
    }
}
