use std::sync::LazyLock;

/// The ratio of neighbouring bounds at schemas 1 to 8, `2^(2^-schema)`. That of schema 1 is one bit
/// below the nearest float: client libraries compute their bounds with these very values, and
/// bounds must be equal to the bit to be the same bucket everywhere.
#[expect(clippy::approx_constant, reason = "one bit off on purpose")]
const RATIOS: [f64; 8] = [
    1.414_213_562_373_095,
    1.189_207_115_002_721,
    1.090_507_732_665_257_7,
    1.044_273_782_427_413_8,
    1.021_897_148_654_116_6,
    1.010_889_286_051_700_5,
    1.005_429_901_112_802_7,
    1.002_711_275_050_202_5,
];

/// For each schema 0 to 8 the bounds within [0.5, 1).
static FRACTIONS: LazyLock<[Vec<f64>; 9]> = LazyLock::new(|| {
    let mut fractions: [Vec<f64>; 9] = Default::default();
    fractions[0] = vec![0.5];
    for schema in 1..fractions.len() {
        let mut bounds = vec![0.5];
        for index in 1..1 << schema {
            bounds.push(match index % 2 {
                0 => fractions[schema - 1][index / 2],
                _ => bounds[index - 1] * RATIOS[schema - 1],
            });
        }
        fractions[schema] = bounds;
    }
    fractions
});

/// Returns the upper bound of a positive bucket, `2^(index * 2^-schema)`, at schemas -4 to 8 (others
/// count as the nearest of these). The last bucket before the one for infinities ends at the largest
/// float.
pub(super) fn exponential_upper_bound(schema: i32, index: i32) -> f64 {
    let (schema, index) = (schema.clamp(-4, 8), i64::from(index));
    let (fraction, exponent) = if schema <= 0 {
        (0.5, (index << -schema) + 1)
    } else {
        let fractions = &FRACTIONS[schema as usize];
        (fractions[(index & ((1 << schema) - 1)) as usize], (index >> schema) + 1)
    };
    if fraction == 0.5 && exponent == 1025 {
        return f64::MAX;
    }
    libm::ldexp(fraction, exponent.clamp(-5000, 5000) as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::approx_constant, reason = "one bit off on purpose")]
    fn bounds_are_those_of_the_client_libraries() {
        for (schema, index, expected) in [
            (0, 0, 1.0),
            (0, 1, 2.0),
            (0, -2, 0.25),
            (1, 1, 1.414_213_562_373_095),
            (3, 5, 1.542_210_825_407_940_8),
            (3, -3, 0.771_105_412_703_970_4),
            (8, -253, 0.504_077_949_059_208_8),
            (-1, 1, 4.0),
            (-4, 1, 65_536.0),
            (-4, -1, 1.0 / 65_536.0),
            (0, 1024, f64::MAX),
            (0, 1025, f64::INFINITY),
            (2, 4096, f64::MAX),
            (0, i32::MIN, 0.0),
            (-4, i32::MAX, f64::INFINITY),
        ] {
            let bound = exponential_upper_bound(schema, index);
            assert_eq!(bound.to_bits(), f64::to_bits(expected), "{schema} {index}: {bound}");
        }
    }
}
