//! Troubles put into clean and into real series: each is found, and how soon.

use std::io::Read;
use std::path::Path;

use forewarn::learn::{Baseline, Calendar, Season, Side, default_threshold};

use super::support::{DAY_MS, HOUR_MS, MINUTE_MS, Run, START_MS, busy, noise};

/// Returns after how many samples a baseline pages, if it does within those given.
fn delay(
    mut baseline: Baseline,
    step_ms: i64,
    samples: impl Iterator<Item = (i64, f64)>,
) -> Option<usize> {
    let threshold = default_threshold(step_ms);
    let mut is_outside = |(at_ms, x)| {
        baseline.observe(at_ms, x, threshold).is_some_and(|verdict| verdict.score >= 1.0)
    };
    samples.enumerate().find_map(|(k, sample)| is_outside(sample).then_some(k))
}

/// A trouble: its name, the value at a time, so many ms after it began, with this noise, and within
/// how many samples after the first it has to be found.
type Trouble<'a> = (&'a str, &'a dyn Fn(i64, i64, f64) -> f64, usize);

/// Each trouble begins at ten o'clock on a Monday, after three weeks of a service.
#[track_caller]
fn check(step_ms: i64, troubles: &[Trouble<'_>]) {
    for seed in 0..3 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut run = Run::new(Season::HourOfWeek, step_ms);
        run.learn(21 * DAY_MS + 10 * HOUR_MS, |at| busy(at) + 4.0 * noise(&mut rng));
        let noise: Vec<f64> = (0..100).map(|_| 4.0 * noise(&mut rng)).collect();
        for (name, change, samples_max) in troubles {
            let changed = noise[..=*samples_max].iter().enumerate().map(|(k, noise)| {
                let since_ms = k as i64 * step_ms;
                let at_ms = run.now_ms + since_ms;
                (at_ms, change(at_ms, since_ms, *noise))
            });
            let after = delay(run.baseline.clone(), step_ms, changed);
            assert!(after.is_some(), "{name}, not within {samples_max} samples of {step_ms} ms");
        }
    }
}

fn hours(since_ms: i64) -> f64 {
    since_ms as f64 / HOUR_MS as f64
}

#[test]
fn troubles_of_a_clean_service_are_found() {
    let spike = |at, since: i64, n| (busy(at) + n) * if since == 0 { 1.5 } else { 1.0 };
    for step_ms in [MINUTE_MS, 5 * MINUTE_MS, HOUR_MS] {
        let troubles: [Trouble<'_>; 5] = [
            ("spike of one sample", &spike, 0),
            ("shift up", &|at, _, n| 1.2 * busy(at) + n, 1),
            ("shift down", &|at, _, n| 0.8 * busy(at) + n, 1),
            ("stop", &|_, _, _| 0.0, 1),
            ("the day three hours late", &|at, _, n| busy(at - 3 * HOUR_MS) + n, 1),
        ];
        check(step_ms, &troubles);
    }
    for (step_ms, samples_max) in [(MINUTE_MS, 15), (5 * MINUTE_MS, 9)] {
        check(step_ms, &[("noise", &|at, _, n| busy(at) + 4.0 * n, samples_max)]);
    }
    // A share of what is usual, more in each hour.
    for (step_ms, an_hour, samples_max) in
        [(MINUTE_MS, 0.3, 30), (5 * MINUTE_MS, 0.2, 16), (HOUR_MS, 0.1, 6)]
    {
        let drift = |at, since, n| busy(at) * (1.0 + an_hour * hours(since)) + n;
        check(step_ms, &[("drift", &drift, samples_max)]);
    }
}

/// Full on working days from nine to five, on Saturdays and Sundays never; on a Monday
/// all go home at eleven.
#[test]
fn a_working_day_that_breaks_off_is_found() {
    let office = |at: i64| {
        let is_working = (at - START_MS).rem_euclid(7 * DAY_MS) < 5 * DAY_MS;
        let is_open = (9 * HOUR_MS..17 * HOUR_MS).contains(&(at % DAY_MS));
        if is_working && is_open { 100.0 } else { 20.0 }
    };
    for (step_ms, samples_max) in [(MINUTE_MS, 4), (5 * MINUTE_MS, 1)] {
        for seed in 0..3 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut run = Run::new(Season::HourOfWeek, step_ms);
            run.learn(21 * DAY_MS + 11 * HOUR_MS, |at| office(at) * (1.0 + 0.03 * noise(&mut rng)));
            let stopped = (0..=samples_max).map(|k| (run.now_ms + k * step_ms, 20.0));
            let after = delay(run.baseline.clone(), step_ms, stopped);
            assert!(after.is_some(), "{seed}, not within {samples_max} samples of {step_ms} ms");
        }
    }
}

