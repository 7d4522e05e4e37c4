//! `careen check-base`: is a newer base there?

use support::layout;
use support::{Archive, Bench, Entry};

use super::{two_layers, with_two_layers};

/// Builds on the base, with these annotations.
fn built(annotations: &[(&str, &str)]) -> Bench {
    let bench = with_two_layers();
    bench.dockerfile("FROM base\nLABEL built=yes\n");
    let mut words: Vec<String> = Vec::new();
    for (name, value) in annotations {
        words.push("--annotation".to_owned());
        words.push(format!("org.opencontainers.image.base.{name}={value}"));
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let run = bench.careen_build(&words);
    run.args(&["--output", "type=oci,tar=false,dest=app"])
        .run()
        .success();
    bench
}

fn newer(bench: &Bench) {
    let mut base = two_layers();
    base.layers[1].push(Entry::file("newer", ""));
    layout::write(&bench.path("base"), &[base]);
}

fn check(bench: &Bench, words: &[&str], code: i32) -> String {
    let checked = bench.careen(&["check-base"]).args(words).run();
    assert_eq!(checked.code(), code, "{}", checked.stderr);
    checked.text().trim_end().to_owned()
}

#[test]
fn without_a_digest_the_layers_say_whether_the_base_is_newer() {
    let bench = built(&[]);
    let words = ["oci:app", "--base", "oci:base"];
    assert_eq!(
        check(&bench, &words, 0),
        "up to date: the image begins with the layers of oci:base, 2 in number"
    );
    newer(&bench);
    assert_eq!(
        check(&bench, &words, 1),
        "outdated: layer 2 of the image is not that of oci:base"
    );
    assert_eq!(
        check(&bench, &["-q", "oci:app", "--base", "oci:base"], 1),
        ""
    );
}

#[test]
fn the_digest_that_an_image_names_is_compared_with_what_its_base_is_now() {
    let base = Archive::read_directory(&with_two_layers().path("base"));
    let (index, manifest) = (
        base.top_digest().to_string(),
        base.image().digest.to_string(),
    );
    for digest in [&index, &manifest] {
        let bench = built(&[("name", "oci:base"), ("digest", digest)]);
        assert_eq!(
            check(&bench, &["oci:app"], 0),
            format!("up to date: oci:base is still {digest}")
        );
        newer(&bench);
        let now = Archive::read_directory(&bench.path("base"));
        let now = now.top_digests().pop().unwrap();
        assert_eq!(
            check(&bench, &["oci:app"], 1),
            format!("outdated: oci:base was {digest} and is {now}")
        );
    }
}

#[test]
fn an_image_that_names_no_base_needs_one() {
    let bench = built(&[]);
    let refused = bench.careen(&["check-base", "oci:app"]).run();
    assert_eq!(
        refused.error(2),
        "error: `oci:app` does not say what it was built on: it has no annotation \
         `org.opencontainers.image.base.name`\n  = help: `--base LOCATION` names one"
    );
}
