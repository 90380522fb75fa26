//! The scorers of `benches/quality`, on cases that can be worked out by hand.

#[expect(dead_code, reason = "the bench uses all of them")]
#[path = "../../benches/quality/scores/mod.rs"]
mod scores;

use std::collections::BTreeMap;

use scores::alerts::{Limited, Said};
use scores::forecasts::{Forecast, Hourly};
use scores::{Figures, Judged, Labelled};

#[track_caller]
fn check(figures: &Figures, expected: &[(&str, Option<f64>)]) {
    for (name, expected) in expected {
        let found = figures.iter().find(|(other, _)| other == name);
        let found = found.unwrap_or_else(|| panic!("no figure {name}")).1;
        let is_same = match (found, *expected) {
            (Some(found), Some(expected)) => (found - expected).abs() < 1e-9,
            (found, expected) => found == expected,
        };
        assert!(is_same, "{name}: {found:?}, not {expected:?}");
    }
}

/// A series of minutes, its incidents and alerts as ranges of rows.
fn minutes(rows: usize, incidents: &[(usize, usize)], on: &[(usize, usize)]) -> (Labelled, Judged) {
    let time = |row: usize| row as f64 * 60.0;
    let labelled = Labelled {
        times: (0..rows).map(time).collect(),
        values: vec![0.0; rows],
        step: 60.0,
        incidents: incidents.iter().map(|(first, last)| (time(*first), time(*last))).collect(),
        ..Labelled::default()
    };
    let alert: Vec<bool> = (0..rows)
        .map(|row| on.iter().any(|(first, last)| (*first..=*last).contains(&row)))
        .collect();
    let score = alert.iter().map(|on| if *on { 2.0 } else { 0.0 }).collect();
    (labelled, Judged { score, alert })
}

#[test]
fn pages_are_counted_as_a_person_feels_them() {
    // A week and a minute. One incident is found after two rows, one missed; two alerts close to one
    // another are one false page.
    let (labelled, judged) =
        minutes(10_081, &[(3000, 3009), (6000, 6001)], &[(3002, 3005), (8000, 8000), (8020, 8020)]);
    let figures = scores::pages::score(&[(&labelled, &judged)], 0.0);
    check(
        &figures,
        &[
            ("incidents", Some(2.0)),
            ("recall", Some(0.5)),
            ("recall_sustained", Some(1.0)),
            ("recall_short", Some(0.0)),
            ("false_pages_per_series_week", Some(1.0)),
            ("page_precision", Some(0.5)),
            ("delay_p50_s", Some(120.0)),
            ("delay_p90_steps", Some(2.0)),
        ],
    );
    // An alert that is always on finds nothing.
    let (labelled, judged) = minutes(10_081, &[(3000, 3009)], &[(0, 10_080)]);
    let figures = scores::pages::score(&[(&labelled, &judged)], 0.0);
    let none = [("recall", Some(0.0)), ("page_precision", Some(0.0)), ("delay_p50_s", None)];
    check(&figures, &none);
}

#[test]
fn f1_gives_a_run_only_to_those_in_time() {
    // Of two runs of ten points the first is flagged in time, the second at its ninth point.
    let (labelled, judged) =
        minutes(1000, &[(600, 609), (700, 709)], &[(607, 607), (708, 708), (900, 900)]);
    let figures = scores::points::score(&[(&labelled, &judged)], 0.5);
    check(
        &figures,
        &[
            ("points", Some(500.0)),
            ("labelled_points", Some(20.0)),
            ("alert_precision", Some(10.0 / 11.0)),
            ("alert_recall", Some(0.5)),
            ("alert_delay_f1", Some(20.0 / 31.0)),
            ("alert_plain_f1", Some(4.0 / 23.0)),
        ],
    );
}

