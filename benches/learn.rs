//! What a sample costs the learners: learning it, and judging it with its band or its outlook; and
//! what a forecast of days costs.

#![allow(clippy::print_stdout, reason = "sizes of states are figures too")]

use criterion::{Criterion, criterion_group, criterion_main};
use forewarn::learn::{
    Baseline, Calendar, Crossing, Direction, Profile, Season, default_threshold,
};

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 1440 * MINUTE_MS;

/// Two weeks of a noisy day's cycle, a sample each minute.
fn samples() -> Vec<(i64, f64)> {
    let mut random = fastrand::Rng::with_seed(1);
    let sample = |minute: i64| {
        let day = (minute % 1440) as f64 / 1440.0;
        let noise = random.f64() + random.f64() - 1.0;
        (minute * MINUTE_MS, 100.0 - 40.0 * (std::f64::consts::TAU * day).cos() + noise)
    };
    (0..14 * 1440).map(sample).collect()
}

fn learn(criterion: &mut Criterion) {
    let samples = samples();
    let mut baseline = Baseline::new(Season::HourOfWeek, Calendar::utc());
    let mut crossing = Crossing::new(Direction::FromBelow, MINUTE_MS, 360 * MINUTE_MS);
    for (time_ms, value) in &samples {
        baseline.learn(*time_ms, *value);
        crossing.learn(*time_ms, *value, 200.0);
    }
    println!(
        "state: baseline {} bytes, crossing {} bytes",
        baseline.serialize().len(),
        crossing.serialize().len()
    );

    let mut group = criterion.benchmark_group("per sample");
    let next_ms = 14 * DAY_MS;
    let threshold = default_threshold(MINUTE_MS);
    group.bench_function("baseline judge", |bench| {
        bench.iter(|| baseline.judge(next_ms, std::hint::black_box(61.0), threshold));
    });
    group.bench_function("crossing outlook", |bench| {
        bench.iter(|| crossing.outlook(next_ms, std::hint::black_box(61.0), 200.0));
    });
    let mut time_ms = next_ms;
    group.bench_function("baseline learn", |bench| {
        bench.iter(|| {
            baseline.learn(time_ms, samples[(time_ms / MINUTE_MS) as usize % samples.len()].1);
            time_ms += MINUTE_MS;
        });
    });
    let mut time_ms = next_ms;
    group.bench_function("crossing learn", |bench| {
        bench.iter(|| {
            crossing.learn(
                time_ms,
                samples[(time_ms / MINUTE_MS) as usize % samples.len()].1,
                200.0,
            );
            time_ms += MINUTE_MS;
        });
    });
    group.finish();
}

/// 48 hours ahead from 40 days of hours.
fn profile(criterion: &mut Criterion) {
    let mut random = fastrand::Rng::with_seed(2);
    let mut profile = Profile::new(60 * MINUTE_MS);
    for hour in 0..960 {
        let day = hour as f64 / 24.0;
        let value = 100.0 - 40.0 * (std::f64::consts::TAU * day).cos() + 10.0 * random.f64();
        profile.learn(hour * 60 * MINUTE_MS, value);
    }
    println!("state: profile {} bytes", profile.serialize().len());
    criterion.bench_function("profile forecast", |bench| {
        bench.iter(|| profile.forecast(std::hint::black_box(48)));
    });
}

criterion_group!(benches, learn, profile);
criterion_main!(benches);
