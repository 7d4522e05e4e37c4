//! Trees that are printed and read again, and texts of all kinds.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

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
