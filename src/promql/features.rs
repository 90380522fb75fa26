//! Parts of the language that stand behind a flag, under upstream's names.

use crate::lang::{Diagnostic, Span};

use super::ast::{DurationExpr, Expr, RangeMode, TimeSpan};

/// Which optional parts are on. The names are those of `--enable-feature`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Features {
    /// `promql-experimental-functions`: functions and aggregations marked experimental.
    pub experimental_functions: bool,
    /// `promql-duration-expr`: arithmetic in ranges and offsets. On unless switched off.
    pub duration_expressions: bool,
    /// `promql-extended-range-selectors`: `anchored` and `smoothed`.
    pub extended_ranges: bool,
    /// `promql-binop-fill-modifiers`: `fill`, `fill_left`, `fill_right`.
    pub fill_modifiers: bool,
    /// `promql-delayed-name-removal`: the metric name goes at the end of the evaluation.
    pub delayed_name_removal: bool,
    /// `use-start-timestamps`: rates use stored start timestamps.
    pub start_timestamps: bool,
    /// `type-and-unit-labels`: `__type__` and `__unit__` go where the metric name goes.
    pub type_and_unit_labels: bool,
}

impl Default for Features {
    fn default() -> Self {
        Features {
            experimental_functions: false,
            duration_expressions: true,
            extended_ranges: false,
            fill_modifiers: false,
            delayed_name_removal: false,
            start_timestamps: false,
            type_and_unit_labels: false,
        }
    }
}

/// A feature name that PromQL does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a PromQL feature: {name:?}; known are {}", NAMES.join(", "))]
pub struct UnknownFeature {
    /// What was asked for.
    pub name: String,
}

const NAMES: [&str; 7] = [
    "promql-experimental-functions",
    "promql-duration-expr",
    "promql-extended-range-selectors",
    "promql-binop-fill-modifiers",
    "promql-delayed-name-removal",
    "use-start-timestamps",
    "type-and-unit-labels",
];

impl Features {
    /// Everything on, as the test scripts want it.
    pub const ALL: Features = Features {
        experimental_functions: true,
        duration_expressions: true,
        extended_ranges: true,
        fill_modifiers: true,
        delayed_name_removal: true,
        start_timestamps: true,
        type_and_unit_labels: true,
    };

    /// Reads a comma-separated list of names, as `--enable-feature` gives it.
    pub fn parse(list: &str) -> Result<Features, UnknownFeature> {
        let mut features = Features::default();
        for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            if !features.enable(name) {
                return Err(UnknownFeature { name: name.to_owned() });
            }
        }
        Ok(features)
    }

    /// Switches one feature on; returns whether the name is PromQL's.
    pub fn enable(&mut self, name: &str) -> bool {
        let Some(index) = NAMES.iter().position(|known| *known == name) else { return false };
        let flag = match index {
            0 => &mut self.experimental_functions,
            1 => &mut self.duration_expressions,
            2 => &mut self.extended_ranges,
            3 => &mut self.fill_modifiers,
            4 => &mut self.delayed_name_removal,
            5 => &mut self.start_timestamps,
            _ => &mut self.type_and_unit_labels,
        };
        *flag = true;
        true
    }

    /// Returns what an expression uses that is not switched on.
    pub fn check(self, expr: &Expr) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        expr.walk(&mut |expr| self.check_node(expr, &mut found));
        found
    }

    fn check_node(self, expr: &Expr, found: &mut Vec<Diagnostic>) {
        let mut report = |span: Span, what: String, feature: &str| {
            found.push(
                Diagnostic::error("P007", span, format!("{what} is experimental and not enabled"))
                    .with_help(format!("start with --enable-feature={feature}")),
            );
        };
        match expr {
            Expr::Call(call) if call.function.experimental && !self.experimental_functions => {
                report(call.span, format!("function {:?}", call.function.name), NAMES[0]);
            }
            Expr::Aggregate(node) if node.op.is_experimental() && !self.experimental_functions => {
                report(node.span, format!("{}()", node.op), NAMES[0]);
            }
            Expr::Binary(node) if !self.fill_modifiers => {
                let fill = node.matching.fill;
                if fill.left.is_some() || fill.right.is_some() {
                    report(node.span, "fill modifier".to_owned(), NAMES[3]);
                }
            }
            _ => {}
        }
        let mode = match expr {
            Expr::Vector(selector) => selector.mode,
            Expr::Matrix(selector) => selector.vector.mode,
            _ => RangeMode::Plain,
        };
        if mode != RangeMode::Plain && !self.extended_ranges {
            let word = if mode == RangeMode::Anchored { "anchored" } else { "smoothed" };
            report(expr.span(), format!("{word} modifier"), NAMES[2]);
        }
        if !self.duration_expressions
            && let Some(computed) = computed_durations(expr).next()
        {
            report(computed.span(), "duration expression".to_owned(), NAMES[1]);
        }
    }
}

fn computed_durations(expr: &Expr) -> impl Iterator<Item = &DurationExpr> {
    let spans: [Option<&TimeSpan>; 3] = match expr {
        Expr::Vector(selector) => [Some(&selector.offset), None, None],
        Expr::Matrix(selector) => [Some(&selector.range), Some(&selector.vector.offset), None],
        Expr::Subquery(node) => [Some(&node.range), node.step.as_ref(), Some(&node.offset)],
        _ => [None; 3],
    };
    spans.into_iter().flatten().filter_map(|span| match span {
        TimeSpan::Computed(expr) => Some(expr),
        TimeSpan::Ms(_) => None,
    })
}
