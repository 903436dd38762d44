//! What was corrected in a point, in the words receivers of the write interface use.

use std::fmt;

use crate::Text;

/// The longest start of `text` that fits `max` bytes and ends between characters.
pub(crate) fn cut(text: &str, max: usize) -> &str {
    text.get(..text.floor_char_boundary(max)).unwrap_or(text)
}

/// One correction made to a point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// What was corrected.
    pub kind: WarningKind,
    /// Where, usually the key, with sizes where they matter.
    pub(crate) detail: Text,
}

impl Warning {
    pub(crate) fn new(kind: WarningKind, key: &str) -> Self {
        Self {
            kind,
            detail: cut(key, 64).into(),
        }
    }

    pub(crate) fn about(kind: WarningKind, detail: fmt::Arguments<'_>) -> Self {
        use compact_str::ToCompactString as _;
        Self {
            kind,
            detail: detail.to_compact_string(),
        }
    }

    pub(crate) fn too_long(kind: WarningKind, key: &str, length: usize) -> Self {
        // An over-long key must not make an over-long report.
        Self::about(kind, format_args!("{}: {length} bytes", cut(key, 64)))
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.detail.is_empty() {
            f.write_str(self.kind.as_str())
        } else {
            write!(f, "{}: {}", self.kind, self.detail.escape_debug())
        }
    }
}

/// What kind of correction was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WarningKind {
    /// More tags than allowed; this one was dropped.
    ExceedMaxTags,
    /// More fields than allowed; this one was dropped.
    ExceedMaxFields,
    /// The point holds tags at most.
    NoField,
    /// A tag key was cut.
    ExceedMaxTagKeyLen,
    /// A tag value was cut.
    ExceedMaxTagValueLen,
    /// A field key was cut.
    ExceedMaxFieldKeyLen,
    /// A text or binary field was cut.
    ExceedMaxFieldValueLen,
    /// Positive infinity was replaced by [`POSITIVE_INFINITY`](crate::POSITIVE_INFINITY).
    ConvertInfToMaxValue,
    /// Negative infinity was replaced by [`NEGATIVE_INFINITY`](crate::NEGATIVE_INFINITY).
    ConvertInfToMinValue,
    /// A tag with an empty key was dropped.
    InvalidTagKey,
    /// A field with an empty key was dropped.
    InvalidFieldKey,
    /// The measurement was empty or too long.
    InvalidMeasurement,
    /// A field whose value the category does not take (or not a number) was dropped.
    InvalidFieldValueType,
    /// A required key was missing and was added.
    AddRequiredKey,
    /// A field with a reserved key was dropped.
    FieldDisabled,
    /// A tag with a reserved key was dropped.
    TagDisabled,
    /// The corrected key exists already; the corrected one was dropped.
    KeyNameConflict,
    /// Dots in a key became underscores.
    DotInKey,
    /// Line feeds became spaces, or trailing backslashes were cut.
    NewLineOrTailEscape,
}

impl WarningKind {
    /// The name receivers of the write interface use for it.
    #[must_use]
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::ExceedMaxTags => "exceed_max_tags",
            Self::ExceedMaxFields => "exceed_max_fields",
            Self::NoField => "no_field",
            Self::ExceedMaxTagKeyLen => "exceed_max_tag_key_len",
            Self::ExceedMaxTagValueLen => "exceed_max_tag_value_len",
            Self::ExceedMaxFieldKeyLen => "exceed_max_field_key_len",
            Self::ExceedMaxFieldValueLen => "exceed_max_field_value_len",
            Self::ConvertInfToMaxValue => "convert_inf_to_max_value",
            Self::ConvertInfToMinValue => "convert_inf_to_min_value",
            Self::InvalidTagKey => "invalid_tag_key",
            Self::InvalidFieldKey => "invalid_field_key",
            Self::InvalidMeasurement => "invalid_measurement",
            Self::InvalidFieldValueType => "invalid_field_value_type",
            Self::AddRequiredKey => "add_required_kv",
            Self::FieldDisabled => "field_disabled",
            Self::TagDisabled => "tag_disabled",
            Self::KeyNameConflict => "key_name_conflict",
            Self::DotInKey => "dot_in_key",
            // The misspelling is the receivers' own name for it.
            Self::NewLineOrTailEscape => "found_new_line_or_tail_espace",
        }
    }
}

impl fmt::Display for WarningKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
