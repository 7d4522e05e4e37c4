//! What Dockerfiles become, and the whole text of what is said about faulty ones.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::ast::{
    CommandForm, HealthcheckInstruction, Mount, PairForm, RunInstruction, SecretMount,
};

fn parsed(text: &str) -> Parsed {
    parse(&SourceFile::new("Dockerfile", text))
}

/// Returns the kind of the first instruction behind `FROM x`.
fn kind(line: &str) -> InstructionKind {
    let parsed = parsed(&format!("FROM x\n{line}\n"));
    assert_eq!(parsed.diagnostics, [], "{line}");
    parsed.ast.instructions[1].kind.clone()
}

fn messages(text: &str) -> String {
    let source = SourceFile::new("Dockerfile", text);
    let texts: Vec<_> = parse(&source)
        .diagnostics
        .iter()
        .map(|one| one.to_text(&source))
        .collect();
    texts.join("\n")
}

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

#[test]
fn the_first_instruction_has_to_begin_a_stage() {
    assert_eq!(
        messages("ARG a\nRUN x\nFROM y\n"),
        "error: RUN stands before the first FROM\n --> Dockerfile:2:1\n  | RUN: no stage has begun\n  \
         = help: only ARG may stand before the first FROM"
    );
    assert_eq!(
        messages("# only a comment\n"),
        "error: file with no instructions\n --> Dockerfile:1:1\n  \
         = help: begin with `FROM image` or `FROM scratch`"
    );
}

#[test]
fn parsing_goes_on_behind_a_fault() {
    let parsed = parsed("FROM x\nRUM a\nENV b\nCOPY c\nRUN ok\n");
    assert_eq!(parsed.diagnostics.len(), 3);
    let kinds = parsed.ast.instructions.iter().map(|one| &one.kind);
    let invalid: Vec<_> = kinds
        .map(|kind| *kind == InstructionKind::Invalid)
        .collect();
    assert_eq!(invalid, [false, true, true, true, false]);
}

#[test]
fn words_know_where_they_stand() {
    let text =
        "FROM --platform=$P alpine:3 AS Build\nENV a=1 \\\n  b=\"2 3\"\nRUN [\"x\", \"\\u0041\"]\n";
    let source = SourceFile::new("Dockerfile", text);
    let ast = parse(&source).ast;
    let InstructionKind::From(from) = &ast.instructions[0].kind else {
        panic!("no FROM")
    };
    let alias = from.alias.as_ref().unwrap();
    assert_eq!(source.slice(from.platform.as_ref().unwrap().span), "$P");
    assert_eq!(source.slice(from.image.span), "alpine:3");
    assert_eq!(source.slice(alias.name.span), "Build");
    assert_eq!(alias.lower_name(), "build");
    let InstructionKind::Env(env) = &ast.instructions[1].kind else {
        panic!("no ENV")
    };
    assert_eq!(source.slice(env.pairs[1].key.span), "b");
    assert_eq!(source.slice(env.pairs[1].value.span), "\"2 3\"");
    let InstructionKind::Run(run) = &ast.instructions[2].kind else {
        panic!("no RUN")
    };
    let CommandForm::Exec(words) = &run.command else {
        panic!("no exec form")
    };
    assert_eq!(
        (words[1].value.as_str(), source.slice(words[1].span)),
        ("A", "\"\\u0041\"")
    );
}

#[test]
fn copy_and_add_have_their_flags() {
    let line =
        "COPY --from=a --chown=b --chmod=c --link --parents=false --exclude=d --exclude=e f g h/";
    let InstructionKind::Copy(copy) = kind(line) else {
        panic!("no COPY")
    };
    let text = |word: &Option<Word>| word.as_ref().map(|word| word.value.clone());
    assert_eq!(text(&copy.from).as_deref(), Some("a"));
    assert_eq!(text(&copy.spec.chown).as_deref(), Some("b"));
    assert_eq!(text(&copy.spec.chmod).as_deref(), Some("c"));
    assert!(copy.spec.link && !copy.parents);
    let exclude: Vec<_> = copy
        .spec
        .exclude
        .iter()
        .map(|word| word.value.as_str())
        .collect();
    assert_eq!(exclude, ["d", "e"]);
    assert_eq!(
        (
            copy.spec.sources.len(),
            copy.spec.destination.value.as_str()
        ),
        (2, "h/")
    );
    let line = "ADD --checksum=sha256:0 --keep-git-dir --unpack=False a b";
    let InstructionKind::Add(add) = kind(line) else {
        panic!("no ADD")
    };
    assert_eq!(text(&add.checksum).as_deref(), Some("sha256:0"));
    assert_eq!(add.keep_git_dir.map(|switch| switch.value), Some(true));
    assert_eq!(add.unpack.map(|switch| switch.value), Some(false));
}

