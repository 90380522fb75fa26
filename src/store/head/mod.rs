//! The newest samples, in memory: series, their label index, and what was not yet cut into a block.
//!
//! Entry points: [`Head::find_or_create`], [`Head::push_float`], [`Head::read`].
//!
//! A series is a cell of fixed size in one array; what varies is in arrays shared by all: label
//! pairs (`pairs`) and sets of them (`sets`), the times of open samples (`columns`) and their values
//! (`stream`). So a series costs no allocation of its own until it has a chunk.
//!
//! Invariants: a [`SeriesId`] is a slot and its generation, so an id is never given out twice while
//! slots are; a series is in the index from its first sample on, and readers cannot see it before.
//!
//! Absent on purpose: judging what may be appended (`judge`) and the log, which come before; shards:
//! one lock, held for the time it takes to copy a transaction, is not what limits a server.

mod columns;
mod pairs;
mod report;
mod samples;
mod saved;
mod sets;
mod stream;

use std::collections::VecDeque;
use std::hash::BuildHasher;

use hashbrown::hash_table::Entry;
use hashbrown::{HashMap, HashTable};

pub(super) use pairs::{PairId, Pairs};
pub(super) use samples::Stored;
pub(super) use saved::Saver;

use super::types::{Exemplar, MetricMetadata};
use crate::series::{Labels, SeriesId};
use columns::Columns;
use samples::Samples;
use saved::Restorer;
use sets::{Set, Sets};
use stream::Streams;

/// How many exemplars all series have together; as many as upstream keeps by default.
const EXEMPLARS_MAX: usize = 100_000;

/// The place of a series in the head's tables.
pub(super) type Slot = u32;

/// The generation of no series.
pub(super) const NO_GENERATION: u32 = u32::MAX;

/// Returns the slot and the generation that an id names.
#[inline]
pub(super) fn split(id: SeriesId) -> (Slot, u32) {
    (id.0 as u32, (id.0 >> 32) as u32)
}

/// Returns the id of a slot in a generation.
pub(super) fn join(slot: Slot, generation: u32) -> SeriesId {
    SeriesId(u64::from(generation) << 32 | u64::from(slot))
}

/// All series of the head. Behind one lock: appended to under its write half, for the time it takes
/// to copy a transaction; no I/O is done under it.
pub(super) struct Head {
    cells: Vec<Cell>,
    free: Vec<Slot>,
    table: HashTable<Slot>,
    hasher: foldhash::fast::RandomState,
    pairs: Pairs,
    sets: Sets,
    columns: Columns,
    streams: Streams,
    /// Until [`Head::finish_restoring`], which also puts the series that became seen into the index.
    restoring: Option<Box<Restorer>>,
    /// The pairs of the label set that is looked up.
    looked_up: Vec<PairId>,
    /// The values that are being sealed.
    values: Vec<f64>,
    /// Which series have exemplars, and of which times, as they came; some are gone already.
    exemplars: VecDeque<(SeriesId, i64)>,
    /// How many series were ever forgotten.
    forgotten_count: u64,
    /// The latest metadata of each metric name.
    pub(super) metadata: HashMap<String, MetricMetadata>,
}

/// One series.
struct Cell {
    /// That of the present series, or of the next one.
    generation: u32,
    is_live: bool,
    /// Whether the index names it, that is, whether readers see it.
    is_seen: bool,
    /// Whether an open float has a start timestamp; said here because it is asked for each float.
    has_starts: bool,
    set: Set,
    samples: Samples,
}

impl Cell {
    const EMPTY: Cell = Cell {
        generation: 0,
        is_live: false,
        is_seen: false,
        has_starts: false,
        set: Set::EMPTY,
        samples: Samples::EMPTY,
    };
}

impl Head {
    pub(super) fn new() -> Head {
        Head {
            cells: Vec::new(),
            free: Vec::new(),
            table: HashTable::new(),
            hasher: foldhash::fast::RandomState::default(),
            pairs: Pairs::new(),
            sets: Sets::default(),
            columns: Columns::new(),
            streams: Streams::new(),
            restoring: None,
            looked_up: Vec::new(),
            values: Vec::new(),
            exemplars: VecDeque::new(),
            forgotten_count: 0,
            metadata: HashMap::new(),
        }
    }

    /// Returns an empty head that is going to be filled from the log.
    pub(super) fn to_restore() -> Head {
        Head { restoring: Some(Box::default()), ..Head::new() }
    }

    /// Puts all series that were restored into the index, which is cheaper than one by one.
    pub(super) fn finish_restoring(&mut self) {
        if let Some(restorer) = self.restoring.take() {
            restorer.finish(self);
        }
        let seen = self.cells.iter().enumerate().filter(|(_, cell)| cell.is_live && cell.is_seen);
        self.pairs.index_all(seen.map(|(at, cell)| (at as Slot, self.sets.get(cell.set))));
    }

