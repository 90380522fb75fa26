//! The pieces that every file of the store is made of: little-endian numbers, varints, texts.
//! Reading is checked at every step and yields `None` where the bytes end or make no sense.

pub(super) fn put_u16(into: &mut Vec<u8>, value: u16) {
    into.extend_from_slice(&value.to_le_bytes());
}

pub(super) fn put_u32(into: &mut Vec<u8>, value: u32) {
    into.extend_from_slice(&value.to_le_bytes());
}

pub(super) fn put_u64(into: &mut Vec<u8>, value: u64) {
    into.extend_from_slice(&value.to_le_bytes());
}

/// Appends a number as groups of 7 bits, least first.
pub(super) fn put_varint(into: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        into.push(value as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

/// Appends a signed number so that small ones of either sign are short.
pub(super) fn put_signed(into: &mut Vec<u8>, value: i64) {
    put_varint(into, zigzag(value));
}

pub(super) fn put_text(into: &mut Vec<u8>, text: &str) {
    put_varint(into, text.len() as u64);
    into.extend_from_slice(text.as_bytes());
}

pub(super) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

pub(super) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Reads from the front of a slice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Returns what `later`, a reader that went on from here, has read.
    pub(super) fn taken_since(&self, later: &Reader<'a>) -> &'a [u8] {
        &self.rest[..self.rest.len() - later.rest.len().min(self.rest.len())]
    }

    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// Passes over eight bytes if they are these.
    #[inline]
    pub(super) fn pass(&mut self, bytes: [u8; 8]) -> bool {
        let is_next = self.rest.first_chunk() == Some(&bytes);
        if is_next {
            self.rest = &self.rest[8..];
        }
        is_next
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Option<u64> {
        if let [byte @ ..0x80, rest @ ..] = self.rest {
            self.rest = rest;
            return Some(u64::from(*byte));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let group = u64::from(byte & 0x7f);
            if shift == 63 && group > 1 {
                return None;
            }
            value |= group << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    #[inline]
    pub(super) fn signed(&mut self) -> Option<i64> {
        self.varint().map(unzigzag)
    }

    /// Reads a number of things that take at least `bytes_min` bytes each, so that a wrong number
    /// cannot ask for more memory than there is input.
    pub(super) fn count(&mut self, bytes_min: usize) -> Option<usize> {
        let count = usize::try_from(self.varint()?).ok()?;
        (count.checked_mul(bytes_min)? <= self.rest.len()).then_some(count)
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        let len = self.count(1)?;
        std::str::from_utf8(self.take(len)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(values in proptest::collection::vec(any::<i64>(), 0..50), shift in 0u32..64) {
            let mut bytes = Vec::new();
            for value in &values {
                put_signed(&mut bytes, value >> shift);
            }
            let mut reader = Reader::new(&bytes);
            for value in &values {
                prop_assert_eq!(reader.signed(), Some(value >> shift));
            }
            prop_assert!(reader.is_empty());
            prop_assert_eq!(reader.u8(), None);
        }
    }
}
