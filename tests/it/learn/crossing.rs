//! Forecasts: a drain is warned about in time, and what merely moves is not.

use forewarn::learn::{Ahead, Crossing, Direction, Outlook};
use proptest::prelude::*;

use super::support::{self, noise};

const S: i64 = 1_000;
const MIN: i64 = 60 * S;
const HOUR: i64 = 60 * MIN;
const DAY: i64 = 24 * HOUR;
const START_MS: i64 = support::START_MS;

/// As rules do: on when two of three are at least `p`; returns how often that begins, and when
/// first.
struct Warnings {
    p: f64,
    sure: u8,
    unsure: u32,
    is_on: bool,
    begun: usize,
    first_ms: Option<i64>,
}

impl Warnings {
    fn new(p: f64) -> Warnings {
        Warnings { p, sure: 0, unsure: 0, is_on: false, begun: 0, first_ms: None }
    }

    fn hear(&mut self, time_ms: i64, outlook: &Outlook) {
        let p = match outlook {
            Outlook::Unknown => return,
            Outlook::Across => 1.0,
            Outlook::Ahead(ahead) => ahead.p,
        };
        self.sure = (self.sure << 1 | u8::from(p >= self.p)) & 0b111;
        self.unsure = if p < 0.55 * self.p { self.unsure + 1 } else { 0 };
        let begins = self.sure.count_ones() >= 2;
        if begins && !self.is_on {
            self.begun += 1;
            self.first_ms.get_or_insert(time_ms);
        }
        self.is_on = begins || self.is_on && self.unsure < 3;
    }
}

/// The step that a rule evaluated `every` feeds a forecast at.
fn step_ms(every_ms: i64, within_ms: i64) -> i64 {
    every_ms.min((within_ms / 48).clamp(S, MIN))
}

fn run(
    crossing: &mut Crossing,
    warnings: &mut Warnings,
    (from_ms, to_ms, step_ms): (i64, i64, i64),
    limit: f64,
    mut value: impl FnMut(i64) -> f64,
) {
    let mut now_ms = from_ms;
    while now_ms < to_ms {
        warnings.hear(now_ms, &crossing.observe(now_ms, value(now_ms), limit));
        now_ms += step_ms;
    }
}

#[test]
fn a_drain_that_ends_in_ten_minutes_is_known_within_three() {
    for every_ms in [S, 15 * S, 30 * S] {
        for within_ms in [10 * MIN, 12 * MIN, HOUR, 12 * HOUR] {
            for jitter in [0.0, 0.3] {
                let step_ms = step_ms(every_ms, within_ms);
                let mut crossing = Crossing::new(Direction::FromAbove, step_ms, within_ms);
                let mut warnings = Warnings::new(0.8);
                let mut rng = fastrand::Rng::with_seed(1);
                run(&mut crossing, &mut warnings, (0, 3 * MIN + 1, step_ms), 0.0, |now_ms| {
                    // Sampled each second, a little late.
                    (600.0 - now_ms as f64 / 1000.0 - jitter * rng.f64()) * 1e6
                });
                assert!(warnings.first_ms.is_some(), "{every_ms} {within_ms} {jitter}");
            }
        }
    }
}

#[test]
fn the_time_left_is_right() {
    let mut crossing = Crossing::new(Direction::FromBelow, MIN, 6 * HOUR);
    let mut rng = fastrand::Rng::with_seed(3);
    let mut outlook = Outlook::Unknown;
    for minute in 0..600 {
        let value = 100.0 + minute as f64 + 2.0 * noise(&mut rng);
        outlook = crossing.observe(START_MS + minute * MIN, value, 900.0);
    }
    // 200 minutes to go.
    let Outlook::Ahead(Ahead { p, eta_p10_s, eta_p50_s, eta_p90_s, slope_per_s, .. }) = outlook
    else {
        panic!("{outlook:?}")
    };
    assert!(p > 0.8, "{p}");
    let [early, middle] = [eta_p10_s, eta_p50_s].map(Option::unwrap);
    assert!(early < middle && eta_p90_s.is_none_or(|late| middle < late));
    assert!((middle / 12_000.0 - 1.0).abs() < 0.1, "{middle}");
    assert!((slope_per_s * 60.0 - 1.0).abs() < 0.1, "{slope_per_s}");
}

