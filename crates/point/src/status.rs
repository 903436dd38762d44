//! The status of log points: one spelling per level, whatever the source wrote.

use std::borrow::Cow;

use crate::{Point, Value};

const LEVELS: [(&str, &[&str]); 8] = [
    ("info", &["i", "info", ""]),
    ("error", &["e", "error"]),
    ("warning", &["w", "warn", "warning"]),
    ("debug", &["d", "debug", "trace", "verbose"]),
    ("notice", &["n", "notice"]),
    ("critical", &["c", "critical"]),
    ("alert", &["a", "alert"]),
    ("emerg", &["f", "emerg"]),
];
const OK: [&str; 3] = ["o", "s", "ok"];

/// The level a status text stands for, case ignored: abbreviations are spelled out, the empty text
/// means `info`, and a word that is not a level stays, in lower case.
#[must_use]
pub(crate) fn normalise_status(text: &str) -> Cow<'_, str> {
    let means = |spellings: &[&str]| spellings.iter().any(|s| s.eq_ignore_ascii_case(text));
    if let Some((level, _)) = LEVELS.iter().find(|(_, spellings)| means(spellings)) {
        return Cow::Borrowed(level);
    }
    if means(&OK) {
        return Cow::Borrowed("OK");
    }
    if text
        .chars()
        .any(|c| !c.is_ascii() || c.is_ascii_uppercase())
    {
        Cow::Owned(text.to_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

/// Applies `normalise_status` to the key `status` of a point, tag or field, where it holds text.
pub fn normalise_point_status(point: &mut Point) {
    if let Some((Value::Str(text), _)) = point.value_mut("status") {
        let level = normalise_status(text);
        if level != text.as_str() {
            *text = level.into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Category;

    #[test]
    fn every_spelling_has_its_level() {
        for (spellings, level) in [
            ("f emerg EMERG", "emerg"),
            ("a Alert", "alert"),
            ("c critical", "critical"),
            ("e E ERROR", "error"),
            ("w warn Warning", "warning"),
            ("n notice", "notice"),
            ("i INFO", "info"),
            ("d debug trace VERBOSE", "debug"),
            ("o s ok Ok OK", "OK"),
            ("Fatal fatal FATAL", "fatal"),
        ] {
            for spelling in spellings.split(' ') {
                assert_eq!(normalise_status(spelling), level, "{spelling}");
            }
        }
        assert_eq!(normalise_status(""), "info");
        assert_eq!(normalise_status("ÄRGER"), "ärger");
    }

    #[test]
    fn only_text_is_touched() {
        let mut point = Point::new("m", Category::Logging, 1);
        normalise_point_status(&mut point);
        assert_eq!(point.get("status"), None);
        point.set_field("status", 3i64);
        normalise_point_status(&mut point);
        assert_eq!(point.get("status").unwrap().value, Value::Int(3));
        point.set_tag("status", "W");
        normalise_point_status(&mut point);
        assert_eq!(point.tags().next(), Some(("status", "warning")));
    }
}
