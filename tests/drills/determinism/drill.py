"""The same build gives the same bytes, whoever builds, upon whatever, and however busy the machine is.

    drill.py CAREEN WORK [SEED [BUILDS]]

Root runs it, since it mounts. Each build has an empty store and a context of its own, whose files were made in another
order and have other times. Between two builds may differ: the user (root; CAREEN_DRILL_USER, else careen-t1, who has a
range of ids; CAREEN_DRILL_SINGLE, else nobody, who has none); the file system (ext4 with another seed for the order of
its directories, or tmpfs); the processors, priority and `--jobs`; what else runs; TMPDIR, umask, locale, time zone and
the time.
"""

import contextlib
import hashlib
import os
import pathlib
import random
import shutil
import subprocess
import sys
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import mounts  # noqa: E402
import program  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
FILES = [f"{letter}{number}" for letter in "abcdefgh" for number in range(8)]
USERS = [
    "root", os.environ.get("CAREEN_DRILL_USER", "careen-t1"), os.environ.get("CAREEN_DRILL_SINGLE", "nobody"),
]


@contextlib.contextmanager
def busy(count):
    """Keeps the processors busy."""
    running = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(count)]
    try:
        yield
    finally:
        for one in running:
            one.kill()
            one.wait()


class Drill:
    def __init__(self, given):
        self.given, self.work = given, given.work
        self.failures = program.Failures("determinism", given.seed)
        self.chance = random.Random(given.seed)
        self.orders, self.results = set(), {}

    def file_system(self, place, user):
        """Mounts one of its own for a build."""
        if self.chance.randrange(3) == 0:
            return mounts.mounted(place, user, "tmpfs", "-o", "size=128m,mode=0755", "none")
        seed = uuid.UUID(int=self.chance.getrandbits(128), version=4)
        return mounts.ext4(place, user, "-E", f"hash_seed={seed},nodiscard", size="128M")

    def context(self, place, user):
        """Makes the same files in another order, with other times."""
        context = place / "context"
        (context / "files").mkdir(parents=True)
        shutil.copy(HERE / "Dockerfile", context)
        names = FILES[:]
        self.chance.shuffle(names)
        for name in names:
            path = context / "files" / name
            path.write_text(name * 100)
            path.chmod(0o644)
            at = self.chance.randrange(int(program.EPOCH), 2**31)
            os.utime(path, (at, at))
        for path in [context, *context.rglob("*")]:
            shutil.chown(path, user)
        self.orders.add(tuple(os.listdir(context / "files")))
        return context

    def circumstances(self, place, user):
        """Chooses what a build finds: what comes before its command, its arguments and variables."""
        temporary = place / "temporary"
        temporary.mkdir()
        shutil.chown(temporary, user)
        processors = self.chance.choice(["0", f"0-{os.cpu_count() - 1}", str(os.cpu_count() - 1)])
        before = ["taskset", "-c", processors, "nice", "-n", str(self.chance.choice([0, 19]))]
        env = {
            "TMPDIR": self.chance.choice([str(temporary), None]), "TZ": self.chance.choice(["UTC", "Asia/Kolkata", None]),
            "LC_ALL": self.chance.choice(["C", "C.UTF-8", "tr_TR.UTF-8", None]),
        }
        more = [f"--jobs={self.chance.choice([1, 2, 3, 8])}"]
        return more, {"before": before, "env": env, "umask": self.chance.choice([0o022, 0o077, 0o002])}

    def build(self, number):
        """Builds once, and returns what it was built by and the digest."""
        user = USERS[number % len(USERS)]
        group = {"nobody": "nogroup"}.get(user, user)
        place = self.work / f"fs-{number}"
        with self.file_system(place, user):
            careen = program.Careen(self.given.careen, place, user, group)
            context = self.context(place, user)
            more, how = self.circumstances(place, user)
            words = [
                "build", "--progress=plain", "--network=none", "--provenance=false",
                "--build-context", f"base=oci-layout://{self.work}/base",
                "--output", "type=oci,dest=out.tar,rewrite-timestamp=true", *more, context,
            ]
            with busy(self.chance.choice([0, 0, 3])):
                careen.must("store", *words, **how)
            digest = hashlib.sha256((place / "out.tar").read_bytes()).hexdigest()
        place.rmdir()
        return user, digest, (more, how)

    def run(self):
        for number in range(self.given.count):
            try:
                user, digest, how = self.build(number)
            except (program.Failure, OSError, subprocess.CalledProcessError) as error:
                self.failures.add(f"build {number}", error)
                continue
            self.results.setdefault(digest, []).append(user)
            if len(self.results) > 1:
                self.failures.add(f"build {number}", f"another result by {user} with {how}")
        for digest, users in self.results.items():
            print(f"{digest[:12]}", ", ".join(f"{user} {users.count(user)}" for user in sorted(set(users))))
        if len(self.orders) < min(self.given.count, 2):
            self.failures.add("directories", "all were in one order: nothing was tried")
        self.failures.finish(f"{sum(map(len, self.results.values()))} builds, {len(self.orders)} orders of a directory")


if __name__ == "__main__":
    Drill(program.arguments(__doc__, 9)).run()
