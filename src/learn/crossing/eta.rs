//! When a limit is reached, from how likely it is within several times.

const SHARES: [f64; 3] = [0.1, 0.5, 0.9];

/// Returns when 10, 50 and 90 % of the futures have crossed, seconds from now; nothing for what lies
/// beyond the last of the times.
///
/// `curve` holds (seconds since the forecast was made, probability), which is `late_s` ago. Between
/// two times a share is reached where the lines say so, if they name a time between them, else in
/// proportion.
pub(super) fn quantiles(
    curve: &[(f64, f64)],
    late_s: f64,
    by_lines: Option<[Option<f64>; 3]>,
) -> [Option<f64>; 3] {
    let mut etas = [None; 3];
    let mut least = 0.0;
    for (index, share) in SHARES.into_iter().enumerate() {
        let line = by_lines.and_then(|etas| etas[index]);
        let Some((from_s, to_s, at_s)) = segment(curve, share) else { break };
        let (from_s, to_s, at_s) =
            ((from_s - late_s).max(0.0), (to_s - late_s).max(0.0), (at_s - late_s).max(0.0));
        let eta = line.filter(|line| (from_s..=to_s).contains(line)).unwrap_or(at_s);
        least = eta.max(least);
        etas[index] = Some(least);
    }
    etas
}

/// Returns the two times between which the probability reaches a share, and where in proportion.
fn segment(curve: &[(f64, f64)], share: f64) -> Option<(f64, f64, f64)> {
    let (mut from_s, mut before) = (0.0, 0.0);
    for (to_s, p) in curve {
        let p = p.max(before);
        if p >= share {
            let part = (share - before) / (p - before);
            return Some((from_s, *to_s, from_s + part * (to_s - from_s)));
        }
        (from_s, before) = (*to_s, p);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const CURVE: [(f64, f64); 4] = [(1.0, 0.05), (2.0, 0.25), (4.0, 0.75), (8.0, 0.8)];

    #[test]
    fn times_lie_where_the_curve_has_them() {
        let [early, middle, late] = quantiles(&CURVE, 0.0, None);
        assert!((early.unwrap() - 1.25).abs() < 1e-9 && (middle.unwrap() - 3.0).abs() < 1e-9);
        assert_eq!(late, None);
        let later = quantiles(&CURVE, 0.5, None);
        assert!((later[1].unwrap() - 2.5).abs() < 1e-9);
        // A dip in the curve is none.
        assert_eq!(quantiles(&[(1.0, 0.6), (2.0, 0.4)], 0.0, None)[1], Some(0.5 / 0.6));
    }

    #[test]
    fn lines_say_where_within_a_part_only() {
        let etas = quantiles(&CURVE, 0.0, Some([Some(1.9), Some(9.0), Some(9.0)]));
        assert_eq!(etas[0], Some(1.9));
        assert!((etas[1].unwrap() - 3.0).abs() < 1e-9);
    }
}
