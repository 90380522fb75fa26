//! Resources that run out and resources that do not: made-up series of ten days of minutes.
//!
//! Values are shares of the limit, which is 1. A family is a kind of behaviour; a seed picks its
//! rates, sizes and noise. After a series has reached its limit somebody makes room some time later.

use std::f64::consts::TAU;

use fastrand::Rng;

pub(crate) const MINUTES: usize = 10 * 1440;
const DAY: f64 = 1440.0;

type Family = fn(&mut Rng) -> Vec<f64>;

/// What families have in common: kinds are left out of training together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Fills,
    Rotations,
    Leaks,
    Levels,
    Waves,
}

/// The families by name.
pub(crate) const FAMILIES: [(&str, Kind, Family); 33] = [
    ("steady fill", Kind::Fills, steady_fill),
    ("fill by day", Kind::Fills, day_fill),
    ("fill on workdays", Kind::Fills, workday_fill),
    ("fill that speeds up", Kind::Fills, quickening_fill),
    ("fill that slows down", Kind::Fills, slowing_fill),
    ("fill in ramps", Kind::Fills, ramp_fill),
    ("cleaned in time", Kind::Fills, cleaned_in_time),
    ("rotated by size", Kind::Rotations, rotated_by_size),
    ("rotated by time", Kind::Rotations, rotated_by_time),
    ("rotation breaks", Kind::Rotations, rotation_breaks),
    ("leak below collections", Kind::Leaks, leak_below_collections),
    ("sawtooth that climbs", Kind::Leaks, climbing_sawtooth),
    ("sawtooth that stays", Kind::Leaks, still_sawtooth),
    ("plateau", Kind::Levels, plateau),
    ("warm cache", Kind::Levels, warm_cache),
    ("steps", Kind::Levels, steps),
    ("steps to the end", Kind::Levels, steps_to_the_end),
    ("bursts", Kind::Levels, bursts),
    ("copy that fills", Kind::Levels, copy_that_fills),
    ("compaction", Kind::Rotations, compaction),
    ("compaction that grows", Kind::Rotations, growing_compaction),
    ("mean reverting", Kind::Waves, mean_reverting),
    ("mean reverting near", Kind::Waves, mean_reverting_near),
    ("random walk", Kind::Waves, random_walk),
    ("connection leak", Kind::Leaks, connection_leak),
    ("requests grow", Kind::Waves, requests_grow),
    ("requests stay", Kind::Waves, requests_stay),
    ("nightly batch", Kind::Waves, nightly_batch),
    ("backlog", Kind::Levels, backlog),
    ("hot days", Kind::Waves, hot_days),
    ("countdown", Kind::Leaks, countdown),
    ("spikes", Kind::Levels, spikes),
    ("runaway", Kind::Levels, runaway),
];

/// Returns the series of a family and a seed; NaN where a scrape was missed.
pub(crate) fn series(family: Family, seed: u64) -> Vec<f64> {
    let mut rng = Rng::with_seed(seed);
    let mut values = family(&mut rng);
    let missed = if rng.u8(..4) == 0 { 0.01 * rng.f64() } else { 0.0 };
    for value in &mut values {
        if rng.f64() < missed {
            *value = f64::NAN;
        }
    }
    values
}

fn between(rng: &mut Rng, low: f64, high: f64) -> f64 {
    low + (high - low) * rng.f64()
}

/// As likely in each octave.
fn scale_between(rng: &mut Rng, low: f64, high: f64) -> f64 {
    low * libm::pow(high / low, rng.f64())
}

/// About normal: the sum of twelve uniform numbers.
fn normal(rng: &mut Rng) -> f64 {
    (0..12).map(|_| rng.f64()).sum::<f64>() - 6.0
}

fn day_shape(minute: f64, peak: f64) -> f64 {
    libm::cos(TAU * (minute / DAY - peak))
}

