//! Doors into the store for benches and fuzz targets. Nothing of this is stable.

use super::codec::{self, Effort};

/// How much work the encoder of [`encode_values`] may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// As for what is sealed in memory.
    Seal,
    /// As for what stays on disk.
    Compact,
}

impl From<Work> for Effort {
    fn from(work: Work) -> Effort {
        match work {
            Work::Seal => Effort::Seal,
            Work::Compact => Effort::Compact,
        }
    }
}

/// Appends the encoding of values.
pub fn encode_values(values: &[f64], work: Work, into: &mut Vec<u8>) {
    codec::encode_values(values, work.into(), into);
}

/// Decodes values and appends them; `None` when the bytes do not hold them.
pub fn decode_values(bytes: &[u8], count: usize, into: &mut Vec<f64>) -> Option<()> {
    codec::decode_values(bytes, count, into)
}

/// Appends the encoding of times.
pub fn encode_times(times_ms: &[i64], work: Work, into: &mut Vec<u8>) {
    codec::encode_times(times_ms, work.into(), into);
}

/// Decodes times and appends them; `None` when the bytes do not hold them.
pub fn decode_times(bytes: &[u8], count: usize, into: &mut Vec<i64>) -> Option<()> {
    codec::decode_times(bytes, count, into)
}
