//! The wall, put around a thread of the test.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;
use std::thread;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::kill;
use nix::unistd::getppid;

use super::*;

/// Runs `work` in a thread behind `wall`; `None` on a kernel that cannot build it.
fn behind<T: Send>(
    wall: Wall,
    version: i64,
    root: &Path,
    work: impl FnOnce() -> T + Send,
) -> Option<T> {
    if security::landlock_version().map_or(0, |found| found) < version {
        return None;
    }
    thread::scope(|scope| {
        let behind = scope.spawn(|| {
            // Who has no capability may restrict himself under this condition; it is the thread's own.
            prctl::set_no_new_privs().unwrap();
            wall.raise(File::open(root).unwrap().as_fd()).unwrap();
            work()
        });
        Some(behind.join().unwrap())
    })
}

fn refused<T>(result: io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

#[test]
fn nothing_is_written_outside_of_the_root() {
    let directory = tempfile::tempdir().unwrap();
    let [inside, outside] = ["inside", "outside"].map(|name| directory.path().join(name));
    for place in [&inside, &outside] {
        fs::create_dir_all(place.join("one")).unwrap();
        fs::create_dir(place.join("two")).unwrap();
        fs::create_dir(place.join("three")).unwrap();
        fs::write(place.join("one/file"), "kept").unwrap();
        fs::write(place.join("two/other"), "").unwrap();
    }
    let wall = Wall {
        writing: true,
        ..Wall::default()
    };
    let try_all = |place: &Path| {
        let file = place.join("one/file");
        [
            refused(OpenOptions::new().append(true).open(&file)),
            refused(fs::write(place.join("new"), "")),
            refused(fs::create_dir(place.join("directory"))),
            refused(std::os::unix::fs::symlink("x", place.join("link"))),
            refused(fs::hard_link(&file, place.join("two/name"))),
            refused(fs::rename(&file, place.join("two/file"))),
            refused(fs::remove_file(place.join("two/other"))),
            refused(fs::remove_dir(place.join("three"))),
            // What is not withheld.
            refused(fs::read_dir(place)),
            refused(File::open(Path::new("/proc/self/exe"))),
        ]
    };
    let tried = behind(wall, VERSION_WITH_WRITING, &inside, || {
        [try_all(&inside), try_all(&outside)]
    });
    let Some([within, without]) = tried else {
        return;
    };
    assert_eq!(within, [None; 10]);
    let denied = Some(Errno::EACCES as i32);
    assert_eq!(without[..8], [denied; 8]);
    assert_eq!(without[8..], [None; 2]);
    assert_eq!(fs::read(outside.join("one/file")).unwrap(), b"kept");
}

#[test]
fn a_process_outside_gets_no_signal() {
    let wall = Wall {
        signals: true,
        ..Wall::default()
    };
    // Nothing is sent; whether it could be is what counts.
    let before = kill(getppid(), None);
    let sent = behind(wall, VERSION_WITH_SCOPES, Path::new("/"), || {
        kill(getppid(), None)
    });
    if let (Ok(()), Some(sent)) = (before, sent) {
        assert_eq!(sent, Err(Errno::EPERM));
    }
}

#[test]
fn no_wall_is_no_domain() {
    let root = Path::new("/");
    let none = behind(Wall::default(), 0, root, || {
        OpenOptions::new().write(true).open("/dev/null").is_ok()
    });
    assert_eq!(none, Some(true));
}

#[test]
fn the_wall_is_what_the_command_and_the_machine_allow() {
    use Confinement::{Container, Namespace};
    use NetworkMode::{Host, None};
    let all = Protections {
        seccomp: true,
        abstract_sockets: true,
        signals: true,
        writing: true,
    };
    let nothing = Protections {
        seccomp: true,
        abstract_sockets: false,
        signals: false,
        writing: false,
    };
    let cases = [
        (Host, Container, all, [true, true, true]),
        (None, Container, all, [false, true, true]),
        (Host, Namespace, all, [true, true, false]),
        (None, Namespace, all, [false, true, false]),
        (Host, Container, nothing, [false; 3]),
    ];
    for (network, confinement, protections, expected) in cases {
        let spec = SandboxSpec {
            network,
            confinement,
            ..SandboxSpec::new(Vec::new())
        };
        let [abstract_sockets, signals, writing] = expected;
        let expected = Wall {
            abstract_sockets,
            signals,
            writing,
            reading: false,
        };
        let found = Wall::around(&spec, protections);
        assert_eq!(found, expected, "{network:?}, {confinement:?}");
    }
}

#[test]
fn instead_of_namespaces_nothing_outside_can_be_read_either() {
    let inside = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    for place in [&inside, &outside] {
        fs::write(place.path().join("file"), "text").unwrap();
    }
    let wall = Wall {
        writing: true,
        reading: true,
        ..Wall::default()
    };
    let looked = behind(wall, VERSION_WITH_WRITING, inside.path(), || {
        [&inside, &outside].map(|place| {
            let read = fs::read_to_string(place.path().join("file")).is_ok();
            let listed = fs::read_dir(place.path()).is_ok();
            (read, listed)
        })
    });
    if let Some(looked) = looked {
        assert_eq!(looked, [(true, true), (false, false)]);
    }
}

#[test]
fn a_command_under_emulation_is_let_read_its_emulator() {
    let protections = Protections {
        seccomp: true,
        abstract_sockets: true,
        signals: true,
        writing: true,
    };
    for (is_emulated, reading) in [(false, true), (true, false)] {
        let spec = SandboxSpec {
            is_emulated,
            ..SandboxSpec::new(Vec::new())
        };
        let wall = Wall::instead_of_namespaces(&spec, protections);
        assert_eq!((wall.writing, wall.reading), (true, reading));
    }
}
