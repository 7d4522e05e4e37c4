//! `RUN`.

use insta::assert_snapshot;
use support::{BaseImage, Entry, Feature, Kind, needs};

use crate::bench;

#[test]
fn a_command_leaves_what_it_changed_and_nothing_else() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\nRUN echo hi > /greeting && rm /etc/group && mkdir -m 700 /made\n");
    let built = bench.build(&[]);
    let image = built.image();
    assert_eq!(image.layers.len(), 2);
    // The stubs of the sandbox's mounts, `/etc/resolv.conf` among them, are no part of the layer.
    assert_eq!(
        image.top_paths(),
        ["etc", "etc/.wh.group", "greeting", "made"]
    );
    assert_eq!(image.text("greeting"), "hi\n");
    assert_eq!(
        (image.entry("made").mode, image.entry("made").owner),
        (0o700, (0, 0))
    );
    assert!(!image.has("etc/group"));
}

#[test]
fn a_directory_that_is_made_again_hides_what_was_in_it() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile(
        "FROM base\nRUN mkdir /d && touch /d/old\nRUN rm -r /d && mkdir /d && touch /d/new\n",
    );
    let built = bench.build(&[]);
    assert!(built.image().has("d/new"));
    assert!(!built.image().has("d/old"));
}

#[test]
fn a_command_that_changes_nothing_leaves_an_empty_layer() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\nRUN true\n");
    let built = bench.build(&[]);
    assert_eq!(built.image().top_layer(), []);
    assert_eq!(
        built.image().history(),
        ["a test", "RUN /bin/sh -c true # buildkit"]
    );
}

#[test]
fn all_three_forms_run_what_they_say() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile(
        "FROM base\n\
         RUN echo shell \"$0\"; \\\n    echo continued\n\
         RUN [\"/bin/echo\", \"exec\", \"$HOME\"]\n\
         RUN <<one\necho here 1\necho here 2\none\n\
         RUN <<two cat && echo after\nto cat\ntwo\n\
         RUN <<three\n#!/bin/cat\nis its own program\nthree\n",
    );
    let log = bench.careen_build(&["-j", "1"]).run().success();
    let expected = [
        "shell /bin/sh",
        "continued",
        "exec $HOME",
        "here 1",
        "here 2",
        "to cat",
        "after",
        "#!/bin/cat",
        "is its own program",
    ];
    assert_eq!(log.output(), expected);
}

#[test]
fn a_command_has_the_user_the_directory_and_the_environment_of_its_stage() {
    needs!(Feature::Busybox, Feature::IdRange);
    let bench = bench().with_busybox();
    bench.dockerfile(
        "FROM base\n\
         ENV COLOUR=blue\n\
         ARG SIZE=large\n\
         WORKDIR /home/app\n\
         USER app\n\
         RUN id -u; id -g; id -G; pwd; echo $HOME $COLOUR $SIZE; touch mine\n\
         USER 7:8\n\
         RUN id -u; id -g; id -G\n",
    );
    let built = bench.build(&[]);
    let expected = [
        "1000",
        "1000",
        "1000 50",
        "/home/app",
        "/home/app blue large",
        "7",
        "8",
        "8",
    ];
    assert_eq!(built.log.output(), expected);
    assert_eq!(built.image().entry("home/app/mine").owner, (1000, 1000));
}

#[test]
fn the_sandbox_has_its_own_name_and_an_empty_input() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\nRUN hostname; wc -c; echo to stderr >&2\n");
    let log = bench.careen_build(&[]).run().success();
    assert_eq!(log.output(), ["buildkitsandbox", "0", "to stderr"]);
}

#[test]
fn the_resolver_is_the_machines_and_no_part_of_the_image() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile(
        "FROM base\nRUN grep -c localhost /etc/hosts > /seen && test -e /etc/resolv.conf\n",
    );
    assert_eq!(bench.build(&[]).image().top_paths(), ["seen"]);
}

#[test]
fn without_a_network_there_is_a_loop_back_alone() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let interfaces = "sed -n 's/ *\\([a-z0-9]*\\):.*/\\1/p' /proc/net/dev";
    bench.dockerfile(&format!("FROM base\nRUN --network=none {interfaces}\n"));
    assert_eq!(bench.careen_build(&[]).run().success().output(), ["lo"]);
    bench.dockerfile(&format!("FROM base\nRUN echo by flag; {interfaces}\n"));
    let log = bench.careen_build(&["--network", "none"]).run().success();
    assert_eq!(log.output(), ["by flag", "lo"]);
}

#[test]
fn what_a_command_leaves_running_ends_with_it() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\nRUN sleep 100000 & echo begun\n");
    assert_eq!(bench.careen_build(&[]).run().success().output(), ["begun"]);
}

