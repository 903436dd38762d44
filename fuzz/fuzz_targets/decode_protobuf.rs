#![no_main]

include!("settle.rs");

libfuzzer_sys::fuzz_target!(|body: &[u8]| settle(Encoding::Protobuf, body));
