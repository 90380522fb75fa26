use super::tempo::Tempo;
use crate::learn::state::Fields;

/// Days over which what was large fades.
const DAYS: f64 = 60.0;
/// A departure below this share of them is small.
const SMALL: f64 = 0.37;

/// How far the series goes from what is expected at most.
///
/// Each day has its largest departure; of these the second largest counts, fading over two months,
/// so that one incident counts for nothing: a day ends when none is going on, and an incident over
/// midnight is one day's. A departure much smaller is no news to anybody, however
/// seldom one of its size comes at its hour: where noise is small beside the day's shape, rarity
/// alone pages for what nobody could see in a picture of the month.
#[derive(Clone, Debug, Default)]
pub(super) struct Extremes {
    /// The largest and the second largest of a day.
    days: [f32; 2],
    /// The largest of the present day, and the samples of it.
    today: f32,
    lasted: f32,
}

impl Extremes {
    /// Returns the size below which a departure is small; 0 where nothing is known.
    pub(super) fn small(&self) -> f64 {
        let [first, second] = self.days;
        let known = [second, first, self.today].into_iter().find(|size| *size > 0.0);
        SMALL * f64::from(known.unwrap_or(0.0))
    }

    /// Learns from a departure of this size.
    pub(super) fn learn(&mut self, size: f64, tempo: &Tempo) {
        self.today = self.today.max(size as f32);
        self.lasted += tempo.elapsed as f32;
        if f64::from(self.lasted) < tempo.day.max(12.0) || tempo.lasted > 0.0 {
            return;
        }
        let kept = libm::exp(-f64::from(self.lasted) / (DAYS * tempo.day)) as f32;
        let [first, second] = self.days.map(|size| size * kept);
        self.days =
            if self.today > first { [self.today, first] } else { [first, second.max(self.today)] };
        (self.today, self.lasted) = (0.0, 0.0);
    }

    /// Multiplies what was learned: another unit.
    pub(super) fn rescale(&mut self, by: f64) {
        let [first, second] = &mut self.days;
        for size in [first, second, &mut self.today] {
            *size = (f64::from(*size) * by) as f32;
        }
    }

    pub(super) fn fields<F: Fields>(&mut self, io: &mut F) -> Result<(), F::Error> {
        io.f32s(&mut self.days)?;
        io.f32(&mut self.today)?;
        io.f32(&mut self.lasted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learn_day(extremes: &mut Extremes, largest: f64) {
        for k in 0..96 {
            extremes.learn(if k == 40 { largest } else { 1.0 }, &Tempo::usual(96.0));
        }
    }

    #[test]
    fn an_incident_over_midnight_is_one_days() {
        let mut extremes = Extremes::default();
        (0..20).for_each(|_| learn_day(&mut extremes, 5.0));
        let mut tempo = Tempo::usual(96.0);
        for k in 0..96 * 3 {
            // From an hour before the day's end to an hour after it.
            let on = (92..100).contains(&k);
            tempo.lasted = if on { f64::from(k - 91) } else { 0.0 };
            extremes.learn(if on { 500.0 } else { 5.0 }, &tempo);
        }
        assert_eq!(extremes.small(), SMALL * 5.0);
    }

    #[test]
    fn the_second_largest_day_counts_and_fades() {
        let mut extremes = Extremes::default();
        assert_eq!(extremes.small(), 0.0);
        extremes.learn(3.0, &Tempo::usual(96.0));
        assert_eq!(extremes.small(), SMALL * 3.0);
        (0..20).for_each(|_| learn_day(&mut extremes, 5.0));
        let before = extremes.small();
        assert!((0.95..=1.0).contains(&(before / (SMALL * 5.0))), "{before}");
        learn_day(&mut extremes, 500.0);
        assert!(extremes.small() <= before);
        learn_day(&mut extremes, 400.0);
        assert_eq!(extremes.small(), SMALL * 400.0);
        let fading: Vec<f64> = (0..120)
            .map(|_| {
                learn_day(&mut extremes, 5.0);
                extremes.small()
            })
            .collect();
        assert!(fading.windows(2).all(|pair| pair[1] < pair[0]));
        assert!((0.12..0.15).contains(&(fading[119] / (SMALL * 400.0))), "{}", fading[119]);
        let before = extremes.small();
        extremes.rescale(0.5);
        assert_eq!(extremes.small(), before / 2.0);
    }
}
