//! F4: references of images.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::reference::check(data));
