//! Calls about capabilities: `capget`, `capset`, and some of `prctl`.

use nix::errno::Errno;

use crate::notify::ids::capability::Capabilities;
use crate::notify::ids::credentials::Credentials;
use crate::notify::ids::outcome::{Decision, Outcome};
use crate::notify::ids::request::Request;

/// The versions of the two calls' structures (linux/capability.h); the first has 32 capabilities, the others 64.
const VERSIONS: [(u32, usize); 3] = [(0x1998_0330, 1), (0x2007_1026, 2), (0x2008_0522, 2)];
/// The version that the kernel prefers, and says so where it is asked with none that it knows.
const NEWEST_VERSION: u32 = 0x2008_0522;

/// Bytes of a header: version and process.
const HEADER_BYTES: usize = 8;
/// Bytes of effective, permitted and inheritable capabilities, 32 of each.
const SETS_BYTES: usize = 12;
/// All capabilities that there are.
const KNOWN: u64 = (1 << 41) - 1;

/// What a `prctl` is about (linux/prctl.h).
const GET_KEEPCAPS: i32 = 7;
const SET_KEEPCAPS: i32 = 8;
const BOUNDING_READ: i32 = 23;
const BOUNDING_DROP: i32 = 24;
const GET_SWITCHES: i32 = 27;
const SET_SWITCHES: i32 = 28;
const AMBIENT: i32 = 47;

/// What is done with the ambient set.
const AMBIENT_IS_SET: u64 = 1;
const AMBIENT_RAISE: u64 = 2;
const AMBIENT_LOWER: u64 = 3;
const AMBIENT_CLEAR: u64 = 4;

/// Effective, permitted and inheritable capabilities.
type Sets = [u64; 3];

/// `capget`.
pub(super) fn get(held: &Credentials, request: &Request<'_>) -> Decision {
    let [header, data] = [0, 1].map(|at| request.number(at));
    let Some(words) = words(request, header)? else {
        // A question which version is known.
        return if data == 0 {
            Ok(Outcome::value(0))
        } else {
            Err(Errno::EINVAL)
        };
    };
    match process(request, header)? {
        ..0 => return Err(Errno::EINVAL),
        0 => {}
        other if request.caller.is_process(other)? => {}
        // What others have is not known by their number here.
        _ => return Ok(Outcome::goes_on()),
    }
    if data == 0 {
        return Ok(Outcome::value(0));
    }
    let Capabilities {
        effective,
        permitted,
        inheritable,
        ..
    } = held.capabilities;
    let bytes = written([effective, permitted, inheritable], words);
    request.caller.write(data, &bytes)?;
    Ok(Outcome::value(0))
}

/// `capset`.
pub(super) fn set(held: &Credentials, request: &Request<'_>) -> Decision {
    let [header, data] = [0, 1].map(|at| request.number(at));
    let words = words(request, header)?.ok_or(Errno::EINVAL)?;
    let process = process(request, header)?;
    if process != 0 && !request.caller.is_process(process)? {
        return Err(Errno::EPERM);
    }
    let mut bytes = vec![0; words * SETS_BYTES];
    request.caller.read(data, &mut bytes)?;
    let [effective, permitted, inheritable] = parsed(&bytes);
    let changed = held.with_capabilities(|held| held.set(effective, permitted, inheritable))?;
    Ok(Outcome::becomes(changed))
}

/// Reads the version of a header: how many times 32 capabilities follow. An unknown one is replaced by the newest.
fn words(request: &Request<'_>, header: u64) -> Result<Option<usize>, Errno> {
    let mut version = [0; 4];
    request.caller.read(header, &mut version)?;
    let version = u32::from_le_bytes(version);
    let known = VERSIONS.iter().find(|(known, _)| *known == version);
    if known.is_none() {
        let newest = NEWEST_VERSION.to_le_bytes();
        request.caller.write(header, &newest)?;
    }
    Ok(known.map(|(_, words)| *words))
}

