//! Named sets of code points: the ASCII classes of the dialect and Unicode properties.

use std::sync::LazyLock;

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};

/// The set of these ranges.
pub(super) fn set(ranges: &[(char, char)]) -> ClassUnicode {
    ClassUnicode::new(
        ranges
            .iter()
            .map(|&(from, to)| ClassUnicodeRange::new(from, to)),
    )
}

/// `\d`, `\s`, `\w` by their letter. White space is without the vertical tab.
pub(super) fn perl(letter: char) -> Option<ClassUnicode> {
    Some(match letter {
        'd' => set(&[('0', '9')]),
        's' => set(&[('\t', '\n'), ('\x0c', '\r'), (' ', ' ')]),
        'w' => set(&[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')]),
        _ => return None,
    })
}

/// The set of `[[:name:]]`.
pub(super) fn posix(name: &str) -> Option<ClassUnicode> {
    Some(match name {
        "alnum" => set(&[('0', '9'), ('A', 'Z'), ('a', 'z')]),
        "alpha" => set(&[('A', 'Z'), ('a', 'z')]),
        "ascii" => set(&[('\0', '\x7f')]),
        "blank" => set(&[('\t', '\t'), (' ', ' ')]),
        "cntrl" => set(&[('\0', '\x1f'), ('\x7f', '\x7f')]),
        "digit" => set(&[('0', '9')]),
        "graph" => set(&[('!', '~')]),
        "lower" => set(&[('a', 'z')]),
        "print" => set(&[(' ', '~')]),
        "punct" => set(&[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')]),
        "space" => set(&[('\t', '\r'), (' ', ' ')]),
        "upper" => set(&[('A', 'Z')]),
        "word" => set(&[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')]),
        "xdigit" => set(&[('0', '9'), ('A', 'F'), ('a', 'f')]),
        _ => return None,
    })
}

/// The set of `\p{name}`: `Any`, a general category or a script, spelled exactly.
pub(super) fn property(name: &str) -> Option<ClassUnicode> {
    if name == "Any" {
        return Some(set(&[('\0', char::MAX)]));
    }
    if name == "C" {
        // Without the unassigned code points, which the tables elsewhere count as `Other`.
        let mut all = property("Cc")?;
        all.union(&property("Cf")?);
        all.union(&property("Co")?);
        return Some(all);
    }
    if name == "Cs" {
        return Some(set(&[]));
    }
    let query = if CATEGORIES.contains(&name) {
        format!(r"\p{{gc={name}}}")
    } else if SCRIPTS.contains(&name) {
        format!(r"\p{{sc={name}}}")
    } else {
        return None;
    };
    match regex_syntax::parse(&query).ok()?.into_kind() {
        HirKind::Class(Class::Unicode(class)) => Some(class),
        HirKind::Literal(literal) => {
            let c = std::str::from_utf8(&literal.0).ok()?.chars().next()?;
            Some(set(&[(c, c)]))
        }
        _ => None,
    }
}

/// Whether a code point has a form of its own on paper: letters, marks, digits, punctuation, symbols and
/// the plain blank.
pub(crate) fn is_printable(c: char) -> bool {
    static PRINTABLE: LazyLock<ClassUnicode> = LazyLock::new(|| {
        let mut all = set(&[(' ', ' ')]);
        for name in ["L", "M", "N", "P", "S"] {
            if let Some(part) = property(name) {
                all.union(&part);
            }
        }
        all
    });
    if c.is_ascii() {
        return (' '..='~').contains(&c);
    }
    contains(&PRINTABLE, c)
}

/// Whether a code point is a letter (category L).
pub(crate) fn is_letter(c: char) -> bool {
    static LETTERS: LazyLock<ClassUnicode> =
        LazyLock::new(|| property("L").unwrap_or_else(ClassUnicode::empty));
    if c.is_ascii() {
        return c.is_ascii_alphabetic();
    }
    contains(&LETTERS, c)
}

/// Whether a code point is of the Han script.
pub(crate) fn is_han(c: char) -> bool {
    static HAN: LazyLock<ClassUnicode> =
        LazyLock::new(|| property("Han").unwrap_or_else(ClassUnicode::empty));
    !c.is_ascii() && contains(&HAN, c)
}

fn contains(class: &ClassUnicode, c: char) -> bool {
    let after = class.ranges().partition_point(|range| range.end() < c);
    let range = class.ranges().get(after);
    range.is_some_and(|range| range.start() <= c)
}

const CATEGORIES: [&str; 35] = [
    "Cc", "Cf", "Co", "L", "Ll", "Lm", "Lo", "Lt", "Lu", "M", "Mc", "Me", "Mn", "N", "Nd", "Nl",
    "No", "P", "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "S", "Sc", "Sk", "Sm", "So", "Z", "Zl",
    "Zp", "Zs", "LC",
];

#[rustfmt::skip]
const SCRIPTS: [&str; 165] = [
    "Adlam", "Ahom", "Anatolian_Hieroglyphs", "Arabic", "Armenian", "Avestan", "Balinese", "Bamum",
    "Bassa_Vah", "Batak", "Bengali", "Bhaiksuki", "Bopomofo", "Brahmi", "Braille", "Buginese",
    "Buhid", "Canadian_Aboriginal", "Carian", "Caucasian_Albanian", "Chakma", "Cham", "Cherokee",
    "Chorasmian", "Common", "Coptic", "Cuneiform", "Cypriot", "Cypro_Minoan", "Cyrillic", "Deseret",
    "Devanagari", "Dives_Akuru", "Dogra", "Duployan", "Egyptian_Hieroglyphs", "Elbasan", "Elymaic",
    "Ethiopic", "Georgian", "Glagolitic", "Gothic", "Grantha", "Greek", "Gujarati", "Gunjala_Gondi",
    "Gurmukhi", "Han", "Hangul", "Hanifi_Rohingya", "Hanunoo", "Hatran", "Hebrew", "Hiragana",
    "Imperial_Aramaic", "Inherited", "Inscriptional_Pahlavi", "Inscriptional_Parthian", "Javanese",
    "Kaithi", "Kannada", "Katakana", "Kawi", "Kayah_Li", "Kharoshthi", "Khitan_Small_Script",
    "Khmer", "Khojki", "Khudawadi", "Lao", "Latin", "Lepcha", "Limbu", "Linear_A", "Linear_B",
    "Lisu", "Lycian", "Lydian", "Mahajani", "Makasar", "Malayalam", "Mandaic", "Manichaean",
    "Marchen", "Masaram_Gondi", "Medefaidrin", "Meetei_Mayek", "Mende_Kikakui", "Meroitic_Cursive",
    "Meroitic_Hieroglyphs", "Miao", "Modi", "Mongolian", "Mro", "Multani", "Myanmar", "Nabataean",
    "Nag_Mundari", "Nandinagari", "New_Tai_Lue", "Newa", "Nko", "Nushu", "Nyiakeng_Puachue_Hmong",
    "Ogham", "Ol_Chiki", "Old_Hungarian", "Old_Italic", "Old_North_Arabian", "Old_Permic",
    "Old_Persian", "Old_Sogdian", "Old_South_Arabian", "Old_Turkic", "Old_Uyghur", "Oriya", "Osage",
    "Osmanya", "Pahawh_Hmong", "Palmyrene", "Pau_Cin_Hau", "Phags_Pa", "Phoenician",
    "Psalter_Pahlavi", "Rejang", "Runic", "Samaritan", "Saurashtra", "Sharada", "Shavian",
    "Siddham", "SignWriting", "Sinhala", "Sogdian", "Sora_Sompeng", "Soyombo", "Sundanese",
    "Syloti_Nagri", "Syriac", "Tagalog", "Tagbanwa", "Tai_Le", "Tai_Tham", "Tai_Viet", "Takri",
    "Tamil", "Tangsa", "Tangut", "Telugu", "Thaana", "Thai", "Tibetan", "Tifinagh", "Tirhuta",
    "Toto", "Ugaritic", "Vai", "Vithkuqi", "Wancho", "Warang_Citi", "Yezidi", "Yi",
    "Zanabazar_Square", "Sunuwar", "Todhri",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_property_exists() {
        for name in CATEGORIES.iter().chain(&SCRIPTS) {
            assert!(property(name).is_some(), "{name}");
        }
        assert!(property("han").is_none());
        assert!(property("Lu ").is_none());
    }

    #[test]
    fn white_space_has_no_vertical_tab_but_the_posix_class_has() {
        let has = |class: &ClassUnicode, c| {
            class
                .ranges()
                .iter()
                .any(|range| range.start() <= c && c <= range.end())
        };
        assert!(!has(&perl('s').unwrap(), '\x0b'));
        assert!(has(&posix("space").unwrap(), '\x0b'));
    }
}
