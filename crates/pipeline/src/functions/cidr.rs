//! `cidr`: tells whether an address lies in a network.

use super::{Effects, Example, FunctionCategory, FunctionSpec, Param, ParamKind};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::net::contains;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "cidr",
    category: FunctionCategory::Network,
    summary: "Tells whether an address lies in a network",
    doc: "`prefix` is an address, a slash and the number of leading bits that count. An IPv4 \
         address is never in an IPv6 network or the other way round, IPv4-mapped addresses \
         included. An address or network that cannot be read gives `false`.",
    params: &[
        Param::of("ip", ParamKind::Source, "The address, or the key that holds it"),
        Param::of("prefix", ParamKind::Source, "The network, or the key that holds it"),
    ],
    named: true,
    returns: Types::BOOL,
    effects: Effects::PURE,
    examples: &[
        Example {
            title: "A private address",
            script: "add_key(private, cidr(_, \"10.0.0.0/8\"))",
            input: "10.9.8.7",
            output: &[("private", "true")],
        },
    ],
    notes: &[

    ],
    check: None,
    call,
};

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let (ip, network) = (args.value(cx, 0)?, args.value(cx, 1)?);
    let inside = match (ip.as_str(), network.as_str()) {
        (Some(ip), Some(network)) => contains(network, ip),
        _ => false,
    };
    Ok(Value::Bool(inside))
}
