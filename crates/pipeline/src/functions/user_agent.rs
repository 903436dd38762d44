//! `user_agent`: reads a user agent string.

use super::{Effects, Example, FunctionCategory, FunctionSpec, Param};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::user_agent::Agent;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "user_agent",
    category: FunctionCategory::Network,
    summary: "Reads a user agent string",
    doc: "Writes eight keys: `browser`, `browserVer`, `engine`, `engineVer`, `os` and `ua` (the \
         platform) as text, `isMobile` and `isBot` as bools. Unknown parts are empty.",
    params: &[
        Param::key("key", "The key that holds the agent"),
    ],
    named: true,
    returns: Types::NONE,
    effects: Effects::PURE,
    examples: &[
        Example {
            title: "A command line client",
            script: "user_agent(_)",
            input: "curl/8.5.0",
            output: &[("browser", "\"curl\""), ("browserVer", "\"8.5.0\""), ("engine", "\"\""), ("engineVer", "\"\""), ("isBot", "false"), ("isMobile", "false"), ("os", "\"\""), ("ua", "\"\"")],
        },
    ],
    notes: &[
        "A key `ua` that held the agent is overwritten with the platform.",
    ],
    check: None,
    call,
};

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let Some(text) = args.key(0).and_then(|key| cx.read_text(key)) else {
        return Ok(Value::Nil);
    };
    let agent = Agent::parse(&text);
    drop(text);
    for (name, text) in [
        ("browser", agent.browser),
        ("browserVer", agent.browser_version),
        ("engine", agent.engine),
        ("engineVer", agent.engine_version),
        ("os", agent.os),
        ("ua", agent.platform),
    ] {
        cx.set(name, Value::from(text));
    }
    cx.set("isMobile", Value::Bool(agent.mobile));
    cx.set("isBot", Value::Bool(agent.bot));
    Ok(Value::Nil)
}
