//! Durations, sizes and times as people write them.

use std::time::{Duration, SystemTime};

/// Reads `"30s"`, `"1h 30m"` or a plain number of seconds.
///
/// # Errors
///
/// A sentence for the operator.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds)
            .map_err(|_| format!("`{text}` is not a duration"));
    }
    humantime::parse_duration(text)
        .map_err(|_| format!("`{text}` is not a duration; write it like \"30s\" or \"5m\""))
}

/// Reads `"64MiB"`, `"10 MB"`, `"512k"` or a plain number of bytes. A bare `k`, `m`, `g` is binary.
///
/// # Errors
///
/// A sentence for the operator.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let trimmed = text.trim();
    let wrong = || format!("`{trimmed}` is not a size; write it like \"64MiB\" or \"500kB\"");
    let digits = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_');
    let (number, unit) = trimmed.split_at(digits.unwrap_or(trimmed.len()));
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return Err(wrong()),
    };
    let number = number.replace('_', "");
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor).ok_or_else(wrong);
    }
    let fraction: f64 = number.parse().map_err(|_| wrong())?;
    let product = fraction * factor as f64;
    if product.is_finite() && product < u64::MAX as f64 {
        Ok(product as u64)
    } else {
        Err(wrong())
    }
}

/// Reads an RFC 3339 time.
#[must_use]
pub fn time(text: &str) -> Option<SystemTime> {
    // Offsets other than `Z` are rare in configuration but TOML allows them.
    if let Ok(time) = humantime::parse_rfc3339_weak(text) {
        return Some(time);
    }
    let cut = text.len().checked_sub(6)?;
    let (date, zone) = (text.get(..cut)?, text.get(cut..)?);
    let time = humantime::parse_rfc3339_weak(date).ok()?;
    let (sign, rest) = zone.split_at_checked(1)?;
    let (hours, minutes) = rest.split_once(':')?;
    let shift = Duration::from_secs(
        hours.parse::<u64>().ok()?.checked_mul(3600)? + minutes.parse::<u64>().ok()? * 60,
    );
    match sign {
        "+" => time.checked_sub(shift),
        "-" => time.checked_add(shift),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_or_are_seconds() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("0.25"), Ok(Duration::from_millis(250)));
        assert!(duration("-1").is_err());
        assert!(duration("soon").is_err());
    }

    #[test]
    fn sizes_are_binary_or_decimal() {
        assert_eq!(bytes("256MiB"), Ok(256 << 20));
        assert_eq!(bytes("10 MB"), Ok(10_000_000));
        assert_eq!(bytes("1.5k"), Ok(1536));
        assert_eq!(bytes("1_000"), Ok(1000));
        assert!(bytes("99999999999TiB").is_err());
        assert!(bytes("many").is_err());
        assert!(bytes("-1").is_err());
    }

    #[test]
    fn times_may_have_offsets() {
        let utc = time("2025-01-31T08:00:00Z");
        assert!(utc.is_some());
        assert_eq!(time("2025-01-31T10:30:00+02:30"), utc);
        assert_eq!(time("2025-01-31T03:00:00-05:00"), utc);
        assert_eq!(time("tomorrow"), None);
    }
}
