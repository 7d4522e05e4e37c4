//! Tests of kept steps.

use graph::{
    CacheMount, CacheSeed, CacheSharing, MountAccess, MountOwner, NetworkMode, SandboxSettings,
    SecretMount, SshMount,
};

use super::*;
use crate::ops::exec::Secret;

fn step(argv: &[&str], mounts: Vec<ExecMount>) -> KeptStep {
    KeptStep {
        created: Timestamp::from_unix_seconds(1_000).unwrap(),
        label: StepLabel::default(),
        platform: Platform::new("linux", "amd64"),
        failure: "exited with status 1".to_owned(),
        op: ExecOp {
            argv: argv.iter().map(|&word| word.to_owned()).collect(),
            env: vec!["A=1".to_owned()],
            working_directory: "/work".to_owned(),
            user: String::new(),
            hostname: "box".to_owned(),
            network: NetworkMode::Default,
            files: Vec::new(),
            mounts,
            sandbox: SandboxSettings::default(),
        },
        inputs: vec![Some(SnapshotId::new("kept-0123456789ab-0").unwrap()), None],
        volumes: Vec::new(),
        network: UsualNetwork::SandboxOrHost,
    }
}

fn mounts() -> Vec<ExecMount> {
    let owner = MountOwner {
        mode: 0o400,
        uid: 0,
        gid: 0,
    };
    let cache = |id: &str, seed| {
        ExecMount::Cache(CacheMount {
            target: "/cache".to_owned(),
            namespace: String::new(),
            id: id.to_owned(),
            sharing: CacheSharing::Shared,
            seed,
            source: "/".to_owned(),
            access: MountAccess::ReadWrite,
        })
    };
    let input = CacheSeed::Input {
        input: 1,
        path: "/".to_owned(),
    };
    vec![
        ExecMount::Secret(SecretMount {
            id: "token".to_owned(),
            target: None,
            env: Some("TOKEN".to_owned()),
            required: true,
            owner,
        }),
        ExecMount::Ssh(SshMount {
            id: "default".to_owned(),
            target: "/agent".to_owned(),
            required: true,
            owner,
        }),
        cache("kept", CacheSeed::Empty),
        cache("of-stage", input),
    ]
}

#[test]
fn the_shell_is_the_commands_own_or_the_usual_one() {
    for (argv, expected) in [
        (&["/bin/sh", "-c", "make"][..], "/bin/sh"),
        (&["/bin/bash", "-o", "pipefail", "-c", "make"], "/bin/bash"),
        (&["bash", "-c", "make"], "bash"),
        (&["/usr/bin/make"], "/bin/sh"),
        (&["/bin/pwsh", "-c", "make"], "/bin/sh"),
        (&[], "/bin/sh"),
    ] {
        assert_eq!(step(argv, Vec::new()).shell(), expected, "{argv:?}");
    }
}

#[test]
fn what_is_not_kept_is_told() {
    let kept = step(&[], mounts());
    let none = Given::default();
    assert_eq!(
        kept.missing(&none),
        [
            "the secret `token`",
            "the SSH agent `default`",
            "the cache `of-stage`, which begins with files of a stage"
        ]
    );
    let secret = Secret::new(b"hidden".to_vec());
    let given = Given {
        secrets: [("token".to_owned(), secret)].into_iter().collect(),
        ..none
    };
    assert_eq!(kept.missing(&given).len(), 2);
}

#[test]
fn a_document_is_read_as_it_was_written_and_has_no_secret() {
    let kept = step(&["/bin/sh", "-c", "make"], mounts());
    let text = serde_json::to_string(&kept).unwrap();
    assert_eq!(serde_json::from_str::<KeptStep>(&text).unwrap(), kept);
    assert!(text.contains("TOKEN"), "{text}");
}

#[test]
fn the_oldest_go_for_one_more_and_what_is_too_old_goes_anyway() {
    let now = Timestamp::from_unix_seconds(1_000_000).unwrap();
    let id = |number: usize| format!("{number:012x}").parse::<KeptId>().unwrap();
    let at = |number: usize, age: u64| {
        let created = now.earlier_by(Duration::from_secs(age));
        (Some(created), id(number))
    };
    let day = 24 * 60 * 60;
    let cases = [
        (vec![], vec![]),
        (vec![at(1, 4), at(2, 3), at(3, 2), at(4, 1)], vec![]),
        (
            vec![at(3, 2), at(1, 4), at(5, 0), at(2, 3), at(4, 1)],
            vec![id(1)],
        ),
        (vec![at(1, day), at(2, day + 1)], vec![id(2)]),
        (vec![(None, id(1)), at(2, 1)], vec![id(1)]),
    ];
    for (known, expected) in cases {
        assert_eq!(surplus(known.clone(), now), expected, "{known:?}");
    }
}
