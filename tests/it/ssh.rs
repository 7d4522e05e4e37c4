//! `--ssh` and `--mount=type=ssh`, with OpenSSH's client in the commands.

use std::fs;

use insta::assert_snapshot;
use support::agent::{self, UserAgent};
use support::{Bench, Feature, needs, scan};

use crate::bench;

/// The keys that the agent itself is tested with.
const KEYS: [(&str, &str); 8] = [
    (
        "ed25519",
        include_str!("../../vendor-shim/agent/keys/ed25519"),
    ),
    (
        "ed25519.pub",
        include_str!("../../vendor-shim/agent/keys/ed25519.pub"),
    ),
    (
        "locked",
        include_str!("../../vendor-shim/agent/keys/locked"),
    ),
    ("p256", include_str!("../../vendor-shim/agent/keys/p256")),
    (
        "p256.pub",
        include_str!("../../vendor-shim/agent/keys/p256.pub"),
    ),
    ("rsa", include_str!("../../vendor-shim/agent/keys/rsa")),
    (
        "rsa.pkcs1",
        include_str!("../../vendor-shim/agent/keys/rsa.pkcs1"),
    ),
    (
        "rsa.pub",
        include_str!("../../vendor-shim/agent/keys/rsa.pub"),
    ),
];

fn key(name: &str) -> &'static str {
    let found = KEYS.iter().find(|(known, _)| *known == name);
    found.unwrap().1
}

/// Makes a bench whose commands have OpenSSH's client, and the public halves of keys.
fn bench_with_client() -> Bench {
    let bench = bench().with_busybox();
    agent::put_client(&bench);
    for name in ["ed25519.pub", "rsa.pub", "p256.pub"] {
        bench.file(&format!("client/keys/{name}"), key(name));
        let private = name.trim_end_matches(".pub");
        agent::put_key(&bench, private, key(private));
    }
    bench
}

fn dockerfile(run: &str) -> String {
    format!("FROM base\nCOPY client /\n{run}\n")
}

/// Returns what ssh-add says of keys: their sizes and kinds.
fn kinds(lines: &[&str]) -> Vec<String> {
    let kind = |line: &&str| line.split(' ').next_back().unwrap_or_default().to_owned();
    lines.iter().map(kind).collect()
}

#[test]
fn keys_of_files_are_used_and_never_seen() {
    needs!(Feature::Busybox, Feature::SshClient);
    let bench = bench_with_client();
    bench.dockerfile(&dockerfile(
        "RUN --mount=type=ssh ssh-add -l && ssh-add -T /keys/rsa.pub /keys/ed25519.pub && echo $SSH_AUTH_SOCK",
    ));
    let built = bench.build(&["--ssh", "default=ed25519,rsa"]);
    let [first, second, socket] = built.log.output()[..] else {
        panic!("{:?}", built.log.output());
    };
    assert_eq!(kinds(&[first, second]), ["(ED25519)", "(RSA)"]);
    assert_eq!(socket, "/run/buildkit/ssh_agent.0");
    assert!(!built.image().has("run/buildkit"));
    for name in ["ed25519", "rsa"] {
        let secret = key(name).lines().nth(3).unwrap();
        assert_eq!(
            scan::files_with(&bench.path(""), secret),
            [format!("./{name}")]
        );
    }
}

#[test]
fn an_agent_of_keys_takes_and_gives_up_none() {
    needs!(Feature::Busybox, Feature::SshClient);
    let bench = bench_with_client();
    bench.file("client/keys/p256", key("p256"));
    bench.dockerfile(&dockerfile(
        "RUN --mount=type=ssh chmod 600 /keys/p256; \
         for change in '-q /keys/p256' '-D' '-d /keys/ed25519.pub' '-e /nothing'; do \
         ssh-add $change 2>/dev/null </dev/null && echo changed; done; ssh-add -l",
    ));
    let log = bench.careen_build(&["--ssh", "default=ed25519"]).run();
    assert_eq!(kinds(&log.success().output()), ["(ED25519)"]);
}

#[test]
fn the_users_agent_signs_and_cannot_be_changed() {
    needs!(Feature::Busybox, Feature::SshClient);
    let bench = bench_with_client();
    let agent = UserAgent::start(&bench, &bench.path("ed25519"));
    let before = agent.keys();
    bench.dockerfile(&dockerfile(
        "RUN --mount=type=ssh ssh-add -T /keys/ed25519.pub && ssh-add -l; ssh-add -D 2>/dev/null || echo refused",
    ));
    let build = bench.careen_build(&["--ssh", "default"]);
    let log = build.env("SSH_AUTH_SOCK", &agent.socket).run().success();
    let [key, refused] = log.output()[..] else {
        panic!("{:?}", log.output());
    };
    assert_eq!(kinds(&[key]), ["(ED25519)"]);
    assert_eq!(refused, "refused");
    assert_eq!(agent.keys(), before);
    assert!(before.starts_with("ssh-ed25519 "));
}

