//! Sealed, immutable blocks: a directory with samples, their index, and a description.
//!
//! Entry points: [`Block::open`], [`BlockWriter`]. Layout: `FORMAT.md`.
//!
//! Invariants: a block appears under its name only when all of it is synced. The index is checked
//! when the block is opened, a chunk each time it is read: a chunk that is damaged is named, and
//! passed over from then on.
//!
//! Absent on purpose: which blocks are merged, and when (`compact`).

mod index;
mod label_tables;
mod meta;
mod tombstones;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use hashbrown::HashSet;
use parking_lot::Mutex;

pub(super) use meta::{Covers, Meta};
pub(super) use tombstones::Tombstones;
pub(super) use write::{BlockWriter, Origin};

use super::ReadError;
use super::bytes::{Reader, put_u16, put_u64};
use super::chunk;
use super::merge::{append_within, merge_into, remove_ranges};
use super::postings::LabelIndex;
use super::status::BlockStatus;
use crate::env::{Disk, FileBytes};
use crate::series::{Labels, Points, TimeRange};
use index::Index;

const VERSION: u16 = 2;
const HEADER_LEN: usize = 16;
const CHECKSUM_LEN: u64 = 4;
const MAGIC_CHUNKS: [u8; 4] = *b"FWCK";
const MAGIC_INDEX: [u8; 4] = *b"FWIX";

const META_FILE: &str = "meta.json";
const CHUNKS_FILE: &str = "chunks";
const INDEX_FILE: &str = "index";

/// An open block.
pub(super) struct Block {
    pub(super) meta: Meta,
    dir: PathBuf,
    index: Index,
    chunks: FileBytes,
    tombstones: ArcSwap<Tombstones>,
    /// Offsets of chunks that were found damaged.
    damaged: Mutex<HashSet<u64>>,
    damaged_total: AtomicU64,
}

/// Why a block cannot be opened.
pub(super) enum BlockError {
    /// It is not what was written.
    Damaged { path: PathBuf, offset: u64, what: &'static str },
    /// It was written by another version.
    Version { path: PathBuf, found: u16 },
    /// The disk refused.
    Io { path: PathBuf, source: std::io::Error },
}

/// Where bytes lie in the chunks file; their checksum follows them.
#[derive(Clone, Copy, Debug)]
struct Stored {
    offset: u64,
    len: u32,
}

/// A time column.
#[derive(Clone, Copy, Debug)]
struct TimesRef {
    range: TimeRange,
    count: u32,
    stored: Stored,
}

/// A chunk: what its samples are, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChunkRef {
    times: TimesRef,
    body: Stored,
}

/// A series of which every byte was read.
pub(super) struct CheckedSeries {
    pub(super) labels: Labels,
    pub(super) samples: u64,
    /// Of its values.
    pub(super) bytes: u64,
    pub(super) problems: Vec<String>,
}

/// The bytes of what is no chunk.
pub(super) struct SectionBytes {
    pub(super) index: Vec<(&'static str, u64)>,
    pub(super) tombstones: u64,
}

impl Block {
    /// Opens a block and checks its index.
    pub(super) fn open(disk: &dyn Disk, dir: &Path) -> Result<Block, BlockError> {
        let map = |name: &str| {
            let path = dir.join(name);
            match disk.map(&path) {
                Ok(bytes) => Ok(bytes),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    Err(BlockError::Damaged { path, offset: 0, what: "the file is missing" })
                }
                Err(source) => Err(BlockError::Io { path, source }),
            }
        };
        let meta = Meta::read(&dir.join(META_FILE), &map(META_FILE)?)?;
        let chunks = map(CHUNKS_FILE)?;
        let path = dir.join(CHUNKS_FILE);
        check_header(&path, &chunks, MAGIC_CHUNKS)?;
        if chunks.len() as u64 != meta.chunks_len_bytes {
            let offset = chunks.len() as u64;
            let what = "the file does not have the length that meta.json says";
            return Err(BlockError::Damaged { path, offset, what });
        }
        let index = Index::open(dir.join(INDEX_FILE), map(INDEX_FILE)?)?;
        Ok(Block {
            meta,
            dir: dir.to_owned(),
            index,
            chunks,
            tombstones: ArcSwap::from_pointee(Tombstones::read(disk, dir)?),
            damaged: Mutex::default(),
            damaged_total: AtomicU64::new(0),
        })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn range(&self) -> TimeRange {
        TimeRange::new(self.meta.min_time_ms, self.meta.max_time_ms)
    }

