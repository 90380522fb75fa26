//! The write-ahead log: every transaction is one record in a numbered segment.
//!
//! Entry points: [`Log::append`] and [`replay`](replay::replay). Layout: `FORMAT.md`.
//!
//! Invariants: a record is written whole before its transaction is visible. After a failed write or
//! sync the log takes nothing until a fresh segment was opened and synced; that segment's header
//! says up to where the one before counts, so that what failed is not replayed. When a sync failed,
//! the disk may not have what was written before; a checkpoint makes that good.

mod checkpoint;
mod differences;
mod floats;
mod gather;
mod held;
mod record;
mod replay;
mod sync;
mod transaction;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub(super) use checkpoint::CheckpointWriter;
pub(super) use gather::Run;
pub(super) use held::{HeldSeries, SavedTail};
pub(super) use replay::{Origin, read_segment, replay, segments};
pub(super) use sync::Ticket;
pub(super) use transaction::{
    FloatRow, HistogramRow, NamedSeries, Number, Section, TransactionWriter, add_to_check,
    get_histogram, put_histogram,
};

use super::bytes::{Reader, put_u16, put_u32, put_u64};
use super::status::LogStatus;
use super::{AppendError, WalSync};
use crate::env::{Clock, Disk, DiskFile};
use sync::Syncer;

/// A segment is ended when it has grown beyond this.
const SEGMENT_BYTES_MAX: u64 = 128 << 20;

/// How long to wait after a failure before a commit tries again to open a segment.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The disk is asked for its room after so long, or after so much was written.
const ROOM_AFTER: Duration = Duration::from_secs(1);
const ROOM_BYTES: u64 = 1 << 20;

/// What failed when a sync did.
pub(super) const SYNC: &str = "sync";

/// What is written, and the oldest that is read: 2 has no series in checkpoints.
const VERSION: u16 = 3;
const OLDEST: u16 = 2;
const HEADER_LEN: usize = 40;
const MAGIC_SEGMENT: [u8; 4] = *b"FWLG";
const MAGIC_CHECKPOINT: [u8; 4] = *b"FWCP";

/// The log that is written to.
pub(super) struct Log {
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    dir: PathBuf,
    sync: WalSync,
    syncer: Syncer,
    /// `None` until the first segment is open, and after a failure.
    current: Option<Segment>,
    failure: Option<String>,
    retry_at: Duration,
    /// How many syncs failed, and how many of these a checkpoint has made good.
    losses: u64,
    made_good: u64,
    /// What is on disk, oldest first, the current one included.
    segments: Vec<SegmentInfo>,
    /// The length of the checkpoint before them; 0 where there is none.
    checkpoint_bytes: u64,
    next_number: u64,
    room: Room,
    scratch: Vec<u8>,
}

/// What was found when the disk was last asked how much room it has.
#[derive(Default)]
struct Room {
    looked_at: Option<Duration>,
    log_bytes: u64,
    /// Why nothing may be written.
    lack: Option<String>,
}

struct Segment {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
}

/// What opening found on disk.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Oldest first.
    pub(super) segments: Vec<SegmentInfo>,
    /// The length of the checkpoint; 0 where there is none.
    pub(super) checkpoint_bytes: u64,
    /// The number for the next segment.
    pub(super) next_number: u64,
}

/// A segment on disk.
#[derive(Clone, Copy, Debug)]
pub(super) struct SegmentInfo {
    pub(super) number: u64,
    /// Up to where it counts.
    pub(super) len_bytes: u64,
}

impl Log {
    /// Takes over the segments that were found, and opens a new one; when that fails the log
    /// refuses writes and tries again.
    pub(super) fn open(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        dir: PathBuf,
        sync: WalSync,
        found: Found,
    ) -> Log {
        let mut log = Log {
            syncer: Syncer::start(sync),
            disk,
            clock,
            dir,
            sync,
            current: None,
            failure: None,
            retry_at: Duration::ZERO,
            losses: 0,
            made_good: 0,
            segments: found.segments,
            checkpoint_bytes: found.checkpoint_bytes,
            next_number: found.next_number,
            room: Room::default(),
            scratch: Vec::new(),
        };
        log.retry();
        log
    }

