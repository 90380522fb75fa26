//! What the store promises: what was acknowledged is there, whatever happens to process and disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use forewarn::env::{Disk, Fault, ManualClock, SimDisk};
use forewarn::series::{
    Histogram, HistogramKind, Labels, Matcher, Points, STALE_NAN, Span, TimeRange,
};
use forewarn::store::{
    AppendError, Committed, Exemplar, MetricMetadata, MetricType, OpenError, RefusedReason, Store,
    StoreOptions, WalSync,
};

const T0: i64 = 1_700_000_000_000;

/// A data directory on a simulated disk, with its clock.
struct Place {
    disk: SimDisk,
    clock: Arc<ManualClock>,
    options: StoreOptions,
}

impl Place {
    fn new() -> Place {
        let options = StoreOptions {
            dir: PathBuf::from("/data"),
            wal_sync: WalSync::OnClose,
            ..StoreOptions::default()
        };
        Place { disk: SimDisk::new(), clock: Arc::new(ManualClock::new(T0)), options }
    }

    fn with_disk(disk: SimDisk) -> Place {
        Place { disk, ..Place::new() }
    }

    fn try_open(&self) -> Result<Store, OpenError> {
        Store::open(self.options.clone(), Arc::new(self.disk.clone()), self.clock.clone())
    }

    fn open(&self) -> Store {
        self.try_open().unwrap()
    }
}

fn labels(name: &str, number: usize) -> Labels {
    Labels::from_pairs([("__name__", name.to_owned()), ("n", number.to_string())])
}

/// Writes one transaction of (series, time, value).
fn write(store: &Store, rows: &[(&Labels, i64, f64)]) -> Result<Committed, AppendError> {
    let mut appender = store.appender();
    let mut transaction = appender.begin();
    for (labels, time_ms, value) in rows {
        let series = transaction.series(None, labels);
        transaction.sample(series, *time_ms, *value, 0);
    }
    transaction.commit()
}

/// Reads everything: labels, and (time, bits) of each float.
fn read(store: &Store) -> Vec<(String, Vec<(i64, u64)>)> {
    let snapshot = store.snapshot();
    let mut points = Points::default();
    let mut all = Vec::new();
    for series in snapshot.select(&[], TimeRange::ALL).unwrap() {
        snapshot.read(&series, TimeRange::ALL, &mut points).unwrap();
        let floats = points.times_ms.iter().zip(&points.values);
        let floats = floats.map(|(time_ms, value)| (*time_ms, value.to_bits())).collect();
        all.push((series.labels.to_string(), floats));
    }
    all
}

#[track_caller]
fn check(store: &Store, expected: &[(&Labels, &[(i64, f64)])]) {
    let mut expected: Vec<_> = expected.to_vec();
    expected.sort_by_key(|(labels, _)| (*labels).clone());
    let expected: Vec<_> = expected
        .into_iter()
        .map(|(labels, floats)| {
            let floats = floats.iter().map(|(time_ms, value)| (*time_ms, value.to_bits()));
            (labels.to_string(), floats.collect::<Vec<_>>())
        })
        .collect();
    assert_eq!(read(store), expected);
}

fn last_segment(disk: &SimDisk) -> PathBuf {
    let dir = Path::new("/data/wal");
    let entries = disk.list(dir).unwrap();
    // The last one that holds more than its header.
    let entry = entries.iter().rfind(|entry| entry.len_bytes > 40).unwrap();
    dir.join(&entry.name)
}

#[test]
fn what_was_committed_is_there_after_the_process_died() {
    let place = Place::new();
    let (a, b) = (labels("a", 1), labels("b", 2));
    let nan = f64::from_bits(0x7ff8_0000_dead_beef);
    let store = place.open();
    write(&store, &[(&a, T0, 1.5), (&b, T0, -0.0), (&a, T0 + 1, nan)]).unwrap();
    write(&store, &[(&b, T0 + 2, STALE_NAN), (&a, T0 - 5, 7.0)]).unwrap();
    let expected: &[(&Labels, &[(i64, f64)])] = &[
        (&a, &[(T0 - 5, 7.0), (T0, 1.5), (T0 + 1, nan)]),
        (&b, &[(T0, -0.0), (T0 + 2, STALE_NAN)]),
    ];
    check(&store, expected);
    // A copy of the disk is what a killed process leaves.
    let again = Place::with_disk(place.disk.copy());
    let reopened = again.open();
    check(&reopened, expected);
    assert_eq!(reopened.status().recovery.samples, 5);
    assert!(reopened.status().recovery.problems.is_empty());
    // And once more, with what was written after reopening.
    write(&reopened, &[(&a, T0 + 9, 9.0)]).unwrap();
    drop(reopened);
    check(
        &again.open(),
        &[
            (&a, &[(T0 - 5, 7.0), (T0, 1.5), (T0 + 1, nan), (T0 + 9, 9.0)]),
            (&b, &[(T0, -0.0), (T0 + 2, STALE_NAN)]),
        ],
    );
}

