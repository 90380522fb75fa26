//! A segment of the log, and the payload of one of its records.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| forewarn::store::doors::read_log(bytes));
