//! What users rely on in the learners: no page over what is usual, a page over what is not, and
//! the same answer every time.

mod support;

mod innocent;
mod properties;
mod troubles;

mod crossing;
mod family;
mod files;
mod habit;
mod peers;
mod pictures;
mod profile;

use forewarn::learn::{Baseline, Calendar, Phase, Season, Side};
use proptest::prelude::*;

use self::support::{DAY_MS, HOUR_MS, MINUTE_MS, Run, START_MS, busy, noise};

#[test]
fn nothing_is_said_while_cold() {
    let mut baseline = Baseline::new(Season::HourOfWeek, Calendar::utc());
    for k in 0..60 {
        assert_eq!(baseline.observe(START_MS + k * MINUTE_MS, (k % 7) as f64, 2.8), None, "{k}");
        assert_eq!(baseline.phase(), if k < 59 { Phase::Cold } else { Phase::Level });
    }
    assert!(baseline.judge(START_MS + 60 * MINUTE_MS, 3.0, 2.8).is_some());
}

#[test]
fn a_usual_week_is_silent_and_incidents_are_found() {
    for (step_ms, season) in [
        (MINUTE_MS, Season::HourOfWeek),
        (5 * MINUTE_MS, Season::HourOfWeek),
        (60 * MINUTE_MS, Season::HourOfWeek),
    ] {
        for seed in 0..if step_ms == MINUTE_MS { 1 } else { 3 } {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut run = Run::new(season, step_ms);
            let mut usual = |at| busy(at) + 4.0 * noise(&mut rng);
            run.learn(14 * DAY_MS, &mut usual);
            run.feed(14 * DAY_MS, &mut usual);
            assert!(run.pages() <= 2, "step {step_ms} seed {seed}: {} pages", run.pages());
            assert_eq!(run.baseline.phase(), Phase::Week);

            let usual_run = run;
            let found = |what: &str, side: Side, hours: i64, change: &dyn Fn(f64, i64) -> f64| {
                let mut run = usual_run.clone();
                let mut rng = fastrand::Rng::with_seed(seed + 99);
                let start_ms = run.now_ms;
                // Ten o'clock on a Monday.
                run.feed(10 * 60 * MINUTE_MS, |at| busy(at) + 4.0 * noise(&mut rng));
                let start_ms = start_ms + 10 * 60 * MINUTE_MS;
                run.feed(hours * 60 * MINUTE_MS, |at| {
                    change(busy(at) + 4.0 * noise(&mut rng), at - start_ms)
                });
                let first = run.outside.first().unwrap_or_else(|| panic!("{what} at {step_ms}"));
                assert_eq!(first.1.side, side, "{what}");
            };
            found("spike", Side::Above, 2, &|x, _| x * 2.0);
            found("shift", Side::Above, 6, &|x, _| x + 45.0);
            found("stop", Side::Below, 2, &|_, _| 0.0);
            // Hourly samples follow a drift sooner than they notice it.
            if step_ms < 60 * MINUTE_MS {
                let hours = 48 * step_ms / (60 * MINUTE_MS) + 1;
                let drift = |x: f64, since: i64| x + 3.0 * (since / step_ms) as f64;
                found("drift", Side::Above, hours, &drift);
            }
        }
    }
}

#[test]
fn trouble_does_not_become_normal_while_it_lasts() {
    let mut rng = fastrand::Rng::with_seed(21);
    let mut run = Run::new(Season::HourOfWeek, 5 * MINUTE_MS);
    run.feed(15 * DAY_MS, |at| busy(at) + 4.0 * noise(&mut rng));
    // Worse and worse, for six hours.
    let start_ms = run.now_ms;
    run.feed(6 * 60 * MINUTE_MS, |at| {
        busy(at) * (1.0 + 8.0 * (at - start_ms) as f64 / DAY_MS as f64) + 4.0 * noise(&mut rng)
    });
    let first_ms = run.outside.first().map(|(at_ms, _)| at_ms - start_ms);
    assert!(first_ms.is_some_and(|after_ms| after_ms < 3 * 60 * MINUTE_MS), "{first_ms:?}");
    let (last_ms, last) = run.outside.last().unwrap();
    assert!(run.now_ms - last_ms < 15 * MINUTE_MS, "{last:?}");
    assert!((last.expected / busy(*last_ms) - 1.0).abs() < 0.25, "{last:?}");
}

