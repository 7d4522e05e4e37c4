//! `careen run`: a command on an image.

mod image;
mod registry;
mod signal;
mod terminal;

use support::{BaseImage, Bench, Entry, Feature, Finished, needs};

use crate::bench;

/// Runs a command on the bench's own base.
fn run(bench: &Bench, arguments: &[&str]) -> Finished {
    bench.careen(&["run"]).args(arguments).run()
}

/// Runs a shell command on busybox, and returns what it prints.
fn shell(options: &[&str], script: &str) -> String {
    let bench = bench().with_busybox();
    let words = [options, &["oci:base", "sh", "-c", script]].concat();
    run(&bench, &words).success().text().to_owned()
}

#[test]
fn both_streams_and_the_status_are_the_commands() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let script = "echo out; echo err >&2; exit 7";
    let ended = run(&bench, &["--rm", "oci:base", "sh", "-c", script]);
    assert_eq!(ended.code(), 7);
    assert_eq!((ended.text(), &*ended.stderr), ("out\n", "err"));
}

#[test]
fn a_command_reads_what_it_is_given_and_nothing_without_i() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.file("text", "some\ntext");
    let read = |arguments: &[&str]| {
        let file = std::fs::File::open(bench.path("context/text")).unwrap();
        let run = bench.careen(&["run"]).args(arguments);
        let ended = run.args(&["oci:base", "cat"]).stdin(file).run().success();
        ended.text().to_owned()
    };
    assert_eq!(read(&["-i"]), "some\ntext");
    assert_eq!(read(&[]), "");
}

#[test]
fn a_command_may_leave_what_it_is_given_unread() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.file("zeros", vec![0; 1 << 20]);
    let file = std::fs::File::open(bench.path("context/zeros")).unwrap();
    let run = bench.careen(&["run", "-i", "oci:base", "true"]);
    assert_eq!(run.stdin(file).run().code(), 0);
}

#[test]
fn whoever_reads_no_more_ends_the_command() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let run = bench.careen(&["run", "oci:base", "sh", "-c", "yes; echo $? >&2"]);
    let ended = run.stdout(std::os::fd::OwnedFd::from(writer).into()).run();
    assert_eq!((ended.code(), &*ended.stderr), (0, "141"));
}

#[test]
fn what_cannot_be_started_has_the_codes_of_docker() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let said = |arguments: &[&str], code| {
        let ended = run(&bench, arguments);
        ended
            .error(code)
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    assert_eq!(
        said(&["oci:base", "absent"], 127),
        "error: the image has no `absent`"
    );
    assert_eq!(
        said(&["oci:base", "/etc"], 126),
        "error: the image's `/etc` cannot be executed"
    );
    assert_eq!(
        said(&["--pull", "never", "absent"], 125),
        "error: no such image: `absent`"
    );
    assert_eq!(
        said(&["oci:base"], 125),
        "error: `oci:base` has no command, and none was given"
    );
    assert_eq!(
        said(&["--bogus", "oci:base", "true"], 125),
        "error: unexpected argument '--bogus' found"
    );
    assert_eq!(
        said(&["-d", "oci:base", "true"], 125),
        "error: `--detach` is not supported: careen has no daemon that a command could be left to"
    );
    assert_eq!(
        said(&["-it", "oci:base", "true"], 125),
        "error: standard input is no terminal, and `-t` with `-i` needs one"
    );
    assert_eq!(
        said(&["-v", "/absent:/x", "oci:base", "true"], 125),
        "error: cannot use the volume `/absent`"
    );
}

#[test]
fn a_command_that_a_signal_ends_has_the_code_of_the_signal() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let script = "kill -KILL $$";
    assert_eq!(run(&bench, &["oci:base", "sh", "-c", script]).code(), 137);
}

#[test]
fn the_environment_is_put_together_as_by_docker() {
    needs!(Feature::Busybox);
    let mut base = BaseImage::busybox();
    base.config.env.push("A=image".to_owned());
    base.config.env.push("B=image".to_owned());
    let bench = bench().with_base(&[base]);
    bench.file("vars", "# comment\nB=file\nC=file\nOUTSIDE\n");
    let words = [
        "--hostname",
        "box",
        "--env-file",
        "context/vars",
        "-e",
        "C=flag",
        "oci:base",
        "env",
    ];
    let run = bench.careen(&["run"]).args(&words).env("OUTSIDE", "o");
    let ended = run.run().success();
    let mut lines: Vec<_> = ended.text().lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "A=image",
            "B=file",
            "C=flag",
            "HOME=/root",
            "HOSTNAME=box",
            "OUTSIDE=o",
            "PATH=/usr/local/bin:/usr/bin:/bin"
        ]
    );
}

