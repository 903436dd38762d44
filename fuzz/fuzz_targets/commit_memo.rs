//! What other programs left in a commit is not taken for a memo, and a memo reads back as it was written.
#![no_main]

use kafkamq_source::memo::Memo;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Some(memo) = Memo::parse(text) {
        assert_eq!(Memo::parse(&memo.to_string()), Some(memo));
    }
});
