//! Numerical methods that several families share.

use crate::series::{Kahan, Labels};

/// Returns the quantile of values, interpolated between neighbours; NaN counts as least. Sorts
/// `values`.
pub(super) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let nan_first = |a: &f64, b: &f64| b.is_nan().cmp(&a.is_nan()).then(a.total_cmp(b));
    let rank = q * (values.len() - 1) as f64;
    let lower = rank.floor() as usize;
    let weight = rank - rank.floor();
    let (_, low, above) = values.select_nth_unstable_by(lower, nan_first);
    let low = *low;
    let high = above.iter().min_by(|a, b| nan_first(a, b)).copied().unwrap_or(low);
    low * (1.0 - weight) + high * weight
}

/// A least-squares line through points: its slope per second, and its value at `origin_ms`.
pub(super) fn line(times_ms: &[i64], values: &[f64], origin_ms: i64) -> (f64, f64) {
    let first = values[0];
    if values.iter().all(|value| *value == first) {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let [mut x_sum, mut y_sum, mut xy_sum, mut x2_sum] = [Kahan::default(); 4];
    for (time_ms, y) in times_ms.iter().zip(values) {
        let x = (time_ms - origin_ms) as f64 / 1000.0;
        x_sum.add(x);
        y_sum.add(*y);
        xy_sum.add(x * y);
        x2_sum.add(x * x);
    }
    let [x_sum, y_sum, xy_sum, x2_sum] = [x_sum, y_sum, xy_sum, x2_sum].map(|sum| sum.sum());
    let n = values.len() as f64;
    let slope = (xy_sum - x_sum * y_sum / n) / (x2_sum - x_sum * x_sum / n);
    (slope, y_sum / n - slope * x_sum / n)
}

/// Places a label set between 0 and 1, as upstream does: its hash by the largest hash.
pub(super) fn label_ratio(labels: &Labels) -> f64 {
    let mut bytes = Vec::new();
    let mut push = |text: &str| {
        match text.len() {
            len @ 0..255 => bytes.push(len as u8),
            len => bytes.extend([255, len as u8, (len >> 8) as u8, (len >> 16) as u8]),
        }
        bytes.extend_from_slice(text.as_bytes());
    };
    for (name, value) in labels {
        push(name);
        push(value);
    }
    xxhash64(&bytes) as f64 / u64::MAX as f64
}

/// The hash XXH64 with seed 0 (https://github.com/Cyan4973/xxHash, doc/xxhash_spec.md).
fn xxhash64(bytes: &[u8]) -> u64 {
    const P: [u64; 5] = [
        0x9E37_79B1_85EB_CA87,
        0xC2B2_AE3D_27D4_EB4F,
        0x1656_67B1_9E37_79F9,
        0x85EB_CA77_C2B2_AE63,
        0x27D4_EB2F_1656_67C5,
    ];
    let round = |state: u64, lane: u64| {
        state.wrapping_add(lane.wrapping_mul(P[1])).rotate_left(31).wrapping_mul(P[0])
    };
    let word = |chunk: &[u8]| {
        let mut padded = [0; 8];
        padded[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(padded)
    };
    let (stripes, mut rest) = bytes.as_chunks::<32>();
    let mut hash = P[4];
    if !stripes.is_empty() {
        let mut state = [P[0].wrapping_add(P[1]), P[1], 0, P[0].wrapping_neg()];
        for stripe in stripes {
            for (state, lane) in state.iter_mut().zip(stripe.chunks(8)) {
                *state = round(*state, word(lane));
            }
        }
        let turned = state.iter().zip([1, 7, 12, 18]).map(|(state, by)| state.rotate_left(by));
        hash = turned.fold(0, u64::wrapping_add);
        for state in state {
            hash = (hash ^ round(0, state)).wrapping_mul(P[0]).wrapping_add(P[3]);
        }
    }
    hash = hash.wrapping_add(bytes.len() as u64);
    while rest.len() >= 8 {
        hash = (hash ^ round(0, word(&rest[..8]))).rotate_left(27);
        hash = hash.wrapping_mul(P[0]).wrapping_add(P[3]);
        rest = &rest[8..];
    }
    if rest.len() >= 4 {
        hash = (hash ^ word(&rest[..4]).wrapping_mul(P[0])).rotate_left(23);
        hash = hash.wrapping_mul(P[1]).wrapping_add(P[2]);
        rest = &rest[4..];
    }
    for byte in rest {
        hash = (hash ^ u64::from(*byte).wrapping_mul(P[4])).rotate_left(11).wrapping_mul(P[0]);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(P[1]);
    hash = (hash ^ (hash >> 29)).wrapping_mul(P[2]);
    hash ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_as_specified() {
        for (text, expected) in [
            ("", 0xef46_db37_51d8_e999),
            ("a", 0xd24e_c4f1_a98c_6e5b),
            ("abc", 0x44bc_2cf5_ad77_0999),
            ("Nobody inspects the spammish repetition", 0xfbce_a83c_8a37_8bf1),
        ] {
            assert_eq!(xxhash64(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn quantiles_interpolate() {
        let of = |q| quantile(q, &mut [3.0, 1.0, 2.0, 4.0]);
        assert_eq!([of(0.0), of(0.5), of(1.0), of(0.1)], [1.0, 2.5, 4.0, 1.3]);
        assert_eq!(of(2.0), f64::INFINITY);
    }
}
