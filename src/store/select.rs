//! Finding series by their labels.
//!
//! The head is held for a few series at a time, so that a select of a million of them keeps no writer
//! waiting. What was found before stays true while no series is forgotten; then it is begun again.

use std::sync::Arc;

use hashbrown::HashMap;

use super::ReadError;
use super::head::{Head, PairId};
use super::postings::matching;
use super::snapshot::{Part, SelectedSeries, Snapshot};
use crate::series::{Labels, Matcher, SeriesId, TimeRange};

/// So many series are looked at under one hold of the head's lock.
const BATCH: usize = 1024;

impl Snapshot {
    /// Returns the series that match and may have samples within `range`, sorted by labels.
    pub fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Vec<SelectedSeries>, ReadError> {
        let mut found: Vec<(Labels, Part)> = Vec::new();
        for block in self.blocks_in(range) {
            for series in matching(block.index(), matchers)? {
                if let Some(labels) = block.labels_in(series, range)? {
                    found.push((labels, Part::Block(Arc::clone(block), series)));
                }
            }
        }
        let in_head = self.in_head(matchers, Vec::new, |in_head, head, id| {
            if head.range(id).is_some_and(|held| held.overlaps(range))
                && let Some(labels) = head.labels(id)
            {
                in_head.push((labels, Part::Head(id)));
            }
        })?;
        if found.is_empty() {
            found = in_head;
        } else {
            found.extend(in_head);
        }
        // Stable, so that the parts of a series stay in the order of their time.
        found.sort_by(|a, b| a.0.cmp(&b.0));
        let mut series: Vec<SelectedSeries> = Vec::with_capacity(found.len());
        for (labels, part) in found {
            match series.last_mut() {
                Some(last) if last.labels == labels => last.parts.push(part),
                _ => series.push(SelectedSeries { labels, parts: vec![part] }),
            }
        }
        Ok(series)
    }

    /// As [`Snapshot::select`], but in no order, and of the labels only those that `keeps` holds on
    /// to are put together. `None` where that saves nothing or is not enough to tell series apart:
    /// where blocks have samples in that range, or any series of the head has a label of `unless`.
    pub fn select_reduced(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        keeps: &dyn Fn(&str) -> bool,
        unless: &[&str],
    ) -> Result<Option<Vec<SelectedSeries>>, ReadError> {
        let has_label = |name: &&str| self.store.head.read().index().number_of(name).is_some();
        if self.blocks_in(range).next().is_some() || unless.iter().any(has_label) {
            return Ok(None);
        }
        self.in_head(
            matchers,
            || (Groups::default(), Vec::new()),
            |(groups, found), head, id| {
                if head.range(id).is_some_and(|held| held.overlaps(range)) {
                    let group = groups.of(head, id, keeps);
                    let labels = groups.labels[group].clone();
                    found.push(SelectedSeries { labels, parts: vec![Part::Head(id)] });
                }
            },
        )
        .map(|(_, found)| Some(found))
    }

    /// Brings what [`Snapshot::read`] will need of some series near the processor.
    pub(crate) fn warm(&self, series: &[SelectedSeries]) {
        let ids = series.iter().filter_map(|one| match one.parts.last() {
            Some(Part::Head(id)) => Some(*id),
            _ => None,
        });
        self.store.head.read().warm_to_read(ids);
    }

    /// Calls `each` for the series of the head that match, on what `begin` made, and returns that. No
    /// series is forgotten meanwhile.
    pub(super) fn in_head<T>(
        &self,
        matchers: &[Matcher],
        begin: impl Fn() -> T,
        mut each: impl FnMut(&mut T, &Head, SeriesId),
    ) -> Result<T, ReadError> {
        'again: loop {
            let mut head = self.store.head.read();
            let forgotten = head.forgotten_count();
            let slots = matching(head.index(), matchers)?;
            let (mut made, mut slots) = (begin(), slots.iter().peekable());
            loop {
                for slot in slots.by_ref().take(BATCH) {
                    if let Some(id) = head.in_slot(slot) {
                        each(&mut made, &head, id);
                    }
                }
                if slots.peek().is_none() {
                    return Ok(made);
                }
                drop(head);
                head = self.store.head.read();
                if head.forgotten_count() != forgotten {
                    continue 'again;
                }
            }
        }
    }
}

/// Groups of series that are the same in the labels that are kept.
#[derive(Default)]
pub(super) struct Groups {
    /// By the number of a name; `None` where it was not asked yet.
    kept: Vec<Option<bool>>,
    known: HashMap<Vec<PairId>, usize>,
    key: Vec<PairId>,
    /// Of each group.
    pub(super) labels: Vec<Labels>,
}

impl Groups {
    /// Returns the group of a series, as an index of [`Groups::labels`].
    pub(super) fn of(&mut self, head: &Head, id: SeriesId, keeps: &dyn Fn(&str) -> bool) -> usize {
        let index = head.index();
        self.key.clear();
        for pair in head.pair_ids(id) {
            let name = index.name_number(*pair) as usize;
            if name >= self.kept.len() {
                self.kept.resize(name + 1, None);
            }
            if *self.kept[name].get_or_insert_with(|| keeps(index.text(*pair).0)) {
                self.key.push(*pair);
            }
        }
        if let Some(group) = self.known.get(&self.key) {
            return *group;
        }
        let group = self.labels.len();
        self.labels.push(Labels::from_sorted(self.key.iter().map(|pair| index.text(*pair))));
        self.known.insert(self.key.clone(), group);
        group
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::ManualClock;
    use crate::store::Store;

    #[test]
    fn what_is_forgotten_meanwhile_is_not_found() {
        let store = Store::in_memory(Arc::new(ManualClock::new(0)));
        let mut appender = store.appender();
        let mut transaction = appender.begin();
        for number in 0..BATCH + 500 {
            let labels = Labels::from_pairs([("__name__", "x"), ("n", &number.to_string())]);
            let id = transaction.series(None, &labels);
            transaction.sample(id, 0, 1.0, 0);
        }
        transaction.commit().unwrap();
        let snapshot = store.snapshot();
        let (mut gone, mut forgetting) = (None, None);
        let found =
            snapshot.in_head(&[Matcher::equal("__name__", "x")], Vec::new, |found, _, id| {
                let first = *gone.get_or_insert(id);
                found.push(id);
                if found.len() == BATCH && forgetting.is_none() {
                    let inner = Arc::clone(&snapshot.store);
                    let forget = move || inner.head.write().forget(first).is_some();
                    forgetting = Some(std::thread::spawn(forget));
                    // It waits for this batch to end, and the next one waits for it.
                    while !snapshot.store.head.is_locked_exclusive() {
                        std::thread::yield_now();
                    }
                }
            });
        let found = found.unwrap();
        assert!(forgetting.unwrap().join().unwrap());
        assert_eq!(found.len(), BATCH + 499);
        assert!(!found.contains(&gone.unwrap()));
    }
}
