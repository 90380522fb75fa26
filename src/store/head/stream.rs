//! The open values of all series: a bit stream for each, over small blocks of one arena.
//!
//! A value is kept as its difference (exclusive or) to the one before, as in "Gorilla: A Fast,
//! Scalable, In-Memory Time Series Database" (VLDB 2015), section 4.1.2; only what the bits mean is
//! taken from there, not their order. Nothing of this is ever written to disk.

use crate::store::bytes::{Reader, put_u16, put_u64, put_varint};

/// No block.
pub(super) const NONE: u32 = u32::MAX;

/// Bits of values in a block; with `next` it fills half a cache line.
const BLOCK_BITS: u32 = 7 * 32;

#[derive(Clone, Copy)]
struct Block {
    words: [u32; 7],
    next: u32,
}

/// Where the values of one series are, and what is needed to add the next one.
#[derive(Clone, Copy)]
pub(super) struct Stream {
    /// The first block; [`NONE`] while there is no value.
    pub(super) first: u32,
    last: u32,
    pub(super) last_bits: u64,
    /// How many values there are.
    pub(super) count: u16,
    /// Bits used in the last block.
    pub(super) used: u8,
    /// The window of bits that the last difference was written in: zero bits above it, and its
    /// width; a width of 0 says that there is none.
    above: u8,
    width: u8,
}

impl Stream {
    pub(super) const EMPTY: Stream =
        Stream { first: NONE, last: NONE, last_bits: 0, count: 0, used: 0, above: 0, width: 0 };
}

/// The blocks of all streams.
pub(super) struct Streams {
    blocks: Vec<Block>,
    /// The first free block; they are linked.
    free: u32,
    free_count: usize,
}

impl Streams {
    pub(super) fn new() -> Streams {
        Streams { blocks: Vec::new(), free: NONE, free_count: 0 }
    }

    /// Reads what the next value of a stream will be written to.
    #[inline]
    pub(super) fn touch(&self, stream: &Stream) -> u32 {
        self.blocks.get(stream.last as usize).map_or(0, |block| block.words[6])
    }

    fn alloc(&mut self) -> u32 {
        let empty = Block { words: [0; 7], next: NONE };
        if self.free == NONE {
            self.blocks.push(empty);
            return self.blocks.len() as u32 - 1;
        }
        let at = self.free;
        self.free = self.blocks[at as usize].next;
        self.free_count -= 1;
        self.blocks[at as usize] = empty;
        at
    }

    /// Adds a value to a stream, which must not be full: it has room for 65,535.
    #[inline]
    pub(super) fn push(&mut self, stream: &mut Stream, bits: u64) {
        stream.count += 1;
        if stream.first == NONE {
            let block = self.alloc();
            *stream =
                Stream { first: block, last: block, last_bits: bits, count: 1, ..Stream::EMPTY };
            return self.put(stream, bits, 64);
        }
        let differs = bits ^ stream.last_bits;
        stream.last_bits = bits;
        if differs == 0 {
            // A zero bit, which is there already.
            if u32::from(stream.used) < BLOCK_BITS {
                stream.used += 1;
                return;
            }
            return self.put(stream, 0, 1);
        }
        let above = differs.leading_zeros().min(31);
        let below = differs.trailing_zeros();
        let (window_above, window) = (u32::from(stream.above), u32::from(stream.width));
        if window > 0 && above >= window_above && 64 - below <= window_above + window {
            self.put(stream, 0b01, 2);
            return self.put(stream, differs >> (64 - window_above - window), window);
        }
        let width = 64 - above - below;
        (stream.above, stream.width) = (above as u8, width as u8);
        self.put(stream, u64::from(0b11 | above << 2 | (width - 1) << 7), 13);
        self.put(stream, differs >> below, width);
    }

    /// Appends the low `count` bits of `value`, whose other bits are 0.
    #[inline]
    fn put(&mut self, stream: &mut Stream, value: u64, count: u32) {
        if count > 32 {
            self.put_word(stream, value as u32, 32);
            self.put_word(stream, (value >> 32) as u32, count - 32);
        } else {
            self.put_word(stream, value as u32, count);
        }
    }