#[test]
fn nab_gives_nothing_for_silence_and_a_hundred_for_the_first_row() {
    let silent = minutes(1000, &[(500, 599)], &[]);
    let perfect = minutes(1000, &[(500, 599)], &[(500, 500)]);
    let score =
        |(labelled, judged): &(Labelled, Judged)| scores::nab::score(&[(labelled, judged)], 1.0);
    check(
        &score(&silent),
        &[("standard.score", Some(0.0)), ("standard.score_at_fixed", Some(0.0))],
    );
    for profile in ["standard", "reward_low_FP_rate", "reward_low_FN_rate"] {
        let name = format!("{profile}.score_at_fixed");
        check(&score(&perfect), &[(&name, Some(100.0))]);
    }
    // A false alarm before the window costs its weight; one window of 1 spans 2 from none to all.
    let careless = minutes(1000, &[(500, 599)], &[(500, 500), (300, 300)]);
    let costs = [
        ("standard.score_at_fixed", Some(100.0 - 5.5)),
        ("reward_low_FP_rate.score_at_fixed", Some(100.0 - 11.0)),
        ("reward_low_FN_rate.score_at_fixed", Some(100.0 - 11.0 / 3.0)),
    ];
    check(&score(&careless), &costs);
    // A window may go on after the last row.
    let open = minutes(1000, &[(950, 1049)], &[(950, 950)]);
    check(&score(&open), &[("standard.score_at_fixed", Some(100.0))]);
}

#[test]
fn an_alert_is_right_when_the_limit_is_reached_soon_after() {
    let (minute, hour) = (60.0, 3600.0);
    let mut values = vec![10.0; 7 * 1440];
    values[3000] = 0.0;
    let limited = Limited {
        name: "disk".to_owned(),
        start: 0.0,
        step: minute,
        values,
        threshold: 0.0,
        is_floor: true,
        events: vec![3000.0 * minute],
        sudden: Vec::new(),
        would: Vec::new(),
    };
    // Firing from two hours before for half an hour, and once for nothing; p is sure and right twice.
    let said = |row: usize| {
        let firing = (2880..2910).contains(&row) || row == 6000;
        let p = match row {
            2880 => Some(1.0),
            6000 => Some(0.5),
            _ => None,
        };
        Said { time: row as f64 * minute, firing, p }
    };
    let said = BTreeMap::from([("disk".to_owned(), (0..7 * 1440).step_by(5).map(said).collect())]);
    let score = scores::alerts::score(&[limited], &said, 4.0 * hour);
    let weeks = (7.0 * 24.0 - 6.0 - 1.0 / 60.0) / (7.0 * 24.0);
    check(
        &score.figures,
        &[
            ("alerts", Some(2.0)),
            ("hit", Some(1.0)),
            ("false", Some(1.0)),
            ("precision", Some(0.5)),
            ("recall", Some(1.0)),
            ("lead_median_min", Some(120.0)),
            ("false_per_series_week", Some(1.0 / weeks)),
            ("flips_per_alert", Some(1.0)),
            ("brier", Some(0.125)),
            ("brier_base", Some(0.25)),
            ("observed_at_p90", Some(1.0)),
        ],
    );
    let honesty: Vec<(f64, usize)> =
        score.honesty.iter().map(|one| (one.observed, one.count)).collect();
    assert_eq!(honesty, [(0.0, 1), (1.0, 1)]);
}

#[test]
fn forecasts_are_held_against_naive2_and_their_interval() {
    // No season, a step of 24 a day: yesterday's value is wrong by 24, the last one by 1 to 48.
    let history: Vec<f64> = (0..72).map(f64::from).collect();
    let future: Vec<f64> = (72..120).map(f64::from).collect();
    let hourly = Hourly { name: "H1".to_owned(), history, future: future.clone() };
    let right = Forecast {
        interval: Some(future.iter().map(|value| (value - 12.0, value + 12.0)).collect()),
        mean: future.clone(),
    };
    let score = |forecast: Forecast| {
        let series = [Hourly {
            name: "H1".to_owned(),
            history: hourly.history.clone(),
            future: hourly.future.clone(),
        }];
        scores::forecasts::score(&series, &BTreeMap::from([("H1".to_owned(), forecast)]))
    };
    let expected = [
        ("owa", Some(0.0)),
        ("naive2_mase", Some(24.5 / 24.0)),
        ("coverage95", Some(1.0)),
        ("msis", Some(1.0)),
    ];
    check(&score(right.clone()).unwrap(), &expected);
    // All 3 below the interval's lower end: its width, and 40 times that.
    let high = future.iter().map(|value| (value + 3.0, value + 27.0)).collect();
    let wrong = Forecast { interval: Some(high), ..right };
    let expected = [("below", Some(1.0)), ("msis", Some((24.0 + 40.0 * 3.0) / 24.0))];
    check(&score(wrong).unwrap(), &expected);
    assert_eq!(score(Forecast::default()).unwrap_err(), "no forecast of H1");
}
