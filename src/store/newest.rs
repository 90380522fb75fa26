//! What instants ask for most, told without decoding a sample: the newest float of a series, and
//! how many series are alive.

use super::ReadError;
use super::select::Groups;
use super::snapshot::{Part, SelectedSeries, Snapshot};
use crate::series::{Labels, Matcher, Points, SeriesId, TimeRange, is_stale};

impl Snapshot {
    /// Returns time (ms) and value of the newest sample of a series up to a time, where that is a
    /// float and known without reading; `None` says that it must be read.
    pub fn newest(&self, series: &SelectedSeries, time_ms: i64) -> Option<(i64, f64)> {
        let (Part::Head(id), blocks) = series.parts.split_last()? else { return None };
        let newest = self.newest_in_head(*id, time_ms)?;
        let is_older =
            |part: &Part| matches!(part, Part::Block(block, _) if block.range().end_ms < newest.0);
        blocks.iter().all(is_older).then_some(newest)
    }

    fn newest_in_head(&self, id: SeriesId, time_ms: i64) -> Option<(i64, f64)> {
        let newest = self.store.head.read().newest_float(id)?;
        (newest.0 <= time_ms).then_some((newest.0, f64::from_bits(newest.1)))
    }

    /// Counts the series that match and whose newest sample within `range` is no staleness marker,
    /// by the values of some labels, sorted by them. `None` where blocks have samples in that range:
    /// then they must be selected and read.
    pub fn count_alive(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        by: &[String],
    ) -> Result<Option<Vec<(Labels, u64)>>, ReadError> {
        if self.blocks_in(range).next().is_some() {
            return Ok(None);
        }
        let keeps = |name: &str| by.iter().any(|wanted| wanted == name);
        let mut points = Points::default();
        let (groups, counts) = self.in_head(
            matchers,
            || (Groups::default(), Vec::<u64>::new()),
            |(groups, counts), head, id| {
                let is_alive = match head.newest_float(id) {
                    Some((time_ms, bits)) if time_ms <= range.end_ms => {
                        time_ms >= range.start_ms && !is_stale(f64::from_bits(bits))
                    }
                    _ => {
                        points.clear();
                        head.read(id, range, &mut points);
                        is_alive(&points)
                    }
                };
                if is_alive {
                    let group = groups.of(head, id, &keeps);
                    counts.resize(groups.labels.len(), 0);
                    counts[group] += 1;
                }
            },
        )?;
        let mut counts: Vec<_> = groups.labels.into_iter().zip(counts).collect();
        counts.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Ok(Some(counts))
    }
}

/// Returns whether the newest of some samples is no staleness marker.
fn is_alive(points: &Points) -> bool {
    let float = points.times_ms.last().zip(points.values.last());
    match (float, points.histograms.last()) {
        (Some((time_ms, value)), Some(histogram)) if *time_ms > histogram.time_ms => {
            !is_stale(*value)
        }
        (_, Some(histogram)) => !histogram.histogram.is_stale(),
        (Some((_, value)), None) => !is_stale(*value),
        (None, None) => false,
    }
}
