//! Opening: from what is on disk to a head that goes on where the process before ended.

use std::path::Path;
use std::sync::Arc;

use hashbrown::HashMap;

use super::head::{Head, Stored};
use super::judge::{TailKind, Tails};
use super::log::{FloatRow, Log, Section, replay};
use super::status::RecoveryReport;
use super::{OpenError, StoreOptions, TEMPORARY};
use crate::env::{Clock, Disk, DiskLock};
use crate::series::{HistogramPoint, Labels, SeriesId};

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
        aliases: HashMap::new(),
        samples: 0,
        nameless: 0,
    };
    let mut replayed =
        replay(&**disk, &dir, &mut |segment, section| restoring.take(segment, section, covered))?;
    let aliases = restoring.aliases.drain().filter(|(_, alias)| alias.used);
    let aliases = aliases.map(|(id, alias)| (id, alias.labels)).collect();
    restoring.head.finish_restoring(aliases);
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
    /// Ids of the log that stand for a series which has another one by now.
    aliases: HashMap<SeriesId, Alias>,
    samples: u64,
    /// Samples whose series the log does not name.
    nameless: u64,
}

struct Alias {
    target: SeriesId,
    labels: Labels,
    /// Whether samples name it.
    used: bool,
}

impl Restoring {
    /// Takes a section in and returns the time of its newest sample.
    fn take(&mut self, segment: u64, section: Section, covered: &dyn Fn(u64, i64) -> bool) -> i64 {
        let mut newest_ms = i64::MIN;
        match section {
            Section::Series(series) => {
                for (id, labels) in series {
                    let restored = self.head.restore(id, &labels);
                    if restored == id {
                        self.tails.get(id).logged = true;
                    } else {
                        self.aliases.insert(id, Alias { target: restored, labels, used: false });
                    }
                }
            }
            Section::Floats(rows) => {
                for FloatRow { series, time_ms, bits, start_ms } in rows {
                    newest_ms = newest_ms.max(time_ms);
                    let covered = covered(segment, time_ms);
                    self.sample(series, time_ms, Stored::Float(bits), start_ms, covered);
                }
            }
            Section::Histograms(rows) => {
                for row in rows {
                    newest_ms = newest_ms.max(row.time_ms);
                    let covered = covered(segment, row.time_ms);
                    let sample = Stored::Histogram(Arc::new(row.histogram));
                    self.sample(row.series, row.time_ms, sample, row.start_ms, covered);
                }
            }
            Section::Exemplars(exemplars) => {
                for (series, exemplar) in exemplars {
                    let id = self.resolve(series);
                    let Some(series) = self.head.get_mut(id) else { continue };
                    // The checkpoint and a segment may both have it.
                    let newest = series.newest_exemplar();
                    if newest.is_none_or(|newest| newest.time_ms <= exemplar.time_ms)
                        && !newest.is_some_and(|newest| newest.bits_equal(&exemplar))
                    {
                        series.push_exemplar(exemplar);
                    }
                }
            }
            Section::Metadata(all) => self.head.metadata.extend(all),
        }
        self.newest_ms = self.newest_ms.max(newest_ms);
        newest_ms
    }

    fn resolve(&mut self, id: SeriesId) -> SeriesId {
        let Some(alias) = self.aliases.get_mut(&id) else { return id };
        alias.used = true;
        alias.target
    }

    fn sample(&mut self, id: SeriesId, time_ms: i64, sample: Stored, start_ms: i64, covered: bool) {
        let id = self.resolve(id);
        if self.head.get(id).is_none() {
            self.nameless += u64::from(!covered);
            return;
        }
        let tail = self.tails.get(id);
        let ordered = tail.kind == TailKind::None || time_ms > tail.time_ms;
        if ordered {
            tail.time_ms = time_ms;
            (tail.kind, tail.bits) = match &sample {
                Stored::Float(bits) => (TailKind::Float, *bits),
                Stored::Histogram(_) => (TailKind::Histogram, 0),
            };
        }
        if covered {
            return;
        }
        self.samples += 1;
        let series = self.head.get_mut(id).expect("it was found above");
        match sample {
            Stored::Float(bits) if ordered => {
                series.push_float(time_ms, f64::from_bits(bits), start_ms);
            }
            Stored::Histogram(histogram) if ordered => {
                series.push_histogram(HistogramPoint { time_ms, start_ms, histogram });
            }
            late if series.at(time_ms).is_none() => series.insert_late(time_ms, late, start_ms),
            _ => {}
        }
    }
}
