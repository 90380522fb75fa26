//! The durable home of samples: log, head, blocks, index, retention.
//!
//! Entry points: [`Store::open`] and [`Store::in_memory`]; [`Store::appender`] to write,
//! [`Store::snapshot`] to read, [`Store::maintain`] once a minute.
//!
//! A transaction is judged, written to the log, and only then made visible; what was acknowledged
//! survives the death of the process at any instant. Series and their newest samples live in the
//! head; `maintain` cuts what is older into immutable blocks, drops the log that they cover and the
//! blocks beyond retention.
//!
//! Lock order: `upkeep`, `writer`, `head`, then `spellings`; who holds `spellings` for reading waits for
//! nothing. No I/O is done under `head`; readers take nothing else.
//!
//! Absent on purpose: wire formats, validity of labels and histograms (`ingest` checks them), and
//! any reading of what samples mean.

mod appender;
mod backup;
mod block;
mod blocks;
mod bytes;
mod checkpoint;
mod chunk;
mod codec;
mod compact;
mod delete;
#[doc(hidden)]
pub mod doors;
mod error;
mod forget;
mod head;
mod import;
mod judge;
mod log;
mod maintain;
mod merge;
mod newest;
mod order;
mod postings;
mod prometheus;
mod recover;
mod select;
mod snapshot;
mod spellings;
mod status;
mod survey;
mod types;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

pub use appender::{Appender, Transaction};
pub use error::{AppendError, MaintainError, OpenError, ReadError};
pub use import::{ImportReport, Importer};
pub use prometheus::ImportError;
pub use snapshot::{SelectedSeries, Snapshot};
pub use spellings::{Speller, Spelling};
pub use status::{
    BlockStatus, Cardinality, HeadStatus, LogStatus, NamedCount, RecoveryReport, StoreStatus,
};
pub use survey::{BlockSurvey, LogSurvey, MetricSurvey, Survey, survey};
pub use types::{
    Committed, Exemplar, MetricMetadata, MetricType, Refused, RefusedKind, RefusedReason,
};

use crate::env::{Clock, Disk, DiskLock, SimDisk};
use crate::series::{Matcher, TimeRange};
use blocks::Blocks;
use forget::Epochs;
use head::Head;
use maintain::Upkeep;
use recover::Recovered;
use spellings::Spellings;
use status::Counters;
use writer::Writer;

/// How a store is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// The data directory; created where missing.
    pub dir: PathBuf,
    /// How long samples are kept, ms, counted back from the newest one stored.
    pub retention_ms: i64,
    /// How many bytes blocks and log may take together before the oldest blocks are dropped; 0 is no
    /// bound.
    pub retention_bytes: u64,
    /// How much older than the newest sample stored a late one may be, ms; 0 refuses all late ones.
    pub out_of_order_window_ms: i64,
    /// When the log is synced.
    pub wal_sync: WalSync,
    /// The time that a block covers, ms.
    pub block_range_ms: i64,
    /// A checkpoint is due when the log has grown by so many bytes since the last one, or by half of
    /// that one's size, whichever is more. Opening replays what the log has since.
    pub checkpoint_bytes: u64,
}

impl Default for StoreOptions {
    fn default() -> Self {
        StoreOptions {
            dir: PathBuf::from("data"),
            retention_ms: 35 * 24 * HOUR_MS,
            retention_bytes: 0,
            out_of_order_window_ms: HOUR_MS,
            wal_sync: WalSync::Every(100),
            block_range_ms: 2 * HOUR_MS,
            checkpoint_bytes: 4 << 20,
        }
    }
}

const HOUR_MS: i64 = 3_600_000;

/// The ending of what is being written, or removed: nobody misses it.
const TEMPORARY: &str = ".tmp";

/// So many series are counted under one hold of the head's lock.
const STATUS_SLOTS: usize = 4096;

