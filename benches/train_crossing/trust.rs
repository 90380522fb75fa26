//! How far the record of a series' forecasts is to be trusted: a logistic regression on what models
//! say of what they have not seen.

use forewarn::learn::{Bend, Steady, Trust};

use crate::boost::{Model, sigmoid};
use crate::in_two;
use crate::left_out::LeftOut;
use crate::sources::{Run, Source, TRIED_MS, ask};

/// How much lower than on known sources the logit is held: sources differ by more than what is
/// learned from them knows, and the worst of those left out (NAB) asks for about that much.
const CAUTION: f64 = 0.1;
/// Below this a record has little to say.
const P_MIN: f64 = 0.02;

/// What was said of a trial, evaluation by evaluation.
pub(crate) struct Tried<'a> {
    pub(crate) source: &'a Source,
    pub(crate) trial: &'a Run,
    pub(crate) told: Vec<Told>,
}

/// One forecast, and what came of it.
pub(crate) struct Told {
    pub(crate) time_ms: i64,
    /// None: on the limit.
    pub(crate) p: Option<f64>,
    /// The record of the series then.
    pub(crate) record: f64,
    pub(crate) crossed: bool,
    pub(crate) is_known: bool,
}

/// Follows the trials that were left out bucket by bucket, as the server does.
pub(crate) fn listen<'a>(
    sources: &'a [Source],
    left_out: &LeftOut,
    model: &Model,
) -> Vec<Tried<'a>> {
    let trials: Vec<(&Source, &Run)> = sources
        .iter()
        .flat_map(|source| source.trials.iter().map(move |trial| (source, trial)))
        .filter(|(source, trial)| left_out.has(source, trial.track))
        .collect();
    in_two(&trials, |(source, trial)| Tried { source, trial, told: follow(source, trial, model) })
}

fn follow(source: &Source, trial: &Run, model: &Model) -> Vec<Told> {
    let (mut steady, mut trust) = (Steady::default(), Trust::default());
    let mut told = Vec::new();
    let mut before_ms = None;
    ask(&source.tracks, trial, 1, |asked| {
        let time_ms = asked.time_ms;
        trust.fade(before_ms.replace(time_ms).map_or(0, |before_ms| time_ms - before_ms));
        let p = asked.question.map(|question| {
            question.p(|features| model.p(&features.map(|feature| feature as f32)))
        });
        let p = p.map(|p| steady.hear(time_ms, TRIED_MS, p));
        if p.is_none() {
            steady.forget();
        }
        let (crossed, is_known) = (asked.crossed, asked.is_known);
        told.push(Told { time_ms, p, record: trust.record(), crossed, is_known });
        trust.learn(time_ms, TRIED_MS, p, p.is_none());
    });
    told
}

fn logit(p: f64) -> f64 {
    let p = p.clamp(1e-4, 1.0 - 1e-4);
    libm::log(p / (1.0 - p))
}

/// Returns bias, slope and weight of the record, what was left out together counting by its weight:
/// Newton's steps on the logistic loss.
pub(crate) fn fit(heard: &[(f64, Vec<Tried<'_>>)]) -> Bend {
    let sets: Vec<Vec<([f64; 3], f64, f64)>> =
        heard.iter().map(|(weight, tried)| answers(*weight, tried)).collect();
    let mut at = [0.0, 1.0, 0.0];
    for _ in 0..15 {
        let (mut slope, mut curve) = ([0.0; 3], [[0.0; 3]; 3]);
        for (inputs, came, weight) in sets.iter().flatten() {
            let sum: f64 = inputs.iter().zip(at).map(|(input, at)| input * at).sum();
            let p = sigmoid(sum);
            for row in 0..3 {
                slope[row] += weight * (p - came) * inputs[row];
                for column in 0..3 {
                    curve[row][column] += weight * p * (1.0 - p) * inputs[row] * inputs[column];
                }
            }
        }
        let step = solve(curve, slope);
        at = std::array::from_fn(|index| at[index] - step[index]);
    }
    let [bias, slope, record] = at.map(|value| (1000.0 * value).round() / 1000.0);
    Bend { bias: bias - CAUTION, slope, record }
}

/// Returns inputs, outcome and weight of each forecast that a record has a say in.
fn answers(weight: f64, tried: &[Tried<'_>]) -> Vec<([f64; 3], f64, f64)> {
    let mut answers: Vec<([f64; 3], f64, f64)> = tried
        .iter()
        .flat_map(|tried| tried.told.iter())
        .filter(|told| told.is_known)
        .filter_map(|told| {
            let p = told.p.filter(|p| *p >= P_MIN)?;
            Some(([1.0, logit(p), told.record], f64::from(u8::from(told.crossed)), weight))
        })
        .collect();
    let count = answers.len().max(1) as f64;
    for (_, _, weight) in &mut answers {
        *weight /= count;
    }
    answers
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
