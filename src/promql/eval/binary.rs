//! Binary operators. Which elements meet is found once for all steps.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::lang::Span;
use crate::promql::ast::{Binary, BinaryOp, Cardinality, VectorMatching};
use crate::promql::engine::{QueryError, Value};
use crate::series::{Histogram, HistogramNotice, Labels, LabelsBuilder, METRIC_NAME, ResetHint};

use super::{Answer, Evaluated, Evaluator, Level, Row, merge_equal_labels, wrong_type};

/// Which of some rows has a value at a step; `NONE`: no one.
const NONE: u32 = u32::MAX;

impl Evaluator<'_> {
    pub(super) fn binary(&self, binary: &Binary) -> Answer<Evaluated> {
        let sides = if is_trim(binary.op) { self.wanting(true) } else { *self };
        let (left, right) = (sides.eval(&binary.left)?, sides.eval(&binary.right)?);
        match (left, right) {
            (Evaluated::Scalar(mut left), Evaluated::Scalar(right)) => {
                for (left, right) in left.iter_mut().zip(right) {
                    *left = scalars(binary.op, *left, right);
                }
                Ok(Evaluated::Scalar(left))
            }
            (Evaluated::Vector(rows), Evaluated::Scalar(scalar)) => {
                self.with_scalar(binary, rows, &scalar, false)
            }
            (Evaluated::Scalar(scalar), Evaluated::Vector(rows)) => {
                self.with_scalar(binary, rows, &scalar, true)
            }
            (Evaluated::Vector(left), Evaluated::Vector(right)) => {
                let rows = match binary.op {
                    BinaryOp::And | BinaryOp::Or | BinaryOp::Unless => {
                        self.sets(binary, left, right)?
                    }
                    _ => self.vectors(binary, left, right)?,
                };
                Ok(Evaluated::Vector(rows))
            }
            (Evaluated::Text(_), _) => Err(wrong_type(&binary.left)),
            (_, Evaluated::Text(_)) => Err(wrong_type(&binary.right)),
        }
    }

    /// `swapped`: the scalar stands on the left.
    fn with_scalar(
        &self,
        binary: &Binary,
        mut rows: Vec<Row>,
        scalar: &[f64],
        swapped: bool,
    ) -> Answer<Evaluated> {
        let op = binary.op;
        for row in &mut rows {
            self.check()?;
            if row.column.has_histograms() {
                self.with_scalar_slowly(binary, row, scalar, swapped);
            } else if !matches!(op, BinaryOp::TrimLower | BinaryOp::TrimUpper) {
                let column = &mut row.column.floats;
                for (value, scalar) in column.iter_mut().zip(scalar) {
                    if crate::series::is_stale(*value) {
                        continue;
                    }
                    let (left, right) = if swapped { (*scalar, *value) } else { (*value, *scalar) };
                    if !op.is_comparison() {
                        *value = arithmetic(op, left, right);
                        continue;
                    }
                    let holds = compares(op, left, right);
                    if binary.returns_bool {
                        *value = f64::from(u8::from(holds));
                    } else if !holds {
                        *value = super::ABSENT;
                    }
                }
            } else {
                self.with_scalar_slowly(binary, row, scalar, swapped);
            }
            if !op.is_comparison() && !is_trim(op) || binary.returns_bool {
                self.drop_name(row);
            }
        }
        rows.retain(|row| !row.column.is_empty());
        Ok(Evaluated::Vector(self.renamed(rows)?))
    }

    fn with_scalar_slowly(&self, binary: &Binary, row: &mut Row, scalar: &[f64], swapped: bool) {
        for (step, scalar) in scalar.iter().enumerate() {
            let Some(value) = row.column.get(step) else { continue };
            row.column.clear(step);
            let scalar = Value::Float(*scalar);
            let (left, right) = if swapped { (&scalar, &value) } else { (&value, &scalar) };
            let Some((result, holds)) = self.elements(binary, left, right, true) else { continue };
            if binary.returns_bool {
                row.column.set(step, Value::Float(f64::from(u8::from(holds))));
            } else if holds {
                let keeps_value = binary.op.is_comparison() && swapped;
                row.column.set(step, if keeps_value { value } else { result });
            }
        }
    }

    fn sets(&self, binary: &Binary, left: Vec<Row>, right: Vec<Row>) -> Answer<Vec<Row>> {
        let count = self.steps.count;
        let mut groups = Groups::default();
        let of_left = groups.of_rows(&left, &binary.matching);
        let of_right = groups.of_rows(&right, &binary.matching);
        let (deciding, groups_of) =
            if binary.op == BinaryOp::Or { (&left, &of_left) } else { (&right, &of_right) };
        let mut present: Vec<Option<Vec<bool>>> = vec![None; groups.len()];
        for (row, group) in deciding.iter().zip(groups_of) {
            let present = present[*group].get_or_insert_with(|| vec![false; count]);
            for (step, present) in present.iter_mut().enumerate() {
                *present |= row.column.is_present(step);
            }
        }
        let (mut kept, masked, groups_of, wanted) = match binary.op {
            BinaryOp::Or => (left, right, of_right, false),
            BinaryOp::And => (Vec::new(), left, of_left, true),
            _ => (Vec::new(), left, of_left, false),
        };
        for (mut row, group) in masked.into_iter().zip(groups_of) {
            match &present[group] {
                None if wanted => continue,
                None => {}
                Some(present) => {
                    for (step, present) in present.iter().enumerate() {
                        if *present != wanted {
                            row.column.clear(step);
                        }
                    }
                }
            }
            if !row.column.is_empty() {
                kept.push(row);
            }
        }
        if binary.op == BinaryOp::Or { merge_equal_labels(kept) } else { Ok(kept) }
    }

    fn vectors(&self, binary: &Binary, left: Vec<Row>, right: Vec<Row>) -> Answer<Vec<Row>> {
        let matching = &binary.matching;
        let swapped = matching.cardinality == Cardinality::OneToMany;
        let (many, one) = if swapped { (right, left) } else { (left, right) };
        let mut groups = Groups::default();
        let of_many = groups.of_rows(&many, matching);
        let of_one = groups.of_rows(&one, matching);
        let ones = self.ones(matching, &many, &one, &of_one, groups.len())?;
        let mut join = Join {
            evaluator: self,
            binary,
            swapped,
            places: HashMap::new(),
            twins: HashMap::new(),
            families: Vec::new(),
            results: Vec::new(),
            matched: vec![Vec::new(); groups.len()],
        };
        // As upstream: `fill_left` stands in on the "many" side and `fill_right` on the "one" side,
        // with `group_right` too.
        let (fill_many, fill_one) = (matching.fill.left, matching.fill.right);
        for (row, group) in many.iter().zip(&of_many) {
            self.check()?;
            join.many_row(row, *group, ones[*group].as_deref(), &one, fill_one)?;
        }
        if let Some(fill) = fill_many {
            for (row, group) in one.iter().zip(&of_one) {
                join.unmatched_one(row, *group, fill)?;
            }
        }
        let mut rows: Vec<Row> = join.results.into_iter().map(|joined| joined.row).collect();
        rows.retain(|row| !row.column.is_empty());
        merge_equal_labels(rows)
    }

    /// For each group and step the row of the "one" side that has a value; two are an error where
    /// the other side has any value.
    fn ones(
        &self,
        matching: &VectorMatching,
        many: &[Row],
        one: &[Row],
        of_one: &[usize],
        groups: usize,
    ) -> Answer<Vec<Option<Vec<u32>>>> {
        let count = self.steps.count;
        let fills = matching.fill.left.is_some() || matching.fill.right.is_some();
        let mut ones: Vec<Option<Vec<u32>>> = vec![None; groups];
        for (index, (row, group)) in one.iter().zip(of_one).enumerate() {
            let at = ones[*group].get_or_insert_with(|| vec![NONE; count]);
            for (step, at) in at.iter_mut().enumerate() {
                if !row.column.is_present(step) {
                    continue;
                }
                if *at == NONE {
                    *at = index as u32;
                } else if fills || many.iter().any(|row| row.column.is_present(step)) {
                    return Err(duplicates(matching, &one[*at as usize].labels, &row.labels));
                }
            }
        }
        Ok(ones)
    }

    /// Applies the operator to two elements: the result, and whether a comparison holds. None:
    /// they do not go together, which has been noted.
    fn elements(
        &self,
        binary: &Binary,
        left: &Value,
        right: &Value,
        scalar: bool,
    ) -> Option<(Value, bool)> {
        let (op, span) = (binary.op, binary.span);
        let done =
            |histogram: Histogram| Some((Value::Histogram(Arc::new(histogram.compacted())), true));
        match (left, right) {
            (Value::Float(left), Value::Float(right)) if !is_trim(op) => {
                Some(if op.is_comparison() {
                    (Value::Float(*left), compares(op, *left, *right))
                } else {
                    (Value::Float(arithmetic(op, *left, *right)), true)
                })
            }
            (Value::Float(left), Value::Histogram(right)) if op == BinaryOp::Mul => {
                done(right.scaled(*left))
            }
            (Value::Histogram(left), Value::Float(right)) => match op {
                BinaryOp::Mul => done(left.scaled(*right)),
                BinaryOp::Div => done(left.divided(*right)),
                BinaryOp::TrimUpper | BinaryOp::TrimLower => {
                    let trimmed = left.trimmed(*right, op == BinaryOp::TrimUpper);
                    Some((Value::Histogram(Arc::new(trimmed)), true))
                }
                _ => self.incompatible(op, kind_name(true), kind_name(false), span),
            },
            (Value::Histogram(left), Value::Histogram(right)) => match op {
                BinaryOp::Equal => Some((Value::Histogram(left.clone()), left.equals(right))),
                BinaryOp::NotEqual => Some((Value::Histogram(left.clone()), !left.equals(right))),
                BinaryOp::Add | BinaryOp::Sub if !scalar => {
                    self.sum_of_histograms(op, left, right, span)
                }
                _ => self.incompatible(op, kind_name(true), kind_name(true), span),
            },
            (left, right) => {
                let kind = |value: &Value| kind_name(value.as_float().is_none());
                self.incompatible(op, kind(left), kind(right), span)
            }
        }
    }

    fn incompatible<T>(&self, op: BinaryOp, left: &str, right: &str, span: Span) -> Option<T> {
        let text = format!(
            "incompatible sample types encountered for binary operator \"{op}\": {left} {op} {right}"
        );
        self.note(Level::Info, text, span);
        None
    }

    fn sum_of_histograms(
        &self,
        op: BinaryOp,
        left: &Histogram,
        right: &Histogram,
        span: Span,
    ) -> Option<(Value, bool)> {
        let add = op == BinaryOp::Add;
        let what = if add { "addition" } else { "subtraction" };
        let combined = if add { left.plus(right) } else { left.minus(right) };
        let Ok((mut sum, notice)) = combined else {
            let text = format!("incompatible bucket layout encountered for binary operator {op}");
            self.note(Level::Warning, text, span);
            return None;
        };
        self.note_histograms(notice, what, span);
        if !add {
            sum.reset_hint = ResetHint::Gauge;
        }
        Some((Value::Histogram(Arc::new(sum.compacted())), true))
    }

    /// Passes on what came up when histograms were combined.
    pub(in crate::promql) fn note_histograms(
        &self,
        notice: HistogramNotice,
        what: &str,
        span: Span,
    ) {
        if notice.resets_collide {
            let text = format!("conflicting counter resets during histogram {what}");
            self.note(Level::Warning, text, span);
        }
        if notice.bounds_reconciled {
            let text = format!("mismatched custom buckets were reconciled during {what}");
            self.note(Level::Info, text, span);
        }
    }
}

