//! What Dockerfiles become, and what is said about faulty ones.

mod messages;
mod printed;

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
fn t_b13_limits_are_said() {
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
    // As long as it may be.
    let comment = "#".repeat(1023) + "\n";
    let most = "FROM x\n".to_owned() + &comment.repeat(MAX_FILE_BYTES / comment.len() - 1);
    let most = most.clone() + &"\n".repeat(MAX_FILE_BYTES - most.len());
    assert_eq!((most.len(), messages(&most).as_str()), (MAX_FILE_BYTES, ""));
}

#[test]
fn t_b13_hostile_files_cost_no_more_than_their_length() {
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
