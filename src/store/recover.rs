//! Opening: from what is on disk to a head that goes on where the process before ended.

use std::path::Path;
use std::sync::Arc;

use super::head::{Head, PairId, Stored, split};
use super::judge::{Tail, TailKind, Tails};
use super::log::{
    FloatRow, HeldSeries, Log, NamedSeries, Number, Origin, Run, SavedTail, Section,
    read_arbitrary as read_arbitrary_log, replay,
};
use super::status::RecoveryReport;
use super::types::Exemplar;
use super::{OpenError, StoreOptions, TEMPORARY};
use crate::env::{Clock, Disk, DiskLock};
use crate::series::{HistogramPoint, Points, SeriesId, TimeRange};

/// What a data directory holds.
pub(super) struct Recovered {
    pub(super) head: Head,
    pub(super) tails: Tails,
    pub(super) newest_ms: i64,
    pub(super) log: Log,
    pub(super) report: RecoveryReport,
}

/// Takes the directory for this process alone.
pub(super) fn lock(disk: &dyn Disk, dir: &Path) -> Result<DiskLock, OpenError> {
    let io = |doing| move |source| OpenError::Io { path: dir.to_owned(), doing, source };
    disk.create_dir_all(dir).map_err(io("create the data directory"))?;
    let lock = disk.lock(&dir.join("LOCK")).map_err(io("lock the data directory"))?;
    lock.ok_or_else(|| OpenError::Locked { path: dir.to_owned() })
}

/// Replays the log. `covered_until` says before which time the samples of a segment are all in
/// blocks already.
pub(super) fn recover(
    options: &StoreOptions,
    disk: &Arc<dyn Disk>,
    clock: &Arc<dyn Clock>,
    covered_until: &dyn Fn(u64) -> Option<i64>,
) -> Result<Recovered, OpenError> {
    let began = clock.elapsed();
    let dir = options.dir.join("wal");
    let io = |doing| {
        let path = dir.clone();
        move |source| OpenError::Io { path, doing, source }
    };
    disk.create_dir_all(&dir).map_err(io("create the directory of the log"))?;
    disk.sync_dir(&options.dir).map_err(io("sync the data directory"))?;
    let entries = disk.list(&dir).map_err(io("list the log"))?;
    if entries.iter().any(|entry| entry.name == "00000000" || entry.name.starts_with("checkpoint."))
    {
        let what = "the log of a Prometheus server";
        return Err(OpenError::Foreign { path: options.dir.clone(), what });
    }
    for entry in entries.iter().filter(|entry| entry.name.ends_with(TEMPORARY)) {
        disk.remove_file(&dir.join(&entry.name)).map_err(io("remove an unfinished checkpoint"))?;
    }
    let mut restoring = Restoring::new();
    let mut replayed = replay(&**disk, &dir, &mut |origin, section| {
        restoring.begin(origin, covered_until);
        restoring.take(section);
    })?;
    restoring.head.finish_restoring();
    if restoring.nameless > 0 {
        let problem = format!(
            "{}: {} samples are of series that the log does not name; they are lost",
            dir.display(),
            restoring.nameless
        );
        tracing::warn!(samples = restoring.nameless, "The log has samples of nameless series.");
        replayed.problems.push(problem);
    }
    let report = RecoveryReport {
        blocks: 0,
        series: restoring.head.series_count() as u64,
        segments: replayed.found.segments.len() as u64,
        first_segment: replayed.found.segments.first().map_or(0, |segment| segment.number),
        last_segment: replayed.found.segments.last().map_or(0, |segment| segment.number),
        samples: restoring.samples,
        problems: replayed.problems,
        duration_ms: clock.elapsed().saturating_sub(began).as_millis() as u64,
    };
    let log = Log::open(Arc::clone(disk), Arc::clone(clock), dir, options.wal_sync, replayed.found);
    let Restoring { head, tails, .. } = restoring;
    Ok(Recovered { head, tails, newest_ms: replayed.newest_ms, log, report })
}

struct Restoring {
    head: Head,
    tails: Tails,
    /// What is being read.
    origin: Option<Origin>,
    /// The samples in it before this are in blocks.
    covered_until_ms: i64,
    /// The label pairs of the series that the checkpoint holds next.
    pairs: Vec<PairId>,
    /// The series that it has named, by their numbers.
    numbers: Vec<Option<SeriesId>>,
    /// By slot, up to where the checkpoint has the samples of a series that came in order.
    saved_until_ms: Vec<i64>,
    samples: u64,
    /// Samples whose series the log does not name.
    nameless: u64,
}

/// A damaged record must not ask for endless numbers: records between may have named this many.
const NUMBER_GAP_MAX: usize = 1 << 22;

