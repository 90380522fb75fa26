use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use hashbrown::HashMap;

use super::block::Block;
use super::blocks::BlockList;
use super::head::PairId;
use super::postings::{LabelIndex, matching};
use super::types::Exemplar;
use super::{Inner, ReadError};
use crate::series::{Labels, Matcher, Points, SeriesId, TimeRange};

/// The store as readers see it. Cheap to take; never waits for a disk and never makes a writer wait
/// for one.
#[derive(Clone)]
pub struct Snapshot {
    pub(super) store: Arc<Inner>,
    blocks: Arc<BlockList>,
}

/// A series found by [`Snapshot::select`], with where its samples are.
#[derive(Clone)]
pub struct SelectedSeries {
    /// Its labels.
    pub labels: Labels,
    /// Where its samples are, those stored first first.
    pub(super) parts: Vec<Part>,
}

/// A place where a series has samples.
#[derive(Clone)]
pub(super) enum Part {
    Block(Arc<Block>, u32),
    Head(SeriesId),
}

impl fmt::Debug for SelectedSeries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {} parts", self.labels, self.parts.len())
    }
}

impl Snapshot {
    pub(super) fn new(store: Arc<Inner>) -> Snapshot {
        let blocks = store.blocks.current();
        Snapshot { store, blocks }
    }

    pub(super) fn blocks_in(&self, range: TimeRange) -> impl Iterator<Item = &Arc<Block>> {
        self.blocks.iter().filter(move |block| block.range().overlaps(range))
    }

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
        {
            let head = self.store.head.read();
            for slot in matching(head.index(), matchers)? {
                let Some(id) = head.in_slot(slot) else { continue };
                if head.range(id).is_some_and(|held| held.overlaps(range))
                    && let Some(labels) = head.labels(id)
                {
                    found.push((labels, Part::Head(id)));
                }
            }
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
        if self.blocks_in(range).next().is_some() {
            return Ok(None);
        }
        let head = self.store.head.read();
        let index = head.index();
        if unless.iter().any(|name| index.number_of(name).is_some()) {
            return Ok(None);
        }
        // By the number of the name.
        let mut kept: Vec<Option<bool>> = Vec::new();
        let mut known: HashMap<Vec<PairId>, Labels> = HashMap::new();
        let mut key = Vec::new();
        let mut found = Vec::new();
        for slot in matching(index, matchers)? {
            let Some(id) = head.in_slot(slot) else { continue };
            if !head.range(id).is_some_and(|held| held.overlaps(range)) {
                continue;
            }
            key.clear();
            for pair in head.pair_ids(id) {
                let name = index.name_number(*pair) as usize;
                if name >= kept.len() {
                    kept.resize(name + 1, None);
                }
                if *kept[name].get_or_insert_with(|| keeps(index.text(*pair).0)) {
                    key.push(*pair);
                }
            }
            if !known.contains_key(&key) {
                let labels = Labels::from_sorted(key.iter().map(|pair| index.text(*pair)));
                known.insert(key.clone(), labels);
            }
            let labels = known[&key].clone();
            found.push(SelectedSeries { labels, parts: vec![Part::Head(id)] });
        }
        Ok(Some(found))
    }

    /// Brings what [`Snapshot::read`] will need of some series near the processor.
    pub(crate) fn warm(&self, series: &[SelectedSeries]) {
        let ids = series.iter().filter_map(|one| match one.parts.last() {
            Some(Part::Head(id)) => Some(*id),
            _ => None,
        });
        self.store.head.read().warm_to_read(ids);
    }

    /// Reads the samples of a selected series within `range`, in time order, staleness markers
    /// included. Of two samples at one time it yields the one that was stored first.
    pub fn read(
        &self,
        series: &SelectedSeries,
        range: TimeRange,
        into: &mut Points,
    ) -> Result<(), ReadError> {
        into.clear();
        for part in &series.parts {
            match part {
                Part::Block(block, series) => block.read(*series, range, into)?,
                Part::Head(id) => self.store.head.read().read(*id, range, into),
            }
        }
        Ok(())
    }

    /// Returns the label names of the series that match all of `matchers` (none: of all series)
    /// and may have samples within `range`, sorted.
    pub fn label_names(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Vec<String>, ReadError> {
        let mut names = BTreeSet::new();
        if matchers.is_empty() {
            let mut visit = |name: &str| {
                if !names.contains(name) {
                    names.insert(name.to_owned());
                }
            };
            for block in self.blocks_in(range) {
                block.index().for_each_name(&mut visit)?;
            }
            self.store.head.read().index().for_each_name(&mut visit)?;
        } else {
            for series in self.select(matchers, range)? {
                for (name, _) in &series.labels {
                    if !names.contains(name) {
                        names.insert(name.to_owned());
                    }
                }
            }
        }
        Ok(names.into_iter().collect())
    }

    /// Returns the values that a label has in the series that match all of `matchers` (none: in
    /// all series) and may have samples within `range`, sorted.
    pub fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Vec<String>, ReadError> {
        let mut values = BTreeSet::new();
        if matchers.is_empty() {
            let mut visit = |value: &str| {
                if !values.contains(value) {
                    values.insert(value.to_owned());
                }
            };
            for block in self.blocks_in(range) {
                block.index().for_each_value(name, &mut visit)?;
            }
            self.store.head.read().index().for_each_value(name, &mut visit)?;
        } else {
            for series in self.select(matchers, range)? {
                if let Some(value) = series.labels.get(name)
                    && !values.contains(value)
                {
                    values.insert(value.to_owned());
                }
            }
        }
        Ok(values.into_iter().collect())
    }

    /// Returns the exemplars within `range` of the series that match, by series, sorted.
    pub fn exemplars(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Vec<(Labels, Vec<Exemplar>)>, ReadError> {
        let head = self.store.head.read();
        let mut found = Vec::new();
        for slot in matching(head.index(), matchers)? {
            let Some(id) = head.in_slot(slot) else { continue };
            let exemplars: Vec<_> =
                head.exemplars(id).filter(|e| range.contains(e.time_ms)).cloned().collect();
            if !exemplars.is_empty() {
                found.extend(head.labels(id).map(|labels| (labels, exemplars)));
            }
        }
        found.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }
}
