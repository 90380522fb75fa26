use std::fmt::Write;

/// Formats a float as the query API and PromQL do (Go's `strconv.FormatFloat(v, 'f', -1, 64)` with
/// the API's bounds): the shortest decimal that reads back to the same bits, plain between 1e-6
/// and 1e21, with an exponent of at least two digits elsewhere; `NaN`, `+Inf`, `-Inf`.
pub fn format_float(value: f64) -> String {
    let mut text = String::with_capacity(24);
    push_float(&mut text, value);
    text
}

fn push_float(text: &mut String, value: f64) {
    if value.is_nan() {
        return text.push_str("NaN");
    }
    if value.is_infinite() {
        return text.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    }
    let magnitude = value.abs();
    if value == 0.0 || (1e-6..1e21).contains(&magnitude) {
        write!(text, "{value}").expect("a String takes everything");
        return;
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').expect("Rust prints an exponent");
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    write!(text, "{mantissa}e{sign}{digits:0>2}").expect("a String takes everything");
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

    #[test]
    fn parses_words_and_refuses_the_rest() {
        assert_eq!(parse_float("+Inf"), Some(f64::INFINITY));
        assert_eq!(parse_float("1e3"), Some(1000.0));
        assert!(parse_float("nan").unwrap().is_nan());
        assert_eq!(parse_float(""), None);
        assert_eq!(parse_float("1 "), None);
    }
}
