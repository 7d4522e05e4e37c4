"""Kills a build at chosen system calls, and looks whether the next one is as if nothing had happened.

    drill.py CAREEN WORK [SEED [COUNT]]

It runs as root, for the tracer, and builds as the user DRILL_USER (`careen-t1`) in WORK, upon the image layout WORK/base. The
calls are those that change something: files, names, mounts, processes. At one of them the process that makes it is killed
before it is done, or all processes of the build; calls that there are few of are met as often as others.

Then nothing of the build is left within a second; an archive is there whole or not at all; another build that
ran beside it has its result; `careen fsck` finds nothing; and the next build, without any step by hand, gives the bytes of an
undisturbed one, waits for nobody, and leaves nothing unfinished.
"""

import collections
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from scene import Broken, Disturbed, Scene  # noqa: E402
from tracer import Fault  # noqa: E402

CALLS = ["openat", "openat2", "write", "pwrite64", "copy_file_range", "sendfile", "ftruncate", "fsync", "fdatasync", "syncfs",
         "rename", "renameat", "renameat2", "link", "linkat", "mkdir", "mkdirat", "symlink", "symlinkat", "mknodat", "unlink",
         "unlinkat", "flock", "mount", "move_mount", "clone", "clone3", "execve"]
# How much longer than the disturbed build the next one may take: it waits for nothing that a dead one had.
WAIT_SECONDS = 5


def main():
    if os.uname().machine != "x86_64":
        print("points: not run, the tracer knows the registers of x86-64 alone")
        return
    careen, work = sys.argv[1:3]
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    count = int(sys.argv[4]) if len(sys.argv) > 4 else 30
    drill = Disturbed(Scene(careen, work), CALLS, seed)
    table, failures = collections.Counter(), 0
    for number in range(count):
        state = drill.STATES[number % len(drill.STATES)]
        call = drill.choose(state)
        fault = Fault(call.name, call.number, kill="all" if drill.random.randrange(4) == 0 else "one")
        try:
            ended, seconds = drill.trial(state, fault)
            if seconds > ended.seconds + WAIT_SECONDS:
                raise Broken(f"the next build took {seconds:.1f} s")
            table[fault.name if ended.calls else "not met"] += 1
        except Broken as broken:
            failures += 1
            print(f"point {number}, {state}, {fault} of `{call.path}`: {broken}", flush=True)
    for name, times in sorted(table.items()):
        print(f"{name:16} {times:4}")
    print(f"points: seed {seed}, {sum(table.values()) - table['not met']} builds killed, {failures} failures")
    sys.exit(1 if failures else 0)


main()
