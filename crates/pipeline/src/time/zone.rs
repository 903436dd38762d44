//! Time zones by name: IANA names, short offsets such as `+8`, and the process's own zone.
//!
//! Names are looked up in the database that is compiled in, so a name never reaches the file
//! system and answers the same on every host.

use std::sync::LazyLock;

use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::{Civil, NANOS_PER_SECOND};

/// A rule that maps clock times to instants and back. Clones are cheap.
#[derive(Debug, Clone)]
pub struct Zone(Rule);

#[derive(Debug, Clone)]
enum Rule {
    /// Seconds east of Greenwich; needs no look-up.
    Fixed(i32),
    Named(TimeZone),
}

/// A text that names no zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown time zone `{0}`")]
pub struct UnknownZone(pub String);

/// What a clock in a zone shows at an instant.
#[derive(Debug, Clone)]
pub struct LocalMoment {
    /// The date and clock time.
    pub(crate) civil: Civil,
    /// Seconds east of Greenwich.
    pub offset: i32,
    /// The abbreviation of the zone, such as `CST`; the offset where it has none.
    pub(crate) abbreviation: String,
}

/// Short names and the zones they stand for. Where a city keeps daylight saving time the short name
/// does too. The cities behind `+6` and `-1` (Almaty, Scoresbysund) have left these offsets, so the
/// two names stand for the offsets themselves.
const SHORT_NAMES: [(&str, &str); 38] = [
    ("-11", "Pacific/Midway"),
    ("-10", "Pacific/Honolulu"),
    ("-9:30", "Pacific/Marquesas"),
    ("-9", "America/Anchorage"),
    ("-8", "America/Los_Angeles"),
    ("-7", "America/Phoenix"),
    ("-6", "America/Chicago"),
    ("-5", "America/New_York"),
    ("-4", "America/Santiago"),
    ("-3:30", "America/St_Johns"),
    ("-3", "America/Sao_Paulo"),
    ("-2", "America/Noronha"),
    ("-1", "Etc/GMT+1"),
    ("+0", "Europe/London"),
    ("+1", "Europe/Vatican"),
    ("+2", "Europe/Kiev"),
    ("+3", "Europe/Moscow"),
    ("+3:30", "Asia/Tehran"),
    ("+4", "Asia/Dubai"),
    ("+4:30", "Asia/Kabul"),
    ("+5", "Asia/Samarkand"),
    ("+5:30", "Asia/Kolkata"),
    ("+5:45", "Asia/Kathmandu"),
    ("+6", "Etc/GMT-6"),
    ("+6:30", "Asia/Yangon"),
    ("+7", "Asia/Jakarta"),
    ("+8", "Asia/Shanghai"),
    ("+8:45", "Australia/Eucla"),
    ("+9", "Asia/Tokyo"),
    ("+9:30", "Australia/Darwin"),
    ("+10", "Australia/Sydney"),
    ("+10:30", "Australia/Lord_Howe"),
    ("+11", "Pacific/Guadalcanal"),
    ("+12", "Pacific/Auckland"),
    ("+12:45", "Pacific/Chatham"),
    ("+13", "Pacific/Apia"),
    ("+14", "Pacific/Kiritimati"),
    ("CST", "Asia/Shanghai"),
];

