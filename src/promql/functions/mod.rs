//! The one table of functions: the checker, the API, the help page and the README are derived from
//! it.
//!
//! One file per family; the table names what evaluates each.

use super::ast::ValueType::{self, Matrix, Scalar, String as Text, Vector};

/// A PromQL function.
#[derive(Clone, Copy, Debug)]
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
) -> Function {
    Function { name, args, variadic: 0, returns, experimental: false, doc }
}

#[rustfmt::skip]
static FUNCTIONS: &[Function] = &[
    define("abs", &[Vector], Vector, "absolute value"),
    define("absent", &[Vector], Vector, "1 if the vector has no element"),
    define("absent_over_time", &[Matrix], Vector, "1 if the range has no sample"),
    define("acos", &[Vector], Vector, "arccosine, radians"),
    define("acosh", &[Vector], Vector, "inverse hyperbolic cosine"),
    define("asin", &[Vector], Vector, "arcsine, radians"),
    define("asinh", &[Vector], Vector, "inverse hyperbolic sine"),
    define("atan", &[Vector], Vector, "arctangent, radians"),
    define("atanh", &[Vector], Vector, "inverse hyperbolic tangent"),
    define("avg_over_time", &[Matrix], Vector, "mean of the samples"),
    define("ceil", &[Vector], Vector, "rounded up to a whole number"),
    define("changes", &[Matrix], Vector, "how often the value changed"),
    define("clamp", &[Vector, Scalar, Scalar], Vector, "held between min and max"),
    define("clamp_max", &[Vector, Scalar], Vector, "held at or below max"),
    define("clamp_min", &[Vector, Scalar], Vector, "held at or above min"),
    define("cos", &[Vector], Vector, "cosine of radians"),
    define("cosh", &[Vector], Vector, "hyperbolic cosine"),
    define("count_over_time", &[Matrix], Vector, "number of samples"),
    define("day_of_month", &[Vector], Vector, "day of the month of a time, from 1, UTC").variadic(1),
    define("day_of_week", &[Vector], Vector, "day of the week of a time, Sunday is 0, UTC").variadic(1),
    define("day_of_year", &[Vector], Vector, "day of the year of a time, from 1, UTC").variadic(1),
    define("days_in_month", &[Vector], Vector, "days of the month of a time, UTC").variadic(1),
    define("deg", &[Vector], Vector, "radians to degrees"),
    define("delta", &[Matrix], Vector, "difference between the ends of a gauge's range, extrapolated"),
    define("deriv", &[Matrix], Vector, "slope per second by least squares"),
    define("double_exponential_smoothing", &[Matrix, Scalar, Scalar], Vector, "smoothed value with trend; factors between 0 and 1").experimental(),
    define("end", &[], Scalar, "end of the query, seconds").experimental(),
    define("exp", &[Vector], Vector, "e to the power of the value"),
    define("first_over_time", &[Matrix], Vector, "oldest sample"),
    define("floor", &[Vector], Vector, "rounded down to a whole number"),
    define("histogram_avg", &[Vector], Vector, "mean of a native histogram's observations"),
    define("histogram_count", &[Vector], Vector, "number of a native histogram's observations"),
    define("histogram_fraction", &[Scalar, Scalar, Vector], Vector, "estimated share of observations between two values"),
    define("histogram_quantile", &[Scalar, Vector], Vector, "estimated quantile of a histogram, classic or native"),
    define("histogram_quantiles", &[Vector, Text, Scalar, Scalar], Vector, "several estimated quantiles, each under a label").variadic(9).experimental(),
    define("histogram_stddev", &[Vector], Vector, "estimated standard deviation of observations"),
    define("histogram_stdvar", &[Vector], Vector, "estimated variance of observations"),
    define("histogram_sum", &[Vector], Vector, "sum of a native histogram's observations"),
    define("hour", &[Vector], Vector, "hour of the day of a time, UTC").variadic(1),
    define("idelta", &[Matrix], Vector, "difference of the last two samples"),
    define("increase", &[Matrix], Vector, "growth of a counter, extrapolated to the range"),
    define("info", &[Vector, Vector], Vector, "adds the labels of info metrics").variadic(1).experimental(),
    define("irate", &[Matrix], Vector, "rate per second of the last two samples"),
    define("label_join", &[Vector, Text, Text, Text], Vector, "sets a label to the joined values of others").variadic(-1),
    define("label_replace", &[Vector, Text, Text, Text, Text], Vector, "sets a label from a regular expression's groups"),
    define("last_over_time", &[Matrix], Vector, "newest sample"),
    define("ln", &[Vector], Vector, "natural logarithm"),
    define("log10", &[Vector], Vector, "decimal logarithm"),
    define("log2", &[Vector], Vector, "binary logarithm"),
    define("mad_over_time", &[Matrix], Vector, "median absolute deviation").experimental(),
    define("max_of", &[Scalar, Scalar], Scalar, "larger of two scalars").experimental(),
    define("max_over_time", &[Matrix], Vector, "largest sample"),
    define("min_of", &[Scalar, Scalar], Scalar, "smaller of two scalars").experimental(),
    define("min_over_time", &[Matrix], Vector, "smallest sample"),
    define("minute", &[Vector], Vector, "minute of the hour of a time, UTC").variadic(1),
    define("month", &[Vector], Vector, "month of a time, from 1, UTC").variadic(1),
    define("pi", &[], Scalar, "3.14159…"),
    define("predict_linear", &[Matrix, Scalar], Vector, "value in so many seconds, by least squares"),
    define("present_over_time", &[Matrix], Vector, "1 for every series with a sample"),
    define("quantile_over_time", &[Scalar, Matrix], Vector, "quantile of the samples"),
    define("rad", &[Vector], Vector, "degrees to radians"),
    define("range", &[], Scalar, "end minus start of the query, seconds").experimental(),
    define("rate", &[Matrix], Vector, "growth of a counter per second, extrapolated to the range"),
    define("resets", &[Matrix], Vector, "how often a counter was reset"),
    define("round", &[Vector, Scalar], Vector, "rounded to the nearest multiple").variadic(1),
    define("scalar", &[Vector], Scalar, "the value of a vector with one element, else NaN"),
    define("sgn", &[Vector], Vector, "-1, 0 or 1 by the sign"),
    define("sin", &[Vector], Vector, "sine of radians"),
    define("sinh", &[Vector], Vector, "hyperbolic sine"),
    define("sort", &[Vector], Vector, "sorted by value, ascending"),
    define("sort_by_label", &[Vector, Text], Vector, "sorted by labels, ascending").variadic(-1).experimental(),
    define("sort_by_label_desc", &[Vector, Text], Vector, "sorted by labels, descending").variadic(-1).experimental(),
    define("sort_desc", &[Vector], Vector, "sorted by value, descending"),
    define("sqrt", &[Vector], Vector, "square root"),
    define("start", &[], Scalar, "start of the query, seconds").experimental(),
    define("start_timestamp", &[Vector], Vector, "start timestamp of each sample, seconds").experimental(),
    define("stddev_over_time", &[Matrix], Vector, "standard deviation of the samples"),
    define("stdvar_over_time", &[Matrix], Vector, "variance of the samples"),
    define("step", &[], Scalar, "step of the query, seconds").experimental(),
    define("sum_over_time", &[Matrix], Vector, "sum of the samples"),
    define("tan", &[Vector], Vector, "tangent of radians"),
    define("tanh", &[Vector], Vector, "hyperbolic tangent"),
    define("time", &[], Scalar, "time of the evaluation, seconds"),
    define("timestamp", &[Vector], Vector, "time of each sample, seconds"),
    define("ts_of_first_over_time", &[Matrix], Vector, "time of the oldest sample").experimental(),
    define("ts_of_last_over_time", &[Matrix], Vector, "time of the newest sample").experimental(),
    define("ts_of_max_over_time", &[Matrix], Vector, "time of the largest sample").experimental(),
    define("ts_of_min_over_time", &[Matrix], Vector, "time of the smallest sample").experimental(),
    define("vector", &[Scalar], Vector, "scalar as a vector without labels"),
    define("year", &[Vector], Vector, "year of a time, UTC").variadic(1),
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
