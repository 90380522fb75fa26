//! The times of open samples: one column for all series that were sampled together.
//!
//! The series of a scrape have the same times, so each names a column and its place in it. A series
//! whose next sample is at another time than the column's leaves with a copy of its own part;
//! others that leave at the same time with the same part follow it into the same copy.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::store::bytes::{Reader, put_signed, put_varint};
use crate::store::chunk::{Effort, Times};

/// No column.
pub(super) const NONE: u32 = u32::MAX;

/// A column is full with at least so many times, and at most half as many more: not all of them at
/// once, since the series of one that is full are sealed with their next sample.
const FULL_MIN: u32 = 90;

/// Columns that were just begun or left are found again through so many places.
const RECENT: usize = 512;

/// So many runs of times are remembered.
const RUNS: usize = 64;

/// The part of a column that a series has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) column: u32,
    pub(super) start: u32,
}

impl Part {
    pub(super) const NONE: Part = Part { column: NONE, start: 0 };
}

struct Column {
    /// Given to no other one, where its place is.
    serial: u64,
    /// How many series and frozen chunks name it; 0 when it is free.
    users: u32,
    count: u32,
    first_ms: i64,
    last_ms: i64,
    last_delta: i64,
    /// So many times fill it.
    full: u32,
    /// The encoding of the part that was sealed last.
    encoded: Option<(Part, Arc<Times>)>,
    /// From the second time on: how its distance to the one before differs from that one's, as
    /// a varint.
    rest: Vec<u8>,
}

pub(super) struct Columns {
    all: Vec<Column>,
    free: Vec<u32>,
    /// How many columns there were.
    serials: u64,
    /// The same in each run, so that the same writes make the same files. Times that share a place
    /// cost a column more, no time.
    hasher: foldhash::fast::FixedState,
    /// By time: the column that has it last.
    begun: Box<[u32]>,
    /// By what was left and when: the copy that was made.
    left: Box<[Left]>,
    /// By serials of columns.
    runs: Box<[Run]>,
    begun_run: Run,
}

/// The times that were added last to a column at once.
#[derive(Default)]
struct Run {
    column: u32,
    /// That of the column; 0 where there is none.
    serial: u64,
    at: u32,
    times_ms: Vec<i64>,
}

