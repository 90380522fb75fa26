use super::bounds::exponential_upper_bound;
use super::histogram_buckets::{coarser_index, indexed, spans_of};
use super::{Histogram, HistogramKind, Kahan, ResetHint, Span};

/// Histograms with exponential and with custom buckets do not go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("histograms with exponential and with custom buckets do not go together")]
pub struct MixedSchemas;

/// What came up when histograms were combined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistogramNotice {
    /// One says that there was a reset, another that there was none.
    pub resets_collide: bool,
    /// Their custom bounds differ: those that all have were kept.
    pub bounds_reconciled: bool,
}

/// Adds native histograms up: to their sum, or to their mean.
///
/// The coarsest schema, the widest zero bucket and the common custom bounds win. Every count is a
/// compensated sum.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct HistogramSum {
    state: Option<Accumulator>,
    added: f64,
    /// The mean is carried, since the sum would overflow.
    incremental: bool,
    mixed: bool,
    saw_reset: bool,
    saw_no_reset: bool,
    notice: HistogramNotice,
}

impl HistogramSum {
    /// Adds one. An error makes the sum void; what is added then is ignored.
    pub fn add(&mut self, histogram: &Histogram) -> Result<(), MixedSchemas> {
        if self.mixed {
            return Ok(());
        }
        self.saw_reset |= histogram.reset_hint == ResetHint::Reset;
        self.saw_no_reset |= histogram.reset_hint == ResetHint::NotReset;
        self.added += 1.0;
        let Some(state) = &mut self.state else {
            self.state = Some(Accumulator::of(histogram));
            return Ok(());
        };
        let mut sum = state.clone();
        let (kept, added) = (state, self.added);
        let result = if self.incremental {
            kept.scale((added - 1.0) / added);
            kept.add(Accumulator::of(&histogram.divided(added)))
        } else {
            let result = sum.add(Accumulator::of(histogram));
            if result.is_ok() && sum.overflows() {
                // The caller wants a sum or a mean; of a sum it is infinite, as it must be.
                self.incremental = true;
                let mut mean = kept.clone();
                mean.divide(added - 1.0);
                mean.scale((added - 1.0) / added);
                let result = mean.add(Accumulator::of(&histogram.divided(added)));
                *kept = mean;
                result
            } else {
                *kept = sum;
                result
            }
        };
        match result {
            Ok(notice) => {
                self.notice.bounds_reconciled |= notice.bounds_reconciled;
                Ok(())
            }
            Err(error) => {
                self.mixed = true;
                Err(error)
            }
        }
    }

    /// Returns what came up.
    pub fn notice(&self) -> HistogramNotice {
        HistogramNotice { resets_collide: self.saw_reset && self.saw_no_reset, ..self.notice }
    }

    /// Returns the sum; none of nothing, or of what does not go together.
    pub fn total(self) -> Option<Histogram> {
        let mut state = self.state.filter(|_| !self.mixed)?;
        if self.incremental {
            state.scale(self.added);
        }
        Some(state.finish())
    }

    /// Returns the mean; none of nothing, or of what does not go together.
    pub fn mean(self) -> Option<Histogram> {
        let mut state = self.state.filter(|_| !self.mixed)?;
        if !self.incremental {
            state.divide(self.added);
        }
        Some(state.finish())
    }
}

/// A histogram in the making.
#[derive(Clone, Debug)]
struct Accumulator {
    schema: i32,
    zero_threshold: f64,
    zero_count: Kahan,
    count: Kahan,
    sum: Kahan,
    /// Sorted by index.
    positive: Vec<(i32, Kahan)>,
    negative: Vec<(i32, Kahan)>,
    custom_bounds: Vec<f64>,
    reset_hint: ResetHint,
}

impl Accumulator {
    fn of(histogram: &Histogram) -> Accumulator {
        let side = |spans: &[Span], counts: &[f64]| {
            indexed(spans, counts).map(|(index, count)| (index, Kahan::of(count))).collect()
        };
        Accumulator {
            schema: histogram.schema,
            zero_threshold: histogram.zero_threshold,
            zero_count: Kahan::of(histogram.zero_count),
            count: Kahan::of(histogram.count),
            sum: Kahan::of(histogram.sum),
            positive: side(&histogram.positive_spans, &histogram.positive_buckets),
            negative: side(&histogram.negative_spans, &histogram.negative_buckets),
            custom_bounds: histogram.custom_bounds.clone(),
            reset_hint: histogram.reset_hint,
        }
    }

