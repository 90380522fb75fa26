//! The one table of functions: the checker, the API, the help page and the README are derived from
//! it.
//!
//! One file per family; the table names what evaluates each.

mod extended;
mod histogram;
mod info;
mod label;
mod math;
mod over_time;
mod rate;
mod regression;
mod scalar;
mod time;

use std::fmt;

use super::ast::Call;
use super::ast::ValueType::{self, Matrix, Scalar, String as Text, Vector};
use super::engine::QueryError;
use super::eval::{Aspect, Evaluated, Evaluator};
use crate::series::Histogram;

pub(super) use extended::interpolated;
pub(super) use rate::Remarks;

/// A PromQL function.
#[derive(Clone, Copy)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// Types of its arguments; the last one repeats as [`Function::variadic`] says.
    pub args: &'static [ValueType],
    /// How many more than `args.len() - 1` arguments there may be; 0: exactly `args.len()`; below
    /// 0: without limit.
    pub variadic: i8,
    /// Type of the result.
    pub returns: ValueType,
    /// Stands behind the feature `promql-experimental-functions`.
    pub experimental: bool,
    /// What it gives, in a few words.
    pub doc: &'static str,
    /// Evaluates a call of it.
    pub(super) eval: Evaluate,
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Function {
    /// Returns the least and the largest number of arguments; none: without limit.
    pub fn arg_counts(&self) -> (usize, Option<usize>) {
        let declared = self.args.len();
        match usize::try_from(self.variadic) {
            Ok(0) => (declared, Some(declared)),
            Ok(more) => (declared - 1, Some(declared - 1 + more)),
            Err(_) => (declared - 1, None),
        }
    }

    /// Returns how it is called: `rate(range vector)`.
    pub fn usage(&self) -> String {
        let args: Vec<String> = self.args.iter().map(ValueType::to_string).collect();
        let more = if self.variadic == 0 { "" } else { ", the last one optional or repeated" };
        format!("{}({}): {}{more}", self.name, args.join(", "), self.doc)
    }

    const fn variadic(mut self, more: i8) -> Function {
        self.variadic = more;
        self
    }

    const fn experimental(mut self) -> Function {
        self.experimental = true;
        self
    }
}

/// Returns every function, sorted by name.
pub fn functions() -> &'static [Function] {
    FUNCTIONS
}

/// Returns the function of that name; names are in lower case.
pub fn function(name: &str) -> Option<&'static Function> {
    FUNCTIONS.binary_search_by(|function| function.name.cmp(name)).ok().map(|at| &FUNCTIONS[at])
}

const fn define(
    name: &'static str,
    args: &'static [ValueType],
    returns: ValueType,
    doc: &'static str,
    eval: Evaluate,
) -> Function {
    Function { name, args, variadic: 0, returns, experimental: false, doc, eval }
}

