//! The same sources, the same bytes.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use support::{Archive, Bench, Feature, needs};

use crate::bench;

const DOCKERFILE: &str = "FROM base AS one\nWORKDIR /one\nCOPY src .\nRUN date > now && ls -l > list; mkdir -p deep/er\n\
    FROM base AS two\nRUN mkdir /two && for i in 1 2 3 4 5 6 7 8; do echo $i > /two/$i; done\n\
    FROM base\nCOPY --from=two /two /two\nCOPY --from=one /one/deep /deep\nCOPY src/[a-m]* /src/\n\
    RUN cat /two/* > /all; touch /new\n";

/// Writes the context; its files get times that differ from bench to bench.
fn fill(bench: &Bench, time: u64) {
    for name in ["z", "b", "sub/x", "a"] {
        bench.file(&format!("src/{name}"), name);
        let path = bench.path("context/src").join(name);
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(time);
        File::options()
            .append(true)
            .open(path)
            .unwrap()
            .set_modified(time)
            .unwrap();
    }
    bench.dockerfile(DOCKERFILE);
}

const OUTPUT: &str = "type=oci,dest=out.tar,rewrite-timestamp=true";

#[test]
fn stores_jobs_time_zones_umasks_and_paths_do_not_matter() {
    needs!(Feature::Busybox);
    let one = bench().with_busybox();
    fill(&one, 1_750_000_000);
    let first = one.build_as(&["-j", "4", "-t", "demo"], OUTPUT);

    let two = bench().with_busybox();
    fill(&two, 1_760_000_000);
    fs::create_dir_all(two.path("else/where")).unwrap();
    fs::rename(two.path("context"), two.path("else/where/context")).unwrap();
    std::os::unix::fs::symlink("else/where/context", two.path("context")).unwrap();
    let under = ["sh", "-c", "umask 077; exec \"$@\"", "sh"];
    let run = two.careen_build_under(&under, &["-j", "1", "-t", "demo", "-o", OUTPUT]);
    run.env("TZ", "Asia/Kathmandu")
        .env("LANG", "de_DE.UTF-8")
        .run()
        .success();
    let bytes = fs::read(two.path("out.tar")).unwrap();

    assert_eq!(
        Archive::read(&bytes).top_digest(),
        first.archive.top_digest()
    );
    assert_eq!(bytes, fs::read(one.path("out.tar")).unwrap());
}

#[test]
fn no_time_of_a_file_is_later_than_the_epoch() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    fill(&bench, 1_750_000_000);
    let built = bench.build_as(&[], OUTPUT);
    let image = built.image();
    let own = image.layers.iter().skip(1).flatten();
    let late: Vec<_> = own.filter(|entry| entry.mtime > 1_700_000_000).collect();
    assert_eq!(late, Vec::<&support::Entry>::new());
    assert_eq!(image.entry("src/a").mtime, 1_700_000_000);
}

#[test]
fn an_earlier_time_stays_what_it_is() {
    let bench = bench();
    fill(&bench, 1_600_000_000);
    bench.dockerfile("FROM scratch\nCOPY src/a /\n");
    assert_eq!(
        bench.build_as(&[], OUTPUT).image().entry("a").mtime,
        1_600_000_000
    );
}
