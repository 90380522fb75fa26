//! What happens to samples behind the writer's back: merging, deleting, retention, snapshots.

use super::*;

#[test]
fn blocks_are_merged_from_level_to_level_and_hold_the_same() {
    let place = Place::new();
    let store = place.open();
    let all = fill(&place, &store, 80);
    let levels: Vec<_> = store.status().blocks.iter().map(|block| block.level).collect();
    assert!(levels.contains(&2), "{levels:?}");
    assert!(levels.len() < 12, "{levels:?}");
    check_filled(&store, &all);
    drop(store);
    check_filled(&place.open(), &all);
}

#[test]
fn a_reader_finishes_on_blocks_that_are_merged_meanwhile() {
    let place = Place::new();
    let store = place.open();
    let all = fill(&place, &store, 10);
    let snapshot = store.snapshot();
    let selected = snapshot.select(&[], TimeRange::ALL).unwrap();
    let blocks = store.status().blocks.len();
    // Hours later the blocks that the reader holds are gone.
    let first = T0 - T0 % (2 * HOUR);
    for minute in 600..1_200 {
        place.clock.set(first + minute * MINUTE);
        let (labels, time_ms) = (&all[0].0, first + minute * MINUTE);
        write(&store, &[(labels, time_ms, 1.0)]).unwrap();
    }
    store.maintain().unwrap();
    assert_ne!(store.status().blocks.len(), blocks);
    let mut points = Points::default();
    for (series, (labels, samples)) in selected.iter().zip(&all) {
        assert_eq!(&series.labels, labels);
        let until = TimeRange::new(i64::MIN, first + 600 * MINUTE - 1);
        snapshot.read(series, until, &mut points).unwrap();
        assert_eq!(points.times_ms.len(), samples.len());
    }
}

#[test]
fn what_is_deleted_is_gone_at_once_from_head_and_blocks_and_stays_gone() {
    let place = Place::new();
    let store = place.open();
    let mut all = fill(&place, &store, 6);
    let newest = all[0].1.last().unwrap().0;
    let range = TimeRange::new(newest - 4 * HOUR, newest - HOUR / 2);
    store.delete_series(&[Matcher::equal("n", "3")], range).unwrap();
    all[3].1.retain(|(time_ms, _)| !range.contains(*time_ms));
    check_filled(&store, &all);
    let again = Place::with_disk(place.disk.copy());
    check_filled(&again.open(), &all);

    let size = |store: &Store| store.status().blocks.iter().map(|b| b.samples).sum::<u64>();
    let before = size(&store);
    store.clean_tombstones().unwrap();
    assert!(size(&store) < before);
    check_filled(&store, &all);
    // The times are free again.
    let late = (range.end_ms - 5 * MINUTE, -1.0);
    assert!(write(&store, &[(&all[3].0, late.0, late.1)]).unwrap().refused.is_empty());
    let at = all[3].1.partition_point(|(time_ms, _)| *time_ms < late.0);
    all[3].1.insert(at, late);
    check_filled(&store, &all);
    drop(store);
    let store = place.open();
    check_filled(&store, &all);

    store.delete_series(&[], TimeRange::ALL).unwrap();
    assert!(store.snapshot().select(&[], TimeRange::ALL).unwrap().is_empty());
    store.clean_tombstones().unwrap();
    assert!(store.status().blocks.iter().all(|block| block.samples == 0));
    drop(store);
    let store = place.open();
    assert!(read(&store).is_empty());
    assert!(store.status().recovery.problems.is_empty());
}

#[test]
fn what_was_deleted_from_a_block_does_not_come_back_from_the_log() {
    let place = Place::new();
    let store = place.open();
    let first = T0 - T0 % (2 * HOUR);
    let (gone, other) = (labels("gone", 1), labels("other", 1));
    place.clock.set(first);
    write(&store, &[(&gone, first, 1.0)]).unwrap();
    // The log segment that has the one also has samples of the other that are in no block yet.
    let expected: Vec<_> =
        (120..240).map(|minute| (first + minute * MINUTE, minute as f64)).collect();
    for (time_ms, value) in &expected {
        place.clock.set(*time_ms);
        write(&store, &[(&other, *time_ms, *value)]).unwrap();
    }
    store.maintain().unwrap();
    assert_eq!((store.status().blocks.len(), store.status().head.series), (1, 1));
    store.delete_series(&[Matcher::equal("__name__", "gone")], TimeRange::ALL).unwrap();
    store.clean_tombstones().unwrap();
    check(&store, &[(&other, &expected)]);
    drop(store);
    check(&place.open(), &[(&other, &expected)]);
}

