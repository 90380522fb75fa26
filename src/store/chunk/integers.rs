use crate::store::bytes::{Reader, put_signed};

/// So many numbers share a width.
const BLOCK: usize = 128;

/// How often differences are taken at most.
const ORDER_MAX: usize = 2;

/// Encodes numbers as the best of themselves, their differences, and the differences of those,
/// each as its distance from the least of its block, in as few bits as the block needs.
///
/// `order u8 | first numbers, signed | blocks of (least, signed | width u8 | bits)`
pub(super) fn encode(values: &[i64]) -> Vec<u8> {
    let mut residuals = values.to_vec();
    let mut firsts = Vec::new();
    let mut best = encode_residuals(0, &firsts, &residuals);
    for order in 1..=ORDER_MAX.min(values.len().saturating_sub(1)) {
        firsts.push(residuals[0]);
        residuals = residuals.windows(2).map(|two| two[1].wrapping_sub(two[0])).collect();
        if packed_bits(&residuals) / 8 < best.len() {
            let encoded = encode_residuals(order as u8, &firsts, &residuals);
            if encoded.len() < best.len() {
                best = encoded;
            }
        }
    }
    best
}

fn least_and_width(block: &[i64]) -> (i64, u32) {
    let least = block.iter().copied().min().unwrap_or(0);
    let most = block.iter().copied().max().unwrap_or(0);
    (least, 64 - (most.wrapping_sub(least) as u64).leading_zeros())
}

fn packed_bits(residuals: &[i64]) -> usize {
    residuals.chunks(BLOCK).map(|block| block.len() * least_and_width(block).1 as usize).sum()
}

fn encode_residuals(order: u8, firsts: &[i64], residuals: &[i64]) -> Vec<u8> {
    let mut bytes = vec![order];
    for first in firsts {
        put_signed(&mut bytes, *first);
    }
    for block in residuals.chunks(BLOCK) {
        let (least, width) = least_and_width(block);
        put_signed(&mut bytes, least);
        bytes.push(width as u8);
        let (mut pending, mut bits) = (0u128, 0);
        for value in block {
            pending |= u128::from(value.wrapping_sub(least) as u64) << bits;
            bits += width;
            while bits >= 8 {
                bytes.push(pending as u8);
                pending >>= 8;
                bits -= 8;
            }
        }
        if bits > 0 {
            bytes.push(pending as u8);
        }
    }
    bytes
}

/// Decodes `count` numbers; `None` when the bytes do not hold them.
pub(super) fn decode(bytes: &[u8], count: usize) -> Option<Vec<i64>> {
    let mut reader = Reader::new(bytes);
    let order = usize::from(reader.u8()?);
    if order > ORDER_MAX || order > count {
        return None;
    }
    let mut firsts = [0; ORDER_MAX];
    for first in &mut firsts[..order] {
        *first = reader.signed()?;
    }
    let mut values = vec![0i64; count];
    for block in values[order..].chunks_mut(BLOCK) {
        let least = reader.signed()?;
        let width = usize::from(reader.u8()?);
        if width > 64 {
            return None;
        }
        unpack(reader.take((block.len() * width).div_ceil(8))?, width, least, block);
    }
    for at in (0..order).rev() {
        values[at] = firsts[at];
        for i in at + 1..count {
            values[i] = values[i].wrapping_add(values[i - 1]);
        }
    }
    reader.is_empty().then_some(values)
}

fn unpack(packed: &[u8], width: usize, least: i64, into: &mut [i64]) {
    let mask = if width == 64 { u64::MAX } else { (1 << width) - 1 };
    for (at, value) in into.iter_mut().enumerate() {
        let bit = at * width;
        let rest = &packed[(bit / 8).min(packed.len())..];
        let word = if let Some(bytes) = rest.first_chunk::<16>() {
            u128::from_le_bytes(*bytes)
        } else {
            let mut bytes = [0; 16];
            bytes[..rest.len()].copy_from_slice(rest);
            u128::from_le_bytes(bytes)
        };
        *value = least.wrapping_add(((word >> (bit % 8)) as u64 & mask) as i64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn comes_back(values in proptest::collection::vec(any::<i64>(), 0..300), shift in 0u32..64) {
            let values: Vec<_> = values.into_iter().map(|value| value >> shift).collect();
            let encoded = encode(&values);
            prop_assert_eq!(decode(&encoded, values.len()), Some(values));
        }
    }
}
