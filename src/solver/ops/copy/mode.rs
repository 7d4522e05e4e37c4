//! `--chmod`: octal numbers and symbolic modes (chmod(1), POSIX `chmod`).

use rootfs::Mode;

use super::error::CopyError;

/// A change of permission bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ModeChange {
    /// These bits, whatever they were.
    Exact(Mode),
    /// These clauses, one after the other.
    Symbolic(Vec<Clause>),
}

/// One clause of a symbolic mode, such as `go=rX`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Clause {
    /// The classes as a mask of permission bits: `u` 0700, `g` 0070, `o` 0007.
    who: u32,
    action: Action,
    permissions: Permissions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Add,
    Remove,
    Set,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Permissions {
    /// Letters: `rwx` for every class (0777), the special bits, and `X`.
    Letters {
        bits: u32,
        special: u32,
        conditional_execute: bool,
    },
    /// The bits of another class: shift of that class.
    Class(u32),
}

impl ModeChange {
    /// Reads an octal number from 0 to 07777 or a symbolic mode.
    pub(crate) fn parse(text: &str) -> Result<Self, CopyError> {
        let refuse = || CopyError::Mode {
            mode: text.to_owned(),
        };
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            let bits = u32::from_str_radix(text, 8)
                .ok()
                .filter(|bits| *bits <= 0o7777);
            return bits
                .map(|bits| Self::Exact(Mode::new(bits)))
                .ok_or_else(refuse);
        }
        let clauses: Option<Vec<_>> = text.split(',').map(clauses_of).collect();
        let clauses: Vec<_> = clauses.ok_or_else(refuse)?.into_iter().flatten().collect();
        Ok(Self::Symbolic(clauses))
    }

    /// Returns what becomes of the bits of a file or directory.
    pub(crate) fn apply(&self, mode: Mode, is_directory: bool) -> Mode {
        match self {
            Self::Exact(mode) => *mode,
            Self::Symbolic(clauses) => {
                let bits = clauses
                    .iter()
                    .fold(mode.bits(), |bits, clause| clause.apply(bits, is_directory));
                Mode::new(bits)
            }
        }
    }
}

impl Clause {
    fn apply(&self, mode: u32, is_directory: bool) -> u32 {
        let (bits, special) = self.bits(mode, is_directory);
        let (bits, special) = (bits & self.who, special & self.special_mask());
        match self.action {
            Action::Add => mode | bits | special,
            Action::Remove => mode & !(bits | special),
            Action::Set => mode & !(self.who | self.special_mask()) | bits | special,
        }
    }

    fn bits(&self, mode: u32, is_directory: bool) -> (u32, u32) {
        match self.permissions {
            Permissions::Letters {
                bits,
                special,
                conditional_execute,
            } => {
                let execute = conditional_execute && (is_directory || mode & 0o111 != 0);
                (bits | if execute { 0o111 } else { 0 }, special)
            }
            Permissions::Class(shift) => {
                let class = (mode >> shift) & 0o7;
                (class << 6 | class << 3 | class, 0)
            }
        }
    }

    /// Set-user-id goes with `u`, set-group-id with `g`, the sticky bit with all classes.
    fn special_mask(&self) -> u32 {
        let part = |class, bit| if self.who & class != 0 { bit } else { 0 };
        let sticky = if self.who == 0o777 { 0o1000 } else { 0 };
        part(0o700, 0o4000) | part(0o070, 0o2000) | sticky
    }
}

/// Reads `WHO (ACTION PERMISSIONS)+`.
fn clauses_of(text: &str) -> Option<Vec<Clause>> {
    let end_of_who = text.find(['+', '-', '='])?;
    let (who, mut rest) = text.split_at(end_of_who);
    let who = classes(who)?;
    let mut clauses = Vec::new();
    while let Some(sign) = rest.chars().next() {
        let action = match sign {
            '+' => Action::Add,
            '-' => Action::Remove,
            '=' => Action::Set,
            _ => return None,
        };
        let after = rest.strip_prefix(sign)?;
        let end = after.find(['+', '-', '=']).unwrap_or(after.len());
        let (letters, next) = after.split_at(end);
        clauses.push(Clause {
            who,
            action,
            permissions: permissions(letters)?,
        });
        rest = next;
    }
    Some(clauses)
}

fn classes(text: &str) -> Option<u32> {
    // No class means all. The umask, which POSIX would apply here, is no input of a build.
    if text.is_empty() {
        return Some(0o777);
    }
    text.chars().try_fold(0, |who, letter| {
        Some(
            who | match letter {
                'u' => 0o700,
                'g' => 0o070,
                'o' => 0o007,
                'a' => 0o777,
                _ => return None,
            },
        )
    })
}

fn permissions(text: &str) -> Option<Permissions> {
    match text {
        "u" => return Some(Permissions::Class(6)),
        "g" => return Some(Permissions::Class(3)),
        "o" => return Some(Permissions::Class(0)),
        _ => {}
    }
    let (mut bits, mut special, mut conditional_execute) = (0, 0, false);
    for letter in text.chars() {
        match letter {
            'r' => bits |= 0o444,
            'w' => bits |= 0o222,
            'x' => bits |= 0o111,
            'X' => conditional_execute = true,
            's' => special |= 0o6000,
            't' => special |= 0o1000,
            _ => return None,
        }
    }
    Some(Permissions::Letters {
        bits,
        special,
        conditional_execute,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(change: &str, mode: u32, is_directory: bool) -> u32 {
        ModeChange::parse(change)
            .unwrap()
            .apply(Mode::new(mode), is_directory)
            .bits()
    }

    #[test]
    fn numbers_replace_every_bit() {
        assert_eq!(applied("755", 0o4644, false), 0o755);
        assert_eq!(applied("04755", 0o644, false), 0o4755);
    }

    #[test]
    fn symbolic_modes_change_what_they_name() {
        for (change, mode, is_directory, expected) in [
            ("+x", 0o644, false, 0o755),
            ("u=rwX,go=rX", 0o600, false, 0o644),
            ("u=rwX,go=rX", 0o700, false, 0o755),
            ("u=rwX,go=rX", 0o700, true, 0o755),
            ("g=u", 0o640, false, 0o660),
            ("a-w", 0o777, true, 0o555),
            ("u+s", 0o755, false, 0o4755),
            ("g+s,o-rx", 0o755, true, 0o2750),
            ("+t", 0o777, true, 0o1777),
            ("u+x-w", 0o600, false, 0o500),
            ("a=", 0o777, false, 0),
        ] {
            assert_eq!(applied(change, mode, is_directory), expected, "{change}");
        }
    }

    #[test]
    fn what_is_no_mode_is_refused() {
        for text in ["", "888", "10000", "u", "z+x", "u+q", "u=rwx,", "abc"] {
            assert!(ModeChange::parse(text).is_err(), "{text:?}");
        }
    }
}
