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
pub(super) use series::{Series, Stored, copy_range};

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

/// A damaged log must not ask for endless slots: one record holds fewer new series than this.
const SLOT_GAP_MAX: usize = 1 << 22;

/// The first generation of series that got a slot while the log was replayed.
const FRESH_GENERATION: u32 = 1 << 30;

/// All series of the head. Behind one lock: appended to under its write half, for the time it takes
/// to copy a transaction; no I/O is done under it.
pub(super) struct Head {
    slots: Vec<Place>,
    free: Vec<Slot>,
    table: HashTable<Slot>,
    hasher: foldhash::fast::RandomState,
    /// Which series have which labels.
    pub(super) index: HeadIndex,
    /// Ids in the log for series that have another one by now; a checkpoint must name them too.
    pub(super) aliases: Vec<(SeriesId, Labels)>,
    /// The latest metadata of each metric name.
    pub(super) metadata: HashMap<String, MetricMetadata>,
}

#[derive(Default)]
struct Place {
    /// That of the present series.
    generation: u32,
    /// How many generations were given out.
    generations: u32,
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
            aliases: Vec::new(),
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
        let generation = self.slots[slot as usize].generations;
        self.place(slot, generation, labels)
    }

    /// Creates a series under the id that the log has for it. Where it exists under another id, or
    /// the slot is taken, it returns that other id, or one that is not in the log yet.
    pub(super) fn restore(&mut self, id: SeriesId, labels: &Labels) -> SeriesId {
        let (slot, generation) = split(id);
        let found = self.find(labels);
        if slot as usize >= self.slots.len() && (slot as usize) < self.slots.len() + SLOT_GAP_MAX {
            self.slots.resize_with(slot as usize + 1, Place::default);
        }
        let Some(place) = self.slots.get_mut(slot as usize) else {
            return found.unwrap_or_else(|| self.find_or_create(labels));
        };
        place.generations = place.generations.max(generation.saturating_add(1));
        if let Some(found) = found {
            return found;
        }
        if place.series.is_none() {
            return self.place(slot, generation, labels);
        }
        // A slot beyond all others, in a generation that the log cannot have.
        self.slots.push(Place::default());
        self.place(self.slots.len() as Slot - 1, FRESH_GENERATION, labels)
    }

    /// Lets new series take the slots that replaying the log has left empty. `aliases` are other
    /// ids under which the log has samples.
    pub(super) fn finish_restoring(&mut self, aliases: Vec<(SeriesId, Labels)>) {
        self.aliases = aliases;
        let slots = self.slots.iter().enumerate();
        let empty = slots.filter(|(_, place)| place.series.is_none());
        self.free = empty.map(|(slot, _)| slot as Slot).collect();
    }

    /// Forgets a series; its id is never given out again.
    pub(super) fn forget(&mut self, id: SeriesId) -> Option<Labels> {
        let (slot, _) = split(id);
        let labels = self.get(id)?.labels.clone();
        let hash = self.hasher.hash_one(labels.identity_bytes());
        if let Ok(entry) = self.table.find_entry(hash, |found| *found == slot) {
            entry.remove();
        }
        self.index.remove(slot, &labels);
        self.slots[slot as usize].series = None;
        self.free.push(slot);
        Some(labels)
    }

    /// Puts a series into an empty slot.
    fn place(&mut self, slot: Slot, generation: u32, labels: &Labels) -> SeriesId {
        let hash = self.hasher.hash_one(labels.identity_bytes());
        let place = &mut self.slots[slot as usize];
        place.series = Some(Box::new(Series::new(labels.clone())));
        place.generation = generation;
        place.generations = place.generations.max(generation.saturating_add(1));
        let id = join(slot, generation);
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.table.insert_unique(hash, slot, |slot| {
            let series = slots[*slot as usize].series.as_ref().expect("the table names live slots");
            hasher.hash_one(series.labels.identity_bytes())
        });
        id
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

    /// Returns a series for upkeep, which does not bring it into the index.
    pub(super) fn get_mut_unseen(&mut self, id: SeriesId) -> Option<&mut Series> {
        let (slot, generation) = split(id);
        let place = self.slots.get_mut(slot as usize)?;
        place.series.as_deref_mut().filter(|_| place.generation == generation)
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

    /// Returns how many slots there are.
    pub(super) fn slot_count(&self) -> Slot {
        self.slots.len() as Slot
    }

    /// Returns how many series there are.
    pub(super) fn series_count(&self) -> usize {
        self.table.len()
    }
}
