use super::Head;
use crate::series::METRIC_NAME;
use crate::store::merge::union;
use crate::store::status::{Cardinality, HeadStatus, NamedCount};

impl Head {
    /// Counts what the head holds.
    pub(in crate::store) fn status(&self) -> HeadStatus {
        let mut status = HeadStatus { series: self.series_count() as u64, ..HeadStatus::default() };
        status.label_pairs = self.index.iter().map(|(_, values)| values.len() as u64).sum();
        let mut range = None;
        for (_, series) in self.iter() {
            range = union(range, series.range());
            status.samples += series.sample_count();
            status.chunks += series.chunk_count();
        }
        status.min_time_ms = range.map(|range| range.start_ms);
        status.max_time_ms = range.map(|range| range.end_ms);
        status
    }

    /// Returns the first `limit` entries of each list.
    pub(in crate::store) fn cardinality(&self, limit: usize) -> Cardinality {
        let mut lists = Cardinality::default();
        for (name, values) in self.index.iter() {
            let bytes = values.keys().map(|value| value.len() as u64).sum();
            let count = values.len() as u64;
            lists.values_by_label.push(NamedCount { name: name.to_owned(), value: count });
            lists.bytes_by_label.push(NamedCount { name: name.to_owned(), value: bytes });
            for (value, posting) in values {
                let count = posting.len();
                lists
                    .series_by_pair
                    .push(NamedCount { name: format!("{name}={value}"), value: count });
                if name == METRIC_NAME {
                    lists
                        .series_by_metric
                        .push(NamedCount { name: value.to_string(), value: count });
                }
            }
        }
        for list in [
            &mut lists.series_by_metric,
            &mut lists.values_by_label,
            &mut lists.bytes_by_label,
            &mut lists.series_by_pair,
        ] {
            list.sort_unstable_by(|a, b| b.value.cmp(&a.value).then_with(|| a.name.cmp(&b.name)));
            list.truncate(limit);
        }
        lists
    }
}
