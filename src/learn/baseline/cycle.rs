use half::f16;

use super::tempo::Tempo;
use crate::learn::state::Fields;

const DAY_MS: i64 = 86_400_000;
pub(super) const DAY_BUCKETS: usize = 96;
pub(super) const WEEK_BUCKETS: usize = 168;
/// Visits are kept in sixteenths of a pass.
const VISIT: f32 = 1.0 / 16.0;
/// The share of its passes that a bucket loses where a whole pass contradicts it.
const DOUBT: f64 = 0.4;
/// How much further than else a bucket in doubt goes while it rests on one pass or less, and what of
/// a pass it rests on where it is known to be wrong.
const UNSURE: f64 = 4.0;
const WRONG: f64 = 1.0 / 3.0;
/// What the first pass of a bucket counts for less, once there was a second.
const FIRST_LESS: f64 = 0.5;

/// A shape over a day (96 buckets) or a week (168), linear between the buckets' centres, which lie
/// on the full hour and its parts. Samples that come no more often than once in a bucket belong to
/// the nearest alone.
///
/// Between visits a bucket is held in three bytes: a half float, and its passes in sixteenths. The
/// two that are being learned are single floats until the samples have moved on, so that what one
/// sample adds is never rounded away.
#[derive(Clone, Debug)]
pub(super) struct Cycle<const N: usize> {
    values: [f16; N],
    visits: [u8; N],
    open: Open,
}

/// The bucket `first` and the one after it.
#[derive(Clone, Copy, Debug)]
struct Open {
    first: u8,
    values: [f32; 2],
    /// Passes; samples where a bucket sees less than one in a pass.
    visits: [f32; 2],
}

/// Whether a sample contradicts what a bucket says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    None,
    /// It is far off, and nothing finer explains it.
    Off,
    /// It is far off, and as something else says: what came in the first pass happened once.
    Wrong,
}

/// A place among the buckets: between the centres of `first` and the one after it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    first: usize,
    /// Of the second bucket.
    weight: f64,
}

impl<const N: usize> Cycle<N> {
    /// Days that the shape spans, and passes that a bucket averages over.
    const DAYS: i64 = if N == WEEK_BUCKETS { 7 } else { 1 };
    const PASSES: f64 = if N == WEEK_BUCKETS { 4.0 } else { 7.0 };

    pub(super) fn new() -> Cycle<N> {
        let open = Open { first: 0, values: [0.0; 2], visits: [0.0; 2] };
        Cycle { values: [f16::ZERO; N], visits: [0; N], open }
    }

    /// Returns where a time of the week lies; `day` in samples.
    pub(super) fn spot(week_ms: i64, day: f64) -> Spot {
        let bucket_ms = Self::DAYS * DAY_MS / N as i64;
        let first = (week_ms / bucket_ms) as usize % N;
        let weight = (week_ms % bucket_ms) as f64 / bucket_ms as f64;
        match (Self::per_pass(day) < 1.5, weight < 0.5) {
            (false, _) => Spot { first, weight },
            (true, true) => Spot { first, weight: 0.0 },
            (true, false) => Spot { first: (first + 1) % N, weight: 0.0 },
        }
    }

    /// Returns what the values on the full hours alone say at a place in the week.
    pub(super) fn at_hours(&self, week: Spot) -> f64 {
        let at = |hour: usize| f64::from(self.bucket(hour % 24 * (N / 24) % N).0);
        at(week.first) * (1.0 - week.weight) + at(week.first + 1) * week.weight
    }

    pub(super) fn at(&self, spot: Spot) -> f64 {
        let (first, second) = (self.bucket(spot.first), self.bucket((spot.first + 1) % N));
        f64::from(first.0) * (1.0 - spot.weight) + f64::from(second.0) * spot.weight
    }

    /// Returns how often the buckets of a place were passed, the one that counts least; `day` in
    /// samples.
    pub(super) fn passes(&self, spot: Spot, day: f64) -> f64 {
        let seen = |bucket: usize, weight: f64| {
            // What matters little need not be known: samples that always come at the same minute
            // may hardly touch the second bucket.
            if weight < 0.25 { f64::MAX } else { f64::from(self.bucket(bucket).1) }
        };
        let least =
            seen(spot.first, 1.0 - spot.weight).min(seen((spot.first + 1) % N, spot.weight));
        // Fewer samples than buckets: each lands in the same two, at least half in one of them.
        // Nine tenths: jitter of the samples' times makes a pass a little short.
        least / (0.9 * Self::per_pass(day).clamp(0.25, 1.0))
    }