/// When the log is made safe from a power cut. It is always written before a commit returns, which
/// makes it safe from the death of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalSync {
    /// In the background, every so many ms.
    Every(u64),
    /// Before each commit returns.
    Ack,
    /// When a segment ends and on close: for stores that are thrown away.
    OnClose,
}

/// A store; cloning is one counter. See the module for what it promises.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    options: StoreOptions,
    clock: Arc<dyn Clock>,
    writer: Mutex<Writer>,
    head: RwLock<Head>,
    speller: Speller,
    spellings: RwLock<Spellings>,
    epochs: Epochs,
    counters: Counters,
    recovery: RecoveryReport,
    blocks: Blocks,
    upkeep: Mutex<Upkeep>,
    _lock: DiskLock,
}

impl Store {
    /// Opens the store in a directory and replays its log.
    pub fn open(
        options: StoreOptions,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
    ) -> Result<Store, OpenError> {
        let lock = recover::lock(&*disk, &options.dir)?;
        let mut problems = Vec::new();
        let blocks = Blocks::open(disk, &options.dir, &mut problems)?;
        let list = blocks.current();
        let covered_until = |segment| {
            let covers = list.iter().map(|block| block.meta.covers);
            covers.filter(|covers| segment < covers.segment).map(|covers| covers.end_ms).max()
        };
        let recovered = recover::recover(&options, blocks.disk(), &clock, &covered_until)?;
        let Recovered { head, tails, newest_ms, log, mut report } = recovered;
        report.blocks = list.len() as u64;
        report.problems.splice(0..0, problems);
        let blocks_newest_ms = list.iter().map(|block| block.meta.max_time_ms).max();
        let newest_ms = newest_ms.max(blocks_newest_ms.unwrap_or(i64::MIN));
        let blocks_end_ms = list.iter().map(|block| block.meta.covers.end_ms).max();
        let writer = Writer::new(log, tails, newest_ms, blocks_end_ms.unwrap_or(i64::MIN));
        let inner = Inner {
            options,
            clock,
            writer: Mutex::new(writer),
            head: RwLock::new(head),
            speller: Speller::new(),
            spellings: RwLock::new(Spellings::new()),
            epochs: Epochs::new(),
            counters: Counters::default(),
            recovery: report,
            upkeep: Mutex::new(Upkeep::new(&list)),
            blocks,
            _lock: lock,
        };
        Ok(Store { inner: Arc::new(inner) })
    }

    /// Opens an empty store in memory, for tests and throwaway evaluations. It takes samples in any
    /// order, up to ten minutes ahead of the clock.
    pub fn in_memory(clock: Arc<dyn Clock>) -> Store {
        let options = StoreOptions {
            wal_sync: WalSync::OnClose,
            retention_ms: i64::MAX,
            out_of_order_window_ms: i64::MAX,
            ..StoreOptions::default()
        };
        Store::open(options, Arc::new(SimDisk::new()), clock)
            .expect("an empty simulated disk that does not fail opens")
    }

    /// Returns a writer for one sender.
    pub fn appender(&self) -> Appender {
        Appender::new(Arc::clone(&self.inner))
    }