type Evaluate = fn(&Evaluator<'_>, &Call) -> Result<Evaluated, QueryError>;

fn seconds(time_ms: i64) -> f64 {
    time_ms as f64 / 1000.0
}

/// An instant query has no step.
fn step_seconds(ev: &Evaluator<'_>) -> f64 {
    let times = ev.times();
    if times.start_ms == times.end_ms { 0.0 } else { seconds(times.step_ms) }
}

#[rustfmt::skip]
static FUNCTIONS: &[Function] = &[
    define("abs", &[Vector], Vector, "absolute value", |e, c| math::each(e, c, f64::abs)),
    define("absent", &[Vector], Vector, "1 if the vector has no element", over_time::absent),
    define("absent_over_time", &[Matrix], Vector, "1 if the range has no sample", over_time::absent_over_time),
    define("acos", &[Vector], Vector, "arccosine, radians", |e, c| math::each(e, c, f64::acos)),
    define("acosh", &[Vector], Vector, "inverse hyperbolic cosine", |e, c| math::each(e, c, f64::acosh)),
    define("asin", &[Vector], Vector, "arcsine, radians", |e, c| math::each(e, c, f64::asin)),
    define("asinh", &[Vector], Vector, "inverse hyperbolic sine", |e, c| math::each(e, c, f64::asinh)),
    define("atan", &[Vector], Vector, "arctangent, radians", |e, c| math::each(e, c, f64::atan)),
    define("atanh", &[Vector], Vector, "inverse hyperbolic tangent", |e, c| math::each(e, c, f64::atanh)),
    define("avg_over_time", &[Matrix], Vector, "mean of the samples", |e, c| over_time::sum(e, c, true)),
    define("ceil", &[Vector], Vector, "rounded up to a whole number", |e, c| math::each(e, c, f64::ceil)),
    define("changes", &[Matrix], Vector, "how often the value changed", |e, c| rate::count_pairs(e, c, false)),
    define("clamp", &[Vector, Scalar, Scalar], Vector, "held between min and max", |e, c| math::clamp(e, c, Some(1), Some(2))),
    define("clamp_max", &[Vector, Scalar], Vector, "held at or below max", |e, c| math::clamp(e, c, None, Some(1))),
    define("clamp_min", &[Vector, Scalar], Vector, "held at or above min", |e, c| math::clamp(e, c, Some(1), None)),
    define("cos", &[Vector], Vector, "cosine of radians", |e, c| math::each(e, c, f64::cos)),
    define("cosh", &[Vector], Vector, "hyperbolic cosine", |e, c| math::each(e, c, f64::cosh)),
    define("count_over_time", &[Matrix], Vector, "number of samples", |e, c| over_time::any(e, c, |v| v.len() as f64)),
    define("day_of_month", &[Vector], Vector, "day of the month of a time, from 1, UTC", |e, c| time::civil(e, c, |t| f64::from(t.day))).variadic(1),
    define("day_of_week", &[Vector], Vector, "day of the week of a time, Sunday is 0, UTC", |e, c| time::civil(e, c, |t| f64::from(t.weekday))).variadic(1),
    define("day_of_year", &[Vector], Vector, "day of the year of a time, from 1, UTC", |e, c| time::civil(e, c, |t| f64::from(t.day_of_year))).variadic(1),
    define("days_in_month", &[Vector], Vector, "days of the month of a time, UTC", |e, c| time::civil(e, c, |t| f64::from(time::days_in_month(t.year, t.month)))).variadic(1),
    define("deg", &[Vector], Vector, "radians to degrees", |e, c| math::each(e, c, f64::to_degrees)),
    define("delta", &[Matrix], Vector, "difference between the ends of a gauge's range, extrapolated", |e, c| rate::extrapolated(e, c, rate::DELTA)),
    define("deriv", &[Matrix], Vector, "slope per second by least squares", regression::deriv),
    define("double_exponential_smoothing", &[Matrix, Scalar, Scalar], Vector, "smoothed value with trend; factors between 0 and 1", regression::smoothing).experimental(),
    define("end", &[], Scalar, "end of the query, seconds", |e, _| math::scalar(e, |_| seconds(e.times().end_ms))).experimental(),
    define("exp", &[Vector], Vector, "e to the power of the value", |e, c| math::each(e, c, f64::exp)),
    define("first_over_time", &[Matrix], Vector, "oldest sample", |e, c| over_time::end(e, c, false)),
    define("floor", &[Vector], Vector, "rounded down to a whole number", |e, c| math::each(e, c, f64::floor)),
    define("histogram_avg", &[Vector], Vector, "mean of a native histogram's observations", |e, c| histogram::each(e, c, true, |h| h.sum / h.count)),
    define("histogram_count", &[Vector], Vector, "number of a native histogram's observations", |e, c| histogram::each(e, c, true, |h| h.count)),
    define("histogram_fraction", &[Scalar, Scalar, Vector], Vector, "estimated share of observations between two values", histogram::fraction),
    define("histogram_quantile", &[Scalar, Vector], Vector, "estimated quantile of a histogram, classic or native", histogram::quantile),
    define("histogram_quantiles", &[Vector, Text, Scalar, Scalar], Vector, "several estimated quantiles, each under a label", histogram::quantiles).variadic(9).experimental(),
    define("histogram_stddev", &[Vector], Vector, "estimated standard deviation of observations", |e, c| histogram::each(e, c, false, |h| h.variance().sqrt())),
    define("histogram_stdvar", &[Vector], Vector, "estimated variance of observations", |e, c| histogram::each(e, c, false, Histogram::variance)),
    define("histogram_sum", &[Vector], Vector, "sum of a native histogram's observations", |e, c| histogram::each(e, c, true, |h| h.sum)),
    define("hour", &[Vector], Vector, "hour of the day of a time, UTC", |e, c| time::civil(e, c, |t| f64::from(t.second_of_day / 3600))).variadic(1),
    define("idelta", &[Matrix], Vector, "difference of the last two samples", |e, c| rate::last_two(e, c, rate::IDELTA)),
    define("increase", &[Matrix], Vector, "growth of a counter, extrapolated to the range", |e, c| rate::extrapolated(e, c, rate::INCREASE)),
    define("info", &[Vector, Vector], Vector, "adds the labels of info metrics", info::info).variadic(1).experimental(),
    define("irate", &[Matrix], Vector, "rate per second of the last two samples", |e, c| rate::last_two(e, c, rate::IRATE)),
    define("label_join", &[Vector, Text, Text, Text], Vector, "sets a label to the joined values of others", label::join).variadic(-1),
    define("label_replace", &[Vector, Text, Text, Text, Text], Vector, "sets a label from a regular expression's groups", label::replace),
    define("last_over_time", &[Matrix], Vector, "newest sample", |e, c| over_time::end(e, c, true)),
    define("ln", &[Vector], Vector, "natural logarithm", |e, c| math::each(e, c, f64::ln)),
    define("log10", &[Vector], Vector, "decimal logarithm", |e, c| math::each(e, c, f64::log10)),
    define("log2", &[Vector], Vector, "binary logarithm", |e, c| math::each(e, c, f64::log2)),
    define("mad_over_time", &[Matrix], Vector, "median absolute deviation", |e, c| over_time::floats(e, c, over_time::median_deviation)).experimental(),
    define("max_of", &[Scalar, Scalar], Scalar, "larger of two scalars", |e, c| math::of_two(e, c, math::go_max)).experimental(),
    define("max_over_time", &[Matrix], Vector, "largest sample", |e, c| over_time::extreme(e, c, |a, b| a > b)),
    define("min_of", &[Scalar, Scalar], Scalar, "smaller of two scalars", |e, c| math::of_two(e, c, math::go_min)).experimental(),
    define("min_over_time", &[Matrix], Vector, "smallest sample", |e, c| over_time::extreme(e, c, |a, b| a < b)),
    define("minute", &[Vector], Vector, "minute of the hour of a time, UTC", |e, c| time::civil(e, c, |t| f64::from(t.second_of_day / 60 % 60))).variadic(1),
    define("month", &[Vector], Vector, "month of a time, from 1, UTC", |e, c| time::civil(e, c, |t| f64::from(t.month))).variadic(1),
    define("pi", &[], Scalar, "3.14159…", |e, _| math::scalar(e, |_| std::f64::consts::PI)),
    define("predict_linear", &[Matrix, Scalar], Vector, "value in so many seconds, by least squares", regression::predict_linear),
    define("present_over_time", &[Matrix], Vector, "1 for every series with a sample", |e, c| over_time::any(e, c, |_| 1.0)),
    define("quantile_over_time", &[Scalar, Matrix], Vector, "quantile of the samples", over_time::quantile_over_time),
    define("rad", &[Vector], Vector, "degrees to radians", |e, c| math::each(e, c, f64::to_radians)),
    define("range", &[], Scalar, "end minus start of the query, seconds", |e, _| math::scalar(e, |_| seconds(e.times().end_ms - e.times().start_ms))).experimental(),
    define("rate", &[Matrix], Vector, "growth of a counter per second, extrapolated to the range", |e, c| rate::extrapolated(e, c, rate::RATE)),
    define("resets", &[Matrix], Vector, "how often a counter was reset", |e, c| rate::count_pairs(e, c, true)),
    define("round", &[Vector, Scalar], Vector, "rounded to the nearest multiple", math::round).variadic(1),
    define("scalar", &[Vector], Scalar, "the value of a vector with one element, else NaN", scalar::of_vector),
    define("sgn", &[Vector], Vector, "-1, 0 or 1 by the sign", |e, c| math::each(e, c, math::sgn)),
    define("sin", &[Vector], Vector, "sine of radians", |e, c| math::each(e, c, f64::sin)),
    define("sinh", &[Vector], Vector, "hyperbolic sine", |e, c| math::each(e, c, f64::sinh)),
    define("sort", &[Vector], Vector, "sorted by value, ascending", |e, c| label::sort_by_value(e, c, false)),
    define("sort_by_label", &[Vector, Text], Vector, "sorted by labels, ascending", |e, c| label::sort(e, c, false)).variadic(-1).experimental(),
    define("sort_by_label_desc", &[Vector, Text], Vector, "sorted by labels, descending", |e, c| label::sort(e, c, true)).variadic(-1).experimental(),
    define("sort_desc", &[Vector], Vector, "sorted by value, descending", |e, c| label::sort_by_value(e, c, true)),
    define("sqrt", &[Vector], Vector, "square root", |e, c| math::each(e, c, f64::sqrt)),
    define("start", &[], Scalar, "start of the query, seconds", |e, _| math::scalar(e, |_| seconds(e.times().start_ms))).experimental(),
    define("start_timestamp", &[Vector], Vector, "start timestamp of each sample, seconds", |e, c| time::of_samples(e, c, Aspect::Start)).experimental(),
    define("stddev_over_time", &[Matrix], Vector, "standard deviation of the samples", |e, c| over_time::floats(e, c, |v| over_time::variance(v).sqrt())),
    define("stdvar_over_time", &[Matrix], Vector, "variance of the samples", |e, c| over_time::floats(e, c, over_time::variance)),
    define("step", &[], Scalar, "step of the query, seconds", |e, _| math::scalar(e, |_| step_seconds(e))).experimental(),
    define("sum_over_time", &[Matrix], Vector, "sum of the samples", |e, c| over_time::sum(e, c, false)),
    define("tan", &[Vector], Vector, "tangent of radians", |e, c| math::each(e, c, f64::tan)),
    define("tanh", &[Vector], Vector, "hyperbolic tangent", |e, c| math::each(e, c, f64::tanh)),
    define("time", &[], Scalar, "time of the evaluation, seconds", |e, _| math::scalar(e, |time_ms| time_ms as f64 / 1000.0)),
    define("timestamp", &[Vector], Vector, "time of each sample, seconds", |e, c| time::of_samples(e, c, Aspect::Time)),
    define("ts_of_first_over_time", &[Matrix], Vector, "time of the oldest sample", |e, c| over_time::any(e, c, |v| over_time::time_of_end(v, false))).experimental(),
    define("ts_of_last_over_time", &[Matrix], Vector, "time of the newest sample", |e, c| over_time::any(e, c, |v| over_time::time_of_end(v, true))).experimental(),
    define("ts_of_max_over_time", &[Matrix], Vector, "time of the largest sample", |e, c| over_time::floats(e, c, |v| over_time::time_of_extreme(v, |a, b| a >= b))).experimental(),
    define("ts_of_min_over_time", &[Matrix], Vector, "time of the smallest sample", |e, c| over_time::floats(e, c, |v| over_time::time_of_extreme(v, |a, b| a <= b))).experimental(),
    define("vector", &[Scalar], Vector, "scalar as a vector without labels", scalar::to_vector),
    define("year", &[Vector], Vector, "year of a time, UTC", |e, c| time::civil(e, c, |t| t.year as f64)).variadic(1),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_so_that_names_are_found() {
        assert!(FUNCTIONS.windows(2).all(|pair| pair[0].name < pair[1].name));
        assert_eq!(
            function("rate").unwrap().usage(),
            "rate(range vector): growth of a counter per second, extrapolated to the range"
        );
    }
}