/// A level with a rate for each minute, that stays at the limit until somebody makes room.
fn filled(rng: &mut Rng, mut rate: impl FnMut(&mut Rng, f64, f64) -> f64) -> Vec<f64> {
    let noise = scale_between(rng, 1e-5, 3e-3);
    let (mut level, mut full_for) = (between(rng, 0.05, 0.6), 0.0);
    let mut patience = between(rng, 5.0, 240.0);
    (0..MINUTES)
        .map(|minute| {
            level = (level + rate(rng, minute as f64, level)).clamp(0.0, 1.0);
            full_for = if level >= 1.0 { full_for + 1.0 } else { 0.0 };
            if full_for > patience {
                level = between(rng, 0.05, 0.6);
                patience = between(rng, 5.0, 240.0);
            }
            (level + noise * normal(rng)).clamp(0.0, 1.0)
        })
        .collect()
}

fn rate_to_fill(rng: &mut Rng) -> f64 {
    1.0 / scale_between(rng, 0.4 * DAY, 9.0 * DAY)
}

fn steady_fill(rng: &mut Rng) -> Vec<f64> {
    let (rate, jitter) = (rate_to_fill(rng), between(rng, 0.0, 3.0));
    filled(rng, |rng, _, _| rate * (1.0 + jitter * (rng.f64() - 0.5)))
}

fn day_fill(rng: &mut Rng) -> Vec<f64> {
    let (rate, swing, peak) = (rate_to_fill(rng), between(rng, 0.4, 1.6), rng.f64());
    filled(rng, |_, minute, _| rate * (1.0 + swing * day_shape(minute, peak)).max(0.0))
}

fn workday_fill(rng: &mut Rng) -> Vec<f64> {
    let (rate, peak, first) = (2.0 * rate_to_fill(rng), rng.f64(), between(rng, 0.0, 7.0));
    filled(rng, |_, minute, _| {
        let day = (minute / DAY + first) % 7.0;
        if day < 5.0 { rate * (0.5 + 0.5 * day_shape(minute, peak)) } else { 0.02 * rate }
    })
}

fn quickening_fill(rng: &mut Rng) -> Vec<f64> {
    let doubling = scale_between(rng, 0.15 * DAY, 3.0 * DAY);
    let start = scale_between(rng, 0.002, 0.1);
    filled(rng, |_, _, level| level.max(start) * std::f64::consts::LN_2 / doubling)
}

fn slowing_fill(rng: &mut Rng) -> Vec<f64> {
    let (towards, tau) = (between(rng, 0.85, 1.25), scale_between(rng, 0.3 * DAY, 4.0 * DAY));
    filled(rng, |_, _, level| (towards - level) / tau)
}

fn ramp_fill(rng: &mut Rng) -> Vec<f64> {
    let (mut rate, mut left) = (0.0, 0.0);
    filled(rng, |rng, _, _| {
        left -= 1.0;
        if left < 0.0 {
            left = scale_between(rng, 20.0, 700.0);
            rate = if rate > 0.0 { 0.0 } else { scale_between(rng, 2e-5, 2e-3) };
        }
        rate
    })
}

fn cleaned_in_time(rng: &mut Rng) -> Vec<f64> {
    let (rate, jitter) = (rate_to_fill(rng), between(rng, 0.0, 2.0));
    let mut at = between(rng, 0.75, 0.97);
    filled(rng, |rng, _, level| {
        if level > at {
            at = between(rng, 0.75, 0.97);
            return between(rng, 0.05, 0.5) - level;
        }
        rate * (1.0 + jitter * (rng.f64() - 0.5))
    })
}

fn rotated_by_size(rng: &mut Rng) -> Vec<f64> {
    let (top, bottom) = (between(rng, 0.5, 0.97), between(rng, 0.05, 0.4));
    let (rate, swing, peak) = (scale_between(rng, 1e-4, 6e-3), between(rng, 0.0, 0.9), rng.f64());
    filled(rng, |_, minute, level| {
        if level > top { bottom - level } else { rate * (1.0 + swing * day_shape(minute, peak)) }
    })
}

