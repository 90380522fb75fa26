//! Upkeep: from the head to blocks, and from the log and the blocks to nothing.
//!
//! A cut is done in steps, each of which may be the last before the process ends: the block is
//! published; when no reader is left who does not see it, the head drops what the block has; then
//! series that ended are forgotten; then a checkpoint stands for the log before it.

use std::path::Path;
use std::sync::Weak;
use std::time::Duration;

use hashbrown::HashMap;

use super::block::{Block, BlockError, BlockWriter, Covers, Origin};
use super::blocks::BlockList;
use super::chunk::{Effort, Encoder};
use super::compact::CHUNK_COUNT_MAX;
use super::head::Head;
use super::order::sorted_series;
use super::{Inner, MaintainError};
use crate::env::Disk;
use crate::series::{Points, SeriesId, TimeRange};

/// Open histograms are compressed from so many on.
const SEAL_HISTOGRAMS_MIN: usize = 120;

/// So many series are worked on under one hold of the head's lock.
const BATCH: usize = 256;

/// A block covers at most this part of the retention, so that retention can drop it in time.
const RETENTION_PARTS: i64 = 10;

/// What upkeep remembers from round to round.
pub(super) struct Upkeep {
    /// What the head is still to drop.
    truncation: Option<Truncation>,
    /// Whether a block was cut since the last checkpoint.
    pub(super) has_cut: bool,
    /// When the next checkpoint may be written; by the clock's elapsed time.
    pub(super) no_checkpoint_until: Duration,
    next_sequence: u64,
}

struct Truncation {
    /// Lives as long as any reader who does not see the block.
    readers: Weak<BlockList>,
    end_ms: i64,
    /// The late samples that the block has.
    late: HashMap<SeriesId, [Vec<i64>; 2]>,
}

impl Upkeep {
    pub(super) fn new(blocks: &BlockList) -> Upkeep {
        let last = blocks.iter().map(|block| block.meta.sequence).max().unwrap_or(0);
        Upkeep {
            truncation: None,
            has_cut: false,
            no_checkpoint_until: Duration::ZERO,
            next_sequence: last + 1,
        }
    }

    /// Returns whether the head has samples that a block has too.
    pub(super) fn is_truncating(&self) -> bool {
        self.truncation.is_some()
    }
}

impl Inner {
    /// Does one round; see [`super::Store::maintain`].
    pub(super) fn maintain(&self) -> Result<(), MaintainError> {
        let mut upkeep = self.upkeep.lock();
        {
            let mut writer = self.writer.lock();
            if writer.closed {
                return Ok(());
            }
            writer.forgotten.purge();
            writer.log.retry();
        }
        self.seal_histograms();
        self.finish_truncation(&mut upkeep);
        self.retain()?;
        self.cut(&mut upkeep)?;
        self.retain()?;
        self.checkpoint_if_due(&mut upkeep)?;
        self.compact()
    }

    fn ids(&self) -> Vec<SeriesId> {
        self.head.read().iter().collect()
    }

    /// Compresses open histograms, a few series at a time. Floats are compressed as they come.
    fn seal_histograms(&self) {
        for batch in self.ids().chunks(BATCH) {
            let mut head = self.head.write();
            for id in batch {
                head.seal_histograms(*id, SEAL_HISTOGRAMS_MIN);
            }
        }
    }

    fn finish_truncation(&self, upkeep: &mut Upkeep) {
        if upkeep.truncation.as_ref().is_none_or(|due| due.readers.strong_count() > 0) {
            return;
        }
        let Some(due) = upkeep.truncation.take() else { return };
        let none = [Vec::new(), Vec::new()];
        for batch in self.ids().chunks(BATCH) {
            let mut head = self.head.write();
            for id in batch {
                head.truncate(*id, due.end_ms, due.late.get(id).unwrap_or(&none));
            }
        }
        self.forget_ended();
    }

    /// Forgets the series that hold nothing and could not take a late sample any more.
    fn forget_ended(&self) {
        let mut writer = self.writer.lock();
        let mut head = self.head.write();
        let reach_ms = self.options.out_of_order_window_ms.max(self.options.block_range_ms);
        let ended_before_ms = writer.newest_ms.saturating_sub(reach_ms);
        let mut ended = Vec::new();
        for id in head.iter() {
            if head.range(id).is_none() && writer.tails.get(id).time_ms < ended_before_ms {
                ended.push(id);
            }
        }
        let mut labels = HashMap::with_capacity(ended.len());
        for id in ended {
            if let Some(forgotten) = head.forget(id) {
                writer.tails.forget(id);
                labels.insert(id, forgotten);
            }
        }
        if !labels.is_empty() {
            // Before the epoch ends: who begins in the next one must not find a forgotten series.
            self.spellings.write().retain(|id| head.contains(id));
            writer.forgotten.add(&self.epochs, labels);
        }
    }

