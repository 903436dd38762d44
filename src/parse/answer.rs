//! Points in the answer of a user's own HTTP handle.

use kafkamq_point::codec::{DecodeErrors, DecodeOptions, Encoding, Precision};
use kafkamq_point::{Category, Point, Rules, UnknownCategory};

/// The names of categories that no points can be written to.
const UNWRITABLE: [&str; 2] = ["unknown", "dynamic_dw"];

/// The category that an answer names in `X-category`: a lower-case name. Without the header, or
/// with a name that means nothing, the points are spans.
///
/// # Errors
/// For the name of a category that nothing can be written to.
pub fn answer_category(header: Option<&str>) -> Result<Category, UnknownCategory> {
    let Some(name) = header.map(str::trim) else {
        return Ok(Category::Tracing);
    };
    if UNWRITABLE.contains(&name) {
        return Err(UnknownCategory(name.to_owned()));
    }
    Ok(name.parse().unwrap_or(Category::Tracing))
}

/// Reads the points of an answer and corrects them by the rules of their category. Times are in
/// nanoseconds; points without one get `now_ns`. An empty body holds no points.
///
/// # Errors
/// When the body is not what its content type says; the whole body is refused then.
pub fn answer_points(
    body: &[u8],
    content_type: Option<&str>,
    category: Category,
    now_ns: i64,
) -> Result<Vec<Point>, DecodeErrors> {
    if body.is_empty() {
        return Ok(Vec::new());
    }
    let encoding = Encoding::from_content_type(content_type.unwrap_or_default());
    let options = DecodeOptions {
        category,
        precision: Some(Precision::Nanoseconds),
        now_ns,
    };
    let mut points = encoding.decode(body, &options)?;
    for point in &mut points {
        let corrections = Rules::of(category).apply(point);
        if !corrections.is_empty() {
            tracing::debug!(?corrections, "corrected a point of an answer");
        }
    }
    Ok(points)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_names_the_category() {
        assert_eq!(answer_category(Some("metrics")), Ok(Category::Metric));
        assert_eq!(answer_category(Some(" logging")), Ok(Category::Logging));
        for other in [None, Some("nonsense"), Some("")] {
            assert_eq!(answer_category(other), Ok(Category::Tracing));
        }
        assert!(answer_category(Some("unknown")).is_err());
    }

    #[test]
    fn an_empty_body_is_no_points_and_garbage_an_error() {
        let read = |body: &[u8], kind| answer_points(body, kind, Category::Logging, 5);
        assert_eq!(read(b"", None).unwrap(), []);
        assert_eq!(read(b"m f=1i", None).unwrap()[0].time_ns(), 5);
        assert_eq!(
            read(
                br#"[{"measurement":"m","fields":{"f":1}}]"#,
                Some("application/json")
            )
            .unwrap()
            .len(),
            1
        );
        assert!(read(b"no fields", None).is_err());
    }
}
