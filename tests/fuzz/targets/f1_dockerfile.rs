//! F1: a Dockerfile, from its text to the graph.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::dockerfile::check(data));
