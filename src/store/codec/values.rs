//! Floats: as decimals where they are, else by what differs.

use std::cell::RefCell;

use pco::ChunkConfig;
use pco::standalone::{simple_compress, simple_decompress_into};

use super::decimal::{self, Odd, Scale};
use super::integers::{self, Scratch};
use super::{COUNT_MAX, Effort, xor};
use crate::series::STALE_NAN_BITS;
use crate::store::bytes::{Reader, put_u64, put_varint};

const RAW: u8 = 0;
const DECIMAL: u8 = 1;
const DECIMAL_PCO: u8 = 2;
const XOR: u8 = 3;
const PCO: u8 = 4;

/// Set in the codec of decimals when values that are none follow.
const HAS_ODD: u8 = 0x80;

/// Level 8 of 12: higher ones hardly gain and take twice as long.
const PCO_LEVEL: usize = 8;

/// Values that are no decimals and come often, by their code, which is their place and one.
const USUAL_ODD: [u64; 5] = [
    STALE_NAN_BITS,
    0x7ff8_0000_0000_0001, // the NaN of Go
    0x7ff0_0000_0000_0000,
    0xfff0_0000_0000_0000,
    0x8000_0000_0000_0000, // -0
];

/// Buffers that one column leaves to the next.
#[derive(Default)]
struct Buffers {
    whole: Vec<i64>,
    odd: Vec<Odd>,
    integers: Scratch,
    back: Vec<f64>,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::default();
}

/// Appends the encoding of values, of which there must be one and at most [`COUNT_MAX`].
pub(in crate::store) fn encode_values(values: &[f64], effort: Effort, into: &mut Vec<u8>) {
    BUFFERS.with_borrow_mut(|buffers| {
        let at = into.len();
        encode(values, effort, buffers, into);
        let back = &mut buffers.back;
        back.clear();
        let is_same = decode_values(&into[at..], values.len(), back).is_some()
            && back.iter().zip(values).all(|(a, b)| a.to_bits() == b.to_bits());
        if !is_same || into.len() - at > values.len() * 8 + 1 {
            into.truncate(at);
            into.push(RAW);
            for value in values {
                put_u64(into, value.to_bits());
            }
        }
    });
}

fn encode(values: &[f64], effort: Effort, buffers: &mut Buffers, into: &mut Vec<u8>) {
    let at = into.len();
    let odd_max = 2 + values.len() / 32;
    let Buffers { whole, odd, integers, .. } = buffers;
    let Some(scale) = decimal::scale(values, odd_max, whole, odd) else {
        into.push(XOR);
        xor::encode(values, into);
        if effort == Effort::Compact {
            replace_if_smaller(into, at, &[PCO], compress(values), 100);
        }
        return;
    };
    into.push(DECIMAL | if odd.is_empty() { 0 } else { HAS_ODD });
    into.push(scale.to_byte());
    if !odd.is_empty() {
        put_odd(odd, into);
    }
    let head = into[at..].to_vec();
    integers::put(whole, integers, into);
    // What pco brings along does not pay for short columns.
    if effort == Effort::Compact && into.len() - at > 64 {
        let mut head = head;
        head[0] = DECIMAL_PCO | head[0] & HAS_ODD;
        replace_if_smaller(into, at, &head, compress(whole), 92);
    }
}

fn compress<T: pco::data_types::Number>(numbers: &[T]) -> Option<Vec<u8>> {
    simple_compress(numbers, &ChunkConfig::default().with_compression_level(PCO_LEVEL)).ok()
}

/// Puts another encoding in the place of the one that begins at a place, if it takes at most so
/// many percent of its bytes.
fn replace_if_smaller(
    into: &mut Vec<u8>,
    at: usize,
    head: &[u8],
    body: Option<Vec<u8>>,
    percent: usize,
) {
    let Some(body) = body else { return };
    if (head.len() + body.len()) * 100 <= (into.len() - at) * percent {
        into.truncate(at);
        into.extend_from_slice(head);
        into.extend_from_slice(&body);
    }
}

/// `count varint | (distance to the one before varint | code u8 | bits if the code is 0)*`
fn put_odd(odd: &[Odd], into: &mut Vec<u8>) {
    put_varint(into, odd.len() as u64);
    let mut before = 0;
    for (at, bits) in odd {
        put_varint(into, (at - before) as u64);
        before = *at;
        if let Some(place) = USUAL_ODD.iter().position(|usual| usual == bits) {
            into.push(place as u8 + 1);
        } else {
            into.push(0);
            put_u64(into, *bits);
        }
    }
}