/// Two events an hour by day and hardly one by night, at random: nobody is woken by a still night,
/// and that they have stopped is known within two days.
#[test]
fn events_that_stay_away_are_missed() {
    for step_ms in [MINUTE_MS, 5 * MINUTE_MS] {
        for seed in 0..3 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut run = Run::new(Season::HourOfWeek, step_ms);
            let mut events = |at: i64| {
                let is_day = (8 * HOUR_MS..20 * HOUR_MS).contains(&(at % DAY_MS));
                let an_hour = if is_day { 2.0 } else { 0.2 };
                f64::from(rng.f64() < an_hour * step_ms as f64 / HOUR_MS as f64)
            };
            run.learn(28 * DAY_MS, &mut events);
            let usual = run.feed(28 * DAY_MS + 11 * HOUR_MS, &mut events);
            let missed = usual.outside.iter().filter(|(_, verdict)| verdict.side == Side::Below);
            assert_eq!(missed.count(), 0, "{seed}, {step_ms} ms");
            let steps = 2 * DAY_MS / step_ms;
            let stopped = (0..steps).map(|k| (run.now_ms + k * step_ms, 0.0));
            let after = delay(run.baseline.clone(), step_ms, stopped);
            assert!(after.is_some(), "{seed}, not within two days at {step_ms} ms");
        }
    }
}

/// Quiet series, each with the day at whose start there is trouble; no incident is labelled within
/// five days before it and one after.
const REAL: [(&str, i64); 7] = [
    ("kpi/6d1114ae-be04-3c46-b5aa-be1a003a57cd.csv", 192),
    ("kpi/42d6616d-c9c5-370a-a8ba-17ead74f3114.csv", 187),
    ("kpi/ba5f3328-9f3f-3ff5-a683-84437d16d554.csv", 190),
    ("kpi/ffb82d38-5f00-37db-abc0-5d2e4e4cb6aa.csv", 170),
    ("kpi/e0747cad-8dc8-38a9-a9ab-855b61f5551d.csv", 23),
    ("cloud/middle-tier-api-dependency-latency/outbound-14.csv", 28),
    ("cloud/ecommerce-api-incoming-rps/api-01.csv", 252),
];

#[test]
fn troubles_of_real_series_are_found() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/anomaly");
    if !data.is_dir() {
        println!("NOT TESTED: {} is not there", data.display());
        return;
    }
    for (name, day) in REAL {
        Real::read(&data.join(format!("{name}.gz")), day).check(name);
    }
}

/// A real series, and where trouble begins.
struct Real {
    samples: Vec<(i64, f64)>,
    begins: usize,
    step_ms: i64,
    /// The 2 and the 98 % point of the five days before.
    usual: (f64, f64),
    /// Of the four weeks before.
    baseline: Baseline,
}

impl Real {
    fn read(path: &Path, day: i64) -> Real {
        let samples = read(path);
        let begins_ms = samples[0].0 + day * DAY_MS;
        let first_from = |from_ms: i64| samples.partition_point(|(at_ms, _)| *at_ms < from_ms);
        let begins = first_from(begins_ms);
        let learned = first_from(begins_ms - 28 * DAY_MS)..begins;
        let learned = samples[learned].iter().copied();
        let baseline = Baseline::bootstrap(Season::HourOfWeek, Calendar::utc(), learned);
        let before = &samples[first_from(begins_ms - 5 * DAY_MS)..begins];
        let mut steps_ms: Vec<i64> = before.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
        steps_ms.sort_unstable();
        let mut values: Vec<f64> = before.iter().map(|(_, x)| *x).collect();
        values.sort_by(f64::total_cmp);
        let usual = (values[values.len() / 50], values[values.len() * 49 / 50]);
        Real { begins, step_ms: steps_ms[steps_ms.len() / 2], usual, baseline, samples }
    }

    fn check(&self, name: &str) {
        let (low, high) = self.usual;
        let (range, begins_ms) = (high - low, self.samples[self.begins].0);
        let value = |at: usize| self.samples[at].1;
        let since_hours = |at: usize| hours(self.samples[at].0 - begins_ms);
        self.found(name, "spike", 1, |at| {
            value(at) + if at < self.begins + 3 { range } else { 0.0 }
        });
        self.found(name, "shift up", 1, |at| value(at) + range);
        self.found(name, "shift down", 1, |at| value(at) - range);
        // As far away as the series usually ranges within two hours.
        let samples_max = (3 * HOUR_MS / self.step_ms) as usize;
        self.found(name, "drift", samples_max, |at| value(at) + range * since_hours(at) / 2.0);
        if low > 0.5 * range {
            self.found(name, "stop", 1, |_| 0.0);
        }
        if self.step_ms < HOUR_MS {
            let noise = |at: usize| self.calm(at) + 4.0 * (value(at) - self.calm(at));
            self.found(name, "noise", 120, noise);
        }
    }

    /// The mean of an hour around a sample.
    fn calm(&self, at: usize) -> f64 {
        let around = (30 * MINUTE_MS / self.step_ms) as usize;
        let near = &self.samples[at - around..=at + around];
        near.iter().map(|(_, x)| x).sum::<f64>() / near.len() as f64
    }

    #[track_caller]
    fn found(&self, name: &str, what: &str, samples_max: usize, change: impl Fn(usize) -> f64) {
        let places = self.begins..=self.begins + samples_max;
        let changed = places.map(|at| (self.samples[at].0, change(at)));
        let after = delay(self.baseline.clone(), self.step_ms, changed);
        assert!(after.is_some(), "{name}: {what}, not within {samples_max} samples");
    }
}

/// Rows of a table of `timestamp,value`, ms.
fn read(path: &Path) -> Vec<(i64, f64)> {
    let mut text = String::new();
    let file = std::fs::File::open(path).unwrap();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    let row = |line: &str| {
        let (time_s, value) = line.split_once(',').unwrap();
        (time_s.parse::<i64>().unwrap() * 1_000, value.parse().unwrap())
    };
    text.lines().skip(1).map(row).collect()
}