/// Filling that is let go of every so many minutes, until a day.
fn rotated(rng: &mut Rng, last_day: f64) -> Vec<f64> {
    let every = [60.0, 180.0, 360.0, 720.0, 1440.0][rng.usize(..5)];
    let (bottom, top) = (between(rng, 0.05, 0.4), between(rng, 0.5, 0.9));
    let (swing, peak, phase) = (between(rng, 0.0, 0.5), rng.f64(), between(rng, 0.0, every));
    let rate = (top - bottom) / every;
    filled(rng, |rng, minute, level| {
        let turn = (minute + phase) % every < 1.0;
        if turn && minute < last_day * DAY {
            return bottom - level;
        }
        let jitter = 1.0 + 0.4 * (rng.f64() - 0.5);
        jitter * rate * (1.0 + swing * day_shape(minute, peak))
    })
}

fn rotated_by_time(rng: &mut Rng) -> Vec<f64> {
    rotated(rng, f64::INFINITY)
}

fn rotation_breaks(rng: &mut Rng) -> Vec<f64> {
    let last_day = between(rng, 2.0, 9.0);
    rotated(rng, last_day)
}

/// A floor that leaks, with collections on top; a restart when full.
fn leaking(rng: &mut Rng, leak: f64, wave: f64, period: f64) -> Vec<f64> {
    let (base, noise) = (between(rng, 0.1, 0.4), scale_between(rng, 1e-4, 5e-3));
    let (mut floor, mut phase) = (base, 0.0);
    (0..MINUTES)
        .map(|_| {
            floor += leak * (1.0 + 0.3 * normal(rng));
            phase += (1.0 / period) * (1.0 + 0.3 * normal(rng));
            let value = floor + wave * phase.rem_euclid(1.0) + noise * normal(rng);
            if value >= 1.0 && rng.f64() < 0.05 {
                (floor, phase) = (base, 0.0);
            }
            value.clamp(0.0, 1.0)
        })
        .collect()
}

fn leak_below_collections(rng: &mut Rng) -> Vec<f64> {
    let leak = 1.0 / scale_between(rng, 0.7 * DAY, 8.0 * DAY);
    let (wave, period) = (between(rng, 0.03, 0.35), scale_between(rng, 8.0, 200.0));
    leaking(rng, leak, wave, period)
}

fn climbing_sawtooth(rng: &mut Rng) -> Vec<f64> {
    let leak = 1.0 / scale_between(rng, 2.0 * DAY, 12.0 * DAY);
    let (wave, period) = (between(rng, 0.1, 0.4), scale_between(rng, 120.0, 1440.0));
    leaking(rng, leak, wave, period)
}

fn still_sawtooth(rng: &mut Rng) -> Vec<f64> {
    let (wave, period) = (between(rng, 0.1, 0.5), scale_between(rng, 10.0, 1440.0));
    leaking(rng, 0.0, wave, period)
}

/// Approaches a level after each restart, with a daily wave on top.
fn settling(rng: &mut Rng, level: (f64, f64), tau: (f64, f64), restarts: f64) -> Vec<f64> {
    let noise = scale_between(rng, 1e-4, 8e-3);
    let (swing, peak) = (between(rng, 0.0, 0.04), rng.f64());
    let (towards, tau) = (between(rng, level.0, level.1), scale_between(rng, tau.0, tau.1));
    let mut value = between(rng, 0.05, 0.3);
    (0..MINUTES)
        .map(|minute| {
            value += (towards - value) / tau;
            if rng.f64() < restarts / DAY {
                value = between(rng, 0.05, 0.3);
            }
            let wave = swing * day_shape(minute as f64, peak);
            (value + wave + noise * normal(rng)).clamp(0.0, 1.0)
        })
        .collect()
}

fn plateau(rng: &mut Rng) -> Vec<f64> {
    settling(rng, (0.4, 0.93), (0.1 * DAY, 3.0 * DAY), 0.1)
}

fn warm_cache(rng: &mut Rng) -> Vec<f64> {
    settling(rng, (0.7, 0.93), (10.0, 180.0), 0.7)
}

