//! Snapshots on disk: a directory of hard links that opens as a store of its own.

use std::io;
use std::path::Path;

use super::{Inner, MaintainError, TEMPORARY};
use crate::env::Disk;

/// Beside the directories of the log and of the blocks.
const DIR: &str = "snapshots";

impl Inner {
    /// Makes a snapshot and returns its name. It takes no room until what it shares is removed from
    /// the store.
    pub(super) fn back_up(&self, with_head: bool) -> Result<String, MaintainError> {
        // Neither blocks nor segments are removed meanwhile.
        let _upkeep = self.upkeep.lock();
        let disk = &**self.blocks.disk();
        let dir = self.options.dir.join(DIR);
        let name =
            ulid::Ulid::from_parts(self.clock.now_ms().max(0).unsigned_abs(), fastrand::u128(..))
                .to_string();
        let temporary = dir.join(format!("{name}{TEMPORARY}"));
        let log = if with_head { Some(self.sealed_log()?) } else { None };
        let made = (|| {
            remove_unfinished(disk, &dir)?;
            disk.create_dir_all(&temporary)?;
            let blocks_dir = temporary.join("blocks");
            disk.create_dir_all(&blocks_dir)?;
            for block in self.blocks.current().iter() {
                let to = blocks_dir.join(&block.meta.ulid);
                disk.create_dir_all(&to)?;
                for entry in disk.list(block.dir())? {
                    if !entry.name.ends_with(TEMPORARY) {
                        disk.link(&block.dir().join(&entry.name), &to.join(&entry.name))?;
                    }
                }
                disk.sync_dir(&to)?;
            }
            disk.sync_dir(&blocks_dir)?;
            let log_dir = temporary.join("wal");
            disk.create_dir_all(&log_dir)?;
            for path in log.iter().flatten() {
                disk.link(path, &log_dir.join(path.file_name().unwrap_or_default()))?;
            }
            disk.sync_dir(&log_dir)?;
            disk.sync_dir(&temporary)?;
            disk.rename(&temporary, &dir.join(&name))?;
            disk.sync_dir(&dir)
        })();
        made.map_err(|source| {
            let _ = disk.remove_dir_all(&temporary);
            MaintainError::Io { path: temporary, doing: "make a snapshot", source }
        })?;
        tracing::info!(name, "Made a snapshot.");
        Ok(name)
    }

    /// Begins a new segment and returns the files of the log before it, which nobody writes to.
    fn sealed_log(&self) -> Result<Vec<std::path::PathBuf>, MaintainError> {
        let mut writer = self.writer.lock();
        let dir = writer.log.dir().to_owned();
        let io = |doing| {
            let path = dir.clone();
            move |source| MaintainError::Io { path, doing, source }
        };
        writer.log.rotate().map_err(io("begin a log segment"))?;
        let files = writer.log.sealed_files().map_err(io("list the log"))?;
        Ok(files)
    }
}

fn remove_unfinished(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    disk.create_dir_all(dir)?;
    for entry in disk.list(dir)?.iter().filter(|entry| entry.name.ends_with(TEMPORARY)) {
        disk.remove_dir_all(&dir.join(&entry.name))?;
    }
    Ok(())
}
