//! `--mount=type=tmpfs`.

use support::{Feature, needs};

use crate::bench;

#[test]
fn memory_has_the_size_that_is_asked_for_and_leaves_nothing() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile(
        "FROM base\nRUN --mount=type=tmpfs,target=/dev/shm,size=128m --mount=type=tmpfs,target=/t \
         grep ' /dev/shm ' /proc/self/mounts | grep -o 'size=[0-9k]*' | tail -n 1 > /size && \
         stat -c '%a %u' /t > /mode && touch /t/file /dev/shm/file\n",
    );
    let built = bench.build(&[]);
    assert_eq!(built.image().text("size"), "size=131072k\n");
    assert_eq!(built.image().text("mode"), "1777 0\n");
    assert_eq!(built.image().top_paths(), ["mode", "size"]);
}

#[test]
fn memory_that_is_full_is_full() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile(
        "FROM base\nRUN --mount=type=tmpfs,target=/t,size=100k \
         ! dd if=/dev/zero of=/t/f bs=1k count=200 2>/dev/null && stat -c %s /t/f > /size\n",
    );
    assert_eq!(bench.build(&[]).image().text("size"), "102400\n");
}

#[test]
fn memory_that_is_read_only_cannot_be_written() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\nRUN --mount=type=tmpfs,target=/t,ro ! touch /t/f 2>/dev/null\n");
    bench.build(&[]);
}
