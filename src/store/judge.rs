use super::RefusedReason;
use super::head::split;
use super::log::Number;
use crate::series::{SeriesId, TimeRange};

/// Samples further ahead of the clock than this are refused.
pub(super) const FUTURE_MAX_MS: i64 = 10 * 60_000;

/// The newest in-order sample of a series, as far as the log has it. Held by the writer alone, so
/// that a transaction can be judged without touching what readers see.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tail {
    /// The generation of the slot that this is for.
    pub(super) generation: u32,
    /// The log segment in which the series was named last; 0 where it was in none.
    pub(super) segment: u32,
    /// Its number there.
    pub(super) number: Number,
    pub(super) kind: TailKind,
    /// Whether that segment has a float of it that came in order, to which the next one is the
    /// difference.
    pub(super) is_base: bool,
    pub(super) time_ms: i64,
    /// The bits of a float; 0 for histograms.
    pub(super) bits: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TailKind {
    /// No sample yet.
    None,
    Float,
    Histogram,
    /// It was deleted: another one may take its time.
    Deleted,
}

impl Tail {
    pub(super) fn new(generation: u32) -> Tail {
        Tail {
            generation,
            segment: 0,
            number: 0,
            kind: TailKind::None,
            is_base: false,
            time_ms: i64::MIN,
            bits: 0,
        }
    }

    /// Returns what the next float in a segment is the difference to.
    pub(super) fn base(&self, segment: u32) -> u64 {
        if self.segment == segment && self.is_base { self.bits } else { 0 }
    }

    /// Says that a range of the series is deleted.
    pub(super) fn delete(&mut self, range: TimeRange) {
        if self.kind != TailKind::None && range.contains(self.time_ms) {
            self.kind = TailKind::Deleted;
        }
    }

    /// Says that the series is named in a segment.
    pub(super) fn name(&mut self, segment: u32, number: Number) {
        (self.segment, self.number, self.is_base) = (segment, number, false);
    }
}

/// The tails of all series, by slot.
#[derive(Default)]
pub(super) struct Tails(Vec<Tail>);

impl Tails {
    /// Returns the tail of a series, an empty one the first time it is asked for.
    #[inline]
    pub(super) fn get(&mut self, id: SeriesId) -> &mut Tail {
        let (slot, generation) = split(id);
        let slot = slot as usize;
        if slot >= self.0.len() {
            self.0.resize(slot + 1, Tail::new(0));
        }
        let tail = &mut self.0[slot];
        if tail.generation < generation {
            *tail = Tail::new(generation);
        }
        tail
    }

    /// Returns the number that the log has for a series.
    #[inline]
    pub(super) fn number(&self, id: SeriesId) -> Number {
        self.0.get(split(id).0 as usize).map_or(0, |tail| tail.number)
    }

    /// Leaves the slot of a series to the next one.
    pub(super) fn forget(&mut self, id: SeriesId) {
        let generation = split(id).1.saturating_add(1);
        *self.get(id) = Tail::new(generation);
    }

    /// Returns whether the slot of a series went to another one, or to none.
    #[inline]
    pub(super) fn is_forgotten(&self, id: SeriesId) -> bool {
        let (slot, generation) = split(id);
        self.0.get(slot as usize).is_some_and(|tail| tail.generation > generation)
    }
}

/// The times between which a transaction may write, fixed when it is committed.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_field_names, reason = "the unit is part of each name")]
pub(super) struct Bounds {
    /// The clock and what it may be wrong by.
    latest_ms: i64,
    /// From here on a sample is in order when its series has none as new.
    ordered_from_ms: i64,
    /// From here on a sample may come late.
    late_from_ms: Option<i64>,
}

/// What becomes of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Newer than all: appended.
    Ordered,
    /// Within the window: kept in the series' own buffer, unless its time is taken.
    Late,
    /// The same time as the newest: the bits decide.
    SameTime,
    Refused(RefusedReason),
}

impl Bounds {
    /// Returns the bounds given by the clock, by the newest sample stored anywhere, and by the end
    /// (exclusive) of what was cut into blocks; `i64::MIN` where there is none.
    pub(super) fn new(
        now_ms: i64,
        newest_ms: i64,
        blocks_end_ms: i64,
        options: &JudgeOptions,
    ) -> Bounds {
        let late_from_ms = (options.out_of_order_window_ms > 0)
            .then(|| newest_ms.saturating_sub(options.out_of_order_window_ms));
        Bounds {
            latest_ms: now_ms.saturating_add(FUTURE_MAX_MS),
            ordered_from_ms: newest_ms
                .saturating_sub(options.block_range_ms / 2)
                .max(blocks_end_ms),
            late_from_ms,
        }
    }

    /// Judges one sample against its series' newest , as upstream does.
    #[inline]
    pub(super) fn judge(&self, tail: &Tail, time_ms: i64) -> Verdict {
        if time_ms > self.latest_ms {
            return Verdict::Refused(RefusedReason::OutOfBounds);
        }
        if tail.kind != TailKind::None && time_ms == tail.time_ms {
            return Verdict::SameTime;
        }
        let ordered = tail.kind == TailKind::None || time_ms > tail.time_ms;
        if ordered && time_ms >= self.ordered_from_ms {
            return Verdict::Ordered;
        }
        match self.late_from_ms {
            Some(late_from_ms) if time_ms >= late_from_ms => Verdict::Late,
            Some(_) => Verdict::Refused(RefusedReason::TooOld),
            None if time_ms < self.ordered_from_ms => Verdict::Refused(RefusedReason::OutOfBounds),
            None => Verdict::Refused(RefusedReason::OutOfOrder),
        }
    }
}

/// The options that judging depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct JudgeOptions {
    pub(super) out_of_order_window_ms: i64,
    pub(super) block_range_ms: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    #[track_caller]
    fn check(
        window_ms: i64,
        newest_ms: i64,
        tail_ms: Option<i64>,
        time_ms: i64,
        expected: Verdict,
    ) {
        let options = JudgeOptions { out_of_order_window_ms: window_ms, block_range_ms: 2 * HOUR };
        let bounds = Bounds::new(100 * HOUR, newest_ms, i64::MIN, &options);
        let mut tail = Tail::new(0);
        if let Some(tail_ms) = tail_ms {
            tail.kind = TailKind::Float;
            tail.time_ms = tail_ms;
        }
        assert_eq!(bounds.judge(&tail, time_ms), expected);
    }

    #[test]
    fn as_the_table_says() {
        use RefusedReason::{OutOfBounds, OutOfOrder, TooOld};
        use Verdict::{Late, Ordered, Refused, SameTime};
        let now = 100 * HOUR;
        check(HOUR, i64::MIN, None, i64::MIN, Ordered);
        check(HOUR, i64::MIN, None, now + FUTURE_MAX_MS, Ordered);
        check(HOUR, i64::MIN, None, now + FUTURE_MAX_MS + 1, Refused(OutOfBounds));
        check(HOUR, now, Some(now), now, SameTime);
        check(HOUR, now, Some(now), now + 1, Ordered);
        check(HOUR, now, Some(now), now - 1, Late);
        check(HOUR, now, Some(now), now - HOUR, Late);
        check(HOUR, now, Some(now), now - HOUR - 1, Refused(TooOld));
        check(HOUR, now, None, now - HOUR - 1, Refused(TooOld));
        check(HOUR, now, None, now - HOUR, Ordered);
        check(0, now, Some(now), now - 1, Refused(OutOfOrder));
        check(0, now, Some(now), now - HOUR - 1, Refused(OutOfBounds));
        check(0, now, None, now - HOUR, Ordered);
    }
}
