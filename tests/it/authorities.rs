//! `--ca` and `--proxy`: what commands see of them, and that no layer does.

use std::fs;

use insta::assert_snapshot;
use support::needs::has;
use support::{Archive, Bench, Feature, HttpServer, needs};

use crate::chroot::{layers, tree};
use crate::{bench, crowded};

/// What the image has.
const OWN: &str = include_str!("../../src/fetch/tests/own.crt");
/// What is given.
const GIVEN: &str = include_str!("../../src/fetch/tests/authority.crt");

/// Where Debian and its like have their bundle.
const BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";

/// Returns a bench with a file of certificates to be given, and one for the image.
fn with_certificates() -> Bench {
    let bench = bench().with_busybox();
    bench.file("own.crt", OWN);
    fs::write(bench.path("given.crt"), GIVEN).unwrap();
    bench
}

/// Builds from nothing, in a mode, with these arguments; returns the image and what was printed.
fn build(bench: &Bench, mode: &str, arguments: &[&str]) -> (Archive, Vec<String>) {
    let build = bench.careen_build(&["--no-cache", "--output", "type=oci,dest=out.tar"]);
    let build = build.args(arguments).env("CAREEN_EXECUTOR", mode);
    let log = build.run().success();
    let output = log.output().into_iter().map(str::to_owned).collect();
    let archive = fs::read(bench.path("out.tar")).unwrap();
    (Archive::read(&archive), output)
}

/// Returns the modes that can be had here.
fn modes() -> Vec<&'static str> {
    let mut modes = vec!["userns-single"];
    modes.extend(has(Feature::IdRange).then_some("userns-multi"));
    modes.extend(has(Feature::Root).then_some("chroot"));
    modes
}

/// Prints how many certificates are where programs look for them.
const COUNT: &str = "for f in /etc/ssl/certs/ca-certificates.crt /etc/ssl/cert.pem $SSL_CERT_FILE; \
                     do echo $f $(grep -c BEGIN $f); done";

#[test]
fn commands_trust_whom_the_user_names_for_as_long_as_they_run() {
    needs!(Feature::Busybox);
    let bench = with_certificates();
    bench.dockerfile(&format!(
        "FROM base\n\
         COPY own.crt /{BUNDLE}\n\
         RUN ln -s certs/ca-certificates.crt /etc/ssl/cert.pem\n\
         RUN {COUNT}; tail -n 2 /{BUNDLE} | head -n 1; env | grep -c /dev/careen/ca.crt; true\n\
         USER 7:7\n\
         RUN grep -c BEGIN $CURL_CA_BUNDLE </dev/null; ls -ln /{BUNDLE} | cut -c 1-10\n"
    ));
    let last = GIVEN.lines().rev().nth(1).unwrap();
    for mode in modes() {
        let (archive, printed) = build(&bench, mode, &["--ca", "given.crt"]);
        let expected = [
            "/etc/ssl/certs/ca-certificates.crt 2",
            "/etc/ssl/cert.pem 2",
            "/dev/careen/ca.crt 2",
            last,
            "6",
            "2",
            "-rw-r--r--",
        ];
        assert_eq!(printed, expected, "{mode}");
        assert_eq!(archive.image().text(BUNDLE), OWN, "{mode}");
        let (without, _) = build(&bench, mode, &[]);
        assert_eq!(layers(&archive), layers(&without), "{mode}");
    }
}

