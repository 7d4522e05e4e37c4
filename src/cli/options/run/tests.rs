use clap::Parser as _;

use super::*;
use crate::args::{Arguments, Command};

fn options(words: &[&str]) -> Result<RunOptions, RunUsageError> {
    let words = ["careen", "run"].iter().chain(words);
    let parsed = Arguments::try_parse_from(words).unwrap();
    let Command::Run(arguments) = parsed.command else {
        panic!("another command");
    };
    RunOptions::new(&arguments, &Environment::default())
}

fn config() -> ImageConfig {
    let mut config = ImageConfig::new(&host_platform());
    config.config.entrypoint = vec!["/entry".to_owned()];
    config.config.cmd = vec!["usual".to_owned()];
    config.config.env = vec!["PATH=/bin".to_owned(), "A=image".to_owned()];
    config
}

#[test]
fn options_end_at_the_image() {
    let options = options(&["-it", "-w", "/srv", "busybox", "-i", "--platform", "x"]).unwrap();
    assert_eq!(options.image, "busybox");
    assert_eq!(options.command, ["-i", "--platform", "x"]);
    assert!(options.interactive && options.terminal);
    assert_eq!(options.working_directory.as_deref(), Some("/srv"));
}

#[test]
fn entry_point_and_command_are_put_together_as_docker_does() {
    let cases: [(&[&str], &[&str]); 6] = [
        (&["image"], &["/entry", "usual"]),
        (&["image", "own"], &["/entry", "own"]),
        (&["--entrypoint", "sh", "image"], &["sh"]),
        (
            &["--entrypoint", "sh", "image", "-c", "x"],
            &["sh", "-c", "x"],
        ),
        (&["--entrypoint", "", "image", "own"], &["own"]),
        (&["--entrypoint", "", "image"], &[]),
    ];
    for (words, expected) in cases {
        assert_eq!(
            options(words).unwrap().argv(&config()),
            expected,
            "{words:?}"
        );
    }
}

#[test]
fn the_environment_is_dockers_then_the_images_then_the_users() {
    let plain = options(&["-e", "A=mine", "-e", "B=2", "image"]).unwrap();
    assert_eq!(
        plain.environment(&config(), "box"),
        ["PATH=/bin", "HOSTNAME=box", "A=mine", "B=2"]
    );
    let terminal = options(&["-t", "image"]).unwrap();
    assert_eq!(
        terminal.environment(&ImageConfig::new(&host_platform()), "box"),
        [PATH, "HOSTNAME=box", "TERM=xterm"]
    );
}

#[test]
fn what_careen_does_not_have_is_refused_with_a_reason() {
    let cases: [(&[&str], &str); 7] = [
        (
            &["-d", "image"],
            "`--detach` is not supported: careen has no daemon that a command could be left to",
        ),
        (
            &["-p", "80:80", "image"],
            "`--publish` is not supported: the command has the machine's network, and a port that it listens on \
             is one of the machine's",
        ),
        (
            &["--cap-add", "SYS_ADMIN", "image"],
            "`--cap-add` is not supported: a command has the capabilities of a container, all within a user \
             namespace of its own",
        ),
        (
            &["-w", "srv", "image"],
            "`--workdir srv` is no absolute path",
        ),
        (
            &["--tmpfs", "/a:mode=1", "image"],
            "`--tmpfs /a:mode=1` is no `TARGET[:size=SIZE]`",
        ),
        (
            &["--hostname", "a b", "image"],
            "`--hostname a b` is no host name",
        ),
        (&["-e", "=1", "image"], "`--env =1` is no `NAME[=VALUE]`"),
    ];
    for (words, expected) in cases {
        assert_eq!(options(words).unwrap_err().to_string(), expected);
    }
}

#[test]
fn a_name_is_taken_and_changes_nothing() {
    let options = options(&["--name", "x", "--rm", "--init", "image"]).unwrap();
    assert_eq!(
        options.warnings,
        ["`--name` changes nothing: nothing is kept that a name could lead to"]
    );
}

#[test]
fn memory_may_have_a_size() {
    let options = options(&["--tmpfs", "/a", "--tmpfs", "/b:size=1m", "image"]).unwrap();
    let expected = [("/a".to_owned(), None), ("/b".to_owned(), Some(1 << 20))];
    assert_eq!(options.memory, expected);
}
