//! `GET /`: the console, one page without anything from elsewhere.
//!
//! The page itself holds nothing secret and is served without a token, since a browser cannot
//! show a token when it opens a page; what it shows it asks for with the token that its user gives.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use base64_simd::STANDARD;
use sha2::{Digest, Sha256};

use super::operation::{Need, Operation};

const PAGE: &str = include_str!("console/page.html");
const STYLE: &str = include_str!("console/style.css");
const SCRIPT: &str = include_str!("console/script.js");

/// The page, and the policy that lets nothing run but its own script.
static CONSOLE: LazyLock<(String, String)> = LazyLock::new(|| {
    let page = PAGE
        .replace("/* style */", STYLE)
        .replace("/* script */", SCRIPT);
    let hash = |text: &str| STANDARD.encode_to_string(Sha256::digest(text));
    let policy = format!(
        "default-src 'none'; connect-src 'self'; style-src 'sha256-{}'; script-src 'sha256-{}'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    (page, policy)
});

/// `GET /`
pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new(Method::GET, "/", "getConsole", Need::Nothing, show)
            .about("The console", "A page for people.")
            .answers_as::<String>(200, "text/html", "The page."),
    ]
}

async fn show() -> HttpResponse {
    let (page, policy) = &*CONSOLE;
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((CONTENT_SECURITY_POLICY, policy.as_str()))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(page.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_whole_and_asks_nobody_else() {
        let (page, policy) = &*CONSOLE;
        assert!(page.contains(STYLE) && page.contains(SCRIPT));
        assert!(!page.contains("http://") && !page.contains("https://"));
        // What a record says must never become part of the page.
        assert!(!page.contains("innerHTML") && !page.contains(" onclick="));
        assert_eq!(policy.matches("sha256-").count(), 2);
    }
}
