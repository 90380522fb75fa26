//! Forecasts of days: a pattern goes on, a new level is followed, and the interval is honest.

use forewarn::learn::{Foreseen, Profile};
use proptest::prelude::*;

use super::support::{START_MS, busy, noise};

const MIN_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MIN_MS;

/// Feeds `count` periods from the start on.
fn fed(period_ms: i64, count: i64, mut value: impl FnMut(i64) -> f64) -> Profile {
    let mut profile = Profile::new(period_ms);
    for time_ms in (0..count).map(|period| START_MS + period * period_ms) {
        profile.learn(time_ms, value(time_ms));
    }
    profile
}

/// Returns the share of the truth that is within the interval, and how far off the median is on
/// average, as a share of the truth's mean.
fn judged(foreseen: &[Foreseen], truth: impl Fn(i64) -> f64) -> (f64, f64) {
    let (mut within, mut error, mut sum) = (0.0, 0.0, 0.0);
    for said in foreseen {
        let x = truth(said.time_ms);
        within += f64::from(u8::from((said.lower..=said.upper).contains(&x)));
        error += (said.median - x).abs();
        sum += x.abs();
    }
    (within / foreseen.len() as f64, error / sum)
}

#[test]
fn a_clean_week_goes_on() {
    // Friday noon: a weekend is ahead.
    let profile = fed(HOUR_MS, 4 * 168 + 108, busy);
    let foreseen = profile.forecast(72);
    let next_ms = START_MS + (4 * 168 + 108) * HOUR_MS;
    let times: Vec<i64> = foreseen.iter().map(|said| said.time_ms).collect();
    assert_eq!(times, (0..72).map(|hour| next_ms + hour * HOUR_MS).collect::<Vec<_>>());
    let (within, error) = judged(&foreseen, busy);
    assert!(within == 1.0 && error < 0.01, "{within} {error}");
    // The day before is no guide to a weekend: without weeks, the error would be this.
    let repeated =
        |time_ms: i64| busy(next_ms - 24 * HOUR_MS + (time_ms - next_ms) % (24 * HOUR_MS));
    assert!(judged(&foreseen, repeated).1 > 0.1);
}

#[test]
fn noise_stays_within_the_interval_as_often_as_is_said() {
    let mut rng = fastrand::Rng::with_seed(7);
    let (mut within, mut error) = (0.0, 0.0);
    for _ in 0..30 {
        let hours = 600 + rng.i64(0..200);
        let profile = fed(HOUR_MS, hours, |at| busy(at) * (1.0 + 0.1 * noise(&mut rng)));
        let truth: Vec<f64> = (0..48).map(|_| 1.0 + 0.1 * noise(&mut rng)).collect();
        let foreseen = profile.forecast(48);
        let first_ms = foreseen[0].time_ms;
        let judged = judged(&foreseen, |at| busy(at) * truth[((at - first_ms) / HOUR_MS) as usize]);
        within += judged.0 / 30.0;
        error += judged.1 / 30.0;
    }
    assert!((0.92..=0.985).contains(&within), "{within}");
    // The noise alone is 0.08.
    assert!(error < 0.1, "{error}");
}

#[test]
fn a_new_level_is_followed() {
    let shift_ms = START_MS + 21 * 24 * HOUR_MS;
    let shifted = |at: i64| if at < shift_ms { busy(at) } else { 2.0 * busy(at) };
    let mut rng = fastrand::Rng::with_seed(3);
    let profile = fed(HOUR_MS, 24 * 24, |at| shifted(at) * (1.0 + 0.02 * noise(&mut rng)));
    let (within, error) = judged(&profile.forecast(24), shifted);
    assert!(within >= 0.9 && error < 0.15, "{within} {error}");
    assert!(judged(&profile.forecast(24), busy).1 > 0.7);
}

#[test]
fn what_was_never_negative_never_will_be() {
    // Falls towards 0, with bursts from 0.
    let mut rng = fastrand::Rng::with_seed(4);
    let falling = |at: i64| (500.0 - (at - START_MS) as f64 / HOUR_MS as f64).max(0.0);
    let bursts = |rng: &mut fastrand::Rng| if rng.u8(..) < 20 { rng.f64() * 100.0 } else { 0.0 };
    for profile in [fed(HOUR_MS, 520, falling), fed(HOUR_MS, 500, |_| bursts(&mut rng))] {
        assert!(profile.forecast(96).iter().all(|said| said.lower >= 0.0 && said.median >= 0.0));
    }
    // What was negative may be so again.
    let profile = fed(HOUR_MS, 500, |at| busy(at) - 200.0);
    assert!(profile.forecast(48).iter().any(|said| said.median < -50.0));
}

