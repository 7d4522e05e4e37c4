//! What templates give, compared with what Go gives.

use std::collections::BTreeMap;

use serde_json::json;

use crate::{JsonStyle, Map, MissingKey, Mode, Struct, Template, Value, limits};

/// Templates and what Go 1.19 gave for them, with [`data`] and docker's functions; those without `gives` failed.
const GO: &str = include_str!("go.jsonl");

fn data() -> Value {
    let labels = [("a", "1"), ("b", "2")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    let any = json!({
        "null": null, "num": 7, "float": 1.5, "bool": true, "list": ["x", 1, null], "map": {"x": "y"},
    });
    let sub = Struct::new("main.Sub")
        .field("Deep", "Deep", "deep")
        .field("Count", "Count", 3_i64);
    Struct::new("main.T")
        .field("Name", "Name", "alpine")
        .field("Size", "Size", 42_i64)
        .field("Ratio", "Ratio", Value::Float(0.5))
        .field("Flag", "Flag", true)
        .field("Empty", "Empty", "")
        .field("Html", "Html", "<a&b>")
        .field("Labels", "Labels", Value::texts(&labels.into()))
        .field("Nil", "Nil", Value::texts(&BTreeMap::new()))
        .field("Any", "Any", Value::from(any))
        .field("List", "List", Value::list(["one", "two", "three"]))
        .field("NilList", "NilList", Value::List(None))
        .field("Ints", "Ints", Value::list([1_i64, 2]))
        .field("Sub", "Sub", sub)
        .field("Ptr", "Ptr", Value::Nil("*main.Sub"))
        .method("Method", |_| Ok("method".into()))
        .method("Method2", |arguments| match arguments {
            [Value::Text(text)] => Ok(format!("method {text}").into()),
            _ => Err("wrong arguments".to_owned()),
        })
        .into()
}

fn render(source: &str) -> Result<String, String> {
    let template = Template::parse(source, Mode::default()).map_err(|error| error.to_string())?;
    template.render(&data()).map_err(|error| error.to_string())
}

#[test]
fn every_template_gives_what_go_gives() {
    let mut count = 0;
    for line in GO.lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let template = case["template"].as_str().unwrap();
        let found = render(template);
        match case["gives"].as_str() {
            Some(expected) => assert_eq!(found.as_deref(), Ok(expected), "{template}"),
            None => assert!(found.is_err(), "{template} gives {found:?}"),
        }
        count += 1;
    }
    assert!(count > 120, "{count}");
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let table = [
        (
            "{{.Missing}}",
            "template: 1:3: at <.Missing>: can't evaluate field Missing in type main.T",
        ),
        (
            "a\n{{.Name.x}}",
            "template: 2:3: at <.Name.x>: can't evaluate field x in type string",
        ),
        (
            "{{.Any.null.x}}",
            "template: 1:3: at <.Any.null.x>: nil pointer evaluating interface {}.x",
        ),
        (
            "{{.Ptr.Deep}}",
            "template: 1:3: at <.Ptr.Deep>: nil pointer evaluating *main.Sub.Deep",
        ),
        (
            "{{eq 1 \"a\"}}",
            "template: 1:3: at <eq>: error calling eq: incompatible types for comparison",
        ),
        (
            "{{len}}",
            "template: 1:3: at <len>: wrong number of args for len: want 1 got 0",
        ),
        (
            "{{.Name 1}}",
            "template: 1:3: at <.Name>: Name is not a method but has arguments",
        ),
        (
            "{{range .Size}}{{end}}",
            "template: 1:9: at <.Size>: range can't iterate over 42",
        ),
        (
            "{{join .Name \",\"}}",
            "template: 1:3: at <join>: error calling join: wrong type for value; expected []string; got string",
        ),
        ("{{foo}}", "template: 1:3: function \"foo\" not defined"),
        ("{{$x}}", "template: 1:3: undefined variable \"$x\""),
        ("{{if .Name}}", "template: 1:1: {{if}} without {{end}}"),
        ("{{end}}", "template: 1:1: unexpected {{end}} or {{else}}"),
        ("{{break}}", "template: 1:1: {{break}} outside {{range}}"),
        ("{{.Name", "template: 1:1: unclosed action"),
        ("{{\"x}}", "template: 1:3: unterminated quoted string"),
        ("{{/* x }}", "template: 1:1: unclosed comment"),
        ("{{(1}}", "template: 1:3: unclosed left paren"),
        ("{{.Name..x}}", "template: 1:8: unexpected . after a value"),
        ("{{%}}", "template: 1:3: unexpected `%` in an action"),
        ("{{1i}}", "template: 1:3: bad number syntax: `1i`"),
    ];
    for (template, expected) in table {
        assert_eq!(render(template), Err(expected.to_owned()), "{template}");
    }
}

