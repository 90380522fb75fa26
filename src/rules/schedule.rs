//! When a group is evaluated.

/// The instants of a group: every `interval_ms`, shifted by an offset that spreads groups out and
/// is the same after every restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Schedule {
    pub(super) interval_ms: i64,
    pub(super) offset_ms: i64,
}

impl Schedule {
    pub(super) fn new(file: &str, group: &str, interval_ms: i64) -> Schedule {
        let interval_ms = interval_ms.max(1);
        let hash = fnv1a(file.bytes().chain([0xff]).chain(group.bytes()));
        let offset_ms = (hash % interval_ms.unsigned_abs()) as i64;
        Schedule { interval_ms, offset_ms }
    }

    /// Returns the schedule of whole multiples of an interval.
    pub(super) fn aligned(interval_ms: i64) -> Schedule {
        Schedule { interval_ms: interval_ms.max(1), offset_ms: 0 }
    }

    /// Returns the first instant later than `after_ms`.
    pub(super) fn next(&self, after_ms: i64) -> i64 {
        let since = after_ms.saturating_sub(self.offset_ms).rem_euclid(self.interval_ms);
        after_ms.saturating_add(self.interval_ms - since)
    }

    /// Returns whether an instant of this group is one of its rules' that are evaluated every
    /// `every_ms`, or of a learner that is fed so often.
    pub(super) fn is_on_grid(&self, at_ms: i64, every_ms: i64) -> bool {
        at_ms.saturating_sub(self.offset_ms) % every_ms == 0
    }

    /// Returns the first instant of such a grid at or after `from_ms`.
    pub(super) fn first_on_grid(&self, from_ms: i64, every_ms: i64) -> i64 {
        let since = from_ms.saturating_sub(self.offset_ms).rem_euclid(every_ms);
        if since == 0 { from_ms } else { from_ms.saturating_add(every_ms - since) }
    }
}

/// Fowler, Noll and Vo's hash, variant 1a, 64 bits (http://www.isthe.com/chongo/tech/comp/fnv).
fn fnv1a(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_follow_one_another_at_the_groups_own_offset() {
        let schedule = Schedule::new("rules/a.rules", "a", 60_000);
        // Shared by every build: a restart changes nothing.
        assert_eq!(schedule, Schedule { interval_ms: 60_000, offset_ms: schedule.offset_ms });
        let first = schedule.next(1_700_000_000_000);
        assert!(first > 1_700_000_000_000 && schedule.is_on_grid(first, 60_000));
        assert_eq!(schedule.next(first), first + 60_000);
        assert_eq!(schedule.next(first - 1), first);
        assert_eq!(schedule.first_on_grid(first, 60_000), first);
        assert_eq!(schedule.first_on_grid(first + 1, 60_000), first + 60_000);
        assert_ne!(Schedule::new("b", "a", 60_000).offset_ms, schedule.offset_ms);
        assert!(schedule.next(-1) >= 0);
    }
}
