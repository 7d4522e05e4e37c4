//! The user's terminal, while a command has it: how it was, and how it is made to pass every key on.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};

use crate::spec::TerminalSize;
use crate::sys::{CallError, Called as _, shown, terminal};

/// How a terminal was set. To be put back by whoever lives longest.
#[derive(Debug)]
pub struct TerminalSettings {
    terminal: OwnedFd,
    settings: Termios,
}

impl TerminalSettings {
    /// Reads the settings of a terminal; `None` if the file is none.
    ///
    /// # Errors
    ///
    /// Fails when this process has no descriptors left.
    pub fn of<F: AsFd>(file: F) -> Result<Option<Self>, CallError> {
        let Ok(settings) = tcgetattr(&file) else {
            return Ok(None);
        };
        let terminal = nix::unistd::dup(&file).called(|| "dup(terminal)".to_owned())?;
        Ok(Some(Self { terminal, settings }))
    }

    /// Sets the terminal so that every key reaches whoever reads from it, as it is, until this is dropped.
    ///
    /// # Errors
    ///
    /// Fails when the terminal is gone.
    pub fn into_raw(self) -> Result<RawTerminal, CallError> {
        let mut raw = self.settings.clone();
        cfmakeraw(&mut raw);
        set(self.terminal.as_fd(), &raw)?;
        Ok(RawTerminal { before: self })
    }

    /// Puts the settings back if they are different now.
    ///
    /// # Errors
    ///
    /// Fails when the terminal is gone.
    pub fn restore(&self) -> Result<(), CallError> {
        match tcgetattr(&self.terminal) {
            // To set what is set would stop a process that is in the background.
            Ok(current) if current == self.settings => Ok(()),
            _ => set(self.terminal.as_fd(), &self.settings),
        }
    }
}

/// A terminal that passes every key on; dropping it puts back what was.
#[derive(Debug)]
pub struct RawTerminal {
    before: TerminalSettings,
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        drop(self.before.restore());
    }
}

/// Returns how large a terminal is; `None` if the file is none.
pub fn terminal_size<F: AsFd>(file: F) -> Option<TerminalSize> {
    terminal::size(file.as_fd()).ok()
}

fn set(file: BorrowedFd<'_>, settings: &Termios) -> Result<(), CallError> {
    tcsetattr(file, SetArg::TCSANOW, settings).called(|| format!("ioctl({}, TCSETS)", shown(file)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::termios::LocalFlags;
    use std::fs::File;

    #[test]
    fn a_raw_terminal_neither_echoes_nor_makes_signals_and_is_put_back() {
        let dev = File::open("/dev").unwrap();
        let (_ours, theirs) = terminal::open_pair(dev.as_fd()).unwrap();
        let flags = |file: &OwnedFd| tcgetattr(file).unwrap().local_flags;
        let keys = LocalFlags::ECHO | LocalFlags::ISIG | LocalFlags::ICANON;
        let before = flags(&theirs);
        assert!(before.contains(keys));
        let raw = TerminalSettings::of(&theirs).unwrap().unwrap();
        let raw = raw.into_raw().unwrap();
        assert!(!flags(&theirs).intersects(keys));
        drop(raw);
        assert_eq!(flags(&theirs), before);
    }

    #[test]
    fn what_is_no_terminal_has_no_settings() {
        let null = File::open("/dev/null").unwrap();
        assert!(TerminalSettings::of(&null).unwrap().is_none());
        assert_eq!(terminal_size(&null), None);
    }
}
