//! Label pairs, each held once under a small number, with the series that have it.

use std::hash::BuildHasher;

use hashbrown::{HashMap, HashTable};
use roaring::RoaringBitmap;

use super::Slot;
use crate::store::ReadError;
use crate::store::postings::LabelIndex;

/// The number of a label pair; given to another pair once no series has it.
pub(in crate::store) type PairId = u32;

/// All label pairs of the head.
pub(in crate::store) struct Pairs {
    entries: Vec<Pair>,
    free: Vec<PairId>,
    table: HashTable<PairId>,
    names: Vec<Name>,
    name_numbers: HashMap<Box<str>, u32>,
    hasher: foldhash::fast::RandomState,
    /// Every series that readers may see.
    all: RoaringBitmap,
}

struct Pair {
    name: u32,
    /// How many series have it, those that readers do not see included.
    users: u32,
    value: Box<str>,
    posting: Posting,
}

struct Name {
    text: Box<str>,
    /// Its pairs.
    pairs: RoaringBitmap,
}

/// The series that have a pair. Many pairs have one, for which a bitmap would be a waste.
enum Posting {
    None,
    One(Slot),
    Many(RoaringBitmap),
}

impl Pairs {
    pub(super) fn new() -> Pairs {
        Pairs {
            entries: Vec::new(),
            free: Vec::new(),
            table: HashTable::new(),
            names: Vec::new(),
            name_numbers: HashMap::new(),
            hasher: foldhash::fast::RandomState::default(),
            all: RoaringBitmap::new(),
        }
    }

    /// Returns the number of a pair, where it is known.
    pub(super) fn find(&self, name: &str, value: &str) -> Option<PairId> {
        let name = *self.name_numbers.get(name)?;
        let hash = self.hasher.hash_one((name, value));
        let same = |id: &PairId| {
            let pair = &self.entries[*id as usize];
            pair.name == name && *pair.value == *value
        };
        self.table.find(hash, same).copied()
    }

    /// Returns the number of a pair, and gives it one if need be.
    pub(super) fn intern(&mut self, name: &str, value: &str) -> PairId {
        if let Some(found) = self.find(name, value) {
            return found;
        }
        let number = self.name_numbers.get(name).copied().unwrap_or_else(|| {
            let number = self.names.len() as u32;
            self.names.push(Name { text: name.into(), pairs: RoaringBitmap::new() });
            self.name_numbers.insert(name.into(), number);
            number
        });
        let pair = Pair { name: number, users: 0, value: value.into(), posting: Posting::None };
        let id = if let Some(free) = self.free.pop() {
            self.entries[free as usize] = pair;
            free
        } else {
            self.entries.push(pair);
            self.entries.len() as PairId - 1
        };
        self.names[number as usize].pairs.insert(id);
        let hash = self.hasher.hash_one((number, value));
        let (pairs, hasher) = (&self.entries, &self.hasher);
        self.table.insert_unique(hash, id, |id| {
            let pair = &pairs[*id as usize];
            hasher.hash_one((pair.name, &*pair.value))
        });
        id
    }

    /// Returns the name and the value of a pair.
    pub(in crate::store) fn text(&self, id: PairId) -> (&str, &str) {
        let pair = &self.entries[id as usize];
        (&self.names[pair.name as usize].text, &pair.value)
    }

    /// Returns the number of a pair's name.
    pub(super) fn name_number(&self, id: PairId) -> u32 {
        self.entries[id as usize].name
    }

    /// Says that a series has these pairs.
    pub(super) fn retain(&mut self, ids: &[PairId]) {
        for id in ids {
            self.entries[*id as usize].users += 1;
        }
    }

    /// Says that a series is gone; pairs that no other one has are forgotten.
    pub(super) fn release(&mut self, ids: &[PairId], slot: Slot) {
        self.all.remove(slot);
        for id in ids {
            let pair = &mut self.entries[*id as usize];
            pair.posting.remove(slot);
            pair.users -= 1;
            if pair.users > 0 {
                continue;
            }
            let hash = self.hasher.hash_one((pair.name, &*pair.value));
            if let Ok(entry) = self.table.find_entry(hash, |found| found == id) {
                entry.remove();
            }
            self.names[pair.name as usize].pairs.remove(*id);
            pair.value = "".into();
            pair.posting = Posting::None;
            self.free.push(*id);
        }
    }

