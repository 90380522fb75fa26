use std::borrow::Cow;

use roaring::RoaringBitmap;

use super::ReadError;
use crate::series::{MatchOp, Matcher};

/// A label index over series that are numbered from 0: the head's by slot, a block's by place.
pub(super) trait LabelIndex {
    /// Returns all series.
    fn all(&self) -> Result<RoaringBitmap, ReadError>;

    /// Returns the series that have a label.
    fn posting(&self, name: &str, value: &str) -> Result<Cow<'_, RoaringBitmap>, ReadError>;

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
    // Equality first: it is cheap, the rarest label leaves little to the others, and the rest is
    // skipped once nothing is left.
    let (equal, other): (Vec<_>, Vec<_>) = giving.into_iter().partition(|m| m.op == MatchOp::Equal);
    let mut postings = Vec::with_capacity(equal.len());
    for matcher in equal {
        postings.push(index.posting(&matcher.name, &matcher.value)?);
    }
    postings.sort_by_cached_key(|posting| posting.len());
    let mut found: Option<Cow<'_, RoaringBitmap>> = None;
    for posting in postings {
        found = Some(both(found, posting));
    }
    for matcher in other {
        if found.as_ref().is_some_and(|found| found.is_empty()) {
            break;
        }
        let posting = index.union_where(&matcher.name, &|value| matcher.matches(value))?;
        found = Some(both(found, Cow::Owned(posting)));
    }
    let mut found = match found {
        Some(found) if found.is_empty() => return Ok(RoaringBitmap::new()),
        Some(found) => found.into_owned(),
        None => index.all()?,
    };
    for matcher in taking {
        if matcher.op == MatchOp::NotEqual {
            found -= &*index.posting(&matcher.name, &matcher.value)?;
        } else {
            found -= index.union_where(&matcher.name, &|value| !matcher.matches(value))?;
        }
    }
    Ok(found)
}

/// Returns what is in both; without the first, the second.
fn both<'a>(
    first: Option<Cow<'a, RoaringBitmap>>,
    second: Cow<'a, RoaringBitmap>,
) -> Cow<'a, RoaringBitmap> {
    match first {
        None => second,
        Some(first) => Cow::Owned(&*first & &*second),
    }
}