#[test]
fn a_block_with_a_damaged_chunk_is_put_aside_when_it_is_merged() {
    let place = Place::new();
    let store = place.open();
    let all = fill(&place, &store, 8);
    drop(store);
    let dir = block_dirs(&place.disk)[2].clone();
    let flip = |disk: &SimDisk, back: usize| {
        disk.edit(&dir.join("chunks"), |bytes| {
            let at = bytes.len() - back;
            bytes[at] ^= 0x20;
        });
    };
    // The last bytes are zeros, those before them the values of the last series.
    let back = (1..100).find(|back| {
        let copy = Place::with_disk(place.disk.copy());
        flip(&copy.disk, *back);
        read(&copy.open())[9].1.len() < all[9].1.len()
    });
    flip(&place.disk, back.unwrap());
    let store = place.open();
    let left = read(&store)[9].1.len();
    let newest = all[0].1.last().unwrap().0;
    for minute in 1..=720 {
        let time_ms = newest + minute * MINUTE;
        place.clock.set(time_ms);
        write(&store, &[(&all[0].0, time_ms, 1.0)]).unwrap();
    }
    store.maintain().unwrap();
    let status = store.status();
    assert!(status.blocks.iter().any(|block| block.level == 1));
    assert_eq!(status.corruptions_total, 1, "it does not fall when the block goes");
    let aside = place.disk.list(Path::new("/data/quarantine")).unwrap();
    assert_eq!(aside.len(), 1);
    assert!(aside[0].name.contains(dir.file_name().unwrap().to_str().unwrap()));
    let check = |store: &Store| {
        let found = read(store);
        assert_eq!((found[8].1.len(), found[9].1.len()), (all[8].1.len(), left));
    };
    check(&store);
    drop(store);
    check(&place.open());
}

#[test]
fn damaged_tombstones_put_their_block_aside() {
    let place = Place::new();
    let store = place.open();
    fill(&place, &store, 6);
    store.delete_series(&[Matcher::equal("n", "3")], TimeRange::ALL).unwrap();
    drop(store);
    let file = block_dirs(&place.disk)[0].join("tombstones");
    for at in (0..place.disk.read(&file).unwrap().len()).filter(|at| !(6..8).contains(at)) {
        let copy = Place::with_disk(place.disk.copy());
        copy.disk.edit(&file, |bytes| bytes[at] ^= 0x08);
        let problems = copy.open().status().recovery.problems;
        assert!(problems.len() == 1 && problems[0].contains("tombstones"), "{at}: {problems:?}");
    }
}

#[test]
fn retention_by_size_drops_the_oldest_blocks() {
    let mut place = Place::new();
    let store = place.open();
    fill(&place, &store, 30);
    let status = store.status();
    let in_blocks: u64 = status.blocks.iter().map(|block| block.size_bytes).sum();
    drop(store);
    place.options.retention_bytes = status.log.size_bytes + in_blocks * 2 / 3;
    let store = place.open();
    store.maintain().unwrap();
    let status = store.status();
    let oldest = status.blocks.iter().map(|block| block.min_time_ms).min().unwrap();
    let held = status.log.size_bytes + status.blocks.iter().map(|b| b.size_bytes).sum::<u64>();
    assert!(held <= place.options.retention_bytes);
    assert_eq!(read(&store)[0].1[0].0, oldest);
    assert!(!status.blocks.is_empty(), "no more than needed");
}

