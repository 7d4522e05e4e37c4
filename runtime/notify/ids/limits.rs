//! Calls that set the limit in which it is kept who a process is (`table.rs`).

use nix::errno::Errno;

use crate::notify::ids::outcome::{Decision, Outcome};
use crate::notify::ids::request::Request;
use crate::notify::ids::table::Table;
use crate::sys::limit::Limits;

/// Two limits, of 32 bits and of 64.
const NARROW_BYTES: usize = 8;
const WIDE_BYTES: usize = 16;

/// `setrlimit`.
pub(super) fn set(request: &Request<'_>) -> Decision {
    let address = request.number(1);
    let limits = if request.has_wide_longs() {
        wide(request.read(address)?)
    } else {
        narrow(request.read(address)?)
    };
    limit(request, limits)
}

/// `prlimit64`, which may ask alone.
pub(super) fn exchange(request: &Request<'_>) -> Decision {
    let [new, old] = [2, 3].map(|at| request.number(at));
    if new == 0 {
        return Ok(Outcome::goes_on());
    }
    let is_own = request.int(0) == 0 || request.caller.is_process(request.int(0))?;
    if !is_own {
        return Err(Errno::EPERM);
    }
    let limits = wide(request.read(new)?);
    if old != 0 {
        let before = Table::shown(request.caller.thread())?;
        let words = [before.soft, before.hard].map(u64::to_le_bytes);
        request.caller.write(old, words.as_flattened())?;
    }
    limit(request, limits)
}

fn limit(request: &Request<'_>, limits: Limits) -> Decision {
    request.caller.check()?;
    Table::limit(request.caller.thread(), limits)?;
    Ok(Outcome::value(0))
}

fn wide(bytes: [u8; WIDE_BYTES]) -> Limits {
    let number = u128::from_le_bytes(bytes);
    let half = |number: u128| u64::try_from(number & u128::from(u64::MAX)).unwrap_or(u64::MAX);
    Limits {
        soft: half(number),
        hard: half(number >> 64),
    }
}

/// The highest number of 32 bits means no limit, as that of 64 does.
fn narrow(bytes: [u8; NARROW_BYTES]) -> Limits {
    let number = u64::from_le_bytes(bytes);
    let half = |number: u64| match number & u64::from(u32::MAX) {
        0xffff_ffff => u64::MAX,
        limit => limit,
    };
    Limits {
        soft: half(number),
        hard: half(number >> 32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_in_both_widths() {
        let bytes = [5, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 1];
        let hard = 7 | 1 << 56;
        assert_eq!(wide(bytes), Limits { soft: 5, hard });
        let bytes = [5, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];
        let hard = u64::MAX;
        assert_eq!(narrow(bytes), Limits { soft: 5, hard });
    }
}