fn kind_name(histogram: bool) -> &'static str {
    if histogram { "histogram" } else { "float" }
}

fn is_trim(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::TrimLower | BinaryOp::TrimUpper)
}

/// Elements that the operator has put together, so far.
struct Join<'a, 'q> {
    evaluator: &'a Evaluator<'q>,
    binary: &'a Binary,
    /// The "many" side stands on the right.
    swapped: bool,
    /// Indices of results by the labels of both elements.
    places: HashMap<(Labels, Labels), usize>,
    /// Families of results: those of one group with the same labels. Normally each has one.
    twins: HashMap<(usize, Labels), usize>,
    families: Vec<Vec<usize>>,
    results: Vec<Joined>,
    /// For each group at which steps anything has been matched; empty where nothing has.
    matched: Vec<Vec<bool>>,
}

/// A series of results.
struct Joined {
    row: Row,
    family: usize,
    /// At which steps elements have met, also where a comparison then dropped them.
    met: Vec<bool>,
}

impl Join<'_, '_> {
    fn many_row(
        &mut self,
        row: &Row,
        group: usize,
        ones: Option<&[u32]>,
        one: &[Row],
        fill: Option<f64>,
    ) -> Answer<()> {
        if ones.is_none() && fill.is_none() {
            return Ok(());
        }
        let count = self.evaluator.steps.count;
        let mut last: Option<(u32, usize)> = None;
        for step in 0..count {
            let Some(mine) = row.column.get(step) else { continue };
            let met = ones.map_or(NONE, |ones| ones[step]);
            let (other, value) = match one.get(met as usize) {
                Some(other) => (Some(other), other.column.get(step)),
                None => (None, fill.map(Value::Float)),
            };
            let Some(value) = value else { continue };
            let (left, right) = if self.swapped { (&value, &mine) } else { (&mine, &value) };
            let Some((result, holds)) = self.evaluator.elements(self.binary, left, right, false)
            else {
                continue;
            };
            let place = match last {
                Some((known, place)) if known == met => place,
                _ => {
                    let filled = || matched_labels(&self.binary.matching, &row.labels);
                    let other = other.map_or_else(filled, |other| other.labels.clone());
                    self.place(group, &row.labels, &other)?
                }
            };
            last = Some((met, place));
            self.put(group, step, place, result, holds)?;
        }
        Ok(())
    }