    /// Returns the store as it is to be read now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(Arc::clone(&self.inner))
    }

    /// Does one round of upkeep: cuts old samples into a block, drops what is beyond retention,
    /// forgets series that ended, drops the log that is not needed any more. The server calls it
    /// each minute. What fails is tried again the next time.
    pub fn maintain(&self) -> Result<(), MaintainError> {
        self.inner.maintain().inspect_err(|_| self.inner.counters.count_failed_round())
    }

    /// Writes a checkpoint if the log has grown enough since the last one, so that opening is fast;
    /// see [`StoreOptions::checkpoint_bytes`]. The server asks each second. Does nothing while other
    /// upkeep goes on.
    pub fn checkpoint_if_due(&self) -> Result<(), MaintainError> {
        let Some(mut upkeep) = self.inner.upkeep.try_lock() else { return Ok(()) };
        self.inner.checkpoint_if_due(&mut upkeep)
    }

    /// Writes a checkpoint now, unless nothing came since the last one.
    pub fn checkpoint(&self) -> Result<(), MaintainError> {
        self.inner.checkpoint(&mut self.inner.upkeep.lock())
    }

    /// Deletes the samples within a range of the series that satisfy all matchers, for readers at
    /// once; their room is given back by and by, or by [`Store::clean_tombstones`]. After an error
    /// part of them may be deleted.
    pub fn delete_series(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<(), MaintainError> {
        self.inner.delete_series(matchers, range)
    }

    /// Rewrites the blocks from which samples were deleted, without those.
    pub fn clean_tombstones(&self) -> Result<(), MaintainError> {
        let _upkeep = self.inner.upkeep.lock();
        self.inner.drop_deleted()
    }

    /// Makes a snapshot below `snapshots/` of the data directory, with what is not in a block yet if
    /// `with_head`, and returns its name. The directory of that name opens as a store.
    pub fn back_up(&self, with_head: bool) -> Result<String, MaintainError> {
        self.inner.back_up(with_head)
    }

    /// Writes a checkpoint, syncs the log, and refuses writes from here on; reading goes on. Dropping
    /// the last clone does the same but for the checkpoint.
    pub fn close(&self) -> Result<(), MaintainError> {
        if let Some(mut upkeep) = self.inner.upkeep.try_lock()
            && let Err(error) = self.inner.checkpoint(&mut upkeep)
        {
            // The log has it all; only opening takes longer.
            tracing::warn!(%error, "Could not write a checkpoint before the end.");
        }
        let mut writer = self.inner.writer.lock();
        let path = writer.log.dir().to_owned();
        writer.close().map_err(|source| MaintainError::Io { path, doing: "sync the log", source })
    }

    /// Returns the latest metadata of each metric, sorted by name.
    pub fn metadata(&self) -> Vec<(String, MetricMetadata)> {
        self.inner.metadata()
    }

    /// Returns what opening found, without going over what the store holds.
    pub fn recovery(&self) -> &RecoveryReport {
        &self.inner.recovery
    }

    /// Returns what the store holds and has met.
    pub fn status(&self) -> StoreStatus {
        let inner = &*self.inner;
        let blocks = inner.blocks.current();
        let damaged = inner.blocks.damaged_total();
        let mut status = StoreStatus {
            head: HeadStatus::default(),
            blocks: blocks.iter().map(|block| block.status()).collect(),
            log: inner.writer.lock().log.status(),
            recovery: inner.recovery.clone(),
            corruptions_total: damaged + inner.recovery.problems.len() as u64,
            ..StoreStatus::default()
        };
        let slot_count = inner.head.read().slot_count();
        for first in (0..slot_count).step_by(STATUS_SLOTS) {
            let slots = first..first.saturating_add(STATUS_SLOTS as u32);
            inner.head.read().count(slots, &mut status.head);
        }
        self.inner.counters.fill(&mut status);
        status
    }

    /// Returns the first `limit` entries of each list of where the head's cardinality comes from.
    pub fn cardinality(&self, limit: usize) -> Cardinality {
        self.inner.head.read().cardinality(limit)
    }
}

impl Inner {
    fn metadata(&self) -> Vec<(String, MetricMetadata)> {
        let head = self.head.read();
        let mut all: Vec<_> =
            head.metadata.iter().map(|(name, known)| (name.clone(), known.clone())).collect();
        all.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        all
    }

    /// Returns whether the disk has room for so many bytes; one that cannot say is believed to.
    fn has_room_for(&self, bytes: u64) -> bool {
        let available = self.blocks.disk().available(&self.options.dir);
        available.map_or(true, |available| available > bytes)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Err(error) = self.writer.get_mut().log.sync() {
            tracing::error!(%error, "Could not sync the log when the store was dropped.");
        }
    }
}