/// Restores what arbitrary bytes say and reads it, for `doors`.
pub(super) fn read_arbitrary(bytes: &[u8]) {
    let mut restoring = Restoring::new();
    restoring.begin(Origin::Checkpoint(1), &|_| Some(0));
    read_arbitrary_log(bytes, &mut |section| restoring.take(section));
    let mut head = restoring.head;
    head.finish_restoring();
    let ids: Vec<_> = head.iter().collect();
    for id in ids {
        head.read(id, TimeRange::ALL, &mut Points::default());
        head.push_float(id, i64::MAX, 0, 0);
        head.truncate_all(id, i64::MAX);
        head.forget(id);
    }
}

impl Restoring {
    fn new() -> Restoring {
        Restoring {
            head: Head::to_restore(),
            tails: Tails::default(),
            origin: None,
            covered_until_ms: i64::MIN,
            pairs: Vec::new(),
            numbers: Vec::new(),
            saved_until_ms: Vec::new(),
            samples: 0,
            nameless: 0,
        }
    }

    /// Takes note of where the sections from here on are from.
    fn begin(&mut self, origin: Origin, covered_until: &dyn Fn(u64) -> Option<i64>) {
        if self.origin == Some(origin) {
            return;
        }
        self.origin = Some(origin);
        self.numbers.clear();
        // A checkpoint may have some of what its segment has, which no block has that is older.
        let (Origin::Checkpoint(segment) | Origin::Segment(segment)) = origin;
        self.covered_until_ms = covered_until(segment).unwrap_or(i64::MIN);
    }

    /// Takes a section in.
    fn take(&mut self, section: Section) {
        match section {
            Section::Series(named) => self.name(&named),
            // Replay hands these on sorted.
            Section::Floats(..) => {}
            Section::Sorted(floats) => {
                for (number, run) in floats.runs() {
                    self.run(number, run);
                }
            }
            Section::LateFloats(floats) => {
                for FloatRow { series, time_ms, bits, start_ms } in floats.rows() {
                    self.late(series, time_ms, Stored::Float(bits), start_ms);
                }
            }
            Section::Histograms(rows) => {
                for row in rows {
                    let sample = Stored::Histogram(Arc::new(row.histogram));
                    self.sample(row.series, row.time_ms, sample, row.start_ms);
                }
            }
            Section::LateHistograms(rows) => {
                for row in rows {
                    let sample = Stored::Histogram(Arc::new(row.histogram));
                    self.late(row.series, row.time_ms, sample, row.start_ms);
                }
            }
            Section::Pairs(pairs) => {
                self.pairs.clear();
                let ids = pairs.iter().map(|(name, value)| self.head.intern(name, value));
                self.pairs.extend(ids);
            }
            Section::Held(held) => self.held(&held),
            Section::Tails(first, tails) => self.tails(first, &tails),
            Section::Exemplars(exemplars) => self.exemplars(exemplars),
            Section::Deleted(all) => {
                for (number, range) in all {
                    if let Some(id) = self.id(number) {
                        self.tails.get(id).delete(range);
                        self.head.delete(id, range);
                    }
                }
            }
            Section::Metadata(all) => self.head.metadata.extend(all),
        }
    }

    fn name(&mut self, named: &NamedSeries) {
        let pairs = named.pairs.iter().map(|(name, value)| self.head.intern(name, value));
        let pairs: Vec<_> = pairs.collect();
        let first = named.first as usize;
        if !make_room(&mut self.numbers, first, named.series.len()) {
            return;
        }
        let mut ids = Vec::new();
        for (places, number) in named.series.iter().zip(first..) {
            ids.clear();
            ids.extend(places.iter().map(|place| pairs[*place as usize]));
            let id = self.head.find_or_create_set(&ids);
            self.numbers[number] = Some(id);
        }
    }

    /// Takes in series that a checkpoint has.
    fn held(&mut self, held: &HeldSeries<Vec<u8>>) {
        let first = held.first as usize;
        if !make_room(&mut self.numbers, first, held.count) {
            return;
        }
        if first == 0 {
            self.head.reserve(usize::try_from(held.in_all).unwrap_or(0));
        }
        let restored = self.head.restore(&held.bytes, held.count, &self.pairs);
        if restored.len() < held.count || restored.contains(&None) {
            // Which samples are lost is not known.
            self.nameless = self.nameless.saturating_add(held.samples);
        }
        self.samples = self.samples.saturating_add(held.samples);
        for (place, id) in self.numbers[first..].iter_mut().zip(restored) {
            *place = id;
            if let Some(id) = id
                && self.covered_until_ms > i64::MIN
            {
                // A block was cut, and then the process ended before the next checkpoint.
                self.head.truncate_all(id, self.covered_until_ms);
            }
        }
    }

