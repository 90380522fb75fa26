use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hashbrown::HashMap;
use roaring::RoaringBitmap;
use ulid::Ulid;

use super::index::{NAMES, PAIRS, POSTINGS, SECTIONS, SERIES, SERIES_OFFSETS, STRINGS, put_footer};
use super::{
    CHUNKS_FILE, Covers, HEADER_LEN, INDEX_FILE, MAGIC_CHUNKS, MAGIC_INDEX, META_FILE, Meta,
    VERSION, header,
};
use crate::env::{Disk, DiskFile};
use crate::series::{Labels, TimeRange};
use crate::store::MaintainError;
use crate::store::bytes::{put_signed, put_text, put_u32, put_varint};
use crate::store::chunk::Chunk;

/// Chunks are collected to this many bytes before they are written.
const WRITE_BYTES: usize = 1 << 20;

/// Writes a block into a directory beside the others and gives it its name once it is whole.
pub(in crate::store) struct BlockWriter<'a> {
    disk: &'a dyn Disk,
    blocks_dir: PathBuf,
    ulid: Ulid,
    created_ms: i64,
    file: Arc<dyn DiskFile>,
    pending: Vec<u8>,
    written: u64,
    series: Vec<WrittenSeries>,
    range: Option<TimeRange>,
    chunks: u64,
    samples: u64,
}

struct WrittenSeries {
    labels: Labels,
    /// Range, offset and length of each chunk.
    chunks: Vec<(TimeRange, u64, u64)>,
}

impl<'a> BlockWriter<'a> {
    pub(in crate::store) fn begin(
        disk: &'a dyn Disk,
        blocks_dir: &Path,
        created_ms: i64,
    ) -> Result<BlockWriter<'a>, MaintainError> {
        let ulid = Ulid::from_parts(created_ms.max(0).unsigned_abs(), fastrand::u128(..));
        let dir = blocks_dir.join(format!("{ulid}.tmp"));
        let io = |doing| {
            let path = dir.clone();
            move |source| MaintainError::Io { path, doing, source }
        };
        disk.create_dir_all(&dir).map_err(io("create the directory of a block"))?;
        let file = disk.create(&dir.join(CHUNKS_FILE)).map_err(|source| {
            let _ = disk.remove_dir_all(&dir);
            io("create a block")(source)
        })?;
        Ok(BlockWriter {
            disk,
            blocks_dir: blocks_dir.to_owned(),
            ulid,
            created_ms,
            file,
            pending: header(MAGIC_CHUNKS, created_ms),
            written: 0,
            series: Vec::new(),
            range: None,
            chunks: 0,
            samples: 0,
        })
    }

    /// Adds a series; series come sorted by labels, chunks by time.
    pub(in crate::store) fn add(
        &mut self,
        labels: &Labels,
        chunks: &[Chunk],
    ) -> Result<(), MaintainError> {
        if chunks.is_empty() {
            return Ok(());
        }
        let mut refs = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            let offset = self.written + self.pending.len() as u64;
            self.pending.extend_from_slice(&chunk.bytes);
            put_u32(&mut self.pending, crc32c::crc32c(&chunk.bytes));
            refs.push((chunk.range, offset, chunk.bytes.len() as u64));
            self.range = crate::store::merge::union(self.range, Some(chunk.range));
            self.samples += u64::from(chunk.count);
        }
        self.chunks += chunks.len() as u64;
        debug_assert!(
            self.series.last().is_none_or(|before| before.labels < *labels),
            "series come sorted"
        );
        self.series.push(WrittenSeries { labels: labels.clone(), chunks: refs });
        if self.pending.len() >= WRITE_BYTES { self.flush() } else { Ok(()) }
    }

    fn temporary(&self) -> PathBuf {
        self.blocks_dir.join(format!("{}.tmp", self.ulid))
    }

    fn flush(&mut self) -> Result<(), MaintainError> {
        let path = self.temporary().join(CHUNKS_FILE);
        self.file.append(&self.pending).map_err(|source| MaintainError::Io {
            path,
            doing: "write a block",
            source,
        })?;
        self.written += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Makes the block whole and gives it its name; returns its directory.
    pub(in crate::store) fn finish(
        mut self,
        sequence: u64,
        covers: Covers,
    ) -> Result<PathBuf, MaintainError> {
        let finished = self.try_finish(sequence, covers);
        if finished.is_err() {
            self.abandon();
        }
        finished
    }

    fn try_finish(&mut self, sequence: u64, covers: Covers) -> Result<PathBuf, MaintainError> {
        self.flush()?;
        let temporary = self.temporary();
        let index = index_bytes(&self.series, self.created_ms)
            .map_err(|what| MaintainError::TooLarge { path: temporary.join(INDEX_FILE), what })?;
        let range = self.range.expect("a block is begun for samples that are there");
        let meta = Meta {
            version: VERSION,
            ulid: self.ulid.to_string(),
            sequence,
            min_time_ms: range.start_ms,
            max_time_ms: range.end_ms,
            series: self.series.len() as u64,
            chunks: self.chunks,
            samples: self.samples,
            covers,
            chunks_len_bytes: self.written,
            index_len_bytes: index.len() as u64,
        };
        let dir = self.blocks_dir.join(self.ulid.to_string());
        self.publish(&temporary, &dir, &index, &meta).map_err(|source| MaintainError::Io {
            path: dir.clone(),
            doing: "write a block",
            source,
        })?;
        Ok(dir)
    }

    fn publish(&self, temporary: &Path, dir: &Path, index: &[u8], meta: &Meta) -> io::Result<()> {
        self.file.sync()?;
        for (name, bytes) in [(INDEX_FILE, index), (META_FILE, &meta.to_bytes())] {
            let file = self.disk.create(&temporary.join(name))?;
            file.append(bytes)?;
            file.sync()?;
        }
        self.disk.sync_dir(temporary)?;
        self.disk.rename(temporary, dir)?;
        self.disk.sync_dir(&self.blocks_dir)
    }

    /// Removes what was written so far.
    pub(in crate::store) fn abandon(self) {
        let _ = self.disk.remove_dir_all(&self.temporary());
    }
}

