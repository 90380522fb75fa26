//! Whole numbers in as few bits as most of a block need; the few that need more are patched.

use crate::store::bytes::{Reader, put_signed, put_varint};

/// So many numbers share a width.
pub(super) const BLOCK: usize = 128;

/// Set in the width when patches follow.
const HAS_PATCHES: u8 = 0x80;

/// How a block is packed best.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Plan {
    base: i64,
    width: u32,
    patches: usize,
    bits: usize,
}

/// Returns about how many bits a block takes.
pub(super) fn cost(block: &[i64]) -> usize {
    plan(block).bits
}

fn plan(block: &[i64]) -> Plan {
    // The three least: a reset or two must not widen all others.
    let mut least = [i64::MAX; 3];
    let mut most = i64::MIN;
    for value in block {
        most = most.max(*value);
        if *value < least[2] {
            least[2] = *value;
            if least[2] < least[1] {
                least.swap(1, 2);
                if least[1] < least[0] {
                    least.swap(0, 1);
                }
            }
        }
    }
    let first = plan_from(block, least[0]);
    let other = least[2];
    if block.len() < 8 || width_of(other.wrapping_sub(least[0])) + 1 < first.width {
        return first;
    }
    let second = plan_from(block, other);
    if second.bits < first.bits { second } else { first }
}

fn width_of(value: i64) -> u32 {
    64 - (value as u64).leading_zeros()
}

fn plan_from(block: &[i64], base: i64) -> Plan {
    let mut widths = [0u16; 65];
    let mut widest = 0;
    for value in block {
        let width = width_of(value.wrapping_sub(base));
        widths[width as usize] += 1;
        widest = widest.max(width);
    }
    let base_bits = base_bits(base);
    let mut best = Plan { base, width: widest, patches: 0, bits: block.len() * widest as usize };
    // From the widest down: what no longer fits is patched.
    let (mut patches, mut wider) = (0usize, [0u32; 65]);
    for width in (0..widest).rev() {
        let more = u32::from(widths[width as usize + 1]);
        patches += more as usize;
        if patches > 32.min(block.len() / 4) {
            break;
        }
        wider[width as usize + 1] = more;
        let high: u32 = (width + 1..=widest)
            .map(|wide| wider[wide as usize] * (wide - width).div_ceil(7) * 8)
            .sum();
        let bits = block.len() * width as usize + patches * 8 + 8 + high as usize;
        if bits < best.bits {
            best = Plan { base, width, patches, bits };
        }
    }
    best.bits += base_bits + 8;
    best
}

fn base_bits(base: i64) -> usize {
    (width_of(crate::store::bytes::zigzag(base) as i64).max(1) as usize).div_ceil(7) * 8
}

/// Appends a block of at most [`BLOCK`] numbers.
pub(super) fn put_block(block: &[i64], into: &mut Vec<u8>) {
    let Plan { base, width, patches, .. } = plan(block);
    put_signed(into, base);
    into.push(width as u8 | if patches > 0 { HAS_PATCHES } else { 0 });
    if patches > 0 {
        into.push(patches as u8);
        for (at, value) in block.iter().enumerate() {
            let value = value.wrapping_sub(base) as u64;
            if width_of(value as i64) > width {
                into.push(at as u8);
                put_varint(into, value >> width);
            }
        }
    }
    let mask = if width == 64 { u64::MAX } else { (1 << width) - 1 };
    let (mut pending, mut bits) = (0u128, 0);
    for value in block {
        pending |= u128::from(value.wrapping_sub(base) as u64 & mask) << bits;
        bits += width;
        if bits >= 64 {
            into.extend_from_slice(&(pending as u64).to_le_bytes());
            pending >>= 64;
            bits -= 64;
        }
    }
    into.extend_from_slice(&pending.to_le_bytes()[..bits.div_ceil(8) as usize]);
}

