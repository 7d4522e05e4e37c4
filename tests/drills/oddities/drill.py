"""Odd clocks and file systems: each has a result that is known, and no other.

    drill.py CAREEN WORK [SEED [ROUNDS]]

Root runs it, since it mounts; careen itself runs as the user CAREEN_DRILL_USER, else careen-t1. The base is the layout
WORK/base. The machine's clock is not set: that is everybody's. A clock that went back a year is a store whose files are
of the next year, and a context too.

What is built is the same each time, and so are its bytes, or the error is the one that is expected and the store is as
it was.
"""

import contextlib
import datetime
import hashlib
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import tarfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import mounts  # noqa: E402
import program  # noqa: E402

YEAR_SECONDS = 366 * 86400
LONG = "n" * 255
# What fits into an inode of ext4 (ext4_extra_time): 34 bits of seconds from 1901 on.
TIMES = [0, -1, -(2**31), 2**31, 2**33, 2**34 - 2**31 - 1]
DOCKERFILE = """FROM base
COPY file /file
RUN cat /file /file > /twice; mkdir /d; mv /file /d; ln /d/file /link
"""
FOUND = 2  # Steps of that which a build finds when it has been carried out before.
HOST_ERROR = 3  # docs/errors.md: the machine, and a store that cannot be opened.


def files(root):
    """Returns what a tree is: of each path its kind, mode, size and times, and of each file its bytes."""
    found = {}
    for path in sorted([root, *root.rglob("*")]):
        about = path.lstat()
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(about.st_mode) else None
        size = about.st_size if digest else None
        found[str(path.relative_to(root))] = (about.st_mode, size, about.st_mtime_ns, digest)
    return found