#[test]
fn inline_files_lose_their_tabs_only_when_asked() {
    let InstructionKind::Copy(copy) = kind("COPY <<-a <<'b' c /d/\n\tx\n\ta\n\ty\nb") else {
        panic!("no COPY")
    };
    let files = copy.spec.inline_files.iter();
    let files: Vec<_> = files
        .map(|file| (file.name.value.as_str(), file.content.as_str(), file.expand))
        .collect();
    assert_eq!(files, [("a", "x\n", true), ("b", "\ty\n", false)]);
    assert_eq!(copy.spec.sources.len(), 1);
}

#[test]
fn pairs_have_two_forms() {
    let InstructionKind::Label(label) = kind("LABEL a  b c=d") else {
        panic!("no LABEL")
    };
    assert_eq!(label.form, PairForm::Legacy);
    assert_eq!(label.pairs[0].value.value, "b c=d");
    let InstructionKind::Env(env) = kind("ENV a=b c='d e'") else {
        panic!("no ENV")
    };
    assert_eq!((env.form, env.pairs.len()), (PairForm::Equals, 2));
}

#[test]
fn health_checks_have_durations() {
    let line = "HEALTHCHECK --interval=1m30s --timeout=0 --retries=3 CMD [\"a\", \"b\"]";
    let InstructionKind::Healthcheck(HealthcheckInstruction::Check(check)) = kind(line) else {
        panic!("no HEALTHCHECK")
    };
    assert_eq!(
        check.interval.map(|one| one.value),
        Some(std::time::Duration::from_secs(90))
    );
    assert_eq!(
        check.timeout.map(|one| one.value),
        Some(std::time::Duration::ZERO)
    );
    assert_eq!(check.retries.map(|one| one.value), Some(3));
    assert_eq!(check.start_period, None);
    assert!(matches!(check.command, CommandForm::Exec(words) if words.len() == 2));
}

#[test]
fn onbuild_keeps_the_text_and_the_here_documents() {
    let InstructionKind::Onbuild(onbuild) = kind("onbuild   RUN <<E cat\nx\nE") else {
        panic!("no ONBUILD")
    };
    assert_eq!(onbuild.expression, "RUN <<E cat\nx\nE");
    assert_eq!(onbuild.trigger.heredocs[0].content, "x\n");
}

fn run(line: &str) -> RunInstruction {
    match kind(line) {
        InstructionKind::Run(run) => run,
        other => panic!("no RUN: {other:?}"),
    }
}

fn mount(text: &str) -> Result<Mount, String> {
    let run = run(&format!("RUN --mount={text} true"));
    let mut expand = |word: &Word| Ok(word.value.replace("$V", "value"));
    run.mounts[0]
        .resolve(&mut expand)
        .map_err(|error| error.to_diagnostic().title)
}

#[test]
fn mounts_are_read_after_expansion() {
    let Ok(Mount::Bind(bind)) = mount("target=/a,from=b,source=$V") else {
        panic!("no bind")
    };
    assert_eq!(
        (bind.target.as_str(), bind.source.as_deref()),
        ("/a", Some("value"))
    );
    assert!(bind.read_only);
    let Ok(Mount::Cache(cache)) = mount("TYPE=Cache,dst=/a,id=$V,sharing=locked,mode=0700,uid=1")
    else {
        panic!("no cache")
    };
    assert_eq!(
        (cache.id.as_deref(), cache.mode, cache.uid),
        (Some("value"), Some(0o700), Some(1))
    );
    let Ok(Mount::Tmpfs(tmpfs)) = mount("type=tmpfs,target=/a,size=64m") else {
        panic!("no tmpfs")
    };
    assert_eq!(tmpfs.size_bytes, Some(64 << 20));
    let secret = mount("type=secret,id=a,env=B,required");
    let expected = SecretMount {
        id: Some("a".to_owned()),
        source: None,
        target: None,
        env: Some("B".to_owned()),
        required: true,
        mode: None,
        uid: None,
        gid: None,
    };
    assert_eq!(secret, Ok(Mount::Secret(expected)));
}

#[test]
fn mounts_with_faults_are_refused() {
    for (text, title) in [
        ("type=cahce", "mount option `type` cannot be `cahce`"),
        ("target", "mount option `target` has no value"),
        ("tagret=/a", "unknown mount option: `tagret`"),
        (
            "target=/a,size=1",
            "mount option `size` cannot be used with type=bind",
        ),
        (
            "target=/a,uid=1",
            "mount option `uid` cannot be used with type=bind",
        ),
        (
            "type=secret",
            "secret mount has no `id`, `source` or `target`",
        ),
        (
            "type=secret,id=a,source=b",
            "secret mount has both `id` and `source`",
        ),
        ("type=tmpfs,size=x", "mount option `size` cannot be `x`"),
        (
            "type=bind,sharing=shared",
            "mount option `sharing` cannot be used with type=bind",
        ),
    ] {
        assert_eq!(mount(text), Err(title.to_owned()), "{text}");
    }
}

