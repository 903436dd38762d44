//! Browser and engine.

use super::Agent;
use super::section::Section;

/// Whether a comment item names a crawler that poses as a browser.
fn posing(item: &str) -> bool {
    item.len() > 5 && (item.starts_with("Googlebot") || item.starts_with("bingbot"))
}

impl Agent {
    pub(super) fn detect_browser(&mut self, sections: &[Section]) {
        let [first, rest @ ..] = sections else { return };
        match (first.name.as_str(), rest) {
            ("Opera", _) => {
                self.browser = "Opera".into();
                self.browser_version.clone_from(&first.version);
                self.engine = "Presto".into();
                if let Some(engine) = rest.first() {
                    self.engine_version.clone_from(&engine.version);
                }
            }
            ("Dalvik", _) => {}
            (_, [engine, behind @ ..]) => {
                self.engine.clone_from(&engine.name);
                self.engine_version.clone_from(&engine.version);
                if let [third, ..] = behind {
                    let application = match behind.get(1) {
                        Some(fourth) if third.version.is_empty() => fourth,
                        _ => third,
                    };
                    self.browser_version.clone_from(&application.version);
                    match engine.name.as_str() {
                        "AppleWebKit" => self.webkit_browser(engine, application, sections),
                        "Gecko" => self.gecko_browser(third, sections),
                        "like" if third.name == "Gecko" => self.modern_explorer(first),
                        _ => {}
                    }
                }
            }
            (_, []) => self.old_explorer(&first.comment),
        }
    }

    fn webkit_browser(&mut self, engine: &Section, application: &Section, all: &[Section]) {
        self.undecided = engine.comment.iter().any(|item| posing(item));
        let [.., third_last, second_last, last] = all else {
            return;
        };
        let named = |name: &str, section: &Section| (name.to_owned(), section.version.clone());
        let (name, version) = match last.name.as_str() {
            "Edge" => {
                self.engine = "EdgeHTML".into();
                self.engine_version.clear();
                named("Edge", last)
            }
            "Edg" => {
                if self.undecided {
                    return;
                }
                self.engine_version.clone_from(&second_last.version);
                named("Edge", last)
            }
            "OPR" => named("Opera", last),
            "Mobile" => ("Mobile App".into(), String::new()),
            _ => match (third_last.name.as_str(), second_last.name.as_str()) {
                ("YaBrowser", _) => named("YaBrowser", third_last),
                ("coc_coc_browser", _) => named("Coc Coc", third_last),
                (_, name @ ("Electron" | "DuckDuckGo" | "PhantomJS")) => named(name, second_last),
                _ => {
                    let name = match application.name.as_str() {
                        "Chrome" | "CriOS" => "Chrome",
                        "HeadlessChrome" => "Headless Chrome",
                        "Chromium" => "Chromium",
                        "GSA" => "Google App",
                        "FxiOS" => "Firefox",
                        _ => "Safari",
                    };
                    named(name, application)
                }
            },
        };
        self.browser = name;
        self.browser_version = version;
    }

    fn gecko_browser(&mut self, third: &Section, all: &[Section]) {
        self.browser.clone_from(&third.name);
        if third.name == "MRA"
            && let Some(fifth) = all.get(4)
        {
            self.browser.clone_from(&fifth.name);
            self.browser_version.clone_from(&fifth.version);
        }
    }

    /// Internet Explorer 11, which claims to be like Gecko.
    fn modern_explorer(&mut self, first: &Section) {
        self.engine = "Trident".into();
        self.browser = "Internet Explorer".into();
        let mut versions = first
            .comment
            .iter()
            .filter_map(|item| item.strip_prefix("rv:"));
        self.browser_version = versions
            .find(|version| !version.is_empty())
            .unwrap_or_default()
            .to_owned();
    }

    /// Internet Explorer before 11; the engine's version is more honest than its own.
    fn old_explorer(&mut self, comment: &[String]) {
        let [compatible, msie, ..] = comment else {
            return;
        };
        let Some(claimed) = msie.strip_prefix("MSIE") else {
            return;
        };
        if compatible != "compatible" {
            return;
        }
        self.engine = "Trident".into();
        self.browser = "Internet Explorer".into();
        let mut engines = comment
            .iter()
            .filter_map(|item| item.strip_prefix("Trident/"));
        self.browser_version = match engines.next() {
            Some("4.0") => "8.0",
            Some("5.0") => "9.0",
            Some("6.0") => "10.0",
            _ => claimed.trim(),
        }
        .to_owned();
    }
}
