//! Deleting samples: from the head at once, from blocks by tombstones that the next rewrite obeys.

use super::log::{Number, Ticket};
use super::maintain::Upkeep;
use super::postings::matching;
use super::{Inner, MaintainError};
use crate::series::{Matcher, SeriesId, TimeRange};

/// So many series are deleted from under one hold of the locks.
const BATCH: usize = 1024;

impl Inner {
    /// Deletes the samples within a range of the series that satisfy all matchers.
    pub(super) fn delete_series(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<(), MaintainError> {
        // Neither a cut nor a merge may carry samples past this.
        let upkeep = self.upkeep.lock();
        self.delete_from_head(&upkeep, matchers, range)?;
        let blocks = self.blocks.current();
        for block in blocks.iter().filter(|block| block.range().overlaps(range)) {
            let mut tombstones = (*block.tombstones()).clone();
            for series in matching(block.index(), matchers)? {
                tombstones.add(series, range);
            }
            if tombstones == *block.tombstones() {
                continue;
            }
            let disk = &**self.blocks.disk();
            block.set_tombstones(disk, self.clock.now_ms(), tombstones).map_err(|source| {
                let path = block.dir().to_owned();
                MaintainError::Io { path, doing: "write the tombstones of a block", source }
            })?;
        }
        Ok(())
    }

    fn delete_from_head(
        &self,
        _upkeep: &Upkeep,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<(), MaintainError> {
        let found: Vec<SeriesId> = {
            let head = self.head.read();
            let slots = matching(head.index(), matchers)?;
            slots.into_iter().filter_map(|slot| head.in_slot(slot)).collect()
        };
        for batch in found.chunks(BATCH) {
            let ticket = {
                let mut writer = self.writer.lock();
                let ticket = writer.log_deletion(&self.head, batch, range)?;
                let mut head = self.head.write();
                for id in batch {
                    head.delete(*id, range);
                }
                ticket
            };
            self.wait(ticket)?;
        }
        Ok(())
    }
}

impl super::writer::Writer {
    /// Writes to the log that a range of some series is deleted.
    fn log_deletion(
        &mut self,
        head: &parking_lot::RwLock<super::head::Head>,
        series: &[SeriesId],
        range: TimeRange,
    ) -> Result<Option<Ticket>, MaintainError> {
        if self.closed {
            return Err(MaintainError::Append(super::AppendError::Closed));
        }
        self.log.ensure_open()?;
        self.begin();
        let first = self.numbers.next;
        for id in series {
            self.tail_to_log(*id).delete(range);
        }
        let head = head.read();
        let numbers: Vec<Number> = series.iter().map(|id| self.tails.number(*id)).collect();
        let named = self.named.iter().map(|id| head.pair_ids(*id));
        self.record.clear();
        self.record.series(first, named, |pair| head.index().text(pair));
        self.record.deleted(numbers.into_iter(), range);
        drop(head);
        self.log.append(self.record.payload()).map_err(|error| {
            self.roll_back();
            error.into()
        })
    }
}
