//! Blocks of Prometheus, for those who move: read, never written.
//!
//! Entry point: [`PrometheusBlock::open`]. All bytes are checked before they are believed: sections
//! and chunks by their checksums, everything else by its bounds.
//!
//! Absent on purpose: its log and its head; a snapshot of Prometheus has them in blocks.

mod bits;
mod chunk;
mod index;
mod tombstones;

use std::path::{Path, PathBuf};

use hashbrown::HashMap;

use super::bytes::Reader;
use super::merge::{merge_into, remove_ranges};
use crate::env::{Disk, FileBytes};
use crate::series::{Labels, Points, TimeRange};
use index::{ChunkRef, Index, IndexedSeries};

/// Why a block cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The directory is no block.
    #[error(
        "{path}: this is no block of Prometheus: {what}; name a directory with meta.json, index and chunks/"
    )]
    NoBlock {
        /// The directory.
        path: PathBuf,
        /// What is missing.
        what: &'static str,
    },
    /// A file is not what was written.
    #[error(
        "{file}: at byte {offset}: {what}; take the block from another copy, the others can be imported"
    )]
    Damaged {
        /// The file, below the block.
        file: String,
        /// Where in it.
        offset: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// The disk refused.
    #[error("{path}: cannot read")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// What was read could not be written.
    #[error(transparent)]
    Write(#[from] super::MaintainError),
}

impl ImportError {
    fn damaged(file: &str, offset: usize, what: &'static str) -> ImportError {
        ImportError::Damaged { file: file.to_owned(), offset, what }
    }
}

const CHUNKS_MAGIC: [u8; 4] = [0x85, 0xbd, 0x40, 0xdd];

/// An open block.
pub(super) struct PrometheusBlock {
    pub(super) ulid: String,
    index: Index,
    chunks: Vec<FileBytes>,
    tombstones: HashMap<u64, Vec<TimeRange>>,
}

/// A series as it is read.
pub(super) struct Imported {
    pub(super) labels: Labels,
    pub(super) points: Points,
    /// Chunks that were damaged.
    pub(super) damaged: u64,
}

impl PrometheusBlock {
    pub(super) fn open(disk: &dyn Disk, dir: &Path) -> Result<PrometheusBlock, ImportError> {
        let no_block = |what| ImportError::NoBlock { path: dir.to_owned(), what };
        let read = |path: PathBuf| match disk.map(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ImportError::Io { path, source }),
        };
        let meta = read(dir.join("meta.json"))?.ok_or_else(|| no_block("meta.json is missing"))?;
        let meta: serde_json::Value = serde_json::from_slice(&meta)
            .map_err(|_| ImportError::damaged("meta.json", 0, "it is no JSON"))?;
        if meta.get("version").and_then(serde_json::Value::as_u64) != Some(1) {
            return Err(no_block("meta.json does not say version 1"));
        }
        let ulid = meta.get("ulid").and_then(serde_json::Value::as_str).unwrap_or_default();
        let index = read(dir.join("index"))?.ok_or_else(|| no_block("index is missing"))?;
        let mut chunks = Vec::new();
        while let Some(file) = read(dir.join(format!("chunks/{:06}", chunks.len() + 1)))? {
            if file.get(..4) != Some(&CHUNKS_MAGIC) || file.get(4) != Some(&1) {
                let name = format!("chunks/{:06}", chunks.len() + 1);
                return Err(ImportError::damaged(&name, 0, "it does not begin as it should"));
            }
            chunks.push(file);
        }
        let tombstones = match read(dir.join("tombstones"))? {
            Some(bytes) => tombstones::read(&bytes)
                .ok_or_else(|| ImportError::damaged("tombstones", 0, "the file is damaged"))?,
            None => HashMap::new(),
        };
        Ok(PrometheusBlock {
            ulid: ulid.to_owned(),
            index: Index::open(index)?,
            chunks,
            tombstones,
        })
    }

    /// Returns the series whose labels are sound, sorted by them, and how many are not. Samples are
    /// read by [`PrometheusBlock::read`].
    pub(super) fn series(&self) -> Result<(Vec<(Labels, Located)>, u64), ImportError> {
        let (mut all, mut unsound) = (Vec::new(), 0);
        self.index.for_each::<ImportError>(&mut |series| {
            let IndexedSeries { id, labels, chunks } = series;
            match sound(&labels) {
                Some(labels) => all.push((labels, Located { id, chunks })),
                None => unsound += 1,
            }
            Ok(())
        })?;
        all.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Ok((all, unsound))
    }

    /// Reads the samples of a series but those deleted; chunks that are damaged are counted and
    /// passed over.
    pub(super) fn read(&self, labels: Labels, series: &Located) -> Imported {
        let mut imported = Imported { labels, points: Points::default(), damaged: 0 };
        let mut part = Points::default();
        for place in &series.chunks {
            part.clear();
            if self.chunk(*place, &mut part).is_some() {
                merge_into(&mut imported.points, &part);
            } else {
                imported.damaged += 1;
            }
        }
        if let Some(ranges) = self.tombstones.get(&series.id) {
            remove_ranges(&mut imported.points, ranges);
        }
        imported
    }

    fn chunk(&self, place: ChunkRef, into: &mut Points) -> Option<()> {
        let mut reader = Reader::new(self.chunks.get(place.file)?.get(place.offset..)?);
        let len = usize::try_from(reader.varint()?).ok()?;
        // The encoding comes first, and is covered by the checksum.
        let content = reader.take(len.checked_add(1)?)?;
        let crc = u32::from_be_bytes(reader.array()?);
        if crc32c::crc32c(content) != crc {
            return None;
        }
        let (encoding, bytes) = content.split_first()?;
        chunk::decode(*encoding, bytes, into)?;
        let sorted = into.times_ms.is_sorted_by(|a, b| a < b)
            && into.histograms.is_sorted_by(|a, b| a.time_ms < b.time_ms);
        sorted.then_some(())
    }
}

/// Where a series is in its block.
pub(super) struct Located {
    id: u64,
    chunks: Vec<ChunkRef>,
}

fn sound(labels: &[(&[u8], &[u8])]) -> Option<Labels> {
    let mut pairs = Vec::with_capacity(labels.len());
    for (name, value) in labels {
        pairs.push((std::str::from_utf8(name).ok()?, std::str::from_utf8(value).ok()?));
    }
    pairs.retain(|(_, value)| !value.is_empty());
    pairs.sort_unstable();
    let unique = pairs.is_sorted_by(|(a, _), (b, _)| a < b);
    unique.then(|| Labels::from_sorted(pairs))
}
