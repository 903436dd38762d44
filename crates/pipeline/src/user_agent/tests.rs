//! Real agents, and agents that only look like some.

use super::*;
use proptest::prelude::*;

fn read(text: &str) -> String {
    let a = Agent::parse(text);
    format!(
        "{} {} | {} {} | {} | {} | {} {}",
        a.browser, a.browser_version, a.engine, a.engine_version, a.os, a.platform, a.mobile, a.bot
    )
}

#[test]
fn agents() {
    for (text, result) in [
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/121.0.6167.85 Safari/537.36",
            "Chrome 121.0.6167.85 | AppleWebKit 537.36 | Windows 10 | Windows | false false",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.2 Mobile/15E148 Safari/604.1",
            "Safari 17.2 | AppleWebKit 605.1.15 | CPU iPhone OS 17_2 like Mac OS X | iPhone | true false",
        ),
        (
            "Mozilla/5.0 (Linux; Android 13; SM-S911B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.6099.230 Mobile Safari/537.36",
            "Chrome 120.0.6099.230 | AppleWebKit 537.36 | Android 13 | Linux | true false",
        ),
        (
            "Mozilla/5.0 (X11; Fedora; Linux x86_64; rv:121.0) Gecko/20100101 Firefox/121.0",
            "Firefox 121.0 | Gecko 20100101 | Fedora | X11 | false false",
        ),
        (
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Googlebot 2.1 |   |  |  | false true",
        ),
        ("curl/8.5.0", "curl 8.5.0 |   |  |  | false false"),
        ("okhttp/4.9.3", "OkHttp 4.9.3 |   |  |  | true false"),
        (
            "Dalvik/2.1.0 (Linux; U; Android 11; Pixel 5)",
            "  |   | Android 11 | Linux | true false",
        ),
        ("-", "-  |   |  |  | false false"),
        ("", "  |   |  |  | false false"),
        (
            "Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko",
            "Internet Explorer 11.0 | Trident  | Windows 7 | Windows | false false",
        ),
    ] {
        assert_eq!(read(text), result, "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_has_an_answer(text in r"(Mozilla|Opera|Linux|U|; |\(|\)|\[|\]|/| |AppleWebKit|Gecko|http://a\.b|é|\.){0,30}") {
        let _agent = Agent::parse(&text);
    }
}
