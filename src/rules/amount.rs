//! Amounts: a number with a unit, read in the unit of the rule's signal.

use super::Unit;
use crate::lang::{Diagnostic, Span};

/// A number as written, with the kind of its unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Amount {
    /// In the kind's base: seconds, bytes, one; percent stay percent.
    pub(super) value: f64,
    pub(super) kind: Kind,
    pub(super) span: Span,
}

/// What the unit of an amount measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// No unit was written.
    Plain,
    /// `ns` to `w`.
    Time,
    /// `B` to `TiB`.
    Bytes,
    /// `k M G`.
    Count,
    /// `%`.
    Percent,
}

const KIB: f64 = 1024.0;

/// Every unit but `%` and what it multiplies with. Times stand largest first, as they are combined.
pub(super) const SUFFIXES: [(&str, Kind, f64); 20] = [
    ("w", Kind::Time, 604_800.0),
    ("d", Kind::Time, 86_400.0),
    ("h", Kind::Time, 3_600.0),
    ("m", Kind::Time, 60.0),
    ("s", Kind::Time, 1.0),
    ("ms", Kind::Time, 1e-3),
    ("us", Kind::Time, 1e-6),
    ("ns", Kind::Time, 1e-9),
    ("B", Kind::Bytes, 1.0),
    ("kB", Kind::Bytes, 1e3),
    ("MB", Kind::Bytes, 1e6),
    ("GB", Kind::Bytes, 1e9),
    ("TB", Kind::Bytes, 1e12),
    ("KiB", Kind::Bytes, KIB),
    ("MiB", Kind::Bytes, KIB * KIB),
    ("GiB", Kind::Bytes, KIB * KIB * KIB),
    ("TiB", Kind::Bytes, KIB * KIB * KIB * KIB),
    ("k", Kind::Count, 1e3),
    ("M", Kind::Count, 1e6),
    ("G", Kind::Count, 1e9),
];

impl Kind {
    fn examples(self) -> &'static str {
        match self {
            Kind::Plain => "a plain number",
            Kind::Time => "a time such as 150ms",
            Kind::Bytes => "bytes such as 20GiB",
            Kind::Count => "a count such as 5k",
            Kind::Percent => "a percentage",
        }
    }
}

impl Amount {
    /// Converts to the rule's unit.
    pub(super) fn convert(self, unit: Unit) -> Result<f64, Diagnostic> {
        let factor = match (unit, self.kind) {
            (_, Kind::Plain)
            | (Unit::Seconds, Kind::Time)
            | (Unit::Bytes, Kind::Bytes)
            | (Unit::Count | Unit::PerSecond, Kind::Count)
            | (Unit::Percent, Kind::Percent)
            | (Unit::None, Kind::Time | Kind::Bytes | Kind::Count) => Some(1.0),
            (Unit::Ratio, Kind::Percent) => Some(0.01),
            _ => None,
        };
        match factor {
            // Divided, since 80 / 100 is 0.8 and 80 * 0.01 is not.
            Some(0.01) => Ok(self.value / 100.0),
            Some(_) => Ok(self.value),
            None => Err(self.misfit(unit)),
        }
    }

    fn misfit(self, unit: Unit) -> Diagnostic {
        let help = match (unit, self.kind) {
            (Unit::None, Kind::Percent) => {
                "say what 100 % is: `unit ratio` (1 is all) or `unit percent` (100 is all)"
            }
            (Unit::Bytes, Kind::Count) => "bytes are written with B: 10GB or 10GiB",
            (Unit::Seconds, _) => "write a time such as 150ms, or change the rule's `unit`",
            (Unit::Bytes, _) => "write bytes such as 20GiB, or change the rule's `unit`",
            (Unit::Ratio | Unit::Percent, _) => {
                "write a percentage such as 80%, or change the rule's `unit`"
            }
            _ => "write a plain number or one with k, M, G, or change the rule's `unit`",
        };
        let message = match unit {
            Unit::None => "a percentage needs a `unit` to be a share of".to_owned(),
            unit => format!("{} does not fit `unit {}`", self.kind.examples(), unit.word()),
        };
        Diagnostic::error("R006", self.span, message).with_help(help)
    }
}

/// Finds the unit that a rule without `unit` clause has by its amounts, which must agree.
pub(super) fn agreed_unit(amounts: &[Amount]) -> Result<Unit, Diagnostic> {
    let mut with_unit = amounts.iter().filter(|amount| amount.kind != Kind::Plain);
    let Some(first) = with_unit.next() else { return Ok(Unit::None) };
    if let Some(other) = with_unit.find(|amount| amount.kind != first.kind) {
        let (a, b) = (other.kind.examples(), first.kind.examples());
        return Err(Diagnostic::error(
            "R006",
            other.span,
            format!("{a} beside {b}: the amounts of a rule are all of its signal's unit"),
        )
        .with_help("add a `unit` clause that says what the signal is"));
    }
    Ok(match first.kind {
        Kind::Time => Unit::Seconds,
        Kind::Bytes => Unit::Bytes,
        Kind::Count => Unit::Count,
        Kind::Plain | Kind::Percent => Unit::None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn converts_to_the_unit_of_the_rule() {
        let check = |value, kind, unit, expected: Option<f64>| {
            let amount = Amount { value, kind, span: Span::default() };
            assert_eq!(amount.convert(unit).ok(), expected, "{amount:?} {unit:?}");
        };
        check(80.0, Kind::Percent, Unit::Ratio, Some(0.8));
        check(80.0, Kind::Percent, Unit::Percent, Some(80.0));
        check(80.0, Kind::Percent, Unit::None, None);
        check(1.0, Kind::Time, Unit::Seconds, Some(1.0));
        check(1.0, Kind::Time, Unit::Bytes, None);
        check(1e9, Kind::Count, Unit::Bytes, None);
        check(5.0, Kind::Plain, Unit::Bytes, Some(5.0));
    }

    #[test]
    fn amounts_agree_or_are_refused() {
        let amount = |kind| Amount { value: 1.0, kind, span: Span::default() };
        assert_eq!(agreed_unit(&[amount(Kind::Plain), amount(Kind::Time)]), Ok(Unit::Seconds));
        assert!(agreed_unit(&[amount(Kind::Bytes), amount(Kind::Time)]).is_err());
    }
}
