//! F5: manifests, indexes and configurations.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::documents::check(data));
