use super::*;
use crate::history::{BuildId, Built};

fn now() -> Timestamp {
    Timestamp::parse("2026-01-02T12:00:00Z").unwrap()
}

fn record() -> Record {
    let id = BuildId::parse("0123456789abcdef012345678").unwrap();
    let built = Built {
        context: "https://example.com/a.git".to_owned(),
        ..Built::default()
    };
    Record {
        created: "2026-01-02T10:00:00Z".to_owned(),
        seconds: 45.0,
        status: Status::Error,
        ..Record::new(id, built)
    }
}

#[test]
fn each_comparison_takes_what_it_says() {
    for (text, expected) in [
        ("status=error", true),
        ("status=Error", true),
        ("status!=error", false),
        ("status=completed", false),
        ("status!=success", true),
        ("ref=0123", true),
        ("ref!=0123456789abcdef012345678", false),
        ("ref=careen/local/0123456789abcdef012345678", true),
        ("repository=https://example.com/a.git", true),
        ("repository!=https://example.com/a.git", false),
        ("repository=x", false),
        ("duration>30s", true),
        ("duration>45s", false),
        ("duration>=45s", true),
        ("duration<1m", true),
        ("duration<=44s", false),
        ("startedAt>3h", true),
        ("startedAt<1h30m", true),
        ("startedAt<2026-01-02T10:00:00Z", false),
        ("startedAt<=2026-01-02T10:00:00Z", true),
        ("completedAt>2026-01-02T10:00:44Z", true),
        ("completedAt>2026-01-02T10:00:45Z", false),
    ] {
        let filter = Filter::parse(text, now()).unwrap();
        assert_eq!(filter.takes(&record()), expected, "{text}");
    }
}

#[test]
fn what_cannot_be_compared_is_refused_with_what_can() {
    for (text, expected) in [
        (
            "status",
            "`--filter status`: `=`, `!=`, `<`, `<=`, `>` or `>=` is missing",
        ),
        (
            "status=running",
            "`--filter status=running`: `completed`, `error` and `canceled` are known",
        ),
        (
            "duration>long",
            "`--filter duration>long`: `long` is no duration like `90s` and no time like `2026-01-02T03:04:05Z`",
        ),
        (
            "duration=3s",
            "`--filter duration=3s`: `ref`, `repository` and `status` are compared with `=` and `!=`, `startedAt`, \
             `completedAt` and `duration` with `<`, `<=`, `>` and `>=`",
        ),
        (
            "name=x",
            "`--filter name=x`: `ref`, `repository` and `status` are compared with `=` and `!=`, `startedAt`, \
             `completedAt` and `duration` with `<`, `<=`, `>` and `>=`",
        ),
    ] {
        let error = Filter::parse(text, now()).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}
