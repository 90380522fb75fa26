//! Floats as they are read back: in columns, as the log has them.

use super::transaction::{FloatRow, Number};
use crate::store::bytes::Reader;

/// Floats of a transaction, in columns of equal length.
#[derive(Debug, Default)]
pub(in crate::store) struct Floats {
    pub(in crate::store) series: Vec<Number>,
    pub(in crate::store) times_ms: Vec<i64>,
    /// As [`FloatRow::bits`], until differences are undone.
    pub(in crate::store) bits: Vec<u64>,
    /// Start timestamps; empty when none has one.
    pub(in crate::store) starts_ms: Vec<i64>,
}

impl Floats {
    pub(in crate::store) fn len(&self) -> usize {
        self.series.len()
    }

    pub(in crate::store) fn rows(&self) -> impl Iterator<Item = FloatRow> {
        (0..self.len()).map(|at| FloatRow {
            series: self.series[at],
            time_ms: self.times_ms[at],
            bits: self.bits[at],
            start_ms: self.starts_ms.get(at).copied().unwrap_or(0),
        })
    }
}

/// Reads floats whose values are all there.
pub(super) fn read_late(reader: &mut Reader<'_>) -> Option<Floats> {
    let mut floats = read_rows(reader)?;
    for _ in 0..floats.len() {
        floats.bits.push(reader.u64()?);
    }
    Some(floats)
}

/// Reads floats whose values are differences, up to their check.
pub(super) fn read_ordered(reader: &mut Reader<'_>) -> Option<Floats> {
    let mut floats = read_rows(reader)?;
    let controls = reader.take(floats.len())?;
    let mut rest = reader.take(reader.remaining().checked_sub(4)?)?;
    for control in controls {
        let (above, below) = (usize::from(control >> 4), usize::from(control & 15));
        let len = 8usize.checked_sub(above + below)?;
        let word = if let Some(word) = rest.first_chunk::<8>() {
            u64::from_le_bytes(*word)
        } else {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            u64::from_le_bytes(word)
        };
        rest = rest.get(len..)?;
        floats.bits.push(match len {
            0 => 0,
            8 => word,
            _ => (word & ((1 << (8 * len)) - 1)) << (8 * below),
        });
    }
    rest.is_empty().then_some(floats)
}

/// Reads the columns but for the values. Series mostly follow one another, at the same time, so
/// eight of them are told at once.
fn read_rows(reader: &mut Reader<'_>) -> Option<Floats> {
    let count = reader.count(3)?;
    let any_start = reader.u8()? != 0;
    let mut series = Vec::with_capacity(count);
    let mut before = 0i64;
    while series.len() < count {
        if count - series.len() >= 8 && reader.pass([NEXT; 8]) {
            before += 8;
            let last = Number::try_from(before).ok()?;
            series.extend(last - 7..=last);
            continue;
        }
        before = before.wrapping_add(reader.signed()?);
        series.push(Number::try_from(before).ok()?);
    }
    let mut times_ms = Vec::with_capacity(count);
    let mut before = 0i64;
    while times_ms.len() < count {
        if count - times_ms.len() >= 8 && reader.pass([SAME; 8]) {
            times_ms.extend([before; 8]);
            continue;
        }
        before = before.wrapping_add(reader.signed()?);
        times_ms.push(before);
    }
    let mut starts_ms = Vec::new();
    if any_start {
        for _ in 0..count {
            starts_ms.push(reader.signed()?);
        }
    }
    Some(Floats { series, times_ms, bits: Vec::with_capacity(count), starts_ms })
}

/// The differences 1 and 0, as signed numbers are written.
const NEXT: u8 = 2;
const SAME: u8 = 0;