#[test]
fn more_layers_than_a_page_of_mount_options_holds_can_be_run_on() {
    needs!(Feature::Busybox);
    let mut base = BaseImage::busybox();
    base.layers
        .extend((0..120).map(|number| vec![Entry::file(&format!("many-{number}"), "")]));
    let bench = bench().with_base(&[base]);
    bench.dockerfile("FROM base\nRUN ls / | grep -c many-\n");
    let built = bench.build(&[]);
    assert_eq!(built.log.output(), ["120"]);
    assert_eq!(built.image().layers.len(), 122);
}

#[test]
fn owners_bits_and_special_files_are_kept() {
    needs!(Feature::Busybox, Feature::IdRange);
    let bench = bench().with_busybox();
    bench.dockerfile(
        "FROM base\n\
         RUN touch /a && chown 1000:50 /a && chmod 4750 /a && ln /a /b && ln -s a /c && mkfifo /d\n",
    );
    let built = bench.build(&[]);
    let image = built.image();
    assert_eq!(image.top_paths(), ["a", "b", "c", "d"]);
    let (a, d) = (image.entry("a"), image.entry("d"));
    assert_eq!(
        (&a.kind, a.mode, a.owner),
        (&Kind::File(Vec::new()), 0o4750, (1000, 50))
    );
    assert_eq!(image.entry("b").kind, Kind::HardLink("a".to_owned()));
    assert_eq!(image.entry("c").kind, Kind::Symlink("a".to_owned()));
    assert_eq!((&d.kind, d.mode), (&Kind::Fifo, 0o644));
}

#[test]
fn a_command_that_fails_is_shown_with_its_place_and_its_last_words() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile(
        "FROM base\nRUN true\nRUN echo going; \\\n    echo wrong >&2; \\\n    exit 7\n",
    );
    assert_snapshot!(bench.refusal(&[]), @r"
    error: RUN failed: `/bin/sh -c` exited with status 7
     --> Dockerfile:3:1
      |
    3 | RUN echo going; \
      | ^^^^^^^^^^^^^^^^^ step 3/3
      |
      = note: last output:
              going
              wrong
      = help: `--on-failure=shell` opens a shell in what the step left, `--on-failure=keep` keeps that
    ");
}

#[test]
fn a_command_that_a_signal_ended_is_shown_as_that() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\nRUN kill -SEGV $$\n");
    assert_snapshot!(bench.refusal(&[]), @r"
    error: RUN failed: `/bin/sh -c` was ended by signal 11 (SIGSEGV)
     --> Dockerfile:2:1
      |
    2 | RUN kill -SEGV $$
      | ^^^^^^^^^^^^^^^^^ step 2/2
      |
      = help: `--on-failure=shell` opens a shell in what the step left, `--on-failure=keep` keeps that
    ");
}

#[test]
fn a_program_that_is_not_there_is_named() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\nRUN [\"no-such-program\", \"x\"]\n");
    assert_snapshot!(bench.refusal(&[]), @r#"
    error: RUN failed: the image has no `no-such-program`
     --> Dockerfile:2:1
      |
    2 | RUN ["no-such-program", "x"]
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^ step 2/2
      |
      = caused by: execve("no-such-program") in PATH "/usr/local/bin:/usr/bin:/bin"
      = caused by: ENOENT: No such file or directory
    "#);
}

#[test]
fn a_base_without_a_shell_says_what_is_missing() {
    let bench = bench();
    bench.dockerfile("FROM scratch\nRUN true\n");
    assert_snapshot!(bench.refusal(&[]), @r#"
    error: RUN failed: the image has no `/bin/sh`
     --> Dockerfile:2:1
      |
    2 | RUN true
      | ^^^^^^^^ step 1/1
      |
      = caused by: execve("/bin/sh")
      = caused by: ENOENT: No such file or directory
    "#);
}

#[test]
fn a_user_that_the_image_does_not_know_is_named() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\nUSER nobody-knows\nRUN true\n");
    assert_snapshot!(bench.refusal(&[]), @r"
    error: no user `nobody-knows` in /etc/passwd of the image
     --> Dockerfile:3:1
      |
    3 | RUN true
      | ^^^^^^^^ step 2/2
    ");
}

#[test]
fn an_image_without_the_directories_of_the_system_has_them_after_its_first_command() {
    needs!(Feature::Busybox);
    let mut base = BaseImage::busybox();
    for layer in &mut base.layers {
        layer.retain(|entry| !["dev", "proc", "sys"].contains(&entry.path.as_str()));
    }
    let bench = bench().with_base(&[base]);
    bench.dockerfile(
        "FROM base\nRUN echo 1 > /tmp/one\nRUN rmdir /proc 2>/dev/null; echo 2 > /two\n",
    );
    let built = bench.build(&[]);
    let image = built.image();
    let first: Vec<&str> = image.layers[1]
        .iter()
        .map(|entry| entry.path.as_str())
        .collect();
    assert_eq!(first, ["dev", "proc", "sys", "tmp", "tmp/one"]);
    assert_eq!(image.top_paths(), ["two"]);
    assert_eq!(image.entry("proc").mode, 0o755);
}
