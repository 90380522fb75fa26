//! Bits as Prometheus' chunks have them: from the high bit of each byte on.
//!
//! Source: Prometheus, tsdb/docs/format/chunks.md.

/// Reads bits; `None` at the end.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Bits<'a> {
        Bits { bytes, at: 0 }
    }

    pub(super) fn bit(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1 == 1;
        self.at += 1;
        Some(bit)
    }

    /// Reads up to 64 bits as a number.
    pub(super) fn take(&mut self, count: u32) -> Option<u64> {
        let mut value = 0u64;
        let mut left = count;
        while left > 0 {
            let byte = u64::from(*self.bytes.get(self.at / 8)?);
            let room = 8 - (self.at % 8) as u32;
            let taken = room.min(left);
            let part = byte >> (room - taken) & ((1 << taken) - 1);
            value = value << taken | part;
            self.at += taken as usize;
            left -= taken;
        }
        Some(value)
    }

    pub(super) fn float(&mut self) -> Option<f64> {
        self.take(64).map(f64::from_bits)
    }

    /// A number of so many bits, of which the upper half stands for negative ones.
    pub(super) fn signed(&mut self, count: u32) -> Option<i64> {
        let value = self.take(count)?;
        if count < 64 && value > 1 << (count - 1) {
            return Some((value as i64).wrapping_sub(1 << count));
        }
        Some(value as i64)
    }

    /// A varint of whole bytes.
    pub(super) fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(8)?;
            value |= (byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// How many ones there are up to the next zero, at most so many.
    pub(super) fn ones(&mut self, most: usize) -> Option<usize> {
        for count in 0..most {
            if !self.bit()? {
                return Some(count);
            }
        }
        Some(most)
    }

    /// The number of bits of a number of variable size, by its prefix; `None` for 0.
    #[expect(clippy::option_option, reason = "the outer one says that the bits have ended")]
    fn varbit_size(&mut self) -> Option<Option<u32>> {
        let sizes =
            [None, Some(3), Some(6), Some(9), Some(12), Some(18), Some(25), Some(56), Some(64)];
        Some(sizes[self.ones(8)?])
    }

    pub(super) fn varbit_unsigned(&mut self) -> Option<u64> {
        self.varbit_size()?.map_or(Some(0), |size| self.take(size))
    }

    pub(super) fn varbit_signed(&mut self) -> Option<i64> {
        self.varbit_size()?.map_or(Some(0), |size| self.signed(size))
    }
}

/// A value that is given as the exclusive or with the one before.
#[derive(Clone, Copy, Default)]
pub(super) struct Xor {
    pub(super) bits: u64,
    above: u32,
    below: u32,
}

impl Xor {
    pub(super) fn first(bits: u64) -> Xor {
        Xor { bits, above: 0, below: 0 }
    }

    pub(super) fn next(&mut self, from: &mut Bits<'_>) -> Option<f64> {
        if from.bit()? {
            if from.bit()? {
                self.above = from.take(5)? as u32;
                let width = match from.take(6)? as u32 {
                    0 => 64,
                    width => width,
                };
                self.below = 64u32.checked_sub(self.above + width)?;
            }
            let width = 64 - self.above - self.below;
            self.bits ^= from.take(width)? << self.below;
        }
        Some(f64::from_bits(self.bits))
    }
}