    /// Returns whether a record can be appended, after trying to make it so.
    pub(super) fn ensure_open(&mut self) -> Result<(), AppendError> {
        if let Some(failure) = self.syncer.take_failure() {
            self.fail(SYNC, &failure);
        }
        if self.current.is_none() && self.clock.elapsed() >= self.retry_at {
            self.retry();
        }
        let len_bytes = self.segments.last().map_or(0, |segment| segment.len_bytes);
        if self.current.is_some() && len_bytes >= SEGMENT_BYTES_MAX {
            let path = self.dir.join(segment_name(self.next_number));
            self.rotate().map_err(|source| AppendError::Log { path, source })?;
        }
        if self.sync == WalSync::Ack && self.has_losses() {
            let reason = "a sync failed, and a checkpoint is to be written first".to_owned();
            return Err(AppendError::Refusing { path: self.dir.clone(), reason });
        }
        if let Some(reason) = self.lacks_room() {
            return Err(AppendError::Refusing { path: self.dir.clone(), reason });
        }
        match (&self.current, &self.failure) {
            (Some(_), _) => Ok(()),
            (None, reason) => {
                let reason = reason.clone().unwrap_or_else(|| "not opened yet".to_owned());
                Err(AppendError::Refusing { path: self.dir.clone(), reason })
            }
        }
    }

    /// Returns why nothing more may be written: what the disk has left is needed to cut what the log
    /// has into a block, which is what makes room again.
    fn lacks_room(&mut self) -> Option<String> {
        let now = self.clock.elapsed();
        let len_bytes = self.len_bytes();
        let is_due = self.room.looked_at.is_none_or(|at| now.saturating_sub(at) >= ROOM_AFTER)
            || len_bytes.abs_diff(self.room.log_bytes) >= ROOM_BYTES;
        if is_due {
            let needed = ROOM_BYTES + len_bytes / 2;
            // A disk that cannot say is believed to have room; writing to it will tell.
            let available = self.disk.available(&self.dir).unwrap_or(u64::MAX);
            let reason = (available < needed).then(|| {
                format!(
                    "the disk has {available} bytes left, and {needed} are kept free to cut the \
                     log into a block"
                )
            });
            if reason.is_some() && self.room.lack.is_none() {
                tracing::error!(dir = %self.dir.display(), available, needed,
                    "The disk is nearly full; refusing writes until there is room.");
            }
            self.room = Room { looked_at: Some(now), log_bytes: len_bytes, lack: reason };
        }
        self.room.lack.clone()
    }

    /// Tries to open a fresh segment if the log is refusing.
    pub(super) fn retry(&mut self) {
        if let Some(failure) = self.syncer.take_failure() {
            self.fail(SYNC, &failure);
        }
        if self.current.is_some() {
            return;
        }
        match self.open_segment() {
            Ok(()) => {
                if self.failure.take().is_some() {
                    tracing::info!(dir = %self.dir.display(), "The log takes writes again.");
                }
            }
            Err(error) => self.fail("open a segment", &error),
        }
    }

    /// Ends the current segment and opens the next one. The log is refusing after an error.
    pub(super) fn rotate(&mut self) -> io::Result<()> {
        if let Some(file) = self.current_file() {
            file.sync().inspect_err(|error| self.fail(SYNC, error))?;
            self.syncer.settle();
            self.current = None;
        }
        self.open_segment().inspect_err(|error| self.fail("open a segment", error))
    }