/// Jumps to new levels now and then, each held.
fn stepping(rng: &mut Rng, per_day: f64, mut to: impl FnMut(&mut Rng, f64) -> f64) -> Vec<f64> {
    let noise = scale_between(rng, 1e-4, 1e-2);
    let (mut level, mut target) = (between(rng, 0.1, 0.5), f64::NAN);
    (0..MINUTES)
        .map(|_| {
            if rng.f64() < per_day / DAY || target.is_nan() {
                target = to(rng, level);
            }
            level += (target - level) / 5.0;
            (level + noise * normal(rng)).clamp(0.0, 1.0)
        })
        .collect()
}

fn steps(rng: &mut Rng) -> Vec<f64> {
    let (per_day, top) = (scale_between(rng, 0.3, 4.0), between(rng, 0.6, 0.93));
    stepping(rng, per_day, |rng, _| between(rng, 0.1, top))
}

fn steps_to_the_end(rng: &mut Rng) -> Vec<f64> {
    let (per_day, size) = (scale_between(rng, 1.0, 20.0), scale_between(rng, 0.02, 0.2));
    stepping(rng, per_day, |rng, level| {
        if level > 0.99 { between(rng, 0.1, 0.4) } else { level + 2.0 * size * rng.f64() }
    })
}

/// A quiet level on which something is written fast, and removed or left.
fn bursting(rng: &mut Rng, per_day: f64, tops: (f64, f64)) -> Vec<f64> {
    let noise = scale_between(rng, 1e-5, 3e-3);
    let base = between(rng, 0.1, 0.5);
    let (mut level, mut target, mut rate, mut hold) = (base, base, 0.0, 0.0);
    (0..MINUTES)
        .map(|_| {
            if target <= base && rng.f64() < per_day / DAY {
                target = between(rng, tops.0, tops.1);
                rate = (target - base) / scale_between(rng, 10.0, 360.0);
                hold = between(rng, 5.0, 400.0);
            }
            level = (level + rate).min(target.min(1.0)).max(base);
            if level >= target.min(1.0) && target > base {
                hold -= 1.0;
                if hold < 0.0 {
                    (target, rate, level) = (base, 0.0, base);
                }
            }
            (level + noise * normal(rng)).clamp(0.0, 1.0)
        })
        .collect()
}

fn bursts(rng: &mut Rng) -> Vec<f64> {
    let (per_day, lowest) = (scale_between(rng, 0.2, 2.0), between(rng, 0.3, 0.7));
    bursting(rng, per_day, (lowest, 0.96))
}

fn copy_that_fills(rng: &mut Rng) -> Vec<f64> {
    let per_day = scale_between(rng, 0.15, 1.0);
    bursting(rng, per_day, (0.8, 1.6))
}

fn compacting(rng: &mut Rng, growth: f64) -> Vec<f64> {
    let every = scale_between(rng, 90.0, 1440.0);
    let (base, wave) = (between(rng, 0.2, 0.5), between(rng, 0.1, 0.35));
    let noise = scale_between(rng, 1e-4, 3e-3);
    let takes = between(rng, 0.1, 0.4);
    (0..MINUTES)
        .map(|minute| {
            let turn = minute as f64 / every;
            let part = turn.fract();
            let grown = 1.0 + growth * minute as f64 / DAY;
            let shape = if part > 1.0 - takes { (part + takes - 1.0) / takes } else { 0.0 };
            let value = base * grown + wave * grown * (0.2 * part + shape);
            (value + noise * normal(rng)).clamp(0.0, 1.0)
        })
        .collect()
}

fn compaction(rng: &mut Rng) -> Vec<f64> {
    compacting(rng, 0.0)
}

fn growing_compaction(rng: &mut Rng) -> Vec<f64> {
    let growth = scale_between(rng, 0.02, 0.2);
    compacting(rng, growth)
}

fn reverting(rng: &mut Rng, distance: f64) -> Vec<f64> {
    let (tau, spread) = (scale_between(rng, 20.0, 1500.0), between(rng, 0.01, 0.12));
    let mean = 1.0 - distance * spread;
    let step = spread * (2.0 / tau).sqrt();
    let mut value = mean;
    (0..MINUTES)
        .map(|_| {
            value += (mean - value) / tau + step * normal(rng);
            value.max(0.0)
        })
        .collect()
}

