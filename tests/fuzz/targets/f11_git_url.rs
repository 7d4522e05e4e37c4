//! F11: URLs of git repositories.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::git_url::check(data));