/// Builds the index file; an error says what is too large for its 32-bit offsets.
fn index_bytes(series: &[WrittenSeries], created_ms: i64) -> Result<Vec<u8>, &'static str> {
    let mut postings: HashMap<(&str, &str), Vec<u32>> = HashMap::new();
    for (number, series) in series.iter().enumerate() {
        for pair in &series.labels {
            postings.entry(pair).or_default().push(number as u32);
        }
    }
    let mut pairs: Vec<_> = postings.into_iter().collect();
    pairs.sort_unstable_by_key(|(pair, _)| *pair);
    let numbers: HashMap<_, _> =
        pairs.iter().enumerate().map(|(number, (pair, _))| (*pair, number as u64)).collect();

    let mut sections: [Vec<u8>; SECTIONS] = std::array::from_fn(|_| Vec::new());
    let mut name_before = None;
    for (number, ((name, value), posting)) in pairs.iter().enumerate() {
        if name_before != Some(*name) {
            name_before = Some(*name);
            let offset = offset(&sections[STRINGS], "label names and values")?;
            put_text(&mut sections[STRINGS], name);
            put_u32(&mut sections[NAMES], offset);
            put_u32(&mut sections[NAMES], number as u32);
        }
        let string = offset(&sections[STRINGS], "label names and values")?;
        put_text(&mut sections[STRINGS], value);
        put_u32(&mut sections[PAIRS], string);
        let start = offset(&sections[POSTINGS], "postings")?;
        put_u32(&mut sections[PAIRS], start);
        RoaringBitmap::from_sorted_iter(posting.iter().copied())
            .expect("series are numbered in ascending order")
            .serialize_into(&mut sections[POSTINGS])
            .expect("a vector takes everything");
    }
    let end = offset(&sections[POSTINGS], "postings")?;
    for (section, last) in [(NAMES, pairs.len() as u32), (PAIRS, end)] {
        put_u32(&mut sections[section], 0);
        put_u32(&mut sections[section], last);
    }
    for series in series {
        let start = offset(&sections[SERIES], "series")?;
        put_u32(&mut sections[SERIES_OFFSETS], start);
        put_series(&mut sections[SERIES], series, &numbers);
    }
    let mut bytes = header(MAGIC_INDEX, created_ms);
    debug_assert_eq!(bytes.len(), HEADER_LEN);
    let ranges = std::array::from_fn(|section| {
        let start = bytes.len();
        bytes.extend_from_slice(&sections[section]);
        (start, bytes.len())
    });
    put_footer(&mut bytes, &ranges);
    Ok(bytes)
}

fn offset(section: &[u8], what: &'static str) -> Result<u32, &'static str> {
    u32::try_from(section.len()).map_err(|_| what)
}

fn put_series(into: &mut Vec<u8>, series: &WrittenSeries, numbers: &HashMap<(&str, &str), u64>) {
    put_varint(into, series.labels.len() as u64);
    let mut before = 0;
    for pair in &series.labels {
        let number = numbers[&pair];
        put_varint(into, number - before);
        before = number;
    }
    put_varint(into, series.chunks.len() as u64);
    let (mut end_ms, mut end) = (0i64, 0u64);
    for (range, offset, len) in &series.chunks {
        put_signed(into, range.start_ms.wrapping_sub(end_ms));
        put_varint(into, range.end_ms.wrapping_sub(range.start_ms) as u64);
        put_varint(into, offset - end);
        put_varint(into, *len);
        end_ms = range.end_ms;
        end = offset + len;
    }
}