#[test]
fn what_is_left_out_of_the_language_is_refused_by_its_name() {
    let table = [
        (
            "{{define \"x\"}}{{end}}",
            "template: 1:1: {{define}} is not supported",
        ),
        (
            "{{template \"x\"}}",
            "template: 1:1: {{template}} is not supported",
        ),
        (
            "{{block \"x\" .}}{{end}}",
            "template: 1:1: {{block}} is not supported",
        ),
        (
            "{{call .Name}}",
            "template: 1:3: function \"call\" is not supported",
        ),
    ];
    for (template, expected) in table {
        assert_eq!(render(template), Err(expected.to_owned()), "{template}");
    }
}

#[test]
fn else_with_goes_on_as_else_if_does() {
    assert_eq!(
        render("{{with .Empty}}a{{else with .Name}}{{.}}{{else}}c{{end}}").as_deref(),
        Ok("alpine")
    );
}

#[test]
fn a_missing_key_is_an_error_where_it_is_asked_for() {
    let mode = Mode {
        missing: MissingKey::Error,
        ..Mode::default()
    };
    let error = |source| {
        Template::parse(source, mode)
            .unwrap()
            .render(&data())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        error("{{.Labels.x}}"),
        "template: 1:3: at <.Labels.x>: map has no entry for key \"x\""
    );
}

#[test]
fn json_is_indented_where_it_is_asked_for_and_leaves_out_what_is_empty() {
    let mode = Mode {
        json: JsonStyle::Indented,
        ..Mode::default()
    };
    let value: Value = Struct::new("T")
        .optional("A", "a", "")
        .field("B", "b", Value::list(["x"]))
        .into();
    let text = Template::parse("{{json .}}", mode)
        .unwrap()
        .render(&value)
        .unwrap();
    assert_eq!(text, "{\n  \"b\": [\n    \"x\"\n  ]\n}");
}

#[test]
fn titles_are_not_changed_by_what_changes_how_a_value_looks() {
    let template = Template::parse(
        "{{lower .A}} {{json .A}} {{truncate .A 1}}",
        Mode::default(),
    )
    .unwrap();
    let titles: Value = Map::of_texts(&[("A".to_owned(), "TITLE".to_owned())].into()).into();
    assert_eq!(
        template.render_header(&titles).unwrap(),
        "TITLE TITLE TITLE"
    );
}

#[test]
fn work_output_and_depth_have_limits() {
    let long = "x".repeat(limits::TEMPLATE_MAX_BYTES + 1);
    assert!(
        render(&long)
            .unwrap_err()
            .starts_with("the template has 65537 bytes, more than 65536")
    );
    let deep = format!("{{{{{}1{}}}}}", "(".repeat(100), ")".repeat(100));
    assert_eq!(
        render(&deep).unwrap_err(),
        "template: 1:67: more than 64 deep"
    );
    let nested = "{{range $.Chars}}".repeat(8) + "{{end}}".repeat(8).as_str();
    let many: Value = Struct::new("T")
        .field("Chars", "Chars", Value::list(["x"; 100]))
        .into();
    let template = Template::parse(&nested, Mode::default()).unwrap();
    assert_eq!(
        template.render(&many).unwrap_err().to_string(),
        "the template takes more than 2000000 steps"
    );
    assert_eq!(
        render("{{printf \"%70000d\" 1}}").unwrap_err(),
        "template: 1:3: at <printf>: error calling printf: a width of more than 65536"
    );
    let doubling = "{{$x := printf \"%65536d\" 1}}".to_owned() + &"{{$x = print $x $x}}".repeat(12);
    assert_eq!(
        render(&doubling).unwrap_err(),
        "template: 1:236: at <print>: print gives more than 67108864 bytes"
    );
}
