//! From a series as a sender spells it to its id, for all senders together.
//!
//! Senders repeat their series in the same order, so the series that followed this one last time is
//! compared first; only when that fails is the table asked. What follows what is kept here and not
//! per connection, since a sender spreads the same series over whatever connections it has.
//!
//! A spelling is known by 128 bits of keyed hash and its bytes are not kept: among ten million of
//! them the odds of two alike are below 1e-24, and the keys are drawn when the process starts.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU32, Ordering};

use hashbrown::HashTable;

use crate::series::SeriesId;

/// How a sender spells a series, as a hash; of meaning within the store that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spelling([u64; 2]);

impl Hash for Spelling {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0[0]);
    }
}

/// Makes spellings. Of two stores each makes its own.
#[derive(Clone, Debug)]
pub struct Speller([foldhash::quality::RandomState; 2]);

/// Odd, with bits all over.
const MIX: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xd6e8_feb8_6659_fd93];

impl Speller {
    pub(super) fn new() -> Speller {
        Speller([
            foldhash::quality::RandomState::default(),
            foldhash::quality::RandomState::default(),
        ])
    }

    /// Returns the spelling of a series that is these bytes.
    #[inline]
    pub fn spell(&self, bytes: &[u8]) -> Spelling {
        Spelling([self.0[0].hash_one(bytes), self.0[1].hash_one(bytes)])
    }
}

impl Spelling {
    /// The spelling of nothing, to which parts are added.
    pub const EMPTY: Spelling = Spelling(MIX);

    /// Returns the spelling that is this one followed by another.
    #[must_use]
    #[inline]
    pub fn then(self, next: Spelling) -> Spelling {
        let lane = |at: usize| {
            let product = u128::from(self.0[at] ^ next.0[at]) * u128::from(MIX[at]);
            (product as u64).rotate_left(29) ^ (product >> 64) as u64
        };
        Spelling([lane(0), lane(1)])
    }
}

/// No entry; the one before the first.
pub(super) const START: u32 = 0;

/// The series that are known by their spelling.
pub(super) struct Spellings {
    entries: Vec<Entry>,
    table: HashTable<u32>,
    free: Vec<u32>,
}

struct Entry {
    spelling: Spelling,
    id: SeriesId,
    /// The entry that followed last time.
    next: AtomicU32,
}

/// How a series was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Predicted(u32, SeriesId),
    Hashed(u32, SeriesId),
    Not,
}

impl Spellings {
    pub(super) fn new() -> Spellings {
        let start = Entry {
            spelling: Spelling([0; 2]),
            id: SeriesId(u64::MAX),
            next: AtomicU32::new(START),
        };
        Spellings { entries: vec![start], table: HashTable::new(), free: Vec::new() }
    }

    /// Finds a series after the entry `last` was found.
    #[inline]
    pub(super) fn find(&self, spelling: Spelling, last: u32) -> Found {
        // The vector only grows, and what is free has a spelling that no series has.
        let last = &self.entries[last as usize];
        let predicted = last.next.load(Ordering::Relaxed);
        let entry = &self.entries[predicted as usize];
        if entry.spelling == spelling {
            return Found::Predicted(predicted, entry.id);
        }
        let same = |at: &u32| self.entries[*at as usize].spelling == spelling;
        match self.table.find(spelling.0[0], same) {
            Some(found) => {
                last.next.store(*found, Ordering::Relaxed);
                Found::Hashed(*found, self.entries[*found as usize].id)
            }
            None => Found::Not,
        }
    }

    /// Remembers a spelling, or that it stands for another series by now.
    pub(super) fn insert(&mut self, spelling: Spelling, id: SeriesId) {
        let same = |at: &u32| self.entries[*at as usize].spelling == spelling;
        if let Some(found) = self.table.find(spelling.0[0], same) {
            self.entries[*found as usize].id = id;
            return;
        }
        let entry = Entry { spelling, id, next: AtomicU32::new(START) };
        let at = if let Some(free) = self.free.pop() {
            self.entries[free as usize] = entry;
            free
        } else {
            self.entries.push(entry);
            self.entries.len() as u32 - 1
        };
        let entries = &self.entries;
        self.table.insert_unique(spelling.0[0], at, |at| entries[*at as usize].spelling.0[0]);
    }

    /// Forgets the series that are not alive any more.
    pub(super) fn retain(&mut self, is_alive: impl Fn(SeriesId) -> bool) {
        let (entries, free) = (&mut self.entries, &mut self.free);
        self.table.retain(|at| {
            let entry = &mut entries[*at as usize];
            let kept = is_alive(entry.id);
            if !kept {
                entry.spelling = Spelling([0; 2]);
                free.push(*at);
            }
            kept
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_in_any_order_and_predicts_a_repeated_one() {
        let (speller, mut spellings) = (Speller::new(), Spellings::new());
        let keys: Vec<_> = (0..100u64).map(|i| speller.spell(&i.to_le_bytes())).collect();
        for (i, key) in keys.iter().enumerate() {
            assert_eq!(spellings.find(*key, START), Found::Not);
            spellings.insert(*key, SeriesId(i as u64));
        }
        let round = |expected: &dyn Fn(Found) -> Option<(u32, SeriesId)>| {
            let mut last = START;
            for (i, key) in keys.iter().enumerate() {
                let (at, id) = expected(spellings.find(*key, last)).unwrap();
                assert_eq!(id, SeriesId(i as u64));
                last = at;
            }
        };
        round(&|found| if let Found::Hashed(at, id) = found { Some((at, id)) } else { None });
        round(&|found| if let Found::Predicted(at, id) = found { Some((at, id)) } else { None });
        spellings.retain(|id| id.0 % 2 == 0);
        assert_eq!(spellings.find(keys[1], START), Found::Not);
        assert!(matches!(spellings.find(keys[2], START), Found::Hashed(_, SeriesId(2))));
        spellings.insert(keys[1], SeriesId(200));
        assert!(matches!(spellings.find(keys[1], START), Found::Hashed(_, SeriesId(200))));
    }

    #[test]
    fn the_order_of_parts_matters() {
        let speller = Speller::new();
        let (a, b) = (speller.spell(b"a"), speller.spell(b"b"));
        let of =
            |parts: &[Spelling]| parts.iter().fold(Spelling::EMPTY, |all, part| all.then(*part));
        assert_ne!(of(&[a, b]), of(&[b, a]));
        assert_ne!(of(&[a]), of(&[a, a]));
        assert_eq!(of(&[a, b]), of(&[a, b]));
    }
}
