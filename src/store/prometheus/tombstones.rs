//! What was deleted from a Prometheus block.
//!
//! Source: Prometheus, tsdb/docs/format/tombstones.md.

use hashbrown::HashMap;

use crate::series::TimeRange;
use crate::store::bytes::Reader;

const MAGIC: [u8; 4] = [0x01, 0x30, 0xba, 0x30];

/// Reads the deleted ranges of each series; `None` when the file is damaged.
pub(super) fn read(bytes: &[u8]) -> Option<HashMap<u64, Vec<TimeRange>>> {
    let (content, crc) = bytes.split_last_chunk::<4>()?;
    let entries = content.strip_prefix(&MAGIC)?.strip_prefix(&[1])?;
    // The checksum is over what follows the header.
    (crc32c::crc32c(entries) == u32::from_be_bytes(*crc)).then_some(())?;
    let mut reader = Reader::new(entries);
    let mut all: HashMap<u64, Vec<TimeRange>> = HashMap::new();
    while !reader.is_empty() {
        let series = reader.varint()?;
        let range = TimeRange::new(reader.signed()?, reader.signed()?);
        all.entry(series).or_default().push(range);
    }
    Some(all)
}
