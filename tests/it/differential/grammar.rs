//! Expressions made at random from the grammar that Prometheus 2.42 knows.

use fastrand::Rng;

/// Series of the data, as `super` writes them.
const SELECTORS: [&str; 14] = [
    "requests_total",
    "requests_total{job=\"api\"}",
    "requests_total{code!=\"500\"}",
    "requests_total{instance=~\"host-[12]\"}",
    "latency_bucket",
    "latency_bucket{instance=\"host-1\"}",
    "temperature",
    "temperature{instance!~\"host-3|nothing\"}",
    "queue",
    "queue{job=\"api\",instance=\"host-2\"}",
    "gone",
    "info",
    "{job=\"batch\"}",
    "nothing",
];

const OVER_RANGES: [&str; 20] = [
    "rate",
    "increase",
    "delta",
    "irate",
    "idelta",
    "resets",
    "changes",
    "avg_over_time",
    "min_over_time",
    "max_over_time",
    "sum_over_time",
    "count_over_time",
    "last_over_time",
    "present_over_time",
    "absent_over_time",
    "stddev_over_time",
    "stdvar_over_time",
    "deriv",
    "rate",
    "increase",
];

const OF_VECTORS: [&str; 31] = [
    "abs",
    "ceil",
    "floor",
    "exp",
    "sqrt",
    "ln",
    "log2",
    "log10",
    "sgn",
    "sin",
    "cos",
    "atan",
    "tanh",
    "deg",
    "rad",
    "timestamp",
    "absent",
    "sort",
    "sort_desc",
    "minute",
    "hour",
    "day_of_week",
    "day_of_month",
    "day_of_year",
    "days_in_month",
    "month",
    "year",
    "round",
    "asinh",
    "acosh",
    "scalar_to_vector",
];

const ARITHMETIC: [&str; 7] = ["+", "-", "*", "/", "%", "^", "atan2"];
const COMPARISONS: [&str; 6] = ["==", "!=", ">", "<", ">=", "<="];
const LABELS: [&str; 5] = ["job", "instance", "code", "le", "nothing"];

pub(super) struct Grammar<'r> {
    pub(super) random: &'r mut Rng,
}

