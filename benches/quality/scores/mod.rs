//! What the figures mean: scorers of anomalies and forecasts, pure functions of what was said.
//!
//! Entry points: [`pages`] (what a person on call feels), [`points`] (delay-adjusted F1), [`nab`],
//! [`alerts`] (of series that reach a limit), [`forecasts`] (of hours to come). Each gives
//! [`Figures`] under the names that the reference scorers print, so that they can be compared.
//!
//! Absent on purpose: files, printing, and whatever a method used to come to its answer.

pub(crate) mod alerts;
pub(crate) mod forecasts;
pub(crate) mod nab;
pub(crate) mod pages;
pub(crate) mod points;
pub(crate) mod statistics;

/// A series whose incidents people have marked; times in seconds.
#[derive(Debug, Default)]
pub(crate) struct Labelled {
    /// The path below the data directory, `.csv` at the end.
    pub(crate) name: String,
    pub(crate) times: Vec<f64>,
    pub(crate) values: Vec<f64>,
    pub(crate) step: f64,
    /// The first and the last labelled time of each.
    pub(crate) incidents: Vec<(f64, f64)>,
}

impl Labelled {
    /// Returns for each row whether it belongs to an incident.
    pub(crate) fn labels(&self) -> Vec<bool> {
        let mut labels = vec![false; self.times.len()];
        for (first, last) in &self.incidents {
            labels[rows_within(&self.times, *first, *last)].fill(true);
        }
        labels
    }

    /// Returns the first row that counts when this share of the rows is left out.
    pub(crate) fn row_from(&self, share: f64) -> usize {
        (self.times.len() as f64 * share) as usize
    }
}

/// What a method said of each row of a series.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// Higher is more unusual; 1 is where an alert begins.
    pub(crate) score: Vec<f64>,
    pub(crate) alert: Vec<bool>,
}

/// Figures by name; none where there is nothing to count.
pub(crate) type Figures = Vec<(&'static str, Option<f64>)>;

/// Returns the rows at `first` to `last`, both included.
fn rows_within(times: &[f64], first: f64, last: f64) -> std::ops::Range<usize> {
    let begin = times.partition_point(|time| *time < first);
    let end = times.partition_point(|time| *time <= last);
    begin..end.max(begin)
}

/// Returns the runs of rows that are set, as ranges of rows.
fn runs(set: &[bool]) -> Vec<std::ops::Range<usize>> {
    let mut runs: Vec<std::ops::Range<usize>> = Vec::new();
    for (row, _) in set.iter().enumerate().filter(|(_, is_set)| **is_set) {
        match runs.last_mut() {
            Some(run) if run.end == row => run.end = row + 1,
            _ => runs.push(row..row + 1),
        }
    }
    runs
}