    /// Returns the id of the series with these labels, and creates it if need be, without samples.
    pub(super) fn find_or_create(&mut self, labels: &Labels) -> SeriesId {
        let mut ids = std::mem::take(&mut self.looked_up);
        ids.clear();
        ids.extend(labels.iter().map(|(name, value)| self.pairs.intern(name, value)));
        let id = self.find_or_create_set(&ids);
        self.looked_up = ids;
        id
    }

    /// Returns the number of a label pair, and gives it one if need be.
    pub(super) fn intern(&mut self, name: &str, value: &str) -> PairId {
        self.pairs.intern(name, value)
    }

    /// As [`Head::find_or_create`], by the numbers of the pairs, sorted by their names.
    pub(super) fn find_or_create_set(&mut self, ids: &[PairId]) -> SeriesId {
        let (cells, sets, hasher) = (&self.cells, &self.sets, &self.hasher);
        let set_of = |slot: &Slot| sets.get(cells[*slot as usize].set);
        let hash = hasher.hash_one(ids);
        let entry = self.table.entry(
            hash,
            |slot| set_of(slot) == ids,
            |slot| hasher.hash_one(set_of(slot)),
        );
        let vacant = match entry {
            Entry::Occupied(found) => {
                let slot = *found.get() as usize;
                return self.id_at(slot);
            }
            Entry::Vacant(vacant) => vacant,
        };
        let slot = self.free.pop().unwrap_or(self.cells.len() as Slot);
        vacant.insert(slot);
        if slot as usize == self.cells.len() {
            self.cells.push(Cell::EMPTY);
        }
        self.pairs.retain(ids);
        let cell = &mut self.cells[slot as usize];
        (cell.is_live, cell.is_seen) = (true, false);
        cell.set = self.sets.insert(ids);
        self.id_at(slot as usize)
    }

