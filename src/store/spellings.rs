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
pub struct Spelling {
    hash: [u64; 2],
    /// Bytes that it is the hash of, 0 where it was made of parts.
    len: u32,
}

impl Hash for Spelling {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash[0]);
    }
}

/// Makes spellings. Of two stores each makes its own.
#[derive(Clone, Debug)]
pub struct Speller {
    hashers: [foldhash::quality::RandomState; 2],
    /// Odd, one for each place of a part.
    factors: [[u64; 2]; FACTORS],
}

/// What the spelling of no parts is: not zero, which no series has.
const START_HASH: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xd6e8_feb8_6659_fd93];

/// Places of parts that have a factor of their own; series have a name and a value per label.
const FACTORS: usize = 64;

impl Speller {
    pub(super) fn new() -> Speller {
        let hashers = [(); 2].map(|()| foldhash::quality::RandomState::default());
        let factor = |place: usize| [0, 1].map(|lane: usize| hashers[lane].hash_one(place) | 1);
        let factors = std::array::from_fn(factor);
        Speller { hashers, factors }
    }

    /// Returns the spelling of a series that is these bytes.
    #[inline]
    pub fn spell(&self, bytes: &[u8]) -> Spelling {
        Spelling { hash: self.hash(bytes), len: u32::try_from(bytes.len()).unwrap_or(0) }
    }

    /// Returns the spelling of a series that is these parts in this order: the sum of the parts'
    /// hashes, each times the factor of its place (multilinear hashing: Carter and Wegman 1979), so
    /// that no step waits for the one before.
    #[inline]
    pub fn join(&self, parts: impl Iterator<Item = Spelling>) -> Spelling {
        let mut hash = START_HASH;
        for (place, part) in parts.enumerate() {
            let factors = self.factors[place % FACTORS];
            // Places further on begin anew, with what came before as one part.
            let is_anew = place > 0 && place % FACTORS == 0;
            for ((hash, part), factor) in hash.iter_mut().zip(part.hash).zip(factors) {
                if is_anew {
                    *hash = (*hash ^ *hash >> 32).wrapping_mul(factor);
                }
                *hash = hash.wrapping_add(part.wrapping_mul(factor));
            }
        }
        Spelling { hash, len: 0 }
    }

    #[inline]
    fn hash(&self, bytes: &[u8]) -> [u64; 2] {
        [self.hashers[0].hash_one(bytes), self.hashers[1].hash_one(bytes)]
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

/// What is known of one series; no entry is in two cache lines.
#[repr(align(32))]
struct Entry {
    hash: [u64; 2],
    id: SeriesId,
    /// The entry that followed last time.
    next: AtomicU32,
    /// As in [`Spelling`].
    len: u32,
}

impl Entry {
    /// What no series is.
    const NONE: [u64; 2] = [0; 2];

    #[inline]
    fn is(&self, spelling: Spelling) -> bool {
        self.hash == spelling.hash
    }
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
            hash: Entry::NONE,
            id: SeriesId(u64::MAX),
            next: AtomicU32::new(START),
            len: 0,
        };
        Spellings { entries: vec![start], table: HashTable::new(), free: Vec::new() }
    }

    /// Returns the entry that is expected after `last`, its series and the length of its spelling,
    /// where a message begins with that.
    #[inline]
    pub(super) fn expected(
        &self,
        speller: &Speller,
        message: &[u8],
        last: u32,
    ) -> Option<(u32, SeriesId, usize)> {
        let at = self.entries[last as usize].next.load(Ordering::Relaxed);
        let entry = &self.entries[at as usize];
        let len = entry.len as usize;
        let spelled = message.get(..len).filter(|spelled| !spelled.is_empty())?;
        (speller.hash(spelled) == entry.hash).then_some((at, entry.id, len))
    }

