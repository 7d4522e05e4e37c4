//! Ways out of a command's sandbox that others had left open, each tried by a build. `t_cNN` and `t_dNN` are the rows
//! of `docs/sandbox.md`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use insta::assert_snapshot;
use support::{Bench, Feature, needs};

use crate::bench;

/// What the probe must not find in any environment.
const CANARY: &str = "canary-of-the-callers-environment";

/// How often something is mounted while another step swaps what it is to be found by.
const SWAPS: usize = 40;

/// Builds on a bench whose image has `/probe`, and returns what the commands print.
fn output(bench: &Bench, dockerfile: &str, arguments: &[&str]) -> Vec<String> {
    bench.dockerfile(dockerfile);
    let build = bench.careen_build(arguments).env("CANARY", CANARY);
    let log = build.run().success();
    log.output().into_iter().map(str::to_owned).collect()
}

/// Returns a stage that has the probe, and the variables that it needs.
fn stage_with_probe(bench: &Bench) -> String {
    bench.file("probe", include_str!("escapes/probe.sh"));
    bench.mode("probe", 0o755);
    let victim = bench.path("victim");
    fs::create_dir_all(victim.join("directory")).unwrap();
    for name in ["file", "program"] {
        fs::write(victim.join(name), "#!/bin/sh\n").unwrap();
    }
    // Whatever holds a command back, it is not their modes.
    for name in ["", "directory", "file", "program"] {
        fs::set_permissions(victim.join(name), fs::Permissions::from_mode(0o777)).unwrap();
    }
    let [store, context, victim] =
        ["home", "context", "victim"].map(|name| bench.path(name).display().to_string());
    let outside = std::process::id();
    // A pattern that is not found in itself.
    let (first, last) = CANARY.split_at(CANARY.len() - 1);
    format!(
        "FROM base\nCOPY probe /probe\nENV STORE={store} CONTEXT={context} VICTIM={victim} OUTSIDE={outside} \
         SECRET={first}[{last}]\n"
    )
}

/// One build, so that the commands follow each other: none leaves a process for the next.
#[test]
fn the_probe_finds_no_way_out_as_any_user_and_with_any_network() {
    needs!(Feature::Busybox, Feature::IdRange);
    let bench = bench().with_busybox();
    let stage = stage_with_probe(&bench);
    let found = output(
        &bench,
        &format!(
            "{stage}RUN /probe\nRUN --network=none /probe\n\
             USER 1000\nRUN /probe\nRUN --network=none /probe\n"
        ),
        &[],
    );
    assert_eq!(
        found,
        ["tried as 0", "tried as 0", "tried as 1000", "tried as 1000"]
    );
}

/// The same as root where the caller has one id: container root is the caller, and gets no further.
#[test]
fn the_probe_finds_no_way_out_as_root() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let stage = stage_with_probe(&bench);
    let found = output(&bench, &format!("{stage}RUN /probe\n"), &[]);
    assert_eq!(found, ["tried as 0"]);
}

/// With one id whoever the command seems to be has root's rights over the files of its sandbox, and no others.
#[test]
fn the_probe_finds_no_way_out_as_any_user_with_one_id() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let stage = stage_with_probe(&bench);
    let found = output(
        &bench,
        &format!("{stage}RUN /probe\nRUN --network=none /probe\nUSER 1000\nRUN /probe\n"),
        &["--executor", "userns-single"],
    );
    assert_eq!(found, ["tried as 0", "tried as 0", "tried as 1000"]);
}

/// What has no wall there is told, and nothing else is open: `docs/sandbox.md` has the same list.
#[test]
fn the_probe_finds_no_way_out_of_a_root_directory() {
    needs!(Feature::Busybox, Feature::Root);
    let bench = bench().with_busybox();
    let stage = stage_with_probe(&bench);
    let found = output(
        &bench,
        &format!("{stage}ENV WALL=landlock\nRUN /probe\nUSER 1000\nRUN /probe\n"),
        &["--executor", "chroot"],
    );
    let memory = "OPEN: fills shared memory";
    assert_eq!(found, [memory, "tried as 0", memory, "tried as 1000"]);
}

/// Whoever is root below a root directory leaves it by changing it once more, and is held by Landlock alone then, which
/// knows neither `stat` and `chmod` nor the sockets of the machine's daemons.
#[test]
fn root_cannot_change_its_root_directory_where_it_has_nothing_else() {
    needs!(Feature::Busybox, Feature::Root);
    let bench = bench().with_busybox();
    let dockerfile =
        "FROM base\nRUN exec 2>&1; chroot / echo changed; chroot /tmp true; echo tried\n";
    let said = output(&bench, dockerfile, &["--executor", "chroot"]);
    let refused = "chroot: can't change root directory to";
    assert_eq!(
        said,
        [
            &format!("{refused} '/': Operation not permitted"),
            &format!("{refused} '/tmp': Operation not permitted"),
            "tried",
        ]
    );
    // It is a right of root in a container that has namespaces.
    assert_eq!(output(&bench, dockerfile, &[])[0], "changed");
}

