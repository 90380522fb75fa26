//! What holds of native histograms whatever was observed; the model is the list of observations.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::histogram_buckets::spans_of;
use super::{CUSTOM_BUCKETS_SCHEMA, Histogram, ResetHint};

const ZERO_THRESHOLD: f64 = 0.01;

/// Counts observations in the buckets of an exponential schema.
fn exponential(schema: i32, observations: &[f64]) -> Histogram {
    let mut histogram =
        Histogram { schema, zero_threshold: ZERO_THRESHOLD, ..Histogram::default() };
    let (mut positive, mut negative) = (BTreeMap::new(), BTreeMap::new());
    for observation in observations {
        histogram.count += 1.0;
        histogram.sum += observation;
        if observation.abs() <= ZERO_THRESHOLD {
            histogram.zero_count += 1.0;
            continue;
        }
        let index = (-200..2000).find(|i| observation.abs() <= histogram.upper_bound(*i)).unwrap();
        let side = if *observation > 0.0 { &mut positive } else { &mut negative };
        *side.entry(index).or_insert(0.0) += 1.0;
    }
    (histogram.positive_spans, histogram.positive_buckets) = spans_of(positive);
    (histogram.negative_spans, histogram.negative_buckets) = spans_of(negative);
    histogram
}

/// Counts observations in buckets between bounds.
fn custom(bounds: &[f64], observations: &[f64]) -> Histogram {
    let mut counts = BTreeMap::new();
    for observation in observations {
        *counts.entry(bounds.partition_point(|bound| bound < observation) as i32).or_insert(0.0) +=
            1.0;
    }
    let (positive_spans, positive_buckets) = spans_of(counts);
    Histogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        count: observations.len() as f64,
        sum: observations.iter().fold(0.0, |sum, one| sum + one),
        custom_bounds: bounds.to_vec(),
        positive_spans,
        positive_buckets,
        ..Histogram::default()
    }
}

/// Whole hundredths, so that sums are exact enough to compare.
fn observations(most: usize) -> impl Strategy<Value = Vec<f64>> {
    let one = prop_oneof![
        4 => 1i32..1000, 2 => -1000i32..0, 1 => Just(0), 1 => 100_000i32..100_001,
    ];
    proptest::collection::vec(one.prop_map(|hundredths| f64::from(hundredths) / 64.0), 0..most)
}

fn bounds() -> impl Strategy<Value = Vec<f64>> {
    proptest::collection::btree_set(-20i32..200, 1..8)
        .prop_map(|bounds| bounds.into_iter().map(f64::from).collect())
}

fn joined(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().chain(b).copied().collect()
}

