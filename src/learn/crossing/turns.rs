use crate::learn::RestoreError;
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
    /// Seconds since the last trough.
    rising_s: f64,
    peaks: [f64; PEAKS],
    count: i64,
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
            peaks: [0.0; PEAKS],
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
                self.peaks[self.count as usize % PEAKS] = self.extreme;
                self.count += 1;
            } else {
                self.rising_s = self.extreme_age_s;
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

    /// Returns how many of the remembered peaks were at least this high.
    pub(super) fn peaks_from(&self, value: f64) -> usize {
        let known = (self.count as usize).min(PEAKS);
        self.peaks[..known].iter().filter(|peak| **peak >= value).count()
    }

    pub(super) fn fields(&mut self, io: &mut impl Fields) -> Result<(), RestoreError> {
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
        io.f64s(&mut self.peaks)?;
        io.i64(&mut self.count)
    }
}
