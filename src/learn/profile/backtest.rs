use super::experts::{EXPERTS, Experts};
use super::seasons::Seasons;
use super::spread::{Residual, Spread};

/// From so many points in the past the experts are asked, at most.
const ORIGINS_MAX: usize = 8;
/// An expert whose error is twice the best one's has a sixteenth of its weight.
const WEIGHT_POWER: i32 = 4;
/// An error that makes no difference, in standard deviations.
const ERROR_MIN: f64 = 1e-6;

/// What is foretold of one value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Foretold {
    pub(super) lower: f64,
    pub(super) median: f64,
    pub(super) upper: f64,
}

/// Asks the experts about the last part of the past, as if it had not come yet, then about what
/// comes; none where the past is too short to ask once.
///
/// Eight origins, a day apart, or half the horizon where that is longer; half the past at least lies
/// before the first. Weight of an expert: (the least error / its error)^4, error = mean |z - said|
/// (combining by past errors: Bates and Granger, 1969). Cost for 48 from 960 hourly values: see
/// benches/learn.rs, most of it the autoregressions' learning.
pub(super) fn foretell(past: &[f64], seasons: Seasons, horizon: usize) -> Option<Vec<Foretold>> {
    let apart = seasons.day.max(horizon.div_ceil(2));
    let origins = (past.len() / 2 / apart).min(ORIGINS_MAX);
    if origins == 0 {
        return None;
    }
    let bounds = bounds(past);
    let first = past.len() - origins * apart;
    // A quarter of what lies before the first origin is left to learn from.
    let mut experts = Experts::new(seasons, 3 * first / 4);
    let mut ask = |end: usize, horizon: usize| {
        experts.learn(&past[..end]);
        experts.forecast(&past[..end], horizon, bounds)
    };
    let trials: Vec<Trial> = (first..past.len())
        .step_by(apart)
        .map(|end| {
            let truth = &past[end..past.len().min(end + horizon)];
            Trial { truth, said: ask(end, truth.len()) }
        })
        .collect();
    let weights = weights(&trials);
    let residuals: Vec<Residual> =
        trials.iter().flat_map(|trial| trial.residuals(&weights)).collect();
    let spread = Spread::of(&residuals, origins, horizon, seasons.day);
    let (lowest, highest) = bounds;
    let foretold = |(ahead, median): (usize, f64)| {
        let median = median.clamp(lowest, highest);
        let (below, above) = spread.at(ahead);
        Foretold {
            lower: (median - below).max(lowest) - ERROR_MIN,
            median,
            upper: (median + above).min(highest) + ERROR_MIN,
        }
    };
    let medians = combine(&ask(past.len(), horizon), &weights);
    Some(medians.into_iter().enumerate().map(foretold).collect())
}

/// Nothing is foretold further outside the past than the past is wide.
fn bounds(past: &[f64]) -> (f64, f64) {
    let lowest = past.iter().fold(f64::INFINITY, |a: f64, z| a.min(*z));
    let highest = past.iter().fold(f64::NEG_INFINITY, |a: f64, z| a.max(*z));
    let range = highest - lowest;
    (lowest - range, highest + range)
}

/// What the experts said at one origin, and what came.
struct Trial<'a> {
    truth: &'a [f64],
    said: [Vec<f64>; EXPERTS],
}

impl Trial<'_> {
    fn residuals(&self, weights: &[f64; EXPERTS]) -> impl Iterator<Item = Residual> {
        let said = combine(&self.said, weights).into_iter().enumerate();
        said.zip(self.truth).map(|((ahead, said), z)| Residual { ahead, error: z - said })
    }
}

fn weights(trials: &[Trial<'_>]) -> [f64; EXPERTS] {
    let errors: [f64; EXPERTS] = std::array::from_fn(|expert| {
        let error = |trial: &Trial<'_>| -> f64 {
            trial.said[expert].iter().zip(trial.truth).map(|(said, z)| (z - said).abs()).sum()
        };
        trials.iter().map(error).sum::<f64>() + ERROR_MIN
    });
    let best = errors.iter().fold(f64::INFINITY, |best: f64, error| best.min(*error));
    let weights = errors.map(|error| (best / error).powi(WEIGHT_POWER));
    let sum: f64 = weights.iter().sum();
    weights.map(|weight| weight / sum)
}

fn combine(said: &[Vec<f64>; EXPERTS], weights: &[f64; EXPERTS]) -> Vec<f64> {
    let at =
        |ahead: usize| said.iter().zip(weights).map(|(path, weight)| weight * path[ahead]).sum();
    (0..said[0].len()).map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOURLY: Seasons = Seasons { day: 24, week: 168 };

    #[test]
    fn an_expert_twice_as_wrong_has_a_sixteenth_of_the_weight() {
        let truth = [0.0; 5];
        let said = std::array::from_fn(|expert| vec![if expert == 2 { 1.0 } else { -2.0 }; 5]);
        let found = weights(&[Trial { truth: &truth, said }]);
        assert!((found.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!((found[2] / found[0] - 16.0).abs() < 1e-3, "{found:?}");
    }

    #[test]
    fn two_days_and_the_horizon_have_to_be_known() {
        let is_known =
            |count: usize, horizon| foretell(&vec![0.5; count], HOURLY, horizon).is_some();
        assert!(!is_known(0, 1) && !is_known(47, 1) && is_known(48, 1));
        assert!(!is_known(99, 100) && is_known(100, 100));
        assert!(foretell(&[0.5; 99], HOURLY, 0).unwrap().is_empty());
    }

    #[test]
    fn nothing_is_foretold_far_outside_the_past() {
        let past: Vec<f64> = (0..60).map(|at| 1.2f64.powi(at - 59)).collect();
        let foretold = foretell(&past, HOURLY, 48).unwrap();
        assert!(foretold.iter().all(|said| said.lower > -1.01 && said.upper < 2.01));
        let highest = foretold.iter().map(|said| said.upper).fold(0.0, f64::max);
        assert!(highest > 1.99, "the bound is what holds it: {highest}");
    }
}