    fn has_custom_bounds(&self) -> bool {
        self.schema == super::CUSTOM_BUCKETS_SCHEMA
    }

    fn counts(&mut self) -> impl Iterator<Item = &mut Kahan> {
        let fixed = [&mut self.zero_count, &mut self.count, &mut self.sum];
        let sides = self.positive.iter_mut().chain(&mut self.negative);
        fixed.into_iter().chain(sides.map(|(_, count)| count))
    }

    fn scale(&mut self, factor: f64) {
        self.counts().for_each(|count| count.scale(factor));
    }

    fn divide(&mut self, divisor: f64) {
        self.counts().for_each(|count| count.divide(divisor));
    }

    fn overflows(&mut self) -> bool {
        self.counts().any(|count| count.is_infinite())
    }

    fn add(&mut self, mut other: Accumulator) -> Result<HistogramNotice, MixedSchemas> {
        if self.has_custom_bounds() != other.has_custom_bounds() {
            return Err(MixedSchemas);
        }
        let resets_collide = self.add_hint(other.reset_hint);
        let mut notice = HistogramNotice { resets_collide, ..HistogramNotice::default() };
        if self.has_custom_bounds() {
            if self.custom_bounds != other.custom_bounds {
                notice.bounds_reconciled = true;
                let common = common_bounds(&self.custom_bounds, &other.custom_bounds);
                self.rebound(&common);
                other.rebound(&common);
            }
        } else {
            let schema = self.schema.min(other.schema);
            self.widen_zero_with(&mut other);
            self.reduce(schema);
            other.reduce(schema);
        }
        self.zero_count.add(other.zero_count.sum());
        self.count.add(other.count.sum());
        self.sum.add(other.sum.sum());
        merge(&mut self.positive, other.positive);
        merge(&mut self.negative, other.negative);
        Ok(notice)
    }

    /// Returns whether the hints collide.
    fn add_hint(&mut self, other: ResetHint) -> bool {
        use ResetHint::{Gauge, NotReset, Reset, Unknown};
        let (hint, collide) = match (self.reset_hint, other) {
            (a, b) if a == b => (a, false),
            (Gauge, _) | (_, Gauge) => (Gauge, false),
            (Reset, NotReset) | (NotReset, Reset) => (Unknown, true),
            _ => (Unknown, false),
        };
        self.reset_hint = hint;
        collide
    }

    fn reduce(&mut self, schema: i32) {
        let from = self.schema;
        if from == schema {
            return;
        }
        for side in [&mut self.positive, &mut self.negative] {
            let mut coarse: Vec<(i32, Kahan)> = Vec::with_capacity(side.len());
            for (index, count) in side.drain(..) {
                let index = coarser_index(index, from, schema);
                match coarse.last_mut() {
                    Some((last, sum)) if *last == index => sum.add(count.sum()),
                    _ => coarse.push((index, count)),
                }
            }
            *side = coarse;
        }
        self.schema = schema;
    }

    /// Widens both zero buckets until they are equal.
    fn widen_zero_with(&mut self, other: &mut Accumulator) {
        while self.zero_threshold != other.zero_threshold {
            if self.zero_threshold > other.zero_threshold {
                other.widen_zero(self.zero_threshold);
            } else {
                self.widen_zero(other.zero_threshold);
            }
        }
    }

    /// Takes the buckets below a threshold into the zero bucket; one that is cut by it and not
    /// empty moves the threshold to its end.
    fn widen_zero(&mut self, threshold: f64) {
        let mut threshold = threshold.max(self.zero_threshold);
        loop {
            let before = threshold;
            for side in [&mut self.positive, &mut self.negative] {
                let inside = side
                    .iter()
                    .take_while(|(index, _)| {
                        exponential_upper_bound(self.schema, index - 1) < threshold
                    })
                    .count();
                for (index, count) in side.drain(..inside) {
                    let upper = exponential_upper_bound(self.schema, index);
                    if count.sum() != 0.0 {
                        threshold = threshold.max(upper);
                    }
                    self.zero_count.add(count.sum());
                }
            }
            if threshold == before {
                break;
            }
        }
        self.zero_threshold = threshold;
    }

