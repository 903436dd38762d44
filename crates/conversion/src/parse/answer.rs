//! What the answer of a user's own HTTP handle says about the points in it.

use kafkamq_point::{Category, Rules, UnknownCategory};

/// The names of categories that no points can be written to.
const UNWRITABLE: [&str; 2] = ["unknown", "dynamic_dw"];

/// The category that an answer names in `X-category`: a lower-case name. Without the header, with a
/// name that means nothing, or with that of a category that no agent takes, the points are spans.
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
    Ok(match name.parse() {
        Ok(Category::ObjectChange | Category::DialTesting) | Err(_) => Category::Tracing,
        Ok(category) => category,
    })
}

/// The rules by which points of an answer are corrected. Only logs and objects have rules about the
/// names of keys there; in all other categories dots stay, and nothing is added or dropped by name.
#[must_use]
pub(crate) const fn answer_rules(category: Category) -> &'static Rules {
    match category {
        Category::Metric | Category::Logging | Category::Object => Rules::of(category),
        _ => Rules::limits(),
    }
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
    fn a_category_that_no_agent_takes_means_spans() {
        for name in ["object_change", "dialtesting"] {
            assert_eq!(answer_category(Some(name)), Ok(Category::Tracing));
        }
    }

    #[test]
    fn dots_in_keys_stay_outside_logs_and_objects() {
        for category in Category::ALL {
            let rewritten = matches!(category, Category::Logging | Category::Object);
            assert_eq!(
                answer_rules(category).dots_in_keys,
                !rewritten,
                "{category}"
            );
        }
        assert_eq!(answer_rules(Category::CustomObject).required, None);
    }
}