    /// Cuts what is old enough into blocks.
    fn cut(&self, upkeep: &mut Upkeep) -> Result<(), MaintainError> {
        let range_ms = self.options.block_range_ms;
        let part_ms = (self.options.retention_ms / RETENTION_PARTS).max(range_ms);
        let part_ms = part_ms - part_ms % range_ms;
        loop {
            if upkeep.truncation.is_some() {
                return Ok(()); // a reader is in the way; the next round goes on
            }
            let newest_ms = self.writer.lock().newest_ms;
            let cut_ms = floor_to(newest_ms.saturating_sub(range_ms / 2), range_ms);
            let blocks = self.blocks.current();
            let blocks_end_ms = blocks.iter().map(|block| block.meta.covers.end_ms).max();
            drop(blocks);
            if newest_ms == i64::MIN || blocks_end_ms.is_some_and(|end_ms| end_ms >= cut_ms) {
                return Ok(()); // late samples behind the last cut wait for the next one
            }
            let oldest_ms = {
                let head = self.head.read();
                head.iter().filter_map(|id| head.range(id)).map(|held| held.start_ms).min()
            };
            let Some(oldest_ms) = oldest_ms.filter(|oldest_ms| *oldest_ms < cut_ms) else {
                return Ok(());
            };
            let from_ms = oldest_ms.max(blocks_end_ms.unwrap_or(i64::MIN));
            let end_ms = floor_to(from_ms, part_ms).saturating_add(part_ms).min(cut_ms);
            // A block of more than one range, as after an import of the past, will not be merged soon.
            let effort = if end_ms.saturating_sub(from_ms) > 2 * range_ms {
                Effort::Compact
            } else {
                Effort::Seal
            };
            self.cut_one(upkeep, end_ms, effort)?;
            self.finish_truncation(upkeep);
        }
    }

    fn cut_one(
        &self,
        upkeep: &mut Upkeep,
        end_ms: i64,
        effort: Effort,
    ) -> Result<(), MaintainError> {
        let segment = {
            let mut writer = self.writer.lock();
            let path = writer.log.dir().to_owned();
            writer.log.rotate().map_err(|source| MaintainError::Io {
                path,
                doing: "begin a log segment",
                source,
            })?;
            // From here on nothing that comes in order is before the end of the block.
            writer.blocks_end_ms = writer.blocks_end_ms.max(end_ms);
            writer.log.current_number()
        };
        let mut block =
            BlockWriter::begin(&**self.blocks.disk(), self.blocks.dir(), self.clock.now_ms())?;
        let late = match self.write_series(&mut block, end_ms, effort) {
            Ok(late) => late,
            Err(error) => {
                block.abandon();
                return Err(error);
            }
        };
        let covers = Covers { start_ms: i64::MIN, end_ms, segment };
        // A number is used once, also when the block turns out to be there after an error.
        upkeep.next_sequence += 1;
        let sequence = upkeep.next_sequence - 1;
        let dir = block.finish(&Origin { sequence, level: 0, sources: Vec::new(), covers })?;
        let block = open_written(&**self.blocks.disk(), &dir)?;
        tracing::info!(
            block = %block.meta.ulid, series = block.meta.series, samples = block.meta.samples,
            "Cut a block from the head."
        );
        self.counters.count_block();
        let readers = self.blocks.add(block);
        upkeep.truncation = Some(Truncation { readers, end_ms, late });
        upkeep.has_cut = true;
        Ok(())
    }

    /// Adds every sample before `end_ms` to a block; returns the late ones among them.
    fn write_series(
        &self,
        block: &mut BlockWriter<'_>,
        end_ms: i64,
        effort: Effort,
    ) -> Result<HashMap<SeriesId, [Vec<i64>; 2]>, MaintainError> {
        let is_old = |head: &Head, id| head.range(id).is_some_and(|held| held.start_ms < end_ms);
        let before = TimeRange::new(i64::MIN, end_ms - 1);
        let mut late = HashMap::new();
        let mut encoder = Encoder::new(effort, CHUNK_COUNT_MAX);
        let mut points = Points::default();
        for id in sorted_series(&self.head, is_old) {
            points.clear();
            let (labels, times) = {
                let head = self.head.read();
                let Some(labels) = head.labels(id) else { continue };
                head.read(id, before, &mut points);
                (labels, head.late_before(id, end_ms))
            };
            if times.iter().any(|times| !times.is_empty()) {
                late.insert(id, times);
            }
            block.add(&labels, &encoder.encode(&points))?;
        }
        Ok(late)
    }

    /// Drops the blocks beyond retention, by time and by size.
    fn retain(&self) -> Result<(), MaintainError> {
        let newest_ms = self.writer.lock().newest_ms;
        let oldest_ms = newest_ms.saturating_sub(self.options.retention_ms);
        self.blocks.drop_where(|block| block.meta.max_time_ms < oldest_ms)?;
        if self.options.retention_bytes == 0 {
            return Ok(());
        }
        let blocks = self.blocks.current();
        let mut held: u64 = blocks.iter().map(|block| block.len_bytes()).sum();
        held += self.writer.lock().log.status().size_bytes;
        let mut oldest_first: Vec<_> = blocks.iter().collect();
        oldest_first.sort_by_key(|block| block.meta.max_time_ms);
        for block in oldest_first {
            if held <= self.options.retention_bytes {
                break;
            }
            held -= block.len_bytes();
            self.blocks.drop_where(|found| found.meta.ulid == block.meta.ulid)?;
        }
        Ok(())
    }
}

/// Opens a block that was just written.
pub(super) fn open_written(disk: &dyn Disk, dir: &Path) -> Result<Block, MaintainError> {
    Block::open(disk, dir).map_err(|error| match error {
        BlockError::Io { path, source } => {
            MaintainError::Io { path, doing: "open a block just written", source }
        }
        BlockError::Damaged { path, offset, what } => {
            super::ReadError::Damaged { path, offset, what }.into()
        }
        BlockError::Version { path, .. } => {
            let what = "the version is not the one just written";
            super::ReadError::Damaged { path, offset: 0, what }.into()
        }
    })
}

/// Rounds down to a multiple, also below zero.
fn floor_to(time_ms: i64, multiple_ms: i64) -> i64 {
    time_ms.saturating_sub(time_ms.rem_euclid(multiple_ms))
}