#[test]
fn a_level_that_lasts_half_a_day_is_accepted() {
    let mut rng = fastrand::Rng::with_seed(22);
    let mut run = Run::new(Season::HourOfDay, 5 * MINUTE_MS);
    run.feed(10 * DAY_MS, |_| 100.0 + noise(&mut rng));
    run.feed(11 * 60 * MINUTE_MS, |_| 140.0 + noise(&mut rng));
    assert!(run.outside.len() > 60, "{}", run.outside.len());
    // Known as a shift within the hour, and marked once it is accepted.
    let (begun_ms, _) = run.outside[0];
    let shifts = run.outside.iter().filter_map(|(at_ms, said)| Some((at_ms, said.shift?)));
    let shifts: Vec<_> = shifts.collect();
    assert!(shifts[0].0 - begun_ms <= 60 * MINUTE_MS, "{:?}", shifts[0]);
    let (_, shift) = shifts.last().unwrap();
    assert!((shift.since_ms - begun_ms).abs() <= 5 * MINUTE_MS, "{shift:?}");
    assert!((shift.from - 100.0).abs() < 5.0 && (shift.to - 140.0).abs() < 5.0, "{shift:?}");
    assert!(run.outside.iter().all(|(_, said)| !said.relearned));
    run.feed(2 * 60 * MINUTE_MS, |_| 140.0 + noise(&mut rng));
    let said = run.baseline.judge(run.now_ms, 140.0, 2.8).unwrap();
    assert!(said.relearned && said.shift.is_none(), "{said:?}");
    run.feed(DAY_MS, |_| 140.0 + noise(&mut rng));
    assert_eq!(run.pages(), 0, "{:?}", run.outside.first());
}

#[test]
fn a_constant_series_never_pages_on_less_than_a_percent() {
    for level in [1.0, 1e-300, 1e300, -7.0, 4096.0] {
        for change in [0.009, -0.009] {
            let mut run = Run::new(Season::HourOfWeek, MINUTE_MS);
            run.feed(20 * DAY_MS, |_| level);
            assert_eq!(run.outside.len(), 0);
            run.feed(2 * DAY_MS, |_| level * (1.0 + change));
            assert_eq!(run.outside, [], "level {level}");
            run.feed(2 * DAY_MS, |_| level);
            assert_eq!(run.outside, [], "level {level}");
        }
    }
}

#[test]
fn what_is_no_number_changes_nothing() {
    let mut run = Run::new(Season::HourOfWeek, MINUTE_MS);
    let mut rng = fastrand::Rng::with_seed(1);
    run.feed(3 * DAY_MS, |at| busy(at) + noise(&mut rng));
    let before = run.baseline.serialize();
    let last_ms = run.now_ms - MINUTE_MS;
    for x in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1.1e300] {
        assert_eq!(run.baseline.observe(run.now_ms, x, 2.8), None);
    }
    for at_ms in [last_ms, last_ms - 1, 0, i64::MIN] {
        assert_eq!(run.baseline.observe(at_ms, 100.0, 2.8), None);
    }
    assert_eq!(run.baseline.serialize(), before);
    // A monster is found, and forgotten within the hour.
    assert!(run.baseline.observe(run.now_ms, 1e300, 2.8).unwrap().score > 1.0);
    run.now_ms += MINUTE_MS;
    run.feed(60 * MINUTE_MS, |at| busy(at) + noise(&mut rng));
    run.feed(DAY_MS, |at| busy(at) + noise(&mut rng));
    assert_eq!(run.pages(), 0);
}

