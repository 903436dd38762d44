//! Files of points, one folder a category: `{folder}/{category}/{number}.{extension}`.
//!
//! What was written is synchronised to disk before it counts. An attempt that fails is cut off
//! again, so a later one does not find half of it; a file whose last line a crash has torn is left
//! as it is, and the next one is begun. Two processes may share a folder: each locks the file it
//! writes to, and the other one takes the next number.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::{Item, Medium, lines};
use crate::private_files;

/// How files are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileOptions {
    /// The folder; it is created if it is not there.
    pub folder: PathBuf,
    /// What file names end in, without the dot.
    pub extension: &'static str,
    /// Size at which a file is closed, in bytes. One request may be larger.
    pub rotate_bytes: u64,
    /// Closed files kept in each folder; 0 keeps all.
    pub keep: usize,
}

/// Rotating files.
#[derive(Debug)]
pub struct Files {
    options: FileOptions,
    open: HashMap<String, Open>,
}

/// The file that a category is written to.
#[derive(Debug)]
struct Open {
    file: File,
    bytes: u64,
}

impl Files {
    /// Files as `options` say; none is opened before it is needed.
    #[must_use]
    pub fn new(options: FileOptions) -> Self {
        Self {
            options,
            open: HashMap::new(),
        }
    }

    /// The file that `bytes` more fit into: the open one, the last one there is, or a new one.
    fn file(&mut self, name: &str, bytes: u64) -> io::Result<Open> {
        let limit = self.options.rotate_bytes;
        let fits = |open: &Open| open.bytes == 0 || open.bytes.saturating_add(bytes) <= limit;
        if let Some(open) = self.open.remove(name)
            && fits(&open)
        {
            return Ok(open);
        }
        let folder = self.options.folder.join(name);
        private_files::create_folder(&folder)?;
        let numbers = self.numbers(&folder)?;
        let last = numbers.last().copied().unwrap_or(0);
        if last > 0
            && let Some(open) = reopen(&self.path(&folder, last))?.filter(fits)
        {
            return Ok(open);
        }
        let open = self.create(&folder, last + 1)?;
        self.prune(&folder, &numbers);
        Ok(open)
    }

    fn create(&self, folder: &Path, first: u64) -> io::Result<Open> {
        for number in first.. {
            let path = self.path(folder, number);
            match private_files::options()
                .append(true)
                .create_new(true)
                .open(path)
            {
                Ok(file) => {
                    file.try_lock()?;
                    File::open(folder)?.sync_all()?;
                    return Ok(Open { file, bytes: 0 });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("no file number is left"))
    }

    /// Removes the oldest of the closed files `numbers` that are too many.
    fn prune(&self, folder: &Path, numbers: &[u64]) {
        let keep = self.options.keep;
        if keep == 0 {
            return;
        }
        for number in numbers.iter().rev().skip(keep) {
            let path = self.path(folder, *number);
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "an old file cannot be removed");
            }
        }
    }

    /// The numbers of the files in `folder`, ascending.
    fn numbers(&self, folder: &Path) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().and_then(|text| text.to_str()) != Some(self.options.extension) {
                continue;
            }
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            numbers.extend(stem.and_then(|stem| stem.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn path(&self, folder: &Path, number: u64) -> PathBuf {
        folder.join(format!("{number:08}.{}", self.options.extension))
    }
}

impl Medium for Files {
    fn write(&mut self, name: &str, items: &[Item]) -> io::Result<()> {
        let lines = lines(items);
        let mut open = self.file(name, lines.len() as u64)?;
        let written = open
            .file
            .write_all(&lines)
            .and_then(|()| open.file.sync_data());
        match written {
            Ok(()) => {
                open.bytes += lines.len() as u64;
                self.open.insert(name.to_owned(), open);
                Ok(())
            }
            Err(error) => {
                // If this fails as well, the torn line shows it and the next file is begun. After
                // a failed synchronisation nothing is known of the handle, so it is not kept.
                if let Err(error) = open.file.set_len(open.bytes) {
                    tracing::warn!(name, %error, "half a request stays in a file");
                }
                Err(error)
            }
        }
    }
}

/// Opens a file to go on with; `None` if its last line is torn or somebody else writes to it.
fn reopen(path: &Path) -> io::Result<Option<Open>> {
    let mut file = private_files::options()
        .read(true)
        .append(true)
        .open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Ok(None),
        Err(fs::TryLockError::Error(error)) => return Err(error),
    }
    let bytes = file.metadata()?.len();
    if bytes > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            return Ok(None);
        }
    }
    Ok(Some(Open { file, bytes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path, rotate_bytes: u64, keep: usize) -> Files {
        Files::new(FileOptions {
            folder: folder.to_owned(),
            extension: "lp",
            rotate_bytes,
            keep,
        })
    }

    fn item(body: &'static str) -> [Item; 1] {
        [Item {
            record: 0,
            body: body.into(),
        }]
    }

    fn read(folder: &Path) -> Vec<(String, String)> {
        let mut files: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let name = entry.file_name().into_string().unwrap();
                (name, fs::read_to_string(entry.path()).unwrap())
            })
            .collect();
        files.sort();
        files
    }

    fn pairs(files: &[(&str, &str)]) -> Vec<(String, String)> {
        files
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect()
    }

    #[test]
    fn files_rotate_by_size_and_old_ones_go() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = files(folder.path(), 10, 1);
        for body in ["a=1", "b=2", "c=3", "d=4", "e=5", "a long line"] {
            files.write("metric", &item(body)).unwrap();
        }
        files.write("logging", &item("z=1")).unwrap();
        let metric = read(&folder.path().join("metric"));
        let expected = [("00000003.lp", "e=5\n"), ("00000004.lp", "a long line\n")];
        assert_eq!(metric, pairs(&expected));
        let logging = read(&folder.path().join("logging"));
        assert_eq!(logging, pairs(&[("00000001.lp", "z=1\n")]));
    }

    #[test]
    fn a_restart_goes_on_with_the_last_file_unless_it_is_torn_or_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metric");
        files(folder.path(), 100, 0)
            .write("metric", &item("a=1"))
            .unwrap();
        let mut second = files(folder.path(), 100, 0);
        second.write("metric", &item("b=2")).unwrap();
        assert_eq!(read(&path), pairs(&[("00000001.lp", "a=1\nb=2\n")]));
        // A process beside it takes the next number.
        let mut beside = files(folder.path(), 100, 0);
        beside.write("metric", &item("c=3")).unwrap();
        second.write("metric", &item("d=4")).unwrap();
        drop((second, beside));
        fs::write(path.join("00000002.lp"), "c=3\ntor").unwrap();
        files(folder.path(), 100, 0)
            .write("metric", &item("e=5"))
            .unwrap();
        let expected = [
            ("00000001.lp", "a=1\nb=2\nd=4\n"),
            ("00000002.lp", "c=3\ntor"),
            ("00000003.lp", "e=5\n"),
        ];
        assert_eq!(read(&path), pairs(&expected));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_fails_and_room_on_it_helps() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metric");
        fs::create_dir(&path).unwrap();
        let mut files = files(folder.path(), 100, 0);
        for _ in 0..2 {
            // Stands for a file on a disk that is full.
            let file = File::options().append(true).open("/dev/full").unwrap();
            files
                .open
                .insert("metric".to_owned(), Open { file, bytes: 0 });
            let error = files.write("metric", &item("a=1")).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
            assert_eq!(super::super::layer(&error), super::super::Layer::Disk);
        }
        files.write("metric", &item("a=1")).unwrap();
        assert_eq!(read(&path), pairs(&[("00000001.lp", "a=1\n")]));
    }
}
