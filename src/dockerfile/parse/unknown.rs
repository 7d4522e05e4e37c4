//! A line that starts with no instruction, and what may have been meant.

use crate::ast::InstructionKind;
use crate::diagnostic::{Diagnostic, quoted};
use crate::node::Node;
use crate::suggest;

/// All instructions.
pub(super) const NAMES: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// Programs that are often seen at the start of a line whose `RUN` was forgotten.
const PROGRAMS: [&str; 82] = [
    "adduser", "apk", "apt", "apt-get", "awk", "bash", "bundle", "bunzip2", "bzip2", "cargo",
    "cat", "cd", "chmod", "chown", "cmake", "composer", "corepack", "cp", "curl", "date", "dnf",
    "dotnet", "dpkg", "echo", "exec", "exit", "export", "false", "find", "gcc", "gem", "git", "go",
    "gpg", "gradle", "grep", "groupadd", "gunzip", "hostname", "id", "install", "java", "ldconfig",
    "ln", "ls", "make", "microdnf", "mkdir", "mv", "mvn", "node", "npm", "npx", "pacman", "perl",
    "php", "pip", "pip3", "pnpm", "poetry", "printf", "python", "python3", "rm", "rpm", "ruby",
    "sed", "set", "sh", "sudo", "tar", "test", "touch", "true", "uname", "unzip", "useradd", "uv",
    "wget", "yarn", "yum", "zypper",
];

pub(super) fn unknown(node: &Node, diagnostics: &mut Vec<Diagnostic>) -> Option<InstructionKind> {
    let keyword = &node.keyword;
    let title = if keyword.value.is_empty() {
        "empty instruction".to_owned()
    } else {
        format!("unknown instruction: {}", quoted(&keyword.value))
    };
    diagnostics.push(Diagnostic::error(title, keyword.span).with_help(help(node)));
    None
}

fn help(node: &Node) -> Option<String> {
    let keyword = node.keyword.value.as_str();
    if matches!(keyword, "&&" | "||" | "|" | ";") {
        return Some("a command goes on in the next line only behind a `\\` at the end".to_owned());
    }
    if is_program(keyword) {
        return Some(run(node));
    }
    let meant = suggest::did_you_mean(keyword, NAMES);
    meant.or_else(|| (node.follows_run && is_word(keyword)).then(|| run(node)))
}

fn run(node: &Node) -> String {
    let line = format!("RUN {}", node.original.trim());
    format!("to run a command, write {}", quoted(&line))
}

/// Tells whether a word can only be meant as a program.
fn is_program(word: &str) -> bool {
    let is_path = ["/", "./", "../", "~/"]
        .iter()
        .any(|start| word.starts_with(start));
    PROGRAMS.contains(&word) || (is_path && !word.starts_with("//"))
}

/// Tells whether a word looks like the name of a program.
fn is_word(word: &str) -> bool {
    let is_good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.+".contains(c);
    word.starts_with(|c: char| c.is_ascii_lowercase()) && word.chars().all(is_good)
}
