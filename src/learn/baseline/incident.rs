use super::Side;
use super::tempo::Tempo;
use crate::learn::state::Fields;

/// How much slower is learned during an incident.
const PACE: f64 = 0.3;
/// How much slower it is learned then how large residuals usually are.
const SPREAD_PACE: f64 = 0.01;
/// The same before a day was seen, when a morning may look like an incident.
const YOUNG_SPREAD_PACE: f64 = 0.1;
/// How much quicker it is learned where the noise has widened, which is known from so many changes
/// of side on.
const WIDER_PACE: f64 = 3.0;
const WIDER_TURNS: u8 = 4;
/// How much slower for a day after an incident was accepted.
const ACCEPTED_PACE: f64 = 0.6;
/// Samples in running that must be usual before the series has come back and the incident lasts no
/// longer, and before it is over.
const BACK_SAMPLES: f64 = 3.0;
const CALM_SAMPLES: f64 = 24.0;
/// Samples that an incident lasts at least before it is taken for normal.
const SAMPLES_MIN: f64 = 12.0;

/// Whether what comes is trouble, from which little is to be learned. After half a day of it, not
/// counting the times in which the series was back, it is taken for the new state of things, which is
/// learned for a day. What is far off on one side and then on the other, again and again, is noise
/// that has widened: how large it is is learned at once.
#[derive(Clone, Debug, Default)]
pub(super) struct Incident {
    /// Samples that it has lasted; 0 where there is none, below it the samples that are left of the
    /// day after one was accepted.
    lasted: f32,
    /// Samples in running that were usual.
    calm: f32,
    /// Whether the last sample that was far off was above, and how often that changed.
    is_above: bool,
    turns: u8,
}

/// What a sample means for an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    None,
    /// The series has come back from it.
    Back,
    /// It has lasted for so long that it is accepted.
    Accepted,
}

impl Incident {
    /// Learns on which side a sample is far off, if it is.
    pub(super) fn learn(&mut self, off: Option<Side>, tempo: &Tempo) -> Course {
        let (is_off, elapsed) = (off.is_some(), tempo.elapsed as f32);
        if self.lasted < 0.0 {
            self.lasted = (self.lasted + elapsed).min(0.0);
            return Course::None;
        }
        if self.lasted == 0.0 && !is_off {
            return Course::None;
        }
        if let Some(side) = off {
            let is_above = side == Side::Above;
            let turns = self.lasted > 0.0 && is_above != self.is_above;
            self.turns = self.turns.saturating_add(u8::from(turns));
            self.is_above = is_above;
        }
        let calm = if is_off { 0.0 } else { self.calm + elapsed };
        if f64::from(calm) < BACK_SAMPLES * tempo.minute {
            self.lasted += elapsed;
        }
        let reaches = |samples: f64| {
            let samples = (samples * tempo.minute) as f32;
            self.calm < samples && calm >= samples
        };
        let (is_back, is_over) = (reaches(BACK_SAMPLES), reaches(CALM_SAMPLES));
        self.calm = calm;
        let half_day = (tempo.day / 2.0).max(SAMPLES_MIN);
        if is_off && f64::from(self.lasted) > half_day {
            *self = Incident { lasted: -(2.0 * half_day) as f32, ..Incident::default() };
            return Course::Accepted;
        }
        if is_over {
            *self = Incident::default();
        }
        if is_back { Course::Back } else { Course::None }
    }

    /// Returns whether there is one that is not accepted.
    pub(super) fn is_on(&self) -> bool {
        self.lasted > 0.0
    }

    /// Returns for how many samples it has lasted.
    pub(super) fn lasted(&self) -> f64 {
        f64::from(self.lasted.max(0.0))
    }