    pub(super) fn index(&self) -> &impl LabelIndex {
        &self.index
    }

    /// Returns the labels of a series.
    pub(super) fn labels(&self, series: u32) -> Result<Labels, ReadError> {
        Ok(self.index.series(series)?.0)
    }

    /// Returns the labels of a series and whether it may have samples in `range`.
    pub(super) fn labels_in(
        &self,
        series: u32,
        range: TimeRange,
    ) -> Result<Option<Labels>, ReadError> {
        let (labels, chunks) = self.index.series(series)?;
        let tombstones = self.tombstones.load();
        if tombstones
            .of(series)
            .iter()
            .any(|gone| gone.start_ms <= range.start_ms && range.end_ms <= gone.end_ms)
        {
            return Ok(None);
        }
        Ok(chunks.iter().any(|chunk| chunk.times.range.overlaps(range)).then_some(labels))
    }

    /// Merges the samples of a series within `range` into `into`; what is there already stays.
    pub(super) fn read(
        &self,
        series: u32,
        range: TimeRange,
        into: &mut Points,
    ) -> Result<(), ReadError> {
        let (_, chunks) = self.index.series(series)?;
        let tombstones = self.tombstones.load();
        let gone = tombstones.of(series);
        for chunk in chunks.into_iter().filter(|chunk| chunk.times.range.overlaps(range)) {
            let first_ms = chunk.times.range.start_ms;
            if gone.is_empty() {
                append_within(into, range, first_ms, |into| self.read_chunk(chunk, into));
                continue;
            }
            let mut part = Points::default();
            append_within(&mut part, range, first_ms, |part| self.read_chunk(chunk, part));
            remove_ranges(&mut part, gone);
            merge_into(into, &part);
        }
        Ok(())
    }

    /// Appends the samples of a chunk, or names it and yields nothing when it is damaged.
    fn read_chunk(&self, chunk: ChunkRef, into: &mut Points) {
        let (times, body) = (self.stored(chunk.times.stored), self.stored(chunk.body));
        if let (Some(times), Some(body)) = (times, body)
            && chunk::decode(chunk.times.count, times, body, into).is_some()
        {
            return;
        }
        let damaged = if times.is_none() { chunk.times.stored } else { chunk.body };
        if self.damaged.lock().insert(damaged.offset) {
            self.damaged_total.fetch_add(1, Ordering::Relaxed);
            tracing::error!(
                file = %self.dir.join(CHUNKS_FILE).display(), offset = damaged.offset,
                start_ms = chunk.times.range.start_ms, end_ms = chunk.times.range.end_ms,
                "A chunk is damaged; its samples are missing from answers, all else serves."
            );
        }
    }

    /// Returns bytes of the chunks file, if their checksum matches.
    fn stored(&self, stored: Stored) -> Option<&[u8]> {
        let from = self.chunks.get(usize::try_from(stored.offset).ok()?..)?;
        let (bytes, rest) = from.split_at_checked(stored.len as usize)?;
        (crc32c::crc32c(bytes) == Reader::new(rest).u32()?).then_some(bytes)
    }

    /// Reads all of a series, checks every checksum, and says what is damaged.
    pub(super) fn check_series(&self, series: u32) -> Result<CheckedSeries, ReadError> {
        let (labels, chunks) = self.index.series(series)?;
        let mut checked = CheckedSeries { labels, samples: 0, bytes: 0, problems: Vec::new() };
        let mut points = Points::default();
        for chunk in chunks {
            points.clear();
            checked.samples += u64::from(chunk.times.count);
            checked.bytes += u64::from(chunk.body.len);
            let (times, body) = (self.stored(chunk.times.stored), self.stored(chunk.body));
            let decoded = times.zip(body).and_then(|(times, body)| {
                chunk::decode(chunk.times.count, times, body, &mut points)
            });
            if decoded.is_none() {
                let damaged = if times.is_none() { chunk.times.stored } else { chunk.body };
                let file = self.dir.join(CHUNKS_FILE);
                checked.problems.push(format!(
                    "{}: at byte {}: a chunk of {} is damaged",
                    file.display(),
                    damaged.offset,
                    checked.labels
                ));
            }
        }
        Ok(checked)
    }