#[test]
fn each_id_is_an_agent_of_its_own() {
    needs!(Feature::Busybox, Feature::SshClient);
    let bench = bench_with_client();
    let agent = UserAgent::start(&bench, &bench.path("p256"));
    bench.dockerfile(&dockerfile(
        "RUN --mount=type=ssh,id=one,target=/one --mount=type=ssh,id=two,target=/two \
         ssh-add -l && SSH_AUTH_SOCK=/two ssh-add -l",
    ));
    let two = format!("two={}", agent.socket.display());
    let log = bench
        .careen_build(&["--ssh", "one=rsa", "--ssh", &two])
        .run();
    assert_eq!(kinds(&log.success().output()), ["(RSA)", "(ECDSA)"]);
}

#[test]
fn the_socket_has_the_owner_and_mode_that_are_asked_for() {
    needs!(Feature::Busybox, Feature::SshClient, Feature::IdRange);
    let bench = bench_with_client();
    bench.dockerfile(&dockerfile(
        "USER 100:102\n\
         RUN --mount=type=ssh,mode=741,uid=100,gid=102 stat -c '%u %g %f' $SSH_AUTH_SOCK; ssh-add -l\n\
         RUN --mount=type=ssh ssh-add -l 2>/dev/null || echo refused",
    ));
    let log = bench
        .careen_build(&["--ssh", "default=rsa", "-j", "1"])
        .run()
        .success();
    let [stat, key, other] = log.output()[..] else {
        panic!("{:?}", log.output());
    };
    assert_eq!((stat, other), ("100 102 c1e1", "refused"));
    assert_eq!(kinds(&[key]), ["(RSA)"]);
    let one_id = [
        "--ssh",
        "default=rsa",
        "-j",
        "1",
        "--executor",
        "userns-single",
    ];
    let log = bench.careen_build(&one_id).run().success();
    let [stat, key, _] = log.output()[..] else {
        panic!("{:?}", log.output());
    };
    assert_eq!(
        (stat, kinds(&[key])),
        ("100 102 c1e1", vec!["(RSA)".to_owned()])
    );
}

#[test]
fn which_key_there_is_does_not_run_a_step_again() {
    needs!(Feature::Busybox, Feature::SshClient);
    let bench = bench_with_client();
    bench.dockerfile(&dockerfile("RUN --mount=type=ssh ssh-add -l"));
    let printed = |ssh: &str| {
        let log = bench.careen_build(&["--ssh", ssh]).run().success();
        log.output().len()
    };
    assert_eq!([printed("default=rsa"), printed("default=ed25519")], [1, 0]);
}

#[test]
fn what_is_no_agent_and_no_key_is_refused() {
    needs!(Feature::SshClient);
    let bench = bench();
    bench.dockerfile("FROM scratch\nCOPY Dockerfile /\n");
    let agent = UserAgent::start(&bench, &agent::put_key(&bench, "rsa", key("rsa")));
    agent::put_key(&bench, "locked", key("locked"));
    fs::write(bench.path("text"), "no key\n").unwrap();
    let broken = key("rsa.pkcs1").replace('M', "!");
    fs::write(bench.path("broken"), broken).unwrap();
    let refusal = |ssh: &str| bench.refusal(&["--ssh", ssh]);
    assert_snapshot!(refusal("default=missing"), @r"
    error: cannot find the SSH agent or key `$BENCH/missing`
      = caused by: No such file or directory (os error 2)
    ");
    assert_snapshot!(refusal("git=locked"), @r"
    error: the SSH key `$BENCH/locked` has a passphrase, which nobody can be asked for
      = help: `ssh-add $BENCH/locked` gives it to your agent, and `--ssh git` that to the build
    ");
    assert_snapshot!(refusal("default=text"), @"error: `$BENCH/text` is no private SSH key of a kind that is known");
    assert_snapshot!(refusal("default=broken"), @"error: cannot understand the SSH key `$BENCH/broken`: PKCS#1 ASN.1 error: PEM error: PEM Base64 error: invalid Base64 encoding");
    assert_snapshot!(refusal("default=agent,rsa"), @r"
    error: `--ssh default` gives the socket `$BENCH/agent` and other files
      = help: give either one socket or keys, or each an id of its own
    ");
    assert_snapshot!(refusal("default=context"), @r"
    error: cannot read the SSH key `$BENCH/context`
      = caused by: Is a directory (os error 21)
    ");
    drop(agent);
    let usage = |arguments: &[&str]| bench.failure(arguments, 2);
    assert_snapshot!(usage(&["--ssh", "default"]), @"error: `--ssh default` passes on your SSH agent, and `SSH_AUTH_SOCK` is not set; `--ssh default=KEYFILE` gives a key");
    assert_snapshot!(usage(&["--ssh", "=rsa"]), @"error: `--ssh =rsa` is not `ID`, `ID=SOCKET` or `ID=KEY[,KEY…]`: it has no id");
    assert_snapshot!(usage(&["--ssh", "a=rsa", "--ssh", "a=rsa"]), @"error: `--ssh a=rsa`: `a` was given before");
}

#[test]
fn an_agent_that_is_required_and_not_given_is_named_at_its_place() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile(
        "FROM base\nRUN --mount=type=ssh,id=git true\nRUN --mount=type=ssh,id=git,required true\n",
    );
    assert_snapshot!(bench.refusal(&[]), @r"
    error: the SSH agent `git` was not given
     --> Dockerfile:3:22
      |
    3 | RUN --mount=type=ssh,id=git,required true
      |                      ^^^^^^ required
      |
      = help: `--ssh git` gives it
    ");
}
