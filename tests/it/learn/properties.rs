//! What always holds of a baseline, whatever its inside.

use forewarn::learn::{
    Baseline, Calendar, Reading, Season, Verdict, default_threshold, of_member, reading_of_member,
};

use super::support::{DAY_MS, HOUR_MS, MINUTE_MS, Run, START_MS, busy, noise};

const STEP_MS: i64 = 5 * MINUTE_MS;

fn fresh() -> Baseline {
    Baseline::new(Season::HourOfWeek, Calendar::utc())
}

/// A service with noise, a gap, a shift, a spike and rows that are no number.
fn eventful(count: i64) -> Vec<(i64, f64)> {
    let mut rng = fastrand::Rng::with_seed(31);
    let mut sample = |k: i64| {
        let at_ms = START_MS + k * STEP_MS + if k > 2_000 { 40 * HOUR_MS } else { 0 };
        let x = busy(at_ms) * (1.0 + 0.05 * noise(&mut rng));
        let x = match k {
            1_500 => 9.0 * x,
            1_700..2_000 => 1.5 * x,
            k if k % 311 == 0 => f64::NAN,
            _ => x,
        };
        (at_ms, x)
    };
    (0..count).map(&mut sample).collect()
}

#[test]
fn a_verdict_is_given_before_the_value_is_learned() {
    let (samples, threshold) = (eventful(3_000), default_threshold(STEP_MS));
    let mut baseline = fresh();
    for (k, (at_ms, x)) in samples.into_iter().enumerate() {
        // What is asked about in between, and how, changes nothing.
        let before = baseline.clone();
        let asked = [1.0, 4.0].map(|threshold| before.judge(at_ms, -5.0 * x, threshold));
        let expected = before.judge(at_ms, x, threshold);
        if k % 500 == 0 {
            assert_eq!(before.serialize(), baseline.serialize());
        }
        assert_eq!(baseline.observe(at_ms, x, threshold), expected);
        if let ([Some(asked), _], Some(expected)) = (asked, expected) {
            assert_eq!(asked.expected, expected.expected, "the value is not known yet");
        }
    }
}

#[test]
fn a_reading_has_the_score_of_a_verdict_at_every_threshold() {
    let mut baseline = fresh();
    for (at_ms, x) in eventful(2_500) {
        let expected = baseline.read(at_ms, x).map_or(x, |reading| reading.expected);
        for value in [x, 1.3 * x, expected] {
            let reading = baseline.read(at_ms, value);
            for threshold in [0.05, 1.9, 2.63, 4.6] {
                let verdict = baseline.judge(at_ms, value, threshold);
                let said = |of: Option<Verdict>| of.map(|v| (v.expected, v.side, v.shift, v.score));
                let read = |of: Option<Reading>| {
                    of.map(|r| (r.expected, r.side, r.shift, r.score(threshold)))
                };
                assert_eq!(said(verdict), read(reading), "{at_ms} {value} {threshold}");
                // Beside peers, far off and within a percent.
                for (median, member) in [(10.0, 10.0 + value), (1e6, 1e6 + value)] {
                    assert_eq!(
                        said(verdict.map(|verdict| of_member(median, member, &verdict))),
                        read(reading.map(|reading| reading_of_member(median, member, &reading)))
                    );
                }
            }
        }
        baseline.learn(at_ms, x);
    }
}

/// Also where another value was judged: what is drawn beside a value is not only right about it.
#[test]
fn the_band_ends_where_other_values_would_be_outside() {
    let (mut baseline, threshold) = (fresh(), default_threshold(STEP_MS));
    let mut edges = 0;
    for (k, (at_ms, x)) in eventful(4_000).into_iter().enumerate() {
        let score = |value: f64| baseline.judge(at_ms, value, threshold).map(|said| said.score);
        if let Some(said) = baseline.judge(at_ms, x, threshold).filter(|_| k % 3 == 0) {
            // The value's own side has its edge from the value itself.
            let edge = if x > said.expected { said.lower } else { said.upper };
            let at = |share: f64| said.expected + share * (edge - said.expected);
            assert!(score(at(1.003)).unwrap() >= 1.0, "{k}: {said:?}");
            assert!(score(at(0.997)).unwrap() < 1.0, "{k}: {said:?}");
            edges += usize::from(edge != said.expected);
        }
        baseline.learn(at_ms, x);
    }
    assert!(edges > 1_000, "{edges}");
}

