//! Opening: from what is on disk to a head that goes on where the process before ended.

use std::path::Path;
use std::sync::Arc;

use super::head::{Head, Stored};
use super::judge::{TailKind, Tails};
use super::log::{FloatRow, Log, NamedSeries, Number, Section, add_to_check, replay};
use super::status::RecoveryReport;
use super::types::Exemplar;
use super::{OpenError, StoreOptions, TEMPORARY};
use crate::env::{Clock, Disk, DiskLock};
use crate::series::{HistogramPoint, SeriesId};

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

/// Replays the log. `covered` says which samples of a segment are in a block already.
pub(super) fn recover(
    options: &StoreOptions,
    disk: &Arc<dyn Disk>,
    clock: &Arc<dyn Clock>,
    covered: &dyn Fn(u64, i64) -> bool,
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
    let mut restoring = Restoring {
        head: Head::new(),
        tails: Tails::default(),
        newest_ms: i64::MIN,
        segment: 0,
        numbers: Vec::new(),
        bases: Vec::new(),
        undo: Vec::new(),
        samples: 0,
        nameless: 0,
        baseless: 0,
    };
    let mut replayed =
        replay(&**disk, &dir, &mut |segment, section| restoring.take(segment, section, covered))?;
    if restoring.baseless > 0 {
        let problem = format!(
            "{}: {} samples build on others that are damaged; they are lost",
            dir.display(),
            restoring.baseless
        );
        tracing::warn!(
            samples = restoring.baseless,
            "The log has samples that build on damaged ones."
        );
        replayed.problems.push(problem);
    }
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
        segments: replayed.segments.len() as u64,
        first_segment: replayed.segments.first().map_or(0, |segment| segment.number),
        last_segment: replayed.segments.last().map_or(0, |segment| segment.number),
        samples: restoring.samples,
        problems: replayed.problems,
        duration_ms: clock.elapsed().saturating_sub(began).as_millis() as u64,
    };
    let log = Log::open(
        Arc::clone(disk),
        Arc::clone(clock),
        dir,
        options.wal_sync,
        replayed.segments,
        replayed.next_number,
    );
    let Restoring { head, tails, newest_ms, .. } = restoring;
    Ok(Recovered { head, tails, newest_ms, log, report })
}

struct Restoring {
    head: Head,
    tails: Tails,
    newest_ms: i64,
    /// The segment that is being read; 0 for the checkpoint.
    segment: u64,
    /// The series that the segment has named, by their numbers.
    numbers: Vec<Option<SeriesId>>,
    /// Their newest values, which the next ones are the differences to, by their numbers.
    bases: Vec<u64>,
    /// The bases that the present section has moved, as they were.
    undo: Vec<(Number, u64)>,
    samples: u64,
    /// Samples whose series the log does not name.
    nameless: u64,
    /// Samples that are differences to others which cannot be read.
    baseless: u64,
}

/// A damaged record must not ask for endless numbers: records between may have named this many.
const NUMBER_GAP_MAX: usize = 1 << 22;

impl Restoring {
    /// Takes a section in and returns the time of its newest sample.
    fn take(&mut self, segment: u64, section: Section, covered: &dyn Fn(u64, i64) -> bool) -> i64 {
        if self.segment != segment {
            self.segment = segment;
            self.numbers.clear();
            self.bases.clear();
        }
        let covered = |time_ms| covered(segment, time_ms);
        let newest_ms = match section {
            Section::Series(named) => self.name(&named),
            Section::Floats(mut rows, check) => {
                self.undo_differences(&mut rows, check);
                let newest_ms = newest(rows.iter().map(|row| row.time_ms));
                for row in rows {
                    let covered = covered(row.time_ms);
                    self.sample(
                        row.series,
                        row.time_ms,
                        Stored::Float(row.bits),
                        row.start_ms,
                        covered,
                    );
                }
                newest_ms
            }
            Section::LateFloats(rows) => {
                for row in &rows {
                    let (sample, covered) = (Stored::Float(row.bits), covered(row.time_ms));
                    self.late(row.series, row.time_ms, sample, row.start_ms, covered);
                }
                newest(rows.iter().map(|row| row.time_ms))
            }
            Section::Histograms(rows) => {
                let newest_ms = newest(rows.iter().map(|row| row.time_ms));
                for row in rows {
                    let covered = covered(row.time_ms);
                    let sample = Stored::Histogram(Arc::new(row.histogram));
                    self.sample(row.series, row.time_ms, sample, row.start_ms, covered);
                }
                newest_ms
            }
            Section::LateHistograms(rows) => {
                let newest_ms = newest(rows.iter().map(|row| row.time_ms));
                for row in rows {
                    let covered = covered(row.time_ms);
                    let sample = Stored::Histogram(Arc::new(row.histogram));
                    self.late(row.series, row.time_ms, sample, row.start_ms, covered);
                }
                newest_ms
            }
            Section::Exemplars(exemplars) => self.exemplars(exemplars),
            Section::Deleted(all) => {
                for (number, range) in all {
                    if let Some(id) = self.id(number) {
                        self.tails.get(id).delete(range);
                        self.head.delete(id, range);
                    }
                }
                i64::MIN
            }
            Section::Metadata(all) => {
                self.head.metadata.extend(all);
                i64::MIN
            }
        };
        self.newest_ms = self.newest_ms.max(newest_ms);
        newest_ms
    }

