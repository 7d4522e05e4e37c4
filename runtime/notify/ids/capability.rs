//! The capabilities of a process, and how calls change them (`capabilities(7)`).
//!
//! They are what a process sees and what answers are decided by. What the kernel holds of it are those of root of a sandbox
//! throughout, since its ids never change there.

use caps::Capability;
use nix::errno::Errno;

use crate::credentials::SANDBOX_CAPABILITIES;
use crate::notify::ids::quartet::Quartet;

/// `SECBIT_NOROOT`: programs of root get nothing.
const NO_ROOT: u32 = 1;
/// `SECBIT_NO_SETUID_FIXUP`: a change of user changes nothing here.
const NO_CHANGE_WITH_USER: u32 = 1 << 2;
/// `SECBIT_KEEP_CAPS`: what is permitted stays when root becomes somebody else.
const KEEP: u32 = 1 << 4;
/// `SECBIT_NO_CAP_AMBIENT_RAISE`.
const NO_AMBIENT_RAISE: u32 = 1 << 6;
/// Each switch above, and behind each the one that locks it.
const SWITCHES: u32 = 0x55;
const LOCKS: u32 = SWITCHES << 1;

/// The capabilities that come and go with the id for files: those of `CAP_FS_SET` in linux/capability.h.
const FILE_CAPABILITIES: [Capability; 8] = [
    Capability::CAP_CHOWN,
    Capability::CAP_DAC_OVERRIDE,
    Capability::CAP_DAC_READ_SEARCH,
    Capability::CAP_FOWNER,
    Capability::CAP_FSETID,
    Capability::CAP_LINUX_IMMUTABLE,
    Capability::CAP_MKNOD,
    Capability::CAP_MAC_OVERRIDE,
];

/// The sets of one process, a bit for each capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Capabilities {
    pub(super) effective: u64,
    pub(super) permitted: u64,
    pub(super) inheritable: u64,
    pub(super) bounding: u64,
    pub(super) ambient: u64,
    /// The switches of `prctl(PR_SET_SECUREBITS)`.
    switches: u32,
}

/// What a file gives to whoever executes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::notify) struct FileCapabilities {
    pub(super) permitted: u64,
    pub(super) inheritable: u64,
    /// Whether what is permitted is effective at once.
    pub(super) is_effective: bool,
}

impl FileCapabilities {
    /// Reads the attribute `security.capability`: `struct vfs_cap_data` of linux/capability.h, of which the second and third
    /// version have 64 capabilities, and the first 32.
    pub(in crate::notify) fn parse(text: &[u8]) -> Option<Self> {
        let mut words = text.chunks_exact(4).map(|word| {
            let digits = word.iter().rev();
            digits.fold(0, |word, byte| word << 8 | u64::from(*byte))
        });
        let head = words.next()?;
        let [permitted, inheritable] = [words.next()?, words.next()?];
        let has_upper = match head >> 24 {
            1 => false,
            2 | 3 => true,
            _ => return None,
        };
        let mut upper = || words.next().filter(|_| has_upper).unwrap_or(0) << 32;
        Some(Self {
            permitted: permitted | upper(),
            inheritable: inheritable | upper(),
            is_effective: head & 1 != 0,
        })
    }
}

impl Capabilities {
    /// Returns those that a command begins with: of `user`, in a sandbox.
    pub(super) fn of_user(user: u32) -> Self {
        let all = mask(&SANDBOX_CAPABILITIES);
        let held = if user == 0 { all } else { 0 };
        Self {
            effective: held,
            permitted: held,
            bounding: all,
            ..Self::default()
        }
    }

    /// Tells whether a capability is in force.
    pub(super) fn has(&self, capability: Capability) -> bool {
        self.effective & capability.bitmask() != 0
    }