    /// Counts in buckets with other bounds, all of which are among the present ones.
    fn rebound(&mut self, bounds: &[f64]) {
        let mut mapped: Vec<(i32, Kahan)> = Vec::new();
        for (index, count) in self.positive.drain(..) {
            let upper = usize::try_from(index).ok().and_then(|i| self.custom_bounds.get(i));
            let place = match upper {
                Some(upper) => bounds.partition_point(|bound| bound < upper),
                None => bounds.len(),
            } as i32;
            match mapped.last_mut() {
                Some((last, sum)) if *last == place => sum.add(count.sum()),
                _ => mapped.push((place, count)),
            }
        }
        self.positive = mapped;
        self.custom_bounds = bounds.to_vec();
    }

    fn finish(self) -> Histogram {
        let side = |buckets: Vec<(i32, Kahan)>| {
            spans_of(buckets.into_iter().map(|(index, count)| (index, count.sum())))
        };
        let (positive_spans, positive_buckets) = side(self.positive);
        let (negative_spans, negative_buckets) = side(self.negative);
        Histogram {
            kind: HistogramKind::Float,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count.sum(),
            count: self.count.sum(),
            sum: self.sum.sum(),
            positive_spans,
            positive_buckets,
            negative_spans,
            negative_buckets,
            custom_bounds: self.custom_bounds,
            reset_hint: self.reset_hint,
        }
    }
}

fn merge(into: &mut Vec<(i32, Kahan)>, from: Vec<(i32, Kahan)>) {
    let mut merged = Vec::with_capacity(into.len().max(from.len()));
    let (mut left, mut right) = (into.drain(..).peekable(), from.into_iter().peekable());
    loop {
        let order = match (left.peek(), right.peek()) {
            (None, None) => break,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some((a, _)), Some((b, _))) => a.cmp(b),
        };
        let bucket = match order {
            std::cmp::Ordering::Greater => right.next(),
            std::cmp::Ordering::Less => left.next(),
            std::cmp::Ordering::Equal => left.next().map(|(index, mut count)| {
                if let Some((_, more)) = right.next() {
                    count.add(more.sum());
                }
                (index, count)
            }),
        };
        merged.extend(bucket);
    }
    drop(left);
    *into = merged;
}

fn common_bounds(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().copied().filter(|bound| b.contains(bound)).collect()
}

impl Histogram {
    /// Returns the sum of both.
    pub fn plus(&self, other: &Histogram) -> Result<(Histogram, HistogramNotice), MixedSchemas> {
        let mut sum = Accumulator::of(self);
        let notice = sum.add(Accumulator::of(other))?;
        Ok((sum.finish(), notice))
    }

    /// Returns the difference of both.
    pub fn minus(&self, other: &Histogram) -> Result<(Histogram, HistogramNotice), MixedSchemas> {
        let mut sum = Accumulator::of(self);
        let mut negated = Accumulator::of(other);
        // The zero buckets must be alike before counts change sign.
        if !sum.has_custom_bounds() && !negated.has_custom_bounds() {
            sum.widen_zero_with(&mut negated);
        }
        negated.scale(-1.0);
        let notice = sum.add(negated)?;
        Ok((sum.finish(), notice))
    }

