/// How much of a value's weight is left after one more.
const KEEP: f64 = 0.998;
/// Ridge penalty as a share of the mean diagonal.
const RIDGE: f64 = 1e-3;

/// Foretells a value from those some lags before it, by ridge regression.
///
/// z(t) = sum of b(lag) z(t - lag), without intercept: the mean is 0. b minimises
/// sum 0.998^age error² + l |b|², with l a thousandth of the mean diagonal of the normal equations
/// (Hoerl and Kennard, 1970). Steps further ahead rest on the steps before them. Of differences, it
/// is the same with z(t) - z(t - apart) for z(t): what it foretells is then shrunk towards the last
/// season instead of the mean. Learning a value costs LAGS² multiplications.
#[derive(Clone, Debug)]
pub(super) struct Autoregression<const LAGS: usize> {
    /// 0 where a lag is not used.
    lags: [usize; LAGS],
    /// How far apart the two values of a difference are.
    apart: Option<usize>,
    /// How many values of the past have been learned, or are too early for it.
    learned: usize,
    weight: f64,
    /// Sums of weighted products of terms, lower half; and of terms and outcomes.
    products: [[f64; LAGS]; LAGS],
    outcomes: [f64; LAGS],
    coefficients: [f64; LAGS],
}

impl<const LAGS: usize> Autoregression<LAGS> {
    /// Lags that come twice, or reach further than `lag_max`, are not used.
    pub(super) fn new(
        lags: [usize; LAGS],
        apart: Option<usize>,
        lag_max: usize,
    ) -> Autoregression<LAGS> {
        let lag_max = lag_max.saturating_sub(apart.unwrap_or(0));
        let used = std::array::from_fn(|at| {
            let is_usable = lags[at] <= lag_max && !lags[..at].contains(&lags[at]);
            if is_usable { lags[at] } else { 0 }
        });
        let reach = used.iter().max().unwrap_or(&0) + apart.unwrap_or(0);
        Autoregression {
            lags: used,
            apart,
            learned: reach,
            weight: 1.0,
            products: [[0.0; LAGS]; LAGS],
            outcomes: [0.0; LAGS],
            coefficients: [0.0; LAGS],
        }
    }

    /// Learns what the past has in addition to what was learned of it, and fits the coefficients.
    pub(super) fn learn(&mut self, past: &[f64]) {
        for at in self.learned..past.len() {
            let terms = self.terms(past, at);
            let outcome = self.weight * self.value(past, at);
            for (row, term) in terms.iter().enumerate() {
                let weighted = self.weight * term;
                for (product, other) in self.products[row].iter_mut().zip(&terms[..=row]) {
                    *product += weighted * other;
                }
                self.outcomes[row] += outcome * term;
            }
            // A weight that grows with time is one that fades with age.
            self.weight /= KEEP;
        }
        self.learned = self.learned.max(past.len());
        let diagonal: f64 = (0..LAGS).map(|at| self.products[at][at]).sum();
        let ridge = (RIDGE * diagonal / LAGS as f64).max(f64::MIN_POSITIVE);
        let mut system = self.products;
        (0..LAGS).for_each(|at| system[at][at] += ridge);
        self.coefficients = solve(system, self.outcomes);
    }

    /// Returns what follows on the past, held between the bounds.
    pub(super) fn forecast(
        &self,
        past: &[f64],
        horizon: usize,
        (lowest, highest): (f64, f64),
    ) -> Vec<f64> {
        let mut path = past.to_vec();
        if past.len() < self.lags.iter().max().unwrap_or(&0) + self.apart.unwrap_or(0) {
            return vec![0.0; horizon];
        }
        for at in past.len()..past.len() + horizon {
            let terms = self.terms(&path, at);
            let sum: f64 = terms.iter().zip(&self.coefficients).map(|(term, b)| term * b).sum();
            let before = self.apart.map_or(0.0, |apart| path[at - apart]);
            path.push((before + sum).clamp(lowest, highest));
        }
        path.split_off(past.len())
    }

    fn terms(&self, path: &[f64], at: usize) -> [f64; LAGS] {
        self.lags.map(|lag| if lag == 0 { 0.0 } else { self.value(path, at - lag) })
    }

    fn value(&self, path: &[f64], at: usize) -> f64 {
        path[at] - self.apart.map_or(0.0, |apart| path[at - apart])
    }
}

/// Solves a symmetric, positive definite system, of which the lower half is given, by Cholesky's
/// decomposition.
fn solve<const N: usize>(mut lower: [[f64; N]; N], mut right: [f64; N]) -> [f64; N] {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    for row in 0..N {
        for column in 0..row {
            let rest = lower[row][column] - dot(&lower[row][..column], &lower[column][..column]);
            lower[row][column] = rest / lower[column][column];
        }
        let rest = lower[row][row] - dot(&lower[row][..row], &lower[row][..row]);
        lower[row][row] = rest.max(f64::MIN_POSITIVE).sqrt();
        right[row] = (right[row] - dot(&lower[row][..row], &right[..row])) / lower[row][row];
    }
    for row in (0..N).rev() {
        let below: f64 = (row + 1..N).map(|other| lower[other][row] * right[other]).sum();
        right[row] = (right[row] - below) / lower[row][row];
    }
    right
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: (f64, f64) = (-10.0, 10.0);

    #[test]
    fn a_system_is_solved() {
        let lower = [[4.0, 0.0, 0.0], [2.0, 5.0, 0.0], [1.0, 3.0, 6.0]];
        let found = solve(lower, [4.0 + 4.0 + 3.0, 2.0 + 10.0 + 9.0, 1.0 + 6.0 + 18.0]);
        for (found, expected) in found.iter().zip([1.0, 2.0, 3.0]) {
            assert!((found - expected).abs() < 1e-12, "{found}");
        }
    }

    #[test]
    fn an_oscillation_goes_on() {
        // z(t) = 2 cos w z(t-1) - z(t-2), whatever the amplitude.
        let wave = |at: usize| (0.7 * at as f64).sin();
        let past: Vec<f64> = (0..200).map(wave).collect();
        let mut model = Autoregression::new([1, 2], None, 100);
        model.learn(&past[..90]);
        model.learn(&past);
        for (ahead, z) in model.forecast(&past, 5, BOUNDS).iter().enumerate() {
            assert!((z - wave(200 + ahead)).abs() < 0.02, "{ahead} {z}");
        }
        let mut at_once = Autoregression::new([1, 2], None, 100);
        at_once.learn(&past);
        assert_eq!(at_once.coefficients, model.coefficients);
    }

    #[test]
    fn differences_follow_a_new_level() {
        let past: Vec<f64> = (0..120).map(|at| if at < 100 { 0.0 } else { 5.0 }).collect();
        let mut model = Autoregression::new([1, 2, 4], Some(4), 60);
        model.learn(&past);
        let ahead = model.forecast(&past, 8, BOUNDS);
        assert!(ahead.iter().all(|z| (z - 5.0).abs() < 1e-9), "{ahead:?}");
    }

    #[test]
    fn lags_out_of_reach_are_left_out() {
        let model = Autoregression::new([1, 2, 2, 30, 0], Some(5), 34);
        assert_eq!((model.lags, model.learned), ([1, 2, 0, 0, 0], 7));
        assert_eq!(model.forecast(&[1.0; 6], 2, BOUNDS), [0.0, 0.0]);
        // Nothing learned: the same as a season before.
        assert_eq!(model.forecast(&[1.0; 9], 2, BOUNDS), [1.0, 1.0]);
    }
}