/// Decodes what [`encode_values`] made and appends it; `None` when the bytes do not hold it.
pub(in crate::store) fn decode_values(
    bytes: &[u8],
    count: usize,
    into: &mut Vec<f64>,
) -> Option<()> {
    if count > COUNT_MAX {
        return None;
    }
    let (codec, rest) = bytes.split_first()?;
    let mut reader = Reader::new(rest);
    match codec & !HAS_ODD {
        codec @ (DECIMAL | DECIMAL_PCO) => {
            let scale = Scale::from_byte(reader.u8()?)?;
            let odd = if bytes[0] & HAS_ODD == 0 { Vec::new() } else { take_odd(&mut reader)? };
            let start = into.len();
            into.reserve(count);
            if codec == DECIMAL {
                integers::take(&mut reader, count, |whole| scale.extend(whole, into))?;
                reader.is_empty().then_some(())?;
            } else {
                let mut whole = vec![0i64; count];
                decompress(reader, &mut whole)?;
                scale.extend(&whole, into);
            }
            for (at, bits) in odd {
                *into.get_mut(start + at)? = f64::from_bits(bits);
            }
            Some(())
        }
        _ if codec & HAS_ODD != 0 => None,
        XOR => xor::decode(rest, count, into),
        PCO => {
            let start = into.len();
            into.resize(start + count, 0.0);
            decompress(reader, &mut into[start..])
        }
        RAW => {
            into.reserve(count);
            for _ in 0..count {
                into.push(f64::from_bits(reader.u64()?));
            }
            reader.is_empty().then_some(())
        }
        _ => None,
    }
}

fn decompress<T: pco::data_types::Number>(mut reader: Reader<'_>, into: &mut [T]) -> Option<()> {
    let bytes = reader.take(reader.remaining())?;
    let progress = simple_decompress_into(bytes, into).ok()?;
    (progress.n_processed == into.len() && progress.finished).then_some(())
}

fn take_odd(reader: &mut Reader<'_>) -> Option<Vec<Odd>> {
    let count = reader.count(2)?;
    let mut odd = Vec::with_capacity(count);
    let mut at = 0usize;
    for _ in 0..count {
        at = at.checked_add(usize::try_from(reader.varint()?).ok()?)?;
        let bits = match reader.u8()? {
            0 => reader.u64()?,
            code => *USUAL_ODD.get(usize::from(code) - 1)?,
        };
        odd.push((at, bits));
    }
    Some(odd)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(values: &[f64], effort: Effort) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode_values(values, effort, &mut bytes);
        let mut back = Vec::new();
        decode_values(&bytes, values.len(), &mut back).unwrap();
        let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&back), bits(values));
        bytes
    }

    #[test]
    fn usual_columns_take_few_bytes() {
        let len = |value: &dyn Fn(i64) -> f64| {
            encoded(&(0..480).map(value).collect::<Vec<_>>(), Effort::Seal).len()
        };
        assert!(len(&|_| 1.0) <= 4);
        assert!(len(&|i| (i * 15) as f64) <= 6);
        assert!(len(&|i| if i == 479 { f64::from_bits(STALE_NAN_BITS) } else { 0.25 }) <= 12);
        assert!(len(&|i| (i * i % 97) as f64 / 10.0) <= 480);
        assert!(len(&|i| (i * 7 + i % 3) as f64 * 0.001) <= 200, "made by multiplying");
    }

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            8 => (-1_000_000i64..1_000_000, 0i32..5).prop_map(|(i, e)| i as f64 / 10f64.powi(e)),
            2 => (0i64..1_000_000).prop_map(|i| i as f64 * 1e-3),
            1 => any::<u64>().prop_map(f64::from_bits),
            1 => proptest::sample::select(vec![f64::from_bits(STALE_NAN_BITS), f64::NAN, -0.0, 0.0,
                f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, 5e-324,
                9_007_199_254_740_993.0, 2_251_799_813_685_248.0, f64::MAX]),
        ]
    }

    proptest! {
        #[test]
        fn comes_back_to_the_bit(
            values in proptest::collection::vec(value(), 1..600),
            few in 0usize..9,
            compact in any::<bool>(),
        ) {
            let effort = if compact { Effort::Compact } else { Effort::Seal };
            encoded(&values, effort);
            let mostly_decimal: Vec<_> = values
                .iter()
                .enumerate()
                .map(|(at, value)| if few > 0 && at % 50 < few { *value } else { at as f64 / 4.0 })
                .collect();
            encoded(&mostly_decimal, effort);
        }

        #[test]
        fn nonsense_is_refused_without_harm(
            mut bytes in proptest::collection::vec(any::<u8>(), 1..300), codec in 0u8..6,
            odd in any::<bool>(), count in 0usize..9000,
        ) {
            bytes[0] = codec | if odd { HAS_ODD } else { 0 };
            let mut into = Vec::new();
            let _ = decode_values(&bytes, count, &mut into);
            prop_assert!(into.len() <= count + 128);
        }

        #[test]
        fn a_damaged_column_is_refused_or_something_else(
            values in proptest::collection::vec(value(), 1..300), compact in any::<bool>(),
            at in any::<proptest::sample::Index>(), bit in 0..8,
        ) {
            let mut bytes = Vec::new();
            let effort = if compact { Effort::Compact } else { Effort::Seal };
            encode_values(&values, effort, &mut bytes);
            let at = at.index(bytes.len());
            bytes[at] ^= 1u8 << bit;
            let _ = decode_values(&bytes, values.len(), &mut Vec::new());
        }
    }
}
