//! Values that may hold credentials: secrets, request headers, addresses. Findings about them never
//! repeat the value.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use url::Url;

use super::super::Secret;
use super::super::diagnostic::Diagnostic;
use super::super::document::{MASK, Part, join};
use super::Section;
use super::parse::{expected, list, text};

impl Section<'_> {
    /// A secret: from the key, or from the file that `<key>_file` names. Both are an error.
    pub(crate) fn secret(&self, name: &str) -> Option<Secret> {
        self.secret_text(name, |value| text(value, false))
            .map(Secret::new)
    }

    /// A list of secrets: from the key, or one a line from the file that `<key>_file` names.
    pub(crate) fn secrets(&self, name: &str) -> Vec<Secret> {
        let lines = self.secret_text(name, |value| Ok(list(value, true)?.join("\n")));
        lines
            .unwrap_or_default()
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(Secret::new)
            .collect()
    }

    fn secret_text(
        &self,
        name: &str,
        parse: impl Fn(&Value) -> Result<String, String>,
    ) -> Option<String> {
        let own = self
            .read(name, |value, _| parse(value))
            .filter(|text| !text.is_empty());
        if own
            .as_deref()
            .is_some_and(|text| text.split('\n').any(|line| line == MASK))
        {
            self.error(
                name,
                format!("`{name}` holds the mask that stands for a secret, not a secret"),
            );
        }
        let file_name = format!("{name}_file");
        let file = self
            .values
            .and_then(|values| values.get(&file_name))
            .filter(|v| !v.is_null());
        let Some(file) = file else { return own };
        let path = join(&self.path, &file_name);
        if own.is_some() {
            self.reader.note_key(
                Diagnostic::error(&path, format!("both `{name}` and `{file_name}` are set"))
                    .with_hint("keep one of them"),
            );
            return own;
        }
        match text(file, false) {
            Ok(file) => self.secret_file(&path, &file),
            Err(message) => {
                self.reader.error(&path, message);
                None
            }
        }
    }

    fn secret_file(&self, path: &str, file: &str) -> Option<String> {
        match std::fs::read_to_string(file) {
            Ok(text) => {
                let text = text.trim_end_matches(['\r', '\n']).to_owned();
                if text.is_empty() {
                    self.reader.error(path, format!("the file {file} is empty"));
                }
                Some(text)
            }
            Err(error) => {
                self.reader
                    .error(path, format!("cannot read the file {file}: {error}"));
                None
            }
        }
    }

    /// Request headers: values are strings or `{ file = "..." }`, and marked sensitive.
    pub(crate) fn headers(&self, name: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let Some(entries) = self.read(name, |value, _| {
            value
                .as_object()
                .cloned()
                .ok_or_else(|| expected("a table of headers", value))
        }) else {
            return headers;
        };
        let path = self.path_of(name);
        for (header, value) in entries {
            let path = join(&path, &header);
            let Ok(header_name) = HeaderName::try_from(header.as_str()) else {
                self.reader.note_key(Diagnostic::error(
                    &path,
                    format!("`{header}` is not a header name"),
                ));
                continue;
            };
            let file = value
                .as_object()
                .and_then(|table| Some((table.len(), table.get("file")?)));
            let text = match (&value, file) {
                (Value::String(text), _) => Some(text.clone()),
                (_, Some((1, Value::String(file)))) => self.secret_file(&path, file),
                _ => {
                    let message = "expected a string or { file = \"...\" }";
                    self.reader
                        .note(Diagnostic::error(&path, message), Part::Value, true);
                    None
                }
            };
            let Some(text) = text else { continue };
            if text == MASK {
                let message = "the value is the mask that stands for a secret, not a secret";
                self.reader
                    .note(Diagnostic::error(&path, message), Part::Value, true);
            }
            match HeaderValue::from_str(&text) {
                Ok(mut value) => {
                    value.set_sensitive(true);
                    headers.append(header_name, value);
                }
                Err(_) => self.reader.note(
                    Diagnostic::error(&path, "the value holds characters a header cannot hold"),
                    Part::Value,
                    true,
                ),
            }
        }
        headers
    }

    /// An `http` or `https` address. The message of a wrong one never repeats it, since addresses
    /// may hold credentials.
    pub(crate) fn url(&self, name: &str) -> Option<Url> {
        let text = self.some_text(name)?;
        match Url::parse(&text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.host().is_some() => {
                Some(url)
            }
            _ if !text.contains("://") => {
                let diagnostic = Diagnostic::error(self.path_of(name), "the address has no scheme")
                    .with_hint("write it like \"http://localhost:9529\"");
                self.reader.note(diagnostic, Part::Value, false);
                None
            }
            Ok(url) => {
                let message = format!(
                    "`{}` is not a scheme for this; http and https are",
                    url.scheme()
                );
                self.error(name, message);
                None
            }
            Err(error) => {
                self.error(name, format!("this is not an address: {error}"));
                None
            }
        }
    }
}
