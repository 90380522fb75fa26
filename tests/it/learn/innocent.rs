//! What must not wake anybody: usual things that look odd to those who do not know them yet.

use std::collections::VecDeque;

use forewarn::learn::{Baseline, Calendar, Season, default_threshold};

use super::support::{DAY_MS, HOUR_MS, MINUTE_MS, Run, START_MS, busy, noise};

const SEEDS: u64 = 4;

/// Learns two weeks of a series, then counts its pages in further ones, for each of the seeds. A
/// series is made from its seed, and asked for its values in order of time.
#[track_caller]
fn check<S: FnMut(i64) -> f64>(
    step_ms: i64,
    weeks: i64,
    pages_max: usize,
    series: impl Fn(fastrand::Rng) -> S,
) {
    let pages = (0..SEEDS).map(|seed| {
        let mut value = series(fastrand::Rng::with_seed(seed));
        let mut run = Run::new(Season::HourOfWeek, step_ms);
        run.learn(14 * DAY_MS, &mut value);
        run.feed(weeks * 7 * DAY_MS, &mut value).pages()
    });
    let pages: Vec<usize> = pages.collect();
    let all: usize = pages.iter().sum();
    assert!(all <= pages_max, "{pages:?} pages in {weeks} weeks each");
}

/// How many steps of a time.
fn share(step_ms: i64, of_ms: i64) -> f64 {
    step_ms as f64 / of_ms as f64
}

#[test]
fn weekends_and_noise() {
    let cases = [(MINUTE_MS, 1, 1), (5 * MINUTE_MS, 4, 6), (HOUR_MS, 8, 16)];
    for (step_ms, weeks, pages_max) in cases {
        check(step_ms, weeks, pages_max, |mut rng| move |at| busy(at) + 4.0 * noise(&mut rng));
        check(step_ms, weeks, pages_max, |mut rng| move |_| 100.0 + 4.0 * noise(&mut rng));
        // What wanders, and comes back within hours.
        check(step_ms, weeks, pages_max, |mut rng| {
            let mut away = 0.0;
            move |at| {
                away = 0.9 * away + noise(&mut rng);
                busy(at) + 4.0 * away
            }
        });
    }
}

/// A weekend that was never seen may be anything between the night's level and a working day's.
#[test]
fn the_first_days_of_a_series_and_its_first_weekend() {
    for step_ms in [MINUTE_MS, 5 * MINUTE_MS, HOUR_MS] {
        let begins = (0..7).flat_map(|weekday| [0, 9, 17].map(|hour| 24 * weekday + hour));
        let pages = begins.map(|hours| {
            let mut rng = fastrand::Rng::with_seed(hours as u64);
            let mut run = Run::new(Season::HourOfWeek, step_ms);
            run.now_ms += hours * HOUR_MS;
            run.feed(9 * DAY_MS, |at| busy(at) * (1.0 + 0.03 * noise(&mut rng))).pages()
        });
        let pages: Vec<usize> = pages.collect();
        assert!(pages.iter().sum::<usize>() <= 2, "{pages:?} at {step_ms}");
    }
}

/// It is told of when it begins; from half a day later on it is what is usual.
#[test]
fn noise_that_has_widened_for_good() {
    for (step_ms, times) in
        [5 * MINUTE_MS, 15 * MINUTE_MS].into_iter().flat_map(|step| [3.0, 5.0].map(|by| (step, by)))
    {
        let pages = (0..SEEDS).map(|seed| {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut run = Run::new(Season::HourOfWeek, step_ms);
            run.learn(21 * DAY_MS, |at| busy(at) + 4.0 * noise(&mut rng));
            let mut wide = |at| busy(at) + 4.0 * times * noise(&mut rng);
            assert!(run.feed(6 * HOUR_MS, &mut wide).pages() > 0, "times {times} at {step_ms}");
            run.learn(6 * HOUR_MS, &mut wide);
            run.feed(6 * DAY_MS, &mut wide).pages()
        });
        let pages: Vec<usize> = pages.collect();
        let all: usize = pages.iter().sum();
        assert!(all <= 8, "times {times} at {step_ms}: {pages:?} pages in 6 days each");
    }
}

#[test]
fn what_never_moves() {
    for (step_ms, weeks) in [(MINUTE_MS, 1), (5 * MINUTE_MS, 2), (HOUR_MS, 8)] {
        check(step_ms, weeks, 0, |mut rng| {
            let level = rng.f64() * 1e6;
            move |_| level
        });
    }
}

