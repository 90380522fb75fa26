use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{HEADER_LEN, MAGIC_CHECKPOINT, checkpoint_name, header, record};
use crate::env::{Disk, DiskFile};
use crate::store::TEMPORARY;

/// Writes a checkpoint, which stands for all segments before a number.
pub(in crate::store) struct CheckpointWriter<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    number: u64,
    temporary: PathBuf,
    file: Arc<dyn DiskFile>,
    len_bytes: u64,
    scratch: Vec<u8>,
}

impl<'a> CheckpointWriter<'a> {
    /// Begins one that stands for all segments before `number`.
    pub(in crate::store) fn begin(
        disk: &'a dyn Disk,
        dir: &'a Path,
        number: u64,
        created_ms: i64,
    ) -> io::Result<CheckpointWriter<'a>> {
        for entry in disk.list(dir)?.iter().filter(|entry| entry.name.ends_with(TEMPORARY)) {
            // One that failed, on a disk that did not even remove it.
            disk.remove_file(&dir.join(&entry.name))?;
        }
        let temporary = dir.join(format!("{}{TEMPORARY}", checkpoint_name(number)));
        let file = disk.create(&temporary)?;
        file.append(&header(MAGIC_CHECKPOINT, created_ms, u64::MAX, 0))?;
        let (len_bytes, scratch) = (HEADER_LEN as u64, Vec::new());
        Ok(CheckpointWriter { disk, dir, number, temporary, file, len_bytes, scratch })
    }

    /// Adds a record.
    pub(in crate::store) fn put(&mut self, payload: &[u8]) -> io::Result<()> {
        if payload.is_empty() {
            return Ok(());
        }
        self.scratch.clear();
        record::put_plain_record(&mut self.scratch, record::TRANSACTION, payload);
        self.len_bytes += self.scratch.len() as u64;
        self.file.append(&self.scratch)
    }

    /// Puts the checkpoint in place of older ones, and returns its length.
    pub(in crate::store) fn finish(&self) -> io::Result<u64> {
        self.file.sync()?;
        self.disk.rename(&self.temporary, &self.dir.join(checkpoint_name(self.number)))?;
        self.disk.sync_dir(self.dir)?;
        for entry in self.disk.list(self.dir)? {
            let older = entry.name.strip_suffix(".checkpoint").and_then(|n| n.parse::<u64>().ok());
            if older.is_some_and(|older| older < self.number) {
                self.disk.remove_file(&self.dir.join(&entry.name))?;
            }
        }
        Ok(self.len_bytes)
    }

    /// Gives back the room of one that was not finished.
    pub(in crate::store) fn abandon(self) {
        // What is left is removed on opening.
        let _ = self.disk.remove_file(&self.temporary);
    }
}
