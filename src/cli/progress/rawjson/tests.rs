use graph::StepLabel;
use solver::event::NoticeLevel;

use super::*;

/// The digest of `s`, the name of a step that is no vertex.
const OF_NAME: &str = "sha256:043a718774c572bd8a25adbeb1bfcd5c0256ae11cecf9f9c3f925d0e52beaf89";

fn lines(events: Vec<Event>) -> String {
    let start = Timestamp::parse("2026-01-02T03:04:05Z").unwrap();
    let mut json = RawJson::new(start);
    let mut out = Vec::new();
    for (seconds, event) in (0..).zip(events) {
        let at = Duration::from_secs(seconds);
        json.render(&TimedEvent { at, event }, &mut out).unwrap();
    }
    String::from_utf8(out).unwrap().replace(OF_NAME, "OF_NAME")
}

#[test]
fn steps_are_vertices_of_buildkits_status() {
    let step = StepId("s".to_owned());
    let digest = Digest::of(b"x");
    let label = StepLabel {
        text: "RUN x".to_owned(),
        ..StepLabel::default()
    };
    let name = "RUN x".to_owned();
    let lines = lines(vec![
        Event::Planned {
            step: step.clone(),
            label,
            inputs: vec![StepId(digest.to_string())],
        },
        Event::Started {
            step: step.clone(),
            name: name.clone(),
        },
        Event::Output {
            step: step.clone(),
            stream: OutputStream::Stderr,
            text: b"\x1b[1mhi\n".to_vec(),
        },
        Event::Failed {
            step: step.clone(),
            name: name.clone(),
            error: "it broke".to_owned(),
        },
        Event::Finished {
            step,
            name,
            origin: Origin::Cached,
        },
    ]);
    let x = r#""inputs":["sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"],"name":"RUN x""#;
    let expected = [
        format!(r#"{{"vertexes":[{{"digest":"OF_NAME",{x}}}]}}"#),
        format!(r#"{{"vertexes":[{{"digest":"OF_NAME",{x},"started":"2026-01-02T03:04:06Z"}}]}}"#),
        r#"{"logs":[{"vertex":"OF_NAME","stream":2,"data":"G1sxbWhpCg==","timestamp":"2026-01-02T03:04:07Z"}]}"#.to_owned(),
        format!(r#"{{"vertexes":[{{"digest":"OF_NAME",{x},"started":"2026-01-02T03:04:06Z","completed":"2026-01-02T03:04:08Z","error":"it broke"}}]}}"#),
        format!(r#"{{"vertexes":[{{"digest":"OF_NAME",{x},"started":"2026-01-02T03:04:06Z","completed":"2026-01-02T03:04:09Z","cached":true}}]}}"#),
    ];
    assert_eq!(lines, expected.join("\n") + "\n");
}

#[test]
fn what_is_moved_is_a_status_and_words_for_the_user_are_warnings() {
    let step = StepId("s".to_owned());
    let moved = |current, done| Event::Progress {
        step: step.clone(),
        what: "fetching".to_owned(),
        bytes: Some(Moved {
            current,
            total: Some(9),
        }),
        done,
    };
    let lines = lines(vec![
        moved(3, false),
        moved(9, true),
        Event::Warning {
            text: "w".to_owned(),
        },
        Event::Notice {
            level: NoticeLevel::Warning,
            short: "s".to_owned(),
            text: "a\nb\n".to_owned(),
        },
    ]);
    let expected = [
        r#"{"statuses":[{"id":"fetching","vertex":"OF_NAME","total":9,"current":3,"timestamp":"2026-01-02T03:04:05Z","started":"2026-01-02T03:04:05Z"}]}"#,
        r#"{"statuses":[{"id":"fetching","vertex":"OF_NAME","total":9,"current":9,"timestamp":"2026-01-02T03:04:06Z","started":"2026-01-02T03:04:05Z","completed":"2026-01-02T03:04:06Z"}]}"#,
        r#"{"warnings":[{"level":1,"short":"dw=="}]}"#,
        r#"{"warnings":[{"level":1,"short":"cw==","detail":["YQ==","Yg=="]}]}"#,
    ];
    assert_eq!(lines, expected.join("\n") + "\n");
}