/// What moves without ever reaching its limit, over two weeks: how often is a page begun?
#[track_caller]
fn check_quiet(
    what: &str,
    limit: f64,
    most: usize,
    make: impl Fn(u64) -> Box<dyn FnMut(i64) -> f64>,
) {
    for within_ms in [HOUR, 6 * HOUR] {
        let mut begun = Vec::new();
        for seed in 0..3 {
            let mut crossing = Crossing::new(Direction::FromBelow, 2 * MIN, within_ms);
            let mut warnings = Warnings::new(0.8);
            let times = (START_MS, START_MS + 14 * DAY, 2 * MIN);
            run(&mut crossing, &mut warnings, times, limit, make(seed));
            begun.push(warnings.begun);
        }
        println!("{what} within {} h: {begun:?} pages in 3 x 2 weeks", within_ms / HOUR);
        assert!(begun.iter().sum::<usize>() <= most, "{what} {within_ms}: {begun:?}");
    }
}

#[test]
fn noise_is_quiet() {
    check_quiet("noise", 106.0, 0, |seed| {
        let mut rng = fastrand::Rng::with_seed(seed);
        Box::new(move |_| 100.0 + noise(&mut rng))
    });
    check_quiet("constant", 106.0, 0, |_| Box::new(|_| 100.0));
}

#[test]
fn a_log_that_is_rotated_is_quiet_once_known() {
    // Two pages before the first rotations are seen are honest.
    check_quiet("sawtooth", 100.0, 6, |seed| {
        let mut rng = fastrand::Rng::with_seed(seed);
        Box::new(move |at| {
            20.0 + 60.0 * (at % (8 * HOUR)) as f64 / (8 * HOUR) as f64 + 0.3 * noise(&mut rng)
        })
    });
}

#[test]
fn a_daily_cycle_is_quiet_once_known() {
    check_quiet("cycle", 100.0, 3, |seed| {
        let mut rng = fastrand::Rng::with_seed(seed);
        Box::new(move |at| {
            let day = (at % DAY) as f64 / DAY as f64;
            50.0 - 38.0 * (std::f64::consts::TAU * day).cos() + noise(&mut rng)
        })
    });
}

#[test]
fn steps_are_quiet() {
    check_quiet("steps", 100.0, 1, |seed| {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut level = 30.0;
        Box::new(move |at| {
            if at % (7 * HOUR) == 0 {
                level = 20.0 + 50.0 * rng.f64();
            }
            level + 0.5 * noise(&mut rng)
        })
    });
}

#[test]
fn a_random_walk_is_nearly_quiet() {
    check_quiet("random walk", 100.0, 2, |seed| {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut level = 50.0;
        Box::new(move |_| {
            level += 0.002 * (50.0 - level) + 0.5 * noise(&mut rng);
            level = f64::min(level, 99.0);
            level
        })
    });
}

