//! Checkpoints: what the head holds, written beside the log, so that opening need not replay all of
//! what came since the last block.
//!
//! A checkpoint is taken series by series while others write, so it has some of what the log has
//! from its segment on; replay knows those samples again. What is in it was complete when its
//! segment was begun, so the segments before are not needed any more.

use std::time::Duration;

use super::head::{Saver, Slot};
use super::judge::{Tail, TailKind};
use super::log::{CheckpointWriter, HeldSeries, SYNC, SavedTail, TransactionWriter};
use super::maintain::Upkeep;
use super::{Inner, MaintainError};
use crate::series::SeriesId;

/// So many series are saved under one hold of the locks.
const BATCH: Slot = 256;

/// How long to wait after a failure, and at most after a checkpoint.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// After a checkpoint there is none for so many times as long as it took.
const PAUSES: u32 = 20;

/// Metrics whose metadata goes into one record.
const METADATA_ROWS: usize = 1024;

impl Inner {
    /// Writes a checkpoint if the log has grown enough, if a block was cut since the last one, or if
    /// a sync has failed since.
    pub(super) fn checkpoint_if_due(&self, upkeep: &mut Upkeep) -> Result<(), MaintainError> {
        let (log_bytes, checkpoint_bytes, has_losses) = {
            let log = &self.writer.lock().log;
            (log.bytes_to_replay(), log.checkpoint_bytes(), log.has_losses())
        };
        // A large checkpoint is not written anew for little.
        let has_grown = log_bytes >= self.options.checkpoint_bytes.max(checkpoint_bytes / 2);
        let is_due = has_losses || has_grown || upkeep.has_cut;
        if !is_due || self.clock.elapsed() < upkeep.no_checkpoint_until {
            return Ok(());
        }
        // A disk that is nearly full keeps its room for the log, and for the next block.
        if !has_losses && !self.has_room_for(2 * (log_bytes + checkpoint_bytes)) {
            return Ok(());
        }
        let began = self.clock.elapsed();
        let done = self.checkpoint(upkeep);
        let took = self.clock.elapsed().saturating_sub(began);
        let pause = if done.is_ok() { (PAUSES * took).min(RETRY_AFTER) } else { RETRY_AFTER };
        upkeep.no_checkpoint_until = began + took + pause;
        done
    }

    /// Writes a checkpoint, unless the log has nothing that the last one has not, or a reader still
    /// needs samples of the head that a block has too.
    pub(super) fn checkpoint(&self, upkeep: &mut Upkeep) -> Result<(), MaintainError> {
        if upkeep.is_truncating() {
            return Ok(());
        }
        let (dir, file) = {
            let writer = self.writer.lock();
            let is_new = writer.log.bytes_to_replay() > 0 || writer.log.has_losses();
            if !is_new && !upkeep.has_cut {
                return Ok(());
            }
            (writer.log.dir().to_owned(), writer.log.current_file())
        };
        let io = |doing| {
            let path = dir.clone();
            move |source| MaintainError::Io { path, doing, source }
        };
        // What is synced here does not keep those waiting who write while the segment is ended.
        if let Some(file) = file {
            let synced = file.sync();
            synced
                .inspect_err(|error| self.writer.lock().log.fail(SYNC, error))
                .map_err(io("sync the log"))?;
        }
        let (number, losses) = {
            let log = &mut self.writer.lock().log;
            log.rotate().map_err(io("begin a log segment"))?;
            (log.current_number(), log.losses())
        };
        let disk = &**self.blocks.disk();
        let mut file = CheckpointWriter::begin(disk, &dir, number, self.clock.now_ms())
            .map_err(io("begin a checkpoint"))?;
        let written = self.save(&mut file).and_then(|()| file.finish());
        let len_bytes = match written {
            Ok(len_bytes) => len_bytes,
            Err(error) => {
                file.abandon();
                return Err(io("write a checkpoint")(error));
            }
        };
        upkeep.has_cut = false;
        let replaced = self.writer.lock().log.replace_before(number, len_bytes, losses);
        for path in &replaced {
            disk.remove_file(path).map_err(io("remove a log segment"))?;
        }
        disk.sync_dir(&dir).map_err(io("remove log segments"))
    }

    fn save(&self, file: &mut CheckpointWriter<'_>) -> std::io::Result<()> {
        let mut record = TransactionWriter::default();
        let metadata = self.metadata();
        for metadata in metadata.chunks(METADATA_ROWS) {
            record.clear();
            record.metadata(metadata.iter().map(|(name, known)| (name.as_str(), known)));
            file.put(record.payload())?;
        }
        let mut saver = Saver::default();
        let mut first = 0;
        let slot_count = self.head.read().slot_count();
        for slot in (0..slot_count).step_by(BATCH as usize) {
            self.save_some(slot, first, &mut saver, &mut record);
            first += saver.series.len() as u32;
            file.put(record.payload())?;
        }
        Ok(())
    }

    /// Makes the record of the series in a few slots from `slot` on, the first of them under the
    /// number `first`.
    fn save_some(&self, slot: Slot, first: u32, saver: &mut Saver, record: &mut TransactionWriter) {
        record.clear();
        // Nothing is logged and not yet in the head while the writer is held.
        let mut writer = self.writer.lock();
        let head = self.head.read();
        saver.save(&head, slot..slot.saturating_add(BATCH).min(head.slot_count()));
        let texts = saver.pairs.iter().map(|pair| head.index().text(*pair));
        record.pairs(texts);
        record.held(HeldSeries {
            count: saver.series.len(),
            in_all: head.series_count() as u64,
            first,
            samples: saver.samples,
            newest_ms: saver.newest_ms,
            bytes: &saver.bytes,
        });
        let tail = |id: &SeriesId| saved(writer.tails.get(*id), || head.open_end(*id));
        record.tails(first, saver.series.iter().map(tail));
        let numbered = saver.series.iter().zip(first..);
        let exemplars: Vec<_> = numbered
            .flat_map(|(id, number)| head.exemplars(*id).map(move |one| (number, one)))
            .collect();
        record.exemplars(exemplars.into_iter());
    }
}

fn saved(tail: &Tail, open_end: impl FnOnce() -> Option<(i64, u64)>) -> SavedTail {
    match tail.kind {
        TailKind::None => SavedTail::None,
        TailKind::Float if open_end() == Some((tail.time_ms, tail.bits)) => SavedTail::Open,
        TailKind::Float => SavedTail::Float(tail.time_ms, tail.bits),
        TailKind::Histogram => SavedTail::Histogram(tail.time_ms),
        TailKind::Deleted => SavedTail::Deleted(tail.time_ms),
    }
}
