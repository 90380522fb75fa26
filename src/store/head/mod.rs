//! The newest samples, in memory: series, their label index, and what was not yet cut into a block.
//!
//! Entry points: [`Head::find_or_create`], [`Head::get`], and the columns of a [`Series`].
//!
//! Invariants: a [`SeriesId`] is a slot and its generation, so an id is never given out twice while
//! slots are; a series is in the index from its first sample on, and readers cannot see it before.
//!
//! Absent on purpose: judging what may be appended (`judge`) and the log, which come before.

mod index;
mod report;
mod series;

use std::hash::BuildHasher;

use hashbrown::{HashMap, HashTable};

pub(super) use index::HeadIndex;
pub(super) use series::{Series, Stored};

use super::types::MetricMetadata;
use crate::series::{Labels, SeriesId};

/// The place of a series in the head's tables.
pub(super) type Slot = u32;

/// Returns the slot and the generation that an id names.
pub(super) fn split(id: SeriesId) -> (Slot, u32) {
    (id.0 as u32, (id.0 >> 32) as u32)
}

fn join(slot: Slot, generation: u32) -> SeriesId {
    SeriesId(u64::from(generation) << 32 | u64::from(slot))
}

/// All series of the head. Behind one lock: appended to under its write half, for the time it takes
/// to copy a transaction; no I/O is done under it.
pub(super) struct Head {
    slots: Vec<Place>,
    free: Vec<Slot>,
    table: HashTable<Slot>,
    hasher: foldhash::fast::RandomState,
    /// Which series have which labels.
    pub(super) index: HeadIndex,
    /// The latest metadata of each metric name.
    pub(super) metadata: HashMap<String, MetricMetadata>,
}

#[derive(Default)]
struct Place {
    generation: u32,
    series: Option<Box<Series>>,
}

impl Head {
    pub(super) fn new() -> Head {
        Head {
            slots: Vec::new(),
            free: Vec::new(),
            table: HashTable::new(),
            hasher: foldhash::fast::RandomState::default(),
            index: HeadIndex::default(),
            metadata: HashMap::new(),
        }
    }

    /// Returns the id of the series with these labels, where it exists.
    pub(super) fn find(&self, labels: &Labels) -> Option<SeriesId> {
        let hash = self.hasher.hash_one(labels.identity_bytes());
        let slot = *self.table.find(hash, |slot| self.labels_at(*slot) == Some(labels))?;
        Some(join(slot, self.slots[slot as usize].generation))
    }

    /// Returns the id of the series with these labels, and creates it if need be, without samples.
    pub(super) fn find_or_create(&mut self, labels: &Labels) -> SeriesId {
        if let Some(id) = self.find(labels) {
            return id;
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Place::default());
            self.slots.len() as Slot - 1
        });
        self.place(slot, labels);
        join(slot, self.slots[slot as usize].generation)
    }

    fn place(&mut self, slot: Slot, labels: &Labels) {
        let hash = self.hasher.hash_one(labels.identity_bytes());
        self.slots[slot as usize].series = Some(Box::new(Series::new(labels.clone())));
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.table.insert_unique(hash, slot, |slot| {
            let series = slots[*slot as usize].series.as_ref().expect("the table names live slots");
            hasher.hash_one(series.labels.identity_bytes())
        });
    }

    fn labels_at(&self, slot: Slot) -> Option<&Labels> {
        self.slots[slot as usize].series.as_ref().map(|series| &series.labels)
    }

    /// Returns a series, unless it was forgotten.
    pub(super) fn get(&self, id: SeriesId) -> Option<&Series> {
        let (slot, generation) = split(id);
        let place = self.slots.get(slot as usize)?;
        place.series.as_deref().filter(|_| place.generation == generation)
    }

    /// Returns a series to append to, unless it was forgotten; it is in the index from here on.
    pub(super) fn get_mut(&mut self, id: SeriesId) -> Option<&mut Series> {
        let (slot, generation) = split(id);
        let place = self.slots.get_mut(slot as usize)?;
        let series = place.series.as_deref_mut().filter(|_| place.generation == generation)?;
        if !series.indexed {
            series.indexed = true;
            self.index.insert(slot, &series.labels);
        }
        Some(series)
    }

    /// Returns the series in a slot, for slots that the index names.
    pub(super) fn in_slot(&self, slot: Slot) -> Option<(SeriesId, &Series)> {
        let place = self.slots.get(slot as usize)?;
        Some((join(slot, place.generation), place.series.as_deref()?))
    }

    /// Iterates over all series, those without samples included.
    pub(super) fn iter(&self) -> impl Iterator<Item = (SeriesId, &Series)> {
        (0..self.slots.len() as Slot).filter_map(|slot| self.in_slot(slot))
    }

    /// Returns how many slots there are; ids are below.
    pub(super) fn slot_count(&self) -> usize {
        self.slots.len()
    }

    /// Returns how many series there are.
    pub(super) fn series_count(&self) -> usize {
        self.table.len()
    }
}
