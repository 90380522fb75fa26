use std::collections::BTreeMap;

use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    /// Minutes to go ahead, then (series, minutes back, value bits).
    Append(i64, Vec<(usize, i64, u64)>),
    Maintain,
    Checkpoint,
    Close,
    Reopen,
    Kill,
    /// A series, and from and to how many minutes back.
    Delete(usize, i64, i64),
    CleanTombstones,
    /// Go on with a snapshot instead.
    Restore,
    /// The clock jumps by so many minutes, for the next append only.
    Clock(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let bits = prop_oneof![
        3 => (0..1000u32).prop_map(|i| (f64::from(i) / 10.0).to_bits()),
        1 => any::<u64>(),
        1 => Just(STALE_NAN.to_bits()),
    ];
    let back = prop_oneof![3 => Just(0i64), 1 => 0i64..200];
    let rows = proptest::collection::vec((0usize..5, back, bits), 1..12);
    prop_oneof![
        8 => (0i64..40, rows).prop_map(|(ahead, rows)| Step::Append(ahead, rows)),
        2 => Just(Step::Maintain),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::Close),
        1 => Just(Step::Reopen),
        1 => Just(Step::Kill),
        1 => (0usize..5, 0i64..300, 0i64..300).prop_map(|(n, a, b)| Step::Delete(n, a, b)),
        1 => Just(Step::CleanTombstones),
        1 => Just(Step::Restore),
        1 => (-600i64..600).prop_map(Step::Clock),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn the_store_holds_what_a_map_would(
        steps in proptest::collection::vec(step(), 1..120),
        window_h in prop_oneof![Just(0i64), Just(1), Just(5)],
    ) {
        let mut place = Place::new();
        place.options.out_of_order_window_ms = window_h * HOUR;
        let mut store = place.open();
        let mut model: BTreeMap<usize, BTreeMap<i64, u64>> = BTreeMap::new();
        let mut now = T0;
        for step in steps {
            match step {
                Step::Append(ahead, rows) => {
                    now += ahead * MINUTE;
                    place.clock.set(now);
                    let mut appender = store.appender();
                    let mut transaction = appender.begin();
                    for (series, back, bits) in &rows {
                        let id = transaction.series(None, &labels("m", *series));
                        let value = f64::from_bits(*bits);
                        transaction.sample(id, now - back * MINUTE, value, 0);
                    }
                    let committed = transaction.commit().unwrap();
                    // A time that is new is taken or refused for all rows that have it.
                    let mut all: BTreeMap<_, Vec<u64>> = BTreeMap::new();
                    for (series, back, bits) in rows {
                        all.entry((series, now - back * MINUTE)).or_default().push(bits);
                    }
                    for ((series, time_ms), bits) in all {
                        let labels = labels("m", series);
                        let is_this = |r: &&Refused| r.labels == labels && r.time_ms == time_ms;
                        if committed.refused.iter().filter(is_this).count() < bits.len() {
                            let samples = model.entry(series).or_default();
                            samples.entry(time_ms).or_insert(bits[0]);
                        }
                    }
                }
                Step::Maintain => store.maintain().unwrap(),
                Step::Checkpoint => store.checkpoint().unwrap(),
                Step::Close => {
                    store.close().unwrap();
                    drop(store);
                    store = place.open();
                }
                Step::Delete(series, a, b) => {
                    let range =
                        TimeRange::new(now - a.max(b) * MINUTE, now - a.min(b) * MINUTE);
                    let matcher = Matcher::equal("n", &series.to_string());
                    store.delete_series(&[matcher], range).unwrap();
                    if let Some(samples) = model.get_mut(&series) {
                        samples.retain(|time_ms, _| !range.contains(*time_ms));
                    }
                }
                Step::CleanTombstones => store.clean_tombstones().unwrap(),
                Step::Clock(minutes) => place.clock.set(now + minutes * MINUTE),
                Step::Restore => {
                    let name = store.back_up(true).unwrap();
                    drop(store);
                    place.options.dir = place.options.dir.join("snapshots").join(name);
                    store = place.open();
                }
                Step::Reopen => {
                    drop(store);
                    store = place.open();
                }
                Step::Kill => {
                    let options = place.options.clone();
                    let clock = place.clock.clone();
                    place = Place { disk: place.disk.copy(), clock, options };
                    store = place.open();
                }
            }
        }
        let expected: Vec<_> = model
            .into_iter()
            .filter(|(_, samples)| !samples.is_empty())
            .map(|(n, samples)| (labels("m", n).to_string(), samples.into_iter().collect()))
            .collect();
        let mut found: Vec<(String, Vec<(i64, u64)>)> = read(&store);
        // What was deleted from a block may leave a series that is selected and has no sample.
        found.retain(|(_, samples)| !samples.is_empty());
        prop_assert_eq!(&found, &expected);
        prop_assert!(store.status().recovery.problems.is_empty());
    }
}