/// A batch of half an hour each night, a log that is rotated at midnight, an office's day.
#[test]
fn what_comes_at_its_hour() {
    for (step_ms, weeks, pages_max) in [(MINUTE_MS, 1, 1), (5 * MINUTE_MS, 4, 4)] {
        let minute = |at: i64| at % DAY_MS / MINUTE_MS;
        check(step_ms, weeks, pages_max, |mut rng| {
            move |at| {
                let load = if (120..150).contains(&minute(at)) { 80.0 } else { 20.0 };
                load * (1.0 + 0.05 * noise(&mut rng))
            }
        });
        check(step_ms, weeks, pages_max, |mut rng| {
            move |at| 100.0 * share(at % DAY_MS, DAY_MS) + noise(&mut rng)
        });
        check(step_ms, weeks, pages_max, |mut rng| {
            move |at| {
                let load = if (540..1020).contains(&minute(at)) { 100.0 } else { 20.0 };
                load * (1.0 + 0.02 * noise(&mut rng))
            }
        });
    }
}

/// Two weeks with weekends at half height are enough to know the third, hour by hour.
#[test]
fn a_week_is_known_after_two() {
    for step_ms in [MINUTE_MS, 5 * MINUTE_MS, HOUR_MS] {
        let mut rng = fastrand::Rng::with_seed(8);
        let mut run = Run::new(Season::HourOfWeek, step_ms);
        run.learn(14 * DAY_MS, |at| busy(at) + noise(&mut rng));
        for _ in 0..7 * DAY_MS / step_ms {
            let (at_ms, x) = (run.now_ms, busy(run.now_ms) + noise(&mut rng));
            let said = run.baseline.observe(at_ms, x, default_threshold(step_ms)).unwrap();
            let off = (said.expected - busy(at_ms)).abs();
            let hour = (at_ms - START_MS - 14 * DAY_MS) / HOUR_MS;
            assert!(off < 8.0, "{off} of {} at {step_ms}, hour {hour}", busy(at_ms));
            assert!(said.score < 1.0, "{} at {step_ms}, hour {hour}", said.score);
            run.now_ms += step_ms;
        }
    }
}

/// Nor in the second week, of which nobody knows yet whether it is as the first or as the days.
#[test]
fn what_happened_once_in_the_week_before() {
    for (step_ms, outside_max) in [(5 * MINUTE_MS, 3), (HOUR_MS, 0)] {
        for seed in 0..SEEDS {
            let mut rng = fastrand::Rng::with_seed(seed);
            let incident_ms = START_MS + 3 * DAY_MS + 14 * HOUR_MS;
            let mut value = |at: i64| {
                let turn = std::f64::consts::TAU * share(at % DAY_MS, DAY_MS);
                let load = 200.0 + 100.0 * turn.sin() + 4.0 * noise(&mut rng);
                load * if (0..2 * HOUR_MS).contains(&(at - incident_ms)) { 3.0 } else { 1.0 }
            };
            let mut run = Run::new(Season::HourOfWeek, step_ms);
            run.learn(7 * DAY_MS, &mut value);
            let outside = run.feed(7 * DAY_MS, &mut value).outside.len();
            assert!(outside <= outside_max, "{outside} at {step_ms}, seed {seed}");
        }
    }
}

/// An incident of two hours in the first week is not expected at its hour of the weeks after.
#[test]
fn what_happened_once_in_the_first_week() {
    for step_ms in [5 * MINUTE_MS, HOUR_MS] {
        check(step_ms, 8, 6, |mut rng| {
            let incident_ms = START_MS + 3 * DAY_MS + 14 * HOUR_MS;
            move |at| {
                let turn = std::f64::consts::TAU * share(at % DAY_MS, DAY_MS);
                let load = 200.0 + 100.0 * turn.sin() + 4.0 * noise(&mut rng);
                load * if (0..2 * HOUR_MS).contains(&(at - incident_ms)) { 3.0 } else { 1.0 }
            }
        });
    }
}

/// Six times a day something happens, one to four times.
#[test]
fn sparse_events() {
    for (step_ms, weeks) in [(MINUTE_MS, 1), (5 * MINUTE_MS, 4)] {
        check(step_ms, weeks, 2, |mut rng| {
            move |_| {
                let happens = rng.f64() < 6.0 * share(step_ms, DAY_MS);
                if happens { f64::from(rng.u8(1..=4)) } else { 0.0 }
            }
        });
    }
}