#[test]
fn after_a_long_gap_ten_samples_pass_before_a_verdict() {
    let mut run = Run::new(Season::HourOfDay, MINUTE_MS);
    run.feed(4 * DAY_MS, busy);
    run.now_ms += 2 * DAY_MS;
    for k in 0..12 {
        let verdict = run.baseline.observe(run.now_ms, 1000.0, 2.8);
        assert_eq!(verdict.is_some(), k > 10, "{k}");
        run.now_ms += MINUTE_MS;
    }
}

#[test]
fn two_weeks_of_history_work_at_once() {
    let samples = |seed| {
        let mut rng = fastrand::Rng::with_seed(seed);
        (0..14 * 1440).map(move |k| {
            let at_ms = START_MS + k * MINUTE_MS;
            (at_ms, busy(at_ms) * (1.0 + 0.03 * noise(&mut rng)))
        })
    };
    let baseline = Baseline::bootstrap(Season::HourOfWeek, Calendar::utc(), samples(3));
    assert_eq!(baseline.phase(), Phase::Week);
    let mut fed = Baseline::new(Season::HourOfWeek, Calendar::utc());
    for (at_ms, x) in samples(3) {
        fed.observe(at_ms, x, 1.0);
    }
    assert_eq!(fed.serialize(), baseline.serialize(), "thresholds never change what is learned");
    let mut run = Run { baseline, ..Run::new(Season::HourOfWeek, MINUTE_MS) };
    run.now_ms = START_MS + 14 * DAY_MS;
    let mut rng = fastrand::Rng::with_seed(4);
    run.feed(3 * DAY_MS, |at| busy(at) * (1.0 + 0.03 * noise(&mut rng)));
    assert!(run.pages() <= 1, "{:?}", run.outside);
}

#[test]
fn states_read_back_to_the_bit_and_damage_is_noticed() {
    let mut run = Run::new(Season::HourOfWeek, 5 * MINUTE_MS);
    let mut rng = fastrand::Rng::with_seed(5);
    run.feed(9 * DAY_MS, |at| busy(at) + noise(&mut rng));
    let bytes = run.baseline.serialize();
    let restore = |bytes: &[u8]| Baseline::restore(Season::HourOfWeek, Calendar::utc(), bytes);
    let mut restored = restore(&bytes).unwrap();
    assert_eq!(restored.serialize(), bytes);
    for k in 0..500 {
        let (at_ms, x) = (run.now_ms + k * 5 * MINUTE_MS, 150.0 + noise(&mut rng) * 30.0);
        assert_eq!(restored.observe(at_ms, x, 2.6), run.baseline.observe(at_ms, x, 2.6));
    }

    let error = |bytes: &[u8]| restore(bytes).unwrap_err().to_string();
    assert!(error(&[]).contains("cut short"));
    assert!(error(&bytes[..bytes.len() - 8]).contains("cut short"));
    assert!(error(&[b"garbage!".to_vec(), bytes.clone()].concat()).contains("not the state of"));
    let mut other = bytes.clone();
    other[4] ^= 0x40;
    assert!(error(&other).contains("has version"));
    let mut damaged = bytes;
    damaged[700] ^= 1;
    assert!(error(&damaged).contains("checksum"));
}

