//! Whole numbers as the best of themselves, their differences, and the differences of those.

use super::COUNT_MAX;
use super::packing::{BLOCK, cost, put_block, take_block};
use crate::store::bytes::{Reader, put_signed, put_u64, put_varint};

/// All numbers are one.
const CONSTANT: u8 = 0;
/// All differences are one.
const STEADY: u8 = 1;
/// Blocks of the numbers; the two above this are those of differences taken once and twice.
const PLAIN: u8 = 2;
const ORDER_MAX: u8 = 2;
/// 8 bytes each: for what did not come back from the others.
const RAW: u8 = 7;
/// Added when all numbers of the blocks are multiples of one, apart from the first.
const HAS_FACTOR: u8 = 8;

/// Buffers of an encoder, which one column leaves to the next.
#[derive(Default)]
pub(super) struct Scratch {
    orders: [Vec<i64>; 3],
}

/// Appends the encoding of numbers, of which there must be one.
///
/// `mode u8 | firsts signed | factor varint, if any | blocks`
pub(in crate::store) fn encode_integers(values: &[i64], into: &mut Vec<u8>) {
    let at = into.len();
    put(values, &mut Scratch::default(), into);
    let mut back = Vec::with_capacity(values.len());
    if decode_integers(&into[at..], values.len(), &mut back).is_none() || back != values {
        into.truncate(at);
        put_raw(values, into);
    }
}

/// Appends numbers as they are.
pub(super) fn put_raw(values: &[i64], into: &mut Vec<u8>) {
    into.push(RAW);
    for value in values {
        put_u64(into, *value as u64);
    }
}

/// As [`encode_integers`], without looking whether they come back.
pub(super) fn put(values: &[i64], scratch: &mut Scratch, into: &mut Vec<u8>) {
    let Some((first, rest)) = values.split_first() else { return };
    if rest.iter().all(|value| value == first) {
        into.push(CONSTANT);
        return put_signed(into, *first);
    }
    let delta = rest[0].wrapping_sub(*first);
    if values.windows(2).all(|two| two[1].wrapping_sub(two[0]) == delta) {
        into.push(STEADY);
        put_signed(into, *first);
        return put_signed(into, delta);
    }
    let orders = &mut scratch.orders;
    orders[0].clear();
    orders[0].extend_from_slice(values);
    let order = best_order(orders);
    let residuals = &mut scratch.orders[order];
    let factor = common_factor(residuals);
    into.push(PLAIN + order as u8 + if factor > 1 { HAS_FACTOR } else { 0 });
    if order > 0 {
        put_signed(into, *first);
    }
    if order > 1 {
        put_signed(into, delta);
    }
    if factor > 1 {
        put_varint(into, factor);
        let origin = residuals[0];
        put_signed(into, origin);
        for value in &mut *residuals {
            *value = value.wrapping_sub(origin) / factor as i64;
        }
    }
    residuals.chunks(BLOCK).for_each(|block| put_block(block, into));
}

/// Takes differences as long as that pays; returns how often.
fn best_order(orders: &mut [Vec<i64>; 3]) -> usize {
    let cost_of = |values: &[i64]| values.chunks(BLOCK).map(cost).sum::<usize>();
    let (mut best, mut least) = (0, cost_of(&orders[0]));
    for order in 1..=usize::from(ORDER_MAX) {
        let (before, rest) = orders.split_at_mut(order);
        let (before, next) = (&before[order - 1], &mut rest[0]);
        next.clear();
        if before.len() < 2 {
            break;
        }
        next.extend(before.windows(2).map(|two| two[1].wrapping_sub(two[0])));
        let cost = cost_of(next) + 16;
        if cost < least {
            (best, least) = (order, cost);
        } else if order == 1 && cost > least * 2 {
            break;
        }
    }
    best
}

/// Returns the greatest number that divides what all differ by from the first; 1 where a factor
/// does not pay or the numbers are too far apart.
fn common_factor(values: &[i64]) -> u64 {
    let origin = values[0];
    let mut factor = 0u64;
    for value in values {
        let Some(differs) = value.checked_sub(origin) else { return 1 };
        let mut a = differs.unsigned_abs();
        while a != 0 {
            (factor, a) = (a, factor % a);
        }
        if factor == 1 {
            return 1;
        }
    }
    if i64::try_from(factor).is_ok() { factor.max(1) } else { 1 }
}

/// Decodes what [`encode_integers`] made and appends it; `None` when the bytes do not hold it.
pub(in crate::store) fn decode_integers(
    bytes: &[u8],
    count: usize,
    into: &mut Vec<i64>,
) -> Option<()> {
    let mut reader = Reader::new(bytes);
    take(&mut reader, count, |block| into.extend_from_slice(block))?;
    reader.is_empty().then_some(())
}

