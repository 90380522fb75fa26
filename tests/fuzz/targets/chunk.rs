//! Columns and chunks: arbitrary ones do no harm, and what is encoded comes back to the bit.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| forewarn::store::doors::read_chunk(bytes));
