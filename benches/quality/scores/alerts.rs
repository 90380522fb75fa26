//! Alerts that say a series will reach its limit.
//!
//! Evaluations in the first six hours, and from a crossing until the series was off the limit for 30
//! minutes, do not count. Firing evaluations at most 30 minutes apart are one alert: a hit when a
//! crossing (or one that a clean-up prevented) follows within 1.5 horizons of its start; early when one
//! follows within that of its end; false otherwise, but for one that the end of the data leaves open.
//! A crossing counts as caught when an alert fires between 1.5 horizons and 15 minutes before it;
//! those that come suddenly are not asked for. Probabilities are held against what followed within the
//! horizon: the Brier score, and what came true of each range of p.

use std::collections::BTreeMap;

use super::Figures;
use super::statistics::{mean, quantile, share};

const WARM_UP_S: f64 = 21_600.0;
const MERGE_S: f64 = 1800.0;
const LEAD_LEAST_S: f64 = 900.0;
const OFF_LIMIT_S: f64 = 1800.0;
const TOLERANCE: f64 = 1.5;
const WEEK_S: f64 = 604_800.0;

/// Ranges of p whose honesty is looked at.
const RANGES: [(f64, f64); 7] =
    [(0.0, 0.01), (0.01, 0.1), (0.1, 0.3), (0.3, 0.5), (0.5, 0.7), (0.7, 0.9), (0.9, 1.01)];

/// A series that may reach a limit, and what is known of it; times in seconds.
#[derive(Debug)]
pub(crate) struct Limited {
    pub(crate) name: String,
    pub(crate) start: f64,
    pub(crate) step: f64,
    /// NaN where a sample is missing.
    pub(crate) values: Vec<f64>,
    pub(crate) threshold: f64,
    /// Whether the limit is reached falling.
    pub(crate) is_floor: bool,
    /// First times at the limit after some time away from it.
    pub(crate) events: Vec<f64>,
    /// Those of them that nothing announced.
    pub(crate) sudden: Vec<f64>,
    /// When it would have reached the limit, had nobody cleaned up.
    pub(crate) would: Vec<f64>,
}

impl Limited {
    pub(crate) fn time(&self, row: usize) -> f64 {
        self.start + self.step * row as f64
    }

    pub(crate) fn is_at_limit(&self, value: f64) -> bool {
        if self.is_floor { value <= self.threshold } else { value >= self.threshold }
    }

    fn end(&self) -> f64 {
        self.time(self.values.len() - 1)
    }
}

/// What a method said at one time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said {
    pub(crate) time: f64,
    pub(crate) firing: bool,
    pub(crate) p: Option<f64>,
}

/// What came true of a range of p.
#[derive(Debug)]
pub(crate) struct Honesty {
    pub(crate) said: f64,
    pub(crate) observed: f64,
    pub(crate) count: usize,
}

pub(crate) struct Score {
    pub(crate) figures: Figures,
    /// By p, ranges with at least one evaluation; empty without probabilities.
    pub(crate) honesty: Vec<Honesty>,
}

/// Scores what was said of each series by name, in order of time.
pub(crate) fn score(series: &[Limited], said: &BTreeMap<String, Vec<Said>>, horizon: f64) -> Score {
    let mut all = Tally::default();
    for limited in series {
        let said = said.get(&limited.name).map_or(&[][..], Vec::as_slice);
        all.add(&Followed::new(limited, said, horizon));
    }
    let mut figures = all.figures();
    figures.extend(probabilities(&all.outcomes));
    Score { figures, honesty: honesty(&all.outcomes) }
}

#[derive(Default)]
struct Tally {
    series: f64,
    weeks: f64,
    alerts: f64,
    hits: f64,
    early: f64,
    false_alerts: f64,
    false_hours: f64,
    flips: f64,
    events: f64,
    leads_min: Vec<f64>,
    /// p and whether the limit was reached within the horizon.
    outcomes: Vec<(f64, bool)>,
}

impl Tally {
    fn add(&mut self, followed: &Followed<'_>) {
        let limited = followed.limited;
        self.series += 1.0;
        self.weeks += (limited.end() - limited.start - WARM_UP_S) / WEEK_S;
        let (alerts, flips) = followed.alerts();
        self.flips += flips as f64;
        for (first, last) in alerts {
            self.judge_alert(followed, first, last);
        }
        let asked_from = limited.start + WARM_UP_S + LEAD_LEAST_S;
        let is_asked = |event: &&f64| **event > asked_from && !limited.sudden.contains(*event);
        for event in limited.events.iter().filter(is_asked) {
            self.events += 1.0;
            self.leads_min.extend(followed.lead(*event).map(|lead| lead / 60.0));
        }
        self.outcomes.extend(followed.outcomes());
    }

    fn judge_alert(&mut self, followed: &Followed<'_>, first: f64, last: f64) {
        let (next, reach, end) =
            (followed.next_crossing(first), followed.reach(), followed.limited.end());
        let is_open = first + reach > end && last >= end - 600.0;
        self.alerts += 1.0;
        if next <= first + reach {
            self.hits += 1.0;
        } else if next <= last + reach {
            self.early += 1.0;
        } else if is_open {
            self.alerts -= 1.0;
        } else {
            self.false_alerts += 1.0;
            self.false_hours += (last - first) / 3600.0 + 1.0 / 12.0;
        }
    }