/// Reads `count` numbers and hands them to `each`, a block at a time.
#[inline]
pub(super) fn take(
    reader: &mut Reader<'_>,
    count: usize,
    mut each: impl FnMut(&[i64]),
) -> Option<()> {
    if count == 0 || count > COUNT_MAX {
        return (count == 0).then_some(());
    }
    let mode = reader.u8()?;
    if mode == CONSTANT || mode == STEADY {
        let mut value = reader.signed()?;
        let delta = if mode == STEADY { reader.signed()? } else { 0 };
        let mut block = [0; BLOCK];
        let mut left = count;
        while left > 0 {
            let len = left.min(BLOCK);
            for place in &mut block[..len] {
                *place = value;
                value = value.wrapping_add(delta);
            }
            each(&block[..len]);
            left -= len;
        }
        return Some(());
    }
    if mode == RAW {
        for _ in 0..count {
            each(&[reader.u64()? as i64]);
        }
        return Some(());
    }
    let order = usize::from((mode & !HAS_FACTOR).checked_sub(PLAIN)?);
    if order > usize::from(ORDER_MAX) || order >= count {
        return None;
    }
    let mut value = if order > 0 { reader.signed()? } else { 0 };
    let mut delta = if order > 1 { reader.signed()? } else { 0 };
    let (factor, origin) =
        if mode & HAS_FACTOR != 0 { (reader.varint()? as i64, reader.signed()?) } else { (1, 0) };
    if order > 0 {
        each(&[value]);
    }
    if order > 1 {
        value = value.wrapping_add(delta);
        each(&[value]);
    }
    let mut left = count - order;
    let mut block = [0; BLOCK];
    while left > 0 {
        let len = left.min(BLOCK);
        take_block(reader, len, &mut block)?;
        if mode & HAS_FACTOR != 0 {
            for number in &mut block[..len] {
                *number = number.wrapping_mul(factor).wrapping_add(origin);
            }
        }
        match order {
            0 => {}
            1 => {
                for number in &mut block[..len] {
                    value = value.wrapping_add(*number);
                    *number = value;
                }
            }
            _ => {
                for number in &mut block[..len] {
                    delta = delta.wrapping_add(*number);
                    value = value.wrapping_add(delta);
                    *number = value;
                }
            }
        }
        each(&block[..len]);
        left -= len;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn len(values: &[i64]) -> usize {
        let mut bytes = Vec::new();
        encode_integers(values, &mut bytes);
        let mut back = Vec::new();
        decode_integers(&bytes, values.len(), &mut back).unwrap();
        assert_eq!(back, values);
        bytes.len()
    }

    #[test]
    fn usual_columns_take_few_bytes() {
        assert!(len(&[5; 480]) <= 3);
        assert!(len(&(0..480).map(|i| 100_000 + i * 15).collect::<Vec<_>>()) <= 6);
        let jumps: Vec<_> = (0..480).map(|i| (i * i % 11) * 4096).collect();
        assert!(len(&jumps) <= 480 / 2 + 32, "a common factor costs nothing");
    }

    #[test]
    fn raw_numbers_are_read() {
        let values = [1, -1, i64::MAX, i64::MIN, 0];
        let mut bytes = Vec::new();
        put_raw(&values, &mut bytes);
        let mut back = Vec::new();
        decode_integers(&bytes, values.len(), &mut back).unwrap();
        assert_eq!(back, values);
        assert_eq!(decode_integers(&bytes[..bytes.len() - 1], values.len(), &mut back), None);
    }

    proptest! {
        #[test]
        fn comes_back(
            values in proptest::collection::vec(any::<i64>(), 1..700),
            shift in 0u32..64, factor in 1i64..5000, sums in 0usize..3,
        ) {
            let mut values: Vec<_> =
                values.into_iter().map(|value| (value >> shift).wrapping_mul(factor)).collect();
            for _ in 0..sums {
                let mut sum = 0i64;
                for value in &mut values {
                    sum = sum.wrapping_add(*value);
                    *value = sum;
                }
            }
            len(&values);
        }

        #[test]
        fn nonsense_is_refused_without_harm(
            bytes in proptest::collection::vec(any::<u8>(), 0..300), count in 0usize..9000,
        ) {
            let mut into = Vec::new();
            let _ = decode_integers(&bytes, count, &mut into);
            prop_assert!(into.len() <= count);
        }
    }
}