/// The probe can find something: what an insecure command may do is a part of what it looks for.
#[test]
fn the_probe_finds_what_is_open() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let stage = stage_with_probe(&bench);
    let found = output(
        &bench,
        &format!("{stage}RUN --security=insecure --mount=type=tmpfs,target=/run/dbus /probe\n"),
        &["--allow", "security.insecure"],
    );
    for line in [
        "FAIL: unshare -m true",
        "FAIL: mount -t tmpfs none /tmp/m",
        "FAIL: sees /run/dbus",
    ] {
        assert!(found.iter().any(|other| other == line), "{line}: {found:?}");
    }
}

/// Returns a Dockerfile with a stage that swaps the link `sub` of the cache `c` between the directory `real` and
/// `elsewhere`, as long as another stage mounts something.
fn swapping(elsewhere: &str, mounts: &[String]) -> String {
    format!(
        "FROM base AS swaps\n\
         RUN --mount=type=cache,id=c,target=/c mkdir /c/real && touch /c/real/inside && ln -s real /c/sub\n\
         RUN --mount=type=cache,id=c,target=/c i=0; until test -e /c/stop || test $i -gt 5000; do \
         ln -s {elsewhere} /c/next; mv -T /c/next /c/sub; touch /c/swapped; \
         ln -s real /c/next; mv -T /c/next /c/sub; i=$((i+1)); done; touch /done\n\
         FROM base AS mounts\n\
         RUN --mount=type=cache,id=c,target=/c until test -e /c/swapped; do sleep 0.01; done\n\
         {}\
         RUN --mount=type=cache,id=c,target=/c touch /c/stop /done\n\
         FROM scratch\nCOPY --from=swaps /done /a\nCOPY --from=mounts /done /b\n",
        mounts.concat()
    )
}

/// CVE-2024-23651, CVE-2024-11218: what is mounted was looked for by its path, which another step swapped.
#[test]
fn t_c01_a_source_that_another_step_swaps_leads_nowhere() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let mounts: Vec<String> = (0..SWAPS)
        .map(|round| {
            format!(
                "RUN --mount=type=cache,id=c,source=sub,target=/m : {round}; echo seen $(ls /m)\n"
            )
        })
        .collect();
    let found = output(&bench, &swapping("/", &mounts), &[]);
    // The directory, or what a link to the top leads to inside of the cache.
    let inside = ["inside", "next", "real", "sub", "swapped"];
    let mut seen = 0;
    for line in found.iter().filter_map(|line| line.strip_prefix("seen")) {
        let foreign: Vec<&str> = line
            .split_whitespace()
            .filter(|name| !inside.contains(name))
            .collect();
        assert_eq!(foreign, [""; 0]);
        seen += 1;
    }
    assert_eq!(seen, SWAPS);
}

/// CVE-2024-1753.
#[test]
fn t_c02_a_link_as_a_source_leads_nowhere_out_of_its_image() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    fs::write(bench.path("outside"), "outside").unwrap();
    let host = bench.path("");
    let found = output(
        &bench,
        &format!(
            "FROM base AS evil\nRUN ln -s / /link; ln -s /proc/1/root /other; mkdir -p {0} && ln -s {0} /host; echo image > /mark\n\
             FROM base\nRUN --mount=type=bind,from=evil,source=/link,target=/m cat /m/mark\n\
             RUN --mount=type=bind,from=evil,source=/host,target=/m ls -A /m; echo nothing\n",
            host.display()
        ),
        &[],
    );
    assert_eq!(found, ["image", "nothing"]);
    bench.dockerfile(
        "FROM base AS evil\nRUN ln -s /proc/1/root /other\n\
         FROM base\nRUN --mount=type=bind,from=evil,source=/other,target=/m ls /m\n",
    );
    let refusal = bench.refusal(&[]);
    assert!(
        refusal.starts_with("error: mount source not found: `/other`"),
        "{refusal}"
    );
}

/// CVE-2024-9407: options of a bind were passed on to `mount`.
#[test]
fn t_c04_an_option_of_a_mount_that_is_not_known_is_refused() {
    let bench = bench();
    for option in [
        "bind-propagation=shared",
        "rshared",
        "dev",
        "suid",
        "exec",
        "z",
        "U",
        "idmap",
        "options=suid",
    ] {
        bench.dockerfile(&format!(
            "FROM scratch\nRUN --mount=type=bind,target=/m,{option} true\n"
        ));
        let refusal = bench.refusal(&[]);
        let (name, _) = option.split_once('=').unwrap_or((option, ""));
        assert!(refusal.contains(name), "{option}: {refusal}");
        assert!(refusal.contains("Dockerfile:2"), "{option}: {refusal}");
    }
    for kind in ["devpts", "proc", "sysfs", "overlay", "npipe", "image"] {
        bench.dockerfile(&format!(
            "FROM scratch\nRUN --mount=type={kind},target=/m true\n"
        ));
        let refusal = bench.refusal(&[]);
        assert!(refusal.contains(kind), "{refusal}");
    }
}

