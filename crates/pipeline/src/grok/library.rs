//! Which patterns a name can mean: the built-in ones, those of pattern files, those a script defines.

use super::built_in::BUILT_IN;
use super::expand::{self, Expanded, GrokError, Malformed};
use crate::regex::{self, Groups};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock};

/// The patterns every script sees.
#[derive(Debug, Default)]
pub struct Library {
    patterns: HashMap<Box<str>, Expanded>,
}

impl Library {
    /// The built-in patterns alone.
    #[must_use]
    pub fn built_in() -> Arc<Self> {
        static LIBRARY: LazyLock<Arc<Library>> = LazyLock::new(|| {
            let source = BUILT_IN.iter().copied().collect();
            Arc::new(Library::default().extended(&source, Malformed::Keep).0)
        });
        Arc::clone(&LIBRARY)
    }

    /// The built-in patterns and those of pattern files, given as the texts of the files: one pattern a
    /// line, name, one blank, expression; lines that begin with `#` or have no blank are skipped. They may
    /// refer to each other in any order. A built-in name is not replaced. Also returned: the patterns left
    /// out, with the reason.
    #[cfg(test)]
    pub(crate) fn with_files<'f>(
        files: impl IntoIterator<Item = &'f str>,
    ) -> (Arc<Self>, Vec<(String, GrokError)>) {
        let base = Self::built_in();
        let mut source = HashMap::new();
        for line in files.into_iter().flat_map(str::lines) {
            if let Some((name, expression)) = line.split_once(' ')
                && !line.starts_with('#')
                && !base.patterns.contains_key(name)
            {
                source.insert(name, expression);
            }
        }
        let start = Self {
            patterns: base.patterns.clone(),
        };
        let (library, left_out) = start.extended(&source, Malformed::Refuse);
        (Arc::new(library), left_out)
    }

    /// The names, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.patterns.keys().map(|name| &**name).collect();
        names.sort_unstable();
        names
    }

    pub(super) fn expand(
        &self,
        pattern: &str,
        own: impl Fn(&str) -> Option<Arc<Definition>>,
    ) -> Result<Expanded, GrokError> {
        expand::expand(pattern, Malformed::Refuse, |name| match own(name) {
            Some(definition) => Ok(definition.0.clone()),
            None => self
                .patterns
                .get(name)
                .cloned()
                .ok_or_else(|| GrokError::Unknown(name.to_owned())),
        })
    }

    fn extended(
        mut self,
        source: &HashMap<&str, &str>,
        malformed: Malformed,
    ) -> (Self, Vec<(String, GrokError)>) {
        let mut names: Vec<&str> = source.keys().copied().collect();
        names.sort_unstable();
        let mut left_out = Vec::new();
        for name in names {
            let mut open = HashSet::new();
            if let Err(error) = self.resolve(name, source, malformed, &mut open) {
                left_out.push((name.to_owned(), error));
            }
        }
        (self, left_out)
    }

    /// Expands a pattern of `source`, and first those it refers to; `open` holds the ones under way.
    fn resolve<'s>(
        &mut self,
        name: &'s str,
        source: &HashMap<&'s str, &'s str>,
        malformed: Malformed,
        open: &mut HashSet<&'s str>,
    ) -> Result<Expanded, GrokError> {
        if let Some(found) = self.patterns.get(name) {
            return Ok(found.clone());
        }
        let Some((&name, &expression)) = source.get_key_value(name) else {
            return Err(GrokError::Unknown(name.to_owned()));
        };
        // A chain of files' patterns is as deep as the stack allows for; longer ones count as circles.
        if open.len() >= 64 || !open.insert(name) {
            return Err(GrokError::Cycle(name.to_owned()));
        }
        if !expand::valid_name(name) {
            return Err(GrokError::Name(name.to_owned()));
        }
        let expanded = expand::expand(expression, malformed, |inner| -> Result<_, GrokError> {
            match (self.patterns.get(inner), source.get_key_value(inner)) {
                (Some(found), _) => Ok(found.clone()),
                (None, Some((&inner, _))) => self.resolve(inner, source, malformed, open),
                (None, None) => Err(GrokError::Unknown(inner.to_owned())),
            }
        });
        open.remove(name);
        let expanded = expanded?;
        regex::check(&expanded.text, Groups::Named)?;
        self.patterns.insert(name.into(), expanded.clone());
        Ok(expanded)
    }
}

/// The service that gives the scripts of an engine a library other than the built-in one.
#[derive(Debug)]
pub(crate) struct SharedLibrary(pub Arc<Library>);

/// A pattern that a script defines with `add_pattern`, expanded with what was visible there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition(Expanded);

impl Definition {
    /// Expands `expression`; `own` finds the script's patterns that are visible at this place, which hide
    /// those of the library.
    ///
    /// # Errors
    /// If no token can mention `name`, a referenced pattern is unknown (the pattern itself included), or
    /// the expression is invalid or too large.
    pub fn new(
        name: &str,
        expression: &str,
        library: &Library,
        own: impl Fn(&str) -> Option<Arc<Self>>,
    ) -> Result<Self, GrokError> {
        if !expand::valid_name(name) {
            return Err(GrokError::Name(name.to_owned()));
        }
        let expanded = library.expand(expression, own)?;
        regex::check(&expanded.text, Groups::Named)?;
        Ok(Self(expanded))
    }
}