    /// Returns the share of everyday learning, and that of learning how large residuals are;
    /// `knows_day` is whether a day was seen.
    pub(super) fn paces(&self, knows_day: bool) -> (f64, f64) {
        match self.lasted {
            lasted if lasted > 0.0 && self.turns >= WIDER_TURNS => (PACE, WIDER_PACE),
            lasted if lasted > 0.0 && knows_day => (PACE, SPREAD_PACE),
            lasted if lasted > 0.0 => (PACE, YOUNG_SPREAD_PACE),
            lasted if lasted < 0.0 => (ACCEPTED_PACE, ACCEPTED_PACE),
            _ => (1.0, 1.0),
        }
    }

    pub(super) fn fields<F: Fields>(&mut self, io: &mut F) -> Result<(), F::Error> {
        io.f32(&mut self.lasted)?;
        io.f32(&mut self.calm)?;
        io.bool(&mut self.is_above)?;
        io.u8(&mut self.turns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learn(incident: &mut Incident, off: Option<Side>, samples: usize) -> Vec<Course> {
        let courses = (0..samples).map(|_| incident.learn(off, &Tempo::usual(288.0)));
        courses.filter(|course| *course != Course::None).collect()
    }

    const ABOVE: Option<Side> = Some(Side::Above);
    const BELOW: Option<Side> = Some(Side::Below);

    #[test]
    fn it_is_over_once_the_series_is_back_for_long_enough() {
        let mut incident = Incident::default();
        assert_eq!(learn(&mut incident, None, 100), []);
        assert!(!incident.is_on());
        assert_eq!(learn(&mut incident, ABOVE, 20), []);
        assert_eq!(incident.paces(true), (PACE, SPREAD_PACE));
        assert_eq!(learn(&mut incident, None, 23), [Course::Back]);
        assert!(incident.is_on());
        assert_eq!(learn(&mut incident, None, 1), []);
        assert_eq!((incident.is_on(), incident.paces(true)), (false, (1.0, 1.0)));
    }

    #[test]
    fn after_half_a_day_it_is_accepted_and_learned_for_a_day() {
        let mut incident = Incident::default();
        assert_eq!(learn(&mut incident, ABOVE, 144), []);
        assert_eq!(learn(&mut incident, ABOVE, 1), [Course::Accepted]);
        assert_eq!(learn(&mut incident, ABOVE, 287), []);
        assert_eq!(incident.paces(true), (ACCEPTED_PACE, ACCEPTED_PACE));
        assert_eq!(learn(&mut incident, ABOVE, 1), []);
        assert_eq!(incident.paces(true), (1.0, 1.0));
        // What is still far off then begins another.
        assert_eq!(learn(&mut incident, ABOVE, 1), []);
        assert!(incident.is_on());
    }

    #[test]
    fn the_time_in_which_the_series_was_back_is_no_part_of_the_half_day() {
        let mut incident = Incident::default();
        // A lone sample now and then.
        for _ in 0..20 {
            assert_eq!(learn(&mut incident, ABOVE, 1), []);
            assert_eq!(learn(&mut incident, None, 20), [Course::Back]);
        }
        assert_eq!(incident.lasted(), 20.0 * 3.0);
        assert_eq!(learn(&mut incident, ABOVE, 84), []);
        assert_eq!(learn(&mut incident, ABOVE, 1), [Course::Accepted]);
    }

    #[test]
    fn noise_that_widens_is_learned_at_once_and_what_stays_on_one_side_is_not() {
        let mut incident = Incident::default();
        for _ in 0..20 {
            learn(&mut incident, ABOVE, 1);
            learn(&mut incident, None, 2);
        }
        assert_eq!(incident.paces(true), (PACE, SPREAD_PACE));
        for turns in 0..4 {
            assert_eq!(incident.paces(true), (PACE, SPREAD_PACE), "{turns}");
            learn(&mut incident, if turns % 2 == 0 { BELOW } else { ABOVE }, 2);
        }
        assert_eq!(incident.paces(true), (PACE, WIDER_PACE));
        learn(&mut incident, None, 24);
        assert_eq!(incident.paces(true), (1.0, 1.0));
        learn(&mut incident, BELOW, 1);
        assert_eq!(incident.paces(true), (PACE, SPREAD_PACE));
    }
}
