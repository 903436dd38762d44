//! Dates and clock times without a zone, and the arithmetic between them and instants.

use std::fmt;

use super::NANOS_PER_SECOND;

/// A date and a clock time on the Gregorian calendar, in no particular zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    /// Calendar year.
    pub(crate) year: i32,
    /// 1 to 12.
    pub(crate) month: u8,
    /// 1 to 31.
    pub(crate) day: u8,
    /// 0 to 23.
    pub(crate) hour: u8,
    /// 0 to 59.
    pub(crate) minute: u8,
    /// 0 to 59; leap seconds are refused.
    pub second: u8,
    /// 0 to 999 999 999.
    pub nanos: u32,
}

/// A part of a date or clock time, to name the one that is out of range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The month, 1 to 12.
    Month,
    /// The day of the month, 1 to 31.
    Day,
    /// The hour, 0 to 23.
    Hour,
    /// The minute, 0 to 59.
    Minute,
    /// The second, 0 to 59.
    Second,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Month => "month",
            Self::Day => "day",
            Self::Hour => "hour",
            Self::Minute => "minute",
            Self::Second => "second",
        })
    }
}

impl Civil {
    /// Midnight of a date, not validated.
    #[must_use]
    pub(crate) const fn date(year: i32, month: u8, day: u8) -> Self {
        Self {
            year,
            month,
            day,
            hour: 0,
            minute: 0,
            second: 0,
            nanos: 0,
        }
    }

    /// Checks every part against the calendar.
    ///
    /// # Errors
    /// A part that is out of range; the day, which depends on others, only when these are fine.
    pub(crate) const fn validate(&self) -> Result<(), Part> {
        if self.month < 1 || self.month > 12 {
            return Err(Part::Month);
        }
        if self.hour > 23 {
            return Err(Part::Hour);
        }
        if self.minute > 59 {
            return Err(Part::Minute);
        }
        if self.second > 59 {
            return Err(Part::Second);
        }
        if self.day < 1 || self.day > days_in_month(self.year, self.month) {
            return Err(Part::Day);
        }
        Ok(())
    }

    /// Nanoseconds since the Unix epoch, with `offset` seconds east of Greenwich; `None` outside
    /// the range of `i64`.
    #[must_use]
    pub(crate) fn to_ns(self, offset: i32) -> Option<i64> {
        let days = days_from_civil(self.year, self.month, self.day);
        let seconds = days * 86_400
            + i64::from(self.hour) * 3600
            + i64::from(self.minute) * 60
            + i64::from(self.second)
            - i64::from(offset);
        // A time before the epoch has a positive fraction, so go through 128 bits to reach the
        // very ends of the range.
        let ns = i128::from(seconds) * i128::from(NANOS_PER_SECOND) + i128::from(self.nanos);
        i64::try_from(ns).ok()
    }

    /// The date and clock time of an instant, `offset` seconds east of Greenwich.
    #[must_use]
    pub(crate) fn from_ns(ns: i64, offset: i32) -> Self {
        let seconds = ns.div_euclid(NANOS_PER_SECOND) + i64::from(offset);
        let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
        let of_day = seconds.rem_euclid(86_400);
        // Remainders of positive divisors fit their types by construction.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "bounded"
        )]
        Self {
            year,
            month,
            day,
            hour: (of_day / 3600) as u8,
            minute: (of_day / 60 % 60) as u8,
            second: (of_day % 60) as u8,
            nanos: ns.rem_euclid(NANOS_PER_SECOND) as u32,
        }
    }

    /// The day of the week, 0 for Monday to 6 for Sunday.
    #[must_use]
    pub(crate) fn weekday(&self) -> u8 {
        // 1970-01-01 was a Thursday.
        let days = days_from_civil(self.year, self.month, self.day) + 3;
        u8::try_from(days.rem_euclid(7)).unwrap_or(0)
    }

    /// The day of the year, from 1.
    #[must_use]
    pub(crate) fn day_of_year(&self) -> u16 {
        let days =
            days_from_civil(self.year, self.month, self.day) - days_from_civil(self.year, 1, 1) + 1;
        u16::try_from(days).unwrap_or(1)
    }

    /// The ISO 8601 week: its year and its number, 1 to 53.
    #[must_use]
    pub(crate) fn iso_week(&self) -> (i32, u8) {
        // The week belongs to the year that holds its Thursday.
        let day = days_from_civil(self.year, self.month, self.day);
        let thursday = day - i64::from(self.weekday()) + 3;
        let (year, _, _) = civil_from_days(thursday);
        let week = (thursday - days_from_civil(year, 1, 1)) / 7 + 1;
        (year, u8::try_from(week).unwrap_or(1))
    }
}

