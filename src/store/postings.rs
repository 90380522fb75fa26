use roaring::RoaringBitmap;

use super::ReadError;
use crate::series::{MatchOp, Matcher};

/// A label index over series that are numbered from 0: the head's by slot, a block's by place.
pub(super) trait LabelIndex {
    /// Returns all series.
    fn all(&self) -> Result<RoaringBitmap, ReadError>;

    /// Returns the series that have a label; `None` where there is none.
    fn posting(&self, name: &str, value: &str) -> Result<Option<RoaringBitmap>, ReadError>;

    /// Returns the series with a value of `name` that is wanted.
    fn union_where(
        &self,
        name: &str,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<RoaringBitmap, ReadError>;

    /// Visits every label name.
    fn for_each_name(&self, visit: &mut dyn FnMut(&str)) -> Result<(), ReadError>;

    /// Visits every value of a label name.
    fn for_each_value(&self, name: &str, visit: &mut dyn FnMut(&str)) -> Result<(), ReadError>;
}

/// Returns the series that satisfy all matchers.
///
/// A matcher that an absent label satisfies only takes away: the series whose value it refuses.
pub(super) fn matching(
    index: &impl LabelIndex,
    matchers: &[Matcher],
) -> Result<RoaringBitmap, ReadError> {
    let (taking, giving): (Vec<_>, Vec<_>) = matchers.iter().partition(|m| m.matches_empty());
    let mut found: Option<RoaringBitmap> = None;
    // Equality first: it is cheap, and what follows is skipped once nothing is left.
    let (equal, other): (Vec<_>, Vec<_>) = giving.into_iter().partition(|m| m.op == MatchOp::Equal);
    for matcher in equal.into_iter().chain(other) {
        let posting = match matcher.op {
            MatchOp::Equal => index.posting(&matcher.name, &matcher.value)?.unwrap_or_default(),
            _ => index.union_where(&matcher.name, &|value| matcher.matches(value))?,
        };
        let rest = match found {
            None => posting,
            Some(found) => found & posting,
        };
        if rest.is_empty() {
            return Ok(rest);
        }
        found = Some(rest);
    }
    let mut found = match found {
        Some(found) => found,
        None => index.all()?,
    };
    for matcher in taking {
        let refused = match matcher.op {
            MatchOp::NotEqual => index.posting(&matcher.name, &matcher.value)?.unwrap_or_default(),
            _ => index.union_where(&matcher.name, &|value| !matcher.matches(value))?,
        };
        found -= refused;
    }
    Ok(found)
}
