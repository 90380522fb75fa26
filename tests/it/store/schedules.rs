//! Readers beside a writer and upkeep, step by step under schedules that can be repeated.
//!
//! Steps are between the calls of the store, and within upkeep at each call of the disk for a block,
//! a checkpoint or a segment that is removed: no lock that others wait for is held there.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use super::hooked::{Call, HookedDisk};
use super::*;

const STEP: i64 = 10 * MINUTE;
const STEPS: i64 = 40;
const SCHEDULES: usize = 500;

fn place_with_steps() -> (Place, Arc<Store>) {
    let place = Place::new();
    let is_step = |path: &Path, call| {
        let path = path.to_string_lossy();
        let in_block = path.contains("/blocks");
        let in_checkpoint = path.contains(".checkpoint");
        (in_block || in_checkpoint) && call != Call::Appended
    };
    let is_open = Arc::new(AtomicBool::new(false));
    let disk = {
        let is_open = Arc::clone(&is_open);
        HookedDisk::new(&place.disk, move |path, call| {
            if is_open.load(Ordering::SeqCst) && is_step(path, call) {
                shuttle::thread::yield_now();
            }
        })
    };
    let store = Store::open(place.options.clone(), Arc::new(disk), place.clock.clone()).unwrap();
    is_open.store(true, Ordering::SeqCst);
    (place, Arc::new(store))
}

/// Returns how many blocks were cut.
fn one_schedule() -> u64 {
    let (place, store) = place_with_steps();
    let first = T0 - T0 % (2 * HOUR);
    let all: Vec<_> = (0..3).map(|n| labels("m", n)).collect();
    // How many steps are acknowledged.
    let written = Arc::new(AtomicI64::new(0));
    let has_ended = Arc::new(AtomicBool::new(false));
    let mut threads = Vec::new();
    {
        let (store, written, all) = (Arc::clone(&store), Arc::clone(&written), all.clone());
        let (clock, has_ended) = (place.clock.clone(), Arc::clone(&has_ended));
        threads.push(shuttle::thread::spawn(move || {
            for step in 0..STEPS {
                let time_ms = first + step * STEP;
                clock.set(time_ms);
                let rows: Vec<_> =
                    all.iter().map(|labels| (labels, time_ms, step as f64)).collect();
                write(&store, &rows).unwrap();
                written.store(step + 1, Ordering::SeqCst);
                shuttle::thread::yield_now();
            }
            has_ended.store(true, Ordering::SeqCst);
        }));
    }
    {
        let (store, has_ended) = (Arc::clone(&store), Arc::clone(&has_ended));
        threads.push(shuttle::thread::spawn(move || {
            while !has_ended.load(Ordering::SeqCst) {
                store.maintain().unwrap();
                shuttle::thread::yield_now();
                store.checkpoint().unwrap();
                shuttle::thread::yield_now();
            }
        }));
    }
    for _ in 0..2 {
        let (store, written) = (Arc::clone(&store), Arc::clone(&written));
        let has_ended = Arc::clone(&has_ended);
        threads.push(shuttle::thread::spawn(move || {
            let mut points = Points::default();
            while !has_ended.load(Ordering::SeqCst) {
                let before = written.load(Ordering::SeqCst);
                let snapshot = store.snapshot();
                shuttle::thread::yield_now();
                let selected = snapshot.select(&[], TimeRange::ALL).unwrap();
                assert!(before == 0 || selected.len() == 3);
                for series in selected {
                    shuttle::thread::yield_now();
                    snapshot.read(&series, TimeRange::ALL, &mut points).unwrap();
                    // Each step once, with none missing, and all that were acknowledged.
                    let count = points.len() as i64;
                    let times: Vec<_> = (0..count).map(|step| first + step * STEP).collect();
                    assert_eq!(points.times_ms, times);
                    assert!(count >= before, "{count} of {before}");
                }
            }
        }));
    }
    for thread in threads {
        thread.join().unwrap();
    }
    store.status().compactions_total
}

#[test]
fn readers_see_each_sample_once_whatever_upkeep_does_between_their_steps() {
    let mut config = shuttle::Config::new();
    config.stack_size = 1 << 20;
    let scheduler = shuttle::scheduler::RandomScheduler::new(SCHEDULES);
    let cut = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&cut);
    shuttle::Runner::new(scheduler, config).run(move || {
        counted.fetch_add(one_schedule(), Ordering::SeqCst);
    });
    assert!(cut.load(Ordering::SeqCst) > SCHEDULES as u64, "{cut:?} blocks");
}
