//! F2: the tar reader, against two others.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::tar_reader::check(data));
