//! The categories a point can belong to, with every spelling that configuration, scripts and the
//! wire formats use for them.

use std::fmt;
use std::str::FromStr;

/// What kind of data a point carries; it selects the write path, the construction rules and the
/// script that applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[non_exhaustive]
pub enum Category {
    /// Time series (`M`).
    Metric,
    /// Network flows (`N`).
    Network,
    /// Key events (`E`).
    KeyEvent,
    /// Objects (`O`).
    Object,
    /// Changes of objects (`OCH`).
    ObjectChange,
    /// Custom objects (`CO`).
    CustomObject,
    /// Logs (`L`).
    #[default]
    Logging,
    /// Spans (`T`).
    Tracing,
    /// Real user monitoring (`R`).
    Rum,
    /// Security findings (`S`).
    Security,
    /// Profiles (`P`).
    Profiling,
    /// Dial tests (`DT`).
    DialTesting,
}

/// A text that names no category.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown category `{0}`")]
pub struct UnknownCategory(pub String);

impl Category {
    /// Every category, in the order of the write interface's documentation.
    pub const ALL: [Self; 12] = [
        Self::Metric,
        Self::Network,
        Self::KeyEvent,
        Self::Object,
        Self::ObjectChange,
        Self::CustomObject,
        Self::Logging,
        Self::Tracing,
        Self::Rum,
        Self::Security,
        Self::Profiling,
        Self::DialTesting,
    ];

    /// The lower-case name: the last segment of `/v1/write/{category}` and the script folder.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Metric => "metric",
            Self::Network => "network",
            Self::KeyEvent => "keyevent",
            Self::Object => "object",
            Self::ObjectChange => "object_change",
            Self::CustomObject => "custom_object",
            Self::Logging => "logging",
            Self::Tracing => "tracing",
            Self::Rum => "rum",
            Self::Security => "security",
            Self::Profiling => "profiling",
            Self::DialTesting => "dialtesting",
        }
    }

    /// The short alias, such as `L` for logging.
    #[must_use]
    pub(crate) const fn alias(self) -> &'static str {
        match self {
            Self::Metric => "M",
            Self::Network => "N",
            Self::KeyEvent => "E",
            Self::Object => "O",
            Self::ObjectChange => "OCH",
            Self::CustomObject => "CO",
            Self::Logging => "L",
            Self::Tracing => "T",
            Self::Rum => "R",
            Self::Security => "S",
            Self::Profiling => "P",
            Self::DialTesting => "DT",
        }
    }

    /// The path of the write interface that takes this category.
    #[must_use]
    pub const fn write_path(self) -> &'static str {
        match self {
            Self::Metric => "/v1/write/metric",
            Self::Network => "/v1/write/network",
            Self::KeyEvent => "/v1/write/keyevent",
            Self::Object => "/v1/write/object",
            Self::ObjectChange => "/v1/write/object_change",
            Self::CustomObject => "/v1/write/custom_object",
            Self::Logging => "/v1/write/logging",
            Self::Tracing => "/v1/write/tracing",
            Self::Rum => "/v1/write/rum",
            Self::Security => "/v1/write/security",
            Self::Profiling => "/v1/write/profiling",
            Self::DialTesting => "/v1/write/dialtesting",
        }
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Category {
    type Err = UnknownCategory;

    /// Accepts the name, the alias (both exact) and the deprecated `metrics`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "metrics" {
            return Ok(Self::Metric);
        }
        Self::ALL
            .into_iter()
            .find(|category| category.name() == text || category.alias() == text)
            .ok_or_else(|| UnknownCategory(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_round_trips() {
        for category in Category::ALL {
            assert_eq!(category.name().parse(), Ok(category));
            assert_eq!(category.alias().parse(), Ok(category));
            assert!(category.write_path().ends_with(category.name()));
        }
        assert_eq!("metrics".parse(), Ok(Category::Metric));
        assert_eq!(
            "unknown".parse::<Category>(),
            Err(UnknownCategory("unknown".into()))
        );
    }
}
