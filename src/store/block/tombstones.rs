//! Which samples of a block were deleted: a file beside the others, rewritten as a whole.

use std::io;
use std::path::Path;

use hashbrown::HashMap;

use super::{BlockError, HEADER_LEN, check_header, header};
use crate::env::Disk;
use crate::series::TimeRange;
use crate::store::TEMPORARY;
use crate::store::bytes::{Reader, put_signed, put_u32, put_varint};

const MAGIC: [u8; 4] = *b"FWTS";
pub(super) const FILE: &str = "tombstones";

/// The deleted ranges of each series, by its number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct Tombstones(HashMap<u32, Vec<TimeRange>>);

impl Tombstones {
    /// Reads the file of a block; without one nothing was deleted.
    pub(super) fn read(disk: &dyn Disk, dir: &Path) -> Result<Tombstones, BlockError> {
        let path = dir.join(FILE);
        let bytes = match disk.read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Tombstones::default());
            }
            Err(source) => return Err(BlockError::Io { path, source }),
        };
        check_header(&path, &bytes, MAGIC)?;
        let decoded = bytes.split_last_chunk::<4>().and_then(|(covered, crc)| {
            (u32::from_le_bytes(*crc) == crc32c::crc32c(covered)).then_some(())?;
            Tombstones::decode(covered.get(HEADER_LEN..)?)
        });
        let what = "the file is cut short or its checksum does not match";
        decoded.ok_or(BlockError::Damaged { path, offset: 0, what })
    }

    fn decode(bytes: &[u8]) -> Option<Tombstones> {
        let mut reader = Reader::new(bytes);
        let mut all = Tombstones::default();
        for _ in 0..reader.count(3)? {
            let series = u32::try_from(reader.varint()?).ok()?;
            let range = TimeRange::new(reader.signed()?, reader.signed()?);
            all.add(series, range);
        }
        reader.is_empty().then_some(all)
    }

    /// Reads arbitrary bytes, for `doors`.
    pub(super) fn read_arbitrary(bytes: &[u8]) {
        let _ = Tombstones::decode(bytes);
    }

    fn encode(&self, created_ms: i64) -> Vec<u8> {
        let mut all: Vec<_> = self
            .0
            .iter()
            .flat_map(|(series, ranges)| ranges.iter().map(move |range| (*series, *range)))
            .collect();
        all.sort_unstable_by_key(|(series, range)| (*series, range.start_ms));
        let mut bytes = header(MAGIC, created_ms);
        put_varint(&mut bytes, all.len() as u64);
        for (series, range) in all {
            put_varint(&mut bytes, u64::from(series));
            put_signed(&mut bytes, range.start_ms);
            put_signed(&mut bytes, range.end_ms);
        }
        let crc = crc32c::crc32c(&bytes);
        put_u32(&mut bytes, crc);
        bytes
    }

    /// Writes the file of a block, in the place of the one before.
    pub(super) fn write(&self, disk: &dyn Disk, dir: &Path, created_ms: i64) -> io::Result<()> {
        let temporary = dir.join(format!("{FILE}{TEMPORARY}"));
        match disk.remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = disk.create(&temporary)?;
        file.append(&self.encode(created_ms))?;
        file.sync()?;
        disk.rename(&temporary, &dir.join(FILE))?;
        disk.sync_dir(dir)
    }

    /// Adds a range, merged with those that it touches.
    pub(in crate::store) fn add(&mut self, series: u32, range: TimeRange) {
        let ranges = self.0.entry(series).or_default();
        let mut merged = range;
        ranges.retain(|known| {
            let touches = known.start_ms <= merged.end_ms.saturating_add(1)
                && merged.start_ms <= known.end_ms.saturating_add(1);
            if touches {
                merged = TimeRange::new(
                    merged.start_ms.min(known.start_ms),
                    merged.end_ms.max(known.end_ms),
                );
            }
            !touches
        });
        ranges.push(merged);
    }

    /// Returns the deleted ranges of a series.
    pub(in crate::store) fn of(&self, series: u32) -> &[TimeRange] {
        self.0.get(&series).map_or(&[], Vec::as_slice)
    }

    /// Returns how many bytes its file has.
    pub(super) fn len_bytes(&self) -> u64 {
        self.encode(0).len() as u64
    }

    pub(in crate::store) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_touch_become_one_and_come_back() {
        let mut all = Tombstones::default();
        for (start, end) in [(10, 20), (40, 50), (21, 30), (60, i64::MAX), (55, 58), (i64::MIN, 0)]
        {
            all.add(7, TimeRange::new(start, end));
        }
        all.add(9, TimeRange::new(1, 1));
        let mut found: Vec<_> =
            all.of(7).iter().map(|range| (range.start_ms, range.end_ms)).collect();
        found.sort_unstable();
        assert_eq!(found, [(i64::MIN, 0), (10, 30), (40, 50), (55, 58), (60, i64::MAX)]);
        let bytes = all.encode(0);
        let back = Tombstones::decode(&bytes[HEADER_LEN..bytes.len() - 4]).unwrap();
        assert_eq!(back.of(7).len(), 5);
        assert_eq!(back.of(9), all.of(9));
        assert!(back.of(8).is_empty());
    }
}
