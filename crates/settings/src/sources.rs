//! Where a configuration comes from: files, folders, texts and the environment.

use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::diagnostic::{Diagnostic, Position};
use super::keys::ROOT;

/// Prefix of the environment variables that belong to the service.
pub(super) const PREFIX: &str = "KAFKAMQ_";

/// Larger than any configuration; what is larger was named by mistake. In bytes.
const LARGEST: u64 = 16 << 20;

/// Where a configuration comes from, lowest layer first.
#[derive(Clone, Default)]
pub struct Sources {
    pub(super) layers: Vec<Layer>,
    pub(super) environment: Vec<(String, String)>,
    /// Variables that name no key as they are written, and what was meant.
    pub(super) misspelt: Vec<(String, String)>,
}

/// One source.
#[derive(Clone)]
pub(super) enum Layer {
    File(PathBuf),
    Text { name: String, text: String },
    Json(Value),
}

/// The variable that was meant by one with a single underscore between table and key.
fn meant_variable(name: &str) -> Option<String> {
    let rest = name.strip_prefix(PREFIX)?.to_ascii_lowercase();
    ROOT.tables.iter().find_map(|(known, table)| {
        let key = rest.strip_prefix(known)?.strip_prefix('_')?;
        let exists = table.key(key).is_some() || table.file_key(key).is_some();
        exists.then(|| format!("{PREFIX}{known}__{key}").to_ascii_uppercase())
    })
}

impl Sources {
    /// No source: every key has its default.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is neither a file or text nor a variable of the environment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty() && self.environment.is_empty()
    }

    /// Adds a TOML file, or all `*.toml` and `*.conf` files of a folder in the order of their names.
    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.layers.push(Layer::File(path.into()));
        self
    }

    /// Adds a TOML text; `name` stands for the file name in findings.
    #[must_use]
    pub fn text(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.layers.push(Layer::Text {
            name: name.into(),
            text: text.into(),
        });
        self
    }

    /// Adds a document as [`crate::Document::tree`] shows it.
    #[must_use]
    pub fn json(mut self, tree: Value) -> Self {
        self.layers.push(Layer::Json(tree));
        self
    }

    /// Adds environment variables; those that are not `KAFKAMQ_<TABLE>__<KEY>` are ignored.
    #[must_use]
    pub fn environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        for (name, value) in variables {
            if !name.starts_with(PREFIX) {
                continue;
            }
            if name.contains("__") {
                self.environment.push((name, value));
            } else if let Some(meant) = meant_variable(&name) {
                self.misspelt.push((name, meant));
            }
        }
        self.environment.sort();
        self
    }

    /// Adds the variables of this process. Those that are not valid Unicode are ignored.
    #[must_use]
    pub fn process_environment(self) -> Self {
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        self.environment(variables)
    }

    /// The same without any layer: the environment alone.
    #[must_use]
    pub fn only_environment(&self) -> Self {
        Self {
            layers: Vec::new(),
            environment: self.environment.clone(),
            misspelt: Vec::new(),
        }
    }

    /// A digest of all files there are now, by which a change of them is noticed whatever became of
    /// times and links. Files that cannot be read count as such.
    #[must_use]
    pub fn files_digest(&self) -> String {
        let mut digest = Sha256::new();
        for layer in &self.layers {
            let Layer::File(path) = layer else { continue };
            for path in expand(path, &mut Vec::new()) {
                digest.update(path.as_os_str().as_encoded_bytes());
                match std::fs::read(&path) {
                    Ok(bytes) => {
                        digest.update((bytes.len() as u64).to_le_bytes());
                        digest.update(&bytes);
                    }
                    Err(error) => digest.update(format!("{:?}", error.kind())),
                }
            }
        }
        base64_simd::URL_SAFE_NO_PAD.encode_to_string(digest.finalize())
    }

    /// The files and folders named so far, for a watch on them.
    #[must_use]
    pub fn paths(&self) -> Vec<&Path> {
        self.layers
            .iter()
            .filter_map(|layer| match layer {
                Layer::File(path) => Some(path.as_path()),
                _ => None,
            })
            .collect()
    }
}

/// The files that `path` stands for.
pub(super) fn expand(path: &Path, found: &mut Vec<Diagnostic>) -> Vec<PathBuf> {
    if !path.is_dir() {
        return vec![path.to_owned()];
    }
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) => {
            found.push(Diagnostic::error(
                "",
                format!("cannot read {}: {error}", path.display()),
            ));
            return Vec::new();
        }
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.is_file()
                && path
                    .extension()
                    .is_some_and(|end| end == "toml" || end == "conf")
        })
        .collect();
    files.sort();
    if files.is_empty() {
        found.push(Diagnostic::error(
            "",
            format!("{} holds no .toml or .conf file", path.display()),
        ));
    }
    files
}

/// The text of a file.
pub(super) fn read(path: &Path) -> Result<String, Box<Diagnostic>> {
    let name = path.display();
    let failed = |error: std::io::Error| {
        let error = Diagnostic::error("", format!("cannot read {name}: {error}"));
        Box::new(error.with_hint("name a file that exists and that this user may read"))
    };
    let bytes = std::fs::metadata(path).map_err(failed)?.len();
    if bytes > LARGEST {
        let error = format!("{name} has {bytes} bytes, more than any configuration ({LARGEST})");
        return Err(Diagnostic::error("", error)
            .with_hint("was another file meant?")
            .into());
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let (before, after) = error.as_bytes().split_at(at);
        let line_start = before
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |at| at + 1);
        let byte = after.first().copied().unwrap_or_default();
        let mut found = Diagnostic::error("", format!("the byte 0x{byte:02X} is not UTF-8"))
            .with_hint("save the file as UTF-8, for example with `iconv -f GB18030 -t UTF-8`");
        let text = String::from_utf8_lossy(before.get(line_start..).unwrap_or_default());
        found.position = Some(Position {
            file: name.to_string(),
            line: before.iter().filter(|&&byte| byte == b'\n').count() + 1,
            column: text.chars().count() + 1,
            length: 1,
            text: String::new(),
        });
        Box::new(found)
    })
}
