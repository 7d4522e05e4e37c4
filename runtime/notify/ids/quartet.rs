//! The four ids of a process, of users or of groups, and how calls change them (`credentials(7)`).
//!
//! | Call | Without the right to become anybody | Saved id |
//! | --- | --- | --- |
//! | `setuid` | effective: the real or the saved one | stays; with the right, all four change |
//! | `setreuid` | real: real or effective; effective: also saved | the new effective one, if the real one was given or the effective one is not the old real one |
//! | `setresuid` | each: real, effective or saved | the one that was given |
//! | `setfsuid` | the file system's: any of the four | stays |
//!
//! All but the last make the id for files that of the new effective one. For groups the same holds.

use nix::errno::Errno;

/// One process's ids of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::notify) struct Quartet {
    /// Who it is.
    pub(in crate::notify) real: u32,
    /// Whose rights it has.
    pub(in crate::notify) effective: u32,
    /// Whom it may become again.
    pub(in crate::notify) saved: u32,
    /// Whose files it makes.
    pub(in crate::notify) file: u32,
}

/// What a call asks for; an id of `None` is to stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// `setuid`, `setgid`.
    One(Option<u32>),
    /// `setreuid`, `setregid`: real and effective.
    Two([Option<u32>; 2]),
    /// `setresuid`, `setresgid`: real, effective and saved.
    Three([Option<u32>; 3]),
    /// `setfsuid`, `setfsgid`.
    File(Option<u32>),
}

impl Quartet {
    /// Returns four ids that are the same.
    pub(super) const fn of(id: u32) -> Self {
        Self {
            real: id,
            effective: id,
            saved: id,
            file: id,
        }
    }

    /// Returns what a change comes to for a process that may, or may not, become `anybody`.
    ///
    /// # Errors
    ///
    /// Fails as the kernel does: with `EPERM`, or with `EINVAL` for an id that is none.
    pub(super) fn changed(self, change: Change, anybody: bool) -> Result<Self, Errno> {
        match change {
            Change::One(None) => Err(Errno::EINVAL),
            Change::One(Some(id)) if anybody => Ok(Self::of(id)),
            Change::One(Some(id)) => self.as_one(id),
            Change::Two(ids) => self.as_two(ids, anybody),
            Change::Three(ids) => self.as_three(ids, anybody),
            Change::File(id) => Ok(self.with_file(id, anybody)),
        }
    }

    fn as_one(self, id: u32) -> Result<Self, Errno> {
        if ![self.real, self.saved].contains(&id) {
            return Err(Errno::EPERM);
        }
        Ok(Self {
            effective: id,
            file: id,
            ..self
        })
    }

    fn as_two(self, [real, effective]: [Option<u32>; 2], anybody: bool) -> Result<Self, Errno> {
        let may_be =
            |id: Option<u32>, own: &[u32]| id.is_none_or(|id| anybody || own.contains(&id));
        if !may_be(real, &[self.real, self.effective])
            || !may_be(effective, &[self.real, self.effective, self.saved])
        {
            return Err(Errno::EPERM);
        }
        let is_saved = real.is_some() || effective.is_some_and(|id| id != self.real);
        let now = effective.unwrap_or(self.effective);
        Ok(Self {
            real: real.unwrap_or(self.real),
            effective: now,
            saved: if is_saved { now } else { self.saved },
            file: now,
        })
    }

    fn as_three(self, ids: [Option<u32>; 3], anybody: bool) -> Result<Self, Errno> {
        let own = [self.real, self.effective, self.saved];
        if !anybody && !ids.iter().flatten().all(|id| own.contains(id)) {
            return Err(Errno::EPERM);
        }
        let [real, effective, saved] = ids;
        let now = effective.unwrap_or(self.effective);
        let changed = Self {
            real: real.unwrap_or(self.real),
            effective: now,
            saved: saved.unwrap_or(self.saved),
            file: now,
        };
        // Since Linux 6.3 a call that asks for what is there already leaves the id for files too.
        let asks_for_nothing = Self {
            file: self.file,
            ..changed
        } == self
            && effective.is_none_or(|id| id == self.file);
        Ok(if asks_for_nothing { self } else { changed })
    }

    /// The call for this has no way to fail: what is not allowed changes nothing.
    fn with_file(self, id: Option<u32>, anybody: bool) -> Self {
        let own = [self.real, self.effective, self.saved, self.file];
        let granted = id.filter(|id| anybody || own.contains(id));
        Self {
            file: granted.unwrap_or(self.file),
            ..self
        }
    }

