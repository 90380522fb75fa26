//! Delay-adjusted F1, as the KPI contest of 2018 counts.
//!
//! A labelled run is wholly found when one of its first k + 1 points is flagged, else wholly missed;
//! other points count as they are, and all series' points count together. k is 7 up to a step of two
//! minutes, 3 above. Beside the alerts as they are stands the best single threshold on the score,
//! picked with the labels in hand: an upper bound.

use super::{Figures, Judged, Labelled, runs};

/// Scores alerts and scores, `from` this share of each series' rows on.
pub(crate) fn score(series: &[(&Labelled, &Judged)], from: f64) -> Figures {
    let mut points = Vec::new();
    let (mut adjusted, mut plain) = (Counts::default(), Counts::default());
    for (labelled, judged) in series {
        let row = labelled.row_from(from);
        let labels = &labelled.labels()[row..];
        let delay = if labelled.step <= 120.0 { 7 } else { 3 };
        let score: Vec<f64> = judged.score[row..]
            .iter()
            .map(|score| if score.is_nan() { 0.0 } else { *score })
            .collect();
        let alert: Vec<f64> =
            judged.alert[row..].iter().map(|on| f64::from(u8::from(*on))).collect();
        for ((label, plain_alert), alert) in
            labels.iter().zip(&alert).zip(adjust(&alert, labels, delay))
        {
            adjusted.count(alert > 0.0, *label);
            plain.count(*plain_alert > 0.0, *label);
        }
        points.extend(adjust(&score, labels, delay).into_iter().zip(labels.iter().copied()));
    }
    let labelled = points.iter().filter(|(_, label)| *label).count() as f64;
    let best = best(&mut points, labelled);
    vec![
        ("points", Some(points.len() as f64)),
        ("labelled_points", Some(labelled)),
        ("best_delay_f1", Some(best.f1)),
        ("best_threshold", Some(best.threshold)),
        ("best_precision", Some(best.precision)),
        ("best_recall", Some(best.recall)),
        ("alert_delay_f1", Some(adjusted.f1())),
        ("alert_precision", Some(adjusted.precision())),
        ("alert_recall", Some(adjusted.recall())),
        ("alert_plain_f1", Some(plain.f1())),
    ]
}

/// Gives each labelled run the highest of its first `delay + 1` points.
fn adjust(score: &[f64], labels: &[bool], delay: usize) -> Vec<f64> {
    let mut adjusted = score.to_vec();
    for run in runs(labels) {
        let in_time = run.start..run.end.min(run.start + delay + 1);
        let highest = score[in_time].iter().copied().fold(f64::NEG_INFINITY, f64::max);
        adjusted[run].fill(highest);
    }
    adjusted
}

#[derive(Default)]
struct Counts {
    hits: f64,
    false_alarms: f64,
    misses: f64,
}

impl Counts {
    fn count(&mut self, flagged: bool, labelled: bool) {
        match (flagged, labelled) {
            (true, true) => self.hits += 1.0,
            (true, false) => self.false_alarms += 1.0,
            (false, true) => self.misses += 1.0,
            (false, false) => {}
        }
    }

    fn f1(&self) -> f64 {
        2.0 * self.hits / f64::max(2.0 * self.hits + self.false_alarms + self.misses, 1.0)
    }

    fn precision(&self) -> f64 {
        self.hits / f64::max(self.hits + self.false_alarms, 1.0)
    }

    fn recall(&self) -> f64 {
        self.hits / f64::max(self.hits + self.misses, 1.0)
    }
}

#[derive(Default)]
struct Best {
    f1: f64,
    threshold: f64,
    precision: f64,
    recall: f64,
}

/// Tries each score as the threshold, from the highest down.
fn best(points: &mut [(f64, bool)], labelled: f64) -> Best {
    points.sort_by(|one, other| other.0.total_cmp(&one.0));
    let (mut best, mut hits) = (Best::default(), 0.0);
    for (at, (threshold, label)) in points.iter().enumerate() {
        hits += f64::from(u8::from(*label));
        let is_last_of_equals = points.get(at + 1).is_none_or(|next| next.0 != *threshold);
        let flagged = (at + 1) as f64;
        let f1 = 2.0 * hits / (flagged + labelled);
        if is_last_of_equals && (at == 0 || f1 > best.f1) {
            let (precision, recall) = (hits / flagged, hits / labelled.max(1.0));
            best = Best { f1, threshold: *threshold, precision, recall };
        }
    }
    best
}
