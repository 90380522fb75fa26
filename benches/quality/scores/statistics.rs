/// Returns the mean; none of nothing.
pub(super) fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Returns the share of those that hold; none of nothing.
pub(super) fn share(holds: impl IntoIterator<Item = bool>) -> Option<f64> {
    let (mut count, mut held) = (0usize, 0usize);
    for holds in holds {
        count += 1;
        held += usize::from(holds);
    }
    (count > 0).then(|| held as f64 / count as f64)
}

/// Returns the quantile, between two values where it falls between them; none of nothing.
pub(crate) fn quantile(values: &[f64], q: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let at = q * last as f64;
    let below = at.floor() as usize;
    let above = (below + 1).min(last);
    Some(sorted[below] + (sorted[above] - sorted[below]) * (at - below as f64))
}