    /// Returns the ids after `execve` of a file that makes everybody `owner`, or nobody anybody else.
    pub(super) fn executing(self, owner: Option<u32>) -> Self {
        let effective = owner.unwrap_or(self.effective);
        Self {
            real: self.real,
            effective,
            saved: effective,
            file: effective,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAY: Option<u32> = None;

    fn quartet([real, effective, saved, file]: [u32; 4]) -> Quartet {
        Quartet {
            real,
            effective,
            saved,
            file,
        }
    }

    #[track_caller]
    fn check(before: [u32; 4], change: Change, anybody: bool, expected: Result<[u32; 4], Errno>) {
        let after = quartet(before).changed(change, anybody);
        assert_eq!(after, expected.map(quartet), "{before:?} {change:?}");
    }

    #[test]
    fn whoever_may_become_anybody_changes_all_four_for_good() {
        check([0, 0, 0, 0], Change::One(Some(7)), true, Ok([7, 7, 7, 7]));
        check([1, 2, 3, 4], Change::One(Some(9)), true, Ok([9, 9, 9, 9]));
        check([0, 0, 0, 0], Change::One(None), true, Err(Errno::EINVAL));
    }

    #[test]
    fn others_become_the_real_or_the_saved_one() {
        let before = [1, 2, 3, 2];
        check(before, Change::One(Some(1)), false, Ok([1, 1, 3, 1]));
        check(before, Change::One(Some(3)), false, Ok([1, 3, 3, 3]));
        check(before, Change::One(Some(2)), false, Err(Errno::EPERM));
        check(before, Change::One(Some(0)), false, Err(Errno::EPERM));
        check(before, Change::One(None), false, Err(Errno::EINVAL));
    }

    #[test]
    fn two_ids_are_exchanged() {
        let before = [1, 2, 3, 2];
        for (ids, expected) in [
            ([Some(2), Some(1)], Ok([2, 1, 1, 1])),
            ([Some(1), STAY], Ok([1, 2, 2, 2])),
            ([STAY, Some(3)], Ok([1, 3, 3, 3])),
            ([STAY, Some(2)], Ok([1, 2, 2, 2])),
            // The effective one becomes the real one: what was saved stays.
            ([STAY, Some(1)], Ok([1, 1, 3, 1])),
            ([STAY, STAY], Ok([1, 2, 3, 2])),
            ([Some(3), STAY], Err(Errno::EPERM)),
            ([STAY, Some(9)], Err(Errno::EPERM)),
        ] {
            check(before, Change::Two(ids), false, expected);
        }
        check(
            [0; 4],
            Change::Two([Some(5), Some(6)]),
            true,
            Ok([5, 6, 6, 6]),
        );
        check([0; 4], Change::Two([STAY, Some(6)]), true, Ok([0, 6, 6, 6]));
    }

    #[test]
    fn three_ids_are_set_each_by_itself() {
        let before = [1, 2, 3, 9];
        for (ids, expected) in [
            ([Some(3), Some(1), Some(2)], Ok([3, 1, 2, 1])),
            ([STAY, STAY, STAY], Ok([1, 2, 3, 9])),
            ([Some(1), STAY, Some(3)], Ok([1, 2, 3, 9])),
            ([STAY, Some(2), STAY], Ok([1, 2, 3, 2])),
            ([STAY, Some(3), STAY], Ok([1, 3, 3, 3])),
            // The id for files counts for nothing here.
            ([Some(9), STAY, STAY], Err(Errno::EPERM)),
            ([STAY, STAY, Some(0)], Err(Errno::EPERM)),
        ] {
            check(before, Change::Three(ids), false, expected);
        }
        let ids = [Some(5), STAY, Some(7)];
        check([0; 4], Change::Three(ids), true, Ok([5, 0, 7, 0]));
    }

    #[test]
    fn the_id_for_files_changes_or_stays_without_an_error() {
        let before = [1, 2, 3, 4];
        for (id, anybody, file) in [
            (Some(1), false, 1),
            (Some(4), false, 4),
            (Some(5), false, 4),
            (Some(5), true, 5),
            (STAY, true, 4),
        ] {
            check(before, Change::File(id), anybody, Ok([1, 2, 3, file]));
        }
    }

    #[test]
    fn a_program_makes_its_user_the_owner_and_forgets_whom_he_could_become() {
        let before = quartet([1, 2, 3, 4]);
        assert_eq!(before.executing(None), quartet([1, 2, 2, 2]));
        assert_eq!(before.executing(Some(0)), quartet([1, 0, 0, 0]));
    }

    /// The C library makes each thread do what one of them asked for, and ends the program if one of them fails.
    #[test]
    fn what_was_granted_once_is_granted_again() {
        let ids = [STAY, Some(0), Some(1), Some(2)];
        let mut changes: Vec<Change> = ids.map(Change::One).to_vec();
        for real in ids {
            changes.extend(ids.map(|effective| Change::Two([real, effective])));
            for effective in ids {
                changes.extend(ids.map(|saved| Change::Three([real, effective, saved])));
            }
        }
        for number in 0..27 {
            let before = [number / 9, number / 3 % 3, number % 3, number / 3 % 3];
            for change in &changes {
                let before = quartet(before);
                let Ok(once) = before.changed(*change, before.effective == 0) else {
                    continue;
                };
                let twice = once.changed(*change, once.effective == 0).unwrap();
                // Who becomes root by `setuid` is root when the next thread asks.
                let became_root = before.effective != 0 && once.effective == 0;
                if !(became_root && matches!(change, Change::One(_))) {
                    assert_eq!(twice, once, "{before:?} {change:?}");
                }
            }
        }
    }
}
