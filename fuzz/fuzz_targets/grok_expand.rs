//! Grok patterns out of anything: two definitions, a pattern that may use them, and a text. Nothing may crash or
//! hang, both engines must find the same match, and the definitions must expand within their bound.
#![no_main]

use std::sync::Arc;

use kafkamq_pipeline::Meter;
use kafkamq_pipeline::grok::{Definition, Grok, Library};
use kafkamq_pipeline::regex::{Captures, Groups, Regex};

libfuzzer_sys::fuzz_target!(|input: (&str, &str, &str, &str)| {
    let (first, second, pattern, text) = input;
    let library = Library::built_in();
    let define = |name, expression, below: Option<Arc<Definition>>| {
        Definition::new(name, expression, &library, |asked| {
            below.clone().filter(|_| asked == "a")
        })
        .ok()
        .map(Arc::new)
    };
    let a = define("a", first, None);
    let b = define("b", second, a.clone());
    let own = |name: &str| match name {
        "a" => a.clone(),
        "b" => b.clone(),
        _ => None,
    };
    // Compiling large expressions is slow and finds nothing new.
    if first.len() + second.len() + pattern.len() > 200 {
        return;
    }
    if let Ok(grok) = Grok::compile(pattern, &library, own) {
        let mut captures = Captures::default();
        let meter = Meter::unbounded();
        let found = grok.search(text, true, &mut captures, &meter, |_, _| {});
        assert_eq!(found, grok.is_match(text, &meter));
    }
    if let Ok(regex) = Regex::new(pattern, Groups::All) {
        regex.assert_engines_agree(text);
    }
});
