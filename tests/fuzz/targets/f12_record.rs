//! F12: records and documents of caches.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::record::check(data));
