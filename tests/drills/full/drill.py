"""Builds where a file system has no room left, looks at what is said, makes room, and builds again.

    drill.py CAREEN WORK [SEED [COUNT]]

It runs as root, for the mounts, which are gone with it, and builds as the user DRILL_USER (`careen-t1`) in WORK, upon the image
layout WORK/base. What is full in turn: the store's file system, a tmpfs and an ext4, of bytes and of files, with room for
some part of what a build needs; the directory of the archive; `/tmp`; the home directory.

A build that finds no room ends with an error that says so, and names the store with the way out, or the file elsewhere. It leaves
nothing unfinished and no part of an archive, `careen fsck` finds nothing, and `careen prune` works there. When there is room the
same build gives the bytes of an undisturbed one, without any step by hand. A build that needs nothing of what is full
does not notice.
"""

import collections
import ctypes
import errno
import os
import pathlib
import random
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from scene import Broken, Scene, message  # noqa: E402

CLONE_NEWNS = 0x20000
EXT4_BYTES = 96 << 20
# A number of files of ext4 that a build does not come up to.
EXT4_FILES = 8192
BLOCK_BYTES = 4096
FULL = ["No space left on device", "is full"]
# Shows what is said.
VERBOSE = "DRILL_VERBOSE" in os.environ
WAY_OUT = ["careen prune", "--store DIR"]


def run(*words):
    subprocess.run(words, check=True)


class Drill:
    """A user with a store on a file system of its own."""

    def __init__(self, careen, work, seed):
        self.scene, self.random = Scene(careen, work), random.Random(seed)
        self.disk, self.place = self.scene.work / "disk", self.scene.home / "disk"
        self.outputs = self.scene.home / "outputs"
        for directory in [self.place, self.outputs]:
            directory.mkdir()
            self.scene.give(directory)
        begun = self.scene.store("reference")
        self.reference = self.scene.build(begun)
        self.need_bytes, self.need_files = self.needs()

    def needs(self):
        """Returns how many bytes and files a store takes that has the build."""
        with Mounted(self, "tmpfs", "size=1g"):
            before = os.statvfs(self.place)
            self.scene.build(self.store())
            after = os.statvfs(self.place)
        return (before.f_bfree - after.f_bfree) * after.f_bsize, before.f_ffree - after.f_ffree

    def store(self):
        return self.place / "store"

    def part(self, of):
        """Returns some part of a number, or nearly nothing."""
        return int(of * self.random.choice([0.01, self.random.random(), self.random.random()]))

    def build(self, archive, store):
        """Builds once; returns the code and the message."""
        code, said = self.scene.finish(self.scene.start(store, self.scene.words(archive)))
        return code, message(said)

    def crowded(self, archive, store, place):
        """Builds where there is no room in a place; tells whether that was noticed."""
        archive.unlink(missing_ok=True)
        code, told = self.build(archive, store)
        if code == 0:
            if archive.read_bytes() != self.reference:
                raise Broken("it wrote another archive")
            return False
        if code not in (1, 3):
            raise Broken(f"it ended with {code}\n{told}")
        if VERBOSE:
            print(told, flush=True)
        if not any(words in told for words in FULL) or str(place) not in told:
            raise Broken(f"it does not say that there is no room in `{place}`\n{told}")
        # One output may be done when the other finds no room.
        if archive.exists() and archive.read_bytes() != self.reference:
            raise Broken("it left another archive")
        left = [path.name for path in archive.parent.glob(f"*{archive.name}*") if path != archive]
        if left:
            raise Broken(f"left beside the archive: {left}")
        if place == store and not all(words in told for words in WAY_OUT):
            raise Broken(f"it does not tell the way out\n{told}")
        return True

    def full_store(self, kind, options, make_room):
        """Builds in a store that is small, looks at it, makes room and builds again."""
        with Mounted(self, kind, options) as mounted:
            mounted.crowd()
            noticed = self.crowded(self.scene.home / "archive.tar", self.store(), self.store())
            if noticed and (self.store() / "VERSION").exists():
                self.look()
            make_room(mounted)
            self.scene.check(self.store(), self.reference)
        return noticed

    def look(self):
        """Looks at a store that is full."""
        left = os.listdir(self.store() / "ingest")
        if left:
            raise Broken(f"left in ingest: {left}")
        self.scene.sound(self.store())
        if self.random.randrange(2):
            code, said = self.scene.run(self.store(), "prune", "--force")
            if code != 0:
                raise Broken(f"prune ended with {code}\n{said}")

    def tmpfs_bytes(self):
        size = 16384 + self.part(self.need_bytes) // BLOCK_BYTES * BLOCK_BYTES
        return self.full_store("tmpfs", f"size={size}", lambda mounted: mounted.remount("size=1g"))

    def tmpfs_files(self):
        files = 4 + self.part(self.need_files)
        options = f"size=1g,nr_inodes={files}"
        return self.full_store("tmpfs", options, lambda mounted: mounted.remount("nr_inodes=1000000"))

    def ext4_bytes(self):
        self.free_bytes, self.free_files = self.part(self.need_bytes), EXT4_FILES - 100
        return self.full_store("ext4", "loop", lambda mounted: mounted.make_room())

    def ext4_files(self):
        self.free_bytes, self.free_files = EXT4_BYTES, self.part(self.need_files)
        return self.full_store("ext4", "loop", lambda mounted: mounted.make_room())

    def archive(self):
        """Writes the archive where there is no room for it."""
        store, archive = self.scene.store("store"), self.outputs / "archive.tar"
        size = BLOCK_BYTES + self.part(len(self.reference)) // BLOCK_BYTES * BLOCK_BYTES
        run("mount", "-t", "tmpfs", "-o", f"size={size},uid={self.scene.user.pw_uid}", "full", str(self.outputs))
        try:
            noticed = self.crowded(archive, store, archive)
            run("mount", "-o", "remount,size=1g", str(self.outputs))
            self.scene.check(store, self.reference)
        finally:
            run("umount", str(self.outputs))
        return noticed

    def elsewhere(self, place):
        """Builds with a full file system at a place that is not the store's."""
        run("mount", "-t", "tmpfs", "-o", f"size=16k,mode=1777,uid={self.scene.user.pw_uid}", "full", str(place))
        try:
            fill(place / "ballast")
            store = self.scene.work / "store"
            store.mkdir(exist_ok=True)
            self.scene.give(store)
            archive = self.scene.work / "elsewhere" / "archive.tar"
            archive.parent.mkdir(exist_ok=True)
            self.scene.give(archive.parent)
            code, told = self.build(archive, store)
            if code != 0 or archive.read_bytes() != self.reference:
                raise Broken(f"a build that needs nothing of `{place}` ended with {code}\n{told}")
        finally:
            run("umount", str(place))
            run("rm", "-rf", str(self.scene.work / "store"), str(self.scene.work / "elsewhere"))
        return False

    def tmp(self):
        return self.elsewhere(pathlib.Path("/tmp"))

    def home(self):
        return self.elsewhere(self.scene.home)


