//! What opening finds in a checkpoint is what replaying the log would have given.

use std::ops::Range;

use super::*;

/// Writes, at each step, samples of all kinds that a head can hold.
pub(super) fn write_all_kinds(place: &Place, store: &Store, from_ms: i64, steps: Range<i64>) {
    let mut appender = store.appender();
    for step in steps {
        let time_ms = from_ms + step * 15_000;
        place.clock.set(time_ms);
        let value = step as f64;
        let histogram = |kind| Histogram {
            kind,
            positive_spans: vec![Span { offset: 1, len: 2 }],
            positive_buckets: vec![value, 2.0],
            count: value + 2.0,
            sum: value / 3.0,
            ..Histogram::default()
        };
        let mut transaction = appender.begin();
        let mut float = |name: &str, time_ms, value, start_ms| {
            let series = transaction.series(None, &labels(name, 1));
            transaction.sample(series, time_ms, value, start_ms);
        };
        float("steady", time_ms, value, 0);
        float("with_starts_total", time_ms, value * 10.0, from_ms - step % 2);
        float("odd", time_ms + step % 7, f64::from_bits(0x3ff0_0000_1234_5678 + step as u64), 0);
        if step % 3 != 1 {
            float("gaps", time_ms, (step / 20) as f64, 0);
        }
        if step == 5 {
            float("ended", time_ms, STALE_NAN, 0);
        }
        if step % 5 == 4 {
            float("steady", time_ms - 20_000, 0.25, from_ms - 1);
        }
        let latency = transaction.series(None, &labels("latency", 2));
        transaction.histogram(latency, time_ms, histogram(HistogramKind::Float), from_ms);
        if step % 5 == 4 {
            let late = time_ms - 20_000;
            transaction.histogram(latency, late, histogram(HistogramKind::Float), 0);
        }
        for n in 0..2 {
            let labels = Labels::from_pairs([("trace_id", format!("{step}-{n}"))]);
            transaction.exemplar(latency, Exemplar { labels, value: f64::from(n), time_ms });
        }
        let (help, unit) = (format!("Help of step {}.", step / 50), String::new());
        transaction.metadata("steady", MetricMetadata { kind: MetricType::Gauge, help, unit });
        transaction.commit().unwrap();
        if step == 30 {
            let range = TimeRange::new(from_ms + 10 * 15_000, time_ms);
            store.delete_series(&[Matcher::equal("__name__", "gaps")], range).unwrap();
        }
    }
}

/// The names of the files of the log.
fn log_files(disk: &SimDisk) -> Vec<String> {
    let entries = disk.list(Path::new("/data/wal")).unwrap();
    entries.into_iter().map(|entry| entry.name).collect()
}

#[test]
fn a_checkpoint_stands_for_the_log_before_it_whatever_the_head_holds() {
    for steps in [1, 4, 31, 100, 400] {
        let (place, other) = (Place::new(), Place::new());
        let (store, plain) = (place.open(), other.open());
        write_all_kinds(&place, &store, T0, 0..steps);
        write_all_kinds(&other, &plain, T0, 0..steps);
        let held = all(&store);
        assert_eq!(held, all(&plain));
        store.checkpoint().unwrap();
        assert_eq!(log_files(&place.disk), ["00000002.checkpoint", "00000002.wal"]);
        drop(store);

        let store = place.open();
        assert_eq!(all(&store), held, "{steps} steps");
        assert!(store.status().recovery.problems.is_empty());
        // It goes on like one that was never closed, what is late or known included.
        write_all_kinds(&place, &store, T0, steps - 1..steps + 150);
        write_all_kinds(&other, &plain, T0, steps - 1..steps + 150);
        let held = all(&plain);
        assert_eq!(all(&store), held);
        let killed = Place::with_disk(place.disk.copy());
        assert_eq!(all(&killed.open()), held);
        store.close().unwrap();
        drop(store);
        assert_eq!(all(&place.open()), held);
    }
}

#[test]
fn what_both_a_checkpoint_and_its_segment_have_is_there_once() {
    let place = Place::new();
    let store = place.open();
    write_all_kinds(&place, &store, T0, 0..100);
    store.checkpoint().unwrap();
    write_all_kinds(&place, &store, T0, 100..230);
    let held = all(&store);
    let segment = place.disk.read(Path::new("/data/wal/00000002.wal")).unwrap();
    store.checkpoint().unwrap();
    drop(store);
    // As if the checkpoint before segment 2 had been taken while all of that was written.
    place.disk.create(Path::new("/data/wal/00000002.wal")).unwrap().append(&segment).unwrap();
    place.disk.remove_file(Path::new("/data/wal/00000003.wal")).unwrap();
    let checkpoint = |number| PathBuf::from(format!("/data/wal/0000000{number}.checkpoint"));
    place.disk.rename(&checkpoint(3), &checkpoint(2)).unwrap();

    let store = place.open();
    assert_eq!(all(&store), held);
    assert!(store.status().recovery.problems.is_empty());
}

