#![no_main]

use kafkamq_pipeline::{parse_script, printer};

// Any text is parsed or refused; what was parsed is printed and parses back to the same tree.
libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(script) = parse_script("fuzz.p", text) {
        let printed = printer::script(&script);
        match parse_script("fuzz.p", &printed) {
            Ok(again) => assert_eq!(printer::script(&again), printed),
            Err(errors) => panic!("{}\n{printed}", errors[0]),
        }
    } else if let Err(errors) = parse_script("fuzz.p", text) {
        for error in errors {
            let _report = error.render(false);
        }
    }
});