    /// Returns the histogram with all counts multiplied; a negative factor makes it a gauge.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Histogram {
        self.with_counts(factor < 0.0, |count| count * factor)
    }

    /// Returns the histogram with all counts divided; by zero the buckets go.
    #[must_use]
    pub fn divided(&self, divisor: f64) -> Histogram {
        let mut divided = self.with_counts(divisor < 0.0, |count| count / divisor);
        if divisor == 0.0 {
            divided.positive_spans.clear();
            divided.positive_buckets.clear();
            divided.negative_spans.clear();
            divided.negative_buckets.clear();
        }
        divided
    }

    fn with_counts(&self, gauge: bool, change: impl Fn(f64) -> f64) -> Histogram {
        let mut changed = self.clone();
        changed.kind = HistogramKind::Float;
        for count in [&mut changed.zero_count, &mut changed.count, &mut changed.sum] {
            *count = change(*count);
        }
        for count in changed.positive_buckets.iter_mut().chain(&mut changed.negative_buckets) {
            *count = change(*count);
        }
        if gauge {
            changed.reset_hint = ResetHint::Gauge;
        }
        changed
    }

    /// Returns the histogram at a coarser schema.
    #[must_use]
    pub fn coarsened(&self, schema: i32) -> Histogram {
        let mut accumulator = Accumulator::of(self);
        if !self.has_custom_bounds() && schema < self.schema {
            accumulator.reduce(schema);
        }
        accumulator.finish()
    }

    /// Returns what storage knows of a reset once it has compared this histogram, of which the
    /// sender said nothing, with the one stored before: that there was none, if it goes on with the
    /// same layout; else nothing, as upstream answers.
    pub fn hint_after(&self, before: &Histogram) -> ResetHint {
        let goes_on = self.reset_hint == ResetHint::Unknown
            && before.reset_hint != ResetHint::Gauge
            && !self.is_stale()
            && !before.is_stale()
            && self.schema == before.schema
            && self.zero_threshold == before.zero_threshold
            && self.custom_bounds == before.custom_bounds
            && !self.is_reset_after(before);
        if goes_on { ResetHint::NotReset } else { self.reset_hint }
    }

    /// Returns whether a counter was reset between `before` and this one: by what they say, else
    /// because something went down, or could not have come about by counting.
    pub fn is_reset_after(&self, before: &Histogram) -> bool {
        match self.reset_hint {
            ResetHint::Reset => return true,
            ResetHint::NotReset => return false,
            ResetHint::Unknown | ResetHint::Gauge => {}
        }
        if self.count < before.count {
            return true;
        }
        let (mut now, mut then) = (Accumulator::of(self), Accumulator::of(before));
        if now.has_custom_bounds() {
            if !then.has_custom_bounds() {
                return true;
            }
            if now.custom_bounds != then.custom_bounds {
                let common = common_bounds(&now.custom_bounds, &then.custom_bounds);
                now.rebound(&common);
                then.rebound(&common);
            }
        } else {
            if now.schema > then.schema || now.zero_threshold < then.zero_threshold {
                return true;
            }
            if now.zero_threshold > then.zero_threshold {
                then.widen_zero(now.zero_threshold);
            }
            if then.zero_threshold != now.zero_threshold
                || now.zero_count.sum() < then.zero_count.sum()
            {
                return true;
            }
            then.reduce(now.schema.max(-4));
        }
        let went_down = |now: &[(i32, Kahan)], then: &[(i32, Kahan)]| {
            then.iter().any(|(index, count)| {
                let present = now.binary_search_by_key(index, |(index, _)| *index);
                let present = present.map_or(0.0, |at| now[at].1.sum());
                present < count.sum()
            })
        };
        went_down(&now.positive, &then.positive) || went_down(&now.negative, &then.negative)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn histogram(schema: i32, zero: f64, counts: &[u8]) -> Histogram {
        let buckets: Vec<f64> = counts.iter().map(|count| f64::from(*count)).collect();
        let zero_threshold = if zero > 0.0 { 0.001 } else { 0.0 };
        Histogram {
            schema,
            zero_threshold,
            zero_count: zero,
            count: buckets.iter().sum::<f64>() + zero,
            sum: 1.0,
            positive_spans: vec![Span { offset: -3, len: buckets.len() as u32 }],
            positive_buckets: buckets,
            ..Histogram::default()
        }
    }

    proptest! {
        #[test]
        fn what_is_added_can_be_taken_away(
            a in proptest::collection::vec(0u8..9, 1..20), b in proptest::collection::vec(0u8..9, 1..20),
            schema in 0i32..3, zero in 0u8..3,
        ) {
            let (a, b) = (histogram(schema, f64::from(zero), &a), histogram(schema, 0.0, &b));
            let sum = a.plus(&b).unwrap().0;
            prop_assert_eq!(sum.count, a.count + b.count);
            let total: f64 = sum.buckets().iter().map(|bucket| bucket.count).sum();
            prop_assert_eq!(total, sum.count);
            prop_assert!(!sum.is_reset_after(&a));
            prop_assert!(!sum.is_reset_after(&b));
            prop_assert_eq!(b.plus(&a).unwrap().0.compacted(), a.plus(&b).unwrap().0.compacted());
        }

        #[test]
        fn coarser_buckets_hold_the_same(counts in proptest::collection::vec(0u8..9, 1..40), schema in 1i32..5) {
            let fine = histogram(schema, 0.0, &counts);
            let coarse = fine.coarsened(0);
            let total: f64 = coarse.positive_buckets.iter().sum();
            prop_assert_eq!(total, fine.count);
        }
    }

    #[test]
    fn what_goes_down_is_a_reset() {
        let (a, b) = (histogram(0, 0.0, &[1, 2, 3]), histogram(0, 0.0, &[2, 1, 4]));
        assert!(b.is_reset_after(&a));
        assert!(!a.is_reset_after(&histogram(0, 0.0, &[1, 2])));
    }
}