    /// Finds a series after the entry `last` was found.
    #[inline]
    pub(super) fn find(&self, spelling: Spelling, last: u32) -> Found {
        // The vector only grows, and what is free has a spelling that no series has.
        let last = &self.entries[last as usize];
        let predicted = last.next.load(Ordering::Relaxed);
        let entry = &self.entries[predicted as usize];
        if entry.is(spelling) {
            return Found::Predicted(predicted, entry.id);
        }
        match self.table.find(spelling.hash[0], |at| self.entries[*at as usize].is(spelling)) {
            Some(found) => {
                last.next.store(*found, Ordering::Relaxed);
                Found::Hashed(*found, self.entries[*found as usize].id)
            }
            None => Found::Not,
        }
    }

    /// Remembers a spelling, or that it stands for another series by now; it is expected after
    /// `last`. Returns its entry.
    pub(super) fn insert(&mut self, spelling: Spelling, id: SeriesId, last: u32) -> u32 {
        let Spelling { hash, len } = spelling;
        let known = self.table.find(hash[0], |at| self.entries[*at as usize].is(spelling)).copied();
        let at =
            known.unwrap_or_else(|| self.add(Entry { hash, id, next: AtomicU32::new(START), len }));
        self.entries[at as usize].id = id;
        self.entries[last as usize].next.store(at, Ordering::Relaxed);
        at
    }

    fn add(&mut self, entry: Entry) -> u32 {
        let hash = entry.hash[0];
        let at = if let Some(free) = self.free.pop() {
            self.entries[free as usize] = entry;
            free
        } else {
            self.entries.push(entry);
            self.entries.len() as u32 - 1
        };
        let entries = &self.entries;
        self.table.insert_unique(hash, at, |at| entries[*at as usize].hash[0]);
        at
    }

    /// Forgets the series that are not alive any more.
    pub(super) fn retain(&mut self, is_alive: impl Fn(SeriesId) -> bool) {
        let (entries, free) = (&mut self.entries, &mut self.free);
        self.table.retain(|at| {
            let entry = &mut entries[*at as usize];
            let kept = is_alive(entry.id);
            if !kept {
                (entry.hash, entry.len) = (Entry::NONE, 0);
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
            spellings.insert(*key, SeriesId(i as u64), START);
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
        spellings.insert(keys[1], SeriesId(200), START);
        spellings.insert(keys[2], SeriesId(2), START);
        assert!(matches!(spellings.find(keys[1], START), Found::Hashed(_, SeriesId(200))));
    }

    #[test]
    fn one_that_is_expected_is_found_without_its_end_being_known() {
        let (speller, mut spellings) = (Speller::new(), Spellings::new());
        let first = spellings.insert(speller.spell(b"first"), SeriesId(1), START);
        let second = spellings.insert(speller.spell(b"second"), SeriesId(2), first);
        let expected = |message, last| spellings.expected(&speller, message, last);
        assert_eq!(expected(b"first, its samples", START), Some((first, SeriesId(1), 5)));
        assert_eq!(expected(b"second, its samples", first), Some((second, SeriesId(2), 6)));
        assert_eq!(expected(b"second, its samples", START), None);
        assert_eq!(expected(b"secon", first), None);
        assert_eq!(expected(b"", second), None);
    }

    #[test]
    fn the_order_and_the_number_of_parts_matter() {
        let speller = Speller::new();
        let parts: Vec<_> = (0..200u8).map(|part| speller.spell(&[part])).collect();
        let of = |parts: &[Spelling]| speller.join(parts.iter().copied());
        let (a, b) = (parts[0], parts[1]);
        assert_ne!(of(&[a, b]), of(&[b, a]));
        assert_ne!(of(&[a]), of(&[a, a]));
        assert_eq!(of(&[a, b]), of(&[a, b]));
        for place in [0, 63, 64, 65, 128] {
            let mut others = parts.clone();
            others.swap(place, place + 64);
            assert_ne!(of(&parts), of(&others));
            assert_ne!(of(&parts[..place]), of(&parts[..=place]));
        }
    }
}
