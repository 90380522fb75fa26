//! Opening: from what is on disk to a head that goes on where the process before ended.

use std::path::Path;
use std::sync::Arc;

use super::head::{Head, Stored};
use super::judge::{TailKind, Tails};
use super::log::{FloatRow, Log, NamedSeries, Number, Section, replay};
use super::status::RecoveryReport;
use super::types::Exemplar;
use super::writer::WARM;
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
        head: Head::to_restore(),
        tails: Tails::default(),
        segment: 0,
        numbers: Vec::new(),
        samples: 0,
        nameless: 0,
    };
    let mut replayed =
        replay(&**disk, &dir, &mut |segment, section| restoring.take(segment, section, covered))?;
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
        segments: replayed.segments.len() as u64,
        first_segment: replayed.segments.first().map_or(0, |segment| segment.number),
        last_segment: replayed.segments.last().map_or(0, |segment| segment.number),
        samples: restoring.samples,
        problems: replayed.problems,
        duration_ms: clock.elapsed().saturating_sub(began).as_millis() as u64,
    };
    let newest_ms = replayed.segments.iter().map(|segment| segment.newest_ms).max();
    let log = Log::open(
        Arc::clone(disk),
        Arc::clone(clock),
        dir,
        options.wal_sync,
        replayed.segments,
        replayed.next_number,
    );
    let Restoring { head, tails, .. } = restoring;
    let newest_ms = newest_ms.unwrap_or(i64::MIN);
    Ok(Recovered { head, tails, newest_ms, log, report })
}

struct Restoring {
    head: Head,
    tails: Tails,
    /// The segment that is being read; 0 for the checkpoint.
    segment: u64,
    /// The series that the segment has named, by their numbers.
    numbers: Vec<Option<SeriesId>>,
    samples: u64,
    /// Samples whose series the log does not name.
    nameless: u64,
}

/// A damaged record must not ask for endless numbers: records between may have named this many.
const NUMBER_GAP_MAX: usize = 1 << 22;

impl Restoring {
    /// Takes a section in.
    fn take(&mut self, segment: u64, section: Section, covered: &dyn Fn(u64, i64) -> bool) {
        if self.segment != segment {
            self.segment = segment;
            self.numbers.clear();
        }
        let covered = |time_ms| covered(segment, time_ms);
        match section {
            Section::Series(named) => self.name(&named),
            Section::Floats(rows, _) => {
                for rows in rows.chunks(WARM) {
                    self.head.warm(rows.iter().filter_map(|row| self.id(row.series)));
                    for FloatRow { series, time_ms, bits, start_ms } in rows.iter().copied() {
                        let covered = covered(time_ms);
                        self.sample(series, time_ms, Stored::Float(bits), start_ms, covered);
                    }
                }
            }
            Section::LateFloats(rows) => {
                for FloatRow { series, time_ms, bits, start_ms } in rows {
                    let covered = covered(time_ms);
                    self.late(series, time_ms, Stored::Float(bits), start_ms, covered);
                }
            }
            Section::Histograms(rows) => {
                for row in rows {
                    let covered = covered(row.time_ms);
                    let sample = Stored::Histogram(Arc::new(row.histogram));
                    self.sample(row.series, row.time_ms, sample, row.start_ms, covered);
                }
            }
            Section::LateHistograms(rows) => {
                for row in rows {
                    let covered = covered(row.time_ms);
                    let sample = Stored::Histogram(Arc::new(row.histogram));
                    self.late(row.series, row.time_ms, sample, row.start_ms, covered);
                }
            }
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
        if first > self.numbers.len() + NUMBER_GAP_MAX {
            return;
        }
        if self.numbers.len() < first + named.series.len() {
            self.numbers.resize(first + named.series.len(), None);
        }
        let mut ids = Vec::new();
        for (places, number) in named.series.iter().zip(first..) {
            ids.clear();
            ids.extend(places.iter().map(|place| pairs[*place as usize]));
            let id = self.head.find_or_create_set(&ids);
            self.numbers[number] = Some(id);
        }
    }

    fn id(&self, number: Number) -> Option<SeriesId> {
        self.numbers.get(number as usize).copied().flatten()
    }

    fn exemplars(&mut self, exemplars: Vec<(Number, Exemplar)>) {
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
