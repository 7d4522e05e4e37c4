//! Drill D5, as a matrix: each fault of a registry upon a pull, a push and a cache of a registry. Each ends well or says what the
//! registry did; either way no tag leads to what is not there, the store is whole, and what is done next without the fault is done.
//!
//! A request that is broken is reset, since there is more of it; that an answer is reset is tried by the program of the drill
//! (`tests/drills/registry`), with all of these in any order. What takes minutes in a program, a registry that is slow, is tried with other limits in `transport` (`faults/slow.rs`).

use std::fmt::Write as _;

use support::http::Asked;
use support::layout::{BaseImage, host_platform};
use support::program::Finished;
use support::registry::{Door, LocationForm, Manners};
use support::{Bench, Fault, Registry};

use crate::bench;

/// The repositories: of the base, of what is built on it, of the cache.
const REPOSITORIES: [&str; 3] = ["lib/base", "team/app", "team/cache"];

/// How often and when the program tries again.
const TRIES: [&str; 4] = ["--retry", "4", "--retry-delay", "0s"];

/// What is to come of one piece of work.
#[derive(Clone, Copy)]
enum Expected {
    /// It is done.
    Done,
    /// It fails, and says this.
    Fails(&'static str),
    /// It is done, with a warning that says this.
    Warns(&'static str),
}

use Expected::{Done, Fails, Warns};

/// What goes wrong, of each request anew.
type Misbehaviour = Box<dyn FnMut(&Asked) -> Option<Fault> + Send>;

/// One fault, and what is to come of it.
struct Row {
    manners: Manners,
    fault: fn() -> Misbehaviour,
    pull: Expected,
    push: Expected,
    cache: Expected,
}

impl Row {
    /// A fault that everything survives.
    fn survived(fault: fn() -> Misbehaviour) -> Self {
        Self {
            manners: Manners::default(),
            fault,
            pull: Done,
            push: Done,
            cache: Done,
        }
    }

    /// A way in which a registry behaves that everything survives.
    fn manners(manners: Manners) -> Self {
        Self {
            manners,
            ..Self::survived(|| Box::new(|_| None))
        }
    }

    /// Tries it upon all three.
    fn run(self) {
        for (what, work, expected) in [
            ("pull", pull as fn(&Bench, &Registry) -> Finished, self.pull),
            ("push", push, self.push),
            ("cache", cache, self.cache),
        ] {
            let place = Place::new(&self.manners, what);
            place.server.misbehave((self.fault)());
            let said = work(&place.bench, &place.server);
            check(what, &said, expected);
            place.server.misbehave(|_| None);
            place.check_whole(what);
            // What is done without the fault is done, whatever was left.
            let again = work(&place.bench, &place.server);
            assert_eq!(again.code(), 0, "{what}, once more: {}", again.stderr);
            place.check_whole(what);
        }
    }
}

fn check(what: &str, said: &Finished, expected: Expected) {
    let text = &said.stderr;
    match expected {
        Done => assert_eq!(said.code(), 0, "{what}: {text}"),
        Fails(words) => {
            // What came whole and is something else is no failure of the registry's to answer.
            let code = if words.contains("damaged") { 1 } else { 4 };
            assert_eq!(said.code(), code, "{what}: {text}");
            assert!(text.contains(words), "{what}: {text}");
        }
        Warns(words) => {
            assert_eq!(said.code(), 0, "{what}: {text}");
            assert!(text.contains(words), "{what}: {text}");
        }
    }
}

/// A registry that has what the work needs, and a context.
struct Place {
    bench: Bench,
    server: Registry,
}

impl Place {
    fn new(manners: &Manners, what: &str) -> Self {
        let bench = bench().with_base(&[
            BaseImage::new(&host_platform(), Vec::new()),
            BaseImage::new("linux/s390x", Vec::new()),
        ]);
        let server = Registry::start();
        bench.file("noise", noise(200_000));
        let base = format!("{}/lib/base:1", server.host());
        bench
            .careen(&["copy", "--all", "oci:base:latest", &base])
            .run()
            .success();
        bench.dockerfile(&format!("FROM {base} AS parts\nCOPY noise /noise\nFROM {base}\nCOPY --from=parts /noise /copied\n"));
        if what == "pull" {
            push(&bench, &server).success();
            bench.forget();
        }
        server.behave(manners.clone());
        server.seen();
        Self { bench, server }
    }

    /// Fails where the store is damaged, or a tag leads to what is not there.
    fn check_whole(&self, what: &str) {
        self.bench.careen(&["fsck"]).run().success();
        for repository in REPOSITORIES {
            let dangling = self.server.dangling(repository);
            assert_eq!(dangling, [""; 0], "{what}: {repository}");
        }
    }
}

/// Returns bytes that nothing makes smaller.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        u8::try_from(state >> 56).unwrap()
    };
    (0..length).map(|_| next()).collect()
}

fn pull(bench: &Bench, server: &Registry) -> Finished {
    let name = format!("{}/team/app:1", server.host());
    let pull = bench.careen(&["pull", "--creds", "me:secret", &name]);
    pull.args(&TRIES).run()
}

