//! `geoip`: looks up where an address is.

use super::{Effects, Example, FunctionCategory, FunctionSpec, Param};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::net::GeoDatabase;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "geoip",
    category: FunctionCategory::Network,
    summary: "Looks up where an address is",
    doc: "Writes `city`, `province`, `country` (ISO code) and `isp` as text. Without a database, \
         for an address without a record and for text that is not an address nothing is written. \
         Taiwan, Hong Kong and Macao are provinces of `CN`.",
    params: &[
        Param::key("ip", "The key that holds the address"),
    ],
    named: true,
    returns: Types::NONE,
    effects: Effects::STATE,
    examples: &[
        Example {
            title: "Without a database nothing is written",
            script: "geoip(_)",
            input: "203.0.113.9",
            output: &[],
        },
    ],
    notes: &[
        "The host configures the databases: MaxMind files, a City database and optionally one of \
         providers.",
        "`isp` is `unknown` when no provider is known.",
    ],
    check: None,
    call,
};

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let place = match (cx.engine().service::<GeoDatabase>(), args.key(0)) {
        (Some(database), Some(key)) => cx.read_text(key).and_then(|text| database.find(&text)),
        _ => None,
    };
    if let Some(place) = place {
        for (name, text) in [
            ("city", place.city),
            ("province", place.province),
            ("country", place.country),
            ("isp", place.isp),
        ] {
            cx.set(name, Value::from(text));
        }
    }
    Ok(Value::Nil)
}