#[test]
fn whatever_a_command_does_to_a_bundle_its_layer_is_as_without() {
    needs!(Feature::Busybox);
    let bench = with_certificates();
    bench.dockerfile(&format!(
        "FROM base AS start\n\
         COPY own.crt /{BUNDLE}\n\
         FROM start AS renamed\n\
         RUN cd /etc/ssl/certs && echo new > n && chmod 640 n && mv -f n ca-certificates.crt && cat ca-certificates.crt\n\
         RUN echo more >> /{BUNDLE}\n\
         FROM start AS appended\n\
         RUN echo more >> /{BUNDLE}\n\
         RUN chmod 600 /{BUNDLE} && ln /{BUNDLE} /etc/ssl/certs/second\n\
         FROM start AS removed\n\
         RUN rm /{BUNDLE}\n\
         RUN mkdir -p /etc/pki && touch /etc/pki/x\n\
         FROM start AS made\n\
         RUN rm -r /etc/ssl && mkdir -p /etc/ssl/certs && echo own > /{BUNDLE}\n\
         FROM start AS beside\n\
         RUN touch /etc/ssl/certs/x && chmod 700 /etc/ssl && ls /dev/careen > /dev/null 2>&1; true\n\
         FROM start AS changed\n\
         RUN chown 3:4 /{BUNDLE}\n\
         FROM base AS none\n\
         RUN mkdir -p /etc/ssl/certs && echo own > /{BUNDLE}\n\
         RUN cat /{BUNDLE} > /copy && rm -r /etc/ssl\n"
    ));
    let stages = [
        "renamed", "appended", "removed", "made", "beside", "changed", "none",
    ];
    for mode in modes() {
        for stage in stages {
            let (without, _) = build(&bench, mode, &["--target", stage]);
            let given = ["--target", stage, "--ca", "given.crt"];
            let (with, _) = build(&bench, mode, &given);
            match (mode, stage) {
                // A directory that is made anew may have the number of the old one, or not.
                ("chroot", "made") => assert_eq!(tree(&with), tree(&without)),
                // A command that copies what it sees has copied it.
                (_, "none") => assert!(with.image().text("copy").ends_with(GIVEN), "{mode}"),
                _ => assert_eq!(layers(&with), layers(&without), "{mode} {stage}"),
            }
        }
    }
}

#[test]
fn commands_on_copies_trust_them_too() {
    needs!(Feature::Busybox);
    let bench = with_certificates();
    bench.dockerfile(&format!(
        "FROM base AS start\n\
         COPY own.crt /{BUNDLE}\n\
         FROM start AS renamed\n\
         RUN grep -c BEGIN /{BUNDLE}; cd /etc/ssl/certs && echo new > n && mv -f n ca-certificates.crt; touch /x\n\
         FROM start AS appended\n\
         RUN grep -c BEGIN /{BUNDLE}; echo more >> /{BUNDLE}; touch /x\n\
         FROM start AS left\n\
         RUN grep -c BEGIN /{BUNDLE}; touch /x\n"
    ));
    for mode in crowded::modes() {
        for stage in ["renamed", "appended", "left"] {
            let arguments = ["--no-cache", "--target", stage];
            let (without, log) = crowded::build(&bench, mode, &arguments);
            assert_eq!(log.output(), ["1"], "{mode} {stage}");
            let given = [&arguments[..], &["--ca", "given.crt"]].concat();
            let (with, log) = crowded::build(&bench, mode, &given);
            assert_eq!(log.output(), ["2"], "{mode} {stage}");
            assert_eq!(layers(&with), layers(&without), "{mode} {stage}");
        }
    }
}

#[test]
fn an_image_without_a_bundle_has_one_for_its_commands_alone() {
    needs!(Feature::Busybox);
    let bench = with_certificates();
    bench.dockerfile(
        "FROM base\nRUN tail -n 2 $SSL_CERT_FILE | head -n 1; ls /etc/ssl 2>/dev/null; true\n",
    );
    let last = GIVEN.lines().rev().nth(1).unwrap();
    for mode in modes() {
        let (with, printed) = build(&bench, mode, &["--ca", "given.crt"]);
        assert_eq!(printed, [last], "{mode}");
        let (without, _) = build(&bench, mode, &[]);
        assert_eq!(layers(&with), layers(&without), "{mode}");
    }
}

#[test]
fn what_the_image_says_itself_is_a_bundle_too() {
    needs!(Feature::Busybox);
    let bench = with_certificates();
    bench.dockerfile(
        "FROM base\n\
         COPY own.crt /opt/own.crt\n\
         ENV SSL_CERT_FILE=/opt/own.crt\n\
         RUN echo $SSL_CERT_FILE $(grep -c BEGIN $SSL_CERT_FILE)\n",
    );
    for mode in modes() {
        let (with, printed) = build(&bench, mode, &["--ca", "given.crt"]);
        assert_eq!(printed, ["/opt/own.crt 2"], "{mode}");
        assert_eq!(with.image().text("opt/own.crt"), OWN, "{mode}");
    }
}