    fn open_segment(&mut self) -> io::Result<()> {
        let number = self.next_number;
        let path = self.dir.join(segment_name(number));
        let before = self.segments.last();
        let header = header(
            MAGIC_SEGMENT,
            self.clock.now_ms(),
            before.map_or(u64::MAX, |segment| segment.number),
            before.map_or(0, |segment| segment.len_bytes),
        );
        // A number is used once, also when opening fails half way.
        self.next_number += 1;
        let opened = self.disk.create(&path).and_then(|file| {
            file.append(&header)?;
            file.sync()?;
            self.disk.sync_dir(&self.dir)?;
            Ok(file)
        });
        match opened {
            Ok(file) => {
                let len_bytes = HEADER_LEN as u64;
                self.segments.push(SegmentInfo { number, len_bytes });
                self.current = Some(Segment { path, file });
                Ok(())
            }
            Err(error) => {
                // Left behind, it is an empty segment, which replay passes over.
                let _ = self.disk.remove_file(&path);
                Err(error)
            }
        }
    }

    /// Writes one record. When it returns the record is safe from the death of the process; with
    /// [`WalSync::Ack`] there is a ticket to wait with until it is safe from a power cut. After an
    /// error it will not be replayed.
    pub(super) fn append(&mut self, payload: &[u8]) -> Result<Option<Ticket>, AppendError> {
        let Some(current) = &self.current else {
            let reason = self.failure.clone().unwrap_or_default();
            return Err(AppendError::Refusing { path: self.dir.clone(), reason });
        };
        self.scratch.clear();
        record::put_record(&mut self.scratch, record::TRANSACTION, payload);
        if let Err(source) = current.file.append(&self.scratch) {
            let path = current.path.clone();
            self.fail("write", &source);
            return Err(AppendError::Log { path, source });
        }
        let ticket = self.syncer.note(&current.file);
        let segment = self.segments.last_mut().expect("the current segment is listed");
        segment.len_bytes += self.scratch.len() as u64;
        Ok((self.sync == WalSync::Ack).then_some(ticket))
    }

    /// Returns whether the disk may lack some of what was logged.
    pub(super) fn has_losses(&self) -> bool {
        self.losses > self.made_good
    }

    /// Returns how many syncs failed.
    pub(super) fn losses(&self) -> u64 {
        self.losses
    }

    /// Returns the ticket of the last record, where there are tickets.
    pub(super) fn last_ticket(&self) -> Option<Ticket> {
        (self.sync == WalSync::Ack).then(|| self.syncer.last())
    }

    /// Gives up the segment that is written to.
    pub(super) fn fail(&mut self, doing: &str, error: &io::Error) {
        if self.failure.is_none() {
            tracing::error!(
                dir = %self.dir.display(), doing, %error,
                "The log does not take writes; trying again until it does."
            );
        }
        // What was written before is good as long as it can be synced.
        match self.current.take() {
            Some(current) if doing != SYNC && current.file.sync().is_ok() => self.syncer.settle(),
            Some(_) => self.losses += 1,
            None => {}
        }
        self.syncer.give_up();
        self.failure = Some(format!("cannot {doing}: {error}"));
        self.retry_at = self.clock.elapsed() + RETRY_AFTER;
    }

    /// Returns the number of the segment written to, or of the next one.
    pub(super) fn current_number(&self) -> u64 {
        match (&self.current, self.segments.last()) {
            (Some(_), Some(segment)) => segment.number,
            _ => self.next_number,
        }
    }

    /// Returns the segment that is written to.
    pub(super) fn current_file(&self) -> Option<Arc<dyn DiskFile>> {
        self.current.as_ref().map(|current| Arc::clone(&current.file))
    }

    /// Returns how many bytes of records came since the checkpoint.
    pub(super) fn bytes_to_replay(&self) -> u64 {
        let records = |segment: &SegmentInfo| segment.len_bytes.saturating_sub(HEADER_LEN as u64);
        self.segments.iter().map(records).sum()
    }

    /// Returns the length of the checkpoint; 0 where there is none.
    pub(super) fn checkpoint_bytes(&self) -> u64 {
        self.checkpoint_bytes
    }