    fn name(&mut self, named: &NamedSeries) -> i64 {
        let pairs = named.pairs.iter().map(|(name, value)| self.head.intern(name, value));
        let pairs: Vec<_> = pairs.collect();
        let first = named.first as usize;
        if first > self.numbers.len() + NUMBER_GAP_MAX {
            return i64::MIN;
        }
        if self.numbers.len() < first + named.series.len() {
            self.numbers.resize(first + named.series.len(), None);
            self.bases.resize(first + named.series.len(), 0);
        }
        let mut ids = Vec::new();
        for (places, number) in named.series.iter().zip(first..) {
            ids.clear();
            ids.extend(places.iter().map(|place| pairs[*place as usize]));
            let id = self.head.find_or_create_set(&ids);
            self.numbers[number] = Some(id);
        }
        i64::MIN
    }

    fn id(&self, number: Number) -> Option<SeriesId> {
        self.numbers.get(number as usize).copied().flatten()
    }

    /// Makes values of the differences that the log has. Where the check says that they are not the
    /// right ones, because a record before was lost, there are no rows left.
    fn undo_differences(&mut self, rows: &mut Vec<FloatRow>, check: u32) {
        self.undo.clear();
        let mut found = 0;
        for row in &mut *rows {
            let Some(base) = self.bases.get_mut(row.series as usize) else { continue };
            self.undo.push((row.series, *base));
            row.bits ^= *base;
            *base = row.bits;
            found = add_to_check(found, row.bits);
        }
        if found == check && self.undo.len() == rows.len() {
            return;
        }
        for (number, base) in self.undo.drain(..).rev() {
            self.bases[number as usize] = base;
        }
        self.baseless += rows.len() as u64;
        rows.clear();
    }

    fn exemplars(&mut self, exemplars: Vec<(Number, Exemplar)>) -> i64 {
        for (number, exemplar) in exemplars {
            let Some(id) = self.id(number) else { continue };
            // The checkpoint and a segment may both have it.
            let newest = self.head.exemplars(id).next_back();
            if newest.is_none_or(|newest| newest.time_ms <= exemplar.time_ms)
                && !newest.is_some_and(|newest| newest.bits_equal(&exemplar))
            {
                self.head.push_exemplar(id, exemplar);
            }
        }
        i64::MIN
    }

    /// Takes in a sample that came in order.
    fn sample(
        &mut self,
        number: Number,
        time_ms: i64,
        sample: Stored,
        start_ms: i64,
        covered: bool,
    ) {
        let Some(id) = self.id(number) else {
            self.nameless += u64::from(!covered);
            return;
        };
        let tail = self.tails.get(id);
        if tail.kind != TailKind::None && time_ms <= tail.time_ms {
            // No log of ours has this; another one's sample is not lost for it.
            return self.late(number, time_ms, sample, start_ms, covered);
        }
        tail.time_ms = time_ms;
        (tail.kind, tail.bits) = match &sample {
            Stored::Float(bits) => (TailKind::Float, *bits),
            Stored::Histogram(_) => (TailKind::Histogram, 0),
        };
        if covered {
            return;
        }
        self.samples += 1;
        match sample {
            Stored::Float(bits) => self.head.push_float(id, time_ms, bits, start_ms),
            Stored::Histogram(histogram) => {
                self.head.push_histogram(id, HistogramPoint { time_ms, start_ms, histogram });
            }
        }
    }

    /// Takes in a sample that came late.
    fn late(&mut self, number: Number, time_ms: i64, sample: Stored, start_ms: i64, covered: bool) {
        let Some(id) = self.id(number) else {
            self.nameless += u64::from(!covered);
            return;
        };
        if !covered && self.head.sample_at(id, time_ms).is_none() {
            self.samples += 1;
            self.head.insert_late(id, time_ms, sample, start_ms);
        }
    }
}

fn newest(times_ms: impl Iterator<Item = i64>) -> i64 {
    times_ms.max().unwrap_or(i64::MIN)
}
