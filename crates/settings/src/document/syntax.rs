//! Mistakes of syntax in the words of somebody who writes such a file: what is wrong and what to
//! write instead. The parser says what it expected, which is another thing.

use std::ops::Range;

use toml::de::Error;

use super::Diagnostic;

/// One finding for each mistake. The parser goes on after one and finds more in what is left of
/// the line; those are left out.
pub(super) fn findings(text: &str, errors: &[Error]) -> Vec<(Diagnostic, Option<Range<usize>>)> {
    let mut found: Vec<(Diagnostic, Option<Range<usize>>)> = Vec::new();
    let mut last_line = None;
    for error in errors {
        let span = error.span();
        let line = span.as_ref().map(|span| line_start(text, span.start));
        if line.is_some() && line == last_line {
            continue;
        }
        last_line = line;
        let rest = span.as_ref().and_then(|span| text.get(span.start..));
        let line = line.and_then(|start| text.get(start..));
        let line = line
            .and_then(|line| line.lines().next())
            .unwrap_or_default();
        let finding = explain(error.message(), rest.unwrap_or_default(), line);
        found.push((finding, span));
    }
    found
}

fn line_start(text: &str, at: usize) -> usize {
    let before = text.get(..at).unwrap_or(text);
    before.rfind('\n').map_or(0, |at| at + 1)
}

/// What is meant by `message`, which stands before `rest` in `line`.
fn explain(message: &str, rest: &str, line: &str) -> Diagnostic {
    let says = |text: &str| message.contains(text);
    let next = rest.chars().next();
    let plain = |message: &str, hint: &str| Diagnostic::error("", message).with_hint(hint);
    if next == Some('{') && says("invalid key") {
        return plain(
            "the file is JSON, not TOML",
            "write keys as `key = value` below headers such as `[output]`",
        );
    }
    let colon = line
        .find(':')
        .is_some_and(|at| line.find('=').is_none_or(|equals| at < equals));
    if says("key") && colon {
        return plain("`:` does not separate key and value", "write `key = value`");
    }
    if next == Some(',') && says("unexpected key or value") {
        return plain("a comma does not end a line", "remove the comma");
    }
    if rest.starts_with(['\u{2018}', '\u{2019}', '\u{201c}', '\u{201d}']) {
        return plain(
            "typographic quotation marks do not quote",
            "use straight quotation marks: \"...\"",
        );
    }
    if says("string values must be quoted")
        || says("invalid boolean")
        || (says("invalid") && says("expected nothing"))
    {
        return plain("the value is not quoted", &quoted(line));
    }
    if says("invalid basic string") || says("invalid literal string") {
        return plain(
            "the text has no closing quotation mark",
            "close it with the same mark before the end of the line",
        );
    }
    if says("missing comma") {
        return plain(
            "a comma is missing between two elements",
            "write `[\"a\", \"b\"]`",
        );
    }
    if says("duplicate key") {
        return plain("the key is given twice in this table", "keep one of them");
    }
    if says("unclosed array table") || says("unclosed table") {
        return plain(
            "the header is not closed",
            "write `[table]`, or `[[table]]` where several may follow each other",
        );
    }
    if says("unclosed array") {
        return plain("the list is not closed", "close it with `]`");
    }
    if says("unclosed inline table") {
        return plain("the table is not closed", "close it with `}`");
    }
    if says("key with no value") {
        return plain("the key has no value", "write `key = value`");
    }
    Diagnostic::error("", message)
}

/// The line with its value in quotation marks. Values that may be secret are left out.
fn quoted(line: &str) -> String {
    match line.split_once('=') {
        Some((key, value)) if !kafkamq_address::is_secret_name(key) => {
            let value = value.trim().trim_end_matches(',').trim_matches('"');
            format!("write `{} = \"{value}\"`", key.trim())
        }
        _ => "write `key = \"value\"`".to_owned(),
    }
}