    fn figures(&self) -> Figures {
        let alerts = self.alerts.max(1.0);
        let lead = |q: f64| Some(quantile(&self.leads_min, q).unwrap_or(0.0));
        vec![
            ("series", Some(self.series)),
            ("alerts", Some(self.alerts)),
            ("hit", Some(self.hits)),
            ("early", Some(self.early)),
            ("false", Some(self.false_alerts)),
            ("precision", Some((self.hits + self.early) / alerts)),
            ("precision_strict", Some(self.hits / alerts)),
            ("events", Some(self.events)),
            ("recall", Some(self.leads_min.len() as f64 / self.events.max(1.0))),
            ("lead_median_min", lead(0.5)),
            ("lead_p10_min", lead(0.1)),
            ("false_per_series_week", Some(self.false_alerts / self.weeks)),
            ("false_hours_per_series_week", Some(self.false_hours / self.weeks)),
            ("flips_per_alert", Some(self.flips / alerts)),
        ]
    }
}

/// What was said of a series, and when it was at its limit.
struct Followed<'a> {
    limited: &'a Limited,
    said: &'a [Said],
    horizon: f64,
    at_limit: Vec<f64>,
    /// Those times, and when a clean-up prevented one; sorted.
    crossings: Vec<f64>,
    /// Which evaluations count.
    counts: Vec<bool>,
}

impl<'a> Followed<'a> {
    fn new(limited: &'a Limited, said: &'a [Said], horizon: f64) -> Followed<'a> {
        let rows = limited.values.iter().enumerate();
        let at_limit: Vec<f64> = rows
            .filter(|(_, value)| limited.is_at_limit(**value))
            .map(|(row, _)| limited.time(row))
            .collect();
        let mut crossings = [&at_limit[..], &limited.would].concat();
        crossings.sort_by(f64::total_cmp);
        let counts = |said: &Said| {
            let before = at_limit.partition_point(|time| *time <= said.time).checked_sub(1);
            let is_off = before.is_none_or(|at| said.time - at_limit[at] >= OFF_LIMIT_S);
            is_off && said.time >= limited.start + WARM_UP_S
        };
        let counts = said.iter().map(counts).collect();
        Followed { limited, said, horizon, at_limit, crossings, counts }
    }

    /// Within this after an alert a crossing proves it right.
    fn reach(&self) -> f64 {
        TOLERANCE * self.horizon
    }

    fn next_crossing(&self, after: f64) -> f64 {
        let next = self.crossings.partition_point(|time| *time <= after);
        self.crossings.get(next).copied().unwrap_or(f64::INFINITY)
    }

    /// Returns the first and last firing evaluation of each alert, and how often it began to fire.
    fn alerts(&self) -> (Vec<(f64, f64)>, usize) {
        let (mut alerts, mut flips, mut was_firing) = (Vec::<(f64, f64)>::new(), 0, false);
        for (said, counts) in self.said.iter().zip(&self.counts) {
            let is_firing = said.firing && *counts;
            if is_firing && !was_firing {
                flips += 1;
                let goes_on = alerts.last().is_some_and(|(_, last)| {
                    said.time - last <= MERGE_S && !self.was_at_limit(*last, said.time)
                });
                if !goes_on {
                    alerts.push((said.time, said.time));
                }
            }
            if let Some((_, last)) = alerts.last_mut().filter(|_| is_firing) {
                *last = said.time;
            }
            was_firing = is_firing;
        }
        (alerts, flips)
    }

    fn was_at_limit(&self, after: f64, until: f64) -> bool {
        let first = self.at_limit.partition_point(|time| *time <= after);
        self.at_limit.get(first).is_some_and(|time| *time <= until)
    }

    /// Returns how long before the event an alert fired first; none if it came unannounced.
    fn lead(&self, event: f64) -> Option<f64> {
        let window = event - self.reach()..=event - LEAD_LEAST_S;
        let mut said = self.said.iter().zip(&self.counts);
        let first =
            said.find(|(said, counts)| said.firing && **counts && window.contains(&said.time))?;
        Some(event - first.0.time)
    }

    fn outcomes(&self) -> Vec<(f64, bool)> {
        let said = self.said.iter().zip(&self.counts);
        let counted = said
            .filter(|(said, counts)| **counts && said.time + self.horizon <= self.limited.end());
        let outcome = |said: &Said| {
            Some((said.p?, self.next_crossing(said.time) <= said.time + self.horizon))
        };
        counted.filter_map(|(said, _)| outcome(said)).collect()
    }
}

fn probabilities(outcomes: &[(f64, bool)]) -> Figures {
    let came = |(_, came): &(f64, bool)| f64::from(u8::from(*came));
    let errors: Vec<f64> = outcomes.iter().map(|one| (one.0 - came(one)).powi(2)).collect();
    let base = share(outcomes.iter().map(|one| one.1));
    let sure = outcomes.iter().filter(|(p, _)| *p >= 0.9);
    vec![
        ("brier", mean(&errors)),
        ("brier_base", base.map(|base| base * (1.0 - base))),
        ("observed_at_p90", share(sure.map(|one| one.1))),
    ]
}

fn honesty(outcomes: &[(f64, bool)]) -> Vec<Honesty> {
    let of_range = |(from, below): (f64, f64)| {
        let within = outcomes.iter().filter(|(p, _)| (from..below).contains(p));
        let (said, came): (Vec<f64>, Vec<bool>) = within.copied().unzip();
        let count = said.len();
        Some(Honesty { said: mean(&said)?, observed: share(came)?, count })
    };
    RANGES.into_iter().filter_map(of_range).collect()
}