#[test]
fn a_constant_series_stays_within_its_interval() {
    for x in [0.0, 1.0, -7.3, 4096.1, 1e-300, 1e300, f64::MAX, -f64::MAX, f64::MIN_POSITIVE] {
        let foreseen = fed(HOUR_MS, 100, |_| x).forecast(48);
        assert_eq!(foreseen.len(), 48);
        for said in foreseen {
            assert!((said.lower..=said.upper).contains(&x), "{x} {said:?}");
            assert!(said.upper - said.lower <= (1e-6 * x.abs()).max(1e-18), "{x} {said:?}");
        }
    }
}

#[test]
fn other_periods_have_their_own_seasons() {
    // Five minutes: the day has 288; weeks are not kept.
    let day = |at: i64| 10.0 - (at as f64 / (24 * HOUR_MS) as f64 * std::f64::consts::TAU).cos();
    let (within, error) = judged(&fed(5 * MIN_MS, 1_400, day).forecast(288), day);
    assert!(within > 0.99 && error < 0.01, "{within} {error}");
    // A day: the week has 7.
    let week = |at: i64| if (at - START_MS) / (24 * HOUR_MS) % 7 >= 5 { 40.0 } else { 100.0 };
    let (within, error) = judged(&fed(24 * HOUR_MS, 100, week).forecast(14), week);
    assert!(within > 0.99 && error < 0.02, "{within} {error}");
    // A minute: neither; the level goes on.
    let foreseen = fed(MIN_MS, 1_400, |_| 3.0).forecast(60);
    assert!(foreseen.iter().all(|said| (said.median - 3.0).abs() < 1e-6));
}

#[test]
fn gaps_are_bridged_and_long_ones_begin_anew() {
    let whole = fed(HOUR_MS, 600, busy);
    for missing in [1, 5, 30, 100] {
        let mut profile = Profile::new(HOUR_MS);
        for hour in (0..600).filter(|hour| !(400..400 + missing).contains(hour)) {
            profile.learn(START_MS + hour * HOUR_MS, busy(START_MS + hour * HOUR_MS));
        }
        let (_, error) = judged(&profile.forecast(48), busy);
        assert!(error < 0.05, "{missing} {error}");
    }
    let mut late = whole.clone();
    late.learn(START_MS + 2_000 * HOUR_MS, 5.0);
    assert_eq!(late.forecast(1), []);
    let mut fresh = Profile::new(HOUR_MS);
    fresh.learn(START_MS + 2_000 * HOUR_MS, 5.0);
    assert_eq!(late.serialize(), fresh.serialize());
}

#[test]
fn what_is_no_number_or_not_newer_changes_nothing() {
    let mut profile = fed(HOUR_MS, 300, busy);
    let before = profile.serialize();
    let last_ms = START_MS + 299 * HOUR_MS;
    for x in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        profile.learn(last_ms + HOUR_MS, x);
    }
    for time_ms in [last_ms, last_ms + HOUR_MS - 1, last_ms - HOUR_MS, 0, i64::MIN] {
        profile.learn(time_ms, 1e9);
    }
    profile.forecast(48);
    assert_eq!(profile.serialize(), before);
}

#[test]
fn nobody_can_tell_from_little() {
    for hours in [0, 1, 47] {
        assert_eq!(fed(HOUR_MS, hours, busy).forecast(24), [], "{hours}");
    }
    let profile = fed(HOUR_MS, 48, busy);
    assert_eq!((profile.forecast(48).len(), profile.forecast(49).len()), (48, 0));
    assert_eq!(profile.forecast(0), []);
}

