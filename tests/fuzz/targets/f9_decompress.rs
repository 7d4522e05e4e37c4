//! F9: what unpacks gzip, zstd and the others.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::decompress::check(data));
