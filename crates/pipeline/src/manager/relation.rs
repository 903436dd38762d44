//! Relations: which script a feature text belongs to, said by a control centre.

use std::cmp::Reverse;

use hashbrown::HashMap;
use kafkamq_point::Category;

/// One relation: points of `category` whose feature text fits `source` run through `script`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// The category.
    pub category: Category,
    /// A feature text, or a pattern: `*` stands for any run of characters, `?` for one.
    pub source: String,
    /// The name of the script.
    pub script: String,
}

/// All relations of one version.
#[derive(Debug, Default)]
pub struct Relations {
    version: i64,
    exact: HashMap<Category, HashMap<String, String>>,
    /// Best match first.
    patterns: HashMap<Category, Vec<(Pattern, String)>>,
}

impl Relations {
    /// Puts relations in order. Of two for the same source the last counts.
    #[must_use]
    pub fn new(version: i64, relations: impl IntoIterator<Item = Relation>) -> Self {
        let mut all = Self {
            version,
            ..Self::default()
        };
        for Relation {
            category,
            source,
            script,
        } in relations
        {
            if source.contains(['*', '?']) {
                let patterns = all.patterns.entry(category).or_default();
                patterns.retain(|(pattern, _)| pattern.text != source);
                patterns.push((Pattern::new(source), script));
            } else {
                all.exact
                    .entry(category)
                    .or_default()
                    .insert(source, script);
            }
        }
        for patterns in all.patterns.values_mut() {
            patterns.sort_by(|(a, _), (b, _)| a.rank().cmp(&b.rank()));
        }
        all
    }

    /// The version the control centre gave them, 0 for none.
    #[must_use]
    pub const fn version(&self) -> i64 {
        self.version
    }

    /// How many relations there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.exact.values().map(HashMap::len).sum::<usize>()
            + self.patterns.values().map(Vec::len).sum::<usize>()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.patterns.is_empty()
    }

    /// The script a feature text belongs to: that of the text itself, else that of the pattern that
    /// says most about it.
    #[must_use]
    pub fn script(&self, category: Category, feature: &str) -> Option<&str> {
        if let Some(script) = self
            .exact
            .get(&category)
            .and_then(|exact| exact.get(feature))
        {
            return Some(script);
        }
        self.patterns
            .get(&category)?
            .iter()
            .find(|(pattern, _)| pattern.matches(feature))
            .map(|(_, script)| script.as_str())
    }
}

#[derive(Debug)]
struct Pattern {
    text: String,
    chars: Vec<char>,
    stars: usize,
}

impl Pattern {
    fn new(text: String) -> Self {
        let chars: Vec<char> = text.chars().collect();
        let stars = chars.iter().filter(|c| **c == '*').count();
        Self { text, chars, stars }
    }

    /// Sorts the pattern that says most first: more literal characters, fewer stars, longer, and
    /// then by bytes.
    fn rank(&self) -> (Reverse<usize>, usize, Reverse<usize>, &str) {
        let literals = self
            .chars
            .iter()
            .filter(|c| !matches!(c, '*' | '?'))
            .count();
        (
            Reverse(literals),
            self.stars,
            Reverse(self.chars.len()),
            &self.text,
        )
    }

    /// Matches the whole text. Remembers the last star only: if a later part fails, giving that
    /// star one character more is the only choice that can help, so the work is bounded by the
    /// product of the lengths.
    fn matches(&self, text: &str) -> bool {
        let text: smallvec::SmallVec<[char; 64]> = text.chars().collect();
        let (mut at, mut from) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        while let Some(&c) = text.get(from) {
            match self.chars.get(at) {
                Some('*') => {
                    star = Some((at, from));
                    at += 1;
                }
                Some('?') => {
                    at += 1;
                    from += 1;
                }
                Some(&wanted) if wanted == c => {
                    at += 1;
                    from += 1;
                }
                _ => {
                    let Some((star_at, taken)) = star else {
                        return false;
                    };
                    star = Some((star_at, taken + 1));
                    at = star_at + 1;
                    from = taken + 1;
                }
            }
        }
        self.chars.iter().skip(at).all(|c| *c == '*')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relations(sources: &[&str]) -> Relations {
        Relations::new(
            7,
            sources.iter().map(|source| Relation {
                category: Category::Logging,
                source: (*source).to_owned(),
                script: (*source).to_owned(),
            }),
        )
    }

    #[test]
    fn the_pattern_that_says_most_wins_in_any_order() {
        for (sources, cases) in [
            (
                vec!["svc-*", "svc-??", "*-x"],
                vec![
                    ("svc-ab", Some("svc-??")),
                    ("svc-abc", Some("svc-*")),
                    ("svc-x", Some("svc-*")),
                    ("k-x", Some("*-x")),
                    ("svc", None),
                ],
            ),
            (
                vec!["a*c", "a?c", "*bc"],
                vec![("abc", Some("a?c")), ("ac", Some("a*c"))],
            ),
            (
                vec!["*", "abc"],
                vec![("abc", Some("abc")), ("", Some("*"))],
            ),
            (
                vec!["a*"],
                vec![("a*b", Some("a*")), ("a", Some("a*")), ("ba", None)],
            ),
            (vec!["?"], vec![("é", Some("?")), ("ab", None), ("", None)]),
            (
                vec!["*a*b*"],
                vec![("xxaxxbxx", Some("*a*b*")), ("ba", None)],
            ),
            (vec!["b*", "a*", "*a"], vec![("aa", Some("*a"))]),
        ] {
            let mut sources = sources;
            for _ in 0..2 {
                sources.reverse();
                let relations = relations(&sources);
                for (text, expected) in &cases {
                    assert_eq!(
                        relations.script(Category::Logging, text),
                        *expected,
                        "{text} in {sources:?}"
                    );
                }
                assert_eq!(relations.script(Category::Rum, "abc"), None);
            }
        }
    }

    #[test]
    fn matching_is_no_search_without_end() {
        let relations = relations(&["*a*a*a*a*a*a*a*a*a*a*a*a*b"]);
        assert_eq!(
            relations.script(Category::Logging, &"a".repeat(20_000)),
            None
        );
    }
}