#[test]
fn states_read_back_to_the_bit_and_damage_is_noticed() {
    let mut rng = fastrand::Rng::with_seed(5);
    let mut profile = fed(HOUR_MS, 1_500, |at| busy(at) + noise(&mut rng));
    let bytes = profile.serialize();
    assert_eq!(bytes.len(), 6 + 2 * 8 + 1_344 * 8 + 8);
    let mut restored = Profile::restore(HOUR_MS, &bytes).unwrap();
    assert_eq!(restored.serialize(), bytes);
    assert_eq!(restored.forecast(48), profile.forecast(48));
    for hour in 1_500..1_550 {
        for profile in [&mut restored, &mut profile] {
            profile.learn(START_MS + hour * HOUR_MS, 100.0);
        }
    }
    assert_eq!(restored.forecast(48), profile.forecast(48));

    let error = |bytes: &[u8]| Profile::restore(HOUR_MS, bytes).unwrap_err().to_string();
    assert!(error(&[]).contains("cut short"));
    assert!(error(b"FWCR123456789012").contains("not the state of a profile"));
    let mut damaged = bytes;
    damaged[700] ^= 1;
    assert!(error(&damaged).contains("checksum"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever comes: what is foretold is finite and in order, and learning goes on.
    #[test]
    fn nothing_poisons_it(
        seed in any::<u64>(),
        scale in prop::sample::select(vec![5e-324, 1e-300, 1.0, 1e300, 1.7e308]),
        period_ms in prop::sample::select(vec![i64::MIN, 1, 300_000, HOUR_MS, 24 * HOUR_MS, i64::MAX]),
        horizon in 0usize..200,
    ) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut profile = Profile::new(period_ms);
        let mut time_ms = if rng.bool() { START_MS } else { i64::MIN };
        let (step_ms, sign) = (period_ms.clamp(1, 24 * HOUR_MS), rng.bool());
        for _ in 0..rng.usize(..1_500) {
            time_ms = time_ms.saturating_add(step_ms * rng.choice([1, 1, 1, 1, 0, -1, 2, 40]).unwrap());
            let x = match rng.u8(..20) {
                0 => 0.0,
                1 => f64::NAN,
                2 => f64::INFINITY,
                3 => 1e-3,
                4 => rng.f64() * f64::MAX,
                _ => scale * rng.f64(),
            };
            profile.learn(time_ms, if sign && rng.bool() { -x } else { x });
        }
        for said in profile.forecast(horizon) {
            prop_assert!(said.lower <= said.median && said.median <= said.upper, "{:?}", said);
            prop_assert!(said.lower.is_finite() && said.upper.is_finite(), "{:?}", said);
        }
        let last_ms = time_ms.saturating_add(2_000 * step_ms);
        for period in 0..100 {
            profile.learn(last_ms.saturating_add(period * step_ms), 2.0);
        }
        if time_ms > 0 && period_ms == HOUR_MS {
            let foreseen = profile.forecast(1);
            prop_assert!((foreseen[0].median - 2.0).abs() < 1e-6, "{:?}", foreseen);
        }
    }

    /// A series in other units (by a power of two) gives the same forecast in those units.
    #[test]
    fn scaling_by_1024_scales_the_forecast(seed in any::<u64>(), below in 0.0f64..200.0) {
        let series = |scale: f64| {
            let mut rng = fastrand::Rng::with_seed(seed);
            fed(HOUR_MS, 400, |at| scale * (busy(at) + 9.0 * noise(&mut rng) - below)).forecast(48)
        };
        for (plain, scaled) in series(1.0).iter().zip(series(1024.0)) {
            prop_assert_eq!(1024.0 * plain.median, scaled.median);
            prop_assert_eq!((1024.0 * plain.lower, 1024.0 * plain.upper), (scaled.lower, scaled.upper));
        }
    }

    /// What comes later changes nothing of what was said, and a replay says the same.
    #[test]
    fn a_replay_says_the_same(seed in any::<u64>(), hours in 48i64..1_600) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let values: Vec<f64> = (0..1_600).map(|_| 50.0 + noise(&mut rng)).collect();
        let value = |at: i64| values[((at - START_MS) / HOUR_MS) as usize];
        let mut live = Profile::new(HOUR_MS);
        let mut said = Vec::new();
        for time_ms in (0..1_600).map(|hour| START_MS + hour * HOUR_MS) {
            live.learn(time_ms, value(time_ms));
            if time_ms == START_MS + (hours - 1) * HOUR_MS {
                said = live.forecast(24);
            }
        }
        prop_assert_eq!(said, fed(HOUR_MS, hours, value).forecast(24));
    }
}
