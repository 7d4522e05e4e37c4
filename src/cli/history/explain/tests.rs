use std::time::Duration;

use serde_json::{Value, json};
use solver::event::{Operation, Origin, StepId};
use solver::{Event, FileChange, TimedEvent};

use super::*;

/// A step as a test says it: text, operation, key, what it is made from, content, and whether it ran.
struct Told {
    stage: &'static str,
    index: usize,
    text: &'static str,
    operation: Value,
    key: u8,
    inputs: Vec<Option<&'static str>>,
    content: Option<u8>,
    end: Option<Origin>,
}

fn digest(number: u8) -> Digest {
    Digest::of(&[number])
}

fn id(told: &Told) -> StepId {
    StepId(format!("{} {}", told.stage, told.index))
}

type Change = fn(&mut Value);

/// A build of a base, a copy and a command, of which the last two ran.
fn build() -> Vec<Told> {
    let file = json!({"op": "file", "action": {"action": "copy", "destination": "/src"}, "on": {"os": "linux"}});
    let exec = json!({
        "op": "exec", "argv": ["/bin/sh", "-c", "make"], "env": ["PATH=/bin", "V=1"], "user": "",
        "on": {"os": "linux"},
    });
    let base =
        json!({"op": "source", "source": "image", "manifest": "sha256:aa", "on": {"os": "linux"}});
    let told = |index, text, operation, inputs, content| Told {
        stage: "build",
        index,
        text,
        operation,
        key: u8::try_from(index).unwrap(),
        inputs,
        content,
        end: Some(Origin::Made),
    };
    let mut steps = vec![
        told(1, "FROM base", base, vec![], None),
        told(
            2,
            "COPY src /src",
            file,
            vec![Some("build 1"), Some("context")],
            Some(1),
        ),
        told(3, "RUN make", exec, vec![Some("build 2")], None),
    ];
    steps[0].end = Some(Origin::Cached);
    steps
}

fn account(steps: &[Told]) -> Account {
    let mut account = Account::default();
    for told in steps {
        let label = graph::StepLabel {
            stage: told.stage.to_owned(),
            index: told.index,
            count: 3,
            text: told.text.to_owned(),
            line: told.index,
            platform: None,
        };
        let name = label.to_string();
        let mut events = vec![Event::Planned {
            step: id(told),
            label,
            inputs: Vec::new(),
        }];
        events.extend(told.end.map(|origin| Event::Finished {
            step: id(told),
            name,
            origin,
        }));
        let inputs = told.inputs.iter();
        events.push(Event::Keyed {
            step: id(told),
            key: serde_json::from_value(json!(digest(told.key))).unwrap(),
            operation: Operation::Written(told.operation.clone()),
            inputs: inputs
                .map(|input| input.map(|input| StepId(input.to_owned())))
                .collect(),
            content: told.content.map(digest),
        });
        for event in events {
            let at = Duration::ZERO;
            account.take(&TimedEvent { at, event });
        }
    }
    account
}

fn earlier(steps: &[Told]) -> Earlier {
    Earlier {
        id: BuildId::parse("0123456789abcdef012345678").unwrap(),
        account: account(steps),
        is_complete: true,
        arguments: Vec::new(),
    }
}

/// Explains a build that is like the usual one but for something, against one that was usual.
fn explained(change: impl FnOnce(&mut Vec<Told>), wish: &Wish) -> Vec<Explained> {
    let mut now = build();
    change(&mut now);
    against(&now, &[earlier(&build())], wish)
}

fn against(now: &[Told], earlier: &[Earlier], wish: &Wish) -> Vec<Explained> {
    let files = |before: &Digest, now: &Digest| {
        let is_known = (before, now) == (&digest(1), &digest(9));
        is_known.then(|| {
            let file = |index: usize| ChangedFile {
                path: format!("{index:02}.c"),
                change: FileChange::Content,
            };
            (0..FILES_MAX + 2).map(file).collect()
        })
    };
    let explainer = Explainer {
        now: &account(now),
        wish,
        earlier,
        files: &files,
    };
    explainer.explain()
}

/// Returns what is said, a line for each step and reason.
fn told(explained: &[Explained]) -> String {
    explained.iter().map(ToString::to_string).collect()
}

#[test]
fn each_part_of_a_key_that_is_another_is_told_of() {
    let argument = Wish {
        arguments: vec!["V".to_owned()],
        ..Wish::default()
    };
    let plain = Wish::default();
    let table: [(Change, &Wish, &str); 7] = [
        (
            |op| op["argv"][2] = json!("make -j2"),
            &plain,
            "its command was `make` and is `make -j2`",
        ),
        (
            |op| op["argv"] = json!(["make", "x"]),
            &plain,
            "its command was `make` and is `make x`",
        ),
        (
            |op| op["env"][1] = json!("V=2"),
            &plain,
            "the variable `V` was `1` and is `2`",
        ),
        (
            |op| op["env"][1] = json!("V=2"),
            &argument,
            "the build argument `V` was `1` and is `2`",
        ),
        (
            |op| op["env"] = json!(["PATH=/bin", "V=1", "W="]),
            &plain,
            "the variable `W` is new: ``",
        ),
        (
            |op| op["user"] = json!("nobody"),
            &plain,
            "`user` was `` and is `nobody`",
        ),
        (
            |op| op["sandbox"] = json!({"security": "insecure"}),
            &plain,
            "`sandbox.security` is new: `insecure`",
        ),
    ];
    for (change, wish, expected) in table {
        let explained = explained(
            |steps| {
                steps[1].end = Some(Origin::Cached);
                change(&mut steps[2].operation);
                steps[2].key = 33;
            },
            wish,
        );
        let expected = format!("[build 3/3] RUN make ran again (line 3)\n  {expected}\n");
        assert_eq!(told(&explained), expected);
    }
}

