//! Platform, operating system and whether the device is mobile.

use super::Agent;
use super::section::Section;

/// The marketing name of a Windows version; anything else unchanged.
fn windows(name: &str) -> String {
    let known = match name.strip_prefix("Windows NT ") {
        Some("5.0") => "Windows 2000",
        Some("5.01") => "Windows 2000, Service Pack 1 (SP1)",
        Some("5.1") => "Windows XP",
        Some("5.2") => "Windows XP x64 Edition",
        Some("6.0") => "Windows Vista",
        Some("6.1") => "Windows 7",
        Some("6.2") => "Windows 8",
        Some("6.3") => "Windows 8.1",
        Some("10.0") => "Windows 10",
        _ => name,
    };
    known.to_owned()
}

/// Whether the second item of a comment only fills a place.
fn filler(item: &str) -> bool {
    matches!(item, "U" | "arm_64")
}

impl Agent {
    pub(super) fn detect_system(&mut self, first: &Section, text: &str) {
        let comment: Vec<&str> = first.comment.iter().map(String::as_str).collect();
        match first.name.as_str() {
            "Mozilla" => {
                self.platform = platform(comment.first().copied().unwrap_or("")).to_owned();
                if let (Some(item), "Windows") = (comment.first(), self.platform.as_str()) {
                    self.os = windows(item);
                }
                match self.engine.as_str() {
                    "" => self.undecided = true,
                    "Gecko" => self.gecko_system(&comment),
                    "AppleWebKit" => self.webkit_system(&comment, text),
                    "Trident" => self.trident_system(&comment),
                    _ => {}
                }
            }
            "Opera" => match *comment.as_slice() {
                [item, ..] if item.starts_with("Windows") => {
                    self.platform = "Windows".into();
                    self.os = windows(item);
                }
                [item, ref rest @ ..] => {
                    self.mobile |= item.starts_with("Android");
                    self.platform = item.to_owned();
                    self.os = rest.first().copied().unwrap_or(item).to_owned();
                }
                [] => {}
            },
            "Dalvik" => {
                if let [item, ref rest @ ..] = *comment.as_slice()
                    && item.starts_with("Linux")
                {
                    self.platform = item.to_owned();
                    if let Some(os) = rest.get(1) {
                        self.os = (*os).to_owned();
                    }
                    self.mobile = true;
                }
            }
            "okhttp" => {
                self.mobile = true;
                self.browser = "OkHttp".into();
                self.browser_version.clone_from(&first.version);
            }
            _ => self.undecided = true,
        }
    }

    fn gecko_system(&mut self, comment: &[&str]) {
        let [first, second, rest @ ..] = comment else {
            return;
        };
        if filler(second) {
            self.os = windows(rest.first().unwrap_or(second));
        } else if self.platform.contains("Android") {
            self.mobile = true;
            self.os = std::mem::replace(&mut self.platform, windows(second));
        } else if matches!(*first, "Mobile" | "Tablet") {
            self.mobile = true;
            self.os = "FirefoxOS".into();
        } else if self.os.is_empty() {
            self.os = windows(second);
        }
    }

    fn webkit_system(&mut self, comment: &[&str], text: &str) {
        match self.platform.as_str() {
            "webOS" => {
                self.browser = "webOS".into();
                self.os = "Palm".into();
                self.mobile = true;
            }
            "Symbian" => {
                self.mobile = true;
                self.browser = "Symbian".into();
                self.os = comment.first().copied().unwrap_or("").to_owned();
            }
            "Linux" => {
                self.mobile = true;
                if self.browser == "Safari" {
                    self.browser = "Android".into();
                }
                match comment {
                    [first, second, rest @ ..] if filler(second) => match rest.first() {
                        Some(third) => self.os = (*third).to_owned(),
                        None => {
                            self.mobile = false;
                            self.os = (*first).to_owned();
                        }
                    },
                    [_, second, ..] => self.os = (*second).to_owned(),
                    _ => {}
                }
                if comment.len() == 3 {
                    self.search_bot(text);
                }
            }
            _ => {
                match comment {
                    [first, ..] if first.starts_with("Windows NT") => self.os = windows(first),
                    [_, second] => {
                        let poses = self.search_bot(text) || self.preview(text);
                        if !poses {
                            self.os = windows(second);
                        }
                    }
                    [_, _, third, ..] => self.os = windows(third),
                    _ => {}
                }
                if self.platform == "BlackBerry" {
                    self.browser = "BlackBerry".into();
                    if self.os == "Touch" {
                        self.os = "BlackBerry".into();
                    }
                }
            }
        }
        if self.platform == "Macintosh" && self.browser == "Firefox" {
            self.platform = "iPad".into();
            self.mobile = true;
        }
    }

    fn trident_system(&mut self, comment: &[&str]) {
        self.platform = "Windows".into();
        if self.os.is_empty() {
            self.os = comment
                .get(2)
                .map_or_else(|| "Windows NT 4.0".to_owned(), |item| windows(item));
        }
        self.mobile |= comment.iter().any(|item| item.starts_with("IEMobile"));
    }

    /// Whether it may be a crawler of a search engine.
    fn search_bot(&mut self, text: &str) -> bool {
        if text.contains("Google") || text.contains("bingbot") {
            self.platform.clear();
            self.undecided = true;
        }
        self.undecided
    }

    /// Whether it is a link preview, which poses as two crawlers at once.
    fn preview(&mut self, text: &str) -> bool {
        let found = text.contains("facebookexternalhit") && text.contains("Twitterbot");
        if found {
            self.bot = true;
            self.browser = "iMessage-Preview".into();
            self.engine.clear();
            self.engine_version.clear();
        }
        found
    }
}

/// The platform that the first item of a comment names.
fn platform(item: &str) -> &str {
    match item {
        "compatible" => "",
        "BB10" => "BlackBerry",
        _ => ["Windows", "Symbian", "webOS"]
            .into_iter()
            .find(|name| item.starts_with(name))
            .unwrap_or(item),
    }
}
