//! What the store promises: what was acknowledged is there, whatever happens to process and disk.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use forewarn::env::{Disk, Fault, ManualClock, SimDisk};
use forewarn::series::{
    Histogram, HistogramKind, Labels, Matcher, Points, STALE_NAN, Span, TimeRange,
};
use forewarn::store::{
    AppendError, Committed, Exemplar, MetricMetadata, MetricType, OpenError, Refused,
    RefusedReason, Store, StoreOptions, WalSync,
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

/// Everything that a store holds, as a text.
fn all(store: &Store) -> String {
    let snapshot = store.snapshot();
    let mut text = String::new();
    let mut points = Points::default();
    for series in snapshot.select(&[], TimeRange::ALL).unwrap() {
        snapshot.read(&series, TimeRange::ALL, &mut points).unwrap();
        let bits: Vec<_> = points.values.iter().map(|value| value.to_bits()).collect();
        let Points { times_ms, starts_ms, histograms, .. } = &points;
        let labels = &series.labels;
        writeln!(text, "{labels} {times_ms:?} {bits:x?} {starts_ms:?} {histograms:?}").unwrap();
    }
    let exemplars = snapshot.exemplars(&[], TimeRange::ALL).unwrap();
    text + &format!("{exemplars:?} {:?}", store.metadata())
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
    let series = transaction.series(Some(transaction.speller().spell(b"key")), &labels("h", 1));
    transaction.histogram(series, T0, histogram.clone(), T0 - 1000);
    transaction.sample(series, T0 + 1, 1.0, 0);
    transaction.exemplar(series, exemplar.clone());
    transaction.metadata("h", metadata.clone());
    let committed = transaction.commit().unwrap();
    assert_eq!((committed.samples, committed.histograms, committed.exemplars), (1, 1, 1));
    let mut transaction = appender.begin();
    let series = transaction.known(transaction.speller().spell(b"key")).unwrap();
    assert_eq!(transaction.labels(series), Some(labels("h", 1)));
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
    assert!(points.starts_ms.is_empty(), "a float without a start has none");
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

const HOUR: i64 = 3_600_000;
const MINUTE: i64 = 60_000;

/// Ten series, a sample a minute for some hours, with upkeep each half hour.
fn fill(place: &Place, store: &Store, hours: i64) -> Vec<(Labels, Vec<(i64, f64)>)> {
    let mut all: Vec<_> = (0..10).map(|n| (labels("filled", n), Vec::new())).collect();
    let first = T0 - T0 % (2 * HOUR);
    for minute in 0..hours * 60 {
        let time_ms = first + minute * MINUTE;
        place.clock.set(time_ms);
        let mut rows = Vec::new();
        for (n, (labels, samples)) in all.iter_mut().enumerate() {
            let value = (minute * n as i64) as f64 / 10.0;
            samples.push((time_ms, value));
            rows.push((&*labels, time_ms, value));
        }
        assert!(write(store, &rows).unwrap().refused.is_empty());
        if minute % 30 == 0 {
            store.maintain().unwrap();
        }
    }
    all
}

#[track_caller]
fn check_filled(store: &Store, all: &[(Labels, Vec<(i64, f64)>)]) {
    let expected: Vec<_> =
        all.iter().map(|(labels, samples)| (labels, samples.as_slice())).collect();
    check(store, &expected);
}

fn block_dirs(disk: &SimDisk) -> Vec<PathBuf> {
    let dir = Path::new("/data/blocks");
    disk.list(dir).unwrap().into_iter().map(|entry| dir.join(entry.name)).collect()
}

#[test]
fn old_samples_move_into_blocks_and_the_log_is_dropped_behind_them() {
    let place = Place::new();
    let store = place.open();
    let all = fill(&place, &store, 12);
    let status = store.status();
    let levels: Vec<_> = status.blocks.iter().map(|block| block.level).collect();
    assert_eq!(levels, [0, 1], "two hours before midnight, and eight after");
    assert!(status.log.first_segment > 1, "{:?}", status.log);
    assert!(status.head.samples < 10 * 4 * 60, "{:?}", status.head);
    let merged = status.blocks.iter().find(|block| block.level == 1).unwrap();
    assert_eq!(merged.max_time_ms - merged.min_time_ms, (8 * 60 - 1) * MINUTE + 1);
    check_filled(&store, &all);

    let snapshot = store.snapshot();
    let range = TimeRange::new(T0 - T0 % (2 * HOUR) + HOUR, T0 - T0 % (2 * HOUR) + 3 * HOUR);
    let selected = snapshot.select(&[Matcher::equal("n", "3")], range).unwrap();
    let mut points = Points::default();
    snapshot.read(&selected[0], range, &mut points).unwrap();
    assert_eq!(points.times_ms.len(), 121);
    assert_eq!(snapshot.label_names(&[], range).unwrap(), ["__name__", "n"]);
    assert_eq!(snapshot.label_values("n", &[], range).unwrap().len(), 10);
    assert_eq!(
        snapshot.label_values("n", &[Matcher::equal("n", "7")], range).unwrap(),
        ["7".to_owned()]
    );
    drop((snapshot, store));
    let store = place.open();
    check_filled(&store, &all);
    assert!(store.status().recovery.problems.is_empty());
    assert_eq!(store.status().blocks, status.blocks);
}

#[test]
fn a_reader_keeps_what_it_sees_while_a_block_is_cut() {
    let place = Place::new();
    let store = place.open();
    let first = T0 - T0 % (2 * HOUR);
    let a = labels("a", 1);
    let expected: Vec<_> = (0..240).map(|i| (first + i * MINUTE, i as f64)).collect();
    for (time_ms, value) in &expected {
        place.clock.set(*time_ms);
        write(&store, &[(&a, *time_ms, *value)]).unwrap();
    }
    let snapshot = store.snapshot();
    let selected = snapshot.select(&[], TimeRange::ALL).unwrap();
    store.maintain().unwrap();
    assert_eq!(store.status().blocks.len(), 1);
    let mut points = Points::default();
    snapshot.read(&selected[0], TimeRange::ALL, &mut points).unwrap();
    assert_eq!(points.times_ms.len(), 240);
    assert_eq!(store.status().head.samples, 240, "dropped only when the reader is gone");
    drop(snapshot);
    store.maintain().unwrap();
    assert_eq!(store.status().head.samples, 120);
    check(&store, &[(&a, &expected)]);
}

#[test]
fn retention_counts_back_from_the_newest_sample() {
    let mut place = Place::new();
    place.options.retention_ms = 6 * HOUR;
    let store = place.open();
    let all = fill(&place, &store, 14);
    place.clock.advance(1000 * HOUR); // the clock alone drops nothing
    store.maintain().unwrap();
    let newest = all[0].1.last().unwrap().0;
    let oldest = read(&store)[0].1[0].0;
    assert!((newest - 8 * HOUR..=newest - 6 * HOUR).contains(&oldest));
    assert_eq!(block_dirs(&place.disk).len(), store.status().blocks.len());
}

#[test]
fn a_series_that_ended_is_forgotten_and_may_come_back() {
    let place = Place::new();
    let store = place.open();
    let mut appender = store.appender();
    let gone = labels("gone", 1);
    let mut transaction = appender.begin();
    let series = transaction.series(Some(transaction.speller().spell(b"gone")), &gone);
    transaction.sample(series, T0, 1.0, 0);
    transaction.commit().unwrap();
    // A transaction that began before the series was forgotten, and is committed after.
    let mut slow = store.appender();
    let mut slow_transaction = slow.begin();
    let spelling = slow_transaction.speller().spell(b"gone");
    let same = slow_transaction.known(spelling).unwrap();
    assert_eq!(slow_transaction.labels(same).as_ref(), Some(&gone));

    fill(&place, &store, 12);
    assert_eq!(store.status().head.series, 10);
    let now = store.status().head.max_time_ms.unwrap();
    slow_transaction.sample(same, now, 2.0, 0);
    assert_eq!(slow_transaction.commit().unwrap().samples, 1);

    let mut transaction = appender.begin();
    assert_eq!(
        transaction.known(transaction.speller().spell(b"gone")),
        None,
        "the cache forgets with the store"
    );
    let new = transaction.series(Some(transaction.speller().spell(b"gone")), &gone);
    transaction.sample(new, now + 1, 3.0, 0);
    transaction.commit().unwrap();
    let find = |store: &Store| {
        read(store).into_iter().find(|(labels, _)| *labels == gone.to_string()).unwrap().1
    };
    let expected = [(T0, 1.0f64), (now, 2.0), (now + 1, 3.0)].map(|(t, v)| (t, v.to_bits()));
    assert_eq!(find(&store), expected);
    drop((slow, appender, store));
    assert_eq!(find(&place.open()), expected);
}

#[test]
fn a_damaged_block_is_moved_aside_and_named_while_all_else_serves() {
    let place = Place::new();
    let store = place.open();
    let all = fill(&place, &store, 8);
    let blocks = store.status().blocks;
    drop(store);
    let dir = block_dirs(&place.disk)[0].clone();
    let lost = blocks[0].max_time_ms;
    for file in ["meta.json", "index"] {
        let len = place.disk.read(&dir.join(file)).unwrap().len();
        for at in (0..len).step_by(7) {
            // Fields that only inform may change unnoticed.
            let informs = file == "index" && (6..16).contains(&at);
            let copy = Place::with_disk(place.disk.copy());
            copy.disk.edit(&dir.join(file), |bytes| bytes[at] ^= 0x04);
            let store = copy.open();
            let problems = store.status().recovery.problems;
            if informs || (file == "meta.json" && problems.is_empty()) {
                check_filled(&store, &all); // white space in meta.json
                continue;
            }
            assert_eq!(problems.len(), 1, "{file} at {at}: {problems:?}");
            assert!(problems[0].contains(file) && problems[0].contains("quarantine"));
            assert_eq!(store.status().blocks.len(), blocks.len() - 1);
            let rest = read(&store);
            assert_eq!(rest.len(), 10);
            assert!(rest.iter().all(|(_, samples)| samples[0].0 == lost + MINUTE - 1));
            assert_eq!(copy.disk.list(Path::new("/data/quarantine")).unwrap().len(), 1);
        }
        for len in (0..len).step_by(97) {
            let copy = Place::with_disk(place.disk.copy());
            copy.disk.edit(&dir.join(file), |bytes| bytes.truncate(len));
            let store = copy.open();
            assert_eq!(store.status().recovery.problems.len(), 1);
            assert_eq!(read(&store).len(), 10);
        }
    }
}

#[test]
fn a_damaged_chunk_is_passed_over() {
    let place = Place::new();
    let store = place.open();
    let all = fill(&place, &store, 8);
    drop(store);
    let file = block_dirs(&place.disk)[0].join("chunks");
    let len = place.disk.read(&file).unwrap().len();
    let mut shared = 0;
    for at in 16..len {
        let copy = Place::with_disk(place.disk.copy());
        copy.disk.edit(&file, |bytes| bytes[at] ^= 0x20);
        let store = copy.open();
        let found = read(&store);
        let whole = found.iter().zip(&all).filter(|(f, a)| f.1.len() == a.1.len()).count();
        // All series have the same times, which are there once.
        shared += usize::from(whole == 0);
        assert!(whole == 9 || whole == 0, "flipped at {at}: {whole}");
        assert_eq!(found.len(), 10, "the other blocks serve");
        assert_eq!(store.status().corruptions_total, 1);
    }
    assert!(shared < 20, "{shared} bytes");
}

#[test]
fn a_block_of_another_version_is_refused_with_what_to_do() {
    let place = Place::new();
    let store = place.open();
    fill(&place, &store, 4);
    drop(store);
    let segment = last_segment(&place.disk);
    place.disk.edit(&segment, |bytes| {
        bytes[4] = 4;
        let crc = crc32c(&bytes[..36]);
        bytes[36..40].copy_from_slice(&crc.to_le_bytes());
    });
    let error = place.try_open().err().unwrap();
    assert!(matches!(error, OpenError::Format { found: 4, .. }), "{error}");
    assert!(error.to_string().contains("Upgrading"));
}

/// CRC-32C, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    !crc
}

/// Where hours of work begin, so that they fill a window in which blocks are merged.
const WORK_FROM: i64 = T0 - T0 % (8 * HOUR);

/// Hours of work for a disk that fails: appends, cuts, checkpoints, a merge. Returns what was acknowledged.
fn work(place: &Place, store: &Store) -> Vec<(i64, f64)> {
    let a = labels("a", 1);
    let mut acknowledged = Vec::new();
    for step in 0..21 {
        let time_ms = WORK_FROM + step * 30 * MINUTE;
        place.clock.set(time_ms);
        if write(store, &[(&a, time_ms, step as f64)]).is_ok() {
            acknowledged.push((time_ms, step as f64));
        }
        let _ = store.maintain();
    }
    acknowledged
}

fn check_acknowledged(store: &Store, acknowledged: &[(i64, f64)], context: &str) {
    let expected: Vec<_> = acknowledged.iter().map(|(t, v)| (*t, v.to_bits())).collect();
    let found = read(store).into_iter().next().map(|(_, samples)| samples).unwrap_or_default();
    assert_eq!(found, expected, "{context}");
}

#[test]
fn wherever_the_disk_fails_nothing_acknowledged_is_lost_and_nothing_refused_appears() {
    let calls = {
        let place = Place::new();
        let store = place.open();
        let before = place.disk.calls();
        work(&place, &store);
        let status = store.status();
        assert!(status.blocks.iter().any(|block| block.level == 1), "{:?}", status.blocks);
        assert!(status.log.first_segment > 1);
        place.disk.calls() - before
    };
    for fault in [Fault::NoSpace, Fault::ShortWrite, Fault::Io] {
        for from in 0..calls {
            let context = format!("{fault:?} from call {from} on");
            let place = Place::new();
            let store = place.open();
            place.disk.fail_after(from, fault);
            let mut acknowledged = work(&place, &store);
            check_acknowledged(&store, &acknowledged, &context);
            let copy = Place::with_disk(place.disk.copy());
            check_acknowledged(&copy.open(), &acknowledged, &context);

            place.disk.heal();
            place.clock.advance(30 * MINUTE);
            let time_ms = WORK_FROM + 10 * HOUR + 30 * MINUTE;
            write(&store, &[(&labels("a", 1), time_ms, -1.0)]).expect(&context);
            acknowledged.push((time_ms, -1.0));
            store.maintain().expect(&context);
            store.maintain().expect(&context);
            check_acknowledged(&store, &acknowledged, &context);
            drop(store);
            let store = place.open();
            check_acknowledged(&store, &acknowledged, &context);
            let problems = store.status().recovery.problems;
            assert!(problems.is_empty(), "{context}: {problems:?}");
        }
    }
}

#[test]
fn a_power_cut_at_any_call_loses_nothing_that_was_synced() {
    let calls = {
        let mut place = Place::new();
        place.options.wal_sync = WalSync::Ack;
        let store = place.open();
        let before = place.disk.calls();
        work(&place, &store);
        place.disk.calls() - before
    };
    for from in 0..calls {
        let mut place = Place::new();
        place.options.wal_sync = WalSync::Ack;
        let store = place.open();
        place.disk.fail_after(from, Fault::Io);
        let acknowledged = work(&place, &store);
        drop(store);
        place.disk.heal();
        place.disk.cut_power();
        check_acknowledged(&place.open(), &acknowledged, &format!("power cut at call {from}"));
    }
}

mod acks;
mod checkpoints;
mod fuzzed;
mod hooked;
mod model;
mod schedules;
mod upkeep;

/// The golden files: what earlier builds wrote, this one reads, and writes the same.
mod golden {
    use std::fs;

    use super::*;

    fn golden_dir(version: u16) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("testdata/format/v{version}"))
    }

    /// A known data directory: floats of each codec, start timestamps, histograms, exemplars,
    /// metadata, deletions, in a merged block, a checkpoint and the log.
    fn scenario() -> Place {
        let place = Place::new();
        let store = place.open();
        let first = WORK_FROM;
        let mut appender = store.appender();
        for step in 0..66i64 {
            let time_ms = first + step * 10 * MINUTE;
            place.clock.set(time_ms);
            let mut transaction = appender.begin();
            let counter = transaction.series(None, &labels("counter_total", 1));
            transaction.sample(counter, time_ms, (step * 3) as f64, first - 1);
            let odd = transaction.series(None, &labels("odd", 2));
            let bits = 0x7ff8_0000_0000_0000 ^ (step as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            transaction.sample(odd, time_ms + step % 3, f64::from_bits(bits), 0);
            let latency = transaction.series(None, &labels("latency", 3));
            let histogram = Histogram {
                positive_spans: vec![Span { offset: 1, len: 2 }],
                positive_buckets: vec![step as f64, 0.5],
                count: step as f64 + 0.5,
                sum: if step == 39 { STALE_NAN } else { step as f64 },
                ..Histogram::default()
            };
            transaction.histogram(latency, time_ms, histogram, 0);
            let trace = Labels::from_pairs([("trace_id", step.to_string())]);
            transaction.exemplar(latency, Exemplar { labels: trace, value: 0.1, time_ms });
            transaction.metadata(
                "latency",
                MetricMetadata {
                    kind: MetricType::Histogram,
                    help: "How long it took.".to_owned(),
                    unit: "seconds".to_owned(),
                },
            );
            transaction.commit().unwrap();
            store.maintain().unwrap();
        }
        for range in
            [TimeRange::new(first, first + HOUR), TimeRange::new(first + 9 * HOUR, i64::MAX)]
        {
            store.delete_series(&[Matcher::equal("n", "1")], range).unwrap();
        }
        let status = store.status();
        let levels: Vec<_> = status.blocks.iter().map(|block| block.level).collect();
        assert_eq!(levels, [1], "merged, and what is newer in the log");
        assert!(status.log.first_segment > 1);
        drop((appender, store));
        place
    }

    fn files(disk: &dyn Disk, dir: &Path) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for entry in disk.list(dir).unwrap() {
            let path = dir.join(&entry.name);
            if entry.is_dir { found.extend(files(disk, &path)) } else { found.push(path) }
        }
        found
    }

    /// The golden files of a version, on a disk of their own.
    fn golden(version: u16) -> Place {
        let golden = Place::new();
        let dir = golden_dir(version);
        for path in files(&forewarn::env::RealDisk, &dir) {
            let to = Path::new("/data").join(path.strip_prefix(&dir).unwrap());
            golden.disk.create_dir_all(to.parent().unwrap()).unwrap();
            golden.disk.create(&to).unwrap().append(&fs::read(&path).unwrap()).unwrap();
        }
        golden
    }

    /// The same, and then a checkpoint with samples, and some after it.
    fn scenario_with_checkpoint() -> Place {
        let place = scenario();
        let store = place.open();
        checkpoints::write_all_kinds(&place, &store, WORK_FROM + 11 * HOUR, 0..150);
        store.checkpoint().unwrap();
        checkpoints::write_all_kinds(&place, &store, WORK_FROM + 11 * HOUR, 150..153);
        drop(store);
        place
    }

    #[test]
    fn this_build_reads_the_files_of_format_2() {
        let golden = golden(2);
        let store = golden.open();
        assert!(store.status().recovery.problems.is_empty());
        assert_eq!(all(&store), all(&scenario().open()));
    }

    #[test]
    fn this_build_reads_the_files_of_format_3_and_writes_the_same() {
        let written = scenario_with_checkpoint();
        if std::env::var_os("FOREWARN_WRITE_GOLDEN").is_some() {
            for path in files(&written.disk, Path::new("/data")) {
                let to = golden_dir(3).join(path.strip_prefix("/data").unwrap());
                fs::create_dir_all(to.parent().unwrap()).unwrap();
                let file = forewarn::env::RealDisk.create(&to).unwrap();
                file.append(&written.disk.read(&path).unwrap()).unwrap();
            }
        }
        let golden = golden(3);
        let blocks = |place: &Place| {
            let mut dirs = block_dirs(&place.disk);
            dirs.sort();
            let read = |path: PathBuf| place.disk.read(&path).unwrap_or_default();
            dirs.into_iter()
                .map(|dir| ["chunks", "index", "tombstones"].map(|f| read(dir.join(f))))
                .collect::<Vec<_>>()
        };
        assert!(blocks(&golden) == blocks(&written), "blocks are not written as format 3 says");
        let logs = |place: &Place| {
            let paths = files(&place.disk, Path::new("/data/wal"));
            paths.iter().map(|path| place.disk.read(path).unwrap()).collect::<Vec<_>>()
        };
        assert!(logs(&golden) == logs(&written), "the log is not as format 3 says");

        let store = golden.open();
        assert!(store.status().recovery.problems.is_empty());
        assert_eq!(all(&store), all(&written.open()));
    }

    #[test]
    fn files_of_format_1_are_refused_with_what_to_do_and_left_alone() {
        let golden = golden(1);
        let before = files(&golden.disk, Path::new("/data/blocks"));
        let error = golden.try_open().err().unwrap();
        assert!(matches!(error, OpenError::Format { found: 1, .. }));
        assert!(error.to_string().contains("Upgrading"), "{error}");
        assert_eq!(files(&golden.disk, Path::new("/data/blocks")), before);
    }
}