#[test]
fn a_disk_whose_logs_are_rotated_at_midnight() {
    for (step_ms, weeks) in [(5 * MINUTE_MS, 4), (HOUR_MS, 8)] {
        check(step_ms, weeks, 1, |mut rng| {
            move |at| 200.0 + 100.0 * share(at % DAY_MS, DAY_MS) + 0.5 * noise(&mut rng)
        });
    }
}

#[test]
fn a_disk_whose_logs_are_rotated_about_every_eight_hours() {
    check(HOUR_MS, 8, 3, |mut rng| {
        let mut size = 0.0;
        move |_| {
            size += 12.5 * (1.0 + 0.3 * noise(&mut rng)).max(0.0);
            size = if size > 100.0 { 0.0 } else { size };
            20.0 + size
        }
    });
}

/// A heap that is collected about every twenty minutes, sooner when there is more to do.
#[test]
fn a_heap_that_is_collected() {
    for (step_ms, weeks) in [(MINUTE_MS, 1), (5 * MINUTE_MS, 4)] {
        check(step_ms, weeks, 2, |mut rng| {
            let mut used = 0.0;
            move |at| {
                let load = busy(at) / 200.0 * (1.0 + 0.2 * noise(&mut rng)).max(0.0);
                used += 50.0 * share(step_ms, 20 * MINUTE_MS) * load;
                let is_full = used > 60.0 + 4.0 * noise(&mut rng);
                used = if is_full { 5.0 * rng.f64() } else { used };
                100.0 + used
            }
        });
    }
}

/// The requests that a process counts, asked for as `rate(...[5m])` from a scrape each 15 s; it is
/// restarted every other day, and what it counted since the last scrape is lost.
#[test]
fn a_counter_that_is_reset() {
    const SCRAPE_MS: i64 = 15_000;
    let step_ms = 5 * MINUTE_MS;
    check(step_ms, 4, 8, |mut rng| {
        let mut counted = 0.0;
        let mut window = VecDeque::from([0.0; 21]);
        move |at| {
            for scrape in 0..step_ms / SCRAPE_MS {
                let per_s = busy(at + scrape * SCRAPE_MS) + 10.0 * noise(&mut rng);
                let requests = (per_s * share(SCRAPE_MS, 1_000)).max(0.0).round();
                let is_restarted = rng.f64() < share(SCRAPE_MS, 2 * DAY_MS);
                let since_restart = (requests * rng.f64()).round();
                counted = if is_restarted { since_restart } else { counted + requests };
                window.push_back(counted);
                window.pop_front();
            }
            let pairs = window.iter().zip(window.iter().skip(1));
            pairs.map(|(a, b)| if b < a { *b } else { b - a }).sum::<f64>() / 300.0
        }
    });
}

/// Busy by the wall clock of Berlin, over the change of 2024-03-31: where the zone is known, nobody
/// is paged, and what is expected moves with the clock.
#[test]
fn the_clock_change_in_spring_where_the_zone_is_known() {
    const CHANGES_MS: i64 = 1_711_846_800_000;
    const STEP_MS: i64 = 5 * MINUTE_MS;
    let zone = Calendar::zone("Europe/Berlin").unwrap();
    let wall = |at_ms: i64| busy(START_MS + zone.week_ms(at_ms));
    let over_the_change = |calendar: Calendar| {
        let mut rng = fastrand::Rng::with_seed(8);
        let mut baseline = Baseline::new(Season::HourOfWeek, calendar);
        let (mut outside, mut error) = (0, 0.0);
        for k in -28 * DAY_MS / STEP_MS..2 * DAY_MS / STEP_MS {
            let at_ms = CHANGES_MS + k * STEP_MS;
            let x = wall(at_ms) + noise(&mut rng);
            if k >= 0 {
                let verdict = baseline.judge(at_ms, x, default_threshold(STEP_MS)).unwrap();
                outside += usize::from(verdict.score >= 1.0);
                error += (verdict.expected - wall(at_ms)).abs();
            }
            baseline.learn(at_ms, x);
        }
        (outside, error)
    };
    let (outside, error) = over_the_change(zone.clone());
    let (_, error_without) = over_the_change(Calendar::utc());
    assert_eq!(outside, 0);
    assert!(error < 0.7 * error_without, "{error} {error_without}");
}