    fn unmatched_one(&mut self, row: &Row, group: usize, fill: f64) -> Answer<()> {
        let many = matched_labels(&self.binary.matching, &row.labels);
        for step in 0..self.evaluator.steps.count {
            let matched = self.matched[group].get(step).is_some_and(|matched| *matched);
            let Some(mine) = row.column.get(step).filter(|_| !matched) else { continue };
            let filled = Value::Float(fill);
            let (left, right) = if self.swapped { (&mine, &filled) } else { (&filled, &mine) };
            let Some((result, holds)) = self.evaluator.elements(self.binary, left, right, false)
            else {
                continue;
            };
            let place = self.place(group, &many, &row.labels)?;
            self.put(group, step, place, result, holds)?;
        }
        Ok(())
    }

    fn put(
        &mut self,
        group: usize,
        step: usize,
        place: usize,
        result: Value,
        holds: bool,
    ) -> Answer<()> {
        let matched = &mut self.matched[group];
        matched.resize(self.evaluator.steps.count, false);
        let again = std::mem::replace(&mut matched[step], true);
        if again && self.binary.matching.cardinality == Cardinality::OneToOne {
            return Err(QueryError::Execution(
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)".to_owned(),
            ));
        }
        let twins = &self.families[self.results[place].family];
        if again && twins.iter().any(|twin| self.results[*twin].met[step]) {
            return Err(QueryError::Execution(
                "multiple matches for labels: grouping labels must ensure unique matches"
                    .to_owned(),
            ));
        }
        self.results[place].met[step] = true;
        let column = &mut self.results[place].row.column;
        if self.binary.returns_bool {
            column.set(step, Value::Float(f64::from(u8::from(holds))));
        } else if holds {
            column.set(step, result);
        }
        Ok(())
    }

    /// Returns the index of the result for two elements' labels.
    fn place(&mut self, group: usize, many: &Labels, one: &Labels) -> Answer<usize> {
        let key = (many.clone(), one.clone());
        if let Some(place) = self.places.get(&key) {
            return Ok(*place);
        }
        let (place, count) = (self.results.len(), self.evaluator.steps.count);
        let labels = self.result_labels(many, one);
        let next = self.families.len();
        let family = *self.twins.entry((group, labels.clone())).or_insert(next);
        if family == next {
            self.families.push(Vec::new());
        }
        self.families[family].push(place);
        let drop_name = self.binary.returns_bool;
        let row = Row { labels, drop_name, column: self.evaluator.held_column()? };
        self.results.push(Joined { row, family, met: vec![false; count] });
        self.places.insert(key, place);
        Ok(place)
    }

    fn result_labels(&self, many: &Labels, one: &Labels) -> Labels {
        let (op, matching) = (self.binary.op, &self.binary.matching);
        let delayed = self.evaluator.features().delayed_name_removal;
        let changes_meaning = !op.is_comparison() && !is_trim(op);
        let mut builder = LabelsBuilder::from(many);
        if changes_meaning || self.binary.returns_bool && !delayed {
            for name in self.evaluator.metadata_labels() {
                builder.remove(name);
            }
        }
        if matching.cardinality == Cardinality::OneToOne {
            let labels = builder.build();
            let labels = if matching.on {
                labels.keep(&matching.labels)
            } else {
                labels.without(&matching.labels)
            };
            builder = LabelsBuilder::from(&labels);
        }
        for name in &matching.include {
            builder.set(name, one.value_or_empty(name));
        }
        builder.build()
    }
}

