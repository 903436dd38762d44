//! `hash`: computes a digest.

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use super::{Effects, Example, FunctionCategory, FunctionSpec, Param};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "hash",
    category: FunctionCategory::Encoding,
    summary: "Computes a digest",
    doc: "Lower-case hexadecimal digits of the text's MD5, SHA-1, SHA-256 or SHA-512. `method` is \
         `md5`, `sha1`, `sha256` or `sha512`; another one gives empty text.",
    params: &[
        Param::value("text", Types::STR, "The text"),
        Param::value("method", Types::STR, "The method"),
    ],
    named: true,
    returns: Types::STR,
    effects: Effects::PURE,
    examples: &[
        Example {
            title: "A fingerprint",
            script: "add_key(id, hash(_, \"md5\"))",
            input: "hello",
            output: &[("id", "\"5d41402abc4b2a76b9719d911017c592\"")],
        },
    ],
    notes: &[

    ],
    check: None,
    call,
};

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let text = args.str(cx, 0)?;
    // Some nanoseconds a byte.
    cx.meter().note(4 * text.len());
    let digest = match &*args.str(cx, 1)? {
        "md5" => hexadecimal(&Md5::digest(&*text)),
        "sha1" => hexadecimal(&Sha1::digest(&*text)),
        "sha256" => hexadecimal(&Sha256::digest(&*text)),
        "sha512" => hexadecimal(&Sha512::digest(&*text)),
        _ => String::new(),
    };
    Ok(Value::from(digest))
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('0');
    let halves = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    halves.map(digit).collect()
}
