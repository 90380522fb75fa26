//! Functions of histograms, classic (series with `le`) and native.

use hashbrown::HashMap;

use super::{Evaluated, Evaluator, QueryError};
use crate::lang::Span;
use crate::promql::ast::Call;
use crate::promql::eval::{Column, Level, Row, Tally, for_metric};
use crate::promql::literal::quote;
use crate::series::{Histogram, Labels, METRIC_NAME, NanObservations, format_float, parse_float};

type Answer = Result<Evaluated, QueryError>;

/// Differences of bucket counts below this share of their mean are rounding.
const ROUNDING: f64 = 1e-12;

/// Applies a function to every native histogram; floats go, and so do names.
/// `counts`: of count and sum alone.
pub(super) fn each(
    ev: &Evaluator<'_>,
    call: &Call,
    counts: bool,
    function: fn(&Histogram) -> f64,
) -> Answer {
    let wanting = if counts { ev.wanting(false) } else { *ev };
    let mut rows = wanting.vector(&call.args[0])?;
    for row in &mut rows {
        let mut column = Column::absent(ev.steps.count);
        for step in 0..ev.steps.count {
            if let Some(histogram) = row.column.histogram(step) {
                column.floats[step] = function(histogram);
            }
        }
        row.column = column;
        ev.drop_name(row);
    }
    rows.retain(|row| !row.column.is_empty());
    Ok(Evaluated::Vector(ev.renamed(rows)?))
}

/// A bucket of a classic histogram: how many observations up to a bound.
#[derive(Clone, Copy, Debug)]
struct UpTo {
    bound: f64,
    count: f64,
}

/// The series of one classic histogram.
struct Classic {
    labels: Labels,
    drop_name: bool,
    /// Bound and index of each bucket's row.
    buckets: Vec<(f64, usize)>,
}

/// A vector taken apart into histograms.
struct Histograms<'r> {
    rows: &'r [Row],
    classic: Vec<Classic>,
    /// For each row the classic histogram of the same labels, if it has histograms.
    natives: Vec<(usize, Option<usize>)>,
}

impl<'r> Histograms<'r> {
    fn of(ev: &Evaluator<'_>, rows: &'r [Row], span: Span) -> Histograms<'r> {
        let mut places: HashMap<Labels, usize> = HashMap::new();
        let mut classic: Vec<Classic> = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            if (0..ev.steps.count).all(|step| row.column.float(step).is_none()) {
                continue;
            }
            let le = row.labels.value_or_empty("le");
            let Some(bound) = parse_float(le) else {
                let text = format!(
                    "bucket label \"le\" is missing or has a malformed value of {}",
                    quote(le)
                );
                ev.note(Level::Warning, for_metric(&text, &known_name(ev, row)), span);
                continue;
            };
            let labels = row.labels.without(&["le"]);
            let place = *places.entry(labels.clone()).or_insert_with(|| {
                classic.push(Classic { labels, drop_name: row.drop_name, buckets: Vec::new() });
                classic.len() - 1
            });
            classic[place].buckets.push((bound, index));
        }
        for histogram in &mut classic {
            histogram.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
        let natives = rows
            .iter()
            .enumerate()
            .filter(|(_, row)| row.column.has_histograms())
            .map(|(index, row)| (index, places.get(&row.labels).copied()))
            .collect();
        Histograms { rows, classic, natives }
    }

    /// Returns the buckets that a classic histogram has at a step.
    fn buckets(&self, histogram: &Classic, step: usize, into: &mut Vec<UpTo>) {
        into.clear();
        for (bound, row) in &histogram.buckets {
            let Some(count) = self.rows[*row].column.float(step) else { continue };
            match into.last_mut() {
                Some(last) if last.bound == *bound => last.count += count,
                _ => into.push(UpTo { bound: *bound, count }),
            }
        }
    }

    /// Applies a function to every histogram at every step. Where labels have both a classic and
    /// a native one, neither is looked at.
    fn each(
        &self,
        ev: &Evaluator<'_>,
        span: Span,
        native: &mut dyn FnMut(usize, &Histogram, &str) -> f64,
        classic: &mut dyn FnMut(usize, &mut Vec<UpTo>, &str) -> f64,
    ) -> Vec<Row> {
        let count = ev.steps.count;
        let mut results = Vec::new();
        let mut buckets = Vec::new();
        let mut void: HashMap<(usize, usize), ()> = HashMap::new();
        for (index, twin) in &self.natives {
            let row = &self.rows[*index];
            let name = known_name(ev, row);
            let mut column = Column::absent(count);
            for step in 0..count {
                let Some(histogram) = row.column.histogram(step) else { continue };
                if let Some(twin) = twin {
                    self.buckets(&self.classic[*twin], step, &mut buckets);
                    if !buckets.is_empty() {
                        let text = "vector contains a mix of classic and native histograms";
                        ev.note(Level::Warning, for_metric(text, &name), span);
                        void.insert((*twin, step), ());
                        continue;
                    }
                }
                column.floats[step] = native(step, histogram, &name);
            }
            let labels = row.labels.clone();
            results.push(Row { labels, drop_name: row.drop_name, column });
        }
        for (index, histogram) in self.classic.iter().enumerate() {
            let first = &self.rows[histogram.buckets[0].1];
            let name = known_name(ev, first);
            let mut column = Column::absent(count);
            for step in 0..count {
                self.buckets(histogram, step, &mut buckets);
                if !buckets.is_empty() && !void.contains_key(&(index, step)) {
                    column.floats[step] = classic(step, &mut buckets, &name);
                }
            }
            let (labels, drop_name) = (histogram.labels.clone(), histogram.drop_name);
            results.push(Row { labels, drop_name, column });
        }
        results.retain(|row| !row.column.is_empty());
        results
    }
}

