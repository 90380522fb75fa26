use std::borrow::Cow;
use std::path::PathBuf;

use roaring::RoaringBitmap;

use super::{
    BlockError, CHECKSUM_LEN, ChunkRef, HEADER_LEN, MAGIC_INDEX, Stored, TimesRef, check_header,
};
use crate::env::FileBytes;
use crate::series::{Labels, TimeRange};
use crate::store::ReadError;
use crate::store::bytes::{Reader, put_u32, put_u64};
use crate::store::postings::LabelIndex;

/// The sections of an index file, in their order.
pub(super) const SECTIONS: usize = 7;
pub(super) const STRINGS: usize = 0;
pub(super) const NAMES: usize = 1;
pub(super) const PAIRS: usize = 2;
pub(super) const POSTINGS: usize = 3;
pub(super) const SERIES: usize = 4;
pub(super) const SERIES_OFFSETS: usize = 5;
pub(super) const TIMES: usize = 6;

pub(super) const NAME_LEN: usize = 8;
pub(super) const PAIR_LEN: usize = 8;
pub(super) const TIMES_LEN: usize = 32;
const FOOTER_LEN: usize = SECTIONS * 20 + 8;

/// The label index of a block, read where it lies.
pub(super) struct Index {
    path: PathBuf,
    bytes: FileBytes,
    /// Start and end of each section.
    sections: [(usize, usize); SECTIONS],
}

/// Appends the footer that says where the sections are.
pub(super) fn put_footer(bytes: &mut Vec<u8>, sections: &[(usize, usize); SECTIONS]) {
    let at = bytes.len();
    for (start, end) in sections {
        let crc = crc32c::crc32c(&bytes[*start..*end]);
        put_u64(bytes, *start as u64);
        put_u64(bytes, (end - start) as u64);
        put_u32(bytes, crc);
    }
    let crc = crc32c::crc32c(&bytes[at..]);
    put_u32(bytes, crc);
    bytes.extend_from_slice(&MAGIC_INDEX);
}

impl Index {
    /// Takes an index file in and checks every byte of it.
    pub(super) fn open(path: PathBuf, bytes: FileBytes) -> Result<Index, BlockError> {
        check_header(&path, &bytes, MAGIC_INDEX)?;
        let damaged = |offset: usize, what| BlockError::Damaged {
            path: path.clone(),
            offset: offset as u64,
            what,
        };
        let footer_at = bytes
            .len()
            .checked_sub(FOOTER_LEN)
            .filter(|at| *at >= HEADER_LEN)
            .ok_or_else(|| damaged(bytes.len(), "the file is cut short"))?;
        let footer = &bytes[footer_at..];
        let crc = Reader::new(&footer[SECTIONS * 20..]).u32();
        if !footer.ends_with(&MAGIC_INDEX) || crc != Some(crc32c::crc32c(&footer[..SECTIONS * 20]))
        {
            return Err(damaged(footer_at, "the footer is not whole"));
        }
        let mut reader = Reader::new(footer);
        let mut sections = [(0, 0); SECTIONS];
        for section in &mut sections {
            let found = (|| {
                let start = usize::try_from(reader.u64()?).ok()?;
                let end = start.checked_add(usize::try_from(reader.u64()?).ok()?)?;
                Some((start, end, reader.u32()?))
            })();
            let (start, end, crc) = found
                .filter(|(_, end, _)| *end <= footer_at)
                .ok_or_else(|| damaged(footer_at, "the footer makes no sense"))?;
            if crc32c::crc32c(&bytes[start..end]) != crc {
                return Err(damaged(start, "the checksum of the section does not match"));
            }
            *section = (start, end);
        }
        Ok(Index { path, bytes, sections })
    }

    fn section(&self, section: usize) -> &[u8] {
        let (start, end) = self.sections[section];
        &self.bytes[start..end]
    }