impl Grammar<'_> {
    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.random.usize(..of.len())]
    }

    fn number(&mut self) -> String {
        self.one(&["0", "1", "2", "0.5", "-1", "3.25", "100", "1e3", "-0.001", "Inf", "NaN"]).into()
    }

    fn span(&mut self) -> &'static str {
        self.one(&["1m", "2m", "5m", "90s", "10m", "17s", "30m"])
    }

    fn when(&mut self) -> String {
        let span = self.span();
        match self.random.u8(0..14) {
            0 => format!(" offset {span}"),
            1 => format!(" offset -{span}"),
            2 => " @ end()".to_owned(),
            3 => format!(" @ start() offset {span}"),
            _ => String::new(),
        }
    }

    fn range(&mut self, depth: u8) -> String {
        let (span, when) = (self.span(), self.when());
        if depth > 0 && self.random.u8(0..6) == 0 {
            let (inner, step) = (self.vector(depth - 1), self.one(&["", "13s", "1m", "29s"]));
            return format!("({inner})[{span}:{step}]{when}");
        }
        format!("{}[{span}]{when}", self.one(&SELECTORS))
    }

    fn labels(&mut self) -> String {
        let count = self.random.usize(0..3);
        let labels: Vec<&str> = (0..count).map(|_| self.one(&LABELS)).collect();
        labels.join(", ")
    }

    pub(super) fn scalar(&mut self, depth: u8) -> String {
        match self.random.u8(0..8) {
            0 if depth > 0 => format!("scalar({})", self.vector(depth - 1)),
            1 => "time()".to_owned(),
            2 => "pi()".to_owned(),
            3 if depth > 0 => {
                let (a, b) = (self.scalar(depth - 1), self.scalar(depth - 1));
                format!("({a} {} {b})", self.one(&ARITHMETIC))
            }
            _ => self.number(),
        }
    }

    pub(super) fn vector(&mut self, depth: u8) -> String {
        if depth == 0 {
            return format!("{}{}", self.one(&SELECTORS), self.when());
        }
        let depth = depth - 1;
        match self.random.u8(0..20) {
            0 | 1 => format!("{}{}", self.one(&SELECTORS), self.when()),
            2..=5 => format!("{}({})", self.one(&OVER_RANGES), self.range(depth)),
            6..=8 => self.aggregation(depth),
            9..=12 => self.binary(depth),
            13 => {
                let name = self.one(&OF_VECTORS[..30]);
                format!("{name}({})", self.vector(depth))
            }
            14 => {
                let quantile = self.one(&["0.5", "0.9", "0", "1", "0.99"]);
                match self.random.u8(0..3) {
                    0 => format!("histogram_quantile({quantile}, {})", self.vector(depth)),
                    1 => format!(
                        "histogram_quantile({quantile}, sum by (le) (rate(latency_bucket[{}])))",
                        self.span()
                    ),
                    _ => format!("quantile_over_time({quantile}, {})", self.range(depth)),
                }
            }
            15 => {
                let (vector, number) = (self.vector(depth), self.number());
                match self.random.u8(0..4) {
                    0 => format!("clamp({vector}, -5, {number})"),
                    1 => format!("clamp_min({vector}, {number})"),
                    2 => format!("clamp_max({vector}, {number})"),
                    _ => format!("round({vector}, 0.25)"),
                }
            }
            16 => format!("predict_linear({}, {})", self.range(depth), self.number()),
            17 => {
                let (vector, label) = (self.vector(depth), self.one(&LABELS));
                if self.random.bool() {
                    format!("label_replace({vector}, \"new\", \"$1-x\", \"{label}\", \"(.+)-.*\")")
                } else {
                    format!("label_join({vector}, \"new\", \"/\", \"job\", \"{label}\")")
                }
            }
            18 => format!("-{}", self.vector(depth)),
            _ => format!("vector({})", self.scalar(depth)),
        }
    }

    fn aggregation(&mut self, depth: u8) -> String {
        let operator = self.one(&[
            "sum",
            "avg",
            "min",
            "max",
            "count",
            "group",
            "stddev",
            "stdvar",
            "sum",
            "avg",
            "topk",
            "bottomk",
            "quantile",
            "count_values",
        ]);
        let parameter = match operator {
            "topk" | "bottomk" => format!("{}, ", self.random.u8(0..4)),
            "quantile" => format!("{}, ", self.one(&["0.5", "0.25", "1", "2", "-1"])),
            "count_values" => "\"value\", ".to_owned(),
            _ => String::new(),
        };
        let grouping = match self.random.u8(0..3) {
            0 => String::new(),
            1 => format!(" by ({})", self.labels()),
            _ => format!(" without ({})", self.labels()),
        };
        format!("{operator}{grouping} ({parameter}{})", self.vector(depth))
    }

    fn binary(&mut self, depth: u8) -> String {
        let compares = self.random.u8(0..3) == 0;
        let operator = if compares { self.one(&COMPARISONS) } else { self.one(&ARITHMETIC) };
        let bool = if compares && self.random.bool() { " bool" } else { "" };
        let left = self.vector(depth);
        match self.random.u8(0..8) {
            0 => format!("({left}) {operator}{bool} {}", self.scalar(depth)),
            1 => format!("{} {operator}{bool} ({left})", self.scalar(depth)),
            2 | 3 => {
                let set = self.one(&["and", "or", "unless"]);
                let matching = match self.random.u8(0..3) {
                    0 => format!(" on ({})", self.labels()),
                    1 => format!(" ignoring ({})", self.labels()),
                    _ => String::new(),
                };
                format!("({left}) {set}{matching} ({})", self.vector(depth))
            }
            4 => format!(
                "({left}) {operator}{bool} on (instance) group_left ({}) info",
                self.one(&["", "version"])
            ),
            5 => format!(
                "({left}) {operator}{bool} ignoring ({}) ({})",
                self.labels(),
                self.vector(depth)
            ),
            _ => format!("({left}) {operator}{bool} ({})", self.vector(depth)),
        }
    }
}
