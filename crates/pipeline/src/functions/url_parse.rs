//! `url_parse`: takes a URL apart.

use super::{Effects, Example, FunctionCategory, FunctionSpec, Param};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::net::Url;
use crate::value::{Map, Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "url_parse",
    category: FunctionCategory::Encoding,
    summary: "Takes a URL apart",
    doc: "Yields a map with `scheme` (lower case), `host` (with the port), `port`, `path` \
         (decoded), all text and possibly empty, and `params`, a map of the decoded query in \
         which repeated names have their values joined with commas. A missing key yields nothing, \
         a text that is not a URL fails.",
    params: &[
        Param::key("key", "The key that holds the URL"),
    ],
    named: true,
    returns: Types::MAP,
    effects: Effects::PURE,
    examples: &[
        Example {
            title: "Host and a parameter",
            script: "u = url_parse(_)\nadd_key(host, u[\"host\"])\nadd_key(q, u[\"params\"][\"q\"])",
            input: "https://a.example:8443/s?q=x%20y",
            output: &[("host", "\"a.example:8443\""), ("q", "\"x y\"")],
        },
    ],
    notes: &[
        "A URL without `//` behind the scheme (`mailto:a@b`, `svc:9090/x`) has neither host nor \
         path.",
        "Parts of the query with a `;` or a broken escape are left out.",
    ],
    check: None,
    call,
};

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let Some(text) = args.key(0).and_then(|key| cx.read_text(key)) else {
        return Ok(Value::Nil);
    };
    let url = Url::parse(&text).map_err(|error| args.error(0, format!("no URL: {error}")))?;
    let params = Map::with_capacity(url.params.len());
    for (name, value) in url.params {
        params.insert(name, Value::from(value));
    }
    let map = Map::with_capacity(5);
    map.insert("scheme", Value::from(url.scheme));
    map.insert("host", Value::from(url.host));
    map.insert("port", Value::from(url.port));
    map.insert("path", Value::from(url.path));
    map.insert("params", Value::Map(params));
    Ok(Value::Map(map))
}
