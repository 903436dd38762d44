//! Reading a folder of scripts.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use kafkamq_point::Category;

/// What a folder holds.
#[derive(Debug, Default)]
pub struct FolderContents {
    /// Texts by category and name.
    pub scripts: BTreeMap<Category, BTreeMap<String, String>>,
    /// What could not be read.
    pub problems: Vec<FolderProblem>,
}

/// Something that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path}: {error}")]
pub struct FolderProblem {
    /// The file or folder.
    pub path: PathBuf,
    /// The category whose scripts are concerned.
    pub category: Category,
    /// The script, or `None` when the folder itself cannot be listed.
    pub script: Option<String>,
    /// Why.
    #[source]
    pub error: io::Error,
}

/// Reads the scripts below `root`: in the folder of each category, and for logging also in `root`
/// itself, every file that ends in `.p`. Deeper folders are not searched. Of two logging scripts
/// with the same name the one in the folder `logging` counts. A folder that does not exist holds
/// nothing.
#[must_use]
pub fn read_folder(root: &Path) -> FolderContents {
    let mut contents = FolderContents::default();
    contents.read(root, Category::Logging);
    for category in Category::ALL {
        contents.read(&root.join(category.name()), category);
    }
    contents
}

impl FolderContents {
    fn read(&mut self, folder: &Path, category: Category) {
        let mut problem = |path: &Path, script: Option<&str>, error| {
            self.problems.push(FolderProblem {
                path: path.to_owned(),
                category,
                script: script.map(str::to_owned),
                error,
            });
        };
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return problem(folder, None, error),
        };
        for entry in entries {
            let path = match entry {
                Ok(entry) => entry.path(),
                Err(error) => {
                    problem(folder, None, error);
                    continue;
                }
            };
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            // Mounted configuration consists of links, which `is_file` follows.
            if !name.ends_with(".p") || path.is_dir() {
                continue;
            }
            match std::fs::read_to_string(&path) {
                Ok(text) => {
                    self.scripts
                        .entry(category)
                        .or_default()
                        .insert(name.to_owned(), text);
                }
                Err(error) => problem(&path, Some(name), error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn every_category_has_its_folder_and_logging_the_root_too() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &[u8]| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("a.p", b"root");
        write("b.p", b"root");
        write("logging/b.p", b"logging");
        write("metric/c.p", b"metric");
        write("metric/deeper/d.p", b"no");
        write("metric/e.P", b"no");
        write("metric/f.txt", b"no");
        write("pattern/g.p", b"no");
        write("rum/h.p", b"\xff");
        fs::create_dir_all(root.path().join("rum/folder.p")).unwrap();
        let contents = read_folder(root.path());
        let found: Vec<_> = contents
            .scripts
            .iter()
            .flat_map(|(category, scripts)| {
                scripts
                    .iter()
                    .map(move |(name, text)| format!("{category}/{name}={text}"))
            })
            .collect();
        assert_eq!(
            found,
            [
                "metric/c.p=metric",
                "logging/a.p=root",
                "logging/b.p=logging"
            ]
        );
        let problems: Vec<_> = contents
            .problems
            .iter()
            .map(|problem| (problem.category, problem.script.as_deref()))
            .collect();
        assert_eq!(problems, [(Category::Rum, Some("h.p"))]);
    }

    #[test]
    fn a_missing_folder_is_an_empty_one() {
        let root = tempfile::tempdir().unwrap();
        let contents = read_folder(&root.path().join("nothing"));
        assert!(contents.scripts.is_empty() && contents.problems.is_empty());
    }
}