impl Run {
    fn remember(&mut self, column: u32, serial: u64, at: u32, times_ms: &[i64]) {
        (self.column, self.serial, self.at) = (column, serial, at);
        self.times_ms.clear();
        self.times_ms.extend_from_slice(times_ms);
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Leaving {
    /// The serial of the column that is left.
    serial: u64,
    start: u32,
    count: u32,
    time_ms: i64,
}

#[derive(Clone, Copy)]
struct Left {
    leaving: Leaving,
    copy: u32,
    /// The serial of the copy.
    serial: u64,
}

impl Columns {
    pub(super) fn new() -> Columns {
        let leaving = Leaving { serial: 0, start: 0, count: 0, time_ms: 0 };
        Columns {
            all: Vec::new(),
            free: Vec::new(),
            serials: 0,
            hasher: foldhash::fast::FixedState::default(),
            begun: vec![NONE; RECENT].into(),
            left: vec![Left { leaving, copy: NONE, serial: 0 }; RECENT].into(),
            runs: (0..RUNS).map(|_| Run::default()).collect(),
            begun_run: Run::default(),
        }
    }

    /// Begins a series' part with its first time.
    pub(super) fn begin(&mut self, time_ms: i64) -> Part {
        let place = self.hasher.hash_one(time_ms) as usize % RECENT;
        let recent = self.begun[place];
        if let Some(column) = self.all.get_mut(recent as usize)
            && column.users > 0
            && column.last_ms == time_ms
            && column.count < column.full / 2
        {
            column.users += 1;
            return Part { column: recent, start: column.count - 1 };
        }
        let column = self.create(time_ms);
        self.begun[place] = column;
        Part { column, start: 0 }
    }

    /// As [`Columns::begin`] for a part that goes on with other times at once.
    pub(super) fn begin_run(&mut self, times_ms: &[i64]) -> Part {
        let Run { column, serial, .. } = self.begun_run;
        if self.begun_run.times_ms == times_ms
            && let Some(begun) = self.all.get_mut(column as usize)
            && begun.serial == serial
            && begun.users > 0
        {
            begun.users += 1;
            return Part { column, start: 0 };
        }
        let part = self.begin(times_ms[0]);
        let part = self.push_run(part, 1, &times_ms[1..]);
        if part.start == 0 {
            let serial = self.all[part.column as usize].serial;
            self.begun_run.remember(part.column, serial, 0, times_ms);
        }
        part
    }

    /// As [`Columns::push`] for several times.
    pub(super) fn push_run(&mut self, mut part: Part, count: u32, times_ms: &[i64]) -> Part {
        let at = part.start + count;
        let column = &mut self.all[part.column as usize];
        let run = &mut self.runs[column.serial as usize % RUNS];
        if run.serial == column.serial && run.at == at && run.times_ms == times_ms {
            return part;
        }
        let is_held = {
            let mut held = column.times().skip(at as usize).zip(times_ms);
            held.all(|(held_ms, time_ms)| held_ms == *time_ms)
        };
        if is_held {
            for time_ms in &times_ms[times_ms.len().min((column.count - at) as usize)..] {
                column.push(*time_ms);
            }
            // Times never change, so others who come to this place need not compare them.
            run.remember(part.column, column.serial, at, times_ms);
            return part;
        }
        for (time_ms, count) in times_ms.iter().zip(count..) {
            part = self.push(part, count, *time_ms);
        }
        part
    }

    fn create(&mut self, first_ms: i64) -> u32 {
        self.serials += 1;
        let scattered = (self.serials.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32;
        let column = Column {
            serial: self.serials,
            users: 1,
            count: 1,
            first_ms,
            last_ms: first_ms,
            last_delta: 0,
            full: FULL_MIN + scattered % (FULL_MIN / 2),
            encoded: None,
            rest: Vec::new(),
        };
        if let Some(at) = self.free.pop() {
            self.all[at as usize] = column;
            return at;
        }
        self.all.push(column);
        self.all.len() as u32 - 1
    }

    /// Returns whether a part of `count` times ends where its column is so many times full.
    #[inline]
    pub(super) fn is_full(&self, part: Part, count: u32, times: u32) -> bool {
        let column = self.all.get(part.column as usize);
        column.is_some_and(|column| part.start + count >= times * column.full)
    }

    /// Returns the encoding of the first `count` times of a part.
    pub(super) fn encoded(&mut self, part: Part, count: u32) -> Arc<Times> {
        let column = &self.all[part.column as usize];
        if let Some((known, times)) = &column.encoded
            && *known == part
            && times.count == count
        {
            return Arc::clone(times);
        }
        let mut times_ms = Vec::with_capacity(count as usize);
        self.read(part, count, &mut times_ms);
        let times = Arc::new(Times::new(&times_ms, Effort::Seal));
        self.all[part.column as usize].encoded = Some((part, Arc::clone(&times)));
        times
    }

    /// Adds a time to a part of `count` times, all before it; the part may be another one then.
    #[inline]
    pub(super) fn push(&mut self, part: Part, count: u32, time_ms: i64) -> Part {
        let at = part.start + count;
        let column = &mut self.all[part.column as usize];
        if at + 1 == column.count && column.last_ms == time_ms {
            return part;
        }
        if at == column.count {
            column.push(time_ms);
            return part;
        }
        self.leave(part, count, time_ms)
    }

    fn leave(&mut self, part: Part, count: u32, time_ms: i64) -> Part {
        if self.time_at(part, count) == Some(time_ms) {
            return part; // the others are ahead
        }
        let serial = self.all[part.column as usize].serial;
        let leaving = Leaving { serial, start: part.start, count, time_ms };
        let place = self.hasher.hash_one(leaving) as usize % RECENT;
        let left = self.left[place];
        let made = self.all.get_mut(left.copy as usize).filter(|made| {
            left.leaving == leaving
                && made.serial == left.serial
                && made.users > 0
                && made.count == count + 1
                && made.last_ms == time_ms
        });
        if let Some(made) = made {
            made.users += 1;
            self.release(part.column);
            return Part { column: left.copy, start: 0 };
        }
        let mut times = Vec::new();
        self.read(part, count, &mut times);
        self.release(part.column);
        let copy = self.create(times[0]);
        let made = &mut self.all[copy as usize];
        times[1..].iter().for_each(|time| made.push(*time));
        made.push(time_ms);
        self.left[place] = Left { leaving, copy, serial: self.all[copy as usize].serial };
        Part { column: copy, start: 0 }
    }

    /// Says that a column has one user less.
    pub(super) fn release(&mut self, column: u32) {
        let Some(released) = self.all.get_mut(column as usize) else { return };
        released.users -= 1;
        if released.users == 0 {
            released.rest = Vec::new();
            released.encoded = None;
            self.free.push(column);
        }
    }

    /// Returns the first time of a part.
    pub(super) fn first_ms(&self, part: Part) -> Option<i64> {
        self.time_at(part, 0)
    }

    /// Returns the time at a place of a part, whether or not the part goes as far; `None` where the
    /// column does not.
    pub(super) fn time_at(&self, part: Part, at: u32) -> Option<i64> {
        let column = self.all.get(part.column as usize)?;
        let at = part.start.checked_add(at)?;
        if at + 1 == column.count {
            return Some(column.last_ms);
        }
        column.times().nth(at as usize)
    }

    /// Appends the first `count` times of a part.
    pub(super) fn read(&self, part: Part, count: u32, into: &mut Vec<i64>) {
        let (from, count) = (part.start as usize, count as usize);
        self.all[part.column as usize].read(from, from.saturating_add(count), into);
    }

    /// Appends a column as a checkpoint has it.
    pub(super) fn save(&self, column: u32, into: &mut Vec<u8>) {
        let column = &self.all[column as usize];
        put_varint(into, column.serial);
        put_signed(into, column.first_ms);
        put_varint(into, u64::from(column.count));
        into.extend_from_slice(&column.rest);
    }

    /// Takes over a column that was saved and returns its number. It has one user more than series
    /// name it until [`Columns::finish_restoring`]. A column may be saved again with more times,
    /// since others write while a checkpoint is made.
    pub(super) fn restore(
        &mut self,
        reader: &mut Reader<'_>,
        restored: &mut RestoredColumns,
    ) -> Option<u32> {
        let serial = reader.varint()?;
        let first_ms = reader.signed()?;
        let count = u32::try_from(reader.count(0)?).ok()?;
        let before = *reader;
        let mut sums = (first_ms, 0i64);
        for _ in 1..count {
            sums.1 = sums.1.wrapping_add(reader.signed()?);
            sums.0 = sums.0.wrapping_add(sums.1);
        }
        (count > 0).then_some(())?;
        let rest = before.taken_since(reader);
        let known = restored.by_serial.get(&serial).copied().filter(|known| {
            let known = &self.all[*known as usize];
            let len = known.rest.len().min(rest.len());
            known.first_ms == first_ms && known.rest[..len] == rest[..len]
        });
        let at = known.unwrap_or_else(|| {
            let at = self.create(first_ms);
            restored.by_serial.insert(serial, at);
            restored.all.push(at);
            at
        });
        let column = &mut self.all[at as usize];
        if column.count < count {
            (column.last_ms, column.last_delta) = sums;
            column.count = count;
            column.rest = rest.to_vec();
        }
        Some(at)
    }

    /// Says that a series that is restored has a part of `count` times; `None` where the column
    /// does not go as far.
    pub(super) fn join(&mut self, part: Part, count: u32) -> Option<()> {
        let column = self.all.get_mut(part.column as usize)?;
        (part.start.checked_add(count)? <= column.count).then_some(())?;
        column.users += 1;
        Some(())
    }

    /// Gives back the columns that no series has joined.
    pub(super) fn finish_restoring(&mut self, restored: RestoredColumns) {
        restored.all.into_iter().for_each(|column| self.release(column));
    }
}

/// The columns that a checkpoint has named.
#[derive(Default)]
pub(super) struct RestoredColumns {
    by_serial: HashMap<u64, u32>,
    all: Vec<u32>,
}

impl Column {
    fn times(&self) -> impl Iterator<Item = i64> + use<'_> {
        let (mut time_ms, mut delta) = (self.first_ms, 0i64);
        let mut rest = self.rest.as_slice();
        (0..self.count).map(move |at| {
            if at > 0 {
                delta = delta.wrapping_add(take(&mut rest));
                time_ms = time_ms.wrapping_add(delta);
            }
            time_ms
        })
    }

    /// As [`Column::times`], some of them appended at once.
    fn read(&self, from: usize, until: usize, into: &mut Vec<i64>) {
        let (mut time_ms, mut delta) = (self.first_ms, 0i64);
        let mut rest = self.rest.as_slice();
        into.reserve(until.saturating_sub(from));
        for at in 0..until.min(self.count as usize) {
            if at > 0 {
                // Nearly always scrapes are regular.
                match rest.split_first() {
                    Some((0, after)) => rest = after,
                    _ => delta = delta.wrapping_add(take(&mut rest)),
                }
                time_ms = time_ms.wrapping_add(delta);
            }
            if at >= from {
                into.push(time_ms);
            }
        }
    }

    fn push(&mut self, time_ms: i64) {
        let delta = time_ms.wrapping_sub(self.last_ms);
        put_signed(&mut self.rest, delta.wrapping_sub(self.last_delta));
        self.last_delta = delta;
        self.last_ms = time_ms;
        self.count += 1;
    }
}

/// Takes a number that [`Column::push`] has put.
#[inline]
fn take(rest: &mut &[u8]) -> i64 {
    let (mut value, mut shift) = (0u64, 0);
    while let Some((byte, after)) = rest.split_first() {
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if *byte < 0x80 {
            break;
        }
    }
    crate::store::bytes::unzigzag(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Series {
        part: Part,
        times: Vec<i64>,
    }

    impl Series {
        fn push(&mut self, columns: &mut Columns, time_ms: i64) {
            self.part = match self.times.len() {
                0 => columns.begin(time_ms),
                count => columns.push(self.part, count as u32, time_ms),
            };
            self.times.push(time_ms);
        }
    }

    impl Series {
        fn push_run(&mut self, columns: &mut Columns, times: &[i64]) {
            self.part = match self.times.len() {
                0 => columns.begin_run(times),
                count => columns.push_run(self.part, count as u32, times),
            };
            self.times.extend(times);
        }
    }

    #[test]
    fn series_of_one_scrape_share_a_column_and_those_that_leave_together_too() {
        let mut columns = Columns::new();
        let mut all: Vec<_> =
            (0..50).map(|_| Series { part: Part::NONE, times: Vec::new() }).collect();
        for round in 0..40 {
            for series in &mut all {
                series.push(&mut columns, round * 15_000 + round % 3);
            }
        }
        assert_eq!(columns.all.len(), 1);
        all[0].push(&mut columns, 600_001); // goes its own way, and takes the column along
        for series in &mut all[1..] {
            series.push(&mut columns, 600_002);
        }
        assert_eq!(columns.all.len(), 2);
        for series in &all {
            let mut found = Vec::new();
            columns.read(series.part, series.times.len() as u32, &mut found);
            assert_eq!(found, series.times);
        }
    }

    #[test]
    fn a_copy_is_not_taken_for_that_of_a_column_which_had_the_place_before() {
        let mut columns = Columns::new();
        let series = || Series { part: Part::NONE, times: Vec::new() };
        let mut all = [series(), series(), series()];
        for time_ms in [10, 20, 30] {
            all[0].push(&mut columns, time_ms);
            all[1].push(&mut columns, time_ms);
        }
        all[0].push(&mut columns, 40);
        all[1].push(&mut columns, 50); // leaves
        let first = all[0].part.column;
        columns.release(first);
        // Another one, of the past, gets the place and leaves at the same time.
        for time_ms in [11, 12, 13] {
            all[2].push(&mut columns, time_ms);
        }
        assert_eq!(all[2].part.column, first);
        columns.all[first as usize].push(14);
        all[2].push(&mut columns, 50);
        for series in &all[1..] {
            let mut found = Vec::new();
            columns.read(series.part, series.times.len() as u32, &mut found);
            assert_eq!(found, series.times);
        }
    }

    #[test]
    fn series_whose_times_are_replayed_one_series_after_the_other_share_a_column() {
        let mut columns = Columns::new();
        let mut all: Vec<_> =
            (0..50).map(|_| Series { part: Part::NONE, times: Vec::new() }).collect();
        for times in [vec![10, 20, 31], vec![40], vec![50, 60, 70, 81]] {
            for series in &mut all {
                series.push_run(&mut columns, &times);
            }
        }
        assert_eq!(columns.all.len(), 1);
    }

    /// All times are read back, and once no series has a column all are free.
    #[track_caller]
    fn check_and_release(columns: &mut Columns, all: &[Series]) {
        for series in all.iter().filter(|series| !series.times.is_empty()) {
            let mut found = Vec::new();
            columns.read(series.part, series.times.len() as u32, &mut found);
            assert_eq!(found, series.times);
            assert_eq!(columns.first_ms(series.part), Some(series.times[0]));
            columns.release(series.part.column);
        }
        assert_eq!(columns.free.len(), columns.all.len());
    }

    proptest! {
        #[test]
        fn times_come_back_that_are_replayed_in_runs(
            rounds in proptest::collection::vec(
                (proptest::collection::vec(1i64..20_000, 1..12), any::<u8>(), 0usize..3), 1..40),
        ) {
            let mut columns = Columns::new();
            let mut all: Vec<_> =
                (0..8).map(|_| Series { part: Part::NONE, times: Vec::new() }).collect();
            let mut time_ms = -5_000;
            for (ahead, present, missed) in rounds {
                let times: Vec<_> = ahead.iter().map(|ahead| (time_ms += ahead, time_ms).1).collect();
                for (n, series) in all.iter_mut().enumerate() {
                    let times = if n % 3 == 2 { &times[missed.min(times.len())..] } else { &times };
                    if present >> n & 1 == 1 && !times.is_empty() {
                        series.push_run(&mut columns, times);
                    }
                    if series.times.len() >= 60 {
                        columns.release(series.part.column);
                        series.times.clear();
                    }
                }
            }
            check_and_release(&mut columns, &all);
        }

        #[test]
        fn times_come_back_whoever_misses_samples_and_columns_are_given_back(
            rounds in proptest::collection::vec((1i64..20_000, any::<u8>()), 1..300),
        ) {
            let mut columns = Columns::new();
            let mut all: Vec<_> =
                (0..8).map(|_| Series { part: Part::NONE, times: Vec::new() }).collect();
            let mut time_ms = -5_000;
            for (ahead, present) in rounds {
                time_ms += ahead;
                for (n, series) in all.iter_mut().enumerate() {
                    if present >> n & 1 == 1 {
                        series.push(&mut columns, time_ms + i64::from(n == 7));
                    }
                    if series.times.len() == 60 {
                        columns.release(series.part.column);
                        series.times.clear();
                    }
                }
            }
            check_and_release(&mut columns, &all);
        }
    }
}
