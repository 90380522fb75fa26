//! What a sample costs the learners: learning it, and judging it with its band or its outlook; what
//! an event and a member of a cohort cost; and what a forecast of days costs.

#![allow(clippy::print_stdout, reason = "sizes of states are figures too")]

use criterion::{Criterion, criterion_group, criterion_main};
use forewarn::learn::{
    Baseline, Calendar, Crossing, Direction, Habit, Peers, Profile, Season, default_threshold,
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
    group.bench_function("baseline read", |bench| {
        bench.iter(|| baseline.read(next_ms, std::hint::black_box(61.0)));
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

/// An event of a series that comes each minute, which is where it is needed most.
fn habit(criterion: &mut Criterion) {
    let mut habit = Habit::new(Calendar::utc(), MINUTE_MS);
    let mut time_ms = 0;
    // Office hours, so that there are silences to look through.
    let mut next = move || {
        time_ms += if time_ms % DAY_MS == 600 * MINUTE_MS { 840 * MINUTE_MS } else { MINUTE_MS };
        time_ms
    };
    (0..28 * 600).for_each(|_| habit.event(next()));
    println!("state: habit {} bytes", habit.serialize().len());
    let mut group = criterion.benchmark_group("per event");
    group.bench_function("habit event", |bench| bench.iter(|| habit.event(next())));
    group.bench_function("habit due", |bench| bench.iter(|| std::hint::black_box(&habit).due()));
    group.finish();
}

/// All members of a cohort at one instant.
fn peers(criterion: &mut Criterion) {
    let mut random = fastrand::Rng::with_seed(3);
    let mut group = criterion.benchmark_group("cohort of");
    for count in [5, 100, 1000] {
        let members: Vec<(usize, f64)> = (0..count).map(|member| (member, random.f64())).collect();
        let (mut peers, mut departures) = (Peers::new(5), Vec::new());
        group.throughput(criterion::Throughput::Elements(count as u64));
        group.bench_function(count.to_string(), |bench| {
            bench.iter(|| peers.departures(std::hint::black_box(&members), &mut departures));
        });
    }
    group.finish();
}

criterion_group!(benches, learn, habit, peers, profile);
criterion_main!(benches);