/// Whether a year has 29 February.
pub(crate) const fn is_leap_year(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// The length of a month; 0 for a month outside 1 to 12.
pub(crate) const fn days_in_month(year: i32, month: u8) -> u8 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap_year(year) => 29,
        2 => 28,
        _ => 0,
    }
}

/// Days since 1970-01-01. Counts in eras of 400 years that start on 1 March, which puts the leap
/// day last and makes month lengths a linear formula.
fn days_from_civil(year: i32, month: u8, day: u8) -> i64 {
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let from_march = (i64::from(month) + 9) % 12;
    let of_year = (153 * from_march + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i32, u8, u8) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (
        i32::try_from(year).unwrap_or(i32::MAX),
        u8::try_from(month).unwrap_or(1),
        u8::try_from(day).unwrap_or(1),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_ends_of_the_range_are_reached_and_not_passed() {
        let last = Civil {
            hour: 23,
            minute: 47,
            second: 16,
            nanos: 854_775_807,
            ..Civil::date(2262, 4, 11)
        };
        assert_eq!(last.to_ns(0), Some(i64::MAX));
        assert_eq!(last.to_ns(-1), None);
        let first = Civil {
            minute: 12,
            second: 43,
            nanos: 145_224_192,
            ..Civil::date(1677, 9, 21)
        };
        assert_eq!(first.to_ns(0), Some(i64::MIN));
        assert_eq!(first.to_ns(1), None);
    }

    #[test]
    fn validation_knows_the_calendar() {
        assert_eq!(Civil::date(2024, 2, 29).validate(), Ok(()));
        assert_eq!(Civil::date(2023, 2, 29).validate(), Err(Part::Day));
        assert_eq!(Civil::date(1900, 2, 29).validate(), Err(Part::Day));
        assert_eq!(Civil::date(2023, 13, 1).validate(), Err(Part::Month));
        assert_eq!(Civil::date(2023, 4, 31).validate(), Err(Part::Day));
    }

    #[test]
    fn iso_weeks_cross_years() {
        assert_eq!(Civil::date(2021, 1, 3).iso_week(), (2020, 53));
        assert_eq!(Civil::date(2021, 1, 4).iso_week(), (2021, 1));
        assert_eq!(Civil::date(2024, 12, 30).iso_week(), (2025, 1));
    }

    proptest! {
        #[test]
        fn instants_survive_the_round_trip(ns: i64, offset in -50_400i32..50_400) {
            let civil = Civil::from_ns(ns, offset);
            prop_assert_eq!(civil.validate(), Ok(()));
            prop_assert_eq!(civil.to_ns(offset), Some(ns));
        }

        #[test]
        fn the_calendar_agrees_with_jiff(year in 1i16..9999, month in 1i8..=12, day in 1i8..=28) {
            let theirs = jiff::civil::date(year, month, day);
            let ours = Civil::date(year.into(), month.unsigned_abs(), day.unsigned_abs());
            prop_assert_eq!(i16::try_from(ours.day_of_year()), Ok(theirs.day_of_year()));
            prop_assert_eq!(
                i8::try_from(ours.weekday()),
                Ok(theirs.weekday().to_monday_zero_offset())
            );
            let week = theirs.iso_week_date();
            prop_assert_eq!(ours.iso_week(), (week.year().into(), week.week().unsigned_abs()));
        }
    }
}