    /// Returns the least that the shape says anywhere.
    pub(super) fn lowest(&self) -> f64 {
        (0..N).map(|index| f64::from(self.bucket(index).0)).fold(f64::MAX, f64::min)
    }

    /// Returns whether the same hour of another day of the week's kind, working day or weekend, was
    /// passed; `day` in samples.
    pub(super) fn knows_kind(&self, week: Spot, day: f64) -> bool {
        let (today, hour) = (week.first / 24, week.first % 24);
        let mut days = if today < 5 { 0..5 } else { 5..7 };
        days.any(|other| {
            let spot = Spot { first: 24 * other + hour, ..week };
            other != today && self.passes(spot, day) >= 1.0
        })
    }

    /// Learns that the shape at a place was off by so much, of which at most `limit` is believed. A
    /// bucket in doubt rests on fewer passes, so that the next move it further, while it rests on one
    /// alone at four times the limit, and whole where it is known to be wrong: what happened once, in
    /// the first pass, is not expected for months. In its first pass a bucket is the mean of
    /// what came near it, whatever its neighbour says: a bucket of which little was seen would else
    /// make up, many times over, for what the one before it has wrong.
    pub(super) fn learn(
        &mut self,
        spot: Spot,
        tempo: &Tempo,
        (off, limit): (f64, f64),
        doubt: Doubt,
    ) {
        self.open(spot.first);
        let said = self.at(spot);
        let per_pass = Self::per_pass(tempo.day).max(1.0);
        for (k, weight) in [1.0 - spot.weight, spot.weight].into_iter().enumerate() {
            if weight > 0.0 {
                let before = f64::from(self.open.visits[k]);
                let share = weight / per_pass;
                let is_first = before < 0.99;
                let is_wrong = doubt == Doubt::Wrong && !is_first && before <= 1.0;
                let visits = if is_wrong {
                    before
                } else if doubt != Doubt::None && !is_first {
                    (before.min(Self::PASSES) * (1.0 - DOUBT * share)).max(1.0)
                } else {
                    (before + share).min(15.0)
                };
                self.open.visits[k] = visits as f32;
                // Of the first pass nobody knew more than that pass.
                let passes = visits.min(Self::PASSES) - FIRST_LESS * (visits - 1.0).clamp(0.0, 1.0);
                // What was never seen, or is known to be wrong, is hardly an incident's doing.
                let (passes, pace, off) = if is_first {
                    (passes, 1.0, off + said - f64::from(self.open.values[k]))
                } else if is_wrong {
                    (WRONG, 1.0, off)
                } else {
                    let limit = if visits <= 1.0 { UNSURE * limit } else { limit };
                    (passes, tempo.pace, off.clamp(-limit, limit))
                };
                let averaged = (passes * per_pass).max(weight);
                self.open.values[k] += (pace * weight / averaged * off) as f32;
            }
        }
    }

    /// Counts no bucket for more than so many passes.
    pub(super) fn forget(&mut self, passes: f32) {
        self.close();
        let most = (passes / VISIT) as u8;
        self.visits.iter_mut().for_each(|visits| *visits = (*visits).min(most));
        self.open_anew(usize::from(self.open.first));
    }

    /// Multiplies what was learned: another unit.
    pub(super) fn rescale(&mut self, by: f64) {
        for value in &mut self.values {
            *value = saturated((f64::from(*value) * by) as f32);
        }
        self.open.values = self.open.values.map(|value| (f64::from(value) * by) as f32);
    }

    /// Returns the samples that a bucket sees in one pass, by weight.
    fn per_pass(day: f64) -> f64 {
        day * Self::DAYS as f64 / N as f64
    }

    /// Returns a bucket's value and visits.
    fn bucket(&self, index: usize) -> (f32, f32) {
        let first = usize::from(self.open.first);
        if index == first {
            (self.open.values[0], self.open.visits[0])
        } else if index == (first + 1) % N {
            (self.open.values[1], self.open.visits[1])
        } else {
            (f32::from(self.values[index]), f32::from(self.visits[index]) * VISIT)
        }
    }

    fn open(&mut self, first: usize) {
        let before = self.open;
        if first == usize::from(before.first) {
            return;
        }
        self.close();
        self.open_anew(first);
        if first == (usize::from(before.first) + 1) % N {
            (self.open.values[0], self.open.visits[0]) = (before.values[1], before.visits[1]);
        }
    }