    #[inline]
    fn put_word(&mut self, stream: &mut Stream, value: u32, count: u32) {
        let used = u32::from(stream.used);
        if used + count > BLOCK_BITS {
            return self.put_over_end(stream, value, count);
        }
        let words = &mut self.blocks[stream.last as usize].words;
        let shifted = u64::from(value) << (used % 32);
        let at = used as usize / 32;
        words[at] |= shifted as u32;
        if let Some(next) = words.get_mut(at + 1) {
            *next |= (shifted >> 32) as u32;
        }
        stream.used += count as u8;
    }

    #[cold]
    fn put_over_end(&mut self, stream: &mut Stream, value: u32, count: u32) {
        let room = BLOCK_BITS - u32::from(stream.used);
        if room > 0 {
            self.put_word(stream, value & ((1 << room) - 1), room);
        }
        let next = self.alloc();
        self.blocks[stream.last as usize].next = next;
        (stream.last, stream.used) = (next, 0);
        self.put_word(stream, value >> room, count - room);
    }

    /// Appends the first `count` values of the stream that begins with a block. One that was restored
    /// and holds something else under the right checksum has other values, and does no harm.
    pub(super) fn read(&self, first: u32, count: u32, into: &mut Vec<f64>) {
        into.reserve(count as usize);
        let mut bits = self.bits(first, count);
        let (mut value, mut above, mut width) = (bits.take(64), 0, 0);
        let mut left = count;
        if left > 0 {
            into.push(f64::from_bits(value));
            left -= 1;
        }
        while left > 0 {
            let control = bits.peek();
            if control & 1 == 0 {
                let same = control.trailing_zeros().min(left);
                into.extend(std::iter::repeat_n(f64::from_bits(value), same as usize));
                bits.at += same as usize;
                left -= same;
                continue;
            }
            if control & 0b10 == 0 {
                bits.at += 2;
            } else {
                above = (control >> 2 & 0x1f) as u32;
                width = (control >> 7 & 0x3f) as u32 + 1;
                bits.at += 13;
            }
            let below = 64u32.saturating_sub(above + width);
            value ^= bits.take(width).checked_shl(below).unwrap_or(0);
            into.push(f64::from_bits(value));
            left -= 1;
        }
    }

    /// Returns the bits of the stream that begins with a block, in one piece.
    fn bits(&self, first: u32, count: u32) -> Bits {
        // Most values take less; a longer stream grows it.
        let mut words = Vec::with_capacity(2 * count as usize + 8);
        let mut next = self.blocks.get(first as usize);
        while let Some(block) = next {
            words.extend_from_slice(&block.words);
            next = self.blocks.get(block.next as usize);
        }
        words.extend_from_slice(&[0; 2]);
        Bits { words, at: 0 }
    }

    /// Appends a stream of at least one value as a checkpoint has it.
    pub(super) fn save(&self, stream: &Stream, into: &mut Vec<u8>) {
        put_varint(into, u64::from(stream.count));
        put_u64(into, stream.last_bits);
        into.extend_from_slice(&[stream.used, stream.above, stream.width]);
        let place = into.len();
        put_u16(into, 0);
        let mut full = 0u16;
        let mut block = &self.blocks[stream.first as usize];
        while block.next != NONE {
            into.extend(block.words.iter().flat_map(|word| word.to_le_bytes()));
            full += 1;
            block = &self.blocks[block.next as usize];
        }
        let words = &block.words[..usize::from(stream.used).div_ceil(32)];
        into.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        into[place..place + 2].copy_from_slice(&full.to_le_bytes());
    }

    /// Goes from each of some blocks to the next one, where there is one; returns whether there was.
    /// The misses of all overlap.
    pub(super) fn step(&self, blocks: &mut Vec<u32>) -> bool {
        blocks.retain_mut(|at| {
            *at = self.blocks.get(*at as usize).map_or(NONE, |block| block.next);
            *at != NONE
        });
        !blocks.is_empty()
    }