#[test]
fn a_replay_says_what_was_said_live_with_all_its_restarts() {
    let (samples, threshold) = (eventful(4_000), default_threshold(STEP_MS));
    let (mut live, mut replayed) = (fresh(), fresh());
    for (k, (at_ms, x)) in samples.iter().enumerate() {
        if k % 193 == 0 {
            let state = live.serialize();
            live = Baseline::restore(Season::HourOfWeek, Calendar::utc(), &state).unwrap();
        }
        let said = live.observe(*at_ms, *x, threshold);
        assert_eq!(said, replayed.observe(*at_ms, *x, threshold), "{k}");
    }
    assert_eq!(live.serialize(), replayed.serialize());
}

#[test]
fn a_unit_that_is_no_power_of_two_changes_no_decision() {
    for factor in [1_000.0, 1e-3, 3.7, 1e-12, 1e290, 1e-290] {
        let mut rng = fastrand::Rng::with_seed(9);
        let (mut plain, mut scaled, mut outside) = (fresh(), fresh(), 0);
        for k in 0..4_000 {
            let at_ms = START_MS + k * STEP_MS;
            let x = busy(at_ms) * (1.0 + 0.1 * noise(&mut rng));
            let x = if k % 700 == 699 { 2.0 * x } else { x };
            let (a, b) = (plain.observe(at_ms, x, 2.0), scaled.observe(at_ms, factor * x, 2.0));
            let (Some(a), Some(b)) = (a, b) else {
                assert!(k < 60 && a.is_none() && b.is_none());
                continue;
            };
            // Single and half floats round other units otherwise.
            let is_near_edge = (a.score - 1.0).abs() < 0.05;
            assert!(
                (a.score >= 1.0) == (b.score >= 1.0) || is_near_edge,
                "{factor} {k}: {a:?} {b:?}"
            );
            outside += usize::from(a.score >= 1.0);
        }
        assert!(outside >= 3, "{outside}");
    }
}

#[test]
fn zeros_are_silent_and_what_comes_after_them_is_not() {
    for step_ms in [MINUTE_MS, HOUR_MS] {
        let mut run = Run::new(Season::HourOfWeek, step_ms);
        run.learn(20 * DAY_MS, |_| 0.0);
        assert_eq!(run.feed(2 * DAY_MS, |_| 0.0).outside, []);
        for x in [1.0, 1e-300, -5.0, 1e300] {
            let said = run.baseline.judge(run.now_ms, x, default_threshold(step_ms)).unwrap();
            assert!(said.score > 1.0, "{x} {said:?}");
        }
    }
}

/// What a spike leaves in the shape of the day is no reason to find the zeros of the next day odd.
#[test]
fn zeros_are_silent_the_day_after_a_spike_too() {
    for step_ms in [MINUTE_MS, 5 * MINUTE_MS, HOUR_MS] {
        let mut run = Run::new(Season::HourOfWeek, step_ms);
        let spikes_ms = [32, 187, 324].map(|hour| START_MS + hour * HOUR_MS);
        run.feed(21 * DAY_MS, |at| if spikes_ms.contains(&at) { 16.0 } else { 0.0 });
        let zeros = run.outside.iter().filter(|(at_ms, _)| !spikes_ms.contains(at_ms));
        assert_eq!(zeros.count(), 0, "{step_ms}: {:?}", run.outside);
    }
}

#[test]
fn scrapes_that_come_late_or_not_at_all_page_nobody() {
    for (jitter, loss) in [(0.6, 0.1), (0.0, 0.5)] {
        let mut rng = fastrand::Rng::with_seed(12);
        let mut run = Run::new(Season::HourOfWeek, STEP_MS);
        for k in 0..35 * DAY_MS / STEP_MS {
            if rng.f64() < loss {
                continue;
            }
            run.now_ms = START_MS + k * STEP_MS + (rng.f64() * jitter * STEP_MS as f64) as i64;
            let x = busy(run.now_ms) + 4.0 * noise(&mut rng);
            if k < 21 * DAY_MS / STEP_MS {
                run.baseline.learn(run.now_ms, x);
            } else {
                run.observe(x);
            }
        }
        assert!(run.pages() <= 2, "{} pages in two weeks", run.pages());
        // And trouble is found as before.
        run.feed(HOUR_MS, |at| 1.5 * busy(at));
        assert!(!run.outside.is_empty());
    }
}

