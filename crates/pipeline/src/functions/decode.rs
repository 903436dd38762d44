//! `decode`: decodes text from another encoding.

use super::{Effects, Example, FunctionCategory, FunctionSpec, Param, ParamKind};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::charset;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "decode",
    category: FunctionCategory::Encoding,
    summary: "Decodes text from another encoding",
    doc: "`text_encode` is `gbk`, `gb18030`, `utf-16le`, `utf-16be` or `utf-8`, in lower case, as \
         a text or the name of a key. Malformed bytes become U+FFFD; a byte order mark stays. \
         With another encoding nothing happens.",
    params: &[
        Param::key("key", "The key that holds the bytes"),
        Param::of("text_encode", ParamKind::Source, "The encoding"),
    ],
    named: true,
    returns: Types::NONE,
    effects: Effects::PURE,
    examples: &[
        Example {
            title: "A payload in GBK",
            script: "b64dec(_)\ndecode(_, \"gbk\")",
            input: "suLK1A==",
            output: &[("message", "\"测试\"")],
        },
    ],
    notes: &[

    ],
    check: None,
    call,
};

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let Some(key) = args.key(0) else {
        return Ok(Value::Nil);
    };
    let name = args.value(cx, 1)?;
    let Some(encoding) = name.as_str().and_then(charset::named) else {
        return Ok(Value::Nil);
    };
    if let Some(bytes) = cx.read_bytes(key) {
        let text = charset::decode(&bytes, encoding);
        drop(bytes);
        cx.set_key(key, Value::from(text));
    }
    Ok(Value::Nil)
}
