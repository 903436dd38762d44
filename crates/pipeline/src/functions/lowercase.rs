//! `lowercase`: turns a text into lower case.

use kafkamq_point::Text;

use super::{Effects, Example, FunctionCategory, FunctionSpec, Param};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "lowercase",
    category: FunctionCategory::Text,
    summary: "Turns a text into lower case",
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
            script: "lowercase(_)",
            input: "GO İ",
            output: &[("message", "\"go i\"")],
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
        let result = text.chars().map(lower).collect::<Text>();
        drop(text);
        cx.set_key(key, Value::from(result));
    }
    Ok(Value::Nil)
}

/// The simple lower case of a code point: the first of its full mapping, which differs only for `İ`.
fn lower(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use super::lower;

    #[test]
    fn one_code_point_stays_one() {
        for (c, result) in [('İ', 'i'), ('ẞ', 'ß'), ('Σ', 'σ'), ('ǅ', 'ǆ'), ('\u{212a}', 'k')] {
            assert_eq!(lower(c), result);
        }
    }
}