#[test]
fn a_user_has_the_groups_and_the_home_that_the_image_says() {
    needs!(Feature::Busybox, Feature::IdRange);
    let shown = shell(&["-u", "app"], "id; echo $HOME");
    assert_eq!(
        shown,
        "uid=1000(app) gid=1000(app) groups=50(staff),1000(app)\n/home/app\n"
    );
    let shown = shell(&["--user", "7:staff"], "id -u; id -g");
    assert_eq!(shown, "7\n50\n");
}

#[test]
fn a_directory_to_start_in_is_made_where_it_is_missing() {
    needs!(Feature::Busybox);
    assert_eq!(
        shell(&["-w", "/srv/deep"], "pwd; ls -a"),
        "/srv/deep\n.\n..\n"
    );
}

#[test]
fn nothing_that_a_command_writes_is_kept() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let script = "ls /kept 2>/dev/null; echo text > /kept; cat /kept";
    for _ in 0..2 {
        let ended = run(&bench, &["oci:base", "sh", "-c", script]).success();
        assert_eq!(ended.text(), "text\n");
    }
}

#[test]
fn the_files_of_the_machine_are_the_commands_to_change() {
    needs!(Feature::Busybox);
    let words = ["--hostname", "box", "--add-host", "db:10.1.2.3"];
    let script = "cat /etc/hosts /etc/hostname; hostname; echo x > /etc/hosts; cat /etc/hosts";
    assert_eq!(
        shell(&words, script),
        "127.0.0.1\tlocalhost box\n::1\tlocalhost ip6-localhost ip6-loopback\n10.1.2.3\tdb\nbox\nbox\nx\n"
    );
}

#[test]
fn a_root_that_is_closed_leaves_volumes_and_memory_open() {
    needs!(Feature::Busybox);
    let mut base = BaseImage::busybox();
    base.config.volumes.insert("/data".to_owned());
    base.layers[0].push(Entry::directory("data"));
    base.layers[0].push(Entry::file("data/there", "before\n"));
    let bench = bench().with_base(&[base]);
    let script = "touch /no 2>/dev/null || echo closed; cat /data/there; echo after > /data/there; \
        cat /data/there; touch /m/yes; ls /m";
    let words = [
        "--read-only",
        "--tmpfs",
        "/m:size=1m",
        "oci:base",
        "sh",
        "-c",
        script,
    ];
    let ended = run(&bench, &words).success();
    assert_eq!(ended.text(), "closed\nbefore\nafter\nyes\n");
}

#[test]
fn a_volume_is_the_machines_own_file() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.file("text", "mine\n");
    // The sandbox's root is not who runs the test.
    bench.mode("text", 0o666);
    let shared = |options: &str| format!("{}:/shared{options}", bench.path("context").display());
    let script = "cat /shared/text; echo more >> /shared/text";
    let words = ["-v", &shared(""), "oci:base", "sh", "-c", script];
    run(&bench, &words).success();
    let text = std::fs::read_to_string(bench.path("context/text")).unwrap();
    assert_eq!(text, "mine\nmore\n");
    let words = [
        "-v",
        &shared(":ro"),
        "oci:base",
        "sh",
        "-c",
        "echo > /shared/text",
    ];
    assert_eq!(run(&bench, &words).code(), 1);
}

#[test]
fn without_a_network_there_is_the_loop_back_alone() {
    needs!(Feature::Busybox);
    let shown = shell(&["--network", "none"], "grep -c : /proc/net/dev");
    assert_eq!(shown, "1\n");
}

#[test]
fn the_name_of_a_container_is_taken_with_a_warning() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let ended = run(&bench, &["--name", "x", "oci:base", "true"]).success();
    assert_eq!(
        ended.stderr,
        "warning: `--name` changes nothing: nothing is kept that a name could lead to"
    );
}
