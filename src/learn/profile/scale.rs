/// What is added before the logarithm, as a share of the mean: zeros have one too.
const OFFSET_SHARE: f64 = 0.01;
/// A series that moves by less than this share is constant.
const DEVIATION_MIN: f64 = 1e-6;

/// The scale that everything is learned on: z = (v - mean of v) / (standard deviation of v).
///
/// v = ln(x + 1 % of the mean x) where no value is negative: there, noise and seasons grow with the
/// level, the middle of a forecast is a median, and nothing that is foretold falls below 0. Else
/// v = x. Values are first divided by the largest one, so that no sum or square overflows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    unit: f64,
    /// In units; none where v = x.
    offset: Option<f64>,
    mean: f64,
    deviation: f64,
}

impl Scale {
    /// Returns the scale of some values, at least one.
    pub(super) fn of(values: &[f64]) -> Scale {
        let count = values.len() as f64;
        let largest = values.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
        let unit = if largest > 0.0 { largest } else { 1.0 };
        let mean = values.iter().map(|x| x / unit).sum::<f64>() / count;
        let is_negative = values.iter().any(|x| *x < 0.0);
        let offset = (!is_negative).then_some(OFFSET_SHARE * mean.max(1e-6));
        let mut scale = Scale { unit, offset, mean: 0.0, deviation: 1.0 };
        let moved: Vec<f64> = values.iter().map(|x| scale.inward(*x)).collect();
        scale.mean = moved.iter().sum::<f64>() / count;
        let variance = moved.iter().map(|v| (v - scale.mean) * (v - scale.mean)).sum::<f64>();
        scale.deviation = (variance / count).sqrt().max(DEVIATION_MIN);
        scale
    }

    pub(super) fn inward(&self, x: f64) -> f64 {
        let in_units = x / self.unit;
        let v = self.offset.map_or(in_units, |offset| libm::log(in_units + offset));
        (v - self.mean) / self.deviation
    }

    /// Returns the value that [`Scale::inward`] takes to `z`, or the nearest that there can be.
    pub(super) fn outward(&self, z: f64) -> f64 {
        let v = self.mean + z * self.deviation;
        let in_units = self.offset.map_or(v, |offset| (libm::exp(v) - offset).max(0.0));
        (in_units * self.unit).clamp(-f64::MAX, f64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back() {
        for values in
            [[1.0, 2.0, 30.0], [0.0, 0.0, 5.0], [-1e300, 1e300, 0.0], [1e-300, 2e-300, 0.0]]
        {
            let scale = Scale::of(&values);
            let largest = values.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
            for x in values {
                let back = scale.outward(scale.inward(x));
                assert!((back - x).abs() <= 1e-12 * largest, "{x} {back}");
            }
        }
    }

    #[test]
    fn what_never_was_negative_never_is() {
        let scale = Scale::of(&[0.0, 3.0, 9.0]);
        assert_eq!((scale.outward(-1e9), scale.outward(1e9)), (0.0, f64::MAX));
        assert!(Scale::of(&[-1.0, 3.0, 9.0]).outward(-1e9) < 0.0);
        let zeros = Scale::of(&[0.0; 9]);
        assert!(zeros.inward(0.0).abs() < 1e-6 && zeros.outward(0.0) < 1e-12);
    }
}
