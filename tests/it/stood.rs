//! What stands on a command that ran again: a result of the cache belongs onto what it was made on, and onto nothing else.

use std::time::Instant;

use support::{Bench, Built, Feature, Finished, Outcome, needs};

use crate::bench;

const DONE: Option<Outcome> = Some(Outcome::Done);
const CACHED: Option<Outcome> = Some(Outcome::Cached);

/// A command that leaves something else each time.
const ONE: &str = "RUN head -c 16 /dev/urandom | md5sum > /one";
/// One that keeps what that left.
const TWO: &str = "RUN cat /one > /two";

fn both() -> String {
    format!("FROM base\n{ONE}\n{TWO}\n")
}

fn build(bench: &Bench, dockerfile: &str, arguments: &[&str]) -> Built {
    bench.dockerfile(dockerfile);
    bench.build(arguments)
}

fn outcomes<const N: usize>(log: &Finished, names: [&str; N]) -> [Option<Outcome>; N] {
    names.map(|name| log.outcome(name))
}

/// Returns what the first command left, which the second one must have seen.
fn seen_by_both(built: &Built) -> String {
    let image = built.image();
    assert_eq!(image.text("one"), image.text("two"));
    image.text("one").to_owned()
}

/// Runs steps again under the keys that they have, up to one that fails.
fn renew(bench: &Bench, steps: &str) {
    bench.dockerfile(&format!("FROM base\n{steps}\nRUN false\n"));
    bench.failure(&["--no-cache"], 1);
}

#[test]
fn a_command_is_not_put_onto_what_a_failed_build_made_anew() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let first = build(&bench, &both(), &[]);
    renew(&bench, ONE);
    let second = build(&bench, &both(), &[]);
    assert_ne!(seen_by_both(&first), seen_by_both(&second));
    assert_eq!(outcomes(&second.log, [ONE, TWO]), [CACHED, DONE]);
    let third = build(&bench, &both(), &[]);
    assert_eq!(seen_by_both(&second), seen_by_both(&third));
    assert_eq!(outcomes(&third.log, [ONE, TWO]), [CACHED; 2]);
}

/// Builds one command, then both, and then once more what is older than the second. Returns what came of that.
fn build_by_age(bench: &Bench, one: &str) -> Built {
    build(bench, &format!("FROM base\n{one}\n"), &[]);
    let between = Instant::now();
    // So that there is time between them, however long the machine takes to start a program.
    for word in ["a", "b"] {
        build(bench, &format!("FROM base\nRUN : {word}\n"), &[]);
    }
    build(bench, &format!("FROM base\n{one}\n{TWO}\n"), &[]);
    let age = format!("{}us", between.elapsed().as_micros());
    bench.build(&["--cache-ttl", &age])
}

#[test]
fn a_command_is_not_put_onto_what_is_made_anew_for_its_age() {
    needs!(Feature::Busybox);
    let built = build_by_age(&bench().with_busybox(), ONE);
    assert_eq!(outcomes(&built.log, [ONE, TWO]), [DONE; 2]);
    seen_by_both(&built);
}

#[test]
fn a_command_is_put_onto_what_came_out_the_same_again() {
    needs!(Feature::Busybox);
    let steady = "RUN echo 1 > /one";
    let built = build_by_age(&bench().with_busybox(), steady);
    assert_eq!(outcomes(&built.log, [steady, TWO]), [DONE, CACHED]);
    seen_by_both(&built);
}

#[test]
fn a_copy_goes_where_what_is_below_says_now() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.file("file", "1\n");
    let link = "RUN d=$(head -c 16 /dev/urandom | md5sum | cut -c 1-8) && mkdir /$d && ln -s $d /d && echo $d > /name";
    let dockerfile = |copy: &str| format!("FROM base\n{link}\n{copy}\n");
    for (copy, expected) in [("COPY file /d/", DONE), ("COPY --link file /e/", CACHED)] {
        build(&bench, &dockerfile(copy), &[]);
        renew(&bench, link);
        let built = build(&bench, &dockerfile(copy), &[]);
        assert_eq!(outcomes(&built.log, [link, copy]), [CACHED, expected]);
        let image = built.image();
        let directory = if copy.contains("--link") {
            "e"
        } else {
            image.text("name").trim()
        };
        assert_eq!(image.text(&format!("{directory}/file")), "1\n");
    }
}

#[test]
fn what_a_cache_has_is_not_put_onto_what_was_made_here() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let [to, from] = ["type=local,dest=cache,mode=max", "type=local,src=cache"];
    let there = build(&bench, &both(), &["--cache-to", to]);
    bench.forget();
    build(&bench, &format!("FROM base\n{ONE}\n"), &[]);
    let here = build(&bench, &both(), &["--cache-from", from]);
    assert_eq!(outcomes(&here.log, [ONE, TWO]), [CACHED, DONE]);
    assert_ne!(seen_by_both(&there), seen_by_both(&here));
}

#[test]
fn what_another_machine_made_on_what_came_from_here_is_put_onto_it() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let to = ["--cache-to", "type=local,dest=cache,mode=max"];
    let from = ["--cache-from", "type=local,src=cache"];
    build(&bench, &format!("FROM base\n{ONE}\n"), &to);
    bench.dockerfile(&both());
    let elsewhere = bench.careen_build(&[from, to].concat());
    let elsewhere = elsewhere.env("CAREEN_STORE", bench.path("elsewhere"));
    let elsewhere = elsewhere.run().success();
    assert_eq!(outcomes(&elsewhere, [ONE, TWO]), [CACHED, DONE]);
    for _ in 0..2 {
        let here = build(&bench, &both(), &from);
        assert_eq!(outcomes(&here.log, [ONE, TWO]), [CACHED; 2]);
        seen_by_both(&here);
    }
}

/// The keys that a Dockerfile gives are exported too, and not only those that its results go by.
#[test]
fn a_cache_of_results_that_stand_for_others_is_found_by_an_empty_store() {
    needs!(Feature::Busybox);
    for to in ["type=local,dest=cache,mode=max", "type=local,dest=cache"] {
        let bench = bench().with_busybox();
        bench.file("file", "1\n");
        let dockerfile = |word: &str| {
            format!(
                "FROM base AS tools\nRUN : {word}; echo t > /tool\nFROM base\n\
                 RUN : {word}; echo 1 > /one\n{TWO}\nCOPY file /\n\
                 COPY --from=tools /tool /\nRUN cat /two /file /tool > /all\n"
            )
        };
        let names = [
            "RUN : b; echo 1 > /one",
            TWO,
            "COPY file /",
            "COPY --from=tools /tool /",
            "RUN cat /two /file /tool > /all",
        ];
        build(&bench, &dockerfile("a"), &[]);
        let cut_off = build(&bench, &dockerfile("b"), &["--cache-to", to]);
        let expected = [DONE, CACHED, CACHED, CACHED, CACHED];
        assert_eq!(outcomes(&cut_off.log, names), expected);
        let from = ["--cache-from", "type=local,src=cache"];
        // The second cache is written by a build that finds everything by its first look.
        for arguments in [&[][..], &["--cache-to", to]] {
            let arguments = [&from[..], arguments].concat();
            bench.forget();
            let empty = build(&bench, &dockerfile("b"), &arguments);
            assert_eq!(outcomes(&empty.log, names), [CACHED; 5], "{to}");
            assert_eq!(empty.image().text("all"), "1\n1\nt\n");
            assert_eq!(empty.log.output(), [""; 0]);
        }
    }
}
