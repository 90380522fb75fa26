//! How far the record of a series' forecasts is to be trusted: a logistic regression on what models
//! say of a source that they have not seen.

use forewarn::learn::Trust;

use crate::boost::{Model, sigmoid};
use crate::in_two;
use crate::sources::{Run, Source, ask};

/// Forecasts of a source that are followed, about.
const FORECASTS: usize = 400_000;
/// Below this a record has little to say.
const P_MIN: f64 = 0.02;

/// One forecast: its logit, the record of the series then, and what came of it.
pub(crate) struct Heard {
    p: f64,
    record: f64,
    crossed: bool,
}

/// Follows some of a source's series bucket by bucket, as the server does.
pub(crate) fn listen(source: &Source, model: &Model) -> Vec<Heard> {
    let forecasts: usize = source.runs.iter().map(|run| source.buckets(run)).sum();
    // Odd, so that all horizons and both directions come.
    let stride = (forecasts / FORECASTS).max(1) | 1;
    let runs: Vec<Run> = source
        .runs
        .iter()
        .enumerate()
        .step_by(stride)
        .map(|(index, run)| Run {
            limits: vec![run.limits[index % run.limits.len()]],
            ..run.clone()
        })
        .collect();
    in_two(&runs, |run| follow(source, run, model)).into_iter().flatten().collect()
}

fn follow(source: &Source, run: &Run, model: &Model) -> Vec<Heard> {
    let mut trust = Trust::default();
    let mut heard = Vec::new();
    let mut before_ms = None;
    ask(&source.tracks, run, 1, |asked| {
        trust.fade(before_ms.replace(asked.time_ms).map_or(0, |ms| asked.time_ms - ms));
        let p = asked.features.map(|features| model.p(&features));
        if let Some(p) = p {
            heard.push(Heard { p, record: trust.record(), crossed: asked.crossed });
        }
        trust.learn(asked.time_ms, run.horizon_ms, p, p.is_none());
    });
    heard
}

fn logit(p: f64) -> f64 {
    let p = p.clamp(1e-4, 1.0 - 1e-4);
    libm::log(p / (1.0 - p))
}

/// Returns bias, slope and weight of the record, each source counting the same: Newton's steps on
/// the logistic loss.
pub(crate) fn fit(sources: &[Vec<Heard>]) -> [f64; 3] {
    let mut at = [0.0, 1.0, 0.0];
    for _ in 0..25 {
        let (mut slope, mut curve) = ([0.0; 3], [[0.0; 3]; 3]);
        for heard in sources {
            let told: Vec<&Heard> = heard.iter().filter(|heard| heard.p >= P_MIN).collect();
            let weight = 1.0 / told.len().max(1) as f64;
            for heard in told {
                let inputs = [1.0, logit(heard.p), heard.record];
                let sum: f64 = inputs.iter().zip(at).map(|(input, at)| input * at).sum();
                let p = sigmoid(sum);
                let off = p - f64::from(u8::from(heard.crossed));
                for row in 0..3 {
                    slope[row] += weight * off * inputs[row];
                    for column in 0..3 {
                        curve[row][column] += weight * p * (1.0 - p) * inputs[row] * inputs[column];
                    }
                }
            }
        }
        let step = solve(curve, slope);
        at = std::array::from_fn(|index| at[index] - step[index]);
    }
    at
}

/// Solves three equations by elimination.
fn solve(mut matrix: [[f64; 3]; 3], mut right: [f64; 3]) -> [f64; 3] {
    for pivot in 0..3 {
        for row in pivot + 1..3 {
            let times = matrix[row][pivot] / matrix[pivot][pivot];
            let above = matrix[pivot];
            for (value, above) in matrix[row].iter_mut().zip(above) {
                *value -= times * above;
            }
            right[row] -= times * right[pivot];
        }
    }
    let mut found = [0.0; 3];
    for row in (0..3).rev() {
        let known: f64 = (row + 1..3).map(|column| matrix[row][column] * found[column]).sum();
        found[row] = (right[row] - known) / matrix[row][row];
    }
    found
}

/// Says how honest the bent probabilities are, and how far they go.
pub(crate) fn report(heard: &[Heard], bend: &[f64; 3]) -> String {
    let believed = |heard: &Heard| {
        let bent = sigmoid(bend[0] + bend[1] * logit(heard.p) + bend[2] * heard.record);
        heard.p + ((heard.p - 0.02) / 0.08).clamp(0.0, 1.0) * (bent - heard.p)
    };
    let count = heard.len() as f64;
    let crossed = heard.iter().filter(|heard| heard.crossed).count() as f64;
    let outcome = |heard: &Heard| f64::from(u8::from(heard.crossed));
    let brier: f64 =
        heard.iter().map(|heard| (believed(heard) - outcome(heard)).powi(2)).sum::<f64>() / count;
    let base = crossed / count * (1.0 - crossed / count);
    let mut text = format!(
        "{count} forecasts, {:.3} crossed, Brier {:.3} of the base rate's;",
        crossed / count,
        brier / base
    );
    for (low, high) in [(0.5, 0.7), (0.7, 0.9), (0.9, 1.1)] {
        let told = heard.iter().filter(|heard| (low..high).contains(&believed(heard)));
        let outcomes: Vec<f64> = told.map(outcome).collect();
        let came: f64 = outcomes.iter().sum();
        let (came, told) = (came / outcomes.len() as f64, outcomes.len());
        text = format!("{text} p >= {low}: {came:.3} of {told}");
    }
    let sure = heard.iter().filter(|heard| heard.crossed && believed(heard) >= 0.9).count() as f64;
    text + &format!("; {:.3} of crossings said at 0.9", sure / crossed)
}
