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
mod tests;