fn mean_reverting(rng: &mut Rng) -> Vec<f64> {
    let distance = between(rng, 4.0, 8.0);
    reverting(rng, distance)
}

fn mean_reverting_near(rng: &mut Rng) -> Vec<f64> {
    let distance = between(rng, 2.0, 4.0);
    reverting(rng, distance)
}

fn random_walk(rng: &mut Rng) -> Vec<f64> {
    let step = scale_between(rng, 1e-4, 6e-3);
    let mut value = between(rng, 0.2, 0.8);
    (0..MINUTES)
        .map(|_| {
            value += step * normal(rng);
            if value >= 1.0 && rng.f64() < 0.02 {
                value = between(rng, 0.2, 0.8);
            }
            value = value.clamp(0.05, 1.0);
            value
        })
        .collect()
}

fn connection_leak(rng: &mut Rng) -> Vec<f64> {
    let size = [20.0, 50.0, 100.0, 500.0][rng.usize(..4)];
    let leak = 1.0 / scale_between(rng, 0.5 * DAY, 6.0 * DAY);
    let (base, swing, peak) = (between(rng, 0.1, 0.35), between(rng, 0.0, 0.9), rng.f64());
    let restarts = if rng.bool() { between(rng, 0.0, 1.0) } else { 0.0 };
    let mut leaked = 0.0;
    (0..MINUTES)
        .map(|minute| {
            leaked += leak;
            let used = base * (1.0 + swing * day_shape(minute as f64, peak));
            let value = used + leaked + 0.1 * used.sqrt() * normal(rng) * 0.5;
            if rng.f64() < restarts / DAY || value >= 1.0 && rng.f64() < 0.03 {
                leaked = 0.0;
            }
            (value.clamp(0.0, 1.0) * size).round() / size
        })
        .collect()
}

fn requests(rng: &mut Rng, growth: f64, top: f64) -> Vec<f64> {
    let (swing, peak) = (between(rng, 0.3, 0.95), rng.f64());
    let (noise, first) = (between(rng, 0.005, 0.06), between(rng, 0.0, 7.0));
    let weekend = between(rng, 0.6, 1.1);
    (0..MINUTES)
        .map(|minute| {
            let minute = minute as f64;
            let day = (minute / DAY + first) % 7.0;
            let week = if day < 5.0 { 1.0 } else { weekend };
            let shape = (1.0 + swing * day_shape(minute, peak)) / (1.0 + swing);
            let grown = libm::pow(1.0 + growth, minute / DAY);
            (top * grown * week * shape * (1.0 + noise * normal(rng))).max(0.0)
        })
        .collect()
}

fn requests_grow(rng: &mut Rng) -> Vec<f64> {
    let (growth, top) = (between(rng, 0.01, 0.12), between(rng, 0.6, 0.95));
    requests(rng, growth, top)
}

fn requests_stay(rng: &mut Rng) -> Vec<f64> {
    let top = between(rng, 0.5, 0.92);
    requests(rng, 0.0, top)
}

fn nightly_batch(rng: &mut Rng) -> Vec<f64> {
    let (base, usual) = (between(rng, 0.1, 0.5), between(rng, 0.65, 1.0));
    let (hour, lasts) = (between(rng, 0.0, DAY), between(rng, 20.0, 240.0));
    let (spread, noise) = (between(rng, 0.0, 0.06), scale_between(rng, 1e-4, 1e-2));
    let tops: Vec<f64> = (0..11).map(|_| usual + spread * normal(rng)).collect();
    (0..MINUTES)
        .map(|minute| {
            let since = (minute as f64 - hour).rem_euclid(DAY);
            let night = ((minute as f64 - hour).div_euclid(DAY) + 1.0) as usize;
            let part = since / lasts;
            let shape = if part < 1.0 { (4.0 * part).min(1.0) } else { 0.0 };
            let value = base + (tops[night] - base) * shape;
            (value + noise * normal(rng)).clamp(0.0, 1.0)
        })
        .collect()
}

