//! The sections that only checkpoints have: what the head holds of series.

use super::transaction::{HELD, Number, PAIRS, TAILS, TransactionWriter, read_number};
use crate::store::bytes::{Reader, put_signed, put_text, put_u64, put_varint};

/// Series of a checkpoint, with all that the head has of them.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct HeldSeries<B> {
    /// How many there are.
    pub(in crate::store) count: usize,
    /// How many the checkpoint has, about.
    pub(in crate::store) in_all: u64,
    /// The number of the first; the others follow.
    pub(in crate::store) first: Number,
    pub(in crate::store) samples: u64,
    /// The newest sample; `i64::MIN` without.
    pub(in crate::store) newest_ms: i64,
    /// What the head takes.
    pub(in crate::store) bytes: B,
}

/// The newest sample of a series that came in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum SavedTail {
    None,
    /// The end of the open floats.
    Open,
    /// A float, with its bits.
    Float(i64, u64),
    Histogram(i64),
    /// One that was deleted.
    Deleted(i64),
}

impl TransactionWriter {
    /// Adds the label pairs of series that are held, each once.
    pub(in crate::store) fn pairs<'a>(
        &mut self,
        pairs: impl ExactSizeIterator<Item = (&'a str, &'a str)>,
    ) {
        self.section(PAIRS, pairs.len(), |into| {
            for (name, value) in pairs {
                put_text(into, name);
                put_text(into, value);
            }
        });
    }

    /// Adds series with what the head has of them.
    pub(in crate::store) fn held(&mut self, held: HeldSeries<&[u8]>) {
        self.section(HELD, held.count, |into| {
            put_varint(into, u64::from(held.first));
            put_varint(into, held.in_all);
            put_varint(into, held.samples);
            put_signed(into, held.newest_ms);
            into.extend_from_slice(held.bytes);
        });
    }

    /// Adds what the newest samples of series are.
    pub(in crate::store) fn tails(
        &mut self,
        first: Number,
        tails: impl ExactSizeIterator<Item = SavedTail>,
    ) {
        self.section(TAILS, tails.len(), |into| {
            put_varint(into, u64::from(first));
            for tail in tails {
                let (kind, time_ms) = match tail {
                    SavedTail::None => (0, None),
                    SavedTail::Open => (1, None),
                    SavedTail::Float(time_ms, _) => (2, Some(time_ms)),
                    SavedTail::Histogram(time_ms) => (3, Some(time_ms)),
                    SavedTail::Deleted(time_ms) => (4, Some(time_ms)),
                };
                into.push(kind);
                if let Some(time_ms) = time_ms {
                    put_signed(into, time_ms);
                }
                if let SavedTail::Float(_, bits) = tail {
                    put_u64(into, bits);
                }
            }
        });
    }
}

/// Label pairs, their texts one after the other.
#[derive(Debug, Default)]
pub(in crate::store) struct PairTexts {
    text: String,
    /// Where the name and the value of each pair end.
    ends: Vec<(u32, u32)>,
}

impl PairTexts {
    /// Iterates over the names and the values.
    pub(in crate::store) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut start = 0;
        self.ends.iter().map(move |(name_end, value_end)| {
            let (name_end, value_end) = (*name_end as usize, *value_end as usize);
            let pair = (&self.text[start..name_end], &self.text[name_end..value_end]);
            start = value_end;
            pair
        })
    }
}

pub(super) fn read_pairs(section: &mut Reader<'_>) -> Option<PairTexts> {
    let mut pairs = PairTexts::default();
    pairs.text.reserve(section.remaining());
    for _ in 0..section.count(2)? {
        pairs.text.push_str(section.text()?);
        let name_end = u32::try_from(pairs.text.len()).ok()?;
        pairs.text.push_str(section.text()?);
        let value_end = u32::try_from(pairs.text.len()).ok()?;
        (name_end < value_end).then_some(())?;
        pairs.ends.push((name_end, value_end));
    }
    Some(pairs)
}

pub(super) fn read_held(section: &mut Reader<'_>) -> Option<HeldSeries<Vec<u8>>> {
    let count = section.count(1)?;
    let first = read_number(section)?;
    let (in_all, samples) = (section.varint()?, section.varint()?);
    let newest_ms = section.signed()?;
    let bytes = section.take(section.remaining())?.to_vec();
    Some(HeldSeries { count, in_all, first, samples, newest_ms, bytes })
}

pub(super) fn read_tails(section: &mut Reader<'_>) -> Option<(Number, Vec<SavedTail>)> {
    let count = section.count(1)?;
    let first = read_number(section)?;
    let mut tails = Vec::with_capacity(count);
    for _ in 0..count {
        tails.push(read_tail(section)?);
    }
    Some((first, tails))
}

fn read_tail(reader: &mut Reader<'_>) -> Option<SavedTail> {
    Some(match reader.u8()? {
        0 => SavedTail::None,
        1 => SavedTail::Open,
        2 => SavedTail::Float(reader.signed()?, reader.u64()?),
        3 => SavedTail::Histogram(reader.signed()?),
        4 => SavedTail::Deleted(reader.signed()?),
        _ => return None,
    })
}