static DATABASE: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Self = Self(Rule::Fixed(0));

    /// A fixed offset in seconds east of Greenwich.
    #[must_use]
    pub(crate) const fn fixed(offset: i32) -> Self {
        Self(Rule::Fixed(offset))
    }

    /// A zone of the database, such as the host's own.
    #[must_use]
    pub fn of(zone: &TimeZone) -> Self {
        match zone.to_fixed_offset() {
            Ok(offset) => Self::fixed(offset.seconds()),
            Err(_) => Self(Rule::Named(zone.clone())),
        }
    }

    /// The zone a script names: as [`Zone::named`], and `Local` or nothing for `local`.
    ///
    /// # Errors
    /// Returns the name if it is none of these.
    pub(crate) fn argument(name: &str, local: &TimeZone) -> Result<Self, UnknownZone> {
        match name {
            "" | "Local" => Ok(Self::of(local)),
            name => Self::named(name),
        }
    }

    /// Looks a zone up: as `Zone::listed`, or an offset `±h`, `±hh`, `±hhmm`, `±h:mm`, `±hh:mm`
    /// from -12:00 to +14:00.
    ///
    /// # Errors
    /// Returns the name if it is none of these.
    pub fn named(name: &str) -> Result<Self, UnknownZone> {
        Self::listed(name).or_else(|unknown| whole_offset(name).map(Self::fixed).ok_or(unknown))
    }

    /// Looks a zone up: an IANA name in its exact spelling, or a short name such as `+8` or `CST`.
    ///
    /// # Errors
    /// Returns the name if it is none of these.
    pub(crate) fn listed(name: &str) -> Result<Self, UnknownZone> {
        let by_short_name = || {
            let (_, zone) = SHORT_NAMES.iter().find(|(short, _)| *short == name)?;
            Self::iana(zone)
        };
        Self::iana(name)
            .or_else(by_short_name)
            .ok_or_else(|| UnknownZone(name.to_owned()))
    }

    /// The zone of an IANA name in its exact spelling.
    #[must_use]
    pub(crate) fn iana(name: &str) -> Option<Self> {
        let zone = DATABASE.get(name).ok()?;
        // The database ignores letter case; names here do not.
        (zone.iana_name() == Some(name)).then(|| Self::of(&zone))
    }

    /// The instant, in nanoseconds since the Unix epoch, at which clocks in this zone show `civil`
    /// (which has to be valid). A time that daylight saving skips is read with the offset before
    /// the change; a time that occurs twice is the first of the two. `None` outside the range of
    /// `i64`.
    #[must_use]
    pub(crate) fn to_ns(&self, civil: &Civil) -> Option<i64> {
        match &self.0 {
            Rule::Fixed(offset) => civil.to_ns(*offset),
            Rule::Named(zone) => {
                let at = jiff::civil::DateTime::new(
                    i16::try_from(civil.year).ok()?,
                    i8::try_from(civil.month).ok()?,
                    i8::try_from(civil.day).ok()?,
                    i8::try_from(civil.hour).ok()?,
                    i8::try_from(civil.minute).ok()?,
                    i8::try_from(civil.second).ok()?,
                    i32::try_from(civil.nanos).ok()?,
                )
                .ok()?;
                let instant = zone.to_ambiguous_timestamp(at).compatible().ok()?;
                i64::try_from(instant.as_nanosecond()).ok()
            }
        }
    }

    /// What clocks in this zone show at an instant in nanoseconds since the Unix epoch.
    #[must_use]
    pub fn at(&self, ns: i64) -> LocalMoment {
        let (offset, abbreviation) = match &self.0 {
            Rule::Fixed(0) => (0, "UTC".to_owned()),
            Rule::Fixed(offset) => (*offset, offset_name(*offset)),
            Rule::Named(zone) => {
                let info = zone.to_offset_info(timestamp(ns));
                (info.offset().seconds(), info.abbreviation().to_owned())
            }
        };
        LocalMoment {
            civil: Civil::from_ns(ns, offset),
            offset,
            abbreviation,
        }
    }

    /// The offset that an abbreviation such as `CST` or `PDT` means in this zone near a clock
    /// time: the one in force then if it bears that name, else one that bears it in the changes
    /// around. `None` if the zone does not know the abbreviation.
    #[must_use]
    pub(crate) fn abbreviated_offset(&self, abbreviation: &str, civil: &Civil) -> Option<i32> {
        let Rule::Named(zone) = &self.0 else {
            let moment = self.at(0);
            return (moment.abbreviation == abbreviation).then_some(moment.offset);
        };
        let at = timestamp(self.to_ns(civil)?);
        let info = zone.to_offset_info(at);
        if info.abbreviation() == abbreviation {
            return Some(info.offset().seconds());
        }
        zone.following(at)
            .take(2)
            .chain(zone.preceding(at).take(3))
            .find(|change| change.abbreviation() == abbreviation)
            .map(|change| change.offset().seconds())
    }
}

fn timestamp(ns: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_nanosecond(i128::from(ns)).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
}

fn offset_name(offset: i32) -> String {
    let sign = if offset < 0 { '-' } else { '+' };
    let minutes = offset.unsigned_abs() / 60;
    if minutes.is_multiple_of(60) {
        format!("{sign}{:02}", minutes / 60)
    } else {
        format!("{sign}{:02}{:02}", minutes / 60, minutes % 60)
    }
}

/// The seconds of a text that is an offset from end to end.
fn whole_offset(text: &str) -> Option<i32> {
    let (offset, used) = numeric_offset(text.as_bytes())?;
    (used == text.len()).then_some(offset)
}

/// Reads `±h`, `±hh`, `±hhmm`, `±h:mm` or `±hh:mm` at the start of `text`: the seconds east of
/// Greenwich and the number of bytes read. Offsets no clock ever showed are refused.
pub(crate) fn numeric_offset(text: &[u8]) -> Option<(i32, usize)> {
    let (sign, rest) = match text.split_first()? {
        (b'+', rest) => (1, rest),
        (b'-', rest) => (-1, rest),
        _ => return None,
    };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = |from: usize, to: usize| {
        rest.get(from..to).map(|digits| {
            digits
                .iter()
                .fold(0i32, |sum, digit| sum * 10 + i32::from(digit - b'0'))
        })
    };
    let colon_minutes = rest.get(digits) == Some(&b':')
        && rest
            .get(digits + 1..digits + 3)
            .is_some_and(|mm| mm.iter().all(u8::is_ascii_digit))
        && !rest.get(digits + 3).is_some_and(u8::is_ascii_digit);
    let (hours, minutes, used) = match digits {
        1 | 2 if colon_minutes => (
            number(0, digits)?,
            number(digits + 1, digits + 3)?,
            digits + 3,
        ),
        1 | 2 => (number(0, digits)?, 0, digits),
        4 => (number(0, 2)?, number(2, 4)?, 4),
        _ => return None,
    };
    let offset = sign * (hours * 3600 + minutes * 60);
    (minutes < 60 && (-12 * 3600..=14 * 3600).contains(&offset)).then_some((offset, used + 1))
}

