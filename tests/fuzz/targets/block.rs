//! The files of a block: index, chunks, description, tombstones.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| forewarn::store::doors::read_block(bytes));
