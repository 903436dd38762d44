//! `uppercase`: turns a text into upper case.

use kafkamq_point::Text;

use super::{Effects, Example, FunctionCategory, FunctionSpec, Param};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "uppercase",
    category: FunctionCategory::Text,
    summary: "Turns a text into upper case",
    doc: "Works code point by code point, so the number of characters never changes: what would \
         need several characters in the other case stays, and a final sigma is like any other.",
    params: &[
        Param::key("key", "The key to work on"),
    ],
    named: true,
    returns: Types::NONE,
    effects: Effects::PURE,
    examples: &[
        Example {
            title: "A word",
            script: "uppercase(_)",
            input: "go ß",
            output: &[("message", "\"GO ß\"")],
        },
    ],
    notes: &[

    ],
    check: None,
    call,
};

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    if let Some(key) = args.key(0)
        && let Some(text) = cx.read_text(key)
    {
        cx.meter().note(4 * text.len());
        let result = text.chars().map(upper).collect::<Text>();
        drop(text);
        cx.set_key(key, Value::from(result));
    }
    Ok(Value::Nil)
}

/// The simple upper case of a code point.
fn upper(c: char) -> char {
    let mut all = c.to_uppercase();
    match (all.next(), all.next()) {
        (Some(single), None) => single,
        // The full mapping has several characters; of these only the Greek letters with a iota below have a
        // simple one too, their title case.
        _ => match u32::from(c) {
            code @ (0x1f80..=0x1f87 | 0x1f90..=0x1f97 | 0x1fa0..=0x1fa7) => {
                char::from_u32(code + 8).unwrap_or(c)
            }
            code @ (0x1fb3 | 0x1fc3 | 0x1ff3) => char::from_u32(code + 9).unwrap_or(c),
            _ => c,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::upper;

    #[test]
    fn one_code_point_stays_one() {
        for (c, result) in [('ß', 'ß'), ('ŉ', 'ŉ'), ('ﬁ', 'ﬁ'), ('ǅ', 'Ǆ'), ('ᾳ', 'ᾼ'), ('ᾀ', 'ᾈ'), ('é', 'É')] {
            assert_eq!(upper(c), result);
        }
    }
}
