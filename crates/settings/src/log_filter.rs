//! Which log lines are shown, as text: `info`, or `info,kafkamq::kafka=debug`.

use super::reader::nearest;

const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];
/// What is shown of modules that no directive names.
const OTHERS: &str = "info";

/// The text of a filter that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(String);

/// Why a text is not a filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is not a log level: write {}{}", LEVELS.join(", "), self.hint())]
pub struct LogFilterError {
    word: String,
}

impl LogFilterError {
    fn hint(&self) -> String {
        let near = nearest(&self.word, LEVELS.map(str::to_owned));
        let near = near.map(|near| format!("; did you mean `{near}`?"));
        near.unwrap_or_else(|| ", or directives such as `info,kafkamq::kafka=debug`".to_owned())
    }
}

impl LogFilter {
    /// Reads `text`: a level, and `module=level` for modules that differ, separated by commas. A
    /// word that is neither would name a module and mute everything else, errors too, so it is
    /// refused. Where no level is given for the rest, it is `info`.
    ///
    /// # Errors
    /// The first word that is not a level.
    pub fn parse(text: &str) -> Result<Self, LogFilterError> {
        let is_level = |word: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word));
        let mut rest = None;
        let directives = text.split(',').map(str::trim);
        for directive in directives.filter(|directive| !directive.is_empty()) {
            let (target, word) = match directive.split_once('=') {
                Some((target, word)) => (Some(target), word.trim()),
                None => (None, directive),
            };
            // A single module may be muted; everything at once may not.
            let muted = target.is_some() && word.eq_ignore_ascii_case("off");
            if !is_level(word) && !muted {
                let word = word.to_owned();
                return Err(LogFilterError { word });
            }
            if target.is_none() {
                rest = Some(word);
            }
        }
        Ok(Self(match rest {
            Some(_) => text.to_owned(),
            None if text.trim().is_empty() => OTHERS.to_owned(),
            None => format!("{OTHERS},{text}"),
        }))
    }

    /// The filter as text, with a level for modules that it does not name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_never_mutes_errors_by_a_slip() {
        let filter = |text: &str| LogFilter::parse(text).map(|filter| filter.as_str().to_owned());
        for text in [
            "info",
            "WARN",
            "debug,kafkamq::kafka=off",
            " error , a=trace",
        ] {
            assert_eq!(filter(text).as_deref(), Ok(text));
        }
        assert_eq!(filter("a=debug").as_deref(), Ok("info,a=debug"));
        assert_eq!(filter("").as_deref(), Ok("info"));
        let refused = |text: &str| filter(text).unwrap_err().to_string();
        assert_eq!(
            refused("verbose"),
            "`verbose` is not a log level: write error, warn, info, debug, trace, or directives \
             such as `info,kafkamq::kafka=debug`"
        );
        assert!(
            refused("inf").ends_with("did you mean `info`?"),
            "{}",
            refused("inf")
        );
        assert!(refused("info,a=loud").starts_with("`loud`"));
        assert!(refused("off").starts_with("`off`"));
        assert!(refused("kafkamq::kafka").starts_with("`kafkamq::kafka`"));
    }
}
