use super::tempo::Tempo;
use crate::learn::state::Fields;

/// Gaps that must have ended, and days that must have been seen, before one is judged.
const GAPS_MIN: u16 = 10;
const DAYS_MIN: f64 = 8.0;
/// The gaps, and the events, that are averaged over.
const GAPS: f64 = 100.0;
const EVENTS: f64 = 100.0;
/// A gap counts for at most so many of the longest before: one outage must not become usual.
const LONGER: f64 = 1.5;
/// The longest gap is so many units long.
const LONGEST: f64 = 2.0;
/// Events a day from which on each gap has to be rarer.
const EVENTS_A_DAY: f64 = 6.0;
/// The surprise from which what does not come is also what is expected.
const OVERDUE: f64 = 2.0;
/// No gap misses more.
const MISSED_MAX: f64 = 1e6;
/// The surprise at which, half a day later at least, it is believed that no event comes any more.
const ACCEPTED: f64 = 6.0;

/// Whether the events of a series that is 0 without them stay away.
///
/// A value over 0 is an event. With e(t) the value expected at a time (the mean of 28 days and the
/// shapes of day and week) and V the mean size of an event, a gap has missed L = sum of e(t) / V
/// events since the last, so that a night without traffic misses none. Events that come on their
/// own (Poisson) stay away for so long with probability exp(-L); where they come in bursts, L is
/// counted in units of its mean, or of half the longest of 28 days. The surprise is
/// -log10 exp(-L / unit), less log10 of how many events there are in four hours, each of which might
/// have been the last before such a gap.
#[derive(Clone, Debug, Default)]
pub(super) struct Absence {
    /// Mean value of 28 days.
    mean: f32,
    /// Mean size of an event.
    size: f32,
    /// Events missed, and samples, since the last.
    missed: f32,
    quiet: f32,
    /// Mean and longest L of the gaps that ended.
    usual: f32,
    longest: f32,
    gaps: u16,
}

impl Absence {
    /// Returns the surprise if no event comes now either, where `shape` is what the time of day and
    /// of week adds to the mean; `days` were seen.
    pub(super) fn surprise(&self, shape: f64, days: f64, tempo: &Tempo) -> f64 {
        if self.gaps < GAPS_MIN || days < DAYS_MIN {
            return 0.0;
        }
        let missed = f64::from(self.missed) + self.due(shape);
        let unit = f64::from(self.usual).max(f64::from(self.longest) / LONGEST).max(1.0);
        let a_day = f64::from(self.mean) / f64::from(self.size) * tempo.day;
        let often = libm::log10((a_day / EVENTS_A_DAY).max(1.0));
        (missed / unit * std::f64::consts::LOG10_E - often).max(0.0)
    }

    /// Returns the least that is expected where the events are overdue by this surprise.
    pub(super) fn least(&self, surprise: f64) -> f64 {
        if surprise >= OVERDUE { f64::from(self.mean) } else { f64::NEG_INFINITY }
    }

    /// Returns how many events a sample brings, on average.
    fn due(&self, shape: f64) -> f64 {
        if self.size > 0.0 {
            (f64::from(self.mean) + shape).max(0.0) / f64::from(self.size)
        } else {
            0.0
        }
    }

    /// Learns from a value, of which [`Absence::surprise`] said so much. Returns whether the events
    /// have stayed away for so long that none is expected any more.
    pub(super) fn learn(&mut self, x: f64, shape: f64, surprise: f64, tempo: &Tempo) -> bool {
        if x < 0.0 {
            *self = Absence::default();
            return false;
        }
        let lost = tempo.loss(28.0 * tempo.day);
        let mean = f64::from(self.mean);
        self.mean = (mean + lost.max(1.0 / tempo.samples) * (x - mean)) as f32;
        self.longest = (f64::from(self.longest) * (1.0 - lost)) as f32;
        if x > 0.0 {
            self.end_gap();
            let size = f64::from(self.size);
            let gain = if size > 0.0 { 1.0 / EVENTS } else { 1.0 };
            self.size = (size + gain * (x - size)) as f32;
            return false;
        }
        self.missed = (f64::from(self.missed) + self.due(shape)).min(MISSED_MAX) as f32;
        self.quiet += tempo.elapsed as f32;
        let is_accepted = surprise >= ACCEPTED && f64::from(self.quiet) >= tempo.day / 2.0;
        if is_accepted {
            *self = Absence::default();
        }
        is_accepted
    }