    /// Follows a change of the user ids by any call but `setfsuid`.
    pub(super) fn follow(&mut self, old: Quartet, new: Quartet) {
        if self.switches & NO_CHANGE_WITH_USER != 0 {
            return;
        }
        let is_root = |ids: Quartet| [ids.real, ids.effective, ids.saved].contains(&0);
        if is_root(old) && !is_root(new) {
            if self.switches & KEEP == 0 {
                self.permitted = 0;
                self.effective = 0;
            }
            self.ambient = 0;
        }
        if old.effective == 0 && new.effective != 0 {
            self.effective = 0;
        }
        if old.effective != 0 && new.effective == 0 {
            self.effective = self.permitted;
        }
    }

    /// Follows a change of the user's id for files by `setfsuid`.
    pub(super) fn follow_file(&mut self, old: Quartet, new: Quartet) {
        if self.switches & NO_CHANGE_WITH_USER != 0 {
            return;
        }
        let of_files = mask(&FILE_CAPABILITIES);
        match (old.file, new.file) {
            (0, 1..) => self.effective &= !of_files,
            (1.., 0) => self.effective |= self.permitted & of_files,
            _ => {}
        }
    }

    /// Sets three sets, as `capset` does.
    pub(super) fn set(
        &mut self,
        effective: u64,
        permitted: u64,
        inheritable: u64,
    ) -> Result<(), Errno> {
        let is_within = |set: u64, limit: u64| set & !limit == 0;
        let inherits = is_within(inheritable, self.inheritable | self.permitted)
            || self.has(Capability::CAP_SETPCAP);
        if !inherits
            || !is_within(inheritable, self.inheritable | self.bounding)
            || !is_within(permitted, self.permitted)
            || !is_within(effective, permitted)
        {
            return Err(Errno::EPERM);
        }
        *self = Self {
            effective,
            permitted,
            inheritable,
            ambient: self.ambient & permitted & inheritable,
            ..*self
        };
        Ok(())
    }

    /// Takes a capability out of the bounding set.
    pub(super) fn drop_bounding(&mut self, number: u64) -> Result<(), Errno> {
        if !self.has(Capability::CAP_SETPCAP) {
            return Err(Errno::EPERM);
        }
        self.bounding &= !bit(number)?;
        Ok(())
    }

    /// Tells whether a capability is in the bounding set.
    pub(super) fn is_bounding(&self, number: u64) -> Result<bool, Errno> {
        Ok(self.bounding & bit(number)? != 0)
    }

    /// Tells whether a capability is in the ambient set.
    pub(super) fn is_ambient(&self, number: u64) -> Result<bool, Errno> {
        Ok(self.ambient & bit(number)? != 0)
    }

    /// Puts a capability into the ambient set.
    pub(super) fn raise_ambient(&mut self, number: u64) -> Result<(), Errno> {
        let bit = bit(number)?;
        if self.permitted & self.inheritable & bit == 0 || self.switches & NO_AMBIENT_RAISE != 0 {
            return Err(Errno::EPERM);
        }
        self.ambient |= bit;
        Ok(())
    }

    /// Takes a capability out of the ambient set.
    pub(super) fn lower_ambient(&mut self, number: u64) -> Result<(), Errno> {
        self.ambient &= !bit(number)?;
        Ok(())
    }

    /// Returns the switches.
    pub(super) fn switches(&self) -> u32 {
        self.switches
    }

    /// Sets the switches.
    pub(super) fn set_switches(&mut self, wanted: u64) -> Result<(), Errno> {
        let wanted = u32::try_from(wanted).map_err(|_unknown| Errno::EPERM)?;
        let locked = (self.switches & LOCKS) >> 1;
        if locked & (self.switches ^ wanted) != 0
            || self.switches & LOCKS & !wanted != 0
            || wanted & !(SWITCHES | LOCKS) != 0
            || !self.has(Capability::CAP_SETPCAP)
        {
            return Err(Errno::EPERM);
        }
        self.switches = wanted;
        Ok(())
    }

    /// Tells whether what is permitted stays over a change of user.
    pub(super) fn keeps(&self) -> bool {
        self.switches & KEEP != 0
    }