    fn nonsense(&self, section: usize) -> ReadError {
        ReadError::Damaged {
            path: self.path.clone(),
            offset: self.sections[section].0 as u64,
            what: "the section makes no sense although its checksum matches",
        }
    }

    /// Returns the number that is `place` bytes into an entry of a table.
    fn number(
        &self,
        section: usize,
        entry: usize,
        entry_len: usize,
        place: usize,
    ) -> Option<usize> {
        let at = entry.checked_mul(entry_len)?.checked_add(place)?;
        let bytes = self.section(section).get(at..)?;
        Reader::new(bytes).u32().map(|number| number as usize)
    }

    fn string(&self, offset: usize) -> Option<&str> {
        Reader::new(self.section(STRINGS).get(offset..)?).text()
    }

    /// The tables end with one entry that only says where the last one ends.
    fn name_count(&self) -> usize {
        (self.section(NAMES).len() / NAME_LEN).saturating_sub(1)
    }

    fn name(&self, at: usize) -> Option<&str> {
        self.string(self.number(NAMES, at, NAME_LEN, 0)?)
    }

    /// Returns the first pair of a name; that of the name after the last is the end.
    fn first_pair(&self, at: usize) -> Option<usize> {
        self.number(NAMES, at, NAME_LEN, 4)
    }

    fn value(&self, pair: usize) -> Option<&str> {
        self.string(self.number(PAIRS, pair, PAIR_LEN, 0)?)
    }

    fn posting_at(&self, pair: usize) -> Option<RoaringBitmap> {
        let start = self.number(PAIRS, pair, PAIR_LEN, 4)?;
        let end = self.number(PAIRS, pair.checked_add(1)?, PAIR_LEN, 4)?;
        RoaringBitmap::deserialize_from(self.section(POSTINGS).get(start..end)?).ok()
    }

    #[expect(clippy::option_option, reason = "the outer one says that the table makes no sense")]
    fn find_name(&self, name: &str) -> Option<Option<usize>> {
        search(0, self.name_count(), |at| Some(self.name(at)?.cmp(name)))
    }

    /// Returns the pairs of a name; an empty range where there is none.
    fn pairs_of(&self, name: &str) -> Option<std::ops::Range<usize>> {
        match self.find_name(name)? {
            Some(at) => Some(self.first_pair(at)?..self.first_pair(at + 1)?),
            None => Some(0..0),
        }
    }

    fn name_of_pair(&self, pair: usize) -> Option<usize> {
        // The last name whose first pair is not after this one.
        let (mut low, mut high) = (0, self.name_count());
        while low < high {
            let middle = usize::midpoint(low, high);
            if self.first_pair(middle)? <= pair { low = middle + 1 } else { high = middle }
        }
        low.checked_sub(1)
    }

    /// Returns the labels and the chunks of a series.
    pub(super) fn series(&self, series: u32) -> Result<(Labels, Vec<ChunkRef>), ReadError> {
        self.try_series(series as usize).ok_or_else(|| self.nonsense(SERIES))
    }

    fn try_series(&self, series: usize) -> Option<(Labels, Vec<ChunkRef>)> {
        let offset = self.number(SERIES_OFFSETS, series, 4, 0)?;
        let mut reader = Reader::new(self.section(SERIES).get(offset..)?);
        let count = reader.count(1)?;
        let mut pairs = Vec::with_capacity(count);
        let mut pair = 0usize;
        for _ in 0..count {
            pair = pair.checked_add(usize::try_from(reader.varint()?).ok()?)?;
            pairs.push((self.name(self.name_of_pair(pair)?)?, self.value(pair)?));
        }
        let sound = pairs.is_sorted_by(|(a, _), (b, _)| a < b)
            && pairs.iter().all(|(_, value)| !value.is_empty());
        let labels = sound.then(|| Labels::from_sorted(pairs))?;
        let count = reader.count(3)?;
        let mut chunks = Vec::with_capacity(count);
        let (mut times, mut end) = (0i64, 0u64);
        for _ in 0..count {
            times = times.checked_add(reader.signed()?)?;
            let offset = end.checked_add(reader.varint()?)?;
            let len = u32::try_from(reader.varint()?).ok()?;
            end = offset.checked_add(u64::from(len) + CHECKSUM_LEN)?;
            let times = self.times(usize::try_from(times).ok()?)?;
            chunks.push(ChunkRef { times, body: Stored { offset, len } });
        }
        Some((labels, chunks))
    }

