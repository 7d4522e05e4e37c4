//! What is offered at the end of command lines.

use std::fs;
use std::path::Path;

use super::candidate::Choices;
use super::*;

const DOCKERFILE: &str =
    "# tools has what compiles\nFROM debian AS tools\nFROM scratch AS Base\nFROM base\n";

/// Asks at the end of a line, or where it has `|`.
pub(super) fn asked(definition: &mut Command, line: &str, env: &Environment) -> Offer {
    let (typed, rest) = line.split_once('|').unwrap_or((line, ""));
    let mut words: Vec<String> = typed.split(' ').map(str::to_owned).collect();
    let number = words.len() - 1;
    words.extend(
        rest.split(' ')
            .filter(|word| !word.is_empty())
            .map(str::to_owned),
    );
    let question = Question {
        shell: ShellArgument::Fish,
        number,
        words,
    };
    offer(question, definition, env)
}

pub(super) fn values(offer: &Offer) -> Vec<String> {
    let (Choices::Values(candidates) | Choices::Parts(candidates)) = &offer.choices else {
        panic!("{offer:?}");
    };
    let whole = candidates.iter().map(|candidate| &candidate.value);
    whole
        .map(|value| format!("{}{value}", offer.before))
        .collect()
}

/// A user's directories, with a Dockerfile in the current one.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        fs::write(home.path().join("Dockerfile"), DOCKERFILE).unwrap();
        home
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn env(&self) -> Environment {
        Environment {
            home: Some(self.path().to_owned()),
            current_directory: self.path().to_owned(),
            ..Environment::default()
        }
    }

    /// Returns what is offered at the end of a line of careen's.
    fn careen(&self, line: &str) -> Vec<String> {
        values(&asked(&mut Arguments::command(), line, &self.env()))
    }

    fn docker(&self, line: &str) -> Vec<String> {
        values(&asked(&mut DockerArguments::command(), line, &self.env()))
    }
}

#[test]
fn commands_and_flags_are_offered_where_they_can_stand() {
    let home = Home::new();
    let table: [(&str, &[&str]); 9] = [
        ("careen chec", &["check-base"]),
        ("careen --store x bui", &["build", "buildx"]),
        ("careen buildx --builder x bui", &["build"]),
        ("careen debug r", &["rm"]),
        ("careen build --on-f", &["--on-failure"]),
        ("careen build --no-cache --no-cache", &["--no-cache-filter"]),
        ("careen build --tag x --ta", &["--tag", "--target"]),
        ("careen build -- --ta", &[]),
        ("careen run image --pla", &[]),
    ];
    for (line, expected) in table {
        let found = asked(&mut Arguments::command(), line, &home.env());
        let found = match found.choices {
            Choices::Values(_) | Choices::Parts(_) => values(&found),
            _ => Vec::new(),
        };
        assert_eq!(found, expected, "{line}");
    }
    let flags = home.careen("careen build --");
    assert!(flags.contains(&"--output".to_owned()));
    // Hidden ones are for scripts.
    assert!(!flags.contains(&"--provenance".to_owned()));
}

#[test]
fn values_of_the_definition_are_offered_however_the_flag_is_written() {
    let home = Home::new();
    let table: [(&str, &[&str]); 12] = [
        ("careen build --on-failure ", &["remove", "keep", "shell"]),
        ("careen build --progress=ra", &["--progress=rawjson"]),
        (
            "careen build --progress ",
            &["auto", "tty", "plain", "rawjson", "quiet", "none"],
        ),
        (
            "careen build --summary=",
            &["--summary=true", "--summary=false"],
        ),
        ("careen build --output type=o", &["type=oci"]),
        ("careen build --output=type=l", &["--output=type=local"]),
        ("careen build -otype=t", &["-otype=tar"]),
        ("careen build -o type=tar,de", &["type=tar,dest="]),
        ("careen build -o type=tar,ty", &[]),
        (
            "careen build --cache-to type=local,mode=m",
            &["type=local,mode=min", "type=local,mode=max"],
        ),
        ("careen --executor=c", &["--executor=chroot"]),
        (
            "careen --executor userns",
            &["userns-multi", "userns-single"],
        ),
    ];
    for (line, expected) in table {
        assert_eq!(home.careen(line), expected, "{line}");
    }
}