#[test]
fn the_smallest_step_is_no_page_once_it_was_seen_ten_times() {
    let levels = [(0.0, 1.0), (7.0, 1.0), (7.0, -1.0), (100.0, 1.0), (0.25, 0.01)];
    let lengths = [(1, 97), (5, 97), (30, 400)];
    for step_ms in [MINUTE_MS, 5 * MINUTE_MS, HOUR_MS] {
        for ((level, step), (length, every)) in
            levels.into_iter().flat_map(|level| lengths.map(|length| (level, length)))
        {
            let mut run = Run::new(Season::HourOfWeek, step_ms);
            let mut k = 0;
            let mut value = |_| {
                k += 1;
                if k > 500 && k % every < length { level + step } else { level }
            };
            run.learn((500 + 10 * every) * step_ms, &mut value);
            run.feed(5 * every * step_ms, &mut value);
            assert_eq!(run.outside, [], "{level} by {step} for {length} of {step_ms} ms");
        }
    }
}

#[test]
fn a_level_that_lasts_half_a_day_is_accepted_at_any_step() {
    for step_ms in [MINUTE_MS, 15 * MINUTE_MS, HOUR_MS] {
        for by in [40.0, -40.0, 100.0] {
            let mut rng = fastrand::Rng::with_seed(3);
            let mut run = Run::new(Season::HourOfWeek, step_ms);
            run.learn(14 * DAY_MS, |_| 100.0 + 2.0 * noise(&mut rng));
            let mut level = |_| 100.0 + by + 2.0 * noise(&mut rng);
            run.feed(HOUR_MS, &mut level);
            assert!(!run.outside.is_empty(), "{by} at {step_ms}");
            let judge = |run: &Run| {
                run.baseline.judge(run.now_ms, 100.0 + by, default_threshold(step_ms)).unwrap()
            };
            run.learn(10 * HOUR_MS, &mut level);
            assert!(!judge(&run).relearned, "{by} at {step_ms}");
            run.learn(3 * HOUR_MS, &mut level);
            let said = judge(&run);
            assert!(said.relearned && said.shift.is_none(), "{by} at {step_ms}: {said:?}");
            assert!(said.score < 1.0, "{by} at {step_ms}: {said:?}");
        }
    }
}

/// The band follows such a level within hours; it is told of as a shift until it is accepted.
#[test]
fn a_level_that_lasts_on_top_of_a_day_is_told_of_and_then_accepted() {
    for step_ms in [MINUTE_MS, 5 * MINUTE_MS, 15 * MINUTE_MS] {
        for by in [40.0, -40.0] {
            let mut rng = fastrand::Rng::with_seed(3);
            let mut run = Run::new(Season::HourOfWeek, step_ms);
            run.learn(21 * DAY_MS + 10 * HOUR_MS, |at| busy(at) + 4.0 * noise(&mut rng));
            let mut level = |at| busy(at) + by + 4.0 * noise(&mut rng);
            run.learn(11 * HOUR_MS, &mut level);
            let judge = |run: &Run| {
                let x = busy(run.now_ms) + by;
                run.baseline.judge(run.now_ms, x, default_threshold(step_ms)).unwrap()
            };
            let said = judge(&run);
            let shift = said.shift.expect("it is told of");
            assert!((shift.to - shift.from - by).abs() < 8.0, "{by} at {step_ms}: {shift:?}");
            assert!(!said.relearned);
            run.learn(2 * HOUR_MS, &mut level);
            let said = judge(&run);
            assert!(said.relearned && said.shift.is_none(), "{by} at {step_ms}: {said:?}");
            let off = said.expected - busy(run.now_ms) - by;
            assert!(off.abs() < 12.0, "{by} at {step_ms}: {off}");
        }
    }
}