    /// Takes over a stream that was saved.
    pub(super) fn restore(&mut self, reader: &mut Reader<'_>) -> Option<Stream> {
        let count = u16::try_from(reader.varint()?).ok().filter(|count| *count > 0)?;
        let last_bits = reader.u64()?;
        let [used, above, width] = reader.array()?;
        let fits = (1..=BLOCK_BITS).contains(&u32::from(used))
            && above < 32
            && u32::from(above) + u32::from(width) <= 64;
        fits.then_some(())?;
        let full = usize::from(reader.u16()?);
        let words = reader.take(4 * (7 * full + usize::from(used).div_ceil(32)))?;
        let mut stream = Stream { first: NONE, last: NONE, last_bits, count, used, above, width };
        for words in words.chunks(7 * 4) {
            let at = self.alloc();
            for (word, bytes) in self.blocks[at as usize].words.iter_mut().zip(words.as_chunks().0)
            {
                *word = u32::from_le_bytes(*bytes);
            }
            if stream.first == NONE {
                stream.first = at;
            } else {
                self.blocks[stream.last as usize].next = at;
            }
            stream.last = at;
        }
        Some(stream)
    }

    /// Gives the blocks of a stream back.
    pub(super) fn free(&mut self, first: u32) {
        let mut at = first;
        while at != NONE {
            let block = &mut self.blocks[at as usize];
            let next = std::mem::replace(&mut block.next, self.free);
            self.free = at;
            self.free_count += 1;
            at = next;
        }
    }

    /// Returns how many blocks are in use.
    #[cfg(test)]
    fn used(&self) -> usize {
        self.blocks.len() - self.free_count
    }
}

/// Bits, the lowest of a word first; zero bits follow the last one.
struct Bits {
    words: Vec<u32>,
    /// The next bit.
    at: usize,
}

impl Bits {
    /// Returns the 64 bits that come next.
    #[inline]
    fn peek(&self) -> u64 {
        let words = self.words.get(self.at / 32..).and_then(|rest| rest.first_chunk());
        let [low, middle, high] = words.copied().unwrap_or([0; 3]);
        let low = u64::from(low) | u64::from(middle) << 32;
        ((u128::from(high) << 64 | u128::from(low)) >> (self.at % 32)) as u64
    }

    /// Takes up to 64 bits.
    #[inline]
    fn take(&mut self, count: u32) -> u64 {
        let bits = self.peek() & u64::MAX.checked_shr(64 - count).unwrap_or(0);
        self.at += count as usize;
        bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_no_one_wrote_is_read_without_harm(words: [u32; 7], count in 0u32..300) {
            // After the first value there may be a width that was never said.
            let streams = Streams { blocks: vec![Block { words, next: NONE }], free: NONE, free_count: 0 };
            let mut values = Vec::new();
            streams.read(0, count, &mut values);
            prop_assert_eq!(values.len(), count as usize);
            streams.read(7, count, &mut values);
            prop_assert_eq!(values.len(), 2 * count as usize);
        }

        #[test]
        fn values_of_streams_that_grow_side_by_side_come_back_to_the_bit(
            rows in proptest::collection::vec((0usize..3, prop_oneof![
                any::<u64>(),
                (0u32..1000).prop_map(|value| f64::from(value).to_bits()),
                Just(1.5f64.to_bits()),
            ]), 0..400),
        ) {
            let mut streams = Streams::new();
            let mut all = [Stream::EMPTY; 3];
            let mut model = [vec![], vec![], vec![]];
            for (which, bits) in rows {
                streams.push(&mut all[which], bits);
                model[which].push(bits);
            }
            for (stream, model) in all.iter().zip(&model) {
                let mut found = Vec::new();
                streams.read(stream.first, model.len() as u32, &mut found);
                let found: Vec<_> = found.iter().map(|value| value.to_bits()).collect();
                prop_assert_eq!(&found, model);
            }
            let mut others = Streams::new();
            for (stream, model) in all.iter_mut().zip(&model).filter(|(_, model)| !model.is_empty()) {
                let mut saved = Vec::new();
                streams.save(stream, &mut saved);
                let mut restored = others.restore(&mut Reader::new(&saved)).unwrap();
                others.push(&mut restored, 42);
                streams.push(stream, 42);
                let (mut a, mut b) = (Vec::new(), Vec::new());
                others.read(restored.first, model.len() as u32 + 1, &mut a);
                streams.read(stream.first, model.len() as u32 + 1, &mut b);
                let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                prop_assert_eq!(bits(&a), bits(&b));
            }
            for stream in &all {
                streams.free(stream.first);
            }
            prop_assert_eq!(streams.used(), 0);
        }
    }
}
