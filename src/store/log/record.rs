use std::borrow::Cow;

use super::HEADER_LEN;
use crate::store::bytes::{Reader, put_u32};

/// A record that holds a transaction.
pub(super) const TRANSACTION: u8 = 1;

const MAGIC: [u8; 2] = [0xf0, 0x5e];
const RECORD_HEADER_LEN: usize = 20;
const FLAG_LZ4: u8 = 1;

/// LZ4 cannot make more than this many bytes of one.
const LZ4_RATIO_MAX: usize = 256;

/// Appends a record as it is, for what is compressed already.
pub(super) fn put_plain_record(into: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    let start = into.len();
    into.resize(start + RECORD_HEADER_LEN, 0);
    into.extend_from_slice(payload);
    put_header(into, start, kind, 0, payload.len());
}

/// Appends a record, compressed where that helps.
pub(super) fn put_record(into: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    let start = into.len();
    into.resize(start + RECORD_HEADER_LEN, 0);
    let room = lz4_flex::block::get_maximum_output_size(payload.len());
    into.resize(start + RECORD_HEADER_LEN + room, 0);
    let compressed = &mut into[start + RECORD_HEADER_LEN..];
    let len = lz4_flex::block::compress_into(payload, compressed).unwrap_or(usize::MAX);
    let flags = if len < payload.len() {
        into.truncate(start + RECORD_HEADER_LEN + len);
        FLAG_LZ4
    } else {
        into.truncate(start + RECORD_HEADER_LEN);
        into.extend_from_slice(payload);
        0
    };
    put_header(into, start, kind, flags, payload.len());
}

/// Puts the header of the record that goes from `start` to the end.
fn put_header(into: &mut [u8], start: usize, kind: u8, flags: u8, raw_len: usize) {
    let payload = &into[start + RECORD_HEADER_LEN..];
    let payload_crc = crc32c::crc32c(payload);
    let mut header = Vec::with_capacity(RECORD_HEADER_LEN);
    header.extend_from_slice(&MAGIC);
    header.extend_from_slice(&[kind, flags]);
    put_u32(&mut header, payload.len() as u32);
    put_u32(&mut header, raw_len as u32);
    put_u32(&mut header, payload_crc);
    let header_crc = crc32c::crc32c(&header);
    put_u32(&mut header, header_crc);
    into[start..start + RECORD_HEADER_LEN].copy_from_slice(&header);
}

/// What is found from one place of a segment on.
pub(super) enum Found<'a> {
    Record {
        offset: usize,
        kind: u8,
        payload: Cow<'a, [u8]>,
    },
    /// Bytes that are no record, up to the next one.
    Damage {
        offset: usize,
        what: &'static str,
    },
    /// Bytes that are no record, up to the end.
    Tail {
        offset: usize,
        what: &'static str,
    },
}

/// Walks over the records of a segment.
pub(super) struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Records<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Records<'a> {
        Records { bytes, at: HEADER_LEN.min(bytes.len()) }
    }
}

struct RecordHeader {
    kind: u8,
    flags: u8,
    len: usize,
    raw_len: usize,
    payload_crc: u32,
}

fn read_record_header(bytes: &[u8]) -> Option<RecordHeader> {
    let covered = bytes.get(..RECORD_HEADER_LEN - 4)?;
    let mut reader = Reader::new(bytes.get(..RECORD_HEADER_LEN)?);
    if reader.array::<2>()? != MAGIC {
        return None;
    }
    let (kind, flags) = (reader.u8()?, reader.u8()?);
    let (len, raw_len) = (reader.u32()? as usize, reader.u32()? as usize);
    let payload_crc = reader.u32()?;
    let header = RecordHeader { kind, flags, len, raw_len, payload_crc };
    (crc32c::crc32c(covered) == reader.u32()?).then_some(header)
}

fn read_payload<'a>(bytes: &'a [u8], header: &RecordHeader) -> Result<Cow<'a, [u8]>, &'static str> {
    let payload = bytes
        .get(RECORD_HEADER_LEN..)
        .and_then(|rest| rest.get(..header.len))
        .ok_or("the record is cut short")?;
    if crc32c::crc32c(payload) != header.payload_crc {
        return Err("the checksum of the record does not match");
    }
    if header.flags & FLAG_LZ4 == 0 {
        return Ok(Cow::Borrowed(payload));
    }
    if header.raw_len / LZ4_RATIO_MAX > header.len {
        return Err("the record says it grows more than its compression can");
    }
    match lz4_flex::block::decompress(payload, header.raw_len) {
        Ok(raw) => Ok(Cow::Owned(raw)),
        Err(_) => Err("the record does not decompress"),
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Found<'a>;

    fn next(&mut self) -> Option<Found<'a>> {
        let offset = self.at;
        let rest = self.bytes.get(offset..).filter(|rest| !rest.is_empty())?;
        let what = match read_record_header(rest) {
            None if rest.len() < RECORD_HEADER_LEN => "the header of the record is cut short",
            None => "there is no header of a record",
            Some(header) => match read_payload(rest, &header) {
                Ok(payload) => {
                    self.at += RECORD_HEADER_LEN + header.len;
                    return Some(Found::Record { offset, kind: header.kind, payload });
                }
                Err(what) => what,
            },
        };
        // The next header, wherever it is: its own checksum tells it from chance.
        let next = (offset + 1..self.bytes.len()).find(|at| {
            self.bytes[*at] == MAGIC[0]
                && read_record_header(&self.bytes[*at..]).is_some_and(|header| {
                    // An intact record must follow, or what is here is only a torn tail.
                    read_payload(&self.bytes[*at..], &header).is_ok()
                })
        });
        self.at = next.unwrap_or(self.bytes.len());
        Some(match next {
            Some(_) => Found::Damage { offset, what },
            None => Found::Tail { offset, what },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment() -> (Vec<u8>, Vec<usize>) {
        let mut bytes = vec![0; HEADER_LEN];
        let mut ends = vec![bytes.len()];
        for i in 0..3u8 {
            put_record(&mut bytes, TRANSACTION, &vec![i; 100 + usize::from(i)]);
            ends.push(bytes.len());
        }
        put_record(&mut bytes, TRANSACTION, b"incompressible");
        ends.push(bytes.len());
        (bytes, ends)
    }

    #[test]
    fn a_cut_leaves_the_records_before_it() {
        let (bytes, ends) = segment();
        for len in HEADER_LEN..=bytes.len() {
            let whole = ends.iter().filter(|end| **end <= len).count() - 1;
            let torn = !ends.contains(&len);
            let found: Vec<_> = Records::new(&bytes[..len]).collect();
            assert_eq!(found.len(), whole + usize::from(torn), "cut at {len}");
            let records = found.iter().filter(|found| matches!(found, Found::Record { .. }));
            assert_eq!(records.count(), whole);
            assert_eq!(torn, matches!(found.last(), Some(Found::Tail { .. })));
        }
    }

    #[test]
    fn a_flipped_byte_costs_one_record() {
        let (bytes, ends) = segment();
        for at in HEADER_LEN..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x40;
            let found: Vec<_> = Records::new(&bytes).collect();
            let records = found.iter().filter(|found| matches!(found, Found::Record { .. }));
            assert_eq!(records.count(), ends.len() - 2, "flipped at {at}");
            let last = at >= ends[ends.len() - 2];
            assert_eq!(last, found.iter().any(|found| matches!(found, Found::Tail { .. })));
        }
    }
}
