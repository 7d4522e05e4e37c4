#![expect(unsafe_code, reason = "system calls without a safe wrapper")]
//! The memory that this process's environment was started with, which `/proc/PID/environ` shows (proc(5)).

use std::ffi::{CStr, c_char};
use std::ptr;

unsafe extern "C" {
    /// environ(7)
    static mut environ: *mut *mut c_char;
}

/// Overwrites the values of these variables with zeros, where they stand.
///
/// Nothing is done in a process that has several threads, of which another might read them meanwhile. This process
/// finds them empty from now on.
pub(crate) fn wipe(names: &[&[u8]]) {
    if !is_single_threaded() {
        return;
    }
    // SAFETY: the list belongs to the C library; nobody else reads or changes it, since there is no other thread.
    let mut entry = unsafe { environ };
    // SAFETY: the list is null or ends with a null pointer, behind which nothing is looked at.
    while let Some(text) = unsafe { entry.as_ref() }.filter(|text| !text.is_null()) {
        // SAFETY: each entry is a C string, which the loop below makes shorter and never longer.
        let bytes = unsafe { CStr::from_ptr(*text) }.to_bytes();
        let (name, value) = split(bytes);
        let (start, length) = (bytes.len() - value.len(), value.len());
        if names.contains(&name) {
            for at in start..start + length {
                // SAFETY: the place is one of the string's, before its final zero.
                let byte = unsafe { text.add(at) };
                // SAFETY: the string may be written: the kernel put it on this process's stack, or the C
                // library on its heap.
                unsafe { ptr::write_volatile(byte, 0) };
            }
        }
        // SAFETY: the entry is not the last one.
        entry = unsafe { entry.add(1) };
    }
}

/// Splits `NAME=value`; without `=` there is no value.
fn split(entry: &[u8]) -> (&[u8], &[u8]) {
    let at = entry.iter().position(|byte| *byte == b'=');
    at.map_or((entry, &[][..]), |at| (&entry[..at], &entry[at + 1..]))
}

fn is_single_threaded() -> bool {
    std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_a_name_and_a_value() {
        for (entry, name, value) in [
            ("A=b", "A", "b"),
            ("A=b=c", "A", "b=c"),
            ("A=", "A", ""),
            ("A", "A", ""),
        ] {
            let expected = (name.as_bytes(), value.as_bytes());
            assert_eq!(split(entry.as_bytes()), expected);
        }
    }
}