/// Reads the process of a header.
fn process(request: &Request<'_>, header: u64) -> Result<i32, Errno> {
    let mut bytes = [0; HEADER_BYTES];
    request.caller.read(header, &mut bytes)?;
    let [.., a, b, c, d] = bytes;
    Ok(i32::from_le_bytes([a, b, c, d]))
}

fn written(sets: Sets, words: usize) -> Vec<u8> {
    let word = |set: u64, at: usize| u32::try_from(set >> (32 * at) & 0xffff_ffff).unwrap_or(0);
    (0..words)
        .flat_map(|at| sets.map(|set| word(set, at).to_le_bytes()))
        .flatten()
        .collect()
}

pub(super) fn parsed(bytes: &[u8]) -> Sets {
    let mut sets = [0; 3];
    for (at, word) in bytes.chunks_exact(4).enumerate() {
        let digits = word.iter().rev();
        let word = digits.fold(0, |word, byte| word << 8 | u64::from(*byte));
        if let Some(set) = sets.get_mut(at % 3) {
            *set |= word << (32 * (at / 3));
        }
    }
    sets.map(|set| set & KNOWN)
}

/// `prctl`, of what the filter asks about.
pub(super) fn control(held: &Credentials, request: &Request<'_>) -> Decision {
    let has = &held.capabilities;
    let argument = request.number(1);
    let value = |is_so: bool| Ok(Outcome::value(is_so.into()));
    let change = |change: fn(&mut Capabilities, u64) -> Result<(), Errno>| {
        let changed = held.with_capabilities(|has| change(has, argument));
        changed.map(Outcome::becomes)
    };
    match request.int(0) {
        GET_KEEPCAPS => value(has.keeps()),
        SET_KEEPCAPS => change(Capabilities::keep),
        BOUNDING_READ => value(has.is_bounding(argument)?),
        BOUNDING_DROP => change(Capabilities::drop_bounding),
        GET_SWITCHES => Ok(Outcome::value(has.switches().into())),
        SET_SWITCHES => change(Capabilities::set_switches),
        AMBIENT => ambient(held, request),
        _ => Ok(Outcome::goes_on()),
    }
}

fn ambient(held: &Credentials, request: &Request<'_>) -> Decision {
    let number = request.number(2);
    if [3, 4].into_iter().any(|at| request.number(at) != 0) {
        return Err(Errno::EINVAL);
    }
    let changed = match request.number(1) {
        AMBIENT_IS_SET => {
            let is_set = held.capabilities.is_ambient(number)?;
            return Ok(Outcome::value(is_set.into()));
        }
        AMBIENT_RAISE => held.with_capabilities(|has| has.raise_ambient(number)),
        AMBIENT_LOWER => held.with_capabilities(|has| has.lower_ambient(number)),
        AMBIENT_CLEAR if number == 0 => held.with_capabilities(|has| {
            has.ambient = 0;
            Ok(())
        }),
        _ => Err(Errno::EINVAL),
    };
    changed.map(Outcome::becomes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_written_word_by_word() {
        let sets = [0x01_0000_0002, 3, 0x100_0000_0004];
        let bytes = written(sets, 2);
        let words: Vec<u32> = bytes
            .chunks(4)
            .map(|word| u32::from_le_bytes(word.try_into().unwrap()))
            .collect();
        assert_eq!(words, [2, 3, 4, 1, 0, 0x100]);
        assert_eq!(parsed(&bytes), sets);
    }

    #[test]
    fn the_first_version_has_the_lower_half() {
        let bytes = written([0x01_0000_0002, 3, 4], 1);
        assert_eq!(bytes.len(), 12);
        assert_eq!(parsed(&bytes), [2, 3, 4]);
    }

    #[test]
    fn what_is_no_capability_is_left_out() {
        assert_eq!(parsed(&[0xff; 24]), [KNOWN; 3]);
    }
}