    /// Returns where a time column is, and what it covers.
    fn times(&self, number: usize) -> Option<TimesRef> {
        let at = number.checked_mul(TIMES_LEN)?;
        let mut reader = Reader::new(self.section(TIMES).get(at..)?);
        let (start_ms, end_ms) = (reader.u64()? as i64, reader.u64()? as i64);
        let (offset, len) = (reader.u64()?, reader.u32()?);
        let range = TimeRange::new(start_ms, end_ms);
        Some(TimesRef { range, count: reader.u32()?, stored: Stored { offset, len } })
    }

    /// Returns the sections by name, with the bytes that they take.
    pub(super) fn section_bytes(&self) -> Vec<(&'static str, u64)> {
        let names = [
            "label texts",
            "label names",
            "label pairs",
            "postings",
            "series",
            "offsets of series",
            "time columns",
        ];
        let lengths = self.sections.iter().map(|(start, end)| (end - start) as u64);
        names.into_iter().zip(lengths).collect()
    }

    /// Returns how many series there are.
    pub(super) fn series_count(&self) -> u32 {
        (self.section(SERIES_OFFSETS).len() / 4) as u32
    }
}

/// Finds in a sorted table.
#[expect(clippy::option_option, reason = "the outer one says that the table makes no sense")]
fn search(
    mut low: usize,
    mut high: usize,
    compare: impl Fn(usize) -> Option<std::cmp::Ordering>,
) -> Option<Option<usize>> {
    while low < high {
        let middle = usize::midpoint(low, high);
        match compare(middle)? {
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Equal => return Some(Some(middle)),
            std::cmp::Ordering::Greater => high = middle,
        }
    }
    Some(None)
}

impl LabelIndex for Index {
    fn all(&self) -> Result<RoaringBitmap, ReadError> {
        let mut all = RoaringBitmap::new();
        all.insert_range(0..self.series_count());
        Ok(all)
    }

    fn posting(&self, name: &str, value: &str) -> Result<Cow<'_, RoaringBitmap>, ReadError> {
        (|| {
            let pairs = self.pairs_of(name)?;
            match search(pairs.start, pairs.end, |pair| Some(self.value(pair)?.cmp(value)))? {
                Some(pair) => Some(Cow::Owned(self.posting_at(pair)?)),
                None => Some(Cow::default()),
            }
        })()
        .ok_or_else(|| self.nonsense(PAIRS))
    }

    fn union_where(
        &self,
        name: &str,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<RoaringBitmap, ReadError> {
        (|| {
            let mut union = RoaringBitmap::new();
            for pair in self.pairs_of(name)? {
                if wanted(self.value(pair)?) {
                    union |= self.posting_at(pair)?;
                }
            }
            Some(union)
        })()
        .ok_or_else(|| self.nonsense(PAIRS))
    }

    fn for_each_name(&self, visit: &mut dyn FnMut(&str)) -> Result<(), ReadError> {
        for at in 0..self.name_count() {
            visit(self.name(at).ok_or_else(|| self.nonsense(NAMES))?);
        }
        Ok(())
    }

    fn for_each_value(&self, name: &str, visit: &mut dyn FnMut(&str)) -> Result<(), ReadError> {
        for pair in self.pairs_of(name).ok_or_else(|| self.nonsense(NAMES))? {
            visit(self.value(pair).ok_or_else(|| self.nonsense(PAIRS))?);
        }
        Ok(())
    }
}