/// The metric's name, for remarks: with names that go at once it is left out.
fn known_name(ev: &Evaluator<'_>, row: &Row) -> String {
    let delayed = ev.features().delayed_name_removal;
    if delayed { row.labels.value_or_empty(METRIC_NAME).to_owned() } else { String::new() }
}

/// `histogram_quantile`.
pub(super) fn quantile(ev: &Evaluator<'_>, call: &Call) -> Answer {
    let quantiles = ev.scalar(&call.args[0])?;
    let rows = ev.wanting(true).vector(&call.args[1])?;
    ev.note_bad_quantiles(&quantiles, call.args[0].span());
    let span = call.args[1].span();
    let histograms = Histograms::of(ev, &rows, span);
    let mut results = quantile_rows(ev, &histograms, &quantiles, span);
    for row in &mut results {
        ev.drop_name(row);
    }
    Ok(Evaluated::Vector(ev.renamed(results)?))
}

/// `histogram_quantiles`: each quantile under a label.
pub(super) fn quantiles(ev: &Evaluator<'_>, call: &Call) -> Answer {
    let rows = ev.vector(&call.args[0])?;
    let label = ev.text(&call.args[1])?;
    let span = call.args[0].span();
    let histograms = Histograms::of(ev, &rows, span);
    let mut results = Vec::new();
    for arg in &call.args[2..] {
        let quantiles = ev.scalar(arg)?;
        ev.note_bad_quantiles(&quantiles, arg.span());
        for mut row in quantile_rows(ev, &histograms, &quantiles, span) {
            ev.drop_name(&mut row);
            split_by_quantile(ev, &row, &label, &quantiles, &mut results)?;
        }
    }
    Ok(Evaluated::Vector(crate::promql::eval::merge_equal_labels(results)?))
}

/// The quantile may differ from step to step, and it is a label.
fn split_by_quantile(
    ev: &Evaluator<'_>,
    row: &Row,
    label: &str,
    quantiles: &[f64],
    into: &mut Vec<Row>,
) -> Result<(), QueryError> {
    let mut values: Vec<f64> = quantiles.to_vec();
    values.sort_by(f64::total_cmp);
    values.dedup_by(|a, b| a.to_bits() == b.to_bits());
    for value in values {
        let mut column = ev.held_column()?;
        for (step, q) in quantiles.iter().enumerate() {
            if q.to_bits() == value.to_bits() {
                column.floats[step] = row.column.floats[step];
            }
        }
        let labels = row.labels.with(label, &open_metrics(value));
        into.push(Row { labels, drop_name: row.drop_name, column });
    }
    Ok(())
}

/// Formats a float as OpenMetrics does: whole numbers with `.0`.
fn open_metrics(value: f64) -> String {
    let text = format_float(value);
    let plain = value.is_finite() && !text.contains(['.', 'e']);
    if plain { format!("{text}.0") } else { text }
}

fn quantile_rows(
    ev: &Evaluator<'_>,
    histograms: &Histograms<'_>,
    quantiles: &[f64],
    span: Span,
) -> Vec<Row> {
    histograms.each(
        ev,
        span,
        &mut |step, histogram, name| {
            let (value, notice) = histogram.quantile(quantiles[step]);
            note_nan(ev, notice, name, span);
            value
        },
        &mut |step, buckets, name| {
            let (value, tally) = quantile_of_buckets(quantiles[step], buckets);
            if let Some(tally) = tally {
                let time_ms = ev.steps.time_ms(step);
                let text = "input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";
                let tally = Tally { first_ms: time_ms, last_ms: time_ms, ..tally };
                ev.note_tally(for_metric(text, name), span, tally);
            }
            value
        },
    )
}

