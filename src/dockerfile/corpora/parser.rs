//! The operations of `dockerfile-parser`.

use serde_json::{Value, json};

use super::{dump, text, texts};
use crate::ast::{CommandForm, CopySpec, Instruction, InstructionKind, RunInstruction};
use crate::diagnostic::Diagnostic;
use crate::directive::{self, DirectiveName};
use crate::giturl::{self, Fragment, GitTimes};
use crate::heredoc;
use crate::json::string_array;
use crate::lines::LogicalLine;
use crate::node::quoted_words;
use crate::parse::{Outline, instruction, read_nodes};
use crate::ports;
use crate::source::SourceFile;

type Outcome = Result<Value, String>;

pub(super) fn run(op: &str, input: &Value) -> Option<Outcome> {
    let operation: fn(&Value) -> Outcome = match op {
        "parse" => |input| nodes(input).map(|nodes| json!({"dump": dump::dump(&nodes.nodes)})),
        "lines" => lines,
        "warnings" => warnings,
        "words" => words,
        "json_array" => json_array,
        "directives" => directives,
        "detect_syntax" => detect_syntax,
        "directive" => detect_directive,
        "heredocs" => heredocs,
        "heredoc_word" => heredoc_word,
        "heredoc_names" => heredoc_names,
        "instruction" => one_instruction,
        "expose" => expose,
        "git_ref" => git_ref,
        "git_fragment" => git_fragment,
        _ => return None,
    };
    Some(operation(input))
}

fn first_error(diagnostics: &[Diagnostic]) -> Result<(), String> {
    let error = diagnostics.iter().find(|diagnostic| diagnostic.is_error());
    error.map_or(Ok(()), |error| Err(error.title.clone()))
}

fn nodes(input: &Value) -> Result<Outline, String> {
    let source = SourceFile::new("Dockerfile", text(input, "dockerfile"));
    let nodes = read_nodes(&source);
    first_error(&nodes.diagnostics)?;
    Ok(nodes)
}

fn lines(input: &Value) -> Outcome {
    let nodes = nodes(input)?.nodes;
    let ranges: Vec<_> = nodes
        .iter()
        .map(|node| [node.lines.first, node.lines.last])
        .collect();
    let start = ranges.first().map(|range| range[0]);
    let end = ranges.last().map(|range| range[1]);
    Ok(json!({"start": start, "end": end, "children": ranges}))
}

fn warnings(input: &Value) -> Outcome {
    let diagnostics = nodes(input)?.diagnostics;
    let text = |one: &Diagnostic| format!("{}\n{}", one.title, one.notes.join("\n"));
    Ok(json!(diagnostics.iter().map(text).collect::<Vec<_>>()))
}

#[expect(clippy::unnecessary_wraps, reason = "one type for the whole table")]
fn words(input: &Value) -> Outcome {
    let line = LogicalLine::from_text(text(input, "text"));
    let words = quoted_words(line.slice(), '\\');
    Ok(json!(
        words.into_iter().map(|word| word.value).collect::<Vec<_>>()
    ))
}

fn json_array(input: &Value) -> Outcome {
    let line = LogicalLine::from_text(text(input, "text"));
    let words = string_array(line.slice()).map_err(|fault| format!("{fault:?}"))?;
    Ok(json!(
        words.into_iter().map(|word| word.value).collect::<Vec<_>>()
    ))
}

#[expect(clippy::unnecessary_wraps, reason = "one type for the whole table")]
fn directives(input: &Value) -> Outcome {
    let found = directive::leading(text(input, "text"));
    let pairs = found
        .into_iter()
        .map(|one| json!([one.name.value.as_str(), one.value.value]));
    Ok(pairs.collect())
}

#[expect(clippy::unnecessary_wraps, reason = "one type for the whole table")]
fn detect_syntax(input: &Value) -> Outcome {
    let found = directive::detect_syntax(text(input, "text"));
    Ok(found.map_or(Value::Null, |syntax| {
        json!({"value": syntax.image, "cmdline": syntax.command_line, "line": syntax.line})
    }))
}

fn detect_directive(input: &Value) -> Outcome {
    let name = match text(input, "name") {
        "syntax" => DirectiveName::Syntax,
        "escape" => DirectiveName::Escape,
        "check" => DirectiveName::Check,
        other => return Err(format!("no directive: {other}")),
    };
    let found = directive::detect(text(input, "text"), name);
    Ok(found.map_or(
        Value::Null,
        |one| json!({"value": one.first_word(), "cmdline": one.value.value, "line": one.line}),
    ))
}