/// Nanoseconds in `seconds`, `None` on overflow.
pub(crate) fn seconds_to_ns(seconds: i64) -> Option<i64> {
    seconds.checked_mul(NANOS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offset_of(name: &str, civil: Civil) -> i64 {
        let zone = Zone::named(name).unwrap();
        (civil.to_ns(0).unwrap() - zone.to_ns(&civil).unwrap()) / NANOS_PER_SECOND
    }

    #[test]
    fn short_names_follow_their_city_and_offsets_are_fixed() {
        let july = Civil::date(2022, 7, 1);
        let january = Civil::date(2022, 1, 1);
        assert_eq!(offset_of("-5", january), -5 * 3600);
        assert_eq!(offset_of("-5", july), -4 * 3600);
        assert_eq!(offset_of("-05", july), -5 * 3600);
        assert_eq!(offset_of("+6", Civil::date(2025, 1, 1)), 6 * 3600);
        assert_eq!(offset_of("-1", july), -3600);
        assert_eq!(offset_of("+8:30", july), 8 * 3600 + 1800);
        assert_eq!(offset_of("+0800", july), 8 * 3600);
        assert_eq!(offset_of("CST", july), 8 * 3600);
    }

    #[test]
    fn every_short_name_resolves() {
        for (short, city) in SHORT_NAMES {
            assert!(Zone::named(short).is_ok(), "{short}");
            assert!(Zone::iana(city).is_some(), "{city}");
        }
    }

    #[test]
    fn legacy_names_resolve_and_nonsense_does_not() {
        for name in [
            "PRC",
            "Japan",
            "EST",
            "EST5EDT",
            "Etc/GMT-8",
            "GMT",
            "UTC",
            "Zulu",
            "US/Pacific",
        ] {
            assert!(Zone::named(name).is_ok(), "{name}");
        }
        for name in [
            "+15",
            "8",
            "PST",
            "+",
            "-",
            " +8",
            "asia/shanghai",
            "Mars/Base",
            "",
            "Local",
            "../etc/passwd",
            "/etc/localtime",
            "+8:3",
            "+8:60",
            "+800000",
            "-13",
        ] {
            assert_eq!(
                Zone::named(name).err(),
                Some(UnknownZone(name.to_owned())),
                "{name}"
            );
        }
    }

    #[test]
    fn local_is_what_the_caller_says() {
        let local = TimeZone::fixed(jiff::tz::offset(5));
        let at = |name| Zone::argument(name, &local).unwrap().at(0).offset;
        assert_eq!(
            (at(""), at("Local"), at("UTC"), at("+9")),
            (18_000, 18_000, 0, 32_400)
        );
    }

    #[test]
    fn listed_names_are_not_offsets() {
        assert!(Zone::listed("+8").is_ok() && Zone::listed("+6").is_ok());
        assert!(Zone::listed("+8:30").is_err() && Zone::listed("+08").is_err());
    }

    #[test]
    fn abbreviations_mean_what_the_zone_says() {
        let zone = Zone::named("America/Los_Angeles").unwrap();
        let july = Civil::date(2022, 7, 1);
        assert_eq!(zone.abbreviated_offset("PDT", &july), Some(-7 * 3600));
        assert_eq!(zone.abbreviated_offset("PST", &july), Some(-8 * 3600));
        assert_eq!(zone.abbreviated_offset("CST", &july), None);
        let zone = Zone::named("Asia/Shanghai").unwrap();
        assert_eq!(zone.abbreviated_offset("CST", &july), Some(8 * 3600));
    }

    #[test]
    fn skipped_and_repeated_times_have_one_answer() {
        let zone = Zone::named("America/New_York").unwrap();
        let at = |month, day, hour| Civil {
            hour,
            minute: 30,
            ..Civil::date(2019, month, day)
        };
        // 02:30 does not exist: 03:30 daylight time.
        assert_eq!(
            zone.to_ns(&at(3, 10, 2)),
            Some(1_552_203_000 * NANOS_PER_SECOND)
        );
        // 01:30 occurs twice: the one in daylight time.
        assert_eq!(
            zone.to_ns(&at(11, 3, 1)),
            Some(1_572_759_000 * NANOS_PER_SECOND)
        );
    }
}