fn duplicates(matching: &VectorMatching, first: &Labels, second: &Labels) -> QueryError {
    let side = if matching.cardinality == Cardinality::OneToMany { "left" } else { "right" };
    let group = matched_labels(matching, second);
    let mut texts = [with_name_inside(first), with_name_inside(second)];
    texts.sort_unstable();
    let [first, second] = texts;
    QueryError::Execution(format!(
        "found duplicate series for the match group {} on the {side} hand-side of the operation: \
         [{first}, {second}];many-to-many matching not allowed: matching labels must be unique on one side",
        with_name_inside(&group),
    ))
}

/// Writes labels with the name as one of them, as upstream does in errors.
fn with_name_inside(labels: &Labels) -> String {
    let pairs: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{name}={}", crate::promql::literal::quote(value)))
        .collect();
    format!("{{{}}}", pairs.join(", "))
}

/// Returns the labels by which elements are matched.
fn matched_labels(matching: &VectorMatching, labels: &Labels) -> Labels {
    if matching.on {
        return labels.keep(&matching.labels);
    }
    labels.without(&matching.labels).without(&[METRIC_NAME])
}

/// Numbers for the different sets of matched labels.
#[derive(Default)]
struct Groups {
    numbers: HashMap<Labels, usize>,
}

impl Groups {
    fn of_rows(&mut self, rows: &[Row], matching: &VectorMatching) -> Vec<usize> {
        let next = |numbers: &HashMap<Labels, usize>| numbers.len();
        rows.iter()
            .map(|row| {
                let number = next(&self.numbers);
                *self.numbers.entry(matched_labels(matching, &row.labels)).or_insert(number)
            })
            .collect()
    }

    fn len(&self) -> usize {
        self.numbers.len()
    }
}

fn scalars(op: BinaryOp, left: f64, right: f64) -> f64 {
    if op.is_comparison() {
        f64::from(u8::from(compares(op, left, right)))
    } else {
        arithmetic(op, left, right)
    }
}

fn arithmetic(op: BinaryOp, left: f64, right: f64) -> f64 {
    match op {
        BinaryOp::Add => left + right,
        BinaryOp::Sub => left - right,
        BinaryOp::Mul => left * right,
        BinaryOp::Div => left / right,
        BinaryOp::Mod => left % right,
        BinaryOp::Pow => left.powf(right),
        BinaryOp::Atan2 => left.atan2(right),
        _ => f64::NAN,
    }
}

fn compares(op: BinaryOp, left: f64, right: f64) -> bool {
    match op {
        BinaryOp::Equal => left == right,
        BinaryOp::NotEqual => left != right,
        BinaryOp::Greater => left > right,
        BinaryOp::Less => left < right,
        BinaryOp::GreaterOrEqual => left >= right,
        BinaryOp::LessOrEqual => left <= right,
        _ => false,
    }
}
