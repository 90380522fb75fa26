use super::{Bucket, Histogram, Kahan};

/// Something to be said about a quantile or a fraction: there were observations of NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NanObservations {
    /// The quantile falls among them, so it is NaN.
    Reached,
    /// They count as the largest ones.
    Skew,
    /// They are in no fraction.
    Excluded,
}

impl Histogram {
    /// Estimates a quantile; within a bucket of an exponential schema on a logarithmic scale,
    /// elsewhere on a linear one.
    pub fn quantile(&self, q: f64) -> (f64, Option<NanObservations>) {
        if q < 0.0 {
            return (f64::NEG_INFINITY, None);
        }
        if q > 1.0 {
            return (f64::INFINITY, None);
        }
        if self.count == 0.0 || q.is_nan() {
            return (f64::NAN, None);
        }
        let has_nan = self.sum.is_nan();
        // From above for the upper half, so that rounding hurts least; NaN would be at that end.
        let forward = has_nan || q < 0.5;
        let mut buckets = self.buckets();
        if !forward {
            buckets.reverse();
        }
        let mut rank = if forward { q * self.count } else { (1.0 - q) * self.count };
        let mut reached = 0.0;
        let mut bucket = Bucket {
            lower: 0.0,
            upper: 0.0,
            lower_inclusive: true,
            upper_inclusive: true,
            count: 0.0,
        };
        let mut rest = buckets.into_iter();
        for candidate in rest.by_ref().filter(|bucket| bucket.count != 0.0) {
            bucket = candidate;
            reached += bucket.count;
            if reached >= rank {
                break;
            }
        }
        if self.has_custom_bounds() {
            if bucket.lower == f64::NEG_INFINITY {
                if bucket.upper <= 0.0 {
                    return (bucket.upper, None);
                }
                bucket.lower = 0.0;
            } else if bucket.upper == f64::INFINITY {
                return (bucket.lower, None);
            }
        } else if bucket.lower < 0.0 && bucket.upper > 0.0 {
            self.cut_zero_bucket(&mut bucket);
        }
        reached = reached.min(self.count);
        if reached < rank {
            return if has_nan {
                (f64::NAN, Some(NanObservations::Reached))
            } else {
                (bucket.upper, None)
            };
        }
        rank = if forward { rank - (reached - bucket.count) } else { reached - rank };
        let skewed = has_nan && {
            let all = reached + rest.map(|bucket| bucket.count).sum::<f64>();
            all < self.count
        };
        let share = rank / bucket.count;
        let (lower, upper) = (bucket.lower, bucket.upper);
        let value = if self.has_custom_bounds() || lower <= 0.0 && upper >= 0.0 {
            lower + (upper - lower) * share
        } else {
            let (lower_log, upper_log) = (lower.abs().log2(), upper.abs().log2());
            if lower > 0.0 {
                (lower_log + (upper_log - lower_log) * share).exp2()
            } else {
                -(upper_log + (lower_log - upper_log) * (1.0 - share)).exp2()
            }
        };
        (value, skewed.then_some(NanObservations::Skew))
    }

    /// A histogram with buckets on one side of zero only has nothing on the other side of its zero
    /// bucket.
    fn cut_zero_bucket(&self, bucket: &mut Bucket) {
        let (negative, positive) =
            (!self.negative_buckets.is_empty(), !self.positive_buckets.is_empty());
        if positive && !negative {
            bucket.lower = 0.0;
        } else if negative && !positive {
            bucket.upper = 0.0;
        }
    }

    /// Estimates the share of observations between two values, interpolating as
    /// [`Histogram::quantile`] does.
    pub fn fraction(&self, lower: f64, upper: f64) -> (f64, Option<NanObservations>) {
        if self.count == 0.0 || lower.is_nan() || upper.is_nan() {
            return (f64::NAN, None);
        }
        if lower >= upper {
            return (0.0, None);
        }
        let buckets = self.buckets();
        let counted: f64 = buckets.iter().map(|bucket| bucket.count).sum();
        let (mut rank, mut lower_rank, mut upper_rank) = (0.0, None, None);
        for mut bucket in buckets {
            let zero = bucket.lower <= 0.0 && bucket.upper >= 0.0;
            if zero {
                self.cut_zero_bucket(&mut bucket);
            }
            let linear = self.has_custom_bounds() || zero;
            for (value, found) in [(lower, &mut lower_rank), (upper, &mut upper_rank)] {
                if found.is_some() {
                    continue;
                }
                if bucket.lower >= value {
                    *found = Some(rank);
                } else if bucket.upper > value {
                    *found = Some(if linear && bucket.lower == f64::NEG_INFINITY {
                        bucket.count
                    } else {
                        rank + bucket.count * bucket.share_below(value, linear)
                    });
                }
            }
            rank += bucket.count;
        }
        let has_nan = self.sum.is_nan();
        let count = if has_nan { counted } else { self.count };
        let notice = (has_nan && counted < self.count).then_some(NanObservations::Excluded);
        let capped = |rank: Option<f64>| rank.filter(|rank| *rank <= count).unwrap_or(count);
        ((capped(upper_rank) - capped(lower_rank)) / self.count, notice)
    }