    /// Returns what the parts of its files take that are no chunks.
    pub(super) fn section_bytes(&self) -> SectionBytes {
        let tombstones = self.tombstones.load();
        let tombstones = if tombstones.is_empty() { 0 } else { tombstones.len_bytes() };
        SectionBytes { index: self.index.section_bytes(), tombstones }
    }

    /// Returns how many series there are; they are numbered by the order of their labels.
    pub(super) fn series_count(&self) -> u32 {
        self.index.series_count()
    }

    /// Returns what was deleted from it.
    pub(super) fn tombstones(&self) -> Arc<Tombstones> {
        self.tombstones.load_full()
    }

    /// Replaces what was deleted, on disk and for readers.
    pub(super) fn set_tombstones(
        &self,
        disk: &dyn Disk,
        created_ms: i64,
        tombstones: Tombstones,
    ) -> std::io::Result<()> {
        tombstones.write(disk, &self.dir, created_ms)?;
        self.tombstones.store(Arc::new(tombstones));
        Ok(())
    }

    /// Returns the bytes of its files.
    pub(super) fn len_bytes(&self) -> u64 {
        self.meta.chunks_len_bytes + self.meta.index_len_bytes
    }

    /// Returns what operators ask for.
    pub(super) fn status(&self) -> BlockStatus {
        BlockStatus {
            ulid: self.meta.ulid.clone(),
            min_time_ms: self.meta.min_time_ms,
            max_time_ms: self.meta.max_time_ms.saturating_add(1),
            series: self.meta.series,
            chunks: self.meta.chunks,
            samples: self.meta.samples,
            size_bytes: self.len_bytes(),
            level: self.meta.level,
        }
    }

    /// Returns how many chunks were found damaged.
    pub(super) fn damaged_total(&self) -> u64 {
        self.damaged_total.load(Ordering::Relaxed)
    }
}

fn header(magic: [u8; 4], created_ms: i64) -> Vec<u8> {
    let mut header = magic.to_vec();
    put_u16(&mut header, VERSION);
    put_u16(&mut header, 0);
    put_u64(&mut header, created_ms as u64);
    header
}

fn check_header(path: &Path, bytes: &[u8], magic: [u8; 4]) -> Result<(), BlockError> {
    let mut reader = Reader::new(bytes);
    // meta.json, which has been read by now, says the version of all files.
    let sound = reader.array() == Some(magic) && reader.u16() == Some(VERSION);
    let what = "the file does not begin as it should";
    let damaged = || BlockError::Damaged { path: path.to_owned(), offset: 0, what };
    (sound && bytes.len() >= HEADER_LEN).then_some(()).ok_or_else(damaged)
}

/// Reads arbitrary bytes as the files of a block, for `doors`: as they are, and as the content of
/// files whose headers and checksums are sound.
pub(super) fn read_arbitrary(bytes: &[u8]) {
    let path = Path::new("arbitrary");
    let _ = Meta::read(path, bytes);
    Tombstones::read_arbitrary(bytes);
    let _ = Index::open(path.to_owned(), bytes.to_vec().into());
    let Some((lengths, content)) = bytes.split_first_chunk::<{ index::SECTIONS }>() else { return };
    let mut file = header(MAGIC_INDEX, 0);
    let mut rest = content;
    let sections = lengths.map(|len| {
        let (section, after) = rest.split_at(usize::from(len).min(rest.len()));
        rest = after;
        let start = file.len();
        file.extend_from_slice(section);
        (start, file.len())
    });
    index::put_footer(&mut file, &sections);
    let Ok(index) = Index::open(path.to_owned(), file.into()) else { return };
    for series in 0..index.series_count().min(100) {
        let _ = index.series(series);
    }
    let _ = index.all();
    let _ = index.for_each_name(&mut |_| {});
    for name in ["", "a", "__name__"] {
        let _ = index.posting(name, "a");
        let _ = index.union_where(name, &|_| true);
        let _ = index.for_each_value(name, &mut |_| {});
    }
}