/// Reads a block of `count` numbers, at most [`BLOCK`], into the front of `block`.
#[inline]
pub(super) fn take_block(
    reader: &mut Reader<'_>,
    count: usize,
    block: &mut [i64; BLOCK],
) -> Option<()> {
    let base = reader.signed()?;
    let head = reader.u8()?;
    let width = usize::from(head & !HAS_PATCHES);
    if width > 64 {
        return None;
    }
    let mut patches: &[u8] = &[];
    let mut patch_count = 0;
    if head & HAS_PATCHES != 0 {
        patch_count = usize::from(reader.u8()?);
        let before = *reader;
        for _ in 0..patch_count {
            reader.u8()?;
            reader.varint()?;
        }
        patches = before.taken_since(reader);
    }
    let packed = reader.take((count * width).div_ceil(8))?;
    if width == 0 {
        block[..count].fill(0);
    } else {
        // Room to read whole words past the end.
        let mut padded = [0u8; BLOCK * 8 + 16];
        padded[..packed.len()].copy_from_slice(packed);
        unpack(&padded, width, block);
    }
    let mut patches = Reader::new(patches);
    for _ in 0..patch_count {
        let at = usize::from(patches.u8()?);
        let high = patches.varint()?;
        let value = block[..count].get_mut(at)?;
        *value |= high.checked_shl(width as u32)? as i64;
    }
    block[..count].iter_mut().for_each(|value| *value = value.wrapping_add(base));
    Some(())
}

type Padded = [u8; BLOCK * 8 + 16];

/// Unpacks a whole block. Each width has its own loop, in which shifts and masks are constants.
fn unpack(padded: &Padded, width: usize, block: &mut [i64; BLOCK]) {
    macro_rules! of_width {
        ($($width:literal)*) => {
            match width {
                $($width => unpack_narrow::<$width>(padded, block),)*
                _ => unpack_wide(padded, width, block),
            }
        };
    }
    of_width!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32);
}

/// Eight numbers of `W` bits are `W` bytes.
fn unpack_narrow<const W: usize>(padded: &Padded, block: &mut [i64; BLOCK]) {
    let mask = (1u64 << W) - 1;
    for (group, eight) in block.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let bytes: &[u8; 40] = padded[group * W..].first_chunk().expect("it is padded");
        for (at, value) in eight.iter_mut().enumerate() {
            let bit = at * W;
            let word = u64::from_le_bytes(
                *bytes[bit / 8..].first_chunk().expect("28 bytes and a word are within 40"),
            );
            *value = (word >> (bit % 8) & mask) as i64;
        }
    }
}

fn unpack_wide(padded: &Padded, width: usize, block: &mut [i64; BLOCK]) {
    let mask = if width == 64 { u64::MAX } else { (1 << width) - 1 };
    for (at, value) in block.iter_mut().enumerate() {
        let bit = at * width;
        let word = padded[bit / 8..].first_chunk().expect("it is padded");
        *value = ((u128::from_le_bytes(*word) >> (bit % 8)) as u64 & mask) as i64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn comes_back(
            values in proptest::collection::vec(any::<i64>(), 1..=BLOCK),
            shift in 0u32..64,
            odd in proptest::collection::vec((0usize..BLOCK, any::<i64>()), 0..6),
        ) {
            let mut values: Vec<_> = values.into_iter().map(|value| value >> shift).collect();
            for (at, value) in odd {
                if let Some(found) = values.get_mut(at) {
                    *found = value;
                }
            }
            let mut bytes = Vec::new();
            put_block(&values, &mut bytes);
            prop_assert!(bytes.len() <= values.len() * 8 + 12);
            let mut block = [0; BLOCK];
            let mut reader = Reader::new(&bytes);
            take_block(&mut reader, values.len(), &mut block).unwrap();
            prop_assert!(reader.is_empty());
            prop_assert_eq!(&block[..values.len()], &values);
        }

        #[test]
        fn nonsense_is_refused_without_harm(
            bytes in proptest::collection::vec(any::<u8>(), 0..200), count in 1..=BLOCK,
        ) {
            let _ = take_block(&mut Reader::new(&bytes), count, &mut [0; BLOCK]);
        }
    }

    #[test]
    fn a_few_odd_numbers_do_not_widen_the_rest() {
        let mut values: Vec<i64> = (0..128).map(|i| i % 8).collect();
        (values[17], values[90]) = (-1_000_000_000, 5_000_000_000);
        let mut bytes = Vec::new();
        put_block(&values, &mut bytes);
        assert!(bytes.len() < 48 + 24, "{}", bytes.len());
    }
}
