//! Any text is an OTLP request in JSON or is refused; what was converted once is binary and is not
//! converted again.
#![no_main]

use bytes::Bytes;
use kafkamq_conversion::{Conversion, Form, OtlpJson, Signal};

libfuzzer_sys::fuzz_target!(|value: &[u8]| {
    let value = Bytes::copy_from_slice(value);
    for signal in [Signal::Traces, Signal::Metrics, Signal::Logs] {
        let Ok((form, binary)) = Conversion::OtlpJson(signal).convert(None, &value) else {
            continue;
        };
        assert_eq!(form, Form::OtlpProto);
        if !binary.starts_with(b"{") {
            let again = Conversion::OtlpAuto(signal, OtlpJson::Convert).convert(None, &binary);
            assert_eq!(again.expect("binary requests pass"), (form, binary));
        }
    }
});