#[test]
fn a_snapshot_opens_as_a_store_and_is_not_changed_by_the_one_it_came_from() {
    let place = Place::new();
    let store = place.open();
    let all = fill(&place, &store, 5);
    let name = store.back_up(true).unwrap();
    let without_head = store.back_up(false).unwrap();
    let newest = all[0].1.last().unwrap().0;
    write(&store, &[(&all[0].0, newest + 1, 1.0)]).unwrap();
    store.delete_series(&[Matcher::equal("n", "5")], TimeRange::ALL).unwrap();
    store.clean_tombstones().unwrap();
    drop(store);
    let dir = |name: &str| place.options.dir.join("snapshots").join(name);
    let mut restored = Place::with_disk(place.disk.clone());
    restored.options.dir = dir(&name);
    restored.clock.set(newest);
    let store = restored.open();
    assert!(store.status().recovery.problems.is_empty());
    check_filled(&store, &all);
    assert!(write(&store, &[(&all[0].0, newest + 2, 1.0)]).unwrap().refused.is_empty());
    restored.options.dir = dir(&without_head);
    let store = restored.open();
    let in_blocks = read(&store);
    assert!(!in_blocks.is_empty() && in_blocks[0].1.len() < all[0].1.len());
}

#[test]
fn a_disk_that_is_nearly_full_is_not_filled_and_heals_by_itself() {
    let place = Place::new();
    let store = place.open();
    let a = labels("a", 1);
    write(&store, &[(&a, T0, 1.0)]).unwrap();
    place.disk.set_available(1000);
    place.clock.advance(2_000);
    let error = write(&store, &[(&a, T0 + 1, 2.0)]).unwrap_err();
    assert!(matches!(error, AppendError::Refusing { .. }));
    let text = error.to_string();
    assert!(text.contains("1000 bytes left") && text.contains("no restart is needed"), "{text}");
    assert!(store.status().log.refusing.is_some());
    check(&store, &[(&a, &[(T0, 1.0)])]);
    place.disk.set_available(1 << 30);
    place.clock.advance(2_000);
    write(&store, &[(&a, T0 + 1, 2.0)]).unwrap();
    assert!(store.status().log.refusing.is_none());
    check(&store, &[(&a, &[(T0, 1.0), (T0 + 1, 2.0)])]);
}

#[test]
fn a_merge_without_room_is_left_for_later() {
    let place = Place::new();
    let store = place.open();
    place.disk.set_available(1 << 21); // room for the log, not for more
    let all = fill(&place, &store, 12);
    assert!(store.status().blocks.iter().any(|block| block.level == 1));
    check_filled(&store, &all);
}

#[test]
fn with_high_churn_the_head_holds_only_the_series_of_late() {
    let place = Place::new();
    let store = place.open();
    let first = T0 - T0 % (2 * HOUR);
    let mut most = (0, 0);
    for step in 0..24 * 6 {
        let time_ms = first + step * 10 * MINUTE;
        place.clock.set(time_ms);
        // Of 60 pods three are replaced every ten minutes.
        let names: Vec<_> = (0..60).map(|n| labels("pod", (step * 3 + n) as usize)).collect();
        let rows: Vec<_> = names.iter().map(|labels| (labels, time_ms, step as f64)).collect();
        assert!(write(&store, &rows).unwrap().refused.is_empty());
        store.maintain().unwrap();
        let head = store.status().head;
        if step > 60 {
            most = (most.0.max(head.series), most.1.max(head.label_pairs));
        }
    }
    assert!(most.0 < 60 + 3 * 6 * 6 && most.1 < 61 + 3 * 6 * 6, "{most:?}");
}

#[test]
fn series_that_miss_samples_are_held_and_come_back() {
    let place = Place::new();
    let store = place.open();
    let mut random = fastrand::Rng::with_seed(7);
    let names: Vec<_> = (0..30).map(|n| labels("gappy", n)).collect();
    let mut model = vec![Vec::new(); names.len()];
    for step in 0..900i64 {
        let time_ms = T0 + step * 15_000;
        place.clock.set(time_ms);
        let mut rows = Vec::new();
        for (n, labels) in names.iter().enumerate() {
            if random.u8(..) >= 26 {
                model[n].push((time_ms, step as f64));
                rows.push((labels, time_ms, step as f64));
            }
        }
        assert!(write(&store, &rows).unwrap().refused.is_empty());
        if step % 100 == 0 {
            store.maintain().unwrap();
        }
    }
    let expected: Vec<_> =
        names.iter().zip(&model).map(|(labels, samples)| (labels, samples.as_slice())).collect();
    check(&store, &expected);
    drop(store);
    check(&place.open(), &expected);
}