class Drill:
    def __init__(self, given):
        self.user = os.environ.get("CAREEN_DRILL_USER", "careen-t1")
        self.work = given.work
        self.given = given
        # One case hides /tmp, where the program may be.
        self.program = shutil.copy(given.careen, given.work / "careen")
        self.failures = program.Failures("oddities", given.seed)
        self.place = None
        self.expected = None

    # What each case has.

    @contextlib.contextmanager
    def directory(self, name):
        """A directory of the user for one case."""
        self.place = self.work / name
        self.place.mkdir()
        shutil.chown(self.place, self.user, self.user)
        self.careen = program.Careen(self.program, self.place, self.user)
        try:
            yield
        finally:
            command = ["unshare", "--map-auto", "--map-root-user", "rm", "-rf", *map(str, self.place.iterdir())]
            subprocess.run(command, check=False, capture_output=True, **self.careen.become)
            shutil.rmtree(self.place, ignore_errors=True)

    def context(self, place=None, dockerfile=DOCKERFILE):
        """Makes the context, with the times that every checkout of today has."""
        context = (place or self.place) / "context"
        context.mkdir(parents=True)
        (context / "Dockerfile").write_text(dockerfile)
        (context / "file").write_text("x\n" * 1000)
        for path in [context, *context.iterdir()]:
            shutil.chown(path, self.user, self.user)
            path.chmod(0o755 if path.is_dir() else 0o644)
        return context

    def words(self, context, *more, rewrite="true"):
        return [
            "build", "--progress=plain", "--network=none", "--provenance=false",
            "--build-context", f"base=oci-layout://{self.work}/base",
            "--output", f"type=oci,dest={self.place}/out.tar,rewrite-timestamp={rewrite}", *more, context,
        ]

    def build(self, store, context, *more, **how):
        """Builds, and returns what was said; the bytes are those of every other case."""
        said = self.careen.must(store, *self.words(context, *more), **how)
        digest = hashlib.sha256((self.place / "out.tar").read_bytes()).hexdigest()
        (self.place / "out.tar").unlink()
        if self.expected not in (None, digest):
            raise program.Failure(f"another result than on an ordinary file system:\n{said}")
        self.expected = digest
        return said

    def twice(self, store, context, **how):
        """Builds twice: the second time everything is found. Then nothing is damaged."""
        self.build(store, context, **how)
        said = self.build(store, context, **how)
        if said.count(" CACHED\n") < FOUND:
            raise program.Failure(f"the second build did not find everything:\n{said}")
        self.careen.must(store, "fsck", **how)

    def refused(self, said, *texts):
        for text in texts:
            if text not in said:
                raise program.Failure(f"an error without `{text}`:\n{said}")

    # The cases.

    def ordinary(self):
        self.twice("store", self.context())

    def clock_that_went_back(self):
        """All that the store knows is of next year: it is found, and nothing that was just used goes."""
        context = self.context()
        self.build("store", context)
        self.into_the_future(self.place / "store")
        said = self.build("store", context)
        if said.count(" CACHED\n") < FOUND:
            raise program.Failure(f"records of next year were not found:\n{said}")
        for words in (["prune", "-f", "--filter", "until=1h"], ["du"], ["image", "ls"], ["fsck"]):
            self.careen.must("store", *words)
        if self.build("store", context).count(" CACHED\n") < FOUND:
            raise program.Failure("what was used an hour ago and later was removed")
        self.careen.must("store", "prune", "-af")

    def into_the_future(self, root):
        """Sets the times of all files of a store's own; those below `fs/` are of images."""
        script = (
            "import os, sys, time\n"
            f"at = time.time() + {YEAR_SECONDS}\n"
            "for place, below, names in os.walk(sys.argv[1]):\n"
            "    below[:] = [name for name in below if name != 'fs']\n"
            "    for name in names + ['.']:\n"
            "        os.utime(os.path.join(place, name), (at, at), follow_symlinks=False)\n"
        )
        subprocess.run(["python3", "-c", script, str(root)], check=True, **self.careen.become)

    def context_of_the_future(self):
        """A file that is changed and says that it was not, next year, is read again."""
        context = self.context()
        self.into_the_future(context)
        self.twice("store", context)
        before = (context / "file").stat()
        (context / "file").write_text("y\n" * 1000)
        os.utime(context / "file", ns=(before.st_atime_ns, before.st_mtime_ns))
        code, said = self.careen.run("store", *self.words(context))
        changed = hashlib.sha256((self.place / "out.tar").read_bytes()).hexdigest()
        if code != 0 or changed == self.expected:
            raise program.Failure(f"a changed file was taken for the old one:\n{said}")

    def times_of_files(self):
        """Times before 1970 and after 2106 are kept as they are."""
        context = self.context(dockerfile="FROM scratch\nCOPY . /c/\n")
        for at in TIMES:
            path = context / f"at{at}"
            path.write_text("x")
            os.utime(path, (at, at))
        for store in ("store", "again"):
            self.careen.must(store, *self.words(context, rewrite="false"))
            found = {name: at for name, at in self.members() if name.startswith("c/at")}
            if found != {f"c/at{at}": at for at in TIMES}:
                raise program.Failure(f"times were not kept: {found}")
        self.careen.must("store", "fsck")

    def members(self):
        """Returns the names and times in all layers of the archive."""
        with tarfile.open(self.place / "out.tar") as archive:
            for member in archive.getmembers():
                try:
                    with tarfile.open(fileobj=archive.extractfile(member), mode="r:gz") as layer:
                        yield from [(one.name, int(one.mtime)) for one in layer]
                except (tarfile.ReadError, ValueError):
                    continue  # A directory, or a document.

    def long_names(self):
        """A name of 255 bytes is copied, made and removed; what was removed is gone for who reads the image too."""
        context = self.context(dockerfile=(
            f"FROM base\nCOPY {LONG} /c/\nRUN mkdir /{LONG} && echo x > /{LONG}/{LONG} && rm /c/{LONG}\n"
        ))
        (context / LONG).write_text("x")
        self.careen.must("store", *self.words(context))
        with tarfile.open(self.place / "out.tar") as archive:
            archive.extractall(self.place / "layout", filter="data")
        (context / "Dockerfile").write_text(f"FROM made\nRUN cat /{LONG}/{LONG} && ls /c && test ! -e /c/{LONG}\n")
        made = ["--build-context", f"made=oci-layout://{self.place}/layout"]
        self.careen.must("again", *self.words(context, *made))
        self.careen.must("again", "fsck")

    def case_insensitive(self):
        """Names of a context that differ in case only are one file there, with the name that it has."""
        if not pathlib.Path("/sys/fs/ext4/features/casefold").exists():
            print("case_insensitive: not run, this kernel has no such directories")
            return
        with mounts.ext4(self.place / "fs", self.user, "-O", "casefold") as place:
            (place / "folded").mkdir()
            mounts.command("chattr", "+F", place / "folded")
            shutil.chown(place / "folded", self.user, self.user)
            context = self.context(place / "folded")
            if not (context / "FILE").exists():
                raise program.Failure("the directory is not case-insensitive")
            self.twice("store", context)
            self.twice("fs/folded/store", context)

    def without_access_times(self):
        with mounts.ext4(self.place / "fs", self.user, options="loop,noatime") as place:
            context = self.context(place)
            self.twice("fs/store", context)
            self.careen.must("fs/store", "prune", "-f", "--filter", "until=1h")
            if self.build("fs/store", context).count(" CACHED\n") < FOUND:
                raise program.Failure("what was just used was removed")

    def in_memory(self):
        with mounts.mounted(self.place / "fs", self.user, "tmpfs", "-o", "size=64m,mode=0755", "none") as place:
            self.twice("fs/store", self.context(place))

    def masks(self):
        """Whatever the umask, nobody else reads the store, and results are the same."""
        context = self.context()
        for mask in (0o000, 0o077, 0o777):
            store = f"store-{mask:o}"
            self.build(store, context, umask=mask)
            self.build(store, context, umask=mask)
            self.careen.must(store, "fsck", umask=mask)
            for path in [self.place / store, *(self.place / store).iterdir()]:
                mode = stat.S_IMODE(path.lstat().st_mode)
                if mode != (0o700 if path.is_dir() else 0o600):
                    raise program.Failure(f"{path.name} has mode {mode:o} with umask {mask:o}")

    def without_a_home(self):
        context = self.context()
        nothing = {"HOME": None, "CAREEN_STORE": None}
        code, said = self.careen.run("store", *self.words(context), env=nothing)
        if code == 0:
            raise program.Failure("a store was found without HOME")
        self.refused(said, "HOME", "XDG_DATA_HOME")
        self.twice("store", context, env={"HOME": None})
        self.twice("store", context, env={"HOME": "/nonexistent"})

    def read_only(self):
        """A store that cannot be written is an error of the machine, and is not changed."""
        context = self.context()
        self.build("store", context)
        before = files(self.place / "store")
        with mounts.bound(self.place / "bound", self.place / "store", "ro"):
            for words in (self.words(context), ["prune", "-af"], ["fsck"]):
                code, said = self.careen.run("bound", *words)
                if code != HOST_ERROR:
                    raise program.Failure(f"`{words[0]}` ended with {code} on a read-only store:\n{said}")
                self.refused(said, str(self.place / "bound"), "ead-only file system")
        if files(self.place / "store") != before:
            raise program.Failure("a store that is mounted read-only was changed")
        self.twice("store", context)

    def no_room_for_temporary_files(self):
        """/tmp and TMPDIR are full: no build needs them."""
        context = self.context()
        with mounts.mounted(self.place / "full", self.user, "tmpfs", "-o", "size=64k,mode=1777", "none") as full:
            with contextlib.suppress(OSError), open(full / "all", "wb", buffering=0) as file:
                while file.write(b"x" * 4096):
                    pass
            before = [
                "unshare", "--mount", "sh", "-c", 'mount --bind "$0" /tmp && exec setpriv "$@"', str(full),
                f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups",
            ]
            as_root = {"user": None, "group": None, "extra_groups": None}
            self.twice("store", context, before=before, env={"TMPDIR": "/tmp"}, **as_root)

    def run(self):
        cases = [
            self.ordinary, self.clock_that_went_back, self.context_of_the_future, self.times_of_files, self.long_names,
            self.case_insensitive, self.without_access_times, self.in_memory, self.masks, self.without_a_home,
            self.read_only, self.no_room_for_temporary_files,
        ]
        done = 0
        for number in range(self.given.count):
            for case in cases:
                begun = datetime.datetime.now()
                try:
                    with self.directory(f"{case.__name__}-{number}"):
                        case()
                    done += 1
                except (program.Failure, OSError, subprocess.CalledProcessError) as error:
                    self.failures.add(case.__name__, error)
                took = (datetime.datetime.now() - begun).total_seconds()
                print(f"{case.__name__:28} {took:5.1f} s", flush=True)
        self.failures.finish(f"{done} cases")


if __name__ == "__main__":
    Drill(program.arguments(__doc__, 1)).run()
