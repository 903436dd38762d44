//! The sections of an agent string: a product with its version and comment.

/// One section.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Section {
    pub(super) name: String,
    pub(super) version: String,
    /// The items of the comment; empty without one.
    pub(super) comment: Vec<String>,
}

/// All sections of a text.
pub(super) fn all(text: &str) -> Vec<Section> {
    let mut reader = Reader {
        text: text.as_bytes(),
        at: 0,
    };
    let mut sections = Vec::new();
    while reader.peek().is_some() {
        sections.push(reader.section());
    }
    sections
}

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
}

impl<'t> Reader<'t> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn section(&mut self) -> Section {
        let mut section = Section::default();
        if !matches!(self.peek(), Some(b'(' | b'[')) {
            let product = self.until(b' ', false);
            let (name, version) = product.split_once('/').unwrap_or((&product, ""));
            section.name = name.to_owned();
            section.version = version.to_owned();
        }
        if self.peek() == Some(b'(') {
            self.at += 1;
            let comment = self.until(b')', true);
            section.comment = comment.split("; ").map(str::to_owned).collect();
            self.at += 1;
        }
        if self.peek() == Some(b'[') {
            self.at += 1;
            self.until(b']', true);
            self.at += 1;
        }
        section
    }

    /// The text up to a delimiter, which is consumed; `nested` counts parentheses.
    fn until(&mut self, delimiter: u8, nested: bool) -> String {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let mut open = 0u32;
        let mut end = rest.len();
        for (at, &byte) in rest.iter().enumerate() {
            if byte == delimiter {
                if open == 0 {
                    end = at;
                    break;
                }
                open -= 1;
            } else if nested && byte == b'(' {
                open += 1;
            }
        }
        self.at += end + 1;
        String::from_utf8_lossy(rest.get(..end).unwrap_or_default()).into_owned()
    }
}