#[test]
fn what_a_step_stands_on_is_told_of_by_what_that_is() {
    let wish = Wish::default();
    let base = explained(
        |steps| {
            steps[0].operation["manifest"] = json!("sha256:bb");
            steps[0].key = 31;
            steps[1].key = 32;
            steps[2].key = 33;
        },
        &wish,
    );
    assert_eq!(
        told(&base),
        "[build 2/3] COPY src /src ran again (line 2)\n  \
         the base is another: [build 1/3] FROM base was sha256:aa and is sha256:bb\n\
         [build 3/3] RUN make ran again (line 3)\n  \
         the step below it is another: [build 2/3] COPY src /src\n"
    );
}

#[test]
fn files_that_changed_are_named_up_to_a_number() {
    let wish = Wish::default();
    let known = explained(
        |steps| {
            (steps[1].content, steps[1].key) = (Some(9), 32);
            steps[2].end = None;
        },
        &wish,
    );
    let [only] = known.as_slice() else {
        panic!("{known:?}");
    };
    let [
        Reason::Files {
            files: Some(files),
            more: 2,
        },
    ] = only.reasons.as_slice()
    else {
        panic!("{only:?}");
    };
    assert_eq!(files.len(), FILES_MAX);
    let text = only.to_string();
    assert!(
        text.contains("\n  `00.c` changed\n  `01.c` changed\n"),
        "{text}"
    );
    assert!(text.ends_with("\n  and 2 more files\n"), "{text}");
    let unknown = explained(
        |steps| {
            (steps[1].content, steps[1].key) = (Some(8), 32);
            steps[2].end = None;
        },
        &wish,
    );
    let files = None;
    assert_eq!(unknown[0].reasons, [Reason::Files { files, more: 0 }]);
}

#[test]
fn a_step_whose_key_is_the_same_says_why_it_ran() {
    let only_command = |steps: &mut Vec<Told>| steps[1].end = Some(Origin::Cached);
    let nothing = Wish {
        nothing: Some("--no-cache"),
        ..Wish::default()
    };
    let stage = Wish {
        renewed_stages: vec!["build".to_owned()],
        ..Wish::default()
    };
    let age = Wish {
        has_age: true,
        ..Wish::default()
    };
    for (wish, expected) in [
        (&Wish::default(), Reason::Gone),
        (
            &nothing,
            Reason::Asked {
                flag: "--no-cache".to_owned(),
            },
        ),
        (
            &stage,
            Reason::Asked {
                flag: "--no-cache-filter".to_owned(),
            },
        ),
        (
            &age,
            Reason::Asked {
                flag: "--cache-ttl".to_owned(),
            },
        ),
    ] {
        assert_eq!(explained(only_command, wish)[0].reasons, [expected]);
    }
    let on_command = explained(
        |steps| {
            let mut after = build().remove(2);
            (after.index, after.text, after.inputs) = (4, "RUN test", vec![Some("build 3")]);
            steps.push(after);
        },
        &Wish::default(),
    );
    // Nothing is known of the last one; of the one below it all is.
    assert_eq!(on_command.last().unwrap().earlier, None);
    assert_eq!(on_command.last().unwrap().reasons, []);
}

#[test]
fn what_stood_on_a_command_that_came_out_differently_says_so() {
    let with_test = || {
        let mut steps = build();
        let mut after = build().remove(2);
        (after.index, after.text, after.inputs) = (4, "RUN test", vec![Some("build 3")]);
        after.key = 4;
        steps.push(after);
        steps
    };
    let explained = against(&with_test(), &[earlier(&with_test())], &Wish::default());
    let step = "[build 3/3] RUN make".to_owned();
    assert_eq!(explained[2].reasons, [Reason::StoodElsewhere { step }]);
}

#[test]
fn a_step_is_found_again_when_another_was_put_before_it() {
    let mut now = build();
    now[2].index = 4;
    let mut new = build().remove(2);
    (new.text, new.key) = ("RUN true", 7);
    new.operation["argv"][2] = json!("true");
    now[2].inputs = vec![Some("build 3")];
    now[2].key = 8;
    now.push(new);
    now[1].end = Some(Origin::Cached);
    let explained = against(&now, &[earlier(&build())], &Wish::default());
    assert_eq!(
        told(&explained),
        "[build 4/3] RUN make ran again (line 4)\n  \
         the step below it is another: [build 3/3] RUN true\n\
         [build 3/3] RUN true ran: no earlier build that is known had it (line 3)\n"
    );
}

#[test]
fn a_build_that_did_not_get_so_far_is_passed_over() {
    let mut failed = build();
    failed[2].end = None;
    failed[2].key = 77;
    let failed = Earlier {
        is_complete: false,
        ..earlier(&failed)
    };
    let only_command = |steps: &mut Vec<Told>| steps[1].end = Some(Origin::Cached);
    let mut now = build();
    only_command(&mut now);
    let explained = against(&now, &[failed, earlier(&build())], &Wish::default());
    assert_eq!(explained[0].reasons, [Reason::Gone]);
}

#[test]
fn an_explanation_is_read_back_as_it_was_written() {
    let explained = explained(
        |steps| {
            (steps[1].content, steps[1].key) = (Some(9), 32);
            steps[2].operation["env"][1] = json!("V=2");
            steps[2].key = 33;
        },
        &Wish::default(),
    );
    let text = serde_json::to_string(&explained).unwrap();
    assert_eq!(
        serde_json::from_str::<Vec<Explained>>(&text).unwrap(),
        explained
    );
    assert!(
        text.contains(r#"{"kind":"variable","name":"V","from":"1","to":"2"}"#),
        "{text}"
    );
}
