//! Columns of numbers, in few bytes, to the bit: values, times, histograms.
//!
//! Entry points: [`encode_values`] and its likes; each `decode_*` undoes the `encode_*` of its name.
//! Layout: `FORMAT.md`. Nothing here knows of series, chunks or files.
//!
//! Most values of metrics are decimals of few digits: as whole numbers over a power of ten
//! (`decimal`) their differences are small, and small numbers are packed into few bits, those that
//! do not fit apart (`packing`, as PFOR in "Super-Scalar RAM-CPU Cache Compression", ICDE 2006).
//!
//! Invariants: an encoding was decoded again and compared before it is handed out. Decoding
//! arbitrary bytes yields `None` or numbers, and asks for no memory beyond the count.

mod decimal;
mod histograms;
mod integers;
mod packing;
mod times;
mod values;
mod xor;

pub(super) use histograms::{decode_histograms, encode_histograms};
pub(super) use integers::{decode_integers, encode_integers};
pub(super) use times::{decode_times, encode_times};
pub(super) use values::{decode_values, encode_values};

/// How much work an encoder may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effort {
    /// What is sealed in memory and in blocks that will soon be merged.
    Seal,
    /// What stays on disk.
    Compact,
}

/// The most numbers a column has.
pub(super) const COUNT_MAX: usize = 8192;
