// What every decoder promises, included by its target.

use kafkamq_point::codec::{DecodeOptions, Encoding, Precision};
use kafkamq_point::{Category, Rules};

/// Reads any bytes. What they hold must be writable in every encoding (or be refused because it has no
/// fields), read back as one point, and be written the same way from then on.
fn settle(encoding: Encoding, body: &[u8]) {
    let options = DecodeOptions {
        category: Category::Logging,
        precision: Some(Precision::Nanoseconds),
        now_ns: 77,
    };
    let Ok(mut points) = encoding.decode(body, &options) else {
        return;
    };
    for point in &mut points {
        for encoding in Encoding::ALL {
            let mut first = Vec::new();
            if encoding.encode(point, &mut first).is_err() {
                assert!(first.is_empty());
                continue;
            }
            let body = encoding.framing().wrap(&first).concat();
            let read = encoding
                .decode(&body, &options)
                .unwrap_or_else(|errors| panic!("{encoding}: {errors}"));
            let [read] = read.as_slice() else {
                panic!("{encoding}: {} points", read.len());
            };
            assert_eq!(
                read.time_ns(),
                if point.time_ns() == 0 {
                    77
                } else {
                    point.time_ns()
                }
            );
            let mut second = Vec::new();
            encoding.encode(read, &mut second).unwrap();
            // Simple JSON turns integers into floats, which then have another text.
            if encoding != Encoding::Json {
                assert_eq!(first, second, "{encoding}");
            }
        }
        let rules = Rules::of(point.category());
        rules.apply(point);
        assert!(rules.apply(point).is_empty());
    }
}
