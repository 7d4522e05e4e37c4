//! Results that cannot be written to standard output.

use std::fs::File;

use crate::bench;

#[test]
fn a_result_that_nobody_can_read_is_an_error() {
    let bench = bench();
    bench.file("file", "content\n");
    bench.dockerfile("FROM scratch\nCOPY file /\n");
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let build = bench.careen(&["build", "--quiet", "--load", "-t", "app", "context"]);
    let list = bench.careen(&["image", "ls"]);
    for command in [build, list] {
        assert_eq!(
            command.stdout(full()).run().error(1),
            "error: cannot write to standard output\n  \
             = caused by: No space left on device (os error 28)"
        );
    }
}
