"""Lets system calls of a build fail, and looks at what it says and leaves.

    drill.py CAREEN WORK [SEED [COUNT]]

It runs as root, for the tracer, and builds as the user DRILL_USER (`careen-t1`) in WORK, upon the image layout WORK/base. The
calls are those on files of a disk; each is answered with an error that the kernel could give, and is not made. Calls that there
are few of are met as often as others.

A build that is interrupted or can do without goes on, and has its result. Another one ends with an error that has the system's
words and names the file, or what it is in. In any case nothing of it is left within a second; an archive is there whole or not
at all; another build that ran beside it has its result; `careen fsck` finds nothing; and the next build gives the bytes
of an undisturbed one and leaves nothing unfinished.
"""

import collections
import errno
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from scene import Broken, Disturbed, Scene, message  # noqa: E402
from tracer import Fault  # noqa: E402

FULL = [errno.ENOSPC, errno.EIO, errno.EDQUOT]
ERRORS = {
    **dict.fromkeys(["write", "pwrite64", "copy_file_range", "sendfile", "ftruncate"], [*FULL, errno.EINTR]),
    **dict.fromkeys(["fsync", "fdatasync", "syncfs", "rename", "renameat", "renameat2", "link", "linkat", "mkdir", "mkdirat",
                     "symlink", "symlinkat", "mknodat", "fsetxattr", "fchownat", "fchmod", "chmod", "utimensat"], FULL),
    **dict.fromkeys(["unlink", "unlinkat"], [errno.EIO]),
    **dict.fromkeys(["openat", "openat2"], [*FULL, errno.EMFILE, errno.EINTR]),
    **dict.fromkeys(["read", "pread64", "getdents64"], [errno.EIO]),
    "mmap": [errno.EIO, errno.ENOMEM],
    "flock": [errno.EINTR, errno.ENOLCK],
}
# Tells of each fault what became of it.
VERBOSE = "DRILL_VERBOSE" in os.environ
# What the dynamic loader and the C library say is theirs.
SYSTEM = ("/usr/", "/lib", "/etc/")


def judge(ended, error):
    """Fails unless a build that failed says why, and where."""
    if ended.code == 0:
        return "goes on" if ended.calls else "not met"
    if not ended.calls or ended.code not in (1, 3):
        raise Broken(f"it ended with {ended.code}\n{ended.said}")
    if error == errno.EINTR:
        raise Broken(f"a call that was interrupted is not made again\n{message(ended.said)}")
    told = message(ended.said)
    if os.strerror(error) not in told and errno.errorcode[error] not in told:
        raise Broken(f"it does not say `{os.strerror(error)}`\n{told}")
    if not names(told, ended.calls[0].path):
        raise Broken(f"it does not name `{ended.calls[0].path}`\n{told}")
    return "says why"


def names(told, path):
    """Tells whether a message names a file, or what it is in. Where a command of the build sees it, it has another name."""
    return any(word in told for word in pathlib.PurePath(path).parts[1:][-2:])


def main():
    if os.uname().machine != "x86_64":
        print("errno: not run, the tracer knows the registers of x86-64 alone")
        return
    careen, work = sys.argv[1:3]
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    count = int(sys.argv[4]) if len(sys.argv) > 4 else 30
    drill = Disturbed(Scene(careen, work), sorted(ERRORS), seed)
    table, failures = collections.Counter(), 0
    for number in range(count):
        state = drill.STATES[number % len(drill.STATES)]
        call = drill.choose(state)
        while call.path.startswith(SYSTEM):
            call = drill.choose(state)
        error = drill.random.choice(ERRORS[call.name])
        fault = Fault(call.name, call.number, error=error)
        try:
            ended, _ = drill.trial(state, fault)
            found = judge(ended, error)
            table[found] += 1
            if VERBOSE and ended.calls:
                why = message(ended.said) if ended.code else ""
                print(f"{number}, {state}, {fault} of `{ended.calls[0].path}`: {found} {ended.code}{why}", flush=True)
        except Broken as broken:
            failures += 1
            print(f"fault {number}, {state}, {fault} of `{call.path}`: {broken}", flush=True)
    for name, times in sorted(table.items()):
        print(f"{name:8} {times:4}")
    print(f"errno: seed {seed}, {count - table['not met']} calls failed, {failures} failures")
    sys.exit(1 if failures else 0)


main()