#[test]
fn a_leak_after_quiet_weeks_is_known_long_before_the_end() {
    for (within_ms, rise_ms) in [(HOUR, 2 * HOUR), (6 * HOUR, 9 * HOUR), (6 * HOUR, 3 * HOUR)] {
        for seed in 0..2 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut crossing = Crossing::new(Direction::FromBelow, MIN, within_ms);
            let mut warnings = Warnings::new(0.8);
            let leak_ms = START_MS + 4 * DAY;
            let mut value = |at: i64| {
                let day = (at % DAY) as f64 / DAY as f64;
                let leak = 60.0 * (at - leak_ms).max(0) as f64 / rise_ms as f64;
                40.0 + 3.0 * (std::f64::consts::TAU * day).cos() + 0.5 * noise(&mut rng) + leak
            };
            run(&mut crossing, &mut warnings, (START_MS, leak_ms, MIN), 100.0, &mut value);
            assert_eq!(warnings.begun, 0, "{within_ms} {rise_ms} {seed}");
            let end_ms = leak_ms + rise_ms;
            run(&mut crossing, &mut warnings, (leak_ms, end_ms, MIN), 100.0, &mut value);
            let lead_ms = end_ms - warnings.first_ms.unwrap_or(end_ms);
            println!(
                "leak over {} min, within {} min: {} min before",
                rise_ms / MIN,
                within_ms / MIN,
                lead_ms / MIN
            );
            assert!(
                lead_ms > within_ms.min(rise_ms) / 6,
                "{within_ms} {rise_ms} {seed}: {lead_ms}"
            );
        }
    }
}

#[test]
fn nobody_can_tell_without_samples_or_a_limit() {
    let mut crossing = Crossing::new(Direction::FromBelow, MIN, HOUR);
    for minute in 0..4 {
        let outlook = crossing.observe(minute * MIN, minute as f64, 100.0);
        assert_eq!(outlook, Outlook::Unknown, "{minute}");
    }
    assert_eq!(crossing.observe(4 * MIN, 100.0, 100.0), Outlook::Across);
    for minute in 5..60 {
        crossing.observe(minute * MIN, minute as f64, 100.0);
    }
    assert_eq!(crossing.outlook(60 * MIN, 60.0, f64::NAN), Outlook::Unknown);
    assert_eq!(crossing.outlook(60 * MIN, f64::NAN, 100.0), Outlook::Unknown);
    assert!(matches!(crossing.outlook(60 * MIN, 60.0, 100.0), Outlook::Ahead(_)));
    assert_eq!(crossing.outlook(200 * MIN, 60.0, 100.0), Outlook::Unknown, "a gap");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever comes: probabilities are probabilities, times are in order, a state read back goes
    /// on as the original, to the bit.
    #[test]
    fn sound_whatever_comes(
        seed in any::<u64>(),
        scale in prop::sample::select(vec![1e-300, 1e-9, 1.0, 1e9, 1e149, 1e300]),
        within_ms in prop::sample::select(vec![S, 10 * MIN, 12 * HOUR, 5 * DAY]),
        from_above in any::<bool>(),
    ) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let direction = if from_above { Direction::FromAbove } else { Direction::FromBelow };
        let mut crossing = Crossing::new(direction, MIN, within_ms);
        let (mut at_ms, mut walk) = (START_MS, 0.0);
        for step in 0..2000 {
            at_ms += if rng.u8(..) < 3 { 40 * MIN } else { MIN };
            walk += noise(&mut rng);
            let x = scale * match rng.u8(..) {
                0 => 0.0,
                1 => f64::INFINITY,
                2 => f64::NAN,
                3 => -1000.0 * walk,
                4..100 => walk.round(),
                _ => walk,
            };
            let limit = scale * if from_above { -20.0 } else { 20.0 };
            if step % 500 == 77 {
                let bytes = crossing.serialize();
                let restored = Crossing::restore(direction, MIN, within_ms, &bytes).unwrap();
                prop_assert_eq!(restored.serialize(), bytes);
                crossing = restored;
            }
            if let Outlook::Ahead(ahead) = crossing.observe(at_ms, x, limit) {
                prop_assert!((0.0..=1.0).contains(&ahead.p), "{:?}", ahead);
                let etas = [ahead.eta_p10_s, ahead.eta_p50_s, ahead.eta_p90_s];
                let known: Vec<f64> = etas.into_iter().flatten().collect();
                prop_assert!(known.is_sorted(), "{:?}", ahead);
                prop_assert!(known.iter().all(|eta| *eta >= 0.0 && *eta <= 2.0 * within_ms as f64 / 1000.0));
            }
        }
    }
}
