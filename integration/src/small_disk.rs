//! A small disk of its own for one folder, so that it can be full.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::agents::said;
use crate::paths::Missing;

const SIZE: &str = "size=1m";
const FILLER: &str = "filler";

/// A mounted file system in memory; dropping it unmounts it.
#[derive(Debug)]
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one at `folder`, which is made if need be. The inner error tells that the system does
    /// not allow it: that takes root on Linux.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn at(folder: &Path) -> Result<Result<Self, Missing>> {
        std::fs::create_dir_all(folder)?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", SIZE, "kafkamq-test"])
            .arg(folder)
            .stdin(Stdio::null())
            .output();
        Ok(match mounted {
            Ok(output) if output.status.success() => Ok(Self(folder.to_owned())),
            Ok(output) => Err(Missing(format!(
                "no disk can be mounted: {}",
                said(&output)
            ))),
            Err(error) => Err(Missing(format!("mount does not start: {error}"))),
        })
    }

    /// Leaves no room on it.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn fill(&self) -> Result<()> {
        let mut file = std::fs::File::create(self.0.join(FILLER))?;
        // Down to the last byte: pages first, then what is left of one.
        for size in [4096, 1] {
            let piece = vec![b'x'; size];
            while file.write_all(&piece).is_ok() {}
        }
        Ok(())
    }

    /// Makes room again.
    ///
    /// # Errors
    /// It was not full.
    pub fn empty(&self) -> Result<()> {
        Ok(std::fs::remove_file(self.0.join(FILLER))?)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Whoever still has files open there keeps them.
        let _unmounted = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
