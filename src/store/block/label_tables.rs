use std::hash::BuildHasher;

use hashbrown::HashTable;
use roaring::RoaringBitmap;

use super::index::{
    NAMES, PAIRS, POSTINGS, SECTIONS, SERIES, SERIES_OFFSETS, STRINGS, TIMES, put_footer,
};
use super::{HEADER_LEN, MAGIC_INDEX, header};
use crate::series::Labels;
use crate::store::bytes::{put_text, put_u32, put_varint};

/// Collects the series of a block for its index: each label pair once, and per series only numbers.
#[derive(Default)]
pub(super) struct LabelTables {
    pairs: Vec<Pair>,
    table: HashTable<u32>,
    hasher: foldhash::fast::RandomState,
    /// The pairs of all series one after the other, by the order in which they came first.
    sets: Vec<u32>,
    series: Vec<SeriesEntry>,
    /// The chunk lists of all series as the index has them, one after the other.
    pub(super) chunks: Vec<u8>,
}

struct Pair {
    name: Box<str>,
    value: Box<str>,
    series: Vec<u32>,
}

/// Where the parts of a series begin.
struct SeriesEntry {
    set: usize,
    chunks: usize,
}

impl LabelTables {
    /// Adds a series; its chunks are put behind this.
    pub(super) fn begin_series(&mut self, labels: &Labels, chunk_count: usize) {
        let number = self.series_count();
        self.series.push(SeriesEntry { set: self.sets.len(), chunks: self.chunks.len() });
        for (name, value) in labels {
            let pair = self.intern(name, value);
            self.pairs[pair as usize].series.push(number);
            self.sets.push(pair);
        }
        put_varint(&mut self.chunks, chunk_count as u64);
    }

    pub(super) fn series_count(&self) -> u32 {
        self.series.len() as u32
    }

    fn intern(&mut self, name: &str, value: &str) -> u32 {
        let hash = self.hasher.hash_one((name, value));
        let same = |at: &u32| {
            let pair = &self.pairs[*at as usize];
            *pair.value == *value && *pair.name == *name
        };
        if let Some(found) = self.table.find(hash, same) {
            return *found;
        }
        let at = self.pairs.len() as u32;
        self.pairs.push(Pair { name: name.into(), value: value.into(), series: Vec::new() });
        let (pairs, hasher) = (&self.pairs, &self.hasher);
        self.table.insert_unique(hash, at, |at| {
            let pair = &pairs[*at as usize];
            hasher.hash_one((&*pair.name, &*pair.value))
        });
        at
    }

    /// Builds the index file; an error says what is too large for its 32-bit offsets.
    pub(super) fn index_bytes(
        &self,
        times: Vec<u8>,
        created_ms: i64,
    ) -> Result<Vec<u8>, &'static str> {
        let mut order: Vec<u32> = (0..self.pairs.len() as u32).collect();
        order.sort_unstable_by(|a, b| {
            let (a, b) = (&self.pairs[*a as usize], &self.pairs[*b as usize]);
            (&a.name, &a.value).cmp(&(&b.name, &b.value))
        });
        let mut numbers = vec![0u64; order.len()];
        order.iter().zip(0..).for_each(|(pair, number)| numbers[*pair as usize] = number);

        let mut sections: [Vec<u8>; SECTIONS] = std::array::from_fn(|_| Vec::new());
        self.put_pairs(&order, &mut sections)?;
        for (at, series) in self.series.iter().enumerate() {
            let start = offset(&sections[SERIES], "series")?;
            put_u32(&mut sections[SERIES_OFFSETS], start);
            let next = self.series.get(at + 1);
            let set = &self.sets[series.set..next.map_or(self.sets.len(), |next| next.set)];
            let chunks = series.chunks..next.map_or(self.chunks.len(), |next| next.chunks);
            let into = &mut sections[SERIES];
            put_varint(into, set.len() as u64);
            let mut before = 0;
            for pair in set {
                let number = numbers[*pair as usize];
                put_varint(into, number - before);
                before = number;
            }
            into.extend_from_slice(&self.chunks[chunks]);
        }
        sections[TIMES] = times;
        let mut bytes = header(MAGIC_INDEX, created_ms);
        debug_assert_eq!(bytes.len(), HEADER_LEN);
        let ranges = std::array::from_fn(|section| {
            let start = bytes.len();
            bytes.append(&mut sections[section]);
            (start, bytes.len())
        });
        put_footer(&mut bytes, &ranges);
        Ok(bytes)
    }

    /// Puts names, values and postings.
    fn put_pairs(
        &self,
        order: &[u32],
        sections: &mut [Vec<u8>; SECTIONS],
    ) -> Result<(), &'static str> {
        let mut name_before = None;
        for (number, pair) in order.iter().enumerate() {
            let Pair { name, value, series } = &self.pairs[*pair as usize];
            if name_before != Some(name) {
                name_before = Some(name);
                let offset = offset(&sections[STRINGS], "label names and values")?;
                put_text(&mut sections[STRINGS], name);
                put_u32(&mut sections[NAMES], offset);
                put_u32(&mut sections[NAMES], number as u32);
            }
            let string = offset(&sections[STRINGS], "label names and values")?;
            put_text(&mut sections[STRINGS], value);
            put_u32(&mut sections[PAIRS], string);
            let start = offset(&sections[POSTINGS], "postings")?;
            put_u32(&mut sections[PAIRS], start);
            let mut posting = RoaringBitmap::from_sorted_iter(series.iter().copied())
                .expect("series are numbered in ascending order");
            posting.optimize();
            posting.serialize_into(&mut sections[POSTINGS]).expect("a vector takes everything");
        }
        let end = offset(&sections[POSTINGS], "postings")?;
        for (section, last) in [(NAMES, order.len() as u32), (PAIRS, end)] {
            put_u32(&mut sections[section], 0);
            put_u32(&mut sections[section], last);
        }
        Ok(())
    }
}

fn offset(section: &[u8], what: &'static str) -> Result<u32, &'static str> {
    u32::try_from(section.len()).map_err(|_| what)
}