    fn close(&mut self) {
        for k in 0..2 {
            let index = (usize::from(self.open.first) + k) % N;
            self.values[index] = saturated(self.open.values[k]);
            self.visits[index] = (self.open.visits[k] / VISIT).round() as u8;
        }
    }

    fn open_anew(&mut self, first: usize) {
        let pair = [first, (first + 1) % N];
        self.open = Open {
            first: first as u8,
            values: pair.map(|index| f32::from(self.values[index])),
            visits: pair.map(|index| f32::from(self.visits[index]) * VISIT),
        };
    }

    pub(super) fn fields<F: Fields>(&mut self, io: &mut F) -> Result<(), F::Error> {
        self.values.iter_mut().try_for_each(|value| io.f16(value))?;
        io.bytes(&mut self.visits)?;
        io.u8(&mut self.open.first)?;
        self.open.first %= N as u8;
        io.f32s(&mut self.open.values)?;
        io.f32s(&mut self.open.visits)
    }
}

fn saturated(value: f32) -> f16 {
    f16::from_f32(value.clamp(-65_504.0, 65_504.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: i64 = 60_000;

    #[test]
    fn a_shape_is_learned_in_a_pass_and_lies_between_the_buckets_centres() {
        let wave = |at_ms: i64| (std::f64::consts::TAU * at_ms as f64 / DAY_MS as f64).sin();
        let mut cycle = Cycle::<DAY_BUCKETS>::new();
        for at_ms in (0..3 * DAY_MS).step_by(MINUTE_MS as usize) {
            let spot = Cycle::<DAY_BUCKETS>::spot(at_ms, 1440.0);
            assert!((0.0..1.0).contains(&spot.weight));
            let is_passed = cycle.passes(spot, 1440.0) >= 1.0;
            // The last buckets of the day are half passed at its end.
            if !(DAY_MS - 60 * MINUTE_MS..=DAY_MS + 30 * MINUTE_MS).contains(&at_ms) {
                assert_eq!(is_passed, at_ms > DAY_MS, "{at_ms}");
            }
            cycle.learn(
                spot,
                &Tempo::usual(1440.0),
                (wave(at_ms) - cycle.at(spot), 9.0),
                Doubt::Off,
            );
        }
        for at_ms in (0..DAY_MS).step_by(7 * MINUTE_MS as usize) {
            let off = cycle.at(Cycle::<DAY_BUCKETS>::spot(at_ms, 1440.0)) - wave(at_ms);
            assert!(off.abs() < 0.02, "{at_ms} {off}");
        }
        let before = cycle.at(Cycle::<DAY_BUCKETS>::spot(6 * 60 * MINUTE_MS, 1440.0));
        cycle.rescale(1024.0);
        assert_eq!(
            cycle.at(Cycle::<DAY_BUCKETS>::spot(6 * 60 * MINUTE_MS, 1440.0)),
            1024.0 * before
        );
    }

    #[test]
    fn samples_rarer_than_buckets_pass_them_too() {
        let mut cycle = Cycle::<DAY_BUCKETS>::new();
        for hour in 0..48 {
            let spot = Cycle::<DAY_BUCKETS>::spot(hour * 60 * MINUTE_MS, 24.0);
            assert_eq!(cycle.passes(spot, 24.0) >= 1.0, hour >= 24, "{hour}");
            cycle.learn(spot, &Tempo::usual(24.0), (1.0, 9.0), Doubt::Off);
        }
    }

    #[test]
    fn a_first_pass_does_not_swing_where_the_shape_jumps() {
        let shape = |at_ms: i64| if at_ms < 5 * DAY_MS { 0.2 } else { -1.0 };
        let mut cycle = Cycle::<WEEK_BUCKETS>::new();
        for at_ms in (0..7 * DAY_MS).step_by(MINUTE_MS as usize) {
            let spot = Cycle::<WEEK_BUCKETS>::spot(at_ms, 1440.0);
            cycle.learn(
                spot,
                &Tempo::usual(1440.0),
                (shape(at_ms) - cycle.at(spot), 9.0),
                Doubt::Off,
            );
        }
        for hour in 0..168 {
            let said = cycle.at(Cycle::<WEEK_BUCKETS>::spot(hour * 60 * MINUTE_MS, 1440.0));
            assert!((-1.01..=0.21).contains(&said), "{hour}: {said}");
        }
    }
}
