use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{BlockError, VERSION};

/// What a block says of itself, in `meta.json`.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub(in crate::store) struct Meta {
    pub(in crate::store) version: u16,
    pub(in crate::store) ulid: String,
    /// Counts up with every block cut: of two samples at one time the lower one's was stored first.
    pub(in crate::store) sequence: u64,
    /// How often its samples were merged with those of other blocks.
    pub(in crate::store) level: u32,
    /// The blocks that it replaces; those still there when it is opened are removed.
    pub(in crate::store) sources: Vec<String>,
    /// First and last sample, ms.
    pub(in crate::store) min_time_ms: i64,
    pub(in crate::store) max_time_ms: i64,
    pub(in crate::store) series: u64,
    pub(in crate::store) chunks: u64,
    pub(in crate::store) samples: u64,
    pub(in crate::store) covers: Covers,
    pub(in crate::store) chunks_len_bytes: u64,
    pub(in crate::store) index_len_bytes: u64,
}

/// Which samples of the log are in the block: those of earlier segments within a range.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub(in crate::store) struct Covers {
    pub(in crate::store) start_ms: i64,
    /// Exclusive.
    pub(in crate::store) end_ms: i64,
    /// Exclusive.
    pub(in crate::store) segment: u64,
}

impl Covers {
    /// No sample of the log.
    pub(in crate::store) const NOTHING: Covers =
        Covers { start_ms: i64::MIN, end_ms: i64::MIN, segment: 0 };
}

/// Returns the checksum over a description as compact JSON with sorted keys.
fn checksum(meta: &Value) -> u32 {
    crc32c::crc32c(meta.to_string().as_bytes())
}

impl Meta {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let meta = serde_json::to_value(self).expect("numbers and texts are JSON");
        let crc = checksum(&meta);
        format!("{:#}\n", json!({ "meta": meta, "crc32c": crc })).into_bytes()
    }

    /// Reads a description; one of another version is told from one that is damaged.
    pub(super) fn read(path: &Path, bytes: &[u8]) -> Result<Meta, BlockError> {
        let damaged = |what| BlockError::Damaged { path: path.to_owned(), offset: 0, what };
        let nonsense = || damaged("it is not the description of a block");
        let mut file: Value = serde_json::from_slice(bytes).map_err(|_| nonsense())?;
        let meta = file.get_mut("meta").map(Value::take).ok_or_else(nonsense)?;
        let crc = file.get("crc32c").and_then(Value::as_u64);
        if crc != Some(u64::from(checksum(&meta))) {
            return Err(damaged("the checksum does not match"));
        }
        let version = meta.get("version").and_then(Value::as_u64);
        let version = version.and_then(|version| u16::try_from(version).ok());
        match version {
            Some(VERSION) => serde_json::from_value(meta).map_err(|_| nonsense()),
            Some(found) => Err(BlockError::Version { path: path.to_owned(), found }),
            None => Err(nonsense()),
        }
    }
}
