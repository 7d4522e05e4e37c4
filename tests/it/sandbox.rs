//! What is asked for of the sandboxes of commands: network, security mode, hosts, limits.

use insta::assert_snapshot;
use support::{Bench, Feature, needs};

use crate::bench;

/// Returns what the commands of a Dockerfile print.
fn output(bench: &Bench, dockerfile: &str, arguments: &[&str]) -> Vec<String> {
    bench.dockerfile(dockerfile);
    let log = bench.careen_build(arguments).run().success();
    log.output().into_iter().map(str::to_owned).collect()
}

fn refusal(dockerfile: &str, arguments: &[&str]) -> String {
    let bench = bench().with_busybox();
    bench.dockerfile(dockerfile);
    bench.refusal(arguments)
}

fn usage(arguments: &[&str]) -> String {
    let bench = bench();
    bench.dockerfile("FROM scratch\n");
    bench.failure(arguments, 2)
}

#[test]
fn the_hosts_network_has_to_be_allowed() {
    needs!(Feature::Busybox);
    let dockerfile = "FROM base\nRUN --network=host echo reached\n";
    assert_snapshot!(refusal(dockerfile, &[]), @r"
    error: the entitlement network.host is not allowed
     --> Dockerfile:2:15
      |
    2 | RUN --network=host echo reached
      |               ^^^^ asks for it
      |
      = help: `--allow network.host` allows it for this build
    ");
    let bench = bench().with_busybox();
    let allowed = output(&bench, dockerfile, &["--allow", "network.host"]);
    assert_eq!(allowed, ["reached"]);
    let implied = output(&bench, dockerfile, &["--network", "host", "--no-cache"]);
    assert_eq!(implied, ["reached"]);
}

#[test]
fn a_network_for_all_is_what_a_step_has_that_asks_for_none() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let dockerfile = "FROM base\n\
                      RUN grep -c : /proc/net/dev\n\
                      RUN --network=default grep -c : /proc/net/dev\n\
                      RUN readlink /proc/self/ns/net\n";
    let alone = output(&bench, dockerfile, &["--network", "none"]);
    assert_eq!(alone.get(..2), Some(&["1".to_owned(), "1".to_owned()][..]));
    let own = std::fs::read_link("/proc/self/ns/net").unwrap();
    // The network is part of the key: the steps run again.
    let hosts = output(&bench, dockerfile, &[]);
    assert_eq!(hosts.last().map(String::as_str), own.to_str());
}

#[test]
fn an_insecure_command_has_to_be_allowed_and_has_all_capabilities_of_its_sandbox() {
    needs!(Feature::Busybox);
    let dockerfile = "FROM base\n\
                      RUN --security=insecure mkdir /m && mount -t tmpfs none /m && touch /m/x && ls /m\n\
                      RUN grep CapBnd /proc/self/status | cut -f 2; mount -t tmpfs none /m 2>/dev/null || echo refused\n";
    assert_snapshot!(refusal(dockerfile, &[]), @r"
    error: the entitlement security.insecure is not allowed
     --> Dockerfile:2:16
      |
    2 | RUN --security=insecure mkdir /m && mount -t tmpfs none /m && touch /m/x && ls /m
      |                ^^^^^^^^ asks for it
      |
      = help: `--allow security.insecure` allows it for this build
    ");
    let bench = bench().with_busybox();
    let printed = output(&bench, dockerfile, &["--allow", "security.insecure"]);
    assert_eq!(printed.first().map(String::as_str), Some("x"));
    assert_eq!(printed.get(1).map(String::as_str), Some("00000000a80425fb"));
    assert_eq!(printed.last().map(String::as_str), Some("refused"));
}

/// The file is in the store: a command that changed it would change what later builds find.
#[test]
fn an_insecure_command_cannot_write_to_what_is_mounted_read_only() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let dockerfile = "FROM base AS data\n\
                      RUN mkdir /data && echo kept > /data/file\n\
                      FROM base\n\
                      RUN --security=insecure --mount=type=bind,from=data,source=/data,target=/data \
                      mount -o remount,bind,rw /data; echo lost > /data/file; \
                      mount -o remount,bind,rw /etc/hosts; echo lost >> /etc/hosts; \
                      umount /data; cat /data/file; grep -c lost /etc/hosts; true\n";
    let printed = output(&bench, dockerfile, &["--allow", "security.insecure"]);
    let results: Vec<&str> = printed
        .iter()
        .map(String::as_str)
        .filter(|line| !line.contains(':'))
        .collect();
    assert_eq!(results, ["kept", "0"]);
}