#[test]
fn histograms_exemplars_and_metadata_come_back_to_the_bit() {
    let place = Place::new();
    let store = place.open();
    let histogram = Histogram {
        kind: HistogramKind::Integer,
        schema: 3,
        zero_threshold: 1e-128,
        zero_count: 1.0,
        count: 7.0,
        sum: f64::from_bits(0x7ff8_0000_0000_0123),
        positive_spans: vec![Span { offset: -3, len: 2 }, Span { offset: 1, len: 1 }],
        positive_buckets: vec![1.0, 2.0, 3.0],
        ..Histogram::default()
    };
    let exemplar = Exemplar {
        labels: Labels::from_pairs([("trace_id", "abc")]),
        value: -0.0,
        time_ms: T0 + 1,
    };
    let metadata =
        MetricMetadata { kind: MetricType::Histogram, help: "Helps.".into(), unit: "s".into() };
    let mut appender = store.appender();
    let mut transaction = appender.begin();
    let series = transaction.series(Some(b"key"), &labels("h", 1));
    transaction.histogram(series, T0, histogram.clone(), T0 - 1000);
    transaction.sample(series, T0 + 1, 1.0, T0 + 1);
    transaction.exemplar(series, exemplar.clone());
    transaction.metadata("h", metadata.clone());
    let committed = transaction.commit().unwrap();
    assert_eq!((committed.samples, committed.histograms, committed.exemplars), (1, 1, 1));
    let mut transaction = appender.begin();
    assert_eq!(transaction.known(b"key"), Some(series));
    transaction.exemplar(series, exemplar.clone());
    transaction.exemplar(series, Exemplar { time_ms: T0, ..exemplar.clone() });
    let committed = transaction.commit().unwrap();
    assert_eq!(committed.exemplars, 1, "the duplicate counts");
    assert_eq!(committed.refused[0].reason, RefusedReason::OutOfOrder);
    drop((appender, store));

    let store = place.open();
    let snapshot = store.snapshot();
    let selected = snapshot.select(&[Matcher::equal("__name__", "h")], TimeRange::ALL).unwrap();
    let mut points = Points::default();
    snapshot.read(&selected[0], TimeRange::ALL, &mut points).unwrap();
    assert!(points.histograms[0].histogram.bits_equal(&histogram));
    assert_eq!(points.histograms[0].start_ms, T0 - 1000);
    assert!(points.starts_ms.is_empty(), "a start that is not before its sample is ignored");
    let exemplars = snapshot.exemplars(&[], TimeRange::ALL).unwrap();
    assert_eq!(exemplars, [(labels("h", 1), vec![exemplar])]);
    assert_eq!(store.metadata(), [("h".to_owned(), metadata)]);
}

