//! `http_request`: asks an HTTP server.

use super::{Default, Example, FunctionCategory, FunctionSpec, Param, ParamKind};
use crate::args::Args;
use crate::context::Cx;
use crate::error::RunError;
use crate::http::{HttpAccess, HttpRequest};
use crate::value::{Map, Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "http_request",
    category: FunctionCategory::State,
    summary: "Makes an HTTP request and gives its answer",
    doc: "Yields a map with `status_code`, an int, and `body`, a str, whatever the status. Yields `nil` \
          when there is no answer: the URL is not `http` or `https`, the target is not allowed, the \
          connection fails, or it takes longer than ten seconds. Redirects are followed, compressed \
          bodies unpacked.\n\n\
          A text is sent as it is, a list or map as JSON, a number or bool as its text. No content \
          type is added.\n\n\
          Unless the configuration allows them, hosts with loopback, private or link-local addresses \
          are refused, redirects included.",
    params: &[
        Param::of("method", ParamKind::Expr, "The method, such as `GET`"),
        Param::of("url", ParamKind::Expr, "The target"),
        Param::of("headers", ParamKind::Expr, "A map of headers; values that are no text are left out")
            .or(Default::Nil),
        Param::of("body", ParamKind::Expr, "The body").or(Default::Nil),
    ],
    named: true,
    returns: Types::MAP.or(Types::NIL),
    examples: &[Example {
        title: "A target that is not allowed",
        script: "answer = http_request(\"GET\", \"http://127.0.0.1:1/\")\nif answer == nil {\n  add_key(failed, true)\n}",
        input: "",
        output: &[("failed", "true")],
    }],
    notes: &[
        "The script waits for the answer, and every record behind it does too: keep what you learn with `cache_set`.",
        "Reading a member of `nil` is an error, so look at the answer first.",
    ],
    check: None,
    call,
};

fn call(cx: &mut Cx<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let method = args.str(cx, 0)?;
    let url = args.str(cx, 1)?;
    let url = match url::Url::parse(&url) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => url,
        _ => return Ok(Value::Nil),
    };
    let headers = match args.value(cx, 2)? {
        Value::Nil => Vec::new(),
        Value::Map(headers) => headers.with(|headers| {
            headers
                .iter()
                .filter_map(|(name, value)| Some((name.to_string(), value.as_str()?.to_owned())))
                .collect()
        }),
        other => {
            let message = format!("`headers` is a map, not {}", other.type_name());
            return Err(args.error(2, message));
        }
    };
    let body = match args.value(cx, 3)? {
        Value::Nil => None,
        value => Some(value.text().into_owned().into_bytes()),
    };
    let Some(access) = cx.engine().service::<HttpAccess>() else {
        return Ok(Value::Nil);
    };
    let request = HttpRequest {
        method: method.to_string(),
        url,
        headers,
        body,
    };
    match access.request(&request) {
        Ok(answer) => {
            let map = Map::new();
            map.insert("status_code", Value::Int(answer.status.into()));
            map.insert("body", Value::str(String::from_utf8_lossy(&answer.body)));
            Ok(Value::Map(map))
        }
        Err(error) => {
            tracing::debug!(host = request.url.host_str(), %error, "a request of a script failed");
            Ok(Value::Nil)
        }
    }
}