    /// Says whether what is permitted is to stay over a change of user.
    pub(super) fn keep(&mut self, wanted: u64) -> Result<(), Errno> {
        let switch = match wanted {
            0 => 0,
            1 => KEEP,
            _ => return Err(Errno::EINVAL),
        };
        if self.switches & (KEEP << 1) != 0 {
            return Err(Errno::EPERM);
        }
        self.switches = self.switches & !KEEP | switch;
        Ok(())
    }

    /// Returns those of a program that is executed with these ids; `changes_ids` if its file makes them others than they
    /// really are.
    ///
    /// # Errors
    ///
    /// Fails with `EPERM` where the file wants to have at once what it does not get.
    pub(super) fn executing(
        self,
        user: Quartet,
        file: Option<FileCapabilities>,
        changes_ids: bool,
    ) -> Result<Self, Errno> {
        let (from_file, mut is_effective) = self.granted_by(file)?;
        let mut permitted = from_file;
        let by_file_alone = file.is_some() && user.effective == 0 && user.real != 0;
        if self.switches & NO_ROOT == 0 && !by_file_alone {
            if [user.effective, user.real].contains(&0) {
                permitted = self.bounding | self.inheritable;
            }
            is_effective |= user.effective == 0;
        }
        let ambient = if file.is_some() || changes_ids {
            0
        } else {
            self.ambient
        };
        let permitted = permitted | ambient;
        Ok(Self {
            effective: if is_effective { permitted } else { ambient },
            permitted,
            ambient,
            switches: self.switches & !KEEP,
            ..self
        })
    }

    fn granted_by(&self, file: Option<FileCapabilities>) -> Result<(u64, bool), Errno> {
        let Some(file) = file else {
            return Ok((0, false));
        };
        let got = file.permitted & self.bounding | file.inheritable & self.inheritable;
        if file.is_effective && file.permitted & !got != 0 {
            return Err(Errno::EPERM);
        }
        Ok((got, file.is_effective))
    }
}

/// Returns the bit of a capability by its number.
fn bit(number: u64) -> Result<u64, Errno> {
    let last = u64::from(Capability::CAP_CHECKPOINT_RESTORE.index());
    if number > last {
        return Err(Errno::EINVAL);
    }
    Ok(1 << number)
}

