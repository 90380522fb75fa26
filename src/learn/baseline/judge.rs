//! A value judged, and the band around what is expected.

use super::experts::Expected;
use super::verdict::{Reading, Shift, Side, THRESHOLD_MIN, Verdict, agreed};
use super::{Baseline, COLD_SAMPLES, DAY_MS, Moment, UNITS_MAX, is_usable, power_of_two};

/// What a surprise counts for less at first; nothing after a week.
const YOUTH_CAUTION: f64 = 0.6;
const BORROWED_DAYS: f64 = 7.0;
/// What a surprise that lasts, three samples of four, counts for more.
const LASTING: f64 = 0.25;
/// What a lone sample counts for less, at a sample a minute.
const LONE: f64 = 0.6;

impl Baseline {
    /// Judges a value by what was learned before; nothing where nobody can tell: cold, after a long
    /// gap, or a value that is no number. `threshold` is the surprise at the band's edge; see
    /// [`default_threshold`](super::default_threshold). It may be asked at any time after the last
    /// learned sample. The band's edges are found to within a thousandth of the way to them.
    pub fn judge(&self, time_ms: i64, value: f64, threshold: f64) -> Option<Verdict> {
        let threshold = Some(threshold).filter(|threshold| threshold.is_finite())?;
        let (moment, unit, reading) = self.weigh(time_ms, value)?;
        let threshold = threshold.max(THRESHOLD_MIN);
        let middle = moment.expected.value;
        let least = threshold + self.caution();
        let needed = self.mixture_needed(least, persistence(self.step_ms));
        let Reading { expected, surprise, side, shift, .. } = reading;
        let upper = within_floats((middle + self.distance(&moment, needed, 1.0)) * unit);
        let lower = if moment.absence >= least {
            expected
        } else {
            within_floats((middle - self.distance(&moment, needed, -1.0)) * unit)
        };
        let band = (lower.min(expected), expected, upper.max(expected));
        let (lower, upper, score) = agreed(band, value, surprise / threshold);
        let days_since = |then_ms: i64| time_ms.saturating_sub(then_ms) as f64 / DAY_MS;
        Some(Verdict {
            expected,
            lower,
            upper,
            surprise,
            score,
            side,
            phase: moment.expected.phase,
            borrowed: self.inherited_ms.map_or(0.0, |inherited_ms| {
                (1.0 - days_since(inherited_ms) / BORROWED_DAYS).clamp(0.0, 1.0)
            }),
            shift,
            relearned: self.relearned_ms.is_some_and(|then_ms| days_since(then_ms) <= 1.0),
        })
    }

    /// Says how unusual a value is, without the band, which is most of what [`Baseline::judge`]
    /// costs: one reading has a score at every threshold, the same as the verdict's there.
    pub fn read(&self, time_ms: i64, value: f64) -> Option<Reading> {
        self.weigh(time_ms, value).map(|(_, _, reading)| reading)
    }

    /// The reading, the moment, and what a unit is.
    fn weigh(&self, time_ms: i64, value: f64) -> Option<(Moment, f64, Reading)> {
        let after_gap = self.settling > 0 || self.is_long_gap(time_ms);
        let known = self.samples >= COLD_SAMPLES && time_ms > self.last_ms && !after_gap;
        if !known || !is_usable(value) {
            return None;
        }
        let unit = self.unit_for(value);
        let moment = self.moment(time_ms);
        let middle = moment.expected.value;
        let units = (value / unit).clamp(-UNITS_MAX, UNITS_MAX);
        let mixture = self.mixture(&moment, units - middle);
        let surprise =
            self.surprise(mixture, persistence(self.step_ms)).max(moment.absence_of(units));
        let surprise = (surprise - self.caution()).max(0.0);
        // An event that does not come is expected to.
        let expected = within_floats(middle.max(self.absence.least(moment.absence)) * unit);
        let reading = Reading {
            expected,
            surprise,
            side: if value < expected { Side::Below } else { Side::Above },
            shift: self.shift(&moment.expected),
            score_max: if value == expected { 1.0f64.next_down() } else { f64::INFINITY },
        };
        Some((moment, unit, reading))
    }

    /// Returns the unit to judge a value in: its own where there were zeros alone, which are zero in
    /// any unit.
    fn unit_for(&self, value: f64) -> f64 {
        if self.unit == 0.0 && value != 0.0 {
            return power_of_two(value.abs());
        }
        self.scale_of_unit()
    }

    fn shift(&self, expected: &Expected) -> Option<Shift> {
        let (since_ms, distance) = self.change.shift()?;
        let before = self.change.before(&self.experts.seasonal(expected));
        let [from, to] =
            [before, before + distance].map(|level| within_floats(level * self.scale_of_unit()));
        Some(Shift { since_ms, from, to })
    }

    /// Returns how unusual a residual is, the largest of the channels. Grows with its size.
    fn mixture(&self, moment: &Moment, residual: f64) -> f64 {
        let channels = self.channels.iter().zip(&moment.scales);
        let parts = channels.map(|(channel, scale)| {
            channel.surprise(&moment.tempo, scale, channel.z(scale, residual), residual > 0.0)
        });
        parts.fold(0.0, f64::max)
    }

    /// Returns how far from what is expected the mixture becomes `needed` on a side.
    fn distance(&self, moment: &Moment, needed: f64, side: f64) -> f64 {
        // Beyond 2^40 everyday sizes there is no edge.
        let mut nearest = moment.scales[0].unit() * libm::exp2(40.0);
        for (channel, scale) in self.channels.iter().zip(&moment.scales) {
            let edge = channel.edge(&moment.tempo, scale, (needed, side), nearest);
            nearest = edge.unwrap_or(nearest);
        }
        nearest
    }

    /// Returns by how much a surprise counts for less in the first week, in which nothing has been
    /// seen twice that comes by the week.
    fn caution(&self) -> f64 {
        let days = self.last_ms.saturating_sub(self.first_ms) as f64 / DAY_MS;
        YOUTH_CAUTION * (1.0 - days / 7.0).max(0.0)
    }

    /// Returns the larger of the two mixtures before, and the second largest of the three before.
    fn recent(&self) -> (f64, f64) {
        let [a, b, c] = self.history.map(f64::from);
        (a.max(b), a.min(b).max(a.max(b).min(c)))
    }

    /// Returns the surprise of a mixture: a lone sample counts for less, three of four for more.
    fn surprise(&self, mixture: f64, persistence: f64) -> f64 {
        let (two, three) = self.recent();
        let thrice = mixture.min(three);
        let bonus = if thrice > 0.0 { LASTING } else { 0.0 };
        (mixture - LONE * persistence).max(mixture.min(two)).max(thrice + bonus)
    }

    /// Returns the least mixture whose surprise is `threshold`.
    fn mixture_needed(&self, threshold: f64, persistence: f64) -> f64 {
        let (two, three) = self.recent();
        let (lone, lasting) = (threshold + LONE * persistence, threshold - LASTING);
        match (two >= threshold, three >= lasting) {
            (_, true) => lasting,
            (true, false) => threshold,
            (false, false) => lone,
        }
    }
}

/// Returns how much rarer a lone sample must be: 1 at a sample a minute, 0 from a quarter of an
/// hour.
fn persistence(step_ms: f64) -> f64 {
    let minutes = (step_ms / 60_000.0).max(1e-3);
    (1.0 - libm::log10(minutes) / libm::log10(15.0)).clamp(0.0, 1.0)
}

fn within_floats(value: f64) -> f64 {
    value.clamp(f64::MIN, f64::MAX)
}