#[test]
fn whom_commands_trust_is_no_part_of_a_key() {
    needs!(Feature::Busybox);
    let bench = with_certificates();
    bench.dockerfile("FROM base\nRUN echo $SSL_CERT_FILE\n");
    let first = bench.careen_build(&["--ca", "given.crt"]).run().success();
    assert_eq!(first.output(), ["/dev/careen/ca.crt"]);
    let second = bench.careen_build(&[]).run().success();
    assert!(second.output().is_empty());
}

#[test]
fn authorities_are_named_by_the_variable_and_the_configuration_too() {
    needs!(Feature::Busybox);
    let bench = with_certificates();
    bench.dockerfile("FROM base\nRUN echo $SSL_CERT_FILE\n");
    let run = bench
        .careen_build(&["--no-cache"])
        .env("CAREEN_CA", "given.crt");
    assert_eq!(run.run().success().output(), ["/dev/careen/ca.crt"]);
    let config = bench.path("home/.config/careen/config.toml");
    fs::write(&config, "network = \"host\"\nca = [\"given.crt\"]\n").unwrap();
    let run = bench.careen_build(&["--no-cache"]).run().success();
    assert_eq!(run.output(), ["/dev/careen/ca.crt"]);
}

#[test]
fn a_file_without_a_certificate_is_refused() {
    let bench = bench();
    bench.dockerfile("FROM scratch\n");
    fs::write(bench.path("none.crt"), "none\n").unwrap();
    assert_snapshot!(bench.failure(&["--ca", "none.crt"], 2), @r"
    error: cannot use what `--ca` names
      = caused by: `$BENCH/none.crt` has no certificate
    ");
    assert_snapshot!(bench.failure(&["--ca", "missing.crt"], 2), @r"
    error: cannot use what `--ca` names
      = caused by: read the certificates in `$BENCH/missing.crt`
      = caused by: No such file or directory (os error 2)
    ");
    assert_snapshot!(bench.failure(&["--proxy", "ftp://me:hidden@p"], 2), @r"
    error: `--proxy`: a URL, `system` and `none` are known
      = caused by: it begins with neither `http://` nor `https://`
    ");
}

#[test]
fn a_proxy_is_for_what_careen_fetches() {
    let bench = bench();
    bench.dockerfile("FROM scratch\nADD http://elsewhere.example/file /\n");
    let proxy = HttpServer::start();
    let build = bench.careen_build(&["--proxy", &proxy.url(""), "--network", "host"]);
    build.run().error(1);
    let asked = proxy.asked();
    let first = asked
        .first()
        .map(|asked| (asked.method.as_str(), asked.path.as_str()));
    assert_eq!(first, Some(("CONNECT", "elsewhere.example:80")));
}

#[test]
fn a_proxy_is_for_commands_and_leaves_no_trace() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\nRUN env | grep -i _proxy= | sort\n");
    let run = |arguments: &[&str]| {
        let build = bench.careen_build(arguments);
        build.env("NO_PROXY", "inside.example").run().success()
    };
    let given = run(&["--proxy", "http://me:hidden@proxy.example:3128"]);
    let url = "http://me:hidden@proxy.example:3128";
    let expected = [
        format!("HTTPS_PROXY={url}"),
        format!("HTTP_PROXY={url}"),
        "NO_PROXY=inside.example".to_owned(),
        format!("http_proxy={url}"),
        format!("https_proxy={url}"),
        "no_proxy=inside.example".to_owned(),
    ];
    assert_eq!(given.output(), expected);
    // Neither proxy nor mode is a part of the key.
    assert!(run(&["--proxy", "none"]).output().is_empty());
    let passed = run(&["--no-cache", "--proxy", "system"]);
    assert_eq!(
        passed.output(),
        ["NO_PROXY=inside.example", "no_proxy=inside.example"]
    );
    let image = bench.build(&["--proxy", url]);
    let config = format!("{:?}", image.image().config);
    assert!(!config.contains("hidden"), "{config}");
}
