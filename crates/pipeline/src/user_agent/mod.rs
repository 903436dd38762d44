//! What a user agent string says about browser, engine, system and device.
//!
//! The rules are those that existing dashboards were built on, oddities included; they look at products and
//! comments by position, without a database. Any text has an answer, in linear time.

mod browser;
mod section;
mod system;
#[cfg(test)]
mod tests;

use section::Section;

/// What is known about an agent; unknown parts are empty or false.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Agent {
    pub(crate) browser: String,
    pub(crate) browser_version: String,
    pub(crate) engine: String,
    pub(crate) engine_version: String,
    pub(crate) os: String,
    pub(crate) platform: String,
    pub(crate) mobile: bool,
    pub(crate) bot: bool,
    /// Whether it may still turn out to be a bot.
    undecided: bool,
}

impl Agent {
    /// Reads a user agent string.
    pub(crate) fn parse(text: &str) -> Self {
        let mut agent = Self::default();
        let sections = section::all(text);
        let Some(first) = sections.first() else {
            return agent;
        };
        agent.mobile = sections.iter().any(|section| section.name == "Mobile");
        agent.detect_browser(&sections);
        agent.detect_system(first, text);
        if agent.undecided {
            agent.detect_bot(&sections);
        }
        agent
    }

    fn detect_bot(&mut self, sections: &[Section]) {
        let [first, rest @ ..] = sections else { return };
        if rest.is_empty() && first.name != "Mozilla" {
            let name = first.name.to_ascii_lowercase();
            let suspicious = [
                "bot", "crawler", "spider", "spyder", "search", "worm", "fetch", "nutch",
            ];
            if suspicious.iter().any(|word| name.contains(word)) {
                return self.simple(&first.name, "", true);
            }
            let bot = site(&first.comment).is_some();
            return self.simple(&first.name, &first.version, bot);
        }
        match sections.iter().find_map(|section| site(&section.comment)) {
            Some(name) => {
                let (name, version) = name.split_once('/').unwrap_or((name, ""));
                let (name, version) = (name.to_owned(), version.to_owned());
                self.simple(&name, &version, true);
            }
            None => {
                self.browser.clone_from(&first.name);
                self.browser_version.clone_from(&first.version);
            }
        }
    }

    fn simple(&mut self, name: &str, version: &str, bot: bool) {
        self.bot = bot;
        name.clone_into(&mut self.browser);
        version.clone_into(&mut self.browser_version);
        self.engine.clear();
        self.engine_version.clear();
        self.os.clear();
    }
}

/// The name of the site a comment mentions: the URL itself in a short comment, else the item before it.
fn site(comment: &[String]) -> Option<&str> {
    let at = match comment.len() {
        0 => return None,
        1 | 2 => 0,
        4 => 3,
        _ => 2,
    };
    let item = comment.get(at)?;
    let url = url(item)?;
    let name = match at.checked_sub(1) {
        None => url,
        Some(before) => comment.get(before)?.trim(),
    };
    (!name.is_empty()).then_some(name)
}

/// The longest part of the item that looks like `http://….word`.
fn url(item: &str) -> Option<&str> {
    let mut from = 0;
    loop {
        let rest = item.get(from..)?;
        let start = from + rest.find("http")?;
        let tail = item.get(start + 4..)?;
        let tail = tail.strip_prefix('s').unwrap_or(tail);
        if let Some(host) = tail.strip_prefix("://") {
            let line = host.split('\n').next().unwrap_or(host);
            let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            // The last dot that has something before it and a word behind it.
            for (dot, _) in line.rmatch_indices('.') {
                let behind = line.get(dot + 1..)?;
                let length = behind.len() - behind.trim_start_matches(word).len();
                if dot > 0 && length > 0 {
                    let end = item.len() - host.len() + dot + 1 + length;
                    return item.get(start..end);
                }
            }
        }
        from = start + 4;
    }
}
