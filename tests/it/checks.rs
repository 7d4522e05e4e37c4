//! `--check`, `--call`, and what a build says of the checks.

use std::fs;

use insta::assert_snapshot;
use support::Bench;

use crate::bench;

/// A Dockerfile in which something is found in a stage that is needed and in one that is not.
const FOUND: &str = "FROM scratch as base\nCOPY Dockerfile /\nFROM scratch AS unused\nCMD hi\nFROM base\nENV A $B\n";

/// Asks about a Dockerfile and returns the answer.
fn ask(bench: &Bench, arguments: &[&str], code: i32) -> String {
    let finished = bench.careen_build(arguments).run();
    assert_eq!(finished.code(), code, "{}", finished.stderr);
    finished.text().to_owned()
}

#[test]
fn a_build_says_what_is_found_in_the_stages_that_it_needs() {
    let bench = bench();
    bench.dockerfile(FOUND);
    let build = ["build", "context", "-o", "type=cacheonly", "--progress"];
    let said = |progress: &'static str| {
        let run = bench.careen(&build).arg(progress).run();
        run.success().stderr
    };
    assert_snapshot!(said("quiet"), @r#"
    warning: FromAsCasing: 'as' and 'FROM' keywords' casing do not match (line 1)
     --> Dockerfile:1:14
      |
    1 | FROM scratch as base
      |              ^^
    warning: LegacyKeyValueFormat: "ENV key=value" should be used instead of legacy "ENV key value" format (line 6)
     --> Dockerfile:6:5
      |
    6 | ENV A $B
      |     ^^^^
    warning: UndefinedVar: Usage of undefined variable '$B' (line 6)
     --> Dockerfile:6:7
      |
    6 | ENV A $B
      |       ^^
    "#);
    assert_eq!(said("none"), "");
}

