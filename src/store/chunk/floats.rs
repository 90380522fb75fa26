use super::integers;
use crate::store::bytes::{Reader, put_u64, put_varint};

/// Powers of ten that a float holds exactly.
const POWERS: [f64; 16] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// Whole numbers up to here, exclusive, are floats without loss.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// Returns the whole number that, divided by the power of ten, is `value` to the bit.
fn scaled(value: f64, exponent: usize) -> Option<i64> {
    let whole = (value * POWERS[exponent]).round();
    let exact = whole.abs() < WHOLE_MAX
        && (whole as i64 as f64 / POWERS[exponent]).to_bits() == value.to_bits();
    exact.then_some(whole as i64)
}

/// Encodes values that are decimals of few digits as whole numbers over one power of ten. Values
/// that are not are kept beside; `None` when there are too many of them.
///
/// `exponent u8 | exceptions | (place, bits u64)* | integers`
pub(super) fn encode_decimal(values: &[f64]) -> Option<Vec<u8>> {
    let exceptions_max = 2 + values.len() / 32;
    let mut exponent = 0;
    let mut exceptions = 0;
    for value in values {
        // A larger exponent does not lose what a smaller one held: both divisions round the same
        // rational number.
        match (exponent..POWERS.len()).find(|exponent| scaled(*value, *exponent).is_some()) {
            Some(found) => exponent = found,
            None => exceptions += 1,
        }
        if exceptions > exceptions_max {
            return None;
        }
    }
    let mut kept = Vec::new();
    let mut whole = Vec::with_capacity(values.len());
    for (at, value) in values.iter().enumerate() {
        let scaled = scaled(*value, exponent);
        if scaled.is_none() {
            kept.push((at, value.to_bits()));
        }
        let before = whole.last().copied().unwrap_or(0);
        whole.push(scaled.unwrap_or(before));
    }
    if kept.len() > exceptions_max {
        return None;
    }
    let mut bytes = vec![exponent as u8];
    put_varint(&mut bytes, kept.len() as u64);
    for (at, bits) in kept {
        put_varint(&mut bytes, at as u64);
        put_u64(&mut bytes, bits);
    }
    bytes.extend_from_slice(&integers::encode(&whole));
    Some(bytes)
}

/// Decodes what [`encode_decimal`] made.
pub(super) fn decode_decimal(bytes: &[u8], count: usize) -> Option<Vec<f64>> {
    let mut reader = Reader::new(bytes);
    let power = *POWERS.get(usize::from(reader.u8()?))?;
    let exceptions = reader.count(9)?;
    let mut kept = Vec::with_capacity(exceptions);
    for _ in 0..exceptions {
        let at = usize::try_from(reader.varint()?).ok()?;
        kept.push((at, reader.u64()?));
    }
    let whole = integers::decode(reader.take(reader.remaining())?, count)?;
    let mut values: Vec<_> = whole.into_iter().map(|whole| whole as f64 / power).collect();
    for (at, bits) in kept {
        *values.get_mut(at)? = f64::from_bits(bits);
    }
    Some(values)
}

/// Encodes any values as what differs in each from the one before, then LZ4.
///
/// `(zero bytes above << 4 | zero bytes below)* | the bytes between*`, compressed
pub(super) fn encode_xor(values: &[f64]) -> Vec<u8> {
    let (mut controls, mut bytes) = (Vec::with_capacity(values.len()), Vec::new());
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
    let mut encoded = Vec::new();
    put_varint(&mut encoded, controls.len() as u64);
    encoded.extend_from_slice(&lz4_flex::block::compress(&controls));
    encoded
}

/// Decodes what [`encode_xor`] made.
pub(super) fn decode_xor(encoded: &[u8], count: usize) -> Option<Vec<f64>> {
    let mut reader = Reader::new(encoded);
    let raw_len = usize::try_from(reader.varint()?).ok()?;
    if raw_len > count * 9 {
        return None;
    }
    let raw = lz4_flex::block::decompress(reader.take(reader.remaining())?, raw_len).ok()?;
    let mut bytes = Reader::new(&raw);
    let controls = bytes.take(count)?;
    let mut before = 0u64;
    let mut values = Vec::with_capacity(count);
    for control in controls {
        let (above, below) = (usize::from(control >> 4), usize::from(control & 15));
        let len = 8usize.checked_sub(above + below)?;
        let mut word = [0; 8];
        word[below..below + len].copy_from_slice(bytes.take(len)?);
        before ^= u64::from_le_bytes(word);
        values.push(f64::from_bits(before));
    }
    Some(values)
}
