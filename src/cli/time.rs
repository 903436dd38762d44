//! Moments as people write them on a command line.

use std::time::SystemTime;

use crate::settings::parse_time;

/// Reads a moment: RFC 3339, or how long ago it was, as `2h` or `1day 6h`. In milliseconds since 1970.
pub(super) fn moment(text: &str) -> Result<i64, String> {
    let time = match parse_time(text) {
        Some(time) => Some(time),
        None => humantime::parse_duration(text)
            .ok()
            .and_then(|ago| SystemTime::now().checked_sub(ago)),
    };
    let wrong = || {
        format!("`{text}` is no time; write it like 2026-11-22T18:00:00Z, or 2h for two hours ago")
    };
    let since = time
        .and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok())
        .ok_or_else(wrong)?;
    i64::try_from(since.as_millis()).map_err(|_| wrong())
}
