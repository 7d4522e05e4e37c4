"""Stores of other versions: one that an earlier careen made is used, one of a newer format is refused and not changed.

    drill.py CAREEN WORK [SEED [ROUNDS]]

It runs as an ordinary user, and needs no base. Each archive beside this file is a store that the careen of the commit in
its name made, with one id, of the context of `tiny.py`:

    careen --store store build --network none -t made:1 --load CONTEXT
    tar --xattrs --xattrs-include='user.*' --owner=0 --group=0 --numeric-owner -cJf store-FORMAT-COMMIT.tar.xz store

There has been one format, 1. 963dcc1 is before hints, kept steps and notes of caches had their places in it; ecca858 has all
of them, and its keys are those of today.
"""

import hashlib
import pathlib
import platform
import shutil
import stat
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import program  # noqa: E402
import tiny  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
HOST_ERROR = 3  # docs/errors.md: a store that cannot be opened.
EXECUTOR = "--executor=userns-single"
NEWER = 2  # The format after the one that careen has now.


def tree(root):
    """Returns what is in a store: of each path its kind, mode, times and bytes. The directory itself is left out: what
    overlays can do on its file system is tried in it, before anybody looks at its version."""
    found = {}
    for path in root.rglob("*"):
        about = path.lstat()
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(about.st_mode) else None
        found[str(path.relative_to(root))] = (about.st_mode, about.st_mtime_ns, about.st_ctime_ns, digest)
    return found


class Drill:
    def __init__(self, given):
        self.given, self.work = given, given.work
        self.careen = program.Careen(given.careen, given.work)
        self.failures = program.Failures("formats", given.seed)
        self.archives = sorted(HERE.glob("store-*.tar.xz"))
        self.found = 0
        tiny.lay_out(self.work / "context")
        self.fresh, _ = self.build("fresh")

    def words(self):
        return [
            "build", EXECUTOR, "--progress=plain", "--network=none", "--provenance=false",
            "--output", "type=oci,dest=out.tar,rewrite-timestamp=true", "context",
        ]

    def build(self, store):
        said = self.careen.must(store, *self.words())
        return hashlib.sha256((self.work / "out.tar").read_bytes()).hexdigest(), said

    def earlier(self, archive):
        """Uses a store that an earlier careen made."""
        command = ["tar", "--xattrs", "--xattrs-include=user.*", "-xJf", str(archive)]
        subprocess.run(command, cwd=self.work, check=True)
        images = self.careen.must("store", EXECUTOR, "image", "ls")
        if "made" not in images:
            raise program.Failure(f"an image is gone:\n{images}")
        self.careen.must("store", EXECUTOR, "fsck")
        result, said = self.build("store")
        self.found += said.count(" CACHED\n")
        if result != self.fresh:
            raise program.Failure(f"another result than in a new store:\n{said}")
        self.careen.must("store", EXECUTOR, "fsck")
        self.careen.must("store", EXECUTOR, "save", "made:1", "-o", "saved.tar")
        self.careen.must("store", EXECUTOR, "prune", "-af")
        self.careen.must("store", EXECUTOR, "fsck")

    def newer(self, version, *expected):
        """Has every command refuse a store whose `VERSION` says something else, and looks whether it is as it was."""
        shutil.copytree(self.work / "fresh", self.work / "store", symlinks=True)
        (self.work / "store" / "VERSION").write_text(version)
        (self.work / "store" / "unheard-of").mkdir()
        before = tree(self.work / "store")
        for words in (self.words(), ["image", "ls"], ["du"], ["prune", "-af"], ["fsck"], ["fsck", "--repair"]):
            code, said = self.careen.run("store", *words)
            missing = [text for text in [str(self.work / "store"), *expected] if text not in said]
            if code != HOST_ERROR or missing:
                raise program.Failure(f"`{words[0]}` with {version!r} ended with {code}, without {missing}:\n{said}")
            if tree(self.work / "store") != before:
                raise program.Failure(f"`{words[0]}` changed a store of version {version!r}")

    def run(self):
        cases = [(archive.name, self.earlier, (archive,)) for archive in self.archives]
        cases += [
            ("newer", self.newer, (f"{NEWER}\n", f"format {NEWER}", f"formats up to {NEWER - 1}")),
            ("much newer", self.newer, ("4294967295\n", "format 4294967295")),
            ("no number", self.newer, ("two\n", "`two\\n` for its format")),
        ]
        for _ in range(self.given.count):
            for name, case, given in cases:
                try:
                    case(*given)
                except (program.Failure, OSError, subprocess.CalledProcessError) as error:
                    self.failures.add(name, error)
                shutil.rmtree(self.work / "store", ignore_errors=True)
        figures = f"{len(self.archives)} earlier stores, {self.found} steps found in them, {len(cases)} cases"
        self.failures.finish(figures)


if __name__ == "__main__":
    if platform.machine() != "x86_64":
        print("formats: not run, the program in the archives is for amd64")
        sys.exit(0)
    Drill(program.arguments(__doc__, 1)).run()