#[test]
fn devices_and_modes_are_read() {
    let run = run("RUN --device=v.com/c=d,required --security=insecure --network=host true");
    assert_eq!(run.devices[0].name.value, "v.com/c=d");
    assert!(run.devices[0].required);
    assert_eq!(
        run.security.map(|mode| mode.value),
        Some(crate::ast::SecurityMode::Insecure)
    );
    assert_eq!(
        run.network.map(|mode| mode.value),
        Some(crate::ast::NetworkMode::Host)
    );
}

#[test]
fn limits_are_said() {
    let long = format!("FROM x\nRUN {}\n", "a".repeat(MAX_LINE_BYTES));
    assert_eq!(
        messages(&long),
        "error: line is longer than 65535 bytes\n --> Dockerfile:2:1\n  \
         = help: break it with the escape character at the end of a line"
    );
    assert_eq!(
        messages(&"#".repeat(MAX_FILE_BYTES + 1)),
        "error: Dockerfile is longer than 1048576 bytes\n --> Dockerfile:1:1"
    );
}

#[test]
fn hostile_files_cost_no_more_than_their_length() {
    let continued = |line: &str| format!("FROM x\n{}\n", format!("{line} \\\n").repeat(60_000));
    for text in [
        continued("ONBUILD"),
        continued("<<E"),
        format!("FROM x\nRUN {}", continued("--mount=a")),
        format!("FROM x\nENV {}", continued("a=${a:-")),
        format!("FROM x\nCOPY <<E {}", continued("<<'E")),
        "FROM x\nRUN <<E\n".to_owned() + &"E \n".repeat(300_000),
        "\\\n".repeat(300_000),
        "FROM x\nCMD ".to_owned() + &continued("["),
        "x\n".repeat(300_000),
    ] {
        let parsed = parsed(&text);
        assert!(!parsed.ast.instructions.is_empty());
    }
}

#[test]
fn printing_joins_lines_and_keeps_the_meaning() {
    let text = "# escape=`\n\n# note\nFROM x `\n  AS y\nRUN <<E\nbody\nE\nRUN a ` `";
    let printed = parsed(text).ast.to_string();
    assert_eq!(
        printed,
        "# escape=`\n\n# note\nFROM x   AS y\nRUN <<E\nbody\nE\nRUN a ` `\n"
    );
    assert_eq!(parsed(&printed).ast.to_string(), printed);
}

/// Lines out of which files are put together that reach far into the parser.
fn some_line() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "FROM",
        "RUN",
        "COPY",
        "ENV",
        "ONBUILD",
        "ARG",
        "#",
        "# escape=`",
        "<<E",
        "<<-'F'",
        "E",
        "F",
        "[\"a\"]",
        "--from=b",
        "--mount=type=cache",
        "a=b",
        "\"q",
        "'",
        "\\",
        "`",
        "\t",
        "ö",
        "$x",
        "${y:-",
        "}",
        "x",
        "\\ ",
        "",
    ]);
    prop::collection::vec(words, 0..6).prop_map(|words| words.join(" "))
}

fn some_file() -> impl Strategy<Value = String> {
    prop::collection::vec(some_line(), 0..12).prop_map(|lines| lines.join("\n"))
}

/// Returns what a tree says, without places.
fn meaning(ast: &Ast) -> String {
    let mut text = String::new();
    for one in &ast.instructions {
        let heredocs: Vec<_> = one
            .heredocs
            .iter()
            .map(|heredoc| &heredoc.content)
            .collect();
        let valid = one.kind != InstructionKind::Invalid;
        writeln!(text, "{} {valid} {heredocs:?}", one.original.trim()).unwrap();
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_text_is_parsed_with_spans_inside_of_it(text in "\\PC{0,200}") {
        let source = SourceFile::new("Dockerfile", text.as_str());
        for one in parse(&source).ast.instructions {
            prop_assert!(source.text().get(one.span.start..one.span.end).is_some());
        }
    }

    #[test]
    fn a_printed_tree_reads_as_the_same_tree(text in some_file()) {
        let before = parsed(&text);
        if before.diagnostics.iter().any(|one| one.title.starts_with("here-document")) {
            // One without an end takes the rest of the file along; there is nothing to print.
            return Ok(());
        }
        let printed = before.ast.to_string();
        let after = parsed(&printed);
        prop_assert_eq!(meaning(&before.ast), meaning(&after.ast), "{}", &printed);
        prop_assert_eq!(&after.ast, &parsed(&after.ast.to_string()).ast);
    }
}
