use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::block::Block;
use super::blocks::BlockList;
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
