//! What a person on call feels: pages, missed incidents, delay.
//!
//! A page is where a method's alert begins; one that begins within the merge gap (30 minutes, or 6
//! steps if that is longer) of the end of the one before is the same. Labelled runs are joined
//! likewise to incidents. A page is true when it begins not sooner than `early` (5 minutes or 2
//! steps) before an incident and not later than `grace` (10 minutes or 3 steps) after it. An incident
//! is found when a true page begins in that span or still fires in it: an alert that is always on
//! finds nothing. The first part of the rows warms up and is not scored.

use super::statistics::{mean, quantile, share};
use super::{Figures, Judged, Labelled, rows_within, runs};

const WEEK_S: f64 = 7.0 * 86_400.0;

/// From so many rows on an incident is a sustained one.
const SUSTAINED_ROWS: usize = 5;

/// Scores alerts, `from` this share of each series' rows on.
pub(crate) fn score(series: &[(&Labelled, &Judged)], from: f64) -> Figures {
    let watched: Vec<_> =
        series.iter().map(|(labelled, judged)| watch(labelled, judged, from)).collect();
    let sum = |of: fn(&Watched) -> f64| watched.iter().map(of).sum::<f64>();
    let incidents = || watched.iter().flat_map(|one| &one.incidents);
    let found = |of: fn(usize) -> bool| {
        share(incidents().filter(|one| of(one.rows)).map(|one| one.is_found))
    };
    let delays: Vec<f64> = incidents().filter_map(|one| one.delay).collect();
    let delays_in_steps: Vec<f64> = watched
        .iter()
        .flat_map(|one| {
            one.incidents.iter().filter_map(|incident| Some(incident.delay? / one.step))
        })
        .collect();
    let by_series: Vec<f64> = watched
        .iter()
        .filter_map(|one| share(one.incidents.iter().map(|incident| incident.is_found)))
        .collect();
    let false_by_week: Vec<f64> =
        watched.iter().map(|one| one.pages_false / (one.seconds / WEEK_S).max(1e-9)).collect();
    let (pages_true, pages_false) = (sum(|one| one.pages_true), sum(|one| one.pages_false));
    let (weeks, pages) = (sum(|one| one.seconds) / WEEK_S, pages_true + pages_false);
    vec![
        ("incidents", Some(incidents().count() as f64)),
        ("recall", found(|_| true)),
        ("recall_macro", mean(&by_series)),
        ("recall_sustained", found(|rows| rows >= SUSTAINED_ROWS)),
        ("recall_short", found(|rows| rows < SUSTAINED_ROWS)),
        ("false_pages_per_series_week", Some(pages_false / weeks)),
        ("false_pages_per_series_week_p50", quantile(&false_by_week, 0.5)),
        ("false_pages_per_series_week_p90", quantile(&false_by_week, 0.9)),
        ("pages_per_series_week", Some(pages / weeks)),
        ("page_precision", Some(pages_true / pages.max(1.0))),
        (
            "false_firing_share",
            Some(sum(|one| one.false_seconds) / sum(|one| one.quiet_seconds).max(1.0)),
        ),
        ("delay_p50_s", quantile(&delays, 0.5)),
        ("delay_p90_s", quantile(&delays, 0.9)),
        ("delay_p50_steps", quantile(&delays_in_steps, 0.5)),
        ("delay_p90_steps", quantile(&delays_in_steps, 0.9)),
    ]
}

/// What happened on one series.
struct Watched {
    step: f64,
    pages_true: f64,
    pages_false: f64,
    incidents: Vec<Incident>,
    /// How long there were samples.
    seconds: f64,
    /// Of these, away from incidents.
    quiet_seconds: f64,
    /// Of these, with the alert on.
    false_seconds: f64,
}

struct Incident {
    rows: usize,
    is_found: bool,
    delay: Option<f64>,
}

/// A time from first to last, and the rows in it that are set.
#[derive(Clone, Copy)]
struct Span {
    first: f64,
    last: f64,
    rows: usize,
}

fn watch(series: &Labelled, judged: &Judged, from: f64) -> Watched {
    let row = series.row_from(from);
    let (times, on, step) = (&series.times[row..], &judged.alert[row..], series.step);
    let gap = f64::max(1800.0, 6.0 * step);
    let (early, grace) = (f64::max(300.0, 2.0 * step), f64::max(600.0, 3.0 * step));
    let pages = spans(times, on, gap);
    let incidents = spans(times, &series.labels()[row..], gap);
    let is_true = |page: &Span| {
        incidents
            .iter()
            .any(|one| one.first - early <= page.first && page.first <= one.last + grace)
    };
    let (pages_true, pages_false): (Vec<Span>, Vec<Span>) = pages.into_iter().partition(is_true);
    let firing: Vec<f64> =
        times.iter().zip(on).filter(|(_, on)| **on).map(|(time, _)| *time).collect();
    let judge_incident = |incident: &Span| {
        let begin = incident.first - early;
        let is_found =
            pages_true.iter().any(|page| page.last >= begin && page.first <= incident.last + grace);
        let first_firing = firing.get(firing.partition_point(|time| *time < begin));
        let delay =
            first_firing.filter(|_| is_found).map(|time| f64::max(0.0, time - incident.first));
        Incident { rows: incident.rows, is_found, delay }
    };
    let mut is_near = vec![false; times.len()];
    for incident in &incidents {
        is_near[rows_within(times, incident.first - early, incident.last + grace)].fill(true);
    }
    // A gap of more than 10 steps was not watched.
    let seconds_of = |counts: &dyn Fn(usize) -> bool| -> f64 {
        let pairs = times.windows(2).enumerate().filter(|(row, _)| counts(*row));
        pairs.map(|(_, pair)| f64::min(pair[1] - pair[0], 10.0 * step)).sum()
    };
    Watched {
        step,
        pages_true: pages_true.len() as f64,
        pages_false: pages_false.len() as f64,
        incidents: incidents.iter().map(judge_incident).collect(),
        seconds: seconds_of(&|_| true),
        quiet_seconds: seconds_of(&|row| !is_near[row]),
        false_seconds: seconds_of(&|row| !is_near[row] && on[row]),
    }
}

/// Returns the runs of rows that are set, those at most `gap` apart as one.
fn spans(times: &[f64], set: &[bool], gap: f64) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for run in runs(set) {
        let (first, last, rows) = (times[run.start], times[run.end - 1], run.len());
        match spans.last_mut() {
            Some(span) if first - span.last <= gap => {
                span.last = last;
                span.rows += rows;
            }
            _ => spans.push(Span { first, last, rows }),
        }
    }
    spans
}