class Mounted:
    """A file system for the store, as long as it is looked at."""

    def __init__(self, drill, kind, options):
        self.drill, self.kind, self.options = drill, kind, options

    def __enter__(self):
        drill, what = self.drill, "full"
        if self.kind == "ext4":
            what = str(drill.disk)
            with open(what, "wb") as file:
                file.truncate(EXT4_BYTES)
            run("mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^has_journal", "-N", str(EXT4_FILES), what)
        run("mount", "-t", self.kind, "-o", self.options, what, str(drill.place))
        drill.scene.give(drill.place)
        return self

    def __exit__(self, *_):
        run("umount", str(self.drill.place))

    def remount(self, options):
        run("mount", "-o", f"remount,{options}", str(self.drill.place))

    def ballast(self):
        return self.drill.place / "ballast"

    def crowd(self):
        """Leaves as much room as there is to be on a disk."""
        if self.kind != "ext4":
            return
        drill, room = self.drill, os.statvfs(self.drill.place)
        self.ballast().mkdir()
        for number in range(room.f_ffree - drill.free_files - 2):
            (self.ballast() / str(number)).touch()
        room = os.statvfs(drill.place)
        fill(self.ballast() / "bytes", room.f_bfree * room.f_bsize - drill.free_bytes)

    def make_room(self):
        run("rm", "-r", str(self.ballast()))


def fill(path, length=1 << 30):
    """Writes a file of a length, or one that takes all that is left."""
    with open(path, "wb", buffering=0) as file:
        try:
            while length > 0:
                length -= file.write(bytes(min(length, BLOCK_BYTES)))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise


def alone():
    """Gives this process mounts of its own."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    run("mount", "--make-rprivate", "/")


def main():
    careen, work = sys.argv[1:3]
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    count = int(sys.argv[4]) if len(sys.argv) > 4 else 20
    alone()
    drill = Drill(careen, work, seed)
    kinds = [drill.tmpfs_bytes, drill.ext4_bytes, drill.tmpfs_files, drill.archive, drill.tmpfs_bytes, drill.ext4_files,
             drill.tmp, drill.ext4_bytes, drill.home, drill.archive]
    table, failures = collections.Counter(), 0
    for number in range(count):
        kind = kinds[number % len(kinds)]
        try:
            noticed = kind()
            table[kind.__name__, "no room" if noticed else "enough"] += 1
        except Broken as broken:
            failures += 1
            print(f"full {number}, {kind.__name__}: {broken}", flush=True)
    for (name, found), times in sorted(table.items()):
        print(f"{name:12} {found:8} {times:4}")
    print(f"full: seed {seed}, {sum(table.values())} builds in a store of {drill.need_bytes >> 10} KiB and "
          f"{drill.need_files} files, {failures} failures")
    sys.exit(1 if failures else 0)


main()
