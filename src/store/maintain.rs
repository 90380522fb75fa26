//! Upkeep: from the head to blocks, and from the log and the blocks to nothing.
//!
//! A cut is done in steps, each of which may be the last before the process ends: the block is
//! published; when no reader is left who does not see it, the head drops what the block has; then
//! series that ended are forgotten; then a checkpoint stands for the log that is not needed.

use std::sync::Weak;

use hashbrown::HashMap;

use super::block::{Block, BlockError, BlockWriter, Covers};
use super::blocks::BlockList;
use super::chunk;
use super::log::{Living, write_checkpoint};
use super::{Inner, MaintainError};
use crate::series::{Labels, Points, SeriesId, TimeRange};

/// Open samples are compressed from so many on.
const SEAL_MIN: usize = 120;

/// So many series are worked on under one hold of the head's lock.
const BATCH: usize = 256;

/// A block covers at most this part of the retention, so that retention can drop it in time.
const RETENTION_PARTS: i64 = 10;

/// What upkeep remembers from round to round.
pub(super) struct Upkeep {
    /// What the head is still to drop.
    truncation: Option<Truncation>,
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
        Upkeep { truncation: None, next_sequence: last + 1 }
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
        self.seal();
        self.finish_truncation(&mut upkeep);
        self.retain()?;
        self.cut(&mut upkeep)?;
        self.retain()?;
        self.trim_log()
    }

    fn ids(&self) -> Vec<SeriesId> {
        self.head.read().iter().map(|(id, _)| id).collect()
    }

    /// Compresses open samples, a few series at a time.
    fn seal(&self) {
        for batch in self.ids().chunks(BATCH) {
            let mut head = self.head.write();
            for id in batch {
                if let Some(series) = head.get_mut_unseen(*id) {
                    series.seal(SEAL_MIN);
                }
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
                if let Some(series) = head.get_mut_unseen(*id) {
                    series.truncate(due.end_ms, due.late.get(id).unwrap_or(&none));
                }
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
        for (id, series) in head.iter() {
            if series.range().is_none() && writer.tails.get(id).time_ms < ended_before_ms {
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
                head.iter().filter_map(|(_, series)| series.range()).map(|held| held.start_ms).min()
            };
            let Some(oldest_ms) = oldest_ms.filter(|oldest_ms| *oldest_ms < cut_ms) else {
                return Ok(());
            };
            let from_ms = oldest_ms.max(blocks_end_ms.unwrap_or(i64::MIN));
            let end_ms = floor_to(from_ms, part_ms).saturating_add(part_ms).min(cut_ms);
            self.cut_one(upkeep, end_ms)?;
            self.finish_truncation(upkeep);
        }
    }

    fn cut_one(&self, upkeep: &mut Upkeep, end_ms: i64) -> Result<(), MaintainError> {
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
        let late = match self.write_series(&mut block, end_ms) {
            Ok(late) => late,
            Err(error) => {
                block.abandon();
                return Err(error);
            }
        };
        let covers = Covers { start_ms: i64::MIN, end_ms, segment };
        // A number is used once, also when the block turns out to be there after an error.
        upkeep.next_sequence += 1;
        let dir = block.finish(upkeep.next_sequence - 1, covers)?;
        let block = Block::open(&**self.blocks.disk(), &dir).map_err(|error| match error {
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
        })?;
        tracing::info!(
            block = %block.meta.ulid, series = block.meta.series, samples = block.meta.samples,
            "Cut a block from the head."
        );
        self.counters.count_block();
        let readers = self.blocks.add(block);
        upkeep.truncation = Some(Truncation { readers, end_ms, late });
        Ok(())
    }

    /// Adds every sample before `end_ms` to a block; returns the late ones among them.
    fn write_series(
        &self,
        block: &mut BlockWriter<'_>,
        end_ms: i64,
    ) -> Result<HashMap<SeriesId, [Vec<i64>; 2]>, MaintainError> {
        let mut series: Vec<(Labels, SeriesId)> = {
            let head = self.head.read();
            let old = head
                .iter()
                .filter(|(_, series)| series.range().is_some_and(|held| held.start_ms < end_ms));
            old.map(|(id, series)| (series.labels.clone(), id)).collect()
        };
        series.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let before = TimeRange::new(i64::MIN, end_ms - 1);
        let mut late = HashMap::new();
        let mut points = Points::default();
        for (labels, id) in series {
            points.clear();
            if let Some(series) = self.head.read().get(id) {
                series.read(before, &mut points);
                let times = series.late_before(end_ms);
                if times.iter().any(|times| !times.is_empty()) {
                    late.insert(id, times);
                }
            }
            block.add(&labels, &chunk::encode(&points))?;
        }
        Ok(late)
    }

    /// Drops the blocks beyond retention.
    fn retain(&self) -> Result<(), MaintainError> {
        let newest_ms = self.writer.lock().newest_ms;
        self.blocks.drop_before(newest_ms.saturating_sub(self.options.retention_ms))
    }

    /// Drops the log segments whose samples are all in blocks, once a checkpoint stands for the
    /// rest that they have.
    fn trim_log(&self) -> Result<(), MaintainError> {
        let blocks = self.blocks.current();
        let (dir, first_needed) = {
            let writer = self.writer.lock();
            let current = writer.log.current_number();
            let covered = |number: u64, newest_ms: i64| {
                newest_ms == i64::MIN
                    || blocks.iter().any(|block| {
                        number < block.meta.covers.segment && newest_ms < block.meta.covers.end_ms
                    })
            };
            let mut segments = writer.log.segments().iter();
            let needed = segments.find(|segment| {
                segment.number >= current || !covered(segment.number, segment.newest_ms)
            });
            let has_older = needed.is_some_and(|needed| {
                writer.log.segments().first().is_some_and(|first| first.number < needed.number)
            });
            let Some(needed) = needed.filter(|_| has_older) else { return Ok(()) };
            (writer.log.dir().to_owned(), needed.number)
        };
        let io = |doing| {
            let path = dir.clone();
            move |source| MaintainError::Io { path, doing, source }
        };
        let living = self.living();
        write_checkpoint(&**self.blocks.disk(), &dir, first_needed, self.clock.now_ms(), &living)
            .map_err(io("write a checkpoint"))?;
        let mut writer = self.writer.lock();
        writer.log.drop_before(first_needed).map_err(io("remove log segments"))
    }

    fn living(&self) -> Living {
        let head = self.head.read();
        Living {
            series: head
                .iter()
                .map(|(id, series)| (id, series.labels.clone()))
                .chain(head.aliases.iter().cloned())
                .collect(),
            exemplars: head
                .iter()
                .flat_map(|(id, series)| series.exemplars().map(move |e| (id, e.clone())))
                .collect(),
            metadata: head.metadata.iter().map(|(name, m)| (name.clone(), m.clone())).collect(),
        }
    }
}

/// Rounds down to a multiple, also below zero.
fn floor_to(time_ms: i64, multiple_ms: i64) -> i64 {
    time_ms.saturating_sub(time_ms.rem_euclid(multiple_ms))
}