/// CVE-2024-9341 and whatever else is mounted for somebody's convenience: nothing is.
#[test]
fn t_c05_nothing_is_mounted_that_was_not_asked_for() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let script = "cut -d ' ' -f 5 /proc/self/mountinfo | grep -v ^/proc/ | sort";
    let found = output(&bench, &format!("FROM base\nRUN {script}\n"), &[]);
    assert_eq!(
        found,
        [
            "/",
            "/dev",
            "/dev/full",
            "/dev/mqueue",
            "/dev/null",
            "/dev/pts",
            "/dev/random",
            "/dev/shm",
            "/dev/tty",
            "/dev/urandom",
            "/dev/zero",
            "/etc/hosts",
            "/etc/resolv.conf",
            "/proc",
        ]
    );
}

/// CVE-2024-23652: what was made to be mounted on was removed by its path.
#[test]
fn t_c06_a_stub_whose_directory_is_replaced_removes_nothing_else() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let victim = bench.path("victim");
    fs::create_dir(&victim).unwrap();
    fs::set_permissions(&victim, fs::Permissions::from_mode(0o777)).unwrap();
    fs::write(victim.join("stub"), "").unwrap();
    fs::create_dir(victim.join("deep")).unwrap();
    let built = {
        bench.dockerfile(&format!(
            "FROM base\nRUN --mount=type=tmpfs,target=/a/deep --mount=type=bind,source=Dockerfile,target=/a/stub \
             mv /a /b; ln -s {} /a; ln -s /etc /c; true\n",
            victim.display()
        ));
        bench.build(&[])
    };
    assert!(fs::exists(victim.join("stub")).unwrap());
    assert!(fs::exists(victim.join("deep")).unwrap());
    assert_eq!(built.image().text("etc/passwd").lines().count(), 3);
}

/// CVE-2024-23653 and GHSA-7236-3392-c5c6: a mode that nobody knew was one without a filter.
#[test]
fn t_c07_only_the_two_security_modes_are_known_and_one_has_to_be_allowed() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let numbers: Vec<String> = (0..=255).step_by(51).map(|mode| mode.to_string()).collect();
    let words = [
        "Insecure",
        "INSECURE",
        "none",
        "unconfined",
        "sandbox,insecure",
        "-1",
        "''",
    ];
    for mode in numbers.iter().map(String::as_str).chain(words) {
        bench.dockerfile(&format!("FROM base\nRUN --security={mode} true\n"));
        let refusal = bench.refusal(&[]);
        assert!(refusal.contains("Dockerfile:2"), "{mode}: {refusal}");
    }
    // Nothing runs before that is refused.
    bench.dockerfile("FROM base\nRUN echo earlier\nRUN --security=insecure true\n");
    assert_snapshot!(bench.refusal(&[]), @r"
    error: the entitlement security.insecure is not allowed
     --> Dockerfile:3:16
      |
    3 | RUN --security=insecure true
      |                ^^^^^^^^ asks for it
      |
      = help: `--allow security.insecure` allows it for this build
    ");
}

/// CVE-2021-30465, CVE-2024-45310: the same as the first, for what is mounted on.
#[test]
fn t_d07_a_target_that_another_step_swaps_leads_nowhere() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let victim = bench.path("victim");
    fs::create_dir(&victim).unwrap();
    fs::set_permissions(&victim, fs::Permissions::from_mode(0o777)).unwrap();
    let mounts: Vec<String> = (0..SWAPS)
        .map(|round| {
            format!(
                "RUN --mount=type=cache,id=c,target=/c --mount=type=tmpfs,target=/c/sub/deep/{round} echo mounted\n"
            )
        })
        .collect();
    let dockerfile = swapping(&victim.display().to_string(), &mounts);
    let found = output(&bench, &dockerfile, &[]);
    assert_eq!(found, vec!["mounted"; SWAPS]);
    assert_eq!(fs::read_dir(&victim).unwrap().count(), 0);
}

/// CVE-2021-3602: what the caller has in the environment reached commands.
#[test]
fn t_d11_the_environment_is_that_of_the_image_and_the_arguments() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\nARG GIVEN\nARG UNSET\nENV KEPT=b\nRUN env | sort\n");
    let build = bench
        .careen_build(&["--build-arg", "GIVEN=a"])
        .env("CANARY", CANARY)
        .env("UNSET", CANARY)
        .env("LD_PRELOAD_NOTHING", CANARY)
        .env("QEMU_LD_PREFIX", CANARY)
        .env("LANG", "C")
        .env("TERM", "dumb");
    let log = build.run().success();
    assert_eq!(
        log.output(),
        [
            "GIVEN=a",
            "HOME=/root",
            "KEPT=b",
            "PATH=/usr/local/bin:/usr/bin:/bin",
            "PWD=/",
            "SHLVL=1",
        ]
    );
}

/// CVE-2024-25621, CVE-2021-41091: others ran set-user-id programs out of a store that they could look into.
#[test]
fn nobody_else_can_look_into_the_store() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\nRUN cp /bin/busybox /suid && chmod 4755 /suid\n");
    bench.build(&[]);
    let store = bench.path("home/.local/share/careen");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(format!("{:o}", mode(&store)), "700");
}
