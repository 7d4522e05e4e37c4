//! What is asked, by what the user and the environment say.

use super::*;
use crate::settings::Version;

fn chosen(attributes: &Attributes, surroundings: &Surroundings) -> Result<Settings, String> {
    Settings::choose(attributes, surroundings).map_err(|error| {
        let source = error.source().map(|source| format!(": {source}"));
        format!("{error}{}", source.unwrap_or_default())
    })
}

/// What the runner of GitHub gives, and those of others.
fn runner(service_v2: &str, results: &str, cache: &str) -> Surroundings {
    Surroundings {
        runtime_token: Some("SECRET".to_owned()),
        results_url: Some(results.to_owned()),
        cache_url: Some(cache.to_owned()),
        service_v2: Some(service_v2.to_owned()),
        ..Surroundings::default()
    }
}

#[test]
fn the_environment_says_which_service_is_asked_and_how() {
    let (results, cache) = ("https://results.example/", "https://cache.example/x/");
    for (surroundings, version, url) in [
        (runner("true", results, cache), Version::Two, results),
        (runner("True", results, ""), Version::Two, results),
        (runner("", results, cache), Version::One, cache),
        (runner("false", "", cache), Version::One, cache),
        (runner("", results, ""), Version::Two, results),
    ] {
        let settings = chosen(&Attributes::default(), &surroundings).unwrap();
        assert_eq!(settings.version, version, "{surroundings:?}");
        assert_eq!(settings.url.to_string(), url);
        assert_eq!(settings.scope(), "buildkit");
        assert_eq!(settings.timeout, Duration::from_mins(10));
    }
}

#[test]
fn what_the_user_says_counts_more() {
    let surroundings = runner("true", "https://results.example/", "https://cache.example/");
    let own = |version: &str, url: &str, url_v2: &str| Attributes {
        version: Some(version.to_owned()),
        url: Some(url.to_owned()),
        url_v2: Some(url_v2.to_owned()),
        ..Attributes::default()
    };
    for (attributes, version, url) in [
        (own("1", "", ""), Version::One, "https://cache.example/"),
        (own("1", "http://a/", ""), Version::One, "http://a/"),
        (own("", "http://a/", "http://b/"), Version::Two, "http://b/"),
        (
            own("", "http://a/", ""),
            Version::Two,
            "https://results.example/",
        ),
        (
            own("2", "http://a/", ""),
            Version::Two,
            "https://results.example/",
        ),
    ] {
        let settings = chosen(&attributes, &surroundings).unwrap();
        assert_eq!(
            (settings.version, settings.url.to_string().as_str()),
            (version, url)
        );
    }
}

#[test]
fn what_is_missing_or_malformed_is_named() {
    let full = runner("true", "https://results.example/", "");
    let none = Surroundings::default();
    let plain = Attributes::default();
    let token_alone = Surroundings {
        runtime_token: Some("SECRET".to_owned()),
        ..Surroundings::default()
    };
    let with = |change: fn(&mut Attributes)| {
        let mut attributes = Attributes::default();
        change(&mut attributes);
        attributes
    };
    let exports = "which the action `crazy-max/ghaction-github-runtime` exports";
    for (attributes, surroundings, expected) in [
        (
            plain.clone(),
            &none,
            format!(
                "`type=gha` needs the token of a workflow's job: `ACTIONS_RUNTIME_TOKEN`, {exports}, or `token=`"
            ),
        ),
        (
            plain,
            &token_alone,
            format!(
                "`type=gha` needs the URL of the cache service: `ACTIONS_RESULTS_URL` or `ACTIONS_CACHE_URL`, {exports}, or `url_v2=` or `url=`"
            ),
        ),
        (
            with(|attributes| attributes.version = Some("3".to_owned())),
            &full,
            "`version=3` of `type=gha`: `1` and `2` are known".to_owned(),
        ),
        (
            with(|attributes| attributes.url_v2 = Some("ftp://e".to_owned())),
            &full,
            "`url_v2` of `type=gha` is no URL: it begins with neither `http://` nor `https://`"
                .to_owned(),
        ),
        (
            with(|attributes| attributes.scope = Some("#".repeat(200))),
            &full,
            "`scope` of `type=gha` has more than 400 characters".to_owned(),
        ),
        (
            with(|attributes| attributes.ghtoken = Some("t".to_owned())),
            &full,
            "`ghtoken` of `type=gha` needs `repository=owner/name`".to_owned(),
        ),
        (
            with(|attributes| {
                attributes.ghtoken = Some("t".to_owned());
                attributes.repository = Some("../x/y".to_owned());
            }),
            &full,
            "`repository=../x/y` of `type=gha` is not like `owner/name`".to_owned(),
        ),
    ] {
        assert_eq!(chosen(&attributes, surroundings), Err(expected));
    }
}

#[test]
fn nothing_secret_is_shown() {
    let attributes = Attributes {
        token: Some("SECRET1".to_owned()),
        ghtoken: Some("SECRET2".to_owned()),
        repository: Some("o/n".to_owned()),
        ..Attributes::default()
    };
    let surroundings = runner("true", "https://results.example/", "");
    let settings = chosen(&attributes, &surroundings).unwrap();
    let shown = format!("{attributes:?} {surroundings:?} {settings:?}");
    assert!(!shown.contains("SECRET"), "{shown}");
}
