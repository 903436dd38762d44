//! Masking of SQL text: literals become `?`, comments and aliases go, blanks are normalised.
//!
//! The rules are those of the obfuscator that existing dashboards group by, including where it is odd: groups of
//! values collapse into one, `a - 1` and `a -1` read differently. Time and memory are linear in the text.

mod token;

use token::{Kind, Tokens, Unreadable};

/// The masked text, or `None` if the text cannot be read as SQL or nothing is left.
pub(crate) fn mask(text: &str) -> Option<String> {
    let mut tokens = Tokens::new(text, false);
    match masked(&mut tokens) {
        Ok(out) => out,
        Err(Unreadable) if tokens.saw_backslash => {
            masked(&mut Tokens::new(text, true)).ok().flatten()
        }
        Err(Unreadable) => None,
    }
}

/// What the previous token counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Previous {
    Start,
    Token(Kind),
    /// Dropped; does not change how the following text is read.
    Dropped,
    /// Inside the brackets after `AS`.
    Alias,
    /// A literal, or dropped like one.
    Value,
    /// A dropped parenthesis.
    Parenthesis,
}

fn masked(tokens: &mut Tokens<'_>) -> Result<Option<String>, Unreadable> {
    let mut out = String::new();
    let mut previous = Previous::Start;
    let mut runs = Runs::default();
    while let Some(token) = tokens.next() {
        let (kind, text) = token?;
        let (mut now, mut shown) = match previous {
            Previous::Alias => match kind {
                Kind::Mark(']') => (Previous::Dropped, None),
                Kind::Name => (Previous::Alias, None),
                _ => return Err(Unreadable),
            },
            Previous::Token(Kind::As) => match kind {
                Kind::Mark('[') => (Previous::Alias, None),
                _ => (Previous::Dropped, None),
            },
            _ => match kind {
                Kind::Comment => (Previous::Dropped, None),
                Kind::Mark(';') => (Previous::Value, None),
                Kind::As => (Previous::Token(kind), None),
                _ => (Previous::Token(kind), Some(&*text)),
            },
        };
        let literal = now == Previous::Token(Kind::Literal)
            || previous == Previous::Token(Kind::Savepoint)
            || (previous == Previous::Token(Kind::Mark('='))
                && now == Previous::Token(Kind::QuotedName));
        if literal {
            now = Previous::Value;
            shown = Some("?");
        }
        let reopened = runs.filter(previous, &mut now, &mut shown);
        if let Some(shown) = shown {
            let glued = match now {
                Previous::Token(Kind::Mark(',')) => true,
                Previous::Token(Kind::Mark('=')) => previous == Previous::Token(Kind::Mark(':')),
                _ => false,
            };
            if !out.is_empty() && !glued {
                out.push(' ');
            }
            if reopened {
                out.push_str("( ");
            }
            out.push_str(shown);
        }
        previous = now;
    }
    Ok((!out.is_empty()).then_some(out))
}

/// The state that collapses runs of values and groups of them.
#[derive(Default)]
struct Runs {
    values: u32,
    groups: u32,
}

impl Runs {
    /// Decides about a token; true if a dropped parenthesis has to be shown before it.
    fn filter(&mut self, previous: Previous, now: &mut Previous, shown: &mut Option<&str>) -> bool {
        let open = Previous::Token(Kind::Mark('('));
        if (previous == open && *now == Previous::Value) || (*now == open && self.groups > 0) {
            self.groups += 1;
        }
        let subquery = matches!(*now, Previous::Token(Kind::Query | Kind::Name));
        if self.groups > 0 && previous == Previous::Parenthesis && subquery {
            *self = Self::default();
            return true;
        }
        if *now == Previous::Value {
            self.values += 1;
            if self.values > 1 {
                *shown = None;
            }
        } else if self.values > 0 && *now == Previous::Token(Kind::Mark(',')) {
            *now = Previous::Value;
            *shown = None;
        } else if self.groups > 1 {
            *now = if *now == open {
                Previous::Parenthesis
            } else {
                Previous::Value
            };
            *shown = None;
        } else if !matches!(*now, Previous::Token(Kind::Mark(',' | '(' | ')'))) {
            *self = Self::default();
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn statements() {
        for (text, out) in [
            (
                "SELECT id FROM t WHERE a = 7 AND n = 'O''Neil'",
                "SELECT id FROM t WHERE a = ? AND n = ?",
            ),
            (
                "INSERT INTO t (a,b) VALUES (1,'x'),(2,'y')",
                "INSERT INTO t ( a, b ) VALUES ( ? )",
            ),
            (
                "SELECT * FROM t WHERE id IN (1, 2, 3)",
                "SELECT * FROM t WHERE id IN ( ? )",
            ),
            (
                "UPDATE t SET a = 1, b = 'x' WHERE c = 2",
                "UPDATE t SET a = ? b = ? WHERE c = ?",
            ),
            ("SELECT a AS x, b FROM t AS u", "SELECT a, b FROM t"),
            ("SELECT f(a, b), count(*)", "SELECT f ( a, b ), count ( * )"),
            ("SELECT `c`, \"d\" FROM `s`.`t`", "SELECT c, d FROM s . t"),
            ("SELECT a-1, b - 1", "SELECT a ? b - ?"),
            ("SELECT 1; SELECT 2", "SELECT ? SELECT ?"),
            ("a := 5", "a := ?"),
            ("{call p(1)}", "{ call p ( ? ) }"),
            ("SELECT {ts '2020'}", "SELECT ?"),
            ("WHERE (a,b) IN ((1,2),(3,4))", "WHERE ( a, b ) IN ( ( ? )"),
            ("took 35 ms for user 'bob'", "took ? ms for user ?"),
            ("SELECT a::int FROM t -- all", "SELECT a :: int FROM t"),
            ("SELECT $tag$it's$tag$, $1 /* x */", "SELECT ?"),
        ] {
            assert_eq!(mask(text).as_deref(), Some(out), "{text}");
        }
        assert_eq!(
            mask("a = 'c:\\' AND b = 1").as_deref(),
            Some("a = ? AND b = ?")
        );
        for text in [
            "SELECT 'open",
            "",
            "  -- x",
            "a }",
            "a {b",
            "!\u{1}",
            "é \u{1}",
            "a :",
        ] {
            assert_eq!(mask(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(text in r#"([a-z'"`$%:{}()\[\],;?#/*-]|AS|SELECT| |\n|1|é){0,40}"#) {
            let _masked = mask(&text);
        }
    }
}
