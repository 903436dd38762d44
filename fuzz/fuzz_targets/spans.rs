//! Any bytes are spans of some encoding or are refused; what is converted has one of the forms that the
//! conversion names.
#![no_main]

use bytes::Bytes;
use kafkamq_conversion::{Conversion, OtlpJson};
use kafkamq_settings::SpanTarget;

libfuzzer_sys::fuzz_target!(|value: &[u8]| {
    let value = Bytes::copy_from_slice(value);
    for to in [SpanTarget::Thrift, SpanTarget::Otlp] {
        for conversion in [
            Conversion::JaegerProto(to),
            Conversion::JaegerJson(to),
            Conversion::Spans(OtlpJson::Convert, to),
        ] {
            if let Ok((form, _)) = conversion.convert(None, &value) {
                assert!(conversion.forms().contains(&form), "{conversion:?}");
            }
        }
    }
});
