//! The answer of a handle, in any encoding: reading it in one go and going on where a reader stopped
//! give the same points.
#![no_main]

use kafkamq_point::Category;
use kafkamq_point::codec::{DecodeOptions, Encoding, PointReader, Precision};

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    let options = DecodeOptions {
        category: Category::Logging,
        precision: Some(Precision::Nanoseconds),
        now_ns: 77,
    };
    for encoding in Encoding::ALL {
        let Ok(whole) = PointReader::new(encoding, body, 0, options) else {
            continue;
        };
        let whole: Vec<_> = whole.take(200).map(Result::ok).collect();
        let (mut parts, mut at) = (Vec::new(), 0);
        while parts.len() < 200 {
            let Ok(mut reader) = PointReader::new(encoding, body, at, options) else {
                break;
            };
            let Some(point) = reader.next() else {
                break;
            };
            at = reader.position();
            parts.push(point.ok());
        }
        assert_eq!(whole, parts, "{encoding}");
    }
});
