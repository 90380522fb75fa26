/// Formats a float as the query API and PromQL do (Go's `strconv.FormatFloat(v, 'f', -1, 64)` with
/// the API's bounds): the shortest decimal that reads back to the same bits, plain between 1e-6
/// and 1e21, with an exponent of at least two digits elsewhere; `NaN`, `+Inf`, `-Inf`.
pub fn format_float(value: f64) -> String {
    let mut text = Vec::with_capacity(24);
    push_float(&mut text, value);
    String::from_utf8_lossy(&text).into_owned()
}

/// As [`format_float`], appended to a text; an answer may hold millions of numbers.
pub fn push_float(text: &mut Vec<u8>, value: f64) {
    /// Whole numbers below are floats exactly.
    const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
    let magnitude = value.abs();
    if magnitude < WHOLE_MAX && value.trunc() == value && value.to_bits() != (-0.0f64).to_bits() {
        text.extend_from_slice(itoa::Buffer::new().format(value as i64).as_bytes());
        return;
    }
    if !value.is_finite() {
        let name: &[u8] = match value {
            f64::INFINITY => b"+Inf",
            f64::NEG_INFINITY => b"-Inf",
            _ => b"NaN",
        };
        return text.extend_from_slice(name);
    }
    // Between these no exponent is written by either.
    if (1e-4..WHOLE_MAX).contains(&magnitude) {
        let mut buffer = zmij::Buffer::new();
        return text.extend_from_slice(buffer.format_finite(value).as_bytes());
    }
    if value == 0.0 || (1e-6..1e21).contains(&magnitude) {
        return text.extend_from_slice(value.to_string().as_bytes());
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    text.extend_from_slice(format!("{mantissa}e{sign}{digits:0>2}").as_bytes());
}

/// Parses a float as PromQL and label values such as `le` write it: decimal with exponent, `Inf`,
/// `+Inf`, `-Inf`, `NaN` in any case.
pub fn parse_float(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'-' | b'.'));
    if !plain || text.is_empty() {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn formats_as_the_api_does() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (1e-6, "0.000001"),
            (1e-7, "1e-07"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (5e-324, "5e-324"),
            (-1.5e300, "-1.5e+300"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(format_float(value), expected);
        }
    }

    proptest! {
        #[test]
        fn whatever_is_formatted_reads_back_and_is_plain_where_it_should_be(
            value in prop_oneof![
                any::<u64>().prop_map(f64::from_bits),
                (-1_000_000_000i64..1_000_000_000, 0i32..12)
                    .prop_map(|(digits, places)| digits as f64 / 10f64.powi(places)),
                any::<i64>().prop_map(|whole| whole as f64),
            ],
        ) {
            let text = format_float(value);
            if value.is_nan() {
                prop_assert_eq!(text, "NaN");
                return Ok(());
            }
            prop_assert_eq!(parse_float(&text).unwrap().to_bits(), value.to_bits());
            let plain = value == 0.0 || (1e-6..1e21).contains(&value.abs());
            prop_assert_eq!(!text.contains('e'), plain || value.is_infinite());
            if plain {
                // As short; of two that are equally near either may be written.
                prop_assert_eq!(text.len(), value.to_string().len());
            }
        }
    }

    #[test]
    fn parses_words_and_refuses_the_rest() {
        assert_eq!(parse_float("+Inf"), Some(f64::INFINITY));
        assert_eq!(parse_float("1e3"), Some(1000.0));
        assert!(parse_float("nan").unwrap().is_nan());
        assert_eq!(parse_float(""), None);
        assert_eq!(parse_float("1 "), None);
    }
}
