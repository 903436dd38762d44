//! The files of a recorder: `{path}/{category}/{feed}.{unix-ns}.lp` or `.pbjson`, one point a line.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use kafkamq_pipeline::{Clock as _, SystemClock};
use kafkamq_point::Category;

use kafkamq_delivery::private_files;
use kafkamq_settings::{RecorderEncoding, RecorderSettings};

/// Files that are open at once; feeds beyond that share the places.
const OPEN: usize = 64;

struct Open {
    file: BufWriter<File>,
    bytes: u64,
}

/// What is written to.
pub(super) struct Files {
    folder: PathBuf,
    extension: &'static str,
    rotate_bytes: u64,
    /// Bytes that may still be written.
    left: u64,
    open: HashMap<(Arc<str>, Category), Open>,
}

impl Files {
    pub(super) fn create(settings: &RecorderSettings) -> io::Result<Self> {
        private_files::create_folder(&settings.path)?;
        Ok(Self {
            folder: settings.path.clone(),
            extension: match settings.encoding {
                RecorderEncoding::LineProtocol => "lp",
                RecorderEncoding::PbJson => "pbjson",
            },
            rotate_bytes: settings.rotate_bytes,
            left: settings.max_bytes,
            open: HashMap::new(),
        })
    }

    /// Writes a line; `false` if it has no room any more.
    pub(super) fn write(
        &mut self,
        feed: &Arc<str>,
        category: Category,
        line: &[u8],
    ) -> io::Result<bool> {
        let bytes = line.len() as u64 + 1;
        if bytes > self.left {
            return Ok(false);
        }
        let key = (Arc::clone(feed), category);
        let full = |open: &Open| open.bytes > 0 && open.bytes + bytes > self.rotate_bytes;
        if self.open.get(&key).is_none_or(full) {
            let crowded = self.open.len() >= OPEN && !self.open.contains_key(&key);
            if crowded {
                self.flush()?;
                self.open.clear();
            }
            let file = self.begin(feed, category)?;
            if let Some(mut old) = self.open.insert(key.clone(), file) {
                old.file.flush()?;
            }
        }
        if let Some(open) = self.open.get_mut(&key) {
            open.file.write_all(line)?;
            open.file.write_all(b"\n")?;
            open.bytes += bytes;
            self.left -= bytes;
        }
        Ok(true)
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.open
            .values_mut()
            .try_for_each(|open| open.file.flush())
    }

    fn begin(&self, feed: &str, category: Category) -> io::Result<Open> {
        let folder = self.folder.join(category.name());
        private_files::create_folder(&folder)?;
        let mut time = SystemClock.now_ns();
        // A topic named `..` stays a part of a name here.
        let feed = feed.replace(['/', '\\'], "-");
        loop {
            let name = format!("{feed}.{time}.{}", self.extension);
            let created = private_files::options()
                .write(true)
                .create_new(true)
                .open(folder.join(name));
            match created {
                Ok(file) => {
                    return Ok(Open {
                        file: BufWriter::new(file),
                        bytes: 0,
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => time += 1,
                Err(error) => return Err(error),
            }
        }
    }
}
