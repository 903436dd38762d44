//! Any value splits or is refused, and an element that is wrapped again splits into itself.
#![no_main]

use kafkamq_conversion::{Elements, wrapped};
use kafkamq_settings::SplitFormat;

libfuzzer_sys::fuzz_target!(|input: (&str, &[u8])| {
    let (pointer, value) = input;
    let pointer = match pointer.is_empty() || pointer.starts_with('/') {
        true => pointer.to_owned(),
        false => format!("/{pointer}"),
    };
    for format in [SplitFormat::JsonArray { pointer }, SplitFormat::NdJson] {
        let Ok(elements) = Elements::of(value, &format) else {
            continue;
        };
        for element in elements.all(value).take(100) {
            let alone = wrapped(element, &format);
            let again = Elements::of(&alone, &format).expect("it was an element");
            assert!(again.all(&alone).eq([element]));
        }
    }
});