    /// Brings where the table has some label sets, or would have them, near the processor, all side by
    /// side.
    pub(super) fn warm_table<'a>(&self, sets: impl Iterator<Item = &'a [PairId]>) {
        for set in sets {
            std::hint::black_box(self.table.find(self.hasher.hash_one(set), |_| false));
        }
    }

    /// Makes room for so many more series.
    pub(super) fn reserve(&mut self, count: usize) {
        let (cells, sets, hasher) = (&self.cells, &self.sets, &self.hasher);
        self.table.reserve(count, |slot| hasher.hash_one(sets.get(cells[*slot as usize].set)));
        self.cells.reserve_exact(count);
        self.sets.reserve(count);
    }

    /// Forgets a series; its id is never given out again.
    pub(super) fn forget(&mut self, id: SeriesId) -> Option<Labels> {
        let at = self.place_of(id)?;
        let labels = self.labels(id)?;
        let slot = at as Slot;
        self.clear(at);
        let set = std::mem::replace(&mut self.cells[at].set, Set::EMPTY);
        let hash = self.hasher.hash_one(self.sets.get(set));
        if let Ok(entry) = self.table.find_entry(hash, |found| *found == slot) {
            entry.remove();
        }
        self.forgotten_count += 1;
        self.pairs.release(self.sets.get(set), slot);
        self.sets.remove(set);
        let cell = &mut self.cells[at];
        cell.is_live = false;
        cell.samples = Samples::EMPTY;
        // A slot whose generations are used up stays empty.
        if cell.generation + 1 < NO_GENERATION {
            cell.generation += 1;
            self.free.push(slot);
        }
        Some(labels)
    }

    /// Returns how many series were ever forgotten: as long as that stays the same, numbers of slots
    /// and pairs mean what they meant.
    pub(super) fn forgotten_count(&self) -> u64 {
        self.forgotten_count
    }

    /// Brings what a sample of each of some series will touch near the processor. The misses of a
    /// few series overlap, where those of one after the other would add up.
    #[inline]
    pub(super) fn warm(&self, ids: impl Iterator<Item = SeriesId> + Clone) {
        let streams = ids.filter_map(|id| Some(&self.cells.get(split(id).0 as usize)?.samples));
        let mut seen = 0;
        for samples in streams.clone() {
            seen ^= u32::from(samples.open_count());
        }
        for samples in streams {
            seen ^= self.streams.touch(samples.open_stream());
        }
        std::hint::black_box(seen);
    }

    /// As [`Head::warm`], for all open samples of some series.
    pub(super) fn warm_to_read(&self, ids: impl Iterator<Item = SeriesId>) {
        let streams =
            ids.filter_map(|id| Some(&self.cells.get(split(id).0 as usize)?.samples.open));
        let mut blocks = streams.map(|stream| stream.first).collect();
        while self.streams.step(&mut blocks) {}
    }

    #[inline]
    fn place_of(&self, id: SeriesId) -> Option<usize> {
        let (slot, generation) = split(id);
        let cell = self.cells.get(slot as usize)?;
        (cell.is_live && cell.generation == generation).then_some(slot as usize)
    }

    fn id_at(&self, at: usize) -> SeriesId {
        join(at as Slot, self.cells[at].generation)
    }

    /// Lets readers see a series.
    #[inline]
    fn show(&mut self, at: usize) {
        let cell = &mut self.cells[at];
        if !cell.is_seen {
            cell.is_seen = true;
            if self.restoring.is_none() {
                self.pairs.index(self.sets.get(cell.set), at as Slot);
            }
        }
    }

    /// Returns whether a series is there, and was not forgotten.
    pub(super) fn contains(&self, id: SeriesId) -> bool {
        self.place_of(id).is_some()
    }

    /// Returns the labels of a series, unless it was forgotten.
    pub(super) fn labels(&self, id: SeriesId) -> Option<Labels> {
        let at = self.place_of(id)?;
        let ids = self.sets.get(self.cells[at].set).iter();
        Some(Labels::from_sorted(ids.map(|id| self.pairs.text(*id))))
    }

    /// Returns the label pairs of a series, sorted by name.
    pub(super) fn pair_ids(&self, id: SeriesId) -> &[PairId] {
        self.place_of(id).map_or(&[], |at| self.sets.get(self.cells[at].set))
    }

    /// Returns which series have which labels.
    pub(super) fn index(&self) -> &Pairs {
        &self.pairs
    }

    /// Returns the series in a slot, for slots that the index names.
    pub(super) fn in_slot(&self, slot: Slot) -> Option<SeriesId> {
        self.cells.get(slot as usize).filter(|cell| cell.is_live)?;
        Some(self.id_at(slot as usize))
    }

    /// Iterates over all series, those without samples included.
    pub(super) fn iter(&self) -> impl Iterator<Item = SeriesId> {
        (0..self.cells.len() as Slot).filter_map(|slot| self.in_slot(slot))
    }

    /// Adds an exemplar, the newest of its series. The one that came first of all makes room where
    /// there are [`EXEMPLARS_MAX`].
    pub(super) fn push_exemplar(&mut self, id: SeriesId, exemplar: Exemplar) {
        let Some(at) = self.place_of(id) else { return };
        self.show(at);
        if self.exemplars.len() == EXEMPLARS_MAX
            && let Some((id, time_ms)) = self.exemplars.pop_front()
            && let Some(at) = self.place_of(id)
        {
            self.cells[at].samples.drop_exemplar(time_ms);
        }
        self.exemplars.push_back((id, exemplar.time_ms));
        self.cells[at].samples.push_exemplar(exemplar);
    }

    /// Iterates over the exemplars of a series in time order.
    pub(super) fn exemplars(&self, id: SeriesId) -> impl DoubleEndedIterator<Item = &Exemplar> {
        self.place_of(id).into_iter().flat_map(|at| self.cells[at].samples.exemplars())
    }

    /// Returns how many slots there are.
    pub(super) fn slot_count(&self) -> Slot {
        self.cells.len() as Slot
    }

    /// Returns how many series there are.
    pub(super) fn series_count(&self) -> usize {
        self.table.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_takes_one_cache_line() {
        assert_eq!(size_of::<Cell>(), 64);
    }

    #[test]
    fn of_too_many_exemplars_those_that_came_first_make_room() {
        const SERIES: i64 = 2000;
        let rounds = EXEMPLARS_MAX as i64 / SERIES + 10;
        let mut head = Head::new();
        let ids: Vec<_> = (0..SERIES)
            .map(|n| head.find_or_create(&Labels::from_pairs([("n", n.to_string())])))
            .collect();
        let exemplar = |time_ms| Exemplar { labels: Labels::empty(), value: 1.0, time_ms };
        for time_ms in 0..rounds {
            for id in &ids {
                head.push_exemplar(*id, exemplar(time_ms));
            }
        }
        for id in &ids {
            let times_ms: Vec<_> = head.exemplars(*id).map(|held| held.time_ms).collect();
            assert_eq!(times_ms, (10..rounds).collect::<Vec<_>>());
        }
        // One that has many loses its own.
        for time_ms in rounds..rounds + 100 {
            head.push_exemplar(ids[7], exemplar(time_ms));
        }
        assert_eq!(head.exemplars(ids[7]).count(), 64);
        assert_eq!(head.exemplars(ids[6]).count(), EXEMPLARS_MAX / SERIES as usize - 1);
        assert_eq!(head.exemplars(ids[1000]).count(), EXEMPLARS_MAX / SERIES as usize);
    }
}
