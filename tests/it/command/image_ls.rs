//! `careen image ls`.

use crate::bench;

#[test]
fn images_are_listed_by_name_with_their_platforms() {
    let bench = bench();
    bench.dockerfile("FROM scratch\nCOPY Dockerfile /\n");
    let empty = bench.careen(&["image", "ls"]).run().success();
    assert_eq!(
        empty.text(),
        "REPOSITORY   TAG   DIGEST                PLATFORMS\n"
    );
    let built = bench.build(&[
        "--platform",
        "linux/amd64,linux/arm64",
        "-t",
        "demo",
        "-t",
        "example.org/some/thing:1.2.3",
    ]);
    bench.careen(&["load", "-i", "out.tar"]).run().success();
    let digest = built.archive.top_digest().to_string();
    let digest = digest.get(..19).unwrap();
    let expected = format!(
        "REPOSITORY               TAG      DIGEST                PLATFORMS\n\
         demo                     latest   {digest}   linux/amd64, linux/arm64\n\
         example.org/some/thing   1.2.3    {digest}   linux/amd64, linux/arm64\n"
    );
    assert_eq!(
        bench.careen(&["image", "ls"]).run().success().text(),
        expected
    );
}
