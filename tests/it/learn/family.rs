//! New members of a family know its shape from their first sample, and holidays are Sundays.

use forewarn::learn::{Baseline, Calendar, Phase, Season};

use super::support::{DAY_MS, MINUTE_MS, Run, START_MS, busy, noise};

const STEP_MS: i64 = 5 * MINUTE_MS;

fn elder() -> Run {
    let mut rng = fastrand::Rng::with_seed(31);
    let mut run = Run::new(Season::HourOfWeek, STEP_MS);
    run.feed(21 * DAY_MS, |at| busy(at) * (1.0 + 0.03 * noise(&mut rng)));
    run
}

#[test]
fn an_heir_is_judged_by_its_familys_shape_at_its_own_level() {
    let elder = elder();
    for (level, seed) in [(1.0, 1), (3.0, 2), (1e-4, 3), (7e6, 4)] {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut usual = |at| level * busy(at) * (1.0 + 0.03 * noise(&mut rng));
        let first = usual(elder.now_ms);
        let heir = Baseline::inherit(&elder.baseline, elder.now_ms, first).unwrap();
        let mut run = Run { baseline: heir, ..Run::new(Season::HourOfWeek, STEP_MS) };
        run.now_ms = elder.now_ms;
        run.feed(12 * 60 * MINUTE_MS, &mut usual);
        assert!(run.pages() <= 1, "{level}: {:?}", run.outside.first());
        let said = run.baseline.judge(run.now_ms, level * busy(run.now_ms), 2.6).unwrap();
        assert_eq!(said.phase, Phase::Week);
        assert!((0.9..1.0).contains(&said.borrowed), "{said:?}");
        assert!((said.expected / (level * busy(run.now_ms)) - 1.0).abs() < 0.1, "{said:?}");
        // A stop on its first day is found at once.
        let mut stopped = run.baseline.clone();
        let (stop_ms, next_ms) = (run.now_ms, run.now_ms + STEP_MS);
        stopped.observe(stop_ms, 0.0, 2.6);
        assert!(stopped.observe(next_ms, 0.0, 2.6).unwrap().score >= 1.0);
        run.feed(6 * DAY_MS, &mut usual);
        assert!(run.pages() <= 3, "{level}: {} pages", run.pages());
        run.feed(DAY_MS, &mut usual);
        let said = run.baseline.judge(run.now_ms, usual(run.now_ms), 2.6).unwrap();
        assert_eq!(said.borrowed, 0.0);
    }
}

#[test]
fn nothing_is_inherited_from_who_knows_nothing_or_by_no_number() {
    let elder = elder();
    let cold = Baseline::new(Season::HourOfWeek, Calendar::utc());
    assert!(Baseline::inherit(&cold, START_MS, 1.0).is_none());
    for x in [f64::NAN, f64::INFINITY] {
        assert!(Baseline::inherit(&elder.baseline, elder.now_ms, x).is_none());
    }
    // A level of another sign, or of none, lies beside the elder's.
    for x in [0.0, -40.0, 1e300, -1e-300] {
        let heir = Baseline::inherit(&elder.baseline, elder.now_ms, x).unwrap();
        let said = heir.judge(elder.now_ms, x, 2.6).unwrap();
        assert!((said.expected - x).abs() <= 1e-6 * x.abs().max(1.0), "{x} {said:?}");
        let state = heir.serialize();
        let restored = Baseline::restore(Season::HourOfWeek, Calendar::utc(), &state).unwrap();
        assert_eq!(restored.judge(elder.now_ms, x, 2.6), Some(said));
    }
}

#[test]
fn on_a_holiday_a_sunday_is_expected() {
    // A Wednesday of the fourth week.
    let holiday_ms = START_MS + 23 * DAY_MS;
    let calendar = Calendar::utc().with_holidays([(holiday_ms / DAY_MS) as i32]);
    // An office: full from nine to five on working days.
    let value = |at_ms: i64| {
        let is_holiday = (holiday_ms..holiday_ms + DAY_MS).contains(&at_ms);
        let (day, hour) = ((at_ms - START_MS) / DAY_MS % 7, at_ms % DAY_MS / (60 * MINUTE_MS));
        if day < 5 && !is_holiday && (9..17).contains(&hour) { 100.0 } else { 20.0 }
    };
    let noon_ms = holiday_ms + 12 * 60 * MINUTE_MS;
    let expected = |calendar: Calendar| {
        let mut rng = fastrand::Rng::with_seed(33);
        let baseline = Baseline::new(Season::HourOfWeek, calendar);
        let mut run = Run { baseline, ..Run::new(Season::HourOfWeek, 60 * MINUTE_MS) };
        run.feed(noon_ms - run.now_ms, |at| value(at) * (1.0 + 0.02 * noise(&mut rng)));
        run.baseline.judge(noon_ms, 50.0, 2.3).unwrap().expected
    };
    let (told, untold) = (expected(calendar), expected(Calendar::utc()));
    assert!(told < untold - 5.0 && untold > 85.0, "{told} {untold}");
}

#[test]
fn a_state_has_the_size_that_is_said() {
    const { assert!(Baseline::STATE_BYTES <= 2048) };
    assert_eq!(elder().baseline.serialize().len(), Baseline::STATE_BYTES);
    let new = Baseline::new(Season::Flat, Calendar::utc());
    assert_eq!(new.serialize().len(), Baseline::STATE_BYTES);
}
