//! `http_request`: asks an HTTP server.

use super::{Effects, DefaultValue, Example, FunctionCategory, FunctionSpec, Param, ParamKind};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::http::{HttpAccess, HttpRequest};
use crate::value::{Map, Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "http_request",
    category: FunctionCategory::State,
    summary: "Makes an HTTP request and returns its answer",
    doc: "Yields a map with `status_code`, an int, and `body`, a str, whatever the status. Yields `nil` \
          when there is no answer: the URL is not `http` or `https`, the target is not allowed, the \
          connection fails, or it takes longer than ten seconds. Redirects are followed, compressed \
          bodies decompressed.\n\n\
          A text is sent as it is, a list or map as JSON, a number or bool as its text. No content \
          type is added.\n\n\
          Unless the configuration allows them, hosts with loopback, private or link-local addresses \
          are refused, redirects included.",
    params: &[
        Param::of("method", ParamKind::Expr, "The method, such as `GET`"),
        Param::of("url", ParamKind::Expr, "The target"),
        Param::of("headers", ParamKind::Expr, "A map of headers; values that are not text are left out")
            .or(DefaultValue::Nil),
        Param::of("body", ParamKind::Expr, "The body").or(DefaultValue::Nil),
    ],
    named: true,
    returns: Types::MAP.or(Types::NIL),
    effects: Effects::EXTERNAL,
    examples: &[Example {
        title: "A target that is not allowed",
        script: "answer = http_request(\"GET\", \"http://127.0.0.1:1/\")\nif answer == nil {\n  add_key(failed, true)\n}",
        input: "",
        output: &[("failed", "true")],
    }],
    notes: &[
        "The script waits for the answer, and every record behind it does too: store answers with `cache_set`.",
        "Reading a member of `nil` is an error, so test the answer first.",
    ],
    check: None,
    call,
};

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
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
    if cx.meter().waited() > cx.engine().limits().wait {
        return Err(RunError::over_budget(args.name_span(), "time"));
    }
    match cx.meter().waiting(|| access.request(&request)) {
        Ok(answer) => {
            cx.charge(answer.body.len(), args.name_span())?;
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kafkamq_point::{Category, Point};
    use parking_lot::Mutex;

    use crate::http::{HttpAccess, HttpAnswer, HttpClient, HttpError, HttpRequest};
    use crate::{Engine, RunState, Script};

    /// Remembers the request and answers with its status.
    struct Client(Mutex<Vec<HttpRequest>>, u16);

    impl HttpClient for Client {
        fn request(&self, request: &HttpRequest) -> Result<HttpAnswer, HttpError> {
            self.0.lock().push(request.clone());
            match self.1 {
                0 => Err(HttpError::Refused),
                status => Ok(HttpAnswer {
                    status,
                    body: b"ok\xff".to_vec(),
                }),
            }
        }
    }

    fn run(script: &str, status: u16) -> (Vec<HttpRequest>, Point, bool) {
        let client = Arc::new(Client(Mutex::default(), status));
        let access = HttpAccess::new(Arc::clone(&client) as _);
        let engine = Engine::new().with_service(Arc::new(access));
        let script = Script::compile(&engine, "t.p", script).unwrap();
        let mut point = Point::new("p", Category::Metric, 1);
        let outcome = script.run(&mut point, &mut RunState::new());
        let requests = client.0.lock().clone();
        (requests, point, outcome.error.is_some())
    }

    #[test]
    fn requests_are_made_as_written() {
        let (requests, point, failed) = run(
            r#"r = http_request("PUT", "HTTP://h/x?y=1", {"A": "b", "C": 1}, {"k": [1.0, "<"]})
               add_key(code, r["status_code"])
               add_key(body, r["body"])"#,
            404,
        );
        assert!(!failed);
        let request = requests.first().unwrap();
        assert_eq!(request.method, "PUT");
        assert_eq!(request.url.as_str(), "http://h/x?y=1");
        assert_eq!(request.headers, [("A".to_owned(), "b".to_owned())]);
        assert_eq!(request.body.as_deref(), Some(&br#"{"k":[1,"\u003c"]}"#[..]));
        assert_eq!(point.get("code").unwrap().value, 404i64.into());
        assert_eq!(point.get("body").unwrap().value, "ok\u{fffd}".into());
    }

    #[test]
    fn without_an_answer_there_is_nil() {
        let (requests, _, failed) = run(r#"r = http_request("GET", "http://h/"); x = r["body"]"#, 0);
        assert_eq!(requests.len(), 1);
        assert!(failed, "indexing nil is an error");
        let (requests, point, failed) = run(
            r#"r = http_request("GET", "ftp://h/"); add_key(none, r == nil)"#,
            200,
        );
        assert!(requests.is_empty() && !failed);
        assert_eq!(point.get("none").unwrap().value, true.into());
    }
}