fn mask(capabilities: &[Capability]) -> u64 {
    capabilities
        .iter()
        .fold(0, |mask, one| mask | one.bitmask())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHOWN: u64 = 1;
    const BIND: u64 = 1 << 10;
    const SETPCAP: u64 = 1 << 8;
    /// What a sandbox has, as `/proc/PID/status` shows it.
    const ALL: u64 = 0xa804_25fb;

    fn ids(real: u32, effective: u32, saved: u32) -> Quartet {
        Quartet {
            real,
            effective,
            saved,
            file: effective,
        }
    }

    fn root() -> Capabilities {
        Capabilities::of_user(0)
    }

    #[test]
    fn root_begins_with_all_of_a_sandbox_and_others_with_none() {
        assert_eq!((root().effective, root().permitted), (ALL, ALL));
        let other = Capabilities::of_user(7);
        assert_eq!(
            (other.effective, other.permitted, other.bounding),
            (0, 0, ALL)
        );
    }

    #[test]
    fn they_follow_the_user() {
        // From, to, and then: effective and permitted.
        for (from, to, effective, permitted) in [
            (ids(0, 0, 0), ids(7, 7, 7), 0, 0),
            (ids(0, 0, 0), ids(0, 7, 0), 0, ALL),
            (ids(0, 0, 0), ids(7, 7, 0), 0, ALL),
            (ids(0, 0, 0), ids(7, 0, 0), ALL, ALL),
        ] {
            let mut held = root();
            held.follow(from, to);
            assert_eq!(
                (held.effective, held.permitted),
                (effective, permitted),
                "{to:?}"
            );
        }
        let mut held = root();
        held.follow(ids(0, 0, 0), ids(0, 7, 0));
        held.follow(ids(0, 7, 0), ids(0, 0, 0));
        assert_eq!(held, root());
    }

    #[test]
    fn what_is_kept_is_permitted_and_not_in_force() {
        let mut held = root();
        held.keep(1).unwrap();
        assert!(held.keeps());
        held.follow(ids(0, 0, 0), ids(7, 7, 7));
        assert_eq!((held.effective, held.permitted), (0, ALL));
        // A program that is executed has it no more, and does not keep.
        let after = held.executing(ids(7, 7, 7), None, false).unwrap();
        assert_eq!(
            (after.effective, after.permitted, after.keeps()),
            (0, 0, false)
        );
    }

    #[test]
    fn a_switch_is_locked_by_the_next_one() {
        let mut held = root();
        assert_eq!(held.set_switches(0x20), Ok(()));
        assert_eq!(held.keep(1), Err(Errno::EPERM));
        assert_eq!(held.set_switches(0x30), Err(Errno::EPERM));
        assert_eq!(held.set_switches(0), Err(Errno::EPERM));
        assert_eq!(held.set_switches(0x120), Err(Errno::EPERM));
        assert_eq!(held.set_switches(0x21), Ok(()));
        assert_eq!(held.switches(), 0x21);
        assert_eq!(held.keep(2), Err(Errno::EINVAL));
        assert_eq!(Capabilities::of_user(7).set_switches(0), Err(Errno::EPERM));
    }

    #[test]
    fn the_id_for_files_takes_their_capabilities_with_it() {
        let mut held = root();
        held.follow_file(
            Quartet::of(0),
            Quartet {
                file: 7,
                ..Quartet::of(0)
            },
        );
        assert_eq!(held.effective, ALL & !0x0800_001b);
        held.follow_file(
            Quartet {
                file: 7,
                ..Quartet::of(0)
            },
            Quartet::of(0),
        );
        assert_eq!(held, root());
    }

    #[test]
    fn sets_only_shrink() {
        let mut held = root();
        assert_eq!(held.set(CHOWN, CHOWN | BIND, BIND), Ok(()));
        assert_eq!(
            (held.effective, held.permitted, held.inheritable),
            (CHOWN, CHOWN | BIND, BIND)
        );
        for (effective, permitted, inheritable) in [
            (BIND, CHOWN, BIND),
            (CHOWN, ALL, BIND),
            (0, 0, SETPCAP),
            (0, 0, 1 << 21),
        ] {
            assert_eq!(
                held.set(effective, permitted, inheritable),
                Err(Errno::EPERM)
            );
        }
        // Whoever may change sets may hand down what is bounding and not permitted.
        let mut held = root();
        assert_eq!(held.set(SETPCAP, SETPCAP, 0), Ok(()));
        assert_eq!(held.set(SETPCAP, SETPCAP, CHOWN), Ok(()));
    }

    #[test]
    fn ambient_ones_are_permitted_and_inheritable() {
        let mut held = root();
        assert_eq!(held.raise_ambient(10), Err(Errno::EPERM));
        held.set(ALL, ALL, BIND).unwrap();
        assert_eq!(held.raise_ambient(10), Ok(()));
        assert_eq!(held.is_ambient(10), Ok(true));
        assert_eq!(held.raise_ambient(41), Err(Errno::EINVAL));
        // Kept over the change of user they would be in force for a program that he executes; here they go.
        let mut gone = held;
        gone.follow(ids(0, 0, 0), ids(7, 7, 7));
        assert_eq!(gone.ambient, 0);
        held.keep(1).unwrap();
        held.follow(ids(0, 0, 0), ids(7, 7, 7));
        held.set(0, BIND, BIND).unwrap();
        held.raise_ambient(10).unwrap();
        let after = held.executing(ids(7, 7, 7), None, false).unwrap();
        assert_eq!(
            (after.effective, after.permitted, after.ambient),
            (BIND, BIND, BIND)
        );
        let after = held.executing(ids(7, 9, 9), None, true).unwrap();
        assert_eq!((after.effective, after.permitted, after.ambient), (0, 0, 0));
        assert_eq!(held.lower_ambient(10), Ok(()));
        assert_eq!(held.ambient, 0);
    }

    #[test]
    fn what_is_taken_out_of_the_bounding_set_does_not_come_back() {
        let mut held = root();
        assert_eq!(held.is_bounding(0), Ok(true));
        assert_eq!(held.drop_bounding(0), Ok(()));
        assert_eq!(held.is_bounding(0), Ok(false));
        assert_eq!(
            (held.is_bounding(21), held.is_bounding(41)),
            (Ok(false), Err(Errno::EINVAL))
        );
        let after = held.executing(Quartet::of(0), None, false).unwrap();
        assert_eq!(after.permitted, ALL & !CHOWN);
        assert_eq!(
            Capabilities::of_user(7).drop_bounding(99),
            Err(Errno::EPERM)
        );
    }

    #[test]
    fn programs_get_what_root_has_by_who_they_are() {
        let none = Capabilities::of_user(7);
        for (user, effective, permitted) in [
            (Quartet::of(0), ALL, ALL),
            (ids(7, 0, 0), ALL, ALL),
            (ids(0, 7, 7), 0, ALL),
            (Quartet::of(7), 0, 0),
        ] {
            let after = none
                .executing(user, None, user.real != user.effective)
                .unwrap();
            assert_eq!(
                (after.effective, after.permitted),
                (effective, permitted),
                "{user:?}"
            );
        }
        let mut held = root();
        held.set_switches(1).unwrap();
        let after = held.executing(Quartet::of(0), None, false).unwrap();
        assert_eq!((after.effective, after.permitted), (0, 0));
    }

    #[test]
    fn the_attribute_of_a_file_is_read_in_its_versions() {
        let text = |words: &[u32]| -> Vec<u8> {
            words.iter().flat_map(|word| word.to_le_bytes()).collect()
        };
        let file = |permitted, inheritable, is_effective| {
            Some(FileCapabilities {
                permitted,
                inheritable,
                is_effective,
            })
        };
        for (words, expected) in [
            (&[0x0200_0001, 0x2000, 0, 0, 0][..], file(0x2000, 0, true)),
            (
                &[0x0200_0000, 1, 2, 4, 8],
                file(0x4_0000_0001, 0x8_0000_0002, false),
            ),
            (&[0x0300_0001, 1, 2, 0, 0, 1000], file(1, 2, true)),
            (&[0x0100_0001, 1, 2], file(1, 2, true)),
            (&[0x0500_0001, 1, 2, 0, 0], None),
            (&[0x0200_0001, 1], None),
        ] {
            assert_eq!(
                FileCapabilities::parse(&text(words)),
                expected,
                "{words:x?}"
            );
        }
    }

    #[test]
    fn programs_get_what_their_file_has() {
        let file = FileCapabilities {
            permitted: BIND,
            inheritable: 0,
            is_effective: true,
        };
        let user = Capabilities::of_user(7);
        let after = user.executing(Quartet::of(7), Some(file), false).unwrap();
        assert_eq!((after.effective, after.permitted), (BIND, BIND));
        let later = FileCapabilities {
            is_effective: false,
            ..file
        };
        let after = user.executing(Quartet::of(7), Some(later), false).unwrap();
        assert_eq!((after.effective, after.permitted), (0, BIND));
        // One that belongs to root and makes its users root has what it says and no more.
        let after = user.executing(ids(7, 0, 0), Some(file), true).unwrap();
        assert_eq!((after.effective, after.permitted), (BIND, BIND));
        let too_much = FileCapabilities {
            permitted: BIND | 1 << 21,
            ..file
        };
        assert_eq!(
            user.executing(Quartet::of(7), Some(too_much), false),
            Err(Errno::EPERM)
        );
    }
}