#[test]
fn duplicates_and_late_samples_are_judged_as_upstream_does() {
    const HOUR: i64 = 3_600_000;
    let place = Place::new();
    let store = place.open();
    let a = labels("a", 1);
    let refused = |rows: &[(&Labels, i64, f64)]| {
        let committed = write(&store, rows).unwrap();
        assert_eq!(committed.samples + committed.refused.len(), rows.len());
        committed.refused.iter().map(|refused| refused.reason).collect::<Vec<_>>()
    };
    let none: &[RefusedReason] = &[];
    assert_eq!(refused(&[(&a, T0, 1.0), (&a, T0, 1.0)]), none);
    assert_eq!(refused(&[(&a, T0, 2.0)]), [RefusedReason::Duplicate]);
    assert_eq!(refused(&[(&a, T0 - 10, 1.0), (&a, T0 - 10, 1.0)]), none);
    assert_eq!(refused(&[(&a, T0 - 10, 2.0)]), [RefusedReason::Duplicate]);
    assert_eq!(refused(&[(&a, T0 + 10, 1.0), (&a, T0 + 5, 1.0), (&a, T0 + 10, 1.0)]), none);
    assert_eq!(refused(&[(&a, T0 - 2 * HOUR, 1.0)]), [RefusedReason::TooOld]);
    assert_eq!(refused(&[(&a, T0 + HOUR, 1.0)]), [RefusedReason::OutOfBounds]);
    let mut appender = store.appender();
    let mut transaction = appender.begin();
    let series = transaction.series(None, &a);
    transaction.histogram(series, T0 + 10, Histogram::default(), 0);
    transaction.histogram(series, T0 + 20, Histogram::default(), 0);
    transaction.histogram(series, T0 + 20, Histogram::default(), 0);
    transaction.sample(series, T0 + 20, 1.0, 0);
    let committed = transaction.commit().unwrap();
    assert_eq!(committed.histograms, 2);
    assert_eq!(committed.refused.len(), 2);
    check(&store, &[(&a, &[(T0 - 10, 1.0), (T0, 1.0), (T0 + 5, 1.0), (T0 + 10, 1.0)])]);
}

#[test]
fn the_first_samples_of_an_empty_store_may_be_of_any_age_and_order() {
    let store = Place::new().open();
    let (a, b) = (labels("a", 1), labels("b", 1));
    let committed = write(&store, &[(&a, T0, 1.0), (&b, 5, 2.0)]).unwrap();
    assert_eq!(committed.samples, 2);
    assert!(committed.refused.is_empty());
}

#[test]
fn a_refused_series_is_not_seen_by_readers() {
    let store = Place::new().open();
    write(&store, &[(&labels("future", 1), T0 + 86_400_000, 1.0)]).unwrap();
    let snapshot = store.snapshot();
    assert!(snapshot.label_values("__name__", &[], TimeRange::ALL).unwrap().is_empty());
    assert!(snapshot.select(&[], TimeRange::ALL).unwrap().is_empty());
}

#[test]
fn a_dropped_transaction_leaves_nothing() {
    let store = Place::new().open();
    let mut appender = store.appender();
    let mut transaction = appender.begin();
    let series = transaction.series(None, &labels("a", 1));
    transaction.sample(series, T0, 1.0, 0);
    drop(transaction);
    assert!(read(&store).is_empty());
}

#[test]
fn a_log_cut_anywhere_in_its_last_records_opens_with_the_ones_before() {
    let place = Place::new();
    let store = place.open();
    let a = labels("a", 1);
    let mut ends = Vec::new();
    for i in 0..4 {
        write(&store, &[(&a, T0 + i, i as f64)]).unwrap();
        let segment = last_segment(&place.disk);
        ends.push((segment.clone(), place.disk.read(&segment).unwrap().len()));
    }
    let (segment, len) = ends.last().unwrap().clone();
    for cut in ends[0].1..len {
        let place = Place::with_disk(place.disk.copy());
        place.disk.edit(&segment, |bytes| bytes.truncate(cut));
        let store = place.open();
        let whole = ends.iter().filter(|(_, end)| *end <= cut).count();
        let expected: Vec<_> = (0..whole as i64).map(|i| (T0 + i, i as f64)).collect();
        check(&store, &[(&a, &expected)]);
        let torn = ends.iter().all(|(_, end)| *end != cut);
        let problems = store.status().recovery.problems;
        assert_eq!(problems.len(), usize::from(torn), "cut at {cut}: {problems:?}");
        if torn {
            assert!(problems[0].contains(&format!("at byte {}", ends[whole - 1].1)));
            assert!(problems[0].contains(".wal"));
        }
        // What is written next is found again, and the torn record is told of only once.
        write(&store, &[(&a, T0 + 100, 100.0)]).unwrap();
        drop(store);
        let store = place.open();
        let mut expected = expected;
        expected.push((T0 + 100, 100.0));
        check(&store, &[(&a, &expected)]);
        assert!(store.status().recovery.problems.is_empty());
    }
}

