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

/// Reads arbitrary bytes as a segment or a checkpoint, and as the payload of a record; restores what
/// they say, and reads that.
pub fn read_log(bytes: &[u8]) {
    super::recover::read_arbitrary(bytes);
}

/// Reads arbitrary bytes as parts of a block, their checksums made to match.
pub fn read_block(bytes: &[u8]) {
    super::block::read_arbitrary(bytes);
}

/// Reads arbitrary bytes as a chunk and as columns; makes values of them, and checks that those come
/// back to the bit.
pub fn read_chunk(bytes: &[u8]) {
    let Some((head, bytes)) = bytes.split_first_chunk::<2>() else { return };
    let count = u16::from_le_bytes(*head);
    let mut points = crate::series::Points::default();
    let (times, body) = bytes.split_at(bytes.len() / 3);
    let _ = super::chunk::decode(u32::from(count), times, body, &mut points);
    let count = usize::from(count);
    let _ = codec::decode_values(bytes, count, &mut Vec::new());
    let _ = codec::decode_times(bytes, count, &mut Vec::new());
    let _ = codec::decode_integers(bytes, count, &mut Vec::new());
    let _ = codec::decode_histograms(bytes, count, &mut Vec::new());
    let words: Vec<u64> =
        bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
    if words.is_empty() || words.len() > codec::COUNT_MAX {
        return;
    }
    let values: Vec<f64> = words.iter().map(|word| f64::from_bits(*word)).collect();
    for effort in [Effort::Seal, Effort::Compact] {
        let (mut encoded, mut back) = (Vec::new(), Vec::new());
        codec::encode_values(&values, effort, &mut encoded);
        codec::decode_values(&encoded, values.len(), &mut back).expect("it was just encoded");
        assert!(back.iter().zip(&values).all(|(a, b)| a.to_bits() == b.to_bits()));
        let times: Vec<i64> = words.iter().map(|word| *word as i64).collect();
        let (mut encoded, mut back) = (Vec::new(), Vec::new());
        codec::encode_times(&times, effort, &mut encoded);
        codec::decode_times(&encoded, times.len(), &mut back).expect("it was just encoded");
        assert_eq!(back, times);
    }
}