fn heredocs(input: &Value) -> Outcome {
    let nodes = nodes(input)?.nodes;
    let of_node = |node: &crate::node::Node| -> Value {
        let all = node.heredocs.iter().map(|one| {
            json!({
                "name": one.name.value,
                "content": one.content,
                "expand": one.expand,
                "chomp": one.chomp,
                "fd": one.file_descriptor,
            })
        });
        all.collect()
    };
    Ok(nodes.iter().map(of_node).collect())
}

fn heredoc_word(input: &Value) -> Outcome {
    let found = heredoc::parse_word(text(input, "text")).map_err(|error| error.to_string())?;
    Ok(found.map_or(Value::Null, |word| {
        json!({
            "name": word.name,
            "expand": word.expand,
            "chomp": word.chomp,
            "fd": word.file_descriptor,
        })
    }))
}

fn heredoc_names(input: &Value) -> Outcome {
    let found = heredoc::announced(text(input, "text")).map_err(|error| error.to_string())?;
    Ok(found.into_iter().map(|one| one.word.name).collect())
}

fn one_instruction(input: &Value) -> Outcome {
    let nodes = nodes(input)?.nodes;
    let node = nodes.first().ok_or("no instruction")?;
    let mut diagnostics = Vec::new();
    let instruction = instruction(node, &mut diagnostics);
    first_error(&diagnostics)?;
    match &instruction.kind {
        InstructionKind::Copy(copy) => Ok(json!({"copy": copy_parts(&copy.spec)})),
        InstructionKind::Run(run) => Ok(json!({"run": run_parts(run, &instruction)})),
        _ => Ok(Value::Null),
    }
}

fn copy_parts(spec: &CopySpec) -> Value {
    let contents = spec
        .inline_files
        .iter()
        .map(|file| json!({"path": file.name.value, "data": file.content, "expand": file.expand}));
    json!({
        "dest": spec.destination.value,
        "sources": spec.sources.iter().map(|word| &word.value).collect::<Vec<_>>(),
        "contents": contents.collect::<Value>(),
    })
}

fn run_parts(run: &RunInstruction, instruction: &Instruction) -> Value {
    let (shell, command) = match &run.command {
        CommandForm::Shell(text) => (true, vec![&text.value]),
        CommandForm::Exec(words) => (false, words.iter().map(|word| &word.value).collect()),
    };
    let files = instruction
        .heredocs
        .iter()
        .map(|one| json!({"name": one.name.value, "data": one.content, "chomp": one.chomp}));
    json!({"shell": shell, "command": command, "files": files.collect::<Value>()})
}

fn expose(input: &Value) -> Outcome {
    let ports = ports::parse_ports(texts(input, "specs")).map_err(|error| error.to_string())?;
    let mut texts: Vec<_> = ports.iter().map(ToString::to_string).collect();
    texts.sort();
    Ok(json!(texts))
}

fn git_ref(input: &Value) -> Outcome {
    let found = giturl::parse_git_url(text(input, "ref")).map_err(|error| error.to_string())?;
    Ok(found.map_or(Value::Null, |url| {
        json!({
            "remote": url.remote,
            "short_name": url.short_name,
            "ref": url.reference,
            "subdir": url.subdirectory,
            "checksum": url.checksum,
            "indistinguishable_from_local": url.looks_local,
            "unencrypted_tcp": url.unencrypted,
            "keep_git_dir": url.keep_git_dir,
            "submodules": url.submodules,
            "fetch_by_commit": url.fetch_by_commit,
            "mtime": url.mtime.map(|times| match times {
                GitTimes::Checkout => "checkout",
                GitTimes::Commit => "commit",
            }),
        })
    }))
}

#[expect(clippy::unnecessary_wraps, reason = "one type for the whole table")]
fn git_fragment(input: &Value) -> Outcome {
    let reference = text(input, "ref");
    let fragment = if input["subdir"].as_bool().unwrap_or(false) {
        Fragment::ReferenceAndSubdirectory
    } else {
        Fragment::Reference
    };
    Ok(match giturl::parse_git_url(reference) {
        Ok(Some(url)) => json!({"string": url.with_fragment(fragment), "ok": true}),
        Ok(None) | Err(_) => json!({"string": reference, "ok": false}),
    })
}
