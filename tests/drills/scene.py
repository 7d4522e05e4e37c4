"""The build that the drills of faults disturb, and what has to hold when it was disturbed.

It is the Dockerfile in points/, with a context that is made here, done by an ordinary user: upon a base that is unpacked, six
layers of COPY, RUN and ADD, an archive and an image of the store.
"""

import io
import os
import pathlib
import pwd
import random
import re
import shutil
import subprocess
import tarfile
import time

import tracer

USER = os.environ.get("DRILL_USER", "careen-t1")
DOCKERFILE = pathlib.Path(__file__).resolve().parent / "points" / "Dockerfile"
FILES = 12
LARGE_BYTES = 3_000_000
# A build that has to wait for something that a dead one has would wait for ever.
LONGEST_SECONDS = 60


class Broken(Exception):
    """Something that was promised does not hold."""


class Scene:
    """A user with a context, and builds of that."""

    def __init__(self, careen, work):
        self.careen, self.work = os.path.abspath(careen), pathlib.Path(work).resolve()
        self.user = pwd.getpwnam(USER)
        self.home = self.work / "home"
        self.home.mkdir()
        self.context = self.work / "context"
        make_context(self.context)
        self.give(self.home)
        self.work.chmod(0o755)

    def give(self, path):
        """Makes a file or directory the user's."""
        os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def environment(self, store):
        return {"HOME": str(self.home), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "CAREEN_STORE": str(store),
                "SOURCE_DATE_EPOCH": "1700000000", "LANG": "C.UTF-8"}

    def words(self, archive, number=0):
        """Returns the command line of a build."""
        return [self.careen, "build", "--progress=plain", "--network=none", f"--build-arg=N={number}",
                f"--build-context=base=oci-layout://{self.work}/base", "--tag=drill:1",
                f"--output=type=oci,dest={archive},rewrite-timestamp=true", "--output=type=image,rewrite-timestamp=true",
                str(self.context)]

    def start(self, store, words):
        return subprocess.Popen(words, cwd=self.home, env=self.environment(store), text=True, errors="replace",
                                user=self.user.pw_uid, group=self.user.pw_gid, extra_groups=[],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def finish(self, running):
        """Waits for a command; returns its code and what it said."""
        try:
            said, _ = running.communicate(timeout=LONGEST_SECONDS)
        except subprocess.TimeoutExpired:
            running.kill()
            said, _ = running.communicate()
            raise Broken(f"`{' '.join(running.args[1:3])}` has not ended after {LONGEST_SECONDS} s\n{said}") from None
        return running.returncode, said

    def run(self, store, *words):
        return self.finish(self.start(store, [self.careen, *words]))

    def build(self, store, number=0, archive=None):
        """Returns the archive that an undisturbed build writes."""
        archive = archive or self.home / "undisturbed.tar"
        code, said = self.finish(self.start(store, self.words(archive, number)))
        if code != 0:
            raise Broken(f"the build failed\n{said}")
        return archive.read_bytes()

    def store(self, name, like=None):
        """Makes the place of a store, with what another one has."""
        place = self.home / name
        if place.exists():
            shutil.rmtree(place)
        if like is None:
            place.mkdir(mode=0o700)
            self.give(place)
        else:
            subprocess.run(["cp", "--archive", str(like), str(place)], check=True)
        return place

    def check(self, store, reference, archive=None):
        """Fails unless the store is sound, and a build in it is as if nothing had happened before; returns its seconds."""
        self.sound(store)
        begun = time.monotonic()
        if self.build(store, archive=archive) != reference:
            raise Broken("the next build has another result")
        seconds = time.monotonic() - begun
        for directory in ["ingest", "leases", "trash"]:
            left = os.listdir(store / directory)
            if left:
                raise Broken(f"left in {directory}: {left}")
        self.sound(store)
        return seconds

    def sound(self, store):
        """Fails if careen finds something damaged in a store."""
        code, said = self.run(store, "fsck")
        if code != 0:
            raise Broken(f"fsck: {said}")


def message(said):
    """Returns what a build says at its end, behind its progress."""
    begins = re.search(r"^(ERROR|error): ", said, re.MULTILINE)
    return said[begins.start():] if begins else said


def make_context(place):
    """Makes a context: small files, a large one, and an archive."""
    bytes_of = random.Random(1).randbytes
    (place / "files").mkdir(parents=True)
    for number in range(FILES):
        (place / "files" / f"small-{number}").write_bytes(bytes_of(100 + number))
    (place / "files" / "large").write_bytes(bytes_of(LARGE_BYTES))
    with tarfile.open(place / "added.tar", "w") as tar:
        for number in range(FILES):
            content = bytes_of(50_000)
            member = tarfile.TarInfo(f"directory/{number}")
            member.size, member.mode = len(content), 0o640
            tar.addfile(member, io.BytesIO(content))
    shutil.copy(DOCKERFILE, place)


def mounts(below):
    """Returns what is mounted below a directory."""
    places = (line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines())
    return sorted(place for place in places if pathlib.Path(place).is_relative_to(below))


class Disturbed:
    """A build that is disturbed at calls of its own: in an empty store, in one that has the base and what stands before the
    first argument, and there beside another build."""

    STATES = ["empty", "begun", "beside"]

    def __init__(self, scene, names, seed):
        self.scene, self.random = scene, random.Random(seed)
        self.references = {number: scene.build(scene.store("reference"), number) for number in [0, 2]}
        self.reference = self.references[0]
        self.begun = scene.store("begun")
        scene.build(self.begun, number=1)
        self.archive, self.names = scene.home / "archive.tar", names
        self.calls = {state: self.undisturbed(state) for state in ["empty", "begun"]}
        self.calls["beside"] = self.calls["begun"]
        self.left = {}

    def new_store(self, state):
        return self.scene.store("store", None if state == "empty" else self.begun)

    def undisturbed(self, state):
        """Returns the calls of a build that nothing disturbs, by name."""
        ended = self.trace(self.new_store(state), None)
        if ended.code != 0 or self.archive.read_bytes() != self.reference:
            raise Broken(f"an undisturbed build ended with {ended.code}\n{ended.said}")
        found = {}
        for call in ended.calls:
            found.setdefault(call.name, []).append(call)
        return found

    def trace(self, store, fault):
        scene = self.scene
        for left in scene.home.glob("archive.tar*"):
            left.unlink()
        return tracer.run(self.names, scene.user, scene.words(self.archive), scene.environment(store), scene.home,
                          scene.work / "said", fault)

    def choose(self, state):
        """Returns a call of an undisturbed build, none twice; those that there are few of are as likely as others."""
        left = self.left.get(state) or {name: list(calls) for name, calls in self.calls[state].items()}
        name = self.random.choice(sorted(left))
        call = left[name].pop(self.random.randrange(len(left[name])))
        if not left[name]:
            del left[name]
        self.left[state] = left
        return call

    def trial(self, state, fault):
        """Does one disturbed build and looks at all that it leaves; returns how it ended, and how long the next one took."""
        scene, store = self.scene, self.new_store(state)
        other = scene.home / "other.tar"
        # The same steps, of which one build waits for the other's; or others that stand on the same layers.
        number = self.random.choice([0, 2])
        beside = scene.start(store, scene.words(other, number)) if state == "beside" else None
        try:
            ended = self.trace(store, fault)
        finally:
            said = scene.finish(beside) if beside else None
        if said and (said[0] != 0 or other.read_bytes() != self.references[number]):
            raise Broken(f"the build beside it ended with {said[0]}\n{said[1]}")
        if ended.left:
            raise Broken(f"{ended.left} are left {tracer.PATIENCE_SECONDS} s after the build")
        if mounts(scene.work):
            raise Broken(f"left mounted: {mounts(scene.work)}")
        if ended.code == 0 or self.archive.exists():
            if self.archive.read_bytes() != self.reference:
                raise Broken(f"it ended with {ended.code} and wrote another archive\n{ended.said}")
        if not fault.kill:
            self.alone()
        seconds = scene.check(store, self.reference, self.archive)
        self.alone()
        return ended, seconds

    def alone(self):
        """Fails if something is left beside the archive."""
        left = [path.name for path in self.scene.home.glob("*archive.tar*") if path != self.archive]
        if left:
            raise Broken(f"left beside the archive: {left}")