#[test]
fn on_a_real_disk_too() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(T0));
    let options = StoreOptions { dir: dir.path().join("data"), ..StoreOptions::default() };
    let open = || Store::open(options.clone(), Arc::new(forewarn::env::RealDisk), clock.clone());
    let store = open().unwrap();
    assert!(matches!(open(), Err(OpenError::Locked { .. })));
    let a = labels("a", 1);
    let expected: Vec<_> = (0..600).map(|i| (T0 + i * MINUTE, i as f64)).collect();
    for (i, (time_ms, value)) in expected.iter().enumerate() {
        clock.set(*time_ms);
        write(&store, &[(&a, *time_ms, *value)]).unwrap();
        if i % 10 == 0 {
            store.maintain().unwrap();
        }
    }
    store.maintain().unwrap();
    assert!(store.status().blocks.len() >= 3 && store.status().log.first_segment > 1);
    check(&store, &[(&a, &expected)]);
    drop(store);
    let store = open().unwrap();
    assert!(store.status().recovery.problems.is_empty());
    check(&store, &[(&a, &expected)]);
}

/// Once, or over and over for `FOREWARN_SOAK_MINUTES`.
#[test]
#[expect(clippy::disallowed_methods, reason = "how long to go on is asked in real minutes")]
fn what_readers_saw_stays_while_others_write_and_cut() {
    let minutes = std::env::var("FOREWARN_SOAK_MINUTES").ok().and_then(|text| text.parse().ok());
    let (began, length) = (std::time::Instant::now(), minutes.unwrap_or(0u64) * 60);
    let mut rounds = 0;
    while rounds == 0 || began.elapsed().as_secs() < length {
        readers_writers_and_upkeep();
        rounds += 1;
    }
    println!("{rounds} rounds");
}

