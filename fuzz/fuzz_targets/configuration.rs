//! Any text is a configuration or is refused with findings that have a place in it. What loads is shown
//! with every secret masked, loads again as it is shown, and then means the same.
#![no_main]

use kafkamq_settings::{Sources, load};

libfuzzer_sys::fuzz_target!(|text: &str| {
    // Files that a text names are outside of what is tried here.
    if text.contains("file") || text.contains("path") || text.contains("ssl_") {
        return;
    }
    match load(&Sources::new().text("fuzz.toml", text)) {
        Ok(loaded) => {
            let shown = loaded.document.tree().clone();
            let again = load(&Sources::new().json(shown.clone())).expect("what was shown loads");
            assert_eq!(*again.document.tree(), shown);
        }
        Err(found) => assert!(!found.to_string().is_empty()),
    }
});
