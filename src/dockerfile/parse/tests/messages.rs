//! The whole text of what is said about faulty instructions.

use super::*;

/// Asserts what is said about `line` when it stands behind `FROM x`, in line 2.
fn assert_message(line: &str, expected: &str) {
    assert_eq!(messages(&format!("FROM x\n{line}\n")), expected, "{line}");
}

#[test]
fn a_message_points_at_the_word_that_is_wrong() {
    for (line, expected) in [
        (
            "FORM x",
            "error: unknown instruction: `FORM`\n --> Dockerfile:2:1\n  = help: did you mean `FROM`?",
        ),
        (
            "apt-get update",
            "error: unknown instruction: `apt-get`\n --> Dockerfile:2:1\n  \
             = help: to run a command, write `RUN apt-get update`",
        ),
        (
            "&& make",
            "error: unknown instruction: `&&`\n --> Dockerfile:2:1\n  \
             = help: a command goes on in the next line only behind a `\\` at the end",
        ),
        (
            "xyzzy",
            "error: unknown instruction: `xyzzy`\n --> Dockerfile:2:1",
        ),
        (
            "COPY --form=a b c",
            "error: unknown flag: `--form`\n --> Dockerfile:2:6\n  \
             | --form: COPY has no such flag\n  = help: did you mean `--from`?",
        ),
        (
            "COPY --from a b c",
            "error: flag `--from` has no value\n --> Dockerfile:2:6\n  \
             = help: write `--from=…`, with `=` and without blanks",
        ),
        (
            "COPY --link=maybe a b",
            "error: flag `--link` cannot be `maybe`\n --> Dockerfile:2:13\n  \
             = help: use `--link` or `--link=false`",
        ),
        (
            "COPY --chown=1 --chown=2 a b",
            "error: flag `--chown` is given twice\n --> Dockerfile:2:16",
        ),
        (
            "COPY app",
            "error: COPY has no destination\n --> Dockerfile:2:6\n  | app: the only argument\n  \
             = help: write `COPY app .` to copy it into WORKDIR",
        ),
        (
            "ADD",
            "error: ADD has no argument\n --> Dockerfile:2:1\n  \
             = help: write it as in `ADD source destination`",
        ),
        (
            "COPY a <<E\nE",
            "error: COPY cannot have a here-document as its destination\n --> Dockerfile:2:8",
        ),
    ] {
        assert_message(line, expected);
    }
}

#[test]
fn messages_about_stages_and_values_say_what_would_be_right() {
    for (line, expected) in [
        (
            "FROM a AS 1st",
            "error: invalid stage name: `1st`\n --> Dockerfile:2:11\n  = help: a stage name starts \
             with a letter and holds letters, digits, `-`, `_` and `.`",
        ),
        (
            "FROM a b",
            "error: FROM takes an image and `AS name`, not `b`\n --> Dockerfile:2:8\n  \
             = help: to name the stage, write `FROM a AS b`",
        ),
        (
            "FROM a as",
            "error: FROM has no stage name behind AS\n --> Dockerfile:2:8",
        ),
        (
            "ENV a",
            "error: ENV `a` has no value\n --> Dockerfile:2:5\n  = help: write `ENV a=…`",
        ),
        (
            "ENV a=b c",
            "error: ENV takes `name=value` pairs, but `c` has no `=`\n --> Dockerfile:2:9\n  \
             | c: no `=`\n  = help: put quotes round a value that holds blanks",
        ),
        (
            "LABEL =b",
            "error: LABEL has an empty name\n --> Dockerfile:2:7",
        ),
        (
            "SHELL /bin/bash -c",
            "error: SHELL takes a JSON array of strings\n --> Dockerfile:2:7\n  \
             | /bin/bash -c: no JSON array\n  \
             = help: write `SHELL [\"/bin/sh\", \"-c\"]`, with double quotes",
        ),
        (
            "CMD [\"a\", 1]",
            "error: JSON form takes an array of strings\n --> Dockerfile:2:5\n  \
             | [\"a\", 1]: holds something that is no string\n  \
             = help: put double quotes round every element",
        ),
    ] {
        assert_message(line, expected);
    }
}

#[test]
fn messages_about_what_an_instruction_holds_point_into_it() {
    for (line, expected) in [
        (
            "RUN --network=nnoe true",
            "error: unknown value of `--network`: `nnoe`\n --> Dockerfile:2:15\n  \
             = help: did you mean `--network=none`?",
        ),
        (
            "RUN --mount=type=bind,from=$IMAGE,target=/x true",
            "error: mount option `from` cannot hold a variable\n --> Dockerfile:2:28\n  \
             = help: give the image a name with `FROM image AS name` and use that",
        ),
        (
            "HEALTHCHECK --interval=5 CMD x",
            "error: `--interval=5` is no duration\n --> Dockerfile:2:24\n  \
             = help: write a number with its unit: `30s`, `1m30s`, `500ms`",
        ),
        (
            "HEALTHCHECK curl x",
            "error: HEALTHCHECK takes CMD or NONE, not `curl`\n --> Dockerfile:2:13\n  \
             = help: to run a command, write `HEALTHCHECK CMD curl …`",
        ),
        (
            "ONBUILD FROM x",
            "error: ONBUILD cannot hold FROM\n --> Dockerfile:2:9",
        ),
        (
            "ONBUILD COPY x",
            "warning: COPY has no destination\n --> Dockerfile:2:14\n  | x: the only argument\n  \
             = note: a build from this image will fail here\n  \
             = help: write `COPY x .` to copy it into WORKDIR",
        ),
        (
            "RUN <<END\nx\nEND ",
            "error: here-document `END` is not ended\n --> Dockerfile:2:5\n  \
             = help: end it with a line that holds `END` alone",
        ),
        (
            "RUN a \\\n\n  b",
            "warning: NoEmptyContinuation: Empty continuation line (line 4)\n \
             --> Dockerfile:3:1\n  = note: the instruction goes on behind it: RUN a   b\n  \
             = help: remove the empty line, or make it a comment",
        ),
    ] {
        assert_message(line, expected);
    }
}