#[test]
fn the_zone_moves_the_day_with_its_clock_change() {
    // Busy by Berlin's wall clock, over the change of 2024-10-27.
    let zone = Calendar::zone("Europe/Berlin").unwrap();
    let start_ms = 1_727_740_800_000;
    let wall = |at_ms: i64| {
        let day = (zone.week_ms(at_ms) % DAY_MS) as f64 / DAY_MS as f64;
        300.0 - 200.0 * (std::f64::consts::TAU * day).cos()
    };
    let mut rng = fastrand::Rng::with_seed(8);
    let mut local = Baseline::new(Season::HourOfDay, zone.clone());
    let mut outside = 0;
    for k in 0..33 * 288 {
        let at_ms = start_ms + k * 5 * MINUTE_MS;
        let x = wall(at_ms) * (1.0 + 0.02 * noise(&mut rng));
        let verdict = local.observe(at_ms, x, 2.6);
        if k > 26 * 288 {
            outside += usize::from(verdict.is_some_and(|verdict| verdict.score >= 1.0));
        }
    }
    assert!(outside <= 3, "{outside}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever comes: the band holds what is expected, it and the score agree, and nothing panics.
    #[test]
    fn band_and_score_agree(
        seed in any::<u64>(),
        scale in prop::sample::select(vec![1e-300, 1e-9, 1.0, 1e9, 1e299]),
        step_ms in prop::sample::select(vec![1, 1_000, 15_000, 60_000, 3_600_000, 86_400_000]),
        threshold in 0.01f64..6.0,
    ) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut baseline = Baseline::new(Season::HourOfWeek, Calendar::utc());
        let (mut at_ms, mut walk) = (START_MS, 0.0);
        for _ in 0..3000 {
            at_ms += if rng.u8(..) < 3 { 40 * step_ms } else { step_ms };
            walk += noise(&mut rng);
            let x = scale * match rng.u8(..) {
                0 => 0.0,
                1 => f64::INFINITY,
                2 => -1000.0 * walk,
                3..100 => walk.round(),
                _ => walk,
            };
            if let Some(verdict) = baseline.observe(at_ms, x, threshold) {
                prop_assert!(verdict.lower <= verdict.expected, "{:?}", verdict);
                prop_assert!(verdict.expected <= verdict.upper, "{:?}", verdict);
                let outside = x < verdict.lower || x > verdict.upper;
                prop_assert_eq!(outside, verdict.score >= 1.0, "{} {:?}", x, verdict);
                prop_assert!(verdict.surprise.is_finite());
            }
        }
    }

    /// A series in other units (by a power of two) gives the same decisions.
    #[test]
    fn scaling_by_1024_changes_no_decision(seed in any::<u64>()) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut plain = Baseline::new(Season::HourOfWeek, Calendar::utc());
        let mut scaled = plain.clone();
        for k in 0..4000 {
            let at_ms = START_MS + k * 5 * MINUTE_MS;
            let x = busy(at_ms) + 9.0 * noise(&mut rng);
            let (a, b) = (plain.observe(at_ms, x, 2.6), scaled.observe(at_ms, 1024.0 * x, 2.6));
            prop_assert_eq!(a.map(|v| v.score), b.map(|v| v.score));
        }
    }
}

/// A monster at the start, as a counter's first rate may be, must not blind for months.
#[test]
fn a_beginning_that_nothing_confirms_is_forgotten() {
    for step_ms in [MINUTE_MS, HOUR_MS] {
        for (nth, monster) in [(0, 1e6), (0, -1e300), (0, 1e-300), (1, 1e6), (2, 1e300), (40, 1e12)]
        {
            let mut rng = fastrand::Rng::with_seed(1);
            let mut run = Run::new(Season::HourOfWeek, step_ms);
            let odd_ms = START_MS + nth * step_ms;
            let mut value =
                |at| if at == odd_ms { monster } else { busy(at) + 4.0 * noise(&mut rng) };
            run.learn(15 * DAY_MS, &mut value);
            let said = run.baseline.judge(run.now_ms, value(run.now_ms), 2.5).unwrap();
            let off = said.expected - busy(run.now_ms);
            assert!(off.abs() < 10.0, "{monster} as {nth} at {step_ms}: {said:?}");
            assert!(said.upper - said.lower < 150.0, "{monster} as {nth} at {step_ms}: {said:?}");
        }
    }
}
