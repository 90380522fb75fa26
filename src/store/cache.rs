use std::hash::BuildHasher;

use hashbrown::HashTable;

use crate::series::SeriesId;

/// Beyond this much memory for keys a cache starts anew: no sender may grow it without end.
const KEY_BYTES_MAX: usize = 512 << 20;

/// From a series as its sender spells it, byte for byte, to its id.
///
/// Senders repeat their series in the same order, so the series that followed this one last time is
/// compared first; only when that fails is the key hashed.
pub(super) struct Cache {
    keys: Vec<u8>,
    entries: Vec<Entry>,
    table: HashTable<u32>,
    hasher: foldhash::fast::RandomState,
    /// The entry that was asked for last; 0 is a sentinel before the first.
    last: u32,
    pub(super) hits_predicted: u64,
    pub(super) hits_hashed: u64,
    pub(super) misses: u64,
}

#[derive(Clone, Copy)]
struct Entry {
    key_start: usize,
    key_len: u32,
    next: u32,
    id: SeriesId,
}

impl Cache {
    pub(super) fn new() -> Cache {
        let sentinel = Entry { key_start: 0, key_len: 0, next: 0, id: SeriesId(u64::MAX) };
        Cache {
            keys: Vec::new(),
            entries: vec![sentinel],
            table: HashTable::new(),
            hasher: foldhash::fast::RandomState::default(),
            last: 0,
            hits_predicted: 0,
            hits_hashed: 0,
            misses: 0,
        }
    }

    /// Says that the next key asked for may follow any other: a request begins.
    pub(super) fn begin(&mut self) {
        self.last = 0;
    }

    #[inline]
    pub(super) fn find(&mut self, key: &[u8]) -> Option<SeriesId> {
        let predicted = self.entries[self.last as usize].next;
        let entry = self.entries[predicted as usize];
        if predicted != 0 && self.key(&entry) == key {
            self.last = predicted;
            self.hits_predicted += 1;
            return Some(entry.id);
        }
        self.find_hashed(key)
    }

    fn find_hashed(&mut self, key: &[u8]) -> Option<SeriesId> {
        let hash = self.hasher.hash_one(key);
        let Some(&found) = self.table.find(hash, |at| self.key(&self.entries[*at as usize]) == key)
        else {
            self.misses += 1;
            return None;
        };
        self.hits_hashed += 1;
        self.entries[self.last as usize].next = found;
        self.last = found;
        Some(self.entries[found as usize].id)
    }

    /// Remembers a key that was not found.
    pub(super) fn insert(&mut self, key: &[u8], id: SeriesId) {
        if self.keys.len() + key.len() > KEY_BYTES_MAX {
            *self = Cache::new();
        }
        let Ok(key_len) = u32::try_from(key.len()) else { return };
        let at = self.entries.len() as u32;
        self.entries.push(Entry { key_start: self.keys.len(), key_len, next: 0, id });
        self.keys.extend_from_slice(key);
        let hash = self.hasher.hash_one(key);
        let (keys, entries, hasher) = (&self.keys, &self.entries, &self.hasher);
        self.table.insert_unique(hash, at, |at| {
            let entry = &entries[*at as usize];
            hasher.hash_one(&keys[entry.key_start..][..entry.key_len as usize])
        });
        self.entries[self.last as usize].next = at;
        self.last = at;
    }

    /// Forgets the ids that are not alive any more.
    pub(super) fn retain(&mut self, alive: impl Fn(SeriesId) -> bool) {
        if self.entries[1..].iter().all(|entry| alive(entry.id)) {
            return;
        }
        let mut kept = Cache::new();
        kept.hits_predicted = self.hits_predicted;
        kept.hits_hashed = self.hits_hashed;
        kept.misses = self.misses;
        for entry in self.entries[1..].iter().filter(|entry| alive(entry.id)) {
            kept.insert(self.key(entry), entry.id);
        }
        *self = kept;
    }

    fn key(&self, entry: &Entry) -> &[u8] {
        &self.keys[entry.key_start..][..entry.key_len as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_in_any_order_and_predicts_a_repeated_one() {
        let mut cache = Cache::new();
        let keys: Vec<_> = (0..100u64).map(|i| format!("series {i}")).collect();
        for (i, key) in keys.iter().enumerate() {
            assert_eq!(cache.find(key.as_bytes()), None);
            cache.insert(key.as_bytes(), SeriesId(i as u64));
        }
        for _ in 0..2 {
            cache.begin();
            for (i, key) in keys.iter().enumerate() {
                assert_eq!(cache.find(key.as_bytes()), Some(SeriesId(i as u64)));
            }
        }
        assert_eq!((cache.hits_predicted, cache.hits_hashed, cache.misses), (200, 0, 100));
        for (i, key) in keys.iter().enumerate().rev() {
            assert_eq!(cache.find(key.as_bytes()), Some(SeriesId(i as u64)));
        }
        cache.retain(|id| id.0 % 2 == 0);
        assert_eq!(cache.find(keys[1].as_bytes()), None);
        assert_eq!(cache.find(keys[2].as_bytes()), Some(SeriesId(2)));
    }
}
