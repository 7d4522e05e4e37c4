//! F10: `USER`, `/etc/passwd` and `/etc/group`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::user::check(data));