#[test]
fn a_check_looks_at_all_stages_and_builds_nothing() {
    let bench = bench();
    bench.dockerfile(FOUND);
    assert_snapshot!(ask(&bench, &["--check", "--output", "type=oci,dest=out.tar"], 1), @r#"
    Check complete, 4 warnings have been found!

    WARNING: FromAsCasing - https://docs.docker.com/go/dockerfile/rule/from-as-casing/
    'as' and 'FROM' keywords' casing do not match
    Dockerfile:1
    --------------------
       1 | >>> FROM scratch as base
       2 |     COPY Dockerfile /
       3 |     FROM scratch AS unused
    --------------------

    WARNING: JSONArgsRecommended - https://docs.docker.com/go/dockerfile/rule/json-args-recommended/
    JSON arguments recommended for CMD to prevent unintended behavior related to OS signals
    Dockerfile:4
    --------------------
       2 |     COPY Dockerfile /
       3 |     FROM scratch AS unused
       4 | >>> CMD hi
       5 |     FROM base
       6 |     ENV A $B
    --------------------

    WARNING: LegacyKeyValueFormat - https://docs.docker.com/go/dockerfile/rule/legacy-key-value-format/
    "ENV key=value" should be used instead of legacy "ENV key value" format
    Dockerfile:6
    --------------------
       4 |     CMD hi
       5 |     FROM base
       6 | >>> ENV A $B
       7 |     
    --------------------

    WARNING: UndefinedVar - https://docs.docker.com/go/dockerfile/rule/undefined-var/
    Usage of undefined variable '$B'
    Dockerfile:6
    --------------------
       4 |     CMD hi
       5 |     FROM base
       6 | >>> ENV A $B
       7 |     
    --------------------
    "#);
    assert!(!fs::exists(bench.path("out.tar")).unwrap());
}

#[test]
fn a_check_that_finds_nothing_succeeds() {
    let bench = bench();
    bench.dockerfile("FROM scratch\nCOPY Dockerfile /\n");
    assert_eq!(
        ask(&bench, &["--check"], 0),
        "Check complete, no warnings found.\n"
    );
    let json = ask(&bench, &["--call=check,format=json"], 0);
    assert_snapshot!(json, @r#"
    {
      "warnings": [],
      "sources": [
        {
          "filename": "Dockerfile",
          "language": "Dockerfile",
          "data": "RlJPTSBzY3JhdGNoCkNPUFkgRG9ja2VyZmlsZSAvCg=="
        }
      ]
    }
    "#);
}

#[test]
fn a_check_in_json_has_the_findings_and_the_error() {
    let bench = bench();
    bench.dockerfile("# check=skip=FromAsCasing\nFROM scratch as A\nFROM nowhere\n");
    let flags = ["--call=check,format=json", "--pull=never"];
    assert_snapshot!(ask(&bench, &flags, 1), @r#"
    {
      "warnings": [
        {
          "ruleName": "StageNameCasing",
          "description": "Names of stages are written in lower case",
          "url": "https://docs.docker.com/go/dockerfile/rule/stage-name-casing/",
          "detail": "Stage name 'A' should be lowercase",
          "location": {
            "ranges": [
              {
                "start": {
                  "line": 2
                },
                "end": {
                  "line": 2
                }
              }
            ]
          }
        }
      ],
      "sources": [
        {
          "filename": "Dockerfile",
          "language": "Dockerfile",
          "data": "IyBjaGVjaz1za2lwPUZyb21Bc0Nhc2luZwpGUk9NIHNjcmF0Y2ggYXMgQQpGUk9NIG5vd2hlcmUK"
        }
      ],
      "buildError": {
        "message": "no image `nowhere:latest` in the store",
        "location": {
          "ranges": [
            {
              "start": {
                "line": 3
              },
              "end": {
                "line": 3
              }
            }
          ]
        }
      }
    }
    "#);
    assert_eq!(
        ask(&bench, &["--call=check,format=json,ignorestatus=true"], 0),
        ask(&bench, &["--call=lint,format=json"], 1)
    );
}

#[test]
fn what_is_found_before_an_error_is_said_with_it() {
    let bench = bench();
    bench.dockerfile("FROM scratch AS Base\nuname -a\n");
    let said = bench.careen_build(&["--executor", "none"]).run().stderr;
    assert_snapshot!(said, @r#"
    #0 building with "default" instance using docker driver

    #1 [internal] commands cannot be run
    #1 DONE 0.0s

    #2 [internal] load build definition from Dockerfile
    #2 transferring dockerfile: 30B done
    #2 DONE 0.0s

    #2 [internal] load build definition from Dockerfile
    #2 WARN: StageNameCasing: Stage name 'Base' should be lowercase (line 1)

     1 warning found:
     - StageNameCasing: Stage name 'Base' should be lowercase (line 1)
     --> Dockerfile:1:17
      |
    1 | FROM scratch AS Base
      |                 ^^^^
    Dockerfile:2
    --------------------
       1 |     FROM scratch AS Base
       2 | >>> uname -a
       3 |     
    --------------------
    ERROR: failed to build: failed to solve: dockerfile parse error on line 2: unknown instruction: uname
     --> Dockerfile:2:1
      |
    2 | uname -a
      | ^^^^^
      |
      = help: to run a command, write `RUN uname -a`
    "#);
    assert_snapshot!(bench.failure(&["--check"], 1), @r"
    error: unknown instruction: `uname`
     --> Dockerfile:2:1
      |
    2 | uname -a
      | ^^^^^
      |
      = help: to run a command, write `RUN uname -a`
    ");
}

#[test]
fn a_build_fails_on_findings_when_the_file_says_so() {
    let bench = bench();
    bench.dockerfile("# check=error=true\nFROM scratch as base\nCOPY Dockerfile /\n");
    assert_snapshot!(bench.refusal(&["--output", "type=oci,dest=out.tar"]), @r"
    error: lint violation found for rules: FromAsCasing
     --> Dockerfile:1:9
      |
    1 | # check=error=true
      |         ^^^^^^^^^^ what checks find is an error here
    ");
    assert!(!fs::exists(bench.path("out.tar")).unwrap());
    bench.build(&["--build-arg", "BUILDKIT_DOCKERFILE_CHECK=skip=FromAsCasing"]);
}

/// A Dockerfile that asks for something of each kind.
const INPUTS: &str = "\
# FROM_TAG is where it comes from
ARG FROM_TAG=1
ARG UNUSED=2
FROM base AS tools
RUN --mount=type=ssh --mount=type=cache,target=/c true
# final is the result
FROM base AS final
# NAME says who
ARG NAME=you
ARG FROM_TAG
RUN --mount=type=secret,id=$NAME,required true
COPY --from=tools / /
";

#[test]
fn an_outline_tells_what_can_be_given_to_a_build() {
    let bench = bench().with_busybox();
    bench.dockerfile(INPUTS);
    let with = ["--build-arg", "NAME=me"];
    assert_snapshot!(ask(&bench, &[&with[..], &["--call=outline"]].concat(), 0), @r"
    TARGET:        final
    DESCRIPTION:   is the result

    BUILD ARG   VALUE   DESCRIPTION
    FROM_TAG    1       is where it comes from
    NAME        me      says who

    SECRET   REQUIRED
    me       true

    SSH       REQUIRED
    default
    ");
}

#[test]
fn an_outline_in_json_is_of_the_target() {
    let bench = bench().with_busybox();
    bench.dockerfile(INPUTS);
    let json = ask(&bench, &["--call=outline,format=json", "--target=tools"], 0);
    assert_snapshot!(json, @r#"
    {
      "name": "tools",
      "ssh": [
        {
          "name": "default",
          "required": false,
          "location": {
            "ranges": [
              {
                "start": {
                  "line": 5
                },
                "end": {
                  "line": 5
                }
              }
            ]
          }
        }
      ],
      "cache": [
        {
          "ID": "/c",
          "location": {
            "ranges": [
              {
                "start": {
                  "line": 5
                },
                "end": {
                  "line": 5
                }
              }
            ]
          }
        }
      ],
      "sources": [
        "IyBGUk9NX1RBRyBpcyB3aGVyZSBpdCBjb21lcyBmcm9tCkFSRyBGUk9NX1RBRz0xCkFSRyBVTlVTRUQ9MgpGUk9NIGJhc2UgQVMgdG9vbHMKUlVOIC0tbW91bnQ9dHlwZT1zc2ggLS1tb3VudD10eXBlPWNhY2hlLHRhcmdldD0vYyB0cnVlCiMgZmluYWwgaXMgdGhlIHJlc3VsdApGUk9NIGJhc2UgQVMgZmluYWwKIyBOQU1FIHNheXMgd2hvCkFSRyBOQU1FPXlvdQpBUkcgRlJPTV9UQUcKUlVOIC0tbW91bnQ9dHlwZT1zZWNyZXQsaWQ9JE5BTUUscmVxdWlyZWQgdHJ1ZQpDT1BZIC0tZnJvbT10b29scyAvIC8K"
      ]
    }
    "#);
}

#[test]
fn the_targets_are_listed_without_a_look_at_what_they_are_built_on() {
    let bench = bench();
    bench.dockerfile(
        "# one is first\nFROM --platform=$BUILDPLATFORM nowhere:$TAG AS one\nFROM one\n",
    );
    assert_snapshot!(ask(&bench, &["--call", "targets"], 0), @r"
    TARGET      DESCRIPTION
    one         is first
    (default)
    ");
    assert_snapshot!(ask(&bench, &["--call", "subrequests.describe"], 0), @r"
    NAME                   VERSION   DESCRIPTION
    lint                   1.0.0     What the build checks find in a Dockerfile
    outline                1.0.0     What can be given to a build of the target
    targets                1.0.0     The stages that can be the target
    subrequests.describe   1.0.0     What can be asked
    ");
}

#[test]
fn the_targets_in_json_have_what_they_are_built_on_as_it_is_written() {
    let bench = bench();
    bench.dockerfile(
        "# one is first\nFROM --platform=$BUILDPLATFORM nowhere:$TAG AS one\nFROM one\n",
    );
    assert_snapshot!(ask(&bench, &["--call", "targets,format=json"], 0), @r#"
    {
      "targets": [
        {
          "name": "one",
          "default": false,
          "description": "is first",
          "base": "nowhere:$TAG",
          "platform": "$BUILDPLATFORM",
          "location": {
            "ranges": [
              {
                "start": {
                  "line": 2
                },
                "end": {
                  "line": 2
                }
              }
            ]
          }
        },
        {
          "name": "",
          "default": true,
          "description": "",
          "base": "one",
          "platform": "",
          "location": {
            "ranges": [
              {
                "start": {
                  "line": 3
                },
                "end": {
                  "line": 3
                }
              }
            ]
          }
        }
      ],
      "sources": [
        "IyBvbmUgaXMgZmlyc3QKRlJPTSAtLXBsYXRmb3JtPSRCVUlMRFBMQVRGT1JNIG5vd2hlcmU6JFRBRyBBUyBvbmUKRlJPTSBvbmUK"
      ]
    }
    "#);
}

#[test]
fn what_cannot_be_asked_is_a_mistake_of_the_command_line() {
    let bench = bench();
    bench.dockerfile("FROM scratch\n");
    assert_snapshot!(bench.failure(&["--call=outlines"], 2), @r"
    error: `--call outlines`: `outlines` cannot be asked: `build`, `check`, `outline`, `targets` and `subrequests.describe` can
    ");
    assert_snapshot!(bench.failure(&["--call=check,format=xml"], 2), @r"
    error: `--call check,format=xml`: `xml` is no format: `text` and `json` are
    ");
}