fn build(bench: &Bench, flags: &[&str]) -> Finished {
    let platforms = format!("{},linux/s390x", host_platform());
    let build = bench.careen_build(&["--platform", &platforms, "--creds", "me:secret"]);
    build.args(flags).args(&TRIES).run()
}

fn push(bench: &Bench, server: &Registry) -> Finished {
    let name = format!("{}/team/app:1", server.host());
    build(bench, &["--push", "-t", &name])
}

/// Writes a cache, and builds from it with an empty store.
fn cache(bench: &Bench, server: &Registry) -> Finished {
    let name = format!("{}/team/cache:1", server.host());
    let to = format!("type=registry,ref={name},mode=max");
    let written = build(bench, &["--cache-to", &to]);
    if written.code() != 0 {
        return written;
    }
    bench.forget();
    build(
        bench,
        &[
            "--cache-from",
            &name,
            "--output",
            "type=oci,dest=cached.tar",
        ],
    )
}

/// Tells whether a request brings bytes of a blob, or asks for them.
fn moves_blob(asked: &Asked) -> bool {
    let brings = asked
        .header("content-length")
        .is_some_and(|length| length != "0");
    match asked.method.as_str() {
        "GET" => asked.path.contains("/blobs/"),
        "PUT" | "PATCH" => asked.path.contains("/blobs/uploads/") && brings,
        _ => false,
    }
}

/// Says that the first few requests of a kind go wrong, differently or in the same way.
fn first(
    times: usize,
    is_one: fn(&Asked) -> bool,
    fault: impl Fn(usize, &Asked) -> Fault + Send + 'static,
) -> Misbehaviour {
    let mut number = 0;
    Box::new(move |asked| {
        if !is_one(asked) || number == times {
            return None;
        }
        number += 1;
        Some(fault(number - 1, asked))
    })
}

/// Says that all requests of a kind go wrong in the same way.
fn always(is_one: fn(&Asked) -> bool, fault: Fault) -> Misbehaviour {
    Box::new(move |asked| is_one(asked).then(|| fault.clone()))
}

/// Tells whether a request asks for a blob of what was built or kept: the base is read by all.
fn gets_blob(asked: &Asked) -> bool {
    asked.method == "GET" && asked.path.contains("/team/") && asked.path.contains("/blobs/")
}

/// Breaks a connection where it moves bytes.
fn break_at(asked: &Asked, bytes: u64) -> Fault {
    match asked.method.as_str() {
        "GET" => Fault::BreakAnswer(bytes),
        _ => Fault::BreakRequest(bytes),
    }
}

#[test]
fn d5_connections_break_at_some_byte() {
    Row::survived(|| {
        let places = [0, 1, 100, 65_536, 150_000];
        first(places.len(), moves_blob, move |number, asked| {
            break_at(asked, places[number])
        })
    })
    .run();
}

#[test]
fn d5_every_connection_breaks_and_goes_a_little_further() {
    Row::survived(|| first(usize::MAX, moves_blob, |_, asked| break_at(asked, 90_000))).run();
}

#[test]
fn d5_too_many_requests_with_seconds_with_a_date_and_with_what_is_neither() {
    Row::survived(|| {
        let times = [
            "1",
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "soon",
            "-1",
            "18446744073709551616",
        ];
        first(
            times.len() - 1,
            |_| true,
            move |number, _| {
                let header = ("Retry-After".to_owned(), times[number + 1].to_owned());
                Fault::Answer(429, vec![header])
            },
        )
    })
    .run();
}

#[test]
fn d5_four_errors_that_pass_are_survived_and_those_that_stay_are_told() {
    Row::survived(|| first(4, |_| true, |_, _| Fault::status(500))).run();
    Row {
        pull: Fails("the registry answered 503"),
        push: Fails("the registry answered 503"),
        cache: Fails("the registry answered 503"),
        ..Row::survived(|| always(|asked| asked.path.contains("/team/"), Fault::status(503)))
    }
    .run();
}

#[test]
fn d5_a_blob_has_another_digest() {
    Row {
        pull: Fails("is damaged: its"),
        push: Done,
        cache: Warns("is damaged: its"),
        ..Row::survived(|| always(gets_blob, Fault::WrongByte))
    }
    .run();
}

#[test]
fn d5_a_blob_is_short() {
    Row {
        pull: Fails("are expected"),
        push: Done,
        cache: Warns("are expected"),
        ..Row::survived(|| always(gets_blob, Fault::Shorten(20)))
    }
    .run();
}

#[test]
fn d5_a_blob_has_a_byte_more() {
    Row {
        pull: Fails("are expected"),
        push: Done,
        cache: Warns("are expected"),
        ..Row::survived(|| always(gets_blob, Fault::Lengthen(1)))
    }
    .run();
}

#[test]
fn d5_a_body_comes_in_packets_of_one_byte() {
    Row::survived(|| first(2, gets_blob, |_, _| Fault::Dribble)).run();
}

