//! A terminal that a test types at.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcgetwinsize, tcsetwinsize};

use crate::program::PATIENCE;

/// Both ends of a terminal: the test's, and the one that a program may have as a stream.
#[derive(Debug)]
pub struct Terminal {
    ours: OwnedFd,
    theirs: OwnedFd,
}

impl Terminal {
    /// Makes a terminal of this size.
    pub fn open(rows: u16, columns: u16) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
            .expect("the machine has terminals");
        grantpt(&ours).expect("a terminal can be used");
        unlockpt(&ours).expect("a terminal can be used");
        let name = ptsname(&ours, Vec::new()).expect("a terminal has a name");
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let theirs =
            rustix::fs::open(name, flags, Mode::empty()).expect("a terminal can be opened");
        let terminal = Self { ours, theirs };
        terminal.resize(rows, columns);
        terminal
    }

    /// Returns the end for a program.
    pub fn stream(&self) -> File {
        let theirs = self.theirs.try_clone();
        File::from(theirs.expect("a descriptor is free"))
    }

    /// Types a text.
    pub fn send(&self, text: &str) {
        let ours = self.ours.try_clone().expect("a descriptor is free");
        File::from(ours)
            .write_all(text.as_bytes())
            .expect("a terminal can be typed at");
    }

    /// Reads what is shown until the text is among it.
    pub fn wait_for(&self, text: &str) -> String {
        let mut ours = File::from(self.ours.try_clone().expect("a descriptor is free"));
        let mut shown = String::new();
        let patience = Timespec::try_from(PATIENCE).expect("it is short");
        while !shown.contains(text) {
            let mut waited_for = [PollFd::new(&ours, PollFlags::IN)];
            let ready =
                poll(&mut waited_for, Some(&patience)).expect("a terminal can be waited for");
            assert_ne!(ready, 0, "`{text}` is never shown, but: {shown:?}");
            let mut chunk = [0; 4096];
            let count = ours.read(&mut chunk).expect("a terminal can be read");
            shown.push_str(&String::from_utf8_lossy(chunk.get(..count).unwrap_or(&[])));
        }
        shown
    }

    /// Makes it larger or smaller.
    pub fn resize(&self, rows: u16, columns: u16) {
        let before = tcgetwinsize(&self.ours).expect("a terminal has a size");
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ..before
        };
        tcsetwinsize(&self.ours, size).expect("a terminal has a size");
    }

    /// Tells whether keys go to the program as they are, with nothing shown and no signal made.
    pub fn is_raw(&self) -> bool {
        let settings = tcgetattr(&self.theirs).expect("a terminal has settings");
        !settings
            .local_modes
            .intersects(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG)
    }
}
