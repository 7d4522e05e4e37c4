//! Stores whose file system has no room left: what a build says, and that the next one goes on once there is room.
//!
//! Each store is in memory, with a size, in a mount namespace that ends with the test.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use support::{Bench, Feature, needs};

use crate::bench;
use crate::crowded::modes;

/// Builds in a store of 12 MiB, tells how that ended and what it leaves unfinished, and builds again with more room.
const TWICE: &str = "
    place=${CAREEN_STORE%/*}
    mount -t tmpfs -o size=12m small \"$place\"
    code=0; \"$0\" \"$@\" || code=$?
    echo \"== code $code, unfinished: $(ls \"$CAREEN_STORE/ingest\" | wc -l)\" >&2
    mount -o remount,size=200m small \"$place\"
    exec \"$0\" \"$@\"
";

/// What a build says that is made twice.
struct Twice {
    first: String,
    /// How the first one ended, and how much it left unfinished.
    end: String,
    second: String,
}

fn build(bench: &Bench, mode: &str) -> Twice {
    fs::create_dir_all(bench.path("home/small")).unwrap();
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let namespaces: &[&str] = match (is_root, mode) {
        (true, _) => &["--mount"],
        (false, "userns-multi") => &["--map-root-user", "--map-auto", "--mount"],
        (false, _) => &["--map-root-user", "--mount"],
    };
    let unshare: &[&str] = &["unshare"];
    let wrapper = [unshare, namespaces, &["sh", "-ec", TWICE]].concat();
    let run = bench.careen_build_under(&wrapper, &["--executor", mode]);
    let run = run.env("CAREEN_STORE", bench.path("home/small/store"));
    let run = run.run().success();
    let (first, rest) = run.stderr.split_once("\n== ").expect(&run.stderr);
    let (end, second) = rest.split_once('\n').expect(&run.stderr);
    let [first, end, second] = [first, end, second].map(str::to_owned);
    Twice { first, end, second }
}

/// Returns the modes in which commands run here.
pub(crate) fn all_modes() -> Vec<&'static str> {
    let mut all = modes().to_vec();
    if needs::has(Feature::Root) {
        all.push("chroot");
    }
    all
}

#[test]
fn a_command_that_fills_the_disk_names_the_store_and_runs_when_there_is_room() {
    needs!(Feature::Busybox);
    for mode in all_modes() {
        let bench = bench().with_busybox();
        bench.dockerfile(
            "FROM base\nRUN echo kept > /kept\nRUN head -c 40000000 /dev/zero > /big\n",
        );
        let Twice { first, end, second } = build(&bench, mode);
        assert_eq!(end, "code 1, unfinished: 0", "{mode}: {first}");
        let note = "  = note: the file system of the store `$BENCH/home/small/store` is full\n";
        assert!(first.contains(note), "{mode}: {first}");
        assert!(second.contains(" CACHED\n"), "{mode}: {second}");
    }
}

#[test]
fn a_command_that_found_no_room_and_gave_it_back_names_the_store() {
    needs!(Feature::Busybox);
    for mode in modes() {
        let bench = bench().with_busybox();
        bench.dockerfile(
            "FROM base\nRUN dd if=/dev/zero of=/big bs=1M count=40 || { rm /big; exit 1; }\n",
        );
        let Twice { first, end, .. } = build(&bench, mode);
        assert_eq!(end, "code 1, unfinished: 0", "{mode}: {first}");
        let note = "  = note: the file system of the store `$BENCH/home/small/store` is full\n";
        assert!(first.contains(note), "{mode}: {first}");
    }
}

#[test]
fn files_that_find_no_room_name_their_place_and_the_way_out() {
    needs!(Feature::Busybox);
    for mode in modes() {
        let bench = bench().with_busybox();
        bench.file("big", vec![7; 40_000_000]);
        bench.dockerfile("FROM base\nCOPY big /big\nRUN test -s /big\n");
        let Twice { first, end, .. } = build(&bench, mode);
        assert_eq!(end, "code 3, unfinished: 0", "{mode}: {first}");
        for said in [
            "$BENCH/home/small/store/",
            "No space left on device (os error 28)\n",
            "  = help: `careen prune` makes room in the store, and `--store DIR` names another directory",
        ] {
            assert!(first.contains(said), "{mode}: {first}");
        }
    }
}