fn readers_writers_and_upkeep() {
    let place = Place::new();
    let store = place.open();
    let first = T0 - T0 % (2 * HOUR);
    let writers = 3;
    let steps = 600i64;
    place.clock.set(first + steps * MINUTE);
    let done = std::sync::atomic::AtomicBool::new(false);
    let writing = |writer: usize| {
        let mut appender = store.appender();
        let names: Vec<_> = (0..20).map(|n| labels("w", writer * 100 + n)).collect();
        for step in 0..steps {
            let time_ms = first + step * MINUTE;
            let mut transaction = appender.begin();
            for labels in &names {
                let spelling = transaction.speller().spell(labels.identity_bytes());
                let series = transaction.known(spelling);
                let series = series.unwrap_or_else(|| transaction.series(Some(spelling), labels));
                transaction.sample(series, time_ms, step as f64, 0);
            }
            // Writers may run ahead of each other by more than the window.
            let committed = transaction.commit().unwrap();
            let too_old = |r: &Refused| r.reason == RefusedReason::TooOld;
            assert!(committed.refused.iter().all(too_old));
        }
    };
    let writing = &writing;
    let running = || !done.load(std::sync::atomic::Ordering::SeqCst);
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..writers).map(|writer| scope.spawn(move || writing(writer))).collect();
        scope.spawn(|| {
            while running() {
                store.maintain().unwrap();
                store.checkpoint().unwrap();
            }
        });
        scope.spawn(|| {
            let mut points = Points::default();
            let mut counts = std::collections::HashMap::new();
            while running() {
                let snapshot = store.snapshot();
                for series in snapshot.select(&[], TimeRange::ALL).unwrap() {
                    snapshot.read(&series, TimeRange::ALL, &mut points).unwrap();
                    assert!(points.times_ms.is_sorted_by(|a, b| a < b));
                    // What was once seen stays.
                    let before = counts.insert(series.labels.clone(), points.len()).unwrap_or(0);
                    assert!(before <= points.len(), "{before} {}", points.len());
                }
            }
        });
        let ended: Vec<_> = all.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        done.store(true, std::sync::atomic::Ordering::SeqCst);
        assert!(ended.iter().all(Result::is_ok));
    });
    let rest = read(&store);
    assert_eq!(rest.len(), 60);
    drop(store);
    assert_eq!(read(&place.open()), rest);
}