    fn tails(&mut self, first: Number, tails: &[SavedTail]) {
        for (number, saved) in (first..).zip(tails) {
            let Some(id) = self.id(number) else { continue };
            let (kind, time_ms, bits) = match *saved {
                SavedTail::None => continue,
                SavedTail::Open => {
                    let Some((time_ms, bits)) = self.head.open_end(id) else { continue };
                    (TailKind::Float, time_ms, bits)
                }
                SavedTail::Float(time_ms, bits) => (TailKind::Float, time_ms, bits),
                SavedTail::Histogram(time_ms) => (TailKind::Histogram, time_ms, 0),
                SavedTail::Deleted(time_ms) => (TailKind::Deleted, time_ms, 0),
            };
            let tail = self.tails.get(id);
            *tail = Tail { kind, time_ms, bits, ..*tail };
            let slot = split(id).0 as usize;
            if slot >= self.saved_until_ms.len() {
                self.saved_until_ms.resize(slot + 1, i64::MIN);
            }
            self.saved_until_ms[slot] = time_ms;
        }
    }

    fn id(&self, number: Number) -> Option<SeriesId> {
        self.numbers.get(number as usize).copied().flatten()
    }

    fn exemplars(&mut self, exemplars: Vec<(Number, Exemplar)>) {
        for (number, exemplar) in exemplars {
            let Some(id) = self.id(number) else { continue };
            // The checkpoint and a segment may both have it.
            let newest = self.head.exemplars(id).rev();
            let is_held = newest
                .take_while(|held| held.time_ms >= exemplar.time_ms)
                .any(|held| held.time_ms > exemplar.time_ms || held.bits_equal(&exemplar));
            if !is_held {
                self.head.push_exemplar(id, exemplar);
            }
        }
    }

    /// Takes in floats of one series that came in order.
    fn run(&mut self, number: Number, run: Run<'_>) {
        let count = run.times_ms.len();
        if let Some(id) = self.id(number) {
            let tail = self.tails.get(id);
            let is_newer = tail.kind == TailKind::None || run.times_ms[0] > tail.time_ms;
            if is_newer
                && run.times_ms[0] >= self.covered_until_ms
                && run.times_ms.is_sorted_by(|a, b| a < b)
            {
                let (time_ms, bits) = (run.times_ms[count - 1], run.bits[count - 1]);
                *tail = Tail { kind: TailKind::Float, time_ms, bits, ..*tail };
                self.samples = self.samples.saturating_add(count as u64);
                return self.head.push_floats(id, run);
            }
        }
        for at in 0..count {
            let start_ms = run.starts_ms.get(at).copied().unwrap_or(0);
            self.sample(number, run.times_ms[at], Stored::Float(run.bits[at]), start_ms);
        }
    }

    /// Takes in a sample that came in order.
    fn sample(&mut self, number: Number, time_ms: i64, sample: Stored, start_ms: i64) {
        let Some(id) = self.id(number) else {
            self.nameless =
                self.nameless.saturating_add(u64::from(time_ms >= self.covered_until_ms));
            return;
        };
        let tail = self.tails.get(id);
        if tail.kind != TailKind::None && time_ms <= tail.time_ms {
            let slot = split(id).0 as usize;
            if self
                .saved_until_ms
                .get(slot)
                .is_some_and(|saved_until_ms| time_ms <= *saved_until_ms)
            {
                return; // the checkpoint has it
            }
            // No log of ours has this; another one's sample is not lost for it.
            return self.late(number, time_ms, sample, start_ms);
        }
        tail.time_ms = time_ms;
        (tail.kind, tail.bits) = match &sample {
            Stored::Float(bits) => (TailKind::Float, *bits),
            Stored::Histogram(_) => (TailKind::Histogram, 0),
        };
        if time_ms < self.covered_until_ms {
            return;
        }
        self.samples = self.samples.saturating_add(1);
        match sample {
            Stored::Float(bits) => self.head.push_float(id, time_ms, bits, start_ms),
            Stored::Histogram(histogram) => {
                self.head.push_histogram(id, HistogramPoint { time_ms, start_ms, histogram });
            }
        }
    }

    /// Takes in a sample that came late.
    fn late(&mut self, number: Number, time_ms: i64, sample: Stored, start_ms: i64) {
        let is_covered = time_ms < self.covered_until_ms;
        let Some(id) = self.id(number) else {
            self.nameless = self.nameless.saturating_add(u64::from(!is_covered));
            return;
        };
        if !is_covered && self.head.sample_at(id, time_ms).is_none() {
            self.samples = self.samples.saturating_add(1);
            self.head.insert_late(id, time_ms, sample, start_ms);
        }
    }
}

/// Makes room for things numbered from `first` on; `false` where that would ask for too much.
fn make_room<T: Clone>(all: &mut Vec<Option<T>>, first: usize, count: usize) -> bool {
    let is_possible = first <= all.len() + NUMBER_GAP_MAX;
    if is_possible && all.len() < first + count {
        all.resize(first + count, None);
    }
    is_possible
}
