use super::*;

const EVENTS: &str = r#"{"at":0.0,"event":"planned","step":"b","label":{"stage":"","index":1,"count":3,"text":"FROM base","line":1,"platform":null},"inputs":[]}
{"at":0.0,"event":"planned","step":"r","label":{"stage":"","index":2,"count":3,"text":"RUN x","line":2,"platform":null},"inputs":["b"]}
{"at":0.0,"event":"planned","step":"c","label":{"stage":"","index":3,"count":3,"text":"COPY a /","line":3,"platform":null},"inputs":["r"]}
{"at":0.0,"event":"planned","step":"n","label":{"stage":"","index":0,"count":0,"text":"never","line":0,"platform":null},"inputs":[]}
{"at":0.1,"event":"started","step":"r","name":"[2/3] RUN x"}
{"at":0.1,"event":"finished","step":"b","name":"[1/3] FROM base","origin":"cached"}
{"at":2.6,"event":"finished","step":"r","name":"[2/3] RUN x","origin":"made"}
{"at":2.6,"event":"started","step":"c","name":"[3/3] COPY a /"}
{"at":2.7,"event":"finished","step":"c","name":"[3/3] COPY a /","origin":"made"}
{"at":2.7,"event":"packed","layer":"l2","size_bytes":2500000,"files":[{"path":"/usr/big","size_bytes":9000000},{"path":"/usr/small","size_bytes":10}]}
{"at":2.7,"event":"layers","target":0,"step":"b","layers":[{"layer":"b1","size_bytes":3000},{"layer":"b2","size_bytes":4000}]}
{"at":2.7,"event":"layers","target":0,"step":"r","layers":[{"layer":"l2"}]}
{"at":2.7,"event":"layers","target":0,"step":"c","layers":[{"layer":"l3"}]}
{"at":2.7,"event":"layers","target":1,"step":"b","layers":[{"layer":"b1","size_bytes":3000},{"layer":"b2","size_bytes":4000}]}
{"at":2.8,"event":"packed","layer":"l2","size_bytes":2500000,"files":[]}
{"at":2.9,"event":"warning","text":"w"}"#;

fn account() -> Account {
    let mut account = Account::default();
    for line in EVENTS.lines() {
        account.take(&serde_json::from_str(line).unwrap());
    }
    account
}

#[test]
fn each_step_of_a_result_is_a_row_once() {
    let row = |step: &str, layers, size_bytes, millis: Option<u64>| LayerRow {
        step: step.to_owned(),
        layers,
        size_bytes,
        took: millis.map(Duration::from_millis),
    };
    assert_eq!(
        account().layer_rows(),
        [
            row("[1/3] FROM base", 2, Some(7000), None),
            row("[2/3] RUN x", 1, Some(2_500_000), Some(2500)),
            row("[3/3] COPY a /", 1, None, Some(100)),
        ]
    );
}

#[test]
fn steps_that_nothing_needed_do_not_count() {
    let counts = Counts {
        total: 3,
        completed: 3,
        cached: 1,
    };
    assert_eq!(account().counts(), counts);
    assert_eq!(account().warnings(), 1);
    assert_eq!(account().ended(), Duration::from_millis(2900));
}

#[test]
fn a_table_tells_layers_and_the_largest_new_files() {
    insta::assert_snapshot!(summary(&account()), @r"

    LAYER                        SIZE    TIME
    [1/3] FROM base (2 layers)   7kB     cached
    [2/3] RUN x                  2.5MB   2.5s
    [3/3] COPY a /               -       0.1s

    LARGEST NEW FILE   SIZE   LAYER
    /usr/big           9MB    [2/3] RUN x
    /usr/small         10B    [2/3] RUN x
    ");
    assert_eq!(summary(&Account::default()), "");
}

#[test]
fn the_page_of_a_workflow_has_the_same() {
    insta::assert_snapshot!(markdown(&account(), "app", None), @r"
    ### Build <code>app</code>: completed

    3 of 3 steps in 2.9s, 33 % cached

    | Layer | Size | Time |
    | --- | ---: | --- |
    | <code>&#91;1/3&#93; FROM base</code> (2 layers) | 7kB | cached |
    | <code>&#91;2/3&#93; RUN x</code> | 2.5MB | 2.5s |
    | <code>&#91;3/3&#93; COPY a /</code> | - | 0.1s |

    | Largest new file | Size | Layer |
    | --- | ---: | --- |
    | <code>/usr/big</code> | 9MB | <code>&#91;2/3&#93; RUN x</code> |
    | <code>/usr/small</code> | 10B | <code>&#91;2/3&#93; RUN x</code> |
    ");
    let failed = markdown(&Account::default(), "app", Some("`a` is not there"));
    assert_eq!(
        failed,
        "### Build <code>app</code>: failed\n\n<code>&#96;a&#96; is not there</code>\n\n\
         0 of 0 steps in 0.0s, 0 % cached\n\n"
    );
}
