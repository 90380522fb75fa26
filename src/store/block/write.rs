use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hashbrown::HashMap;
use ulid::Ulid;

use super::label_tables::LabelTables;
use super::{
    CHECKSUM_LEN, CHUNKS_FILE, Covers, INDEX_FILE, MAGIC_CHUNKS, META_FILE, Meta, VERSION, header,
};
use crate::env::{Disk, DiskFile};
use crate::series::{Labels, TimeRange};
use crate::store::MaintainError;
use crate::store::bytes::{put_signed, put_u32, put_u64, put_varint};
use crate::store::chunk::{Chunk, Times};

/// Chunks are collected to this many bytes before they are written.
const WRITE_BYTES: usize = 1 << 20;

/// Where a block comes from.
pub(in crate::store) struct Origin {
    /// Its place in the order in which samples were stored.
    pub(in crate::store) sequence: u64,
    /// How often its samples were merged with those of other blocks.
    pub(in crate::store) level: u32,
    /// The blocks that it replaces.
    pub(in crate::store) sources: Vec<String>,
    pub(in crate::store) covers: Covers,
}

/// Writes a block into a directory beside the others and gives it its name once it is whole.
pub(in crate::store) struct BlockWriter<'a> {
    disk: &'a dyn Disk,
    blocks_dir: PathBuf,
    ulid: Ulid,
    created_ms: i64,
    file: Arc<dyn DiskFile>,
    pending: Vec<u8>,
    written: u64,
    synced: u64,
    labels: LabelTables,
    /// The labels of the series that came last.
    last: Option<Labels>,
    /// The time columns written, by what they hold.
    known_times: HashMap<Arc<Times>, u32>,
    /// The entries of the time columns for the index.
    times: Vec<u8>,
    times_count: u32,
    range: Option<TimeRange>,
    chunks: u64,
    samples: u64,
}

/// A block is synced after each so many bytes, so that the log's syncs never wait for all of it.
const SYNC_BYTES: u64 = 8 << 20;

/// So many time columns are known again by their bytes.
const KNOWN_TIMES_MAX: usize = 1 << 16;

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
            synced: 0,
            labels: LabelTables::default(),
            last: None,
            known_times: HashMap::new(),
            times: Vec::new(),
            times_count: 0,
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
        debug_assert!(self.last.as_ref().is_none_or(|last| last < labels), "series come sorted");
        self.last = Some(labels.clone());
        self.labels.begin_series(labels, chunks.len());
        let (mut times_before, mut end) = (0i64, 0u64);
        for chunk in chunks {
            let times = i64::from(self.add_times(chunk));
            let (offset, len) = self.put(&chunk.body);
            let into = &mut self.labels.chunks;
            put_signed(into, times - times_before);
            put_varint(into, offset - end);
            put_varint(into, len);
            (times_before, end) = (times, offset + len + CHECKSUM_LEN);
            self.range = crate::store::merge::union(self.range, Some(chunk.times.range));
            self.samples += u64::from(chunk.times.count);
        }
        self.chunks += chunks.len() as u64;
        if self.pending.len() >= WRITE_BYTES { self.flush() } else { Ok(()) }
    }

    /// Returns whether nothing was added.
    pub(in crate::store) fn is_empty(&self) -> bool {
        self.chunks == 0
    }

    /// Writes a chunk's time column, unless it is there already; returns its number.
    fn add_times(&mut self, chunk: &Chunk) -> u32 {
        let times = &chunk.times;
        if let Some(known) = self.known_times.get(times) {
            return *known;
        }
        let (offset, len) = self.put(&times.bytes);
        put_u64(&mut self.times, times.range.start_ms as u64);
        put_u64(&mut self.times, times.range.end_ms as u64);
        put_u64(&mut self.times, offset);
        put_u32(&mut self.times, len as u32);
        put_u32(&mut self.times, times.count);
        if self.known_times.len() >= KNOWN_TIMES_MAX {
            self.known_times.clear();
        }
        self.known_times.insert(Arc::clone(times), self.times_count);
        self.times_count += 1;
        self.times_count - 1
    }

    /// Appends bytes and their checksum; returns where they are.
    fn put(&mut self, bytes: &[u8]) -> (u64, u64) {
        let offset = self.written + self.pending.len() as u64;
        self.pending.extend_from_slice(bytes);
        put_u32(&mut self.pending, crc32c::crc32c(bytes));
        (offset, bytes.len() as u64)
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
        if self.written / SYNC_BYTES > self.synced / SYNC_BYTES {
            let path = self.temporary().join(CHUNKS_FILE);
            let io = |source| MaintainError::Io { path, doing: "sync a block", source };
            self.file.sync().map_err(io)?;
            self.synced = self.written;
        }
        Ok(())
    }

    /// Makes the block whole and gives it its name; returns its directory.
    pub(in crate::store) fn finish(mut self, origin: &Origin) -> Result<PathBuf, MaintainError> {
        let finished = self.try_finish(origin);
        if finished.is_err() {
            self.abandon();
        }
        finished
    }

    fn try_finish(&mut self, origin: &Origin) -> Result<PathBuf, MaintainError> {
        self.flush()?;
        let temporary = self.temporary();
        let times = std::mem::take(&mut self.times);
        let index = self
            .labels
            .index_bytes(times, self.created_ms)
            .map_err(|what| MaintainError::TooLarge { path: temporary.join(INDEX_FILE), what })?;
        // One without samples is kept for what it covers: the log may still have what was deleted.
        let range = self.range.unwrap_or_else(|| {
            let last_ms = origin.covers.end_ms.saturating_sub(1);
            TimeRange::new(last_ms, last_ms)
        });
        let meta = Meta {
            version: VERSION,
            ulid: self.ulid.to_string(),
            sequence: origin.sequence,
            level: origin.level,
            sources: origin.sources.clone(),
            min_time_ms: range.start_ms,
            max_time_ms: range.end_ms,
            series: u64::from(self.labels.series_count()),
            chunks: self.chunks,
            samples: self.samples,
            covers: origin.covers,
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
