//! What people use today, on the same data: the anchors that ours is held against.
//!
//! Of anomalies: [`ANOMALIES`], each a function of a series that says of every row what it knew from
//! the rows up to it. Of limits: [`predict_linear`]. Of hours to come: [`seasonal_naive`]. Each file
//! gives its formula and where it is from. None is tuned by data set.

mod adaptive;
mod gaussian;
pub(crate) mod predict_linear;
mod robust;
pub(crate) mod seasonal_naive;
mod static_limits;
mod window;

use crate::scores::{Judged, Labelled};

/// A method's name, the one of its folder of outputs, and the method.
pub(crate) struct Anomalies {
    pub(crate) name: &'static str,
    pub(crate) folder: &'static str,
    pub(crate) judge: fn(&Labelled) -> Judged,
}

pub(crate) const ANOMALIES: [Anomalies; 5] = [
    Anomalies { name: "static limits", folder: "static", judge: static_limits::judge },
    Anomalies {
        name: "mean ± 3 sd of 24 h",
        folder: "gaussian-3",
        judge: |series| gaussian::judge(series, 3.0),
    },
    Anomalies {
        name: "mean ± 4 sd of 24 h",
        folder: "gaussian-4",
        judge: |series| gaussian::judge(series, 4.0),
    },
    Anomalies { name: "Grafana, adaptive", folder: "grafana-adaptive", judge: adaptive::judge },
    Anomalies { name: "Grafana, robust", folder: "grafana-robust", judge: robust::judge },
];

/// A band that a value may leave.
#[derive(Clone, Copy, Debug)]
struct Band {
    lower: f64,
    middle: f64,
    upper: f64,
}

impl Band {
    /// Returns how far out a value is, in distances from the middle to the edge: at least 1 exactly if
    /// it is outside.
    fn score(&self, value: f64) -> f64 {
        let edge = if value > self.middle { self.upper } else { self.lower };
        let score = ((value - self.middle) / (edge - self.middle)).abs();
        let is_outside = value > self.upper || value < self.lower;
        match (is_outside, score.is_finite()) {
            (true, true) => score.clamp(1.0, 1e6),
            (true, false) => 1e6,
            (false, true) => score.min(0.999),
            (false, false) => 0.0,
        }
    }
}

/// Judges row by row: `band` gives the band of a row, none where there is none; an alert begins when
/// the value has been outside for `hold_s`.
///
/// The score is shown as ours is: while something lasts, only rows more unusual than those before keep
/// more than a fiftieth of it, since NAB takes each row for a new alarm.
fn judge(
    series: &Labelled,
    hold_s: f64,
    mut band: impl FnMut(usize) -> Option<(Band, f64)>,
) -> Judged {
    let mut judged = Judged::default();
    let (mut news, mut outside_since) = (0.0f64, None);
    for (row, time) in series.times.iter().enumerate() {
        let score = band(row).map_or(0.0, |(band, level)| band.score(level));
        let since = (score >= 1.0).then(|| outside_since.unwrap_or(*time));
        judged.alert.push(since.is_some_and(|since| time - since >= hold_s));
        judged.score.push(if score > news { score } else { 0.02 * score });
        news = score.max(news * NEWS_KEPT);
        outside_since = since;
    }
    judged
}

/// What is left of a score as news a row later: a factor e fades over 300 rows.
const NEWS_KEPT: f64 = 0.996_672_216_3;
