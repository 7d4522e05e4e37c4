use std::fs;
use std::path::Path;

use super::*;
use crate::testing::write_script;

/// Writes an executable helper of this name.
fn put(directory: &Path, name: &str, script: &str) {
    write_script(&directory.join(format!("docker-credential-{name}")), script);
}

fn helpers(directory: &Path) -> SystemCredentialHelpers {
    let environment = vec![("KEPT".into(), directory.as_os_str().to_owned())];
    SystemCredentialHelpers::new(directory.as_os_str(), environment)
}

/// A helper that keeps one object in a file.
const KEEPING: &str = r#"
case "$1" in
store) cat > "$KEPT/object" ;;
get)
  read -r server || :
  [ -f "$KEPT/object" ] || { echo "credentials not found in native keychain"; exit 1; }
  echo "$server" >> "$KEPT/asked"
  cat "$KEPT/object" ;;
erase) rm "$KEPT/object" ;;
list) echo '{"https://index.docker.io/v1/": "me", "r.example:5000": "you"}' ;;
esac
echo "$# $*" >> "$KEPT/arguments""#;

#[test]
fn what_is_stored_is_had_again_until_it_is_erased() {
    let directory = tempfile::tempdir().unwrap();
    put(directory.path(), "keeping", KEEPING);
    let helpers = helpers(directory.path());
    assert_eq!(helpers.get("keeping", "r.example:5000").unwrap(), None);
    let mine = HelperCredentials {
        user: "me".to_owned(),
        secret: "p\"ss\nword\u{e9}".to_owned(),
    };
    helpers.store("keeping", "r.example:5000", &mine).unwrap();
    assert_eq!(
        helpers.get("keeping", "r.example:5000").unwrap(),
        Some(mine)
    );
    helpers.erase("keeping", "r.example:5000").unwrap();
    assert_eq!(helpers.get("keeping", "r.example:5000").unwrap(), None);
    let asked = fs::read_to_string(directory.path().join("asked")).unwrap();
    assert_eq!(asked, "r.example:5000\n");
    // The secret is on no command line.
    let arguments = fs::read_to_string(directory.path().join("arguments")).unwrap();
    assert_eq!(arguments, "1 store\n1 get\n1 erase\n");
}

#[test]
fn the_servers_that_it_has_something_for_are_listed() {
    let directory = tempfile::tempdir().unwrap();
    put(directory.path(), "keeping", KEEPING);
    let listed = helpers(directory.path()).list("keeping").unwrap();
    let expected = [
        ("https://index.docker.io/v1/", "me"),
        ("r.example:5000", "you"),
    ];
    assert_eq!(
        listed,
        expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into()
    );
}

#[test]
fn a_helper_that_fails_is_named_with_its_text() {
    let directory = tempfile::tempdir().unwrap();
    put(
        directory.path(),
        "locked",
        "echo 'the keyring is locked'; exit 1",
    );
    put(directory.path(), "loud", "echo 'no session' >&2; exit 2");
    put(
        directory.path(),
        "garbled",
        "echo '{\"Username\": \"u\", \"Secret\": 5}'",
    );
    put(directory.path(), "killed", "kill -9 $$");
    put(
        directory.path(),
        "nobody",
        r#"echo '{"ServerURL":"","Username":"","Secret":""}'"#,
    );
    let helpers = helpers(directory.path());
    let cases = [
        (
            "locked",
            "credential helper `locked`, asked to get what is for `r.example`: exit status: 1, \
             saying `the keyring is locked`",
        ),
        (
            "loud",
            "credential helper `loud`, asked to get what is for `r.example`: exit status: 2, saying `no session`",
        ),
        (
            "garbled",
            "credential helper `garbled`, asked for `r.example`: its answer is not the JSON object that it should be",
        ),
        (
            "killed",
            "credential helper `killed`, asked to get what is for `r.example`: signal: 9 (SIGKILL), saying ``",
        ),
        ("missing", "ask the credential helper `missing`"),
        ("../x", "`../x` is no name of a credential helper"),
    ];
    for (helper, expected) in cases {
        let error = helpers.get(helper, "r.example").unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    assert_eq!(helpers.get("nobody", "r.example").unwrap(), None);
}

#[test]
fn a_secret_cannot_be_shown() {
    let credentials = HelperCredentials {
        user: "me".to_owned(),
        secret: "hidden".to_owned(),
    };
    assert_eq!(
        format!("{credentials:?}"),
        "HelperCredentials { user: \"me\", .. }"
    );
}
