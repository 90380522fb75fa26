//! Label pairs, each held once under a small number, with the series that have it.

use std::borrow::Cow;
use std::hash::BuildHasher;

use hashbrown::hash_table::Entry;
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

/// From so many on, the pairs of all series together, an index is made by two threads.
const TWO_THREADS_MIN: usize = 1 << 18;

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
        let number = self.name_numbers.get(name).copied().unwrap_or_else(|| {
            let number = self.names.len() as u32;
            self.names.push(Name { text: name.into(), pairs: RoaringBitmap::new() });
            self.name_numbers.insert(name.into(), number);
            number
        });
        let (pairs, hasher) = (&self.entries, &self.hasher);
        let key = |id: &PairId| (pairs[*id as usize].name, &*pairs[*id as usize].value);
        let hash = hasher.hash_one((number, value));
        let entry =
            self.table.entry(hash, |id| key(id) == (number, value), |id| hasher.hash_one(key(id)));
        let vacant = match entry {
            Entry::Occupied(found) => return *found.get(),
            Entry::Vacant(vacant) => vacant,
        };
        let id = self.free.pop().unwrap_or(self.entries.len() as PairId);
        vacant.insert(id);
        let pair = Pair { name: number, users: 0, value: value.into(), posting: Posting::None };
        if id as usize == self.entries.len() {
            self.entries.push(pair);
        } else {
            self.entries[id as usize] = pair;
        }
        self.names[number as usize].pairs.insert(id);
        id
    }

    /// Returns the name and the value of a pair.
    pub(in crate::store) fn text(&self, id: PairId) -> (&str, &str) {
        let pair = &self.entries[id as usize];
        (&self.names[pair.name as usize].text, &pair.value)
    }

    /// Returns the number of a name, where a series has it.
    pub(in crate::store) fn number_of(&self, name: &str) -> Option<u32> {
        self.name_numbers.get(name).copied()
    }

    /// Returns the number of a pair's name.
    pub(in crate::store) fn name_number(&self, id: PairId) -> u32 {
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
    pub(super) fn index_all<'a>(
        &mut self,
        series: impl Iterator<Item = (Slot, &'a [PairId])> + Clone,
    ) {
        // The slots of all pairs in one array, and where those of each begin in it.
        let mut begin = vec![0usize; self.entries.len() + 1];
        for (_, ids) in series.clone() {
            for id in ids {
                begin[*id as usize + 1] += 1;
            }
        }
        for pair in 1..begin.len() {
            begin[pair] += begin[pair - 1];
        }
        let mut next = begin.clone();
        let mut slots: Vec<Slot> = vec![0; begin[begin.len() - 1]];
        for (slot, ids) in series.clone() {
            for id in ids {
                slots[next[*id as usize]] = slot;
                next[*id as usize] += 1;
            }
        }
        drop(next);
        if slots.len() < TWO_THREADS_MIN {
            Pair::set_postings(&mut self.entries, &begin, &slots);
        } else {
            let half = self.entries.len() / 2;
            let (first, second) = self.entries.split_at_mut(half);
            std::thread::scope(|scope| {
                scope.spawn(|| Pair::set_postings(first, &begin, &slots));
                Pair::set_postings(second, &begin[half..], &slots);
            });
        }
        self.all |= bitmap(series.map(|(slot, _)| slot));
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

    /// Returns a number that all pairs are below.
    pub(in crate::store) fn end(&self) -> PairId {
        self.entries.len() as PairId
    }

    /// Iterates over all names by their numbers.
    pub(in crate::store) fn names_by_number(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &*name.text)
    }

    /// Returns how many pairs there are.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    fn is_seen(&self, name: &Name) -> bool {
        name.pairs.iter().any(|id| self.entries[id as usize].posting.len() > 0)
    }
}

impl Pair {
    /// Gives pairs their series: those of the first begin at the first place of `begin`, and so on.
    fn set_postings(pairs: &mut [Pair], begin: &[usize], slots: &[Slot]) {
        for (pair, place) in pairs.iter_mut().zip(begin.windows(2)) {
            match slots[place[0]..place[1]] {
                [] => {}
                [one] => pair.posting = Posting::One(one),
                ref many => pair.posting = Posting::Many(bitmap(many.iter().copied())),
            }
        }
    }
}

/// Makes a bitmap of slots, quickly where they ascend, as they do.
fn bitmap(slots: impl Iterator<Item = Slot> + Clone) -> RoaringBitmap {
    RoaringBitmap::from_sorted_iter(slots.clone()).unwrap_or_else(|_| slots.collect())
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

    fn posting(&self, name: &str, value: &str) -> Result<Cow<'_, RoaringBitmap>, ReadError> {
        Ok(match self.find(name, value).map(|id| &self.entries[id as usize].posting) {
            Some(Posting::Many(posting)) => Cow::Borrowed(posting),
            Some(Posting::One(slot)) => Cow::Owned(RoaringBitmap::from([*slot])),
            Some(Posting::None) | None => Cow::default(),
        })
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
