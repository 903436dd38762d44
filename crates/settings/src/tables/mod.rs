//! The service's own tables, a file each: the keys with their defaults and sentences, the settings
//! that they become, and how they are read. A key of one of these tables stands in its file and
//! where it is used, and nowhere else.

use kafkamq_point::Category;

use crate::keys::TakesEffect;
use crate::reader::{Section, nearest};

pub(crate) mod dead_letter;
pub(crate) mod limits;
pub(crate) mod log;
pub(crate) mod pipeline;
pub(crate) mod recorder;
pub(crate) mod server;
pub(crate) mod token;

/// A key whose value differs between two configurations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedKey {
    /// The key with its table, such as `limits.memory`.
    pub key: &'static str,
    /// When the change takes effect.
    pub takes_effect: TakesEffect,
}

/// Ties the fields of settings to the keys that they are read from. Several keys may make one field;
/// the first of them says when a change takes effect.
macro_rules! keyed {
    ($settings:ty, $table:ident, $prefix:literal { $($($field:ident).+ : $($key:literal),+;)* }) => {
        impl $settings {
            /// The keys whose values differ.
            #[must_use]
            pub fn changed(&self, other: &Self) -> Vec<$crate::ChangedKey> {
                let mut changed = Vec::new();
                $(
                    if self.$($field).+ != other.$($field).+ {
                        for (name, key) in [$(($key, concat!($prefix, ".", $key))),+] {
                            if let Some(found) = $table.key(name) {
                                let takes_effect = $table.effect_of(found);
                                changed.push($crate::ChangedKey { key, takes_effect });
                            }
                        }
                    }
                )*
                changed
            }

            /// Takes the value of `running` for every key that waits for the next start.
            pub fn defer(&mut self, running: &Self) {
                use $crate::keys::TakesEffect::NextStart;
                $(
                    let mut keys = [$($key),+].into_iter();
                    let waits = keys.any(|name| {
                        $table.key(name).is_some_and(|key| $table.effect_of(key) == NextStart)
                    });
                    if waits {
                        self.$($field).+.clone_from(&running.$($field).+);
                    }
                )*
            }
        }
    };
}
use keyed;

/// Reads a list of categories.
pub(crate) fn categories(section: &Section<'_>, name: &str) -> Vec<Category> {
    let mut all: Vec<Category> = section
        .list(name)
        .iter()
        .filter_map(|text| category(section, name, text))
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

pub(crate) fn category(section: &Section<'_>, name: &str, text: &str) -> Option<Category> {
    match text.parse() {
        Ok(category) => Some(category),
        Err(error) => {
            let mut message = error.to_string();
            let known = Category::ALL.map(|category| category.name().to_owned());
            if let Some(near) = nearest(text, known) {
                message = format!("{message}, did you mean `{near}`?");
            }
            section.error(name, message);
            None
        }
    }
}
