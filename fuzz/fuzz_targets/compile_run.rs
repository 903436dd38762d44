#![no_main]

use std::cell::RefCell;

use kafkamq_pipeline::diagnostic::Code;
use kafkamq_pipeline::{Engine, Limits, RunState, Script};
use kafkamq_point::{Category, Point};

thread_local! {
    static STATE: RefCell<RunState> = RefCell::new(RunState::new());
}

// A script and a message, parted by a zero byte. What compiles runs without an internal fault.
libfuzzer_sys::fuzz_target!(|text: &str| {
    let (script, message) = text
        .split_once('\0')
        .unwrap_or((text, "{\"a\":[1,{\"b\":\"c d=e\"}]}"));
    // Calls that wait or reach out make no progress here.
    if script.contains("http_request") {
        return;
    }
    let engine = Engine::new().with_limits(Limits {
        work: 5_000,
        memory: 4 << 20,
        ..Limits::default()
    });
    let Ok(script) = Script::compile(&engine, "fuzz.p", script) else {
        return;
    };
    let mut point = Point::new("fuzz", Category::Logging, 1);
    point.set_tag("tag", "t");
    point.set_field("message", message);
    let outcome = STATE.with_borrow_mut(|state| script.run(&mut point, state));
    if let Some(error) = outcome.error {
        assert_ne!(error.code, Code::Internal, "{error}");
        let _report = error.render(false);
    }
});