    /// Estimates the variance of the observations, each bucket standing for its middle.
    pub fn variance(&self) -> f64 {
        let mean = self.sum / self.count;
        let mut squares = Kahan::default();
        for bucket in self.buckets().into_iter().filter(|bucket| bucket.count != 0.0) {
            let middle = if self.has_custom_bounds() {
                f64::midpoint(bucket.upper, bucket.lower)
            } else if bucket.lower <= 0.0 && bucket.upper >= 0.0 {
                0.0
            } else {
                let middle = (bucket.upper * bucket.lower).sqrt();
                if bucket.upper < 0.0 { -middle } else { middle }
            };
            let delta = middle - mean;
            squares.add(bucket.count * delta * delta);
        }
        squares.sum() / self.count
    }

    /// Returns the histogram without the observations above a value (`upper`), or below it; a
    /// bucket that the value cuts is interpolated, and the sum is estimated anew.
    #[must_use]
    pub fn trimmed(&self, value: f64, upper: bool) -> Histogram {
        let linear = self.has_custom_bounds();
        let mut trimmed = self.clone();
        let (mut count, mut sum, mut changed) = (0.0, 0.0, false);
        let mut side = |buckets: Vec<Bucket>, counts: &mut [f64], positive: bool| {
            let mut any = false;
            for (bucket, kept) in buckets.into_iter().zip(counts) {
                if bucket.count == 0.0 {
                    continue;
                }
                any = true;
                let whole = if upper { bucket.upper <= value } else { bucket.lower >= value };
                let cut = if upper { bucket.lower < value } else { bucket.upper > value };
                let (stays, middle) = if whole {
                    (bucket.count, middle(bucket.lower, bucket.upper, positive, linear))
                } else if cut {
                    cut_bucket(&bucket, value, upper, positive, linear)
                } else {
                    (0.0, 0.0)
                };
                count += stays;
                sum += middle * stays;
                changed |= *kept != stays;
                *kept = stays;
            }
            any
        };
        let positive = side(self.positive().collect(), &mut trimmed.positive_buckets, true);
        let negative = side(self.negative().collect(), &mut trimmed.negative_buckets, false);
        if self.zero_count > 0.0 {
            let (stays, middle) = cut_zero(&self.zero_bucket(), value, upper, negative, positive);
            changed |= self.zero_count != stays;
            trimmed.zero_count = stays;
            count += stays;
            sum += middle * stays;
        }
        if !changed {
            return trimmed;
        }
        trimmed.count = count;
        trimmed.sum = sum;
        trimmed.compacted()
    }
}

/// Where the observations of a bucket are taken to be.
fn middle(lower: f64, upper: f64, positive: bool, linear: bool) -> f64 {
    if lower.is_infinite() {
        return match upper {
            _ if upper.is_infinite() => 0.0,
            upper if upper > 0.0 => upper / 2.0,
            upper => upper,
        };
    }
    if upper.is_infinite() {
        return lower;
    }
    if linear {
        return f64::midpoint(lower, upper);
    }
    let geometric = (lower * upper).abs().sqrt();
    if positive { geometric } else { -geometric }
}

/// What stays of a bucket that a value cuts, and its middle.
fn cut_bucket(
    bucket: &Bucket,
    value: f64,
    upper: bool,
    positive: bool,
    linear: bool,
) -> (f64, f64) {
    if bucket.lower == f64::NEG_INFINITY || bucket.upper == f64::INFINITY {
        return cut_open_bucket(bucket, value, upper);
    }
    let below = if value <= bucket.lower {
        0.0
    } else if value >= bucket.upper {
        bucket.count
    } else {
        bucket.count * bucket.share_below(value, linear)
    };
    if upper {
        (below, middle(bucket.lower, value, positive, linear))
    } else {
        (bucket.count - below, middle(value, bucket.upper, positive, linear))
    }
}

/// Nothing is known of the distribution within a bucket without an end; the first one of custom
/// bounds is taken to begin at zero if it ends above.
fn cut_open_bucket(bucket: &Bucket, value: f64, upper: bool) -> (f64, f64) {
    let finite = |bound: f64| if bound.is_infinite() { 0.0 } else { bound };
    if bucket.lower == f64::NEG_INFINITY {
        let ends_above_zero = bucket.upper > 0.0 && bucket.upper != f64::INFINITY;
        return match upper {
            true if value >= bucket.upper => (bucket.count, 0.0),
            true if value > 0.0 && ends_above_zero => {
                (bucket.count * value / bucket.upper, value / 2.0)
            }
            true if bucket.upper <= 0.0 => (bucket.count, value),
            false if value <= bucket.lower => (bucket.count, 0.0),
            false if value >= 0.0 && ends_above_zero && bucket.upper > value => {
                let share = 1.0 - value / bucket.upper;
                (bucket.count * share, f64::midpoint(value, bucket.upper))
            }
            _ => (0.0, finite(bucket.upper)),
        };
    }
    if !upper && value >= bucket.lower {
        return (bucket.count, value);
    }
    (0.0, finite(bucket.lower))
}

/// What stays of the zero bucket, and its middle.
fn cut_zero(
    zero: &Bucket,
    value: f64,
    upper: bool,
    has_negative: bool,
    has_positive: bool,
) -> (f64, f64) {
    let low = if has_positive && !has_negative { 0.0 } else { zero.lower };
    let high = if has_negative && !has_positive { 0.0 } else { zero.upper };
    let whole = (zero.count, f64::midpoint(low, high));
    match upper {
        true if value <= low => (0.0, 0.0),
        true if value >= high => whole,
        true => (zero.count * ((value - low) / (high - low)), f64::midpoint(low, value)),
        false if value <= low => whole,
        false if value >= high => (0.0, 0.0),
        false => (zero.count * ((high - value) / (high - low)), f64::midpoint(value, high)),
    }
}
