//! The series of the head in the order of their labels, without the labels of all at once: those of
//! many series take more room than the series.

use parking_lot::RwLock;

use super::head::{Head, PairId, Slot};
use crate::series::SeriesId;

/// So many series or label pairs are looked at under one hold of the head's lock.
const BATCH: u32 = 4096;

/// Returns the series for which `is_wanted`, sorted by their labels. None may be forgotten meanwhile.
pub(super) fn sorted_series(
    head: &RwLock<Head>,
    is_wanted: impl Fn(&Head, SeriesId) -> bool,
) -> Vec<SeriesId> {
    let mut series: Vec<(SeriesId, usize)> = Vec::new();
    let mut pairs: Vec<PairId> = Vec::new();
    let slot_count = head.read().slot_count();
    for first in (0..slot_count).step_by(BATCH as usize) {
        let head = head.read();
        let slots = first..first.saturating_add(BATCH).min(slot_count);
        for id in slots.filter_map(|slot: Slot| head.in_slot(slot)) {
            if is_wanted(&head, id) {
                series.push((id, pairs.len()));
                pairs.extend_from_slice(head.pair_ids(id));
            }
        }
    }
    let ranks = ranks(head);
    let end = pairs.len();
    for pair in &mut pairs {
        *pair = ranks[*pair as usize];
    }
    let ends = series.iter().skip(1).map(|(_, start)| *start).chain([end]);
    let mut keyed: Vec<_> =
        series.iter().zip(ends).map(|((id, start), end)| (&pairs[*start..end], *id)).collect();
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, id)| id).collect()
}

/// Returns the place of each label pair when all are sorted by name and value.
fn ranks(head: &RwLock<Head>) -> Vec<u32> {
    let mut values = String::new();
    // Per pair the number of its name, and where its value is.
    let mut pairs: Vec<(u32, usize, usize)> = Vec::new();
    let pair_count = head.read().index().end();
    for first in (0..pair_count).step_by(BATCH as usize) {
        let head = head.read();
        for pair in first..first.saturating_add(BATCH).min(pair_count) {
            let start = values.len();
            values.push_str(head.index().text(pair).1);
            pairs.push((head.index().name_number(pair), start, values.len()));
        }
    }
    let name_ranks = {
        let head = head.read();
        let names: Vec<_> = head.index().names_by_number().collect();
        let mut sorted: Vec<usize> = (0..names.len()).collect();
        sorted.sort_unstable_by_key(|number| names[*number]);
        inverse(&sorted)
    };
    let mut sorted: Vec<usize> = (0..pairs.len()).collect();
    sorted.sort_unstable_by_key(|pair| {
        let (name, start, end) = pairs[*pair];
        (name_ranks[name as usize], &values[start..end])
    });
    inverse(&sorted)
}

/// Returns at which place of an order each number is.
fn inverse(sorted: &[usize]) -> Vec<u32> {
    let mut places = vec![0; sorted.len()];
    for (place, number) in (0..).zip(sorted) {
        places[*number] = place;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::Labels;

    #[test]
    fn series_come_in_the_order_of_their_labels() {
        let mut head = Head::new();
        let mut all = Vec::new();
        for n in 0..200u32 {
            let mut pairs = vec![("__name__", format!("m{}", n % 7)), ("n", n.to_string())];
            match n % 3 {
                0 => pairs.push(("a", (n % 5).to_string())),
                1 => pairs.insert(0, ("Z", "z".to_owned())),
                _ => {}
            }
            let labels = Labels::from_pairs(pairs);
            all.push((labels.clone(), head.find_or_create(&labels)));
        }
        let unwanted = all.swap_remove(20).1;
        all.sort();
        let expected: Vec<_> = all.into_iter().map(|(_, id)| id).collect();
        assert_eq!(sorted_series(&RwLock::new(head), |_, id| id != unwanted), expected);
    }
}