#[test]
fn added_hosts_and_name_servers_are_in_the_files_of_a_command() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let arguments = [
        "--add-host",
        "DB:10.0.0.2",
        "--add-host",
        "v6=[fe80::1]",
        "--add-host",
        "here:host-gateway",
        "--dns",
        "192.0.2.9",
        "--dns-option",
        "ndots:3",
        "--dns-search",
        "example.org",
    ];
    let printed = output(
        &bench,
        "FROM base\nRUN cat /etc/hosts; cat /etc/resolv.conf\n",
        &arguments,
    );
    assert_eq!(
        printed,
        [
            "127.0.0.1\tlocalhost buildkitsandbox",
            "::1\tlocalhost ip6-localhost ip6-loopback",
            "10.0.0.2\tdb",
            "fe80::1\tv6",
            "127.0.0.1\there",
            "search example.org",
            "nameserver 192.0.2.9",
            "options ndots:3",
        ]
    );
}

#[test]
fn added_hosts_are_part_of_the_key_and_name_servers_are_not() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let dockerfile = "FROM base\nRUN echo ran\n";
    let run = |arguments: &[&str]| output(&bench, dockerfile, arguments).len();
    assert_eq!(run(&[]), 1);
    assert_eq!(run(&["--dns", "192.0.2.9"]), 0);
    assert_eq!(run(&["--add-host", "a:10.0.0.1"]), 1);
    assert_eq!(run(&["--add-host", "a:10.0.0.1"]), 0);
    assert_eq!(run(&["--add-host", "a:10.0.0.2"]), 1);
    assert_eq!(run(&["--shm-size", "1m"]), 1);
    assert_eq!(run(&["--ulimit", "core=0"]), 1);
}

#[test]
fn shared_memory_and_limits_are_those_asked_for() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let printed = output(
        &bench,
        "FROM base\nRUN grep -o 'shm.*size=[0-9a-z]*' /proc/mounts; ulimit -n; ulimit -Hn\n",
        &["--shm-size", "128m", "--ulimit", "nofile=20:30"],
    );
    let [shm, rest @ ..] = printed.as_slice() else {
        panic!("nothing was printed");
    };
    assert!(shm.ends_with("size=131072k"), "{shm}");
    assert_eq!(rest, ["20", "30"]);
}

#[test]
fn what_cannot_be_limited_is_told_and_changes_nothing() {
    let bench = bench();
    bench.dockerfile("FROM scratch\nCOPY Dockerfile /\n");
    let arguments = [
        "-m",
        "64m",
        "--memory-swap",
        "-1",
        "-c",
        "2",
        "--cgroup-parent",
        "no/such/group",
        "--rm",
        "--force-rm=false",
        "--compress",
        "--isolation",
        "default",
        "--security-opt",
        "seccomp=unconfined",
    ];
    let run = bench.careen_build(&arguments).run().success();
    let warnings: Vec<&str> = run
        .stderr
        .lines()
        .filter(|line| line.contains("--"))
        .collect();
    // Why that is so is the machine's.
    let told = "warning: `--memory`, `--memory-swap`, `--cpu-shares`, `--cgroup-parent` are not enforced: no ";
    let (limits, rest): (Vec<_>, Vec<_>) = warnings.iter().partition(|line| line.starts_with(told));
    assert_eq!(limits.len(), 1, "{rest:?}");
    let rest: Vec<&str> = rest.into_iter().copied().collect();
    assert_snapshot!(rest.join("\n"), @r"
    warning: `--isolation` changes nothing: there is one way to isolate commands
    warning: `--security-opt` changes nothing: `RUN --security=insecure` lifts what it would lift
    warning: no output was asked for: the result stays in the cache. `--load` keeps it in the store as an image, `--push` pushes it, `--output type=oci,dest=FILE` writes it
    ");
}

#[test]
fn what_is_asked_for_in_vain_is_refused() {
    assert_snapshot!(usage(&["--allow", "network.hots"]), @"error: `--allow network.hots`: there is no entitlement `network.hots`; did you mean `network.host`?");
    assert_snapshot!(usage(&["--add-host", "db"]), @"error: `--add-host db` is not `HOST:IP` or `HOST=IP`");
    assert_snapshot!(usage(&["--dns", "dns.example.org"]), @"error: `--dns dns.example.org`: `dns.example.org` is no IP address");
    assert_snapshot!(usage(&["--shm-size", "big"]), @"error: `--shm-size big`: `big` is no size: `64m`, `1g`, `1048576` are");
    assert_snapshot!(usage(&["--ulimit", "nofiles=1"]), @"error: `--ulimit nofiles=1`: there is no resource `nofiles`; did you mean `nofile`?");
    assert_snapshot!(usage(&["--network", "bridge"]), @r"
    error: invalid value 'bridge' for '--network <MODE>'
      [possible values: default, sandbox, host, none]

    For more information, try '--help'.
    ");
}

#[test]
fn a_limit_above_ones_own_is_refused_before_anything_runs() {
    let bench = bench();
    bench.dockerfile("FROM scratch\nCOPY Dockerfile /\n");
    let text = bench.failure(&["--ulimit", "nofile=-1"], 3);
    assert!(
        text.starts_with("error: cannot raise the limit `nofile` to no limit\n  = note: your own"),
        "{text}"
    );
}
