//! What abbreviations of time zones mean.
//!
//! No registry says so, and several countries use the same letters. A zone that the caller names knows its
//! own (`CST` in Asia/Shanghai and in America/Chicago); where it does not know the letters this table
//! has the usual meaning, which a host may change.

use std::collections::BTreeMap;

use super::{Civil, UnknownZone, Zone};

/// Abbreviations with the offset they usually mean, in minutes east of Greenwich. `CST` is China's, as it is
/// everywhere in this language; `IST` is India's, `BST` Britain's.
const USUAL: [(&str, i32); 56] = [
    ("ACDT", 630),
    ("ACST", 570),
    ("ADT", -180),
    ("AEDT", 660),
    ("AEST", 600),
    ("AKDT", -480),
    ("AKST", -540),
    ("AST", -240),
    ("AWST", 480),
    ("BRT", -180),
    ("BST", 60),
    ("CAT", 120),
    ("CDT", -300),
    ("CEST", 120),
    ("CET", 60),
    ("CLT", -240),
    ("COT", -300),
    ("CST", 480),
    ("EAT", 180),
    ("EDT", -240),
    ("EEST", 180),
    ("EET", 120),
    ("EST", -300),
    ("HKT", 480),
    ("HST", -600),
    ("ICT", 420),
    ("IDT", 180),
    ("IST", 330),
    ("JST", 540),
    ("KST", 540),
    ("MDT", -360),
    ("MEST", 120),
    ("MEZ", 60),
    ("MMT", 390),
    ("MSK", 180),
    ("MST", -420),
    ("MYT", 480),
    ("NDT", -150),
    ("NPT", 345),
    ("NST", -210),
    ("NZDT", 780),
    ("NZST", 720),
    ("PDT", -420),
    ("PHT", 480),
    ("PKT", 300),
    ("PST", -480),
    ("SAST", 120),
    ("SGT", 480),
    ("TRT", 180),
    ("WAT", 60),
    ("WEST", 60),
    ("WET", 0),
    ("WIB", 420),
    ("WITA", 480),
    ("WST", 780),
    ("YEKT", 300),
];

/// What abbreviations mean where the zone at hand does not know them.
#[derive(Debug, Clone, Default)]
pub struct Abbreviations {
    /// Those the host changed or added.
    own: BTreeMap<String, Zone>,
}

impl Abbreviations {
    /// The usual meanings, except for these: an abbreviation and the zone it stands for, an IANA name or an
    /// offset such as `-06:00`.
    ///
    /// # Errors
    /// Returns the first name that is not a zone.
    pub fn with<N: Into<String>, Z: AsRef<str>>(
        own: impl IntoIterator<Item = (N, Z)>,
    ) -> Result<Self, UnknownZone> {
        let own = own.into_iter();
        Ok(Self {
            own: own
                .map(|(name, zone)| Ok((name.into(), Zone::named(zone.as_ref())?)))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Whether an abbreviation means a zone.
    #[must_use]
    pub(crate) fn has(&self, name: &str) -> bool {
        self.own.contains_key(name) || usual(name).is_some()
    }

    /// The offset an abbreviation means at a clock time, in seconds east of Greenwich: what the host says,
    /// else what `zone` knows, else the usual meaning.
    #[must_use]
    pub fn offset(&self, name: &str, zone: &Zone, civil: &Civil) -> Option<i32> {
        if let Some(own) = self.own.get(name) {
            return Some(own.at(own.to_ns(civil)?).offset);
        }
        zone.abbreviated_offset(name, civil).or_else(|| usual(name))
    }
}

fn usual(name: &str) -> Option<i32> {
    let at = USUAL
        .binary_search_by(|(known, _)| (*known).cmp(name))
        .ok()?;
    USUAL.get(at).map(|(_, minutes)| minutes * 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_comes_before_the_zone_and_the_zone_before_the_table() {
        let july = Civil::date(2023, 7, 1);
        let table = Abbreviations::default();
        let chicago = Zone::named("America/Chicago").unwrap();
        assert_eq!(table.offset("CST", &Zone::UTC, &july), Some(8 * 3600));
        assert_eq!(table.offset("CST", &chicago, &july), Some(-6 * 3600));
        assert_eq!(table.offset("PST", &chicago, &july), Some(-8 * 3600));
        assert_eq!(table.offset("INFO", &chicago, &july), None);
        let own = Abbreviations::with([("CST", "-06:00"), ("XYZ", "Asia/Tokyo")]).unwrap();
        assert_eq!(own.offset("CST", &Zone::UTC, &july), Some(-6 * 3600));
        assert_eq!(own.offset("XYZ", &Zone::UTC, &july), Some(9 * 3600));
        assert!(own.has("XYZ") && own.has("PST") && !own.has("WARN"));
        assert!(Abbreviations::with([("A", "Mars/Base")]).is_err());
    }

    #[test]
    fn the_table_is_sorted() {
        assert!(USUAL.is_sorted_by(|a, b| a.0 < b.0));
    }
}
