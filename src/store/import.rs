//! Import: blocks of Prometheus become blocks of a store that nobody has open.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::block::{BlockWriter, Covers, Origin};
use super::blocks::Blocks;
use super::chunk::{Effort, Encoder};
use super::compact::{CHUNK_COUNT_MAX, IMPORTED};
use super::prometheus::{ImportError, PrometheusBlock};
use super::{OpenError, recover};
use crate::env::{Clock, Disk, DiskLock};

/// A data directory into which blocks are imported.
pub struct Importer {
    blocks: Blocks,
    clock: Arc<dyn Clock>,
    _lock: DiskLock,
}

/// What became of a block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Its name in Prometheus.
    pub ulid: String,
    /// Whether it was imported before, and nothing was done.
    pub was_there: bool,
    /// Series imported.
    pub series: u64,
    /// Samples imported.
    pub samples: u64,
    /// Series left out because their labels are no text or name one twice.
    pub unsound_series: u64,
    /// Chunks left out because they are damaged.
    pub damaged_chunks: u64,
}

impl Importer {
    /// Takes a data directory for this process alone; it is created where missing.
    pub fn open(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        dir: &Path,
    ) -> Result<Importer, OpenError> {
        let lock = recover::lock(&*disk, dir)?;
        let blocks = Blocks::open(disk, dir, &mut Vec::new())?;
        Ok(Importer { blocks, clock, _lock: lock })
    }

    /// Imports one block. Of two samples at one time that of the store counts, and then that of
    /// the block imported first.
    pub fn import(&self, dir: &Path) -> Result<ImportReport, ImportError> {
        let disk = &**self.blocks.disk();
        let source = PrometheusBlock::open(disk, dir)?;
        let mut report = ImportReport { ulid: source.ulid.clone(), ..ImportReport::default() };
        let origin_name = format!("{IMPORTED}{}", source.ulid);
        let list = self.blocks.current();
        if list.iter().any(|block| block.meta.sources.contains(&origin_name)) {
            report.was_there = true;
            return Ok(report);
        }
        let (series, unsound) = source.series()?;
        report.unsound_series = unsound;
        let mut writer = BlockWriter::begin(disk, self.blocks.dir(), self.clock.now_ms())?;
        let mut encoder = Encoder::new(Effort::Compact, CHUNK_COUNT_MAX);
        for (labels, located) in series {
            let imported = source.read(labels, &located);
            report.damaged_chunks += imported.damaged;
            if imported.points.is_empty() {
                continue;
            }
            report.series += 1;
            report.samples += imported.points.len() as u64;
            if let Err(error) = writer.add(&imported.labels, &encoder.encode(&imported.points)) {
                writer.abandon();
                return Err(error.into());
            }
        }
        if writer.is_empty() {
            writer.abandon();
            return Ok(report);
        }
        let sequence = list.iter().map(|block| block.meta.sequence).max().unwrap_or(0) + 1;
        let covers = Covers::NOTHING;
        let origin = Origin { sequence, level: 0, sources: vec![origin_name], covers };
        let written = writer.finish(&origin)?;
        self.blocks.add(super::maintain::open_written(disk, &written)?);
        Ok(report)
    }

    /// Returns the blocks below a directory, or the directory itself if it is one.
    pub fn find(&self, dir: &Path) -> Result<Vec<PathBuf>, ImportError> {
        let disk = &**self.blocks.disk();
        let list = |dir: &Path| {
            disk.list(dir).map_err(|source| ImportError::Io { path: dir.to_owned(), source })
        };
        let is_block = |entries: &[crate::env::DirEntry]| {
            entries.iter().any(|entry| entry.name == "meta.json")
        };
        let entries = list(dir)?;
        if is_block(&entries) {
            return Ok(vec![dir.to_owned()]);
        }
        let mut found = Vec::new();
        for entry in entries.iter().filter(|entry| entry.is_dir) {
            let path = dir.join(&entry.name);
            if is_block(&list(&path)?) {
                found.push(path);
            }
        }
        if found.is_empty() {
            let what = "there is no block in it";
            return Err(ImportError::NoBlock { path: dir.to_owned(), what });
        }
        Ok(found)
    }
}