/// Returns how many times as wide the band of the next day is after an incident of some hours in which
/// all values were `times` as large, beside the same without it.
fn widened(
    value: &dyn Fn(i64) -> f64,
    (step_ms, seed): (i64, u64),
    (begin_hour, hours, times): (i64, i64, f64),
) -> f64 {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut calm = Run::new(Season::HourOfWeek, step_ms);
    calm.learn(21 * DAY_MS + begin_hour * HOUR_MS, |at| value(at) + 2.0 * noise(&mut rng));
    let mut after = calm.clone();
    let widths = [(&mut calm, 1.0), (&mut after, times)].map(|(run, times)| {
        let mut rng = fastrand::Rng::with_seed(seed + 1_000);
        run.learn(hours * HOUR_MS, |at| times * (value(at) + 2.0 * noise(&mut rng)));
        let mut usual = |at: i64| value(at) + 2.0 * noise(&mut rng);
        run.learn((16 - hours) * HOUR_MS, &mut usual);
        let width = (0..24).map(|_| {
            let said = run.baseline.judge(run.now_ms, 100.0, default_threshold(step_ms)).unwrap();
            run.learn(HOUR_MS, &mut usual);
            said.upper - said.lower
        });
        width.sum::<f64>()
    });
    widths[1] / widths[0]
}

/// Also where the incident goes over midnight. At a sample an hour the band moves by a tenth from day
/// to day without an incident too; a stop is a smaller incident, and told from noise less well.
#[test]
fn an_incident_of_ten_times_the_usual_leaves_a_band_to_judge_the_next_day_by() {
    let day = |at: i64| 100.0 + 50.0 * (std::f64::consts::TAU * at as f64 / DAY_MS as f64).sin();
    let shapes: [(&str, &dyn Fn(i64) -> f64); 2] = [("flat", &|_| 100.0), ("a day", &day)];
    let steps = [
        (MINUTE_MS, 1, 1.1, 1.1),
        (STEP_MS, 2, 1.1, 1.1),
        (15 * MINUTE_MS, 4, 1.1, 1.2),
        (HOUR_MS, 12, 1.15, 1.4),
    ];
    for ((shape, value), (step_ms, seeds, ten_max, stop_max)) in
        shapes.into_iter().flat_map(|shape| steps.map(|step| (shape, step)))
    {
        for (hours, times, most) in
            [(1, 10.0, ten_max), (6, 10.0, ten_max), (1, 0.0, stop_max), (6, 0.0, stop_max)]
        {
            let middle_max = if times > 1.0 { 1.1 } else { 1.13 };
            let cases = (0..seeds).flat_map(|seed| [0, 10, 21].map(|begin| (seed, begin)));
            let mut wider: Vec<f64> = cases
                .map(|(seed, begin)| widened(value, (step_ms, seed), (begin, hours, times)))
                .collect();
            wider.sort_by(f64::total_cmp);
            let (middle, largest) = (wider[wider.len() / 2], wider[wider.len() - 1]);
            assert!(
                middle < middle_max && largest < most,
                "{shape}, times {times} for {hours} h at {step_ms}: {middle}, at most {largest}"
            );
        }
    }
}

#[test]
fn a_changed_interval_pages_hardly_anybody_and_hides_nothing() {
    for (before_ms, after_ms) in
        [(MINUTE_MS, 5 * MINUTE_MS), (5 * MINUTE_MS, HOUR_MS), (5 * MINUTE_MS, MINUTE_MS)]
    {
        let mut rng = fastrand::Rng::with_seed(4);
        let mut run = Run::new(Season::HourOfWeek, before_ms);
        run.learn(15 * DAY_MS, |at| busy(at) + 4.0 * noise(&mut rng));
        run.step_ms = after_ms;
        let usual = run.feed(3 * DAY_MS, |at| busy(at) + 4.0 * noise(&mut rng));
        assert!(usual.pages() <= 2, "{before_ms} to {after_ms}: {}", usual.pages());
        run.feed(2 * HOUR_MS, |at| 1.5 * busy(at));
        assert!(!run.outside.is_empty(), "{before_ms} to {after_ms}");
    }
}
