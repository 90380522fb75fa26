//! The index of a Prometheus block: symbols, series, and where their chunks are.
//!
//! Source: Prometheus, tsdb/docs/format/index.md (version 2).

use std::ops::Range;

use super::ImportError;
use crate::env::FileBytes;
use crate::store::bytes::Reader;

const MAGIC: [u8; 4] = [0xba, 0xaa, 0xd7, 0x00];
const TOC_LEN: usize = 6 * 8 + 4;

/// Series begin at multiples of this, by which they are also known.
const SERIES_ALIGN: usize = 16;

pub(super) struct Index {
    bytes: FileBytes,
    /// Where each symbol is.
    symbols: Vec<Range<usize>>,
    series: Range<usize>,
}

/// A series: its labels by name and value, and its chunks.
pub(super) struct IndexedSeries<'a> {
    /// By which tombstones know it.
    pub(super) id: u64,
    pub(super) labels: Vec<(&'a [u8], &'a [u8])>,
    pub(super) chunks: Vec<ChunkRef>,
}

/// Which file a chunk is in, and where.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChunkRef {
    pub(super) file: usize,
    pub(super) offset: usize,
}

/// Reads a big-endian number.
fn number_at(bytes: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?) as usize)
}

/// Returns a part that follows its length and is followed by its checksum.
fn checked(bytes: &[u8], range: Range<usize>) -> Option<&[u8]> {
    let part = bytes.get(range.clone())?;
    let crc = number_at(bytes, range.end)?;
    (crc32c::crc32c(part) as usize == crc).then_some(part)
}

impl Index {
    pub(super) fn open(bytes: FileBytes) -> Result<Index, ImportError> {
        let damaged = |offset: usize, what| ImportError::damaged("index", offset, what);
        if bytes.get(..4) != Some(&MAGIC) {
            return Err(damaged(0, "this is no index of Prometheus"));
        }
        if bytes.get(4) != Some(&2) {
            return Err(damaged(
                4,
                "only version 2 can be read; let a newer Prometheus compact it",
            ));
        }
        let toc_at =
            bytes.len().checked_sub(TOC_LEN).ok_or_else(|| damaged(0, "it is cut short"))?;
        checked(&bytes, toc_at..bytes.len() - 4)
            .ok_or_else(|| damaged(toc_at, "the table of contents is damaged"))?;
        let offsets: Vec<usize> = bytes[toc_at..bytes.len() - 4]
            .as_chunks()
            .0
            .iter()
            .map(|offset| u64::from_be_bytes(*offset) as usize)
            .collect();
        let symbols = symbols(&bytes, offsets[0])
            .ok_or_else(|| damaged(offsets[0], "the table of symbols is damaged"))?;
        let end = offsets.iter().copied().filter(|offset| *offset > offsets[1]).min();
        let series = offsets[1]..end.unwrap_or(toc_at).min(toc_at);
        Ok(Index { bytes, symbols, series })
    }

    /// Visits every series; a damaged one ends the walk with an error, since nothing says where the
    /// next one begins.
    pub(super) fn for_each<E: From<ImportError>>(
        &self,
        visit: &mut dyn FnMut(IndexedSeries<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut next = self.series.start.checked_next_multiple_of(SERIES_ALIGN);
        while let Some(at) = next.filter(|at| *at < self.series.end) {
            let mut reader = Reader::new(&self.bytes[at..self.series.end]);
            let before = reader.remaining();
            let Some(len) = reader.varint().filter(|len| *len > 0) else { break };
            let start = at + before - reader.remaining();
            let end = usize::try_from(len).ok().and_then(|len| start.checked_add(len));
            let series = end
                .and_then(|end| checked(&self.bytes, start..end))
                .and_then(|content| self.series(at, content));
            let damaged = || ImportError::damaged("index", at, "a series is damaged");
            visit(series.ok_or_else(damaged)?)?;
            next = end.and_then(|end| end.checked_add(4)?.checked_next_multiple_of(SERIES_ALIGN));
        }
        Ok(())
    }

    fn series(&self, at: usize, content: &[u8]) -> Option<IndexedSeries<'_>> {
        let mut reader = Reader::new(content);
        let symbol = |reader: &mut Reader<'_>| {
            let range = self.symbols.get(usize::try_from(reader.varint()?).ok()?)?;
            Some(&self.bytes[range.clone()])
        };
        let count = reader.count(2)?;
        let mut labels = Vec::with_capacity(count);
        for _ in 0..count {
            labels.push((symbol(&mut reader)?, symbol(&mut reader)?));
        }
        let count = reader.count(3)?;
        let mut chunks = Vec::with_capacity(count);
        let mut reference = 0i64;
        for number in 0..count {
            if number == 0 {
                reader.signed()?; // first time
                reader.varint()?; // duration
                reference = reader.varint()? as i64;
            } else {
                reader.varint()?; // gap
                reader.varint()?;
                reference = reference.checked_add(reader.signed()?)?;
            }
            let file = (reference >> 32) as usize;
            chunks.push(ChunkRef { file, offset: reference as u32 as usize });
        }
        Some(IndexedSeries { id: (at / SERIES_ALIGN) as u64, labels, chunks })
    }
}

fn symbols(bytes: &[u8], at: usize) -> Option<Vec<Range<usize>>> {
    let len = number_at(bytes, at)?;
    let start = at.checked_add(4)?;
    let content = checked(bytes, start..start.checked_add(len)?)?;
    let count = number_at(content, 0)?;
    let mut reader = Reader::new(content.get(4..)?);
    let mut symbols = Vec::with_capacity(count.min(content.len()));
    for _ in 0..count {
        let len = reader.count(1)?;
        let from = start + content.len() - reader.remaining();
        reader.take(len)?;
        symbols.push(from..from + len);
    }
    Some(symbols)
}