#[test]
fn a_flipped_byte_in_the_log_costs_its_record_and_is_named() {
    let place = Place::new();
    let store = place.open();
    let all: Vec<_> = (0..4).map(|i| labels("a", i)).collect();
    for (i, labels) in all.iter().enumerate() {
        write(&store, &[(labels, T0 + i as i64, i as f64)]).unwrap();
    }
    let segment = last_segment(&place.disk);
    let len = place.disk.read(&segment).unwrap().len();
    for at in 0..len {
        let place = Place::with_disk(place.disk.copy());
        place.disk.edit(&segment, |bytes| bytes[at] ^= 0x10);
        let store = place.open();
        let expected = if at < 40 { 4 } else { 3 };
        assert_eq!(read(&store).len(), expected, "flipped at {at}");
        let problems = store.status().recovery.problems;
        assert_eq!(problems.len(), 1, "flipped at {at}: {problems:?}");
        assert!(problems[0].contains("/data/wal/0") && problems[0].contains("at byte"));
    }
}

#[test]
fn a_full_disk_refuses_loses_nothing_and_heals_by_itself() {
    for fault in [Fault::NoSpace, Fault::ShortWrite, Fault::Io] {
        // From each call of the scenario on, until the last round.
        for calls in 0..12 {
            let place = Place::new();
            let store = place.open();
            let a = labels("a", 1);
            let mut acknowledged = Vec::new();
            write(&store, &[(&a, T0, 0.5)]).unwrap();
            acknowledged.push((T0, 0.5));
            place.disk.fail_after(calls, fault);
            for i in 1..8 {
                place.clock.advance(2_000);
                let (time_ms, value) = (T0 + i, i as f64);
                if write(&store, &[(&a, time_ms, value)]).is_ok() {
                    acknowledged.push((time_ms, value));
                }
                let _ = store.maintain();
            }
            check(&store, &[(&a, &acknowledged)]);
            let copy = Place::with_disk(place.disk.copy());
            check(&copy.open(), &[(&a, &acknowledged)]);

            place.disk.heal();
            place.clock.advance(2_000);
            write(&store, &[(&a, T0 + 100, 100.0)]).unwrap();
            acknowledged.push((T0 + 100, 100.0));
            check(&store, &[(&a, &acknowledged)]);
            drop(store);
            let store = place.open();
            check(&store, &[(&a, &acknowledged)]);
        }
    }
}

#[test]
fn a_disk_that_cannot_sync_is_not_acknowledged_when_asked_to() {
    let mut place = Place::new();
    place.options.wal_sync = WalSync::Ack;
    let store = place.open();
    let a = labels("a", 1);
    write(&store, &[(&a, T0, 1.0)]).unwrap();
    place.disk.fail_after(1, Fault::Io); // the write succeeds, its sync does not
    let error = write(&store, &[(&a, T0 + 1, 2.0)]).unwrap_err();
    assert!(error.to_string().contains("nothing was stored"), "{error}");
    check(&store, &[(&a, &[(T0, 1.0)])]);
    let error = write(&store, &[(&a, T0 + 1, 3.0)]).unwrap_err();
    assert!(matches!(error, AppendError::Refusing { .. }));
    place.disk.heal();
    store.maintain().unwrap();
    write(&store, &[(&a, T0 + 1, 4.0)]).unwrap();
    drop(store);
    place.disk.cut_power();
    check(&place.open(), &[(&a, &[(T0, 1.0), (T0 + 1, 4.0)])]);
}

#[test]
fn a_second_process_is_told_what_to_do() {
    let place = Place::new();
    let store = place.open();
    let error = place.try_open().err().unwrap();
    assert!(matches!(error, OpenError::Locked { .. }));
    assert!(error.to_string().contains("/data"), "{error}");
    drop(store);
    place.open();
}

#[test]
fn a_foreign_directory_is_left_alone() {
    let place = Place::new();
    place.disk.create_dir_all(Path::new("/data/wal")).unwrap();
    place.disk.create(Path::new("/data/wal/00000000")).unwrap();
    assert!(matches!(place.try_open(), Err(OpenError::Foreign { .. })));
}

#[test]
fn a_closed_store_takes_nothing_and_still_reads() {
    let store = Place::new().open();
    let a = labels("a", 1);
    write(&store, &[(&a, T0, 1.0)]).unwrap();
    store.close().unwrap();
    assert!(matches!(write(&store, &[(&a, T0 + 1, 1.0)]), Err(AppendError::Closed)));
    check(&store, &[(&a, &[(T0, 1.0)])]);
}
