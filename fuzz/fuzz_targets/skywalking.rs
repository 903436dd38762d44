//! Any bytes are a SkyWalking message or are refused. What is made for its own server is JSON, and a log
//! that became binary is a log; meters and spans become points with fields.
#![no_main]

use bytes::Bytes;
use kafkamq_conversion::{Conversion, PointConversion};

libfuzzer_sys::fuzz_target!(|value: &[u8]| {
    let value = Bytes::copy_from_slice(value);
    for key in [None, Some(&b"register-instance"[..])] {
        for conversion in [
            Conversion::OapSegment,
            Conversion::OapLog,
            Conversion::OapLogJson,
            Conversion::OapManagement,
        ] {
            if let Ok((_, body)) = conversion.convert(key, &value) {
                serde_json::from_slice::<serde_json::Value>(&body).expect("JSON");
            }
        }
    }
    if let Ok((_, log)) = Conversion::SkywalkingLogJson.convert(None, &value) {
        Conversion::OapLog.convert(None, &log).expect("a log");
    }
    for conversion in [
        PointConversion::Meters,
        PointConversion::Daoke { strict_error: true },
    ] {
        if let Ok(points) = conversion.points(&value, 77) {
            for point in points.take(1000) {
                assert_eq!(point.category(), conversion.category());
            }
        }
    }
});
