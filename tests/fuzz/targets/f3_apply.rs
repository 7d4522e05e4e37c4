//! F3: layers, unpacked beside a canary.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::apply::check(data));
