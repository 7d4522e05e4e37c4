//! F13: calls of a command, as its supervisor decides about them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::question::check(data));