fn backlog(rng: &mut Rng) -> Vec<f64> {
    let (per_day, fill) = (scale_between(rng, 0.3, 3.0), scale_between(rng, 1e-3, 1e-2));
    let drain = fill * between(rng, 1.0, 5.0);
    let (mut level, mut left) = (0.0f64, 0.0);
    (0..MINUTES)
        .map(|_| {
            if left <= 0.0 && rng.f64() < per_day / DAY {
                left = scale_between(rng, 10.0, 500.0);
            }
            left -= 1.0;
            let rate = if left > 0.0 { fill } else { -drain };
            level = (level + rate * (1.0 + 0.3 * normal(rng))).clamp(0.0, 1.0);
            (level + 0.002 * rng.f64()).min(1.0)
        })
        .collect()
}

fn hot_days(rng: &mut Rng) -> Vec<f64> {
    let (base, swing, peak) = (between(rng, 0.5, 0.8), between(rng, 0.05, 0.2), rng.f64());
    let (step, noise) = (between(rng, 0.0005, 0.003), scale_between(rng, 1e-4, 1e-2));
    let mut off = 0.0;
    (0..MINUTES)
        .map(|minute| {
            off += -off / (3.0 * DAY) + step * normal(rng);
            base + off + swing * day_shape(minute as f64, peak) + noise * normal(rng)
        })
        .collect()
}

fn countdown(rng: &mut Rng) -> Vec<f64> {
    let (rate, renews) = (1.0 / scale_between(rng, 0.5 * DAY, 6.0 * DAY), between(rng, 0.5, 0.95));
    let forgets = between(rng, 0.0, 0.3);
    let (mut level, mut forgotten) = (between(rng, 0.0, 0.5), false);
    (0..MINUTES)
        .map(|_| {
            let before = level;
            level += rate;
            if before < renews && level >= renews {
                forgotten = rng.f64() < forgets;
            }
            if level >= renews && !forgotten || level >= 1.0 && rng.f64() < 0.02 {
                level = 0.0;
            }
            level.min(1.0)
        })
        .collect()
}

fn spikes(rng: &mut Rng) -> Vec<f64> {
    let (base, swing, peak) = (between(rng, 0.2, 0.7), between(rng, 0.0, 0.2), rng.f64());
    let (per_day, noise) = (scale_between(rng, 0.5, 20.0), between(rng, 0.002, 0.03));
    let mut spike = 0.0;
    (0..MINUTES)
        .map(|minute| {
            spike *= 0.7;
            if rng.f64() < per_day / DAY {
                spike = 0.05 / (0.02 + rng.f64()).sqrt();
            }
            let wave = swing * day_shape(minute as f64, peak);
            (base * (1.0 + wave) + spike + noise * normal(rng)).max(0.0)
        })
        .collect()
}

/// Quiet days, then one straight way up that somebody stops, or nobody.
fn runaway(rng: &mut Rng) -> Vec<f64> {
    let (base, swing, peak) = (between(rng, 0.1, 0.6), between(rng, 0.0, 0.08), rng.f64());
    let (per_day, noise) = (between(rng, 0.15, 0.6), scale_between(rng, 1e-4, 1e-2));
    let (mut risen, mut rate, mut until) = (0.0, 0.0, 0.0);
    (0..MINUTES)
        .map(|minute| {
            let usual = base + swing * day_shape(minute as f64, peak);
            if rate == 0.0 && rng.f64() < per_day / DAY {
                rate = (1.0 - base) / scale_between(rng, 45.0, 2_000.0);
                until = if rng.u8(..4) == 0 { between(rng, 0.0, 1.0) } else { f64::INFINITY };
            }
            risen += rate;
            let stopped = risen > until * (1.0 - base);
            if stopped || usual + risen >= 1.0 && rng.f64() < 0.02 {
                (risen, rate) = (0.0, 0.0);
            }
            (usual + risen + noise * normal(rng)).clamp(0.0, 1.0)
        })
        .collect()
}
