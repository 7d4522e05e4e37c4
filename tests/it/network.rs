//! The network that the commands of a build share, and what becomes of a build where there is none.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};

use insta::assert_snapshot;
use support::{Bench, Feature, needs};

use crate::bench;

/// Returns what the commands of a Dockerfile print.
fn output(bench: &Bench, dockerfile: &str, arguments: &[&str]) -> Vec<String> {
    bench.dockerfile(dockerfile);
    let log = bench.careen_build(arguments).run().success();
    log.output().into_iter().map(str::to_owned).collect()
}

/// Returns the name of the tests' own network.
fn own_network() -> String {
    let link = std::fs::read_link("/proc/self/ns/net").unwrap();
    link.to_str().unwrap().to_owned()
}

#[test]
fn the_commands_of_a_build_share_a_network_that_leads_out_and_not_to_this_machines_loop_back() {
    needs!(Feature::Busybox, Feature::UserNetwork);
    let bench = bench().with_busybox();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let dockerfile = format!(
        "FROM base\n\
         RUN readlink /proc/self/ns/net; nc -w 2 127.0.0.1 {port} </dev/null 2>/dev/null || echo closed\n\
         RUN readlink /proc/self/ns/net; grep -c 00000000 /proc/net/route; ls /sys/class/net | wc -l\n"
    );
    let printed = output(&bench, &dockerfile, &["--network", "sandbox"]);
    let [first, closed, second, routes, interfaces] = printed.as_slice() else {
        panic!("{printed:?}");
    };
    assert_eq!(closed, "closed");
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(first, second);
    assert_ne!(*first, own_network());
    assert_ne!(routes, "0");
    assert_eq!(interfaces, "2");
    // By itself it is the same, and is found in the cache.
    bench.dockerfile(&dockerfile);
    let again = bench
        .careen_build(&["--network", "default"])
        .run()
        .success();
    assert!(again.output().is_empty());
}

#[test]
fn root_of_a_sandbox_binds_any_port_of_the_builds_network() {
    needs!(Feature::Busybox, Feature::UserNetwork);
    let bench = bench().with_busybox();
    let dockerfile = "FROM base\nRUN httpd -p 80 -h /etc && wget -q -O - http://127.0.0.1:80/hosts | head -n 1\n";
    let printed = output(&bench, dockerfile, &["--network", "sandbox"]);
    assert_eq!(printed, ["127.0.0.1\tlocalhost buildkitsandbox"]);
}

#[test]
fn an_insecure_command_has_the_builds_network_too() {
    needs!(Feature::Busybox, Feature::UserNetwork);
    let bench = bench().with_busybox();
    let dockerfile = "FROM base\n\
                      RUN readlink /proc/self/ns/net\n\
                      RUN --security=insecure readlink /proc/self/ns/net\n";
    let arguments = ["--network", "sandbox", "--allow", "security.insecure"];
    let printed = output(&bench, dockerfile, &arguments);
    assert_eq!(printed.first(), printed.last());
}

#[test]
fn without_a_program_the_machines_network_is_taken_and_that_is_told_once() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile(
        "FROM base\nRUN readlink /proc/self/ns/net\nRUN readlink /proc/self/ns/net; true\n",
    );
    let build = bench.careen_build(&["--network", "default", "--output", "type=oci,dest=out.tar"]);
    let log = build.env("PATH", bench.path("context")).run().success();
    let own = own_network();
    assert_eq!(log.output(), [own.as_str(), own.as_str()]);
    let warnings: Vec<&str> = log
        .stderr
        .lines()
        .filter(|line| line.starts_with("warning"))
        .collect();
    assert_snapshot!(warnings.join("\n"), @"warning: commands have this machine's network, its loop-back with it: neither `pasta` nor `slirp4netns` is installed: find the program `slirp4netns` in $BENCH/context; `--network=host` says that this is meant");
}

#[test]
fn a_network_of_its_own_that_is_asked_for_is_had_or_the_build_fails() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\nRUN true\n");
    let build = bench.careen_build_quietly(&["--network", "sandbox"]);
    let failed = build.env("PATH", bench.path("context")).run();
    assert_snapshot!(failed.error(3), @r"
    error: connect a network for a sandbox
     --> Dockerfile:2:1
      |
    2 | RUN true
      | ^^^^^^^^ step 2/2
      |
      = caused by: neither `pasta` nor `slirp4netns` is installed
      = caused by: find the program `slirp4netns` in $BENCH/context
      = help: apt-get install --no-install-recommends passt
    ");
}

#[test]
fn the_configuration_names_the_usual_network() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let config = bench.path("home/.config/careen/config.toml");
    std::fs::write(&config, "network = \"none\"\n").unwrap();
    let dockerfile = "FROM base\nRUN grep -c : /proc/net/dev\n";
    assert_eq!(output(&bench, dockerfile, &[]), ["1"]);
    std::fs::write(&config, "network = \"bridge\"\n").unwrap();
    assert_snapshot!(
        bench.failure(&[], 2),
        @"error: the configuration's `network = \"bridge\"`: `default`, `sandbox`, `host` and `none` are known"
    );
}
