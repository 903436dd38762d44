//! A file of dead letters that holds anything: the store opens or says why not, it can be listed to
//! its end, and a store that opened takes a letter and gives it back.
#![no_main]

use bytes::Bytes;
use kafkamq_delivery::dead_letter::{DeadLetter, DeadLetterOptions, DeadLetterStore, Filter, View};

libfuzzer_sys::fuzz_target!(|files: (&[u8], &[u8])| {
    let (segment, index) = files;
    let folder = tempfile::tempdir().expect("a folder");
    let path = |extension| folder.path().join(format!("{:020}.{extension}", 1));
    std::fs::write(path("letters"), segment).expect("a file");
    if !index.is_empty() {
        std::fs::write(path("index"), index).expect("a file");
    }
    if let Ok(view) = View::open(folder.path()) {
        for letter in view.letters(Filter::default()) {
            let _read = letter;
        }
    }
    let Ok(store) = DeadLetterStore::open(folder.path(), DeadLetterOptions::default()) else {
        return;
    };
    let letter = DeadLetter {
        topic: "fuzz".to_owned(),
        value: Some(Bytes::from_static(b"value")),
        ..DeadLetter::default()
    };
    let Ok(numbers) = store.append(std::slice::from_ref(&letter)) else {
        return;
    };
    let found = store.view().letter(numbers.start).expect("it is readable");
    assert_eq!(found.map(|found| found.letter), Some(letter));
});