fn note_nan(ev: &Evaluator<'_>, notice: Option<NanObservations>, name: &str, span: Span) {
    let text = match notice {
        None => return,
        Some(NanObservations::Reached) => {
            "input to histogram_quantile has NaN observations, result is NaN"
        }
        Some(NanObservations::Skew) => {
            "input to histogram_quantile has NaN observations, result is skewed higher"
        }
        Some(NanObservations::Excluded) => {
            "input to histogram_fraction has NaN observations, which are excluded from all fractions"
        }
    };
    ev.note(Level::Info, for_metric(text, name), span);
}

/// `histogram_fraction`.
pub(super) fn fraction(ev: &Evaluator<'_>, call: &Call) -> Answer {
    let (lower, upper) = (ev.scalar(&call.args[0])?, ev.scalar(&call.args[1])?);
    let rows = ev.vector(&call.args[2])?;
    let span = call.args[2].span();
    let histograms = Histograms::of(ev, &rows, span);
    let mut results = histograms.each(
        ev,
        span,
        &mut |step, histogram, name| {
            let (value, notice) = histogram.fraction(lower[step], upper[step]);
            note_nan(ev, notice, name, span);
            value
        },
        &mut |step, buckets, _| fraction_of_buckets(lower[step], upper[step], buckets),
    );
    for row in &mut results {
        ev.drop_name(row);
    }
    Ok(Evaluated::Vector(ev.renamed(results)?))
}

/// The quantile of a classic histogram, linear within a bucket; and how far counts had to be
/// corrected that went down.
fn quantile_of_buckets(q: f64, buckets: &mut [UpTo]) -> (f64, Option<Tally>) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    if buckets[buckets.len() - 1].bound != f64::INFINITY {
        return (f64::NAN, None);
    }
    let tally = force_monotonic(buckets);
    let last = buckets.len() - 1;
    let all = buckets[last].count;
    if last == 0 || all == 0.0 {
        return (f64::NAN, tally);
    }
    let rank = q * all;
    // A rank that is no number is reached nowhere.
    let at = buckets[..last].partition_point(|bucket| rank.is_nan() || bucket.count < rank);
    if at == last {
        return (buckets[last - 1].bound, tally);
    }
    let bucket = buckets[at];
    if at == 0 && bucket.bound <= 0.0 {
        return (bucket.bound, tally);
    }
    let before = if at > 0 { buckets[at - 1] } else { UpTo { bound: 0.0, count: 0.0 } };
    let share = (rank - before.count) / (bucket.count - before.count);
    (before.bound + (bucket.bound - before.bound) * share, tally)
}

/// Counts must not go down from bucket to bucket.
fn force_monotonic(buckets: &mut [UpTo]) -> Option<Tally> {
    let mut before = buckets[0].count;
    let mut tally: Option<Tally> = None;
    for bucket in &mut buckets[1..] {
        let count = bucket.count;
        if count == before {
            continue;
        }
        if nearly_equal(before, count) {
            bucket.count = before;
        } else if count < before {
            bucket.count = before;
            let tally = tally.get_or_insert(Tally {
                first_ms: 0,
                last_ms: 0,
                bucket_least: f64::INFINITY,
                bucket_most: f64::NEG_INFINITY,
                difference_most: 0.0,
            });
            tally.bucket_least = tally.bucket_least.min(bucket.bound);
            tally.bucket_most = tally.bucket_most.max(bucket.bound);
            tally.difference_most = tally.difference_most.max(before - count);
        } else {
            before = count;
        }
    }
    tally
}

fn nearly_equal(a: f64, b: f64) -> bool {
    let (difference, size) = ((a - b).abs(), a.abs() + b.abs());
    if a == 0.0 || b == 0.0 || size < f64::MIN_POSITIVE {
        return difference < ROUNDING * f64::MIN_POSITIVE;
    }
    difference / size.min(f64::MAX) < ROUNDING
}

fn fraction_of_buckets(lower: f64, upper: f64, buckets: &[UpTo]) -> f64 {
    let last = buckets[buckets.len() - 1];
    let all = last.count;
    if last.bound != f64::INFINITY || all == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let rank = |value: f64| {
        let mut start = if buckets[0].bound <= 0.0 { f64::NEG_INFINITY } else { 0.0 };
        let mut below = 0.0;
        for bucket in buckets {
            if start >= value {
                return below;
            }
            if bucket.bound > value {
                if start == f64::NEG_INFINITY {
                    return bucket.count;
                }
                return below + (bucket.count - below) * (value - start) / (bucket.bound - start);
            }
            (start, below) = (bucket.bound, bucket.count);
        }
        all
    };
    let capped = |rank: f64| if rank > all { all } else { rank };
    (capped(rank(upper)) - capped(rank(lower))) / all
}
