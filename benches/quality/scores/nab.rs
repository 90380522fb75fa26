//! The score of the Numenta Anomaly Benchmark, version 1.1, in its three profiles.
//!
//! A row in a label window earns by how early it is, along a sigmoid scaled to the window; a window
//! counts its best flagged row, or costs when it has none. A row outside costs, less shortly after a
//! window. The first 15 % of a file's rows, 750 at most, are not scored. Each profile takes the
//! threshold that is best over the whole corpus; 0 is a detector that says nothing, 100 a perfect one.

use std::ops::Range;

use super::{Figures, Judged, Labelled, rows_within};

struct Profile {
    names: [&'static str; 3],
    hit: f64,
    false_alarm: f64,
    miss: f64,
}

const PROFILES: [Profile; 3] = [
    Profile {
        names: ["standard.score", "standard.threshold", "standard.score_at_fixed"],
        hit: 1.0,
        false_alarm: 0.11,
        miss: 1.0,
    },
    Profile {
        names: [
            "reward_low_FP_rate.score",
            "reward_low_FP_rate.threshold",
            "reward_low_FP_rate.score_at_fixed",
        ],
        hit: 1.0,
        false_alarm: 0.22,
        miss: 1.0,
    },
    Profile {
        names: [
            "reward_low_FN_rate.score",
            "reward_low_FN_rate.threshold",
            "reward_low_FN_rate.score_at_fixed",
        ],
        hit: 1.0,
        false_alarm: 0.11,
        miss: 2.0,
    },
];

/// Scores a corpus whose incidents are NAB's windows; `fixed` is the threshold that is scored too.
pub(crate) fn score(series: &[(&Labelled, &Judged)], fixed: f64) -> Figures {
    let corpus = Corpus::new(series);
    let mut figures = Vec::new();
    for profile in &PROFILES {
        let nothing = -profile.miss * corpus.windows_scored as f64;
        let perfect = profile.hit * corpus.windows as f64;
        let normal = |raw: f64| 100.0 * (raw - nothing) / (perfect - nothing);
        let (mut best, mut at_fixed) = ((nothing, f64::INFINITY), nothing);
        corpus.sweep(profile, |threshold, raw| {
            if raw > best.0 {
                best = (raw, threshold);
            }
            if threshold >= fixed {
                at_fixed = raw;
            }
        });
        let values = [normal(best.0), best.1, normal(at_fixed)];
        figures.extend(profile.names.iter().copied().zip(values.map(Some)));
    }
    figures
}

struct Row {
    score: f64,
    credit: f64,
    /// Into the windows that can be scored.
    window: Option<usize>,
}

struct Corpus {
    /// By falling score.
    rows: Vec<Row>,
    windows: usize,
    /// Those of which at least a row is past the first part.
    windows_scored: usize,
}

impl Corpus {
    fn new(series: &[(&Labelled, &Judged)]) -> Corpus {
        let mut corpus = Corpus { rows: Vec::new(), windows: 0, windows_scored: 0 };
        for (labelled, judged) in series {
            corpus.add(labelled, judged);
        }
        corpus.rows.sort_by(|one, other| other.score.total_cmp(&one.score));
        corpus
    }

    fn add(&mut self, labelled: &Labelled, judged: &Judged) {
        let windows = windows_of(labelled);
        let probation = ((0.15 * judged.score.len() as f64).floor() as usize).min(750);
        self.windows += windows.len();
        let credits = credits(&windows, judged.score.len());
        let mut counted = None;
        for (row, (score, (credit, window))) in judged.score.iter().zip(credits).enumerate() {
            if row < probation {
                continue;
            }
            let is_first_of_window = window.is_some() && counted != window;
            self.windows_scored += usize::from(is_first_of_window);
            counted = if is_first_of_window { window } else { counted };
            let window = window.map(|_| self.windows_scored - 1);
            self.rows.push(Row { score: *score, credit, window });
        }
    }

    /// Lowers the threshold over all scores and tells the raw score at each.
    fn sweep(&self, profile: &Profile, mut tell: impl FnMut(f64, f64)) {
        let most = credit(-1.0);
        let mut earned = vec![-profile.miss; self.windows_scored];
        let mut total: f64 = earned.iter().sum();
        for (at, row) in self.rows.iter().enumerate() {
            match row.window {
                None => total += profile.false_alarm * row.credit,
                Some(window) => {
                    let value = row.credit * profile.hit / most;
                    total += f64::max(value - earned[window], 0.0);
                    earned[window] = f64::max(value, earned[window]);
                }
            }
            if self.rows.get(at + 1).is_none_or(|next| next.score != row.score) {
                tell(row.score, total);
            }
        }
    }
}

/// Returns the rows of each window.
fn windows_of(labelled: &Labelled) -> Vec<Range<usize>> {
    let incidents = labelled.incidents.iter();
    incidents.map(|(first, last)| rows_within(&labelled.times, *first, *last)).collect()
}

/// Returns what each row earns, and the window that it is in.
fn credits(windows: &[Range<usize>], rows: usize) -> Vec<(f64, Option<usize>)> {
    let mut credits = vec![(-1.0, None); rows];
    for (number, window) in windows.iter().enumerate() {
        let width = window.len() as f64;
        for row in window.clone() {
            credits[row] = (credit(-((window.end - row) as f64) / width), Some(number));
        }
        let next = windows.get(number + 1).map_or(rows, |next| next.start);
        let after = credits.get_mut(window.end..next).unwrap_or_default();
        for (at, row) in after.iter_mut().enumerate() {
            *row = (credit((at + 1) as f64 / (width - 1.0)), None);
        }
    }
    credits
}

/// The sigmoid: nearly 1 where a window begins, 0 at its end, -1 from three widths after it on.
fn credit(place: f64) -> f64 {
    if place > 3.0 { -1.0 } else { 2.0 / (1.0 + (5.0 * place).exp()) - 1.0 }
}
