//! Moments as people write them on a command line.

use std::time::SystemTime;

use kafkamq_settings::parse_time;

/// Reads a moment: RFC 3339, milliseconds since 1970, or how long ago it was, as `2h`, `-2h` or
/// `1day 6h`. In milliseconds since 1970.
pub(super) fn moment(text: &str) -> Result<i64, String> {
    if let Ok(millis) = text.parse::<u64>() {
        return i64::try_from(millis).map_err(|_| format!("`{text}` is not a time"));
    }
    let time = match parse_time(text) {
        Some(time) => Some(time),
        None => humantime::parse_duration(text.strip_prefix('-').unwrap_or(text))
            .ok()
            .and_then(|ago| SystemTime::now().checked_sub(ago)),
    };
    let wrong = || {
        format!(
            "`{text}` is not a time; write it like 2026-11-22T18:00:00Z, or 2h for two hours ago"
        )
    };
    let since = time
        .and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok())
        .ok_or_else(wrong)?;
    i64::try_from(since.as_millis()).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_date_a_number_or_a_span() {
        assert_eq!(moment("1970-01-01T00:00:01Z"), Ok(1000));
        assert_eq!(moment("1700000000000"), Ok(1_700_000_000_000));
        let near = |text: &str, ago: i64| {
            let now = i64::try_from(
                SystemTime::now()
                    .duration_since(SystemTime::UNIX_EPOCH)
                    .unwrap()
                    .as_millis(),
            );
            (now.unwrap() - ago - moment(text).unwrap()).abs() < 60_000
        };
        assert!(near("2h", 7_200_000) && near("-2h", 7_200_000));
        for wrong in ["", "-", "soon", "--2h", "99999999999999999999"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }
}