    fn len_bytes(&self) -> u64 {
        let segments: u64 = self.segments.iter().map(|segment| segment.len_bytes).sum();
        segments + self.checkpoint_bytes
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the checkpoint and the segments that are not written to any more.
    pub(super) fn sealed_files(&self) -> io::Result<Vec<PathBuf>> {
        let current = segment_name(self.current_number());
        let names = self.disk.list(&self.dir)?.into_iter().map(|entry| entry.name);
        let sealed = names.filter(|name| {
            name.strip_suffix(".checkpoint").is_some()
                || name.strip_suffix(".wal").is_some() && *name < current
        });
        Ok(sealed.map(|name| self.dir.join(name)).collect())
    }

    /// Says that a checkpoint stands for the segments before `number`, and makes good so many losses.
    /// Returns the files of these segments, to be removed; one that stays is removed on opening.
    pub(super) fn replace_before(
        &mut self,
        number: u64,
        checkpoint_bytes: u64,
        losses: u64,
    ) -> Vec<PathBuf> {
        self.checkpoint_bytes = checkpoint_bytes;
        self.made_good = losses;
        let count = self.segments.partition_point(|segment| segment.number < number);
        let replaced = self.segments.drain(..count);
        replaced.map(|segment| self.dir.join(segment_name(segment.number))).collect()
    }

    pub(super) fn sync(&mut self) -> io::Result<()> {
        let Some(current) = &self.current else { return Ok(()) };
        current.file.sync()
    }

    pub(super) fn status(&self) -> LogStatus {
        LogStatus {
            first_segment: self.segments.first().map_or(0, |segment| segment.number),
            current_segment: self.current_number(),
            size_bytes: self.len_bytes(),
            refusing: self
                .failure
                .clone()
                .filter(|_| self.current.is_none())
                .or_else(|| self.room.lack.clone()),
        }
    }
}

fn segment_name(number: u64) -> String {
    format!("{number:08}.wal")
}

fn checkpoint_name(number: u64) -> String {
    format!("{number:08}.checkpoint")
}

fn header(magic: [u8; 4], created_ms: i64, before: u64, before_len: u64) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER_LEN);
    header.extend_from_slice(&magic);
    put_u16(&mut header, VERSION);
    put_u16(&mut header, 0);
    put_u64(&mut header, created_ms as u64);
    put_u64(&mut header, before);
    put_u64(&mut header, before_len);
    put_u32(&mut header, 0);
    let crc = crc32c::crc32c(&header);
    put_u32(&mut header, crc);
    header
}

/// What the header of a segment or checkpoint says.
struct Header {
    version: u16,
    /// The segment before, and up to where it counts.
    before: Option<(u64, u64)>,
}

fn read_header(bytes: &[u8], magic: [u8; 4]) -> Option<Header> {
    let bytes = bytes.get(..HEADER_LEN)?;
    let (covered, crc) = bytes.split_at(HEADER_LEN - 4);
    let mut reader = Reader::new(bytes);
    if reader.array::<4>()? != magic || crc32c::crc32c(covered) != Reader::new(crc).u32()? {
        return None;
    }
    let version = reader.u16()?;
    let _flags = reader.u16()?;
    let _created = reader.u64()?;
    let (before, before_len) = (reader.u64()?, reader.u64()?);
    Some(Header { version, before: (before != u64::MAX).then_some((before, before_len)) })
}

/// Reads arbitrary bytes as records and as the payload of one, for `doors`.
pub(super) fn read_arbitrary(bytes: &[u8], visit: &mut dyn FnMut(Section)) {
    let mut differences = differences::Differences::default();
    let mut gather = gather::Gather::new(visit);
    let mut visit = |mut section| {
        match &mut section {
            Section::Series(named) => differences.name(named),
            Section::Floats(rows, check) => differences.undo(rows, *check),
            Section::Held(held) => held.in_all = 0,
            _ => {}
        }
        gather.take(section);
    };
    let _ = transaction::read_sections(bytes, &mut visit);
    for found in record::Records::new(bytes) {
        if let record::Found::Record { payload, .. } = found {
            let _ = transaction::read_sections(&payload, &mut visit);
        }
    }
    gather.finish();
    let _ = read_header(bytes, MAGIC_SEGMENT);
}