    /// Lets readers find a series by its pairs.
    pub(super) fn index(&mut self, ids: &[PairId], slot: Slot) {
        self.all.insert(slot);
        for id in ids {
            self.entries[*id as usize].posting.insert(slot);
        }
    }

    /// As [`Pairs::index`] for many series, by ascending slot, none of which is in the index.
    pub(super) fn index_all<'a>(&mut self, series: impl Iterator<Item = (Slot, &'a [PairId])>) {
        let mut slots = Vec::new();
        let mut of_pairs: Vec<Vec<Slot>> = vec![Vec::new(); self.entries.len()];
        for (slot, ids) in series {
            slots.push(slot);
            for id in ids {
                of_pairs[*id as usize].push(slot);
            }
        }
        let bitmap = |slots: Vec<Slot>| {
            RoaringBitmap::from_sorted_iter(slots).expect("they come by ascending slot")
        };
        for (pair, slots) in self.entries.iter_mut().zip(of_pairs) {
            match slots[..] {
                [] => {}
                [one] => pair.posting = Posting::One(one),
                _ => pair.posting = Posting::Many(bitmap(slots)),
            }
        }
        self.all |= bitmap(slots);
    }

    /// Iterates over the names that some series has.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().filter(|name| self.is_seen(name)).map(|name| &*name.text)
    }

    /// Iterates over the values of a name, with how many series have each.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = (&str, u64)> {
        let number = self.name_numbers.get(name);
        let pairs = number.map(|number| &self.names[*number as usize].pairs);
        pairs.into_iter().flatten().filter_map(|id| {
            let pair = &self.entries[id as usize];
            let count = pair.posting.len();
            (count > 0).then_some((&*pair.value, count))
        })
    }

    /// Returns how many pairs there are.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    fn is_seen(&self, name: &Name) -> bool {
        name.pairs.iter().any(|id| self.entries[id as usize].posting.len() > 0)
    }
}

impl Posting {
    fn insert(&mut self, slot: Slot) {
        match self {
            Posting::None => *self = Posting::One(slot),
            Posting::One(one) => {
                *self = Posting::Many([*one, slot].into_iter().collect());
            }
            Posting::Many(many) => {
                many.insert(slot);
            }
        }
    }

    fn remove(&mut self, slot: Slot) {
        match self {
            Posting::One(one) if *one == slot => *self = Posting::None,
            Posting::Many(many) => {
                many.remove(slot);
            }
            _ => {}
        }
    }

    fn len(&self) -> u64 {
        match self {
            Posting::None => 0,
            Posting::One(_) => 1,
            Posting::Many(many) => many.len(),
        }
    }

    fn union_into(&self, union: &mut RoaringBitmap) {
        match self {
            Posting::None => {}
            Posting::One(slot) => {
                union.insert(*slot);
            }
            Posting::Many(many) => *union |= many,
        }
    }
}

impl LabelIndex for Pairs {
    fn all(&self) -> Result<RoaringBitmap, ReadError> {
        Ok(self.all.clone())
    }

    fn posting(&self, name: &str, value: &str) -> Result<Option<RoaringBitmap>, ReadError> {
        let Some(id) = self.find(name, value) else { return Ok(None) };
        let mut posting = RoaringBitmap::new();
        self.entries[id as usize].posting.union_into(&mut posting);
        Ok(Some(posting))
    }

    fn union_where(
        &self,
        name: &str,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<RoaringBitmap, ReadError> {
        let mut union = RoaringBitmap::new();
        let Some(number) = self.name_numbers.get(name) else { return Ok(union) };
        for id in &self.names[*number as usize].pairs {
            let pair = &self.entries[id as usize];
            if wanted(&pair.value) {
                pair.posting.union_into(&mut union);
            }
        }
        Ok(union)
    }

    fn for_each_name(&self, visit: &mut dyn FnMut(&str)) -> Result<(), ReadError> {
        self.names().for_each(visit);
        Ok(())
    }

    fn for_each_value(&self, name: &str, visit: &mut dyn FnMut(&str)) -> Result<(), ReadError> {
        self.values(name).for_each(|(value, _)| visit(value));
        Ok(())
    }
}
