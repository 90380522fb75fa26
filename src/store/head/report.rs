use std::ops::Range;

use super::{Head, Slot};
use crate::series::METRIC_NAME;
use crate::store::status::{Cardinality, HeadStatus, NamedCount};

impl Head {
    /// Counts what the series of some slots hold.
    pub(in crate::store) fn count(&self, slots: Range<Slot>, into: &mut HeadStatus) {
        into.series = self.series_count() as u64;
        into.label_pairs = self.pairs.len() as u64;
        for id in slots.filter_map(|slot| self.in_slot(slot)) {
            let Some(held) = self.range(id) else { continue };
            let samples = &self.cells[super::split(id).0 as usize].samples;
            into.samples += samples.sample_count();
            into.chunks += samples.chunk_count();
            let (min, max) = (&mut into.min_time_ms, &mut into.max_time_ms);
            *min = Some(min.map_or(held.start_ms, |min| min.min(held.start_ms)));
            *max = Some(max.map_or(held.end_ms, |max| max.max(held.end_ms)));
        }
    }

    /// Returns the first `limit` entries of each list.
    pub(in crate::store) fn cardinality(&self, limit: usize) -> Cardinality {
        let mut lists = Cardinality::default();
        for name in self.pairs.names() {
            let (mut count, mut bytes) = (0, 0);
            for (value, series) in self.pairs.values(name) {
                count += 1;
                bytes += value.len() as u64;
                lists
                    .series_by_pair
                    .push(NamedCount { name: format!("{name}={value}"), value: series });
                if name == METRIC_NAME {
                    lists
                        .series_by_metric
                        .push(NamedCount { name: value.to_owned(), value: series });
                }
            }
            lists.values_by_label.push(NamedCount { name: name.to_owned(), value: count });
            lists.bytes_by_label.push(NamedCount { name: name.to_owned(), value: bytes });
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