#[test]
fn d5_a_token_expires_in_the_middle() {
    Row::manners(Manners {
        door: Door::Token {
            user: "me".to_owned(),
            password: "secret".to_owned(),
            uses: 1,
        },
        ..Manners::default()
    })
    .run();
}

#[test]
fn d5_a_blob_of_another_repository_is_not_given() {
    Row::manners(Manners {
        no_mounts: true,
        ..Manners::default()
    })
    .run();
    Row::survived(|| {
        let mounts = |asked: &Asked| asked.method == "POST" && asked.path.contains("mount=");
        let statuses = [404, 403, 405];
        first(usize::MAX, mounts, move |number, _| {
            Fault::status(statuses[number % 3])
        })
    })
    .run();
}

#[test]
fn d5_an_upload_goes_on_at_a_relative_an_absolute_and_an_odd_place() {
    for location in [
        LocationForm::Relative,
        LocationForm::Url,
        LocationForm::Query,
    ] {
        Row {
            manners: Manners {
                location,
                ..Manners::default()
            },
            ..Row::survived(|| first(2, moves_blob, |_, asked| break_at(asked, 70_000)))
        }
        .run();
    }
}

#[test]
fn d5_a_range_is_refused() {
    Row::survived(|| {
        let mut number = 0;
        Box::new(move |asked| {
            let is_part =
                asked.header("range").is_some() || asked.header("content-range").is_some();
            number += usize::from(moves_blob(asked) && !is_part);
            match (is_part, asked.method.as_str()) {
                (true, "GET") => Some(Fault::NoRange),
                // What a registry refuses to go on with is begun anew.
                (true, _) => Some(Fault::ForgetUploads),
                _ if moves_blob(asked) && number <= 2 => Some(break_at(asked, 70_000)),
                _ => None,
            }
        })
    })
    .run();
    Row {
        pull: Fails("the registry answered 416"),
        push: Done,
        cache: Warns("the registry answered 416"),
        ..Row::survived(|| {
            Box::new(|asked| match asked.header("range") {
                Some(_) => Some(Fault::status(416)),
                None if gets_blob(asked) => Some(Fault::BreakAnswer(100)),
                None => None,
            })
        })
    }
    .run();
}

#[test]
fn d5_what_is_put_is_answered_without_a_digest() {
    Row::survived(|| always(|_| true, Fault::NoHeader("Docker-Content-Digest"))).run();
}

#[test]
fn d5_answers_are_of_http_1_0_and_end_with_their_connection() {
    Row::survived(|| always(|_| true, Fault::OldHttp)).run();
}

#[test]
fn d5_answers_are_compressed_on_the_way() {
    Row {
        pull: Fails("compressed on the way (`gzip`)"),
        push: Fails("compressed on the way (`gzip`)"),
        cache: Fails("compressed on the way (`gzip`)"),
        ..Row::survived(|| always(|asked| asked.method == "GET", Fault::Compress))
    }
    .run();
    // Of the cache alone: the build goes on without it.
    Row {
        cache: Warns("compressed on the way (`gzip`)"),
        ..Row::survived(|| {
            always(
                |asked| asked.method == "GET" && asked.path.contains("/team/cache/"),
                Fault::Compress,
            )
        })
    }
    .run();
}

#[test]
fn d5_an_index_is_refused_before_its_children_are_there() {
    Row::manners(Manners {
        checks_references: true,
        ..Manners::default()
    })
    .run();
}

#[test]
fn d5_an_answer_is_lost() {
    Row::survived(|| first(3, |asked| asked.method != "GET", |_, _| Fault::LoseAnswer)).run();
}

#[test]
fn d5_what_is_broken_off_is_moved_once_and_a_piece() {
    for (what, work) in [
        ("pull", pull as fn(&Bench, &Registry) -> Finished),
        ("push", push),
    ] {
        let place = Place::new(&Manners::default(), what);
        let chunk: u64 = 90_000;
        place
            .server
            .misbehave(first(usize::MAX, moves_blob, move |_, asked| {
                break_at(asked, chunk)
            }));
        work(&place.bench, &place.server).success();
        let seen = place.server.seen();
        let mut log = String::new();
        for seen in &seen {
            writeln!(
                log,
                "{} {:?} {}",
                seen.line(),
                seen.asked.header("range"),
                seen.received_bytes
            )
            .unwrap();
        }
        let brought: u64 = seen
            .iter()
            .filter(|seen| seen.asked.path.contains("/blobs/uploads/"))
            .map(|seen| seen.received_bytes)
            .sum();
        // Two layers of 200,000 bytes and less, with two configurations for each of two platforms.
        assert!(brought <= 410_000 + chunk, "{what}: {brought}\n{log}");
        let from: Vec<u64> = seen
            .iter()
            .filter_map(|seen| {
                seen.asked
                    .header("range")?
                    .strip_prefix("bytes=")?
                    .strip_suffix('-')?
                    .parse()
                    .ok()
            })
            .collect();
        assert!(
            from.iter().all(|from| from % chunk == 0),
            "{what}: {from:?}\n{log}"
        );
    }
}
