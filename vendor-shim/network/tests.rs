use std::path::Path;

use super::*;
use crate::testing::write_script;

/// Returns a program that is this script.
fn script(directory: &Path, text: &str) -> Program {
    let path = directory.join("script");
    write_script(&path, text);
    Program::at(path)
}

/// Starts a script in the place of one of the programs; what it is given to connect is a file.
fn connection(directory: &Path, text: &str) -> Connection {
    let program = script(directory, text);
    let given = File::open("/proc/self/ns/net").unwrap();
    Connection::start(&program, &[], given.into()).unwrap()
}

#[test]
fn a_program_that_says_something_is_ready_and_goes_on_until_it_is_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let mut connection = connection(directory.path(), "echo $$\nexec tail -f /dev/null\n");
    connection.wait(&|| false).unwrap();
    let process = format!("/proc/{}", connection.id());
    assert!(std::fs::exists(&process).unwrap());
    drop(connection);
    assert!(!std::fs::exists(&process).unwrap());
}

#[test]
fn the_namespace_is_standard_input() {
    let directory = tempfile::tempdir().unwrap();
    let mut connection = connection(directory.path(), "readlink /proc/self/fd/0 >&2\n");
    let error = connection.wait(&|| false).unwrap_err();
    let own = std::fs::read_link("/proc/self/ns/net").unwrap();
    let NetworkError::Ended { last_words, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(last_words, own.to_str().unwrap());
}

#[test]
fn a_program_that_ends_is_quoted_without_its_remarks_about_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let text = "echo 'Failed to send 5 bytes to syslog' >&2\necho 'no way out' >&2\nexit 1\n";
    let error = connection(directory.path(), text).wait(&|| false);
    let program = directory.path().join("script");
    assert_eq!(
        error.unwrap_err().to_string(),
        format!(
            "connect a network with `{}`: it ended, saying `no way out`",
            program.display()
        )
    );
}

#[test]
fn a_wait_ends_with_its_job() {
    let directory = tempfile::tempdir().unwrap();
    let error = connection(directory.path(), "exec tail -f /dev/null\n").wait(&|| true);
    assert!(matches!(error, Err(NetworkError::Cancelled)), "{error:?}");
}

#[test]
fn the_programs_are_found_in_their_order_or_missed_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().as_os_str();
    assert_eq!(
        SystemNetwork::find(path, "").unwrap_err().to_string(),
        "neither `pasta` nor `slirp4netns` is installed"
    );
    for (name, kind, server) in [
        ("slirp4netns", Kind::Slirp, "10.0.2.3"),
        ("pasta", Kind::Pasta, "169.254.1.1"),
    ] {
        script(directory.path(), "");
        std::fs::rename(directory.path().join("script"), directory.path().join(name)).unwrap();
        let found = SystemNetwork::find(path, "").unwrap();
        assert_eq!(
            (found.kind, found.kind.name_server().to_string().as_str()),
            (kind, server)
        );
    }
}

#[test]
fn a_name_server_on_the_loop_back_is_asked_through_the_program() {
    let directory = tempfile::tempdir().unwrap();
    script(directory.path(), "");
    std::fs::rename(
        directory.path().join("script"),
        directory.path().join("pasta"),
    )
    .unwrap();
    for (machine, expected, forwards) in [
        (
            "search a\nnameserver 10.1.1.1\n",
            "search a\nnameserver 10.1.1.1\n",
            false,
        ),
        (
            "search a b\nnameserver 127.0.0.53\nnameserver ::1\noptions edns0\n",
            "nameserver 169.254.1.1\nsearch a b\noptions edns0\n",
            true,
        ),
        (
            "nameserver 10.1.1.1\nnameserver 127.0.0.1 # own",
            "nameserver 169.254.1.1\n",
            true,
        ),
        // No machine has an address for documentation (RFC 5737).
        (
            "nameserver 203.0.113.7\n",
            "nameserver 203.0.113.7\n",
            false,
        ),
        ("", "", false),
    ] {
        let found = SystemNetwork::find(directory.path().as_os_str(), machine).unwrap();
        assert_eq!(found.resolver(), expected);
        let arguments = found.kind.arguments(found.forwards);
        assert_eq!(
            arguments.iter().any(|word| word == "--dns-forward"),
            forwards
        );
    }
}