#[test]
fn a_checkpoint_is_due_when_the_log_has_grown_or_a_block_was_cut() {
    let mut place = Place::new();
    place.options.checkpoint_bytes = 20_000;
    let store = place.open();
    let checkpoint = || log_files(&place.disk).into_iter().find(|name| name.contains("checkpoint"));
    let mut step = 0;
    let mut write_until_due = || {
        let before = checkpoint();
        let grown_from = store.status().log.size_bytes;
        while checkpoint() == before {
            write_all_kinds(&place, &store, T0, step..step + 1);
            step += 1;
            store.checkpoint_if_due().unwrap();
            assert!(step < 10_000);
        }
        (grown_from, store.status().log.size_bytes)
    };
    let (_, first) = write_until_due();
    assert!(first < 20_000, "{first} bytes stand for as many of the log");
    let (from, to) = write_until_due();
    assert!(from == first && to < 40_000);

    place.clock.advance(5 * HOUR);
    write(&store, &[(&labels("steady", 1), T0 + 6 * HOUR, 1.0)]).unwrap();
    let before = checkpoint();
    store.maintain().unwrap();
    assert_eq!(store.status().blocks.len(), 1);
    assert_ne!(checkpoint(), before);
    let held = all(&store);
    drop(store);
    assert_eq!(all(&place.open()), held);
}

#[test]
fn a_damaged_byte_of_a_checkpoint_costs_some_series_and_is_named() {
    let place = Place::new();
    let store = place.open();
    let names: Vec<_> = (0..600).map(|n| labels("m", n)).collect();
    for step in 0..3 {
        let rows: Vec<_> = names.iter().map(|name| (name, T0 + step, step as f64)).collect();
        write(&store, &rows).unwrap();
    }
    store.checkpoint().unwrap();
    drop(store);
    let path = Path::new("/data/wal/00000002.checkpoint");
    let len = place.disk.read(path).unwrap().len();
    for at in (0..len).step_by(97) {
        let damaged = Place::with_disk(place.disk.copy());
        damaged.disk.edit(path, |bytes| bytes[at] ^= 0x10);
        let store = damaged.open();
        let problems = store.status().recovery.problems;
        assert!(problems.iter().any(|problem| problem.contains("00000002.checkpoint")), "{at}");
        let found = read(&store);
        assert!(found.len() >= 88, "{at}: {} series", found.len());
        let expected: Vec<_> = (0..3i64).map(|step| (T0 + step, (step as f64).to_bits())).collect();
        assert!(found.iter().all(|(_, samples)| *samples == expected), "{at}");
        // Whatever is lost, its series can be written again.
        let rows: Vec<_> = names.iter().map(|name| (name, T0 + 9, 9.0)).collect();
        assert!(write(&store, &rows).unwrap().refused.is_empty());
        assert_eq!(read(&store).len(), 600);
    }
}

#[test]
fn a_checkpoint_that_the_disk_did_not_take_is_taken_later() {
    let place = Place::new();
    let store = place.open();
    write_all_kinds(&place, &store, T0, 0..200);
    let calls = {
        let copy = Place::with_disk(place.disk.copy());
        let store = copy.open();
        let before = copy.disk.calls();
        store.checkpoint().unwrap();
        copy.disk.calls() - before
    };
    let held = all(&store);
    for from in 0..calls {
        let copy = Place::with_disk(place.disk.copy());
        let store = copy.open();
        copy.disk.fail_after(from, Fault::NoSpace);
        let _ = store.checkpoint();
        copy.disk.heal();
        assert_eq!(all(&store), held);
        let killed = Place::with_disk(copy.disk.copy());
        assert_eq!(all(&killed.open()), held, "after call {from} failed");
        store.checkpoint().unwrap();
        let unfinished = |name: &String| name.contains(".tmp");
        assert!(!log_files(&copy.disk).iter().any(unfinished), "after call {from} failed");
        drop(store);
        assert_eq!(all(&copy.open()), held, "after call {from} failed");
    }
}