#[test]
fn stages_are_those_of_the_dockerfile_that_is_meant() {
    let home = Home::new();
    let other = home.path().join("other dir");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("dockerfile"), "FROM x AS elsewhere\n").unwrap();
    fs::write(
        home.path().join("Extra"),
        "FROM x AS extra\nFROM $( AS $(id)\n",
    )
    .unwrap();
    fs::create_dir(home.path().join("third")).unwrap();
    fs::write(home.path().join("third/Containerfile"), "FROM x AS third\n").unwrap();
    let table: [(&str, &[&str]); 14] = [
        ("careen build --target ", &["tools", "base"]),
        ("careen build third --target ", &["third"]),
        ("careen build --target=t", &["--target=tools"]),
        ("careen build . --target ", &["tools", "base"]),
        ("careen build --no-cache-filter tools,", &["tools,base"]),
        ("careen buildx build --target b", &["base"]),
        ("careen buildx b --target b", &["base"]),
        ("careen build -f Extra --target ", &["extra"]),
        ("careen build -fExtra --target ", &["extra"]),
        ("careen build --file=Extra . --target ", &["extra"]),
        ("careen build -f ~/Extra --target ", &["extra"]),
        ("careen build --target |-f Extra .", &["extra"]),
        ("careen build -f - --target ", &[]),
        ("careen build https://example.org/x.git --target ", &[]),
    ];
    for (line, expected) in table {
        assert_eq!(home.careen(line), expected, "{line}");
        assert_eq!(
            home.docker(&line.replace("careen", "docker")),
            expected,
            "{line}"
        );
    }
    assert_eq!(home.docker("docker -c default build --target t"), ["tools"]);
    let words = ["careen", "build", "other\\ dir", "--target", ""];
    let question = Question {
        shell: ShellArgument::Bash,
        number: 4,
        words: words.map(str::to_owned).to_vec(),
    };
    let found = offer(question, &mut Arguments::command(), &home.env());
    assert_eq!(values(&found), ["elsewhere"]);
}

#[test]
fn a_stage_is_told_with_its_description_or_its_base() {
    let home = Home::new();
    let offer = asked(
        &mut Arguments::command(),
        "careen build --target ",
        &home.env(),
    );
    assert_eq!(
        offer.to_string(),
        "careen-completion\tvalues\n\ntools\thas what compiles\nbase\tFROM scratch\n"
    );
}

#[test]
fn files_and_directories_are_the_shells() {
    let home = Home::new();
    let table = [
        ("careen build -f ", "", Choices::Files),
        ("careen build --file=x", "--file=", Choices::Files),
        ("careen build -fx", "-f", Choices::Files),
        ("careen build ", "", Choices::Directories),
        (
            "careen build -o type=tar,dest=x",
            "type=tar,dest=",
            Choices::Files,
        ),
        ("careen load -i ", "", Choices::Files),
        ("careen --store ", "", Choices::Directories),
        ("careen run image ", "", Choices::Files),
    ];
    for (line, before, choices) in table {
        let expected = Offer {
            before: before.to_owned(),
            choices,
        };
        assert_eq!(
            asked(&mut Arguments::command(), line, &home.env()),
            expected,
            "{line}"
        );
    }
}

#[test]
fn builders_and_platforms_are_named() {
    let home = Home::new();
    let builders = home.path().join(".config/careen/builders");
    fs::create_dir_all(&builders).unwrap();
    fs::write(builders.join("mine.json"), "{}").unwrap();
    for line in [
        "careen use ",
        "careen inspect ",
        "careen rm ",
        "careen stop ",
        "careen build --builder ",
        "careen buildx --builder ",
        "careen du --builder ",
    ] {
        assert_eq!(home.careen(line), ["default", "mine"], "{line}");
    }
    let platforms = home.careen("careen build --platform linux/");
    let amd64 = platforms.iter().filter(|text| *text == "linux/amd64");
    assert_eq!(amd64.count(), 1, "{platforms:?}");
    let more = home.careen("careen build --platform linux/amd64,linux/a");
    assert!(
        more.contains(&"linux/amd64,linux/arm64".to_owned()),
        "{more:?}"
    );
    assert!(
        !more.contains(&"linux/amd64,linux/amd64".to_owned()),
        "{more:?}"
    );
    assert_eq!(home.careen("careen binfmt --install al"), ["all"]);
}

#[test]
fn nothing_is_made_by_asking() {
    let home = Home::new();
    let before = fs::read_dir(home.path()).unwrap().count();
    for line in [
        "careen image inspect ",
        "careen debug ",
        "careen history logs ",
        "careen use ",
        "careen run ",
    ] {
        asked(&mut Arguments::command(), line, &home.env());
    }
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), before);
}

#[test]
fn every_word_that_is_offered_as_a_mode_is_one() {
    for word in value::words("MODE", "executor") {
        assert!(word.parse::<runtime::probe::Wish>().is_ok(), "{word}");
    }
}

#[test]
fn a_question_is_told_from_other_arguments() {
    let question = |line: &str| {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        Question::of(&words).map(|question| (question.number, question.words.len()))
    };
    let table = [
        ("careen __complete zsh 2 careen build ", Some((2, 3))),
        ("careen __complete tcsh 2 careen", None),
        ("careen __complete bash x careen", None),
        ("careen build __complete", None),
        ("careen", None),
    ];
    for (line, expected) in table {
        assert_eq!(question(line), expected, "{line}");
    }
}
