//! Floats that are decimals of few digits, as whole numbers over one power of ten.

/// Powers of ten that a float holds exactly.
const POWERS: [f64; 15] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14];

const INVERSES: [f64; 15] =
    [1e0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12, 1e-13, 1e-14];

/// Added to and taken from a float this rounds it to a whole one, of at most half this size.
const ROUNDER: f64 = 6_755_399_441_055_744.0; // 1.5 * 2^52
const WHOLE_MAX: f64 = 2_251_799_813_685_248.0; // 2^51

/// How a float is made of a whole number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scale {
    exponent: u8,
    /// Exporters that count in small units multiply by a float that is not quite the power.
    multiplies: bool,
}

const MULTIPLIES: u8 = 0x10;

impl Scale {
    pub(super) fn to_byte(self) -> u8 {
        self.exponent | if self.multiplies { MULTIPLIES } else { 0 }
    }

    pub(super) fn from_byte(byte: u8) -> Option<Scale> {
        let scale = Scale { exponent: byte & 0x0f, multiplies: byte & MULTIPLIES != 0 };
        (usize::from(scale.exponent) < POWERS.len() && byte & 0xe0 == 0).then_some(scale)
    }

    /// Returns the whole number that makes `value` to the bit, if there is one.
    #[inline]
    pub(super) fn whole(self, value: f64) -> Option<i64> {
        let at = usize::from(self.exponent);
        let whole = (value * POWERS[at] + ROUNDER) - ROUNDER;
        let back = if self.multiplies { whole * INVERSES[at] } else { whole / POWERS[at] };
        // A whole number has no -0, which would come back as 0.
        (whole.abs() < WHOLE_MAX && back.to_bits() == value.to_bits() && value.to_bits() != 1 << 63)
            .then_some(whole as i64)
    }

    /// Makes floats of whole numbers.
    #[inline]
    pub(super) fn extend(self, whole: &[i64], into: &mut Vec<f64>) {
        let at = usize::from(self.exponent);
        match (self.exponent, self.multiplies) {
            (0, _) => into.extend(whole.iter().map(|whole| *whole as f64)),
            (_, true) => {
                let inverse = INVERSES[at];
                into.extend(whole.iter().map(|whole| *whole as f64 * inverse));
            }
            (_, false) => {
                let power = POWERS[at];
                into.extend(whole.iter().map(|whole| *whole as f64 / power));
            }
        }
    }
}

/// A float that no whole number makes, at its place.
pub(super) type Odd = (usize, u64);

/// Makes whole numbers of all but at most `odd_max` values; those are set apart, and take the number
/// before. `None` when there are more of them.
pub(super) fn scale(
    values: &[f64],
    odd_max: usize,
    whole: &mut Vec<i64>,
    odd: &mut Vec<Odd>,
) -> Option<Scale> {
    [false, true].into_iter().find_map(|multiplies| {
        let scale = find(values, odd_max, multiplies)?;
        whole.clear();
        odd.clear();
        let mut before = values.iter().find_map(|value| scale.whole(*value)).unwrap_or(0);
        for (at, value) in values.iter().enumerate() {
            if let Some(found) = scale.whole(*value) {
                before = found;
            } else {
                odd.push((at, value.to_bits()));
                if odd.len() > odd_max {
                    return None;
                }
            }
            whole.push(before);
        }
        Some(scale)
    })
}

fn find(values: &[f64], odd_max: usize, multiplies: bool) -> Option<Scale> {
    let mut exponent = 0;
    let mut odd = 0;
    for value in values {
        if (Scale { exponent, multiplies }).whole(*value).is_some() {
            continue;
        }
        // A larger exponent does not lose what a smaller one held: it divides a larger number to
        // the same quotient. Where it multiplies it may; those are odd then.
        let larger = exponent + 1..POWERS.len() as u8;
        let found =
            larger.into_iter().find(|e| Scale { exponent: *e, multiplies }.whole(*value).is_some());
        match found {
            Some(found) => exponent = found,
            None => odd += 1,
        }
        if odd > odd_max {
            return None;
        }
    }
    Some(Scale { exponent, multiplies: multiplies && exponent > 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_how_decimals_were_made() {
        let check = |values: &[f64], expected: Option<(u8, bool)>| {
            let (mut whole, mut odd) = (Vec::new(), Vec::new());
            let found = scale(values, 0, &mut whole, &mut odd);
            assert_eq!(
                found.map(|scale| (scale.exponent, scale.multiplies)),
                expected,
                "{values:?}"
            );
            if let Some(scale) = found {
                let mut back = Vec::new();
                scale.extend(&whole, &mut back);
                let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(&back), bits(values));
            }
        };
        check(&[1.0, -2.0, 4e15 / 2.0], Some((0, false)));
        check(&[1.5, 2.25, 1e9], Some((2, false)));
        check(&[2284.0 * 0.001, 0.003 * 1.0], Some((3, true)));
        check(&[-0.0], None);
        check(&[f64::NAN], None);
        check(&[f64::INFINITY], None);
        check(&[1e300], None);
        check(&[std::f64::consts::PI], None);
    }
}