    fn end_gap(&mut self) {
        if self.quiet > 0.0 {
            let longest = f64::from(self.longest);
            let least = f64::from(self.usual).max(1.0) * LONGEST;
            let missed = f64::from(self.missed).min(LONGER * longest.max(least));
            self.gaps = self.gaps.saturating_add(1);
            let gain = 1.0 / f64::from(self.gaps).min(GAPS);
            let usual = f64::from(self.usual);
            self.usual = (usual + gain * (missed - usual)) as f32;
            self.longest = longest.max(missed) as f32;
        }
        (self.missed, self.quiet) = (0.0, 0.0);
    }

    /// Multiplies what was learned: another unit.
    pub(super) fn rescale(&mut self, by: f64) {
        for size in [&mut self.mean, &mut self.size] {
            *size = (f64::from(*size) * by) as f32;
        }
    }

    pub(super) fn fields<F: Fields>(&mut self, io: &mut F) -> Result<(), F::Error> {
        io.f32(&mut self.mean)?;
        io.f32(&mut self.size)?;
        io.f32(&mut self.missed)?;
        io.f32(&mut self.quiet)?;
        io.f32(&mut self.usual)?;
        io.f32(&mut self.longest)?;
        io.u16(&mut self.gaps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Learns an event of size 2 every `every` samples, and returns the surprise at each sample
    /// after the last.
    fn after_events(every: usize, events: usize, samples: usize) -> (Absence, Vec<f64>) {
        let mut absence = Absence::default();
        let mut said = Vec::new();
        for k in 0..every * events + samples {
            let tempo = Tempo { samples: k as f64 + 1.0, ..Tempo::usual(288.0) };
            let surprise = absence.surprise(0.0, 30.0, &tempo);
            let x = if k % every == 0 && k < every * events { 2.0 } else { 0.0 };
            absence.learn(x, 0.0, if x > 0.0 { 0.0 } else { surprise }, &tempo);
            said.push(surprise);
        }
        (absence, said.split_off(every * events))
    }

    #[test]
    fn the_longer_an_event_stays_away_the_more_surprising_until_none_is_expected() {
        let (absence, said) = after_events(12, 100, 2_000);
        let end = said.iter().position(|surprise| *surprise >= ACCEPTED).unwrap();
        assert!(said[..=end].windows(2).all(|pair| pair[1] >= pair[0]));
        assert!(said[11] < 0.5, "{}", said[11]);
        // 24 events a day: e^-L is 10^-2.8 less the share of so many gaps after 8 of them.
        let found = said.iter().position(|surprise| *surprise >= 2.8).unwrap() / 12;
        assert!((7..=10).contains(&found), "{found} events");
        assert_eq!(said[end + 1], 0.0);
        assert_eq!(absence.gaps, 0);
    }

    #[test]
    fn what_the_shape_does_not_expect_is_not_missed() {
        let (absence, said) = after_events(12, 100, 1);
        let mut night = absence.clone();
        for _ in 0..500 {
            night.learn(0.0, -1.0, 0.0, &Tempo::usual(288.0));
        }
        assert_eq!(night.missed, absence.missed);
        let tempo = Tempo::usual(288.0);
        assert_eq!(night.surprise(-1.0, 30.0, &tempo), absence.surprise(-1.0, 30.0, &tempo));
        assert!(said[0] < 1.0);
    }

    #[test]
    fn one_outage_makes_no_other_usual_and_values_below_0_are_no_events() {
        let (mut absence, _) = after_events(12, 100, 1_000);
        let tempo = Tempo::usual(288.0);
        let (longest, usual) = (absence.longest, absence.usual.max(1.0));
        absence.learn(2.0, 0.0, 0.0, &tempo);
        assert!(absence.longest <= 1.5 * longest.max(2.0 * usual), "{}", absence.longest);
        absence.learn(-1.0, 0.0, 0.0, &tempo);
        assert_eq!(absence.surprise(0.0, 30.0, &tempo), 0.0);
    }
}
