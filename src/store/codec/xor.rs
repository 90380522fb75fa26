//! Any floats, as what differs in each from the one before.

use crate::store::bytes::{Reader, put_varint};

/// Appends the encoding of values, of which there must be one.
///
/// `(zero bytes above << 4 | zero bytes below)* | the bytes between*`, compressed with LZ4
pub(super) fn encode(values: &[f64], into: &mut Vec<u8>) {
    let (mut controls, mut bytes) = (Vec::with_capacity(values.len() * 9), Vec::new());
    let mut before = 0;
    for value in values {
        let differs = value.to_bits() ^ before;
        before = value.to_bits();
        let above = differs.leading_zeros() as usize / 8;
        let below = if differs == 0 { 0 } else { differs.trailing_zeros() as usize / 8 };
        controls.push((above << 4 | below) as u8);
        bytes.extend_from_slice(&differs.to_le_bytes()[below..8 - above]);
    }
    controls.extend_from_slice(&bytes);
    put_varint(into, controls.len() as u64);
    into.extend_from_slice(&lz4_flex::block::compress(&controls));
}

/// Decodes what [`encode`] made and appends it.
pub(super) fn decode(encoded: &[u8], count: usize, into: &mut Vec<f64>) -> Option<()> {
    let mut reader = Reader::new(encoded);
    let raw_len = usize::try_from(reader.varint()?).ok()?;
    if raw_len > count * 9 {
        return None;
    }
    let raw = lz4_flex::block::decompress(reader.take(reader.remaining())?, raw_len).ok()?;
    let mut bytes = Reader::new(&raw);
    let controls = bytes.take(count)?;
    let mut before = 0u64;
    for control in controls {
        let (above, below) = (usize::from(control >> 4), usize::from(control & 15));
        let len = 8usize.checked_sub(above + below)?;
        let mut word = [0; 8];
        word[below..below + len].copy_from_slice(bytes.take(len)?);
        before ^= u64::from_le_bytes(word);
        into.push(f64::from_bits(before));
    }
    Some(())
}