proptest! {
    #[test]
    fn merged_is_as_if_observed_together_in_the_coarser_buckets(
        a in observations(40), b in observations(40), schemas in (-2i32..6, -2i32..6),
    ) {
        let merged = exponential(schemas.0, &a).plus(&exponential(schemas.1, &b)).unwrap().0;
        let together = exponential(schemas.0.min(schemas.1), &joined(&a, &b));
        prop_assert!(merged.clone().compacted().equals(&together), "{merged} {together}");
        let turned = exponential(schemas.1, &b).plus(&exponential(schemas.0, &a)).unwrap().0;
        prop_assert!(turned.compacted().equals(&merged.compacted()));
    }

    #[test]
    fn of_custom_buckets_those_bounds_stay_that_both_have(
        a in observations(40), b in observations(40), bounds in (bounds(), bounds()),
    ) {
        let (merged, notice) = custom(&bounds.0, &a).plus(&custom(&bounds.1, &b)).unwrap();
        let mut shared = bounds.0.clone();
        shared.retain(|bound| bounds.1.contains(bound));
        prop_assert_eq!(notice.bounds_reconciled, bounds.0 != bounds.1);
        prop_assert!(merged.compacted().equals(&custom(&shared, &joined(&a, &b)).compacted()));
    }

    #[test]
    fn what_was_there_before_can_be_taken_away(a in observations(40), b in observations(40), schema in -2i32..6) {
        let grown = exponential(schema, &joined(&a, &b));
        let difference = grown.minus(&exponential(schema, &a)).unwrap().0;
        prop_assert!(difference.compacted().equals(&exponential(schema, &b)));
    }

    #[test]
    fn scaled_has_the_same_shape(a in observations(60), schema in -2i32..6, q in 0.0f64..=1.0) {
        let histogram = exponential(schema, &a);
        let scaled = histogram.scaled(8.0);
        prop_assert_eq!(scaled.count, 8.0 * histogram.count);
        prop_assert!(scaled.divided(8.0).equals(&histogram));
        let (one, other) = (histogram.quantile(q).0, scaled.quantile(q).0);
        prop_assert!(one == other || one.is_nan() && other.is_nan() || (one - other).abs() < 1e-9);
    }

    #[test]
    fn only_what_falls_is_a_reset(
        a in observations(40), b in observations(40), schema in -2i32..6, gone in any::<prop::sample::Index>(),
    ) {
        let before = exponential(schema, &a);
        let after = exponential(schema, &joined(&a, &b));
        prop_assert!(!after.is_reset_after(&before));
        prop_assert_eq!(after.hint_after(&before), ResetHint::NotReset);
        // Coarser buckets hold as much; finer ones cannot be told from a fresh start.
        prop_assert!(!after.coarsened(schema - 1).is_reset_after(&before));
        if !a.is_empty() {
            let mut fewer = joined(&a, &b);
            let gone = fewer.remove(gone.index(a.len()));
            let fewer = exponential(schema, &fewer);
            // Something else may have filled the bucket again.
            let bucket = |observation| {
                let alone = exponential(schema, &[observation]);
                let found = alone.buckets().into_iter().find(|bucket| bucket.count > 0.0);
                found.map(|bucket| (bucket.lower, bucket.upper))
            };
            let is_refilled = b.iter().any(|one| bucket(*one) == bucket(gone));
            prop_assert_eq!(fewer.is_reset_after(&before), !is_refilled);
        }
    }

    #[test]
    fn quantiles_rise_and_stay_in_the_bucket_of_the_observation(
        a in observations(60), schema in -2i32..6, mut q in proptest::collection::vec(0.0f64..=1.0, 2..20),
    ) {
        prop_assume!(!a.is_empty());
        let histogram = exponential(schema, &a);
        q.sort_by(f64::total_cmp);
        let found: Vec<f64> = q.iter().map(|q| histogram.quantile(*q).0).collect();
        prop_assert!(found.windows(2).all(|pair| pair[0] <= pair[1] + 1e-9), "{found:?}");
        let mut sorted = a.clone();
        sorted.sort_by(f64::total_cmp);
        for (q, found) in q.iter().zip(&found) {
            let rank = q * a.len() as f64;
            if (rank - rank.round()).abs() < 1e-6 {
                continue; // between two observations
            }
            let observed = sorted[(rank.ceil() as usize).saturating_sub(1)];
            let bucket = histogram
                .buckets()
                .into_iter()
                .find(|bucket| observed <= bucket.upper && observed >= bucket.lower && bucket.count > 0.0
                    && (observed > bucket.lower || bucket.lower_inclusive)
                    && (observed < bucket.upper || bucket.upper_inclusive))
                .unwrap();
            let near = 1e-9 * found.abs().max(1.0);
            prop_assert!(bucket.lower - near <= *found && *found <= bucket.upper + near, "{q} {found} {bucket:?}");
        }
    }

    #[test]
    fn fractions_add_up_and_undo_quantiles(
        a in observations(60), schema in -2i32..6, q in 0.0f64..=1.0, mut at in proptest::array::uniform3(-20.0f64..20.0),
    ) {
        prop_assume!(!a.is_empty());
        let histogram = exponential(schema, &a);
        let fraction = |from, to| histogram.fraction(from, to).0;
        prop_assert!((fraction(f64::NEG_INFINITY, f64::INFINITY) - 1.0).abs() < 1e-9);
        at.sort_by(f64::total_cmp);
        let whole = fraction(at[0], at[2]);
        prop_assert!((fraction(at[0], at[1]) + fraction(at[1], at[2]) - whole).abs() < 1e-9);
        let below = fraction(f64::NEG_INFINITY, histogram.quantile(q).0);
        // At an end of a bucket there may be nothing up to the next one.
        prop_assert!((below - q).abs() < 1e-9 || below == 0.0 || below == 1.0 || (below * a.len() as f64).fract().abs() < 1e-6, "{below} {q}");
    }
}
