use crate::learn::state::Fields;

/// Peaks that are remembered.
const PEAKS: usize = 30;

/// Where a series turned back on its way to the limit, and since when it has been on its way.
///
/// A turn is a move back by more than a part of the range and more than noise makes. Values are
/// oriented so that the limit is above.
#[derive(Clone, Debug)]
pub(super) struct Turns {
    /// The mean size of a step.
    step: f64,
    steps: f64,
    /// Highest and lowest value, each slowly forgotten.
    highest: f64,
    lowest: f64,
    /// Whether the last turn was one upwards.
    is_rising: bool,
    /// The extreme since the last turn, and since when.
    extreme: f64,
    extreme_age_s: f64,
    /// Seconds since the last trough, and its value.
    rising_s: f64,
    trough: f64,
    /// Where rises ended, and how long they were, in the signal's unit.
    peaks: [f64; PEAKS],
    rises: [f64; PEAKS],
    count: i64,
}

/// What became of earlier rises that came as far as the present one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Precedents {
    pub(super) rises: usize,
    /// How many of them went on as far as the limit is.
    pub(super) crossings: usize,
}

impl Precedents {
    /// Returns the share that goes on; all where there are none to tell.
    pub(super) fn share(self) -> f64 {
        (self.crossings as f64 + 1.0) / (self.rises as f64 + 1.0)
    }
}

/// What a value does to the way up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    None,
    /// It is the lowest yet: a way up can begin here.
    Lower,
    /// It fell back at one stroke: what went before says nothing of what comes.
    Fell,
}

impl Turns {
    pub(super) fn new() -> Turns {
        Turns {
            step: 0.0,
            steps: 0.0,
            highest: f64::NEG_INFINITY,
            lowest: f64::INFINITY,
            is_rising: false,
            extreme: f64::INFINITY,
            extreme_age_s: 0.0,
            rising_s: 0.0,
            trough: f64::INFINITY,
            peaks: [0.0; PEAKS],
            rises: [0.0; PEAKS],
            count: 0,
        }
    }

    /// Learns a value, `elapsed_s` after `before`.
    pub(super) fn learn(&mut self, elapsed_s: f64, before: Option<f64>, value: f64) -> Turn {
        let turn = (0.08 * (self.highest - self.lowest)).max(6.0 * self.step);
        let fell = before.is_some_and(|before| self.steps >= 10.0 && before - value > turn);
        if let Some(before) = before {
            self.steps += 1.0;
            // A fall at one stroke is no noise.
            let step = (value - before).abs();
            let step = if fell { step.min(6.0 * self.step) } else { step };
            self.step += (step - self.step) / self.steps.min(100.0);
        }
        let (highest, lowest) = (self.highest, self.lowest);
        let range = if highest > lowest { highest - lowest } else { 0.0 };
        self.highest = value.max(highest - 0.0005 * range);
        self.lowest = value.min(lowest + 0.0005 * range);

        self.rising_s += elapsed_s;
        self.extreme_age_s += elapsed_s;
        let goes_on = if self.is_rising { value >= self.extreme } else { value <= self.extreme };
        if goes_on {
            (self.extreme, self.extreme_age_s) = (value, 0.0);
        } else if (value - self.extreme).abs() > turn && self.steps >= 10.0 {
            if self.is_rising {
                let at = self.count as usize % PEAKS;
                self.peaks[at] = self.extreme;
                self.rises[at] = self.extreme - self.trough;
                self.count += 1;
            } else {
                (self.rising_s, self.trough) = (self.extreme_age_s, self.extreme);
            }
            self.is_rising = !self.is_rising;
            (self.extreme, self.extreme_age_s) = (value, 0.0);
        }
        match (fell, self.is_rising, self.extreme_age_s == 0.0) {
            (true, ..) => Turn::Fell,
            (false, false, true) => Turn::Lower,
            _ => Turn::None,
        }
    }

    /// Returns for how long the series has been on its way up, s.
    pub(super) fn rising_s(&self) -> f64 {
        if self.is_rising { self.rising_s } else { self.extreme_age_s }
    }

    /// Returns what speaks more against reaching the limit: that earlier rises ended at a height
    /// before it, or that they were not as long as this one would have to be.
    pub(super) fn precedents(&self, value: f64, limit: f64) -> Precedents {
        let known = (self.count as usize).min(PEAKS);
        let of = |ends: &[f64], here: f64, there: f64| {
            let from = |bound: f64| ends[..known].iter().filter(|end| **end >= bound).count();
            Precedents { rises: from(here), crossings: from(there) }
        };
        let trough = if self.is_rising { self.trough } else { self.extreme };
        let by_height = of(&self.peaks, value, limit);
        let by_length = of(&self.rises, value - trough, limit - trough);
        if by_height.share() <= by_length.share() { by_height } else { by_length }
    }

    pub(super) fn fields<F: Fields>(&mut self, io: &mut F) -> Result<(), F::Error> {
        let mut is_rising = i64::from(self.is_rising);
        io.i64(&mut is_rising)?;
        self.is_rising = is_rising != 0;
        io.f64(&mut self.step)?;
        io.f64(&mut self.steps)?;
        io.f64(&mut self.highest)?;
        io.f64(&mut self.lowest)?;
        io.f64(&mut self.extreme)?;
        io.f64(&mut self.extreme_age_s)?;
        io.f64(&mut self.rising_s)?;
        io.f64(&mut self.trough)?;
        io.f64s(&mut self.peaks)?;
        io.f64s(&mut self.rises)?;
        io.i64(&mut self.count)
    }
}
