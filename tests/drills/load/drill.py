"""Eight builds at a time on one store, with everything removed beside them, and nothing is lost.

    drill.py CAREEN WORK [SEED [SECONDS]]

It runs as an ordinary user, with the image layout WORK/base. For SECONDS, at once:

* eight workers build on one store, again and again: three the same Dockerfile, three one Dockerfile with contexts of
  their own, two a Dockerfile of their own; some take the base from a registry. A limit of the store's size that each
  build goes over has every one remove what the others left, `prune -af` runs every 100 ms, and `fsck` all the time;
* two processes pull one image into an empty store: its layer is sent once, and its configuration once to each at most;
* a build is stopped (SIGSTOP) in a step, with its leases and its claim on the step: builds that find everything in the
  cache go on beside it, what it uses is not removed, and it ends well when it goes on.

Every build must succeed, and give what it gives alone. Nobody waits over a second for a lock that others have for
moments only; waits for what others make are counted. That holds where the drill is alone on its machine: with thirty
processes for each processor a rename takes seconds too. In the end nothing is left of anybody, and no object that
nobody has any more survives a last `prune -af`.
"""

import collections
import hashlib
import pathlib
import random
import signal
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import processes  # noqa: E402
import program  # noqa: E402
import registry  # noqa: E402

PRUNE_EVERY_SECONDS = 0.1
LONGEST_SECONDS = 1.0
# How long a build may take, whatever goes on beside it, before it counts as one that hangs.
PATIENCE_SECONDS = 300

SHARED = """FROM base
COPY file /file
RUN cat /file /file > /twice
RUN --mount=type=cache,target=/cache,sharing=locked cp /twice /cache/twice && cp /cache/twice /thrice
RUN head -c 2000000 /dev/zero > /zero && mkdir /d && ln /file /d/link
"""
OWN = """FROM base AS one
RUN echo {name} > /own && head -c 1000000 /dev/zero > /zero
FROM base AS two
COPY --link file /linked
RUN --mount=type=bind,from=one,source=/own,target=/own cat /own /linked > /both
FROM base
COPY --from=one /zero /zero
COPY --from=two /both /both
RUN sha256sum /zero /both > /sums
"""
STOPPED = """FROM base
COPY file /file
RUN cp /file /copy
ARG AGAIN
RUN echo "$AGAIN" > /again; echo begun; usleep 700000; cat /copy /file > /end
"""


class Job:
    """One way to build, and what it has to give."""

    def __init__(self, name, dockerfile, content, base):
        self.name, self.dockerfile, self.content, self.base = name, dockerfile, content, base
        self.expected = None

    def lay_out(self, work):
        self.context = work / "contexts" / self.name
        self.context.mkdir(parents=True)
        (self.context / "Dockerfile").write_text(self.dockerfile)
        (self.context / "file").write_text(self.content * 5000)

    def words(self, out, *more):
        return [
            "build", "--progress=plain", "--network=none", "--provenance=false", "--build-context", f"base={self.base}",
            "--output", f"type=oci,dest={out}.tar,rewrite-timestamp=true", "--event-log", f"{out}.events",
            *more, self.context,
        ]


class Tally:
    """What happened, counted by many threads."""

    def __init__(self):
        self.mutex = threading.Lock()
        self.counts = collections.Counter()
        self.longest = collections.defaultdict(float)
        self.wait_count = collections.Counter()

    def count(self, what, seconds=0.0):
        with self.mutex:
            self.counts[what] += 1
            self.longest[what] = max(self.longest[what], seconds)

    def waited(self, waits):
        with self.mutex:
            for lock, held, seconds in waits:
                kind = f"{lock.split()[0]} ({held})"
                self.wait_count[kind] += 1
                self.longest[kind] = max(self.longest[kind], seconds)


class Drill:
    def __init__(self, given):
        self.work, self.seed, self.seconds = given.work, given.seed, given.count
        self.careen = program.Careen(given.careen, given.work)
        self.failures = program.Failures("load", given.seed)
        self.tally = Tally()
        self.registry = registry.Registry(given.work / "base")
        self.slow = registry.Registry(given.work / "base", pause_seconds=0.3)
        layout, pulled = f"oci-layout://{given.work}/base", f"docker-image://{self.registry.image}"
        self.jobs = [
            *(Job(f"same-{number}", SHARED, "same\n", layout) for number in range(3)),
            *(Job(f"other-{number}", SHARED, f"other {number}\n", pulled) for number in range(3)),
            *(Job(f"own-{number}", OWN.format(name=number), "own\n", [layout, pulled][number]) for number in range(2)),
        ]
        self.limited = given.work / "limited.toml"
        self.limited.write_text('[[gc.policy]]\nmax-used-space = "3MB"\n')
        self.stopped = Job("stopped", STOPPED, "stopped\n", layout)

    def is_over(self):
        return time.monotonic() >= self.end

    def build(self, job, store, out, *more):
        """Builds, and returns the digest of the archive; the waits are looked at."""
        begun = time.monotonic()
        env = {"CAREEN_CONFIG": str(self.limited)} if store == "store" else None
        self.careen.must(store, *job.words(out, *more), timeout=PATIENCE_SECONDS, env=env)
        self.tally.count(f"builds {job.name.split('-')[0]}", time.monotonic() - begun)
        return self.result(job, out)

    def result(self, job, out):
        archive, events = (self.work / f"{out}{end}" for end in (".tar", ".events"))
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        waits = program.waits(events)
        if job.expected in (None, digest):
            archive.unlink()
        self.tally.waited(waits)
        for lock, held, seconds in waits:
            if held == "moments" and seconds > LONGEST_SECONDS:
                self.failures.add(job.name, f"waited {seconds:.2f} s for `{lock}`")
        return digest

    def alone(self):
        """Builds everything once, one after the other, in a store of its own."""
        for job in [*self.jobs, self.stopped]:
            job.lay_out(self.work)
            job.expected = self.build(job, "alone", f"alone-{job.name}")
        if len({job.expected for job in self.jobs}) != len(self.jobs) - 2:
            raise program.Failure("jobs that differ give the same, or those that do not give something else")

    def worker(self, number):
        chance, job = random.Random(self.seed * 1000 + number), self.jobs[number]
        while not self.is_over():
            more = ["--no-cache"] if chance.randrange(8) == 0 else []
            if self.build(job, "store", job.name, *more) != job.expected:
                raise program.Failure("another result than alone")
            time.sleep(chance.random() * 0.1)

    def pruner(self):
        due = time.monotonic()
        while not self.is_over():
            begun = time.monotonic()
            self.careen.must("store", "prune", "-af")
            self.tally.count("prunes", time.monotonic() - begun)
            due = max(due + PRUNE_EVERY_SECONDS, time.monotonic())
            time.sleep(max(0, due - time.monotonic()))

    def checker(self):
        while not self.is_over():
            begun = time.monotonic()
            self.careen.must("store", "fsck")
            self.tally.count("checks", time.monotonic() - begun)
            time.sleep(0.2)

    def puller(self):
        """Has two processes build upon an image that neither has, at the same time."""
        job = Job("pulled", "FROM base\nCOPY file /file\nRUN cat /file > /f\n", "pulled\n", f"docker-image://{self.slow.image}")
        job.lay_out(self.work)
        job.expected = self.build(job, "alone", "alone-pulled")
        self.slow.take_blobs()
        while not self.is_over():
            names = [f"pulled-{number}" for number in range(2)]
            running = [self.careen.start("pulled", *job.words(name)) for name in names]
            for one, name in zip(running, names):
                said, _ = one.communicate(timeout=PATIENCE_SECONDS)
                if one.returncode != 0:
                    raise program.Failure(f"ended with {one.returncode}:\n{said}")
                if self.result(job, name) != job.expected:
                    raise program.Failure("another result than alone")
            sent = self.slow.take_blobs()
            if sorted(sent.values()) not in ([1, 1], [1, 2]):
                raise program.Failure(f"blobs were sent more than once: {sent}")
            self.tally.count("images pulled by two")
            processes.remove_tree(self.careen, "pulled")
            time.sleep(min(5, max(0.0, self.end - time.monotonic())))

    def stopper(self):
        """Stops a build in its step, and has others go on beside it."""
        number = 0
        while not self.is_over():
            number += 1
            self.build(self.stopped, "stopping", "cached", "--build-arg", "AGAIN=0")
            again = ("--build-arg", f"AGAIN={number}")
            expected = self.build(self.stopped, "alone", "alone-stopped", *again)
            victim = self.careen.start("stopping", *self.stopped.words("victim", *again))
            stopped = []
            try:
                self.until_begun(victim)
                stopped = processes.send(processes.tree(victim.pid), signal.SIGSTOP)
                self.beside(number)
            finally:
                processes.send(stopped, signal.SIGCONT)
                said, _ = victim.communicate(timeout=PATIENCE_SECONDS)
            if victim.returncode != 0:
                raise program.Failure(f"the build that was stopped ended with {victim.returncode}:\n{said}")
            if self.result(self.stopped, "victim") != expected:
                raise program.Failure("the build that was stopped gave another result")
            self.tally.count("builds stopped")
            time.sleep(min(5, max(0.0, self.end - time.monotonic())))

    def until_begun(self, victim):
        for line in victim.stdout:
            if line.rstrip().endswith("begun"):
                return
        raise program.Failure("the build that is to be stopped did not begin its step")

    def beside(self, number):
        """What others do while a build is stopped: they find everything, and remove what it does not use."""
        held_until = time.monotonic() + (2 if self.seconds < 120 else random.choice([2, 10, 60]))
        while True:
            words = self.stopped.words("beside", "--build-arg", "AGAIN=0")
            said = self.careen.must("stopping", *words, timeout=60)
            if said.count(" CACHED\n") < 3:
                raise program.Failure(f"not everything was found beside a build that is stopped:\n{said}")
            self.result(self.stopped, "beside")
            self.tally.count("cached builds beside one that is stopped")
            if time.monotonic() >= held_until or self.is_over():
                break
        self.careen.must("stopping", "prune", "-af", timeout=60)
        self.careen.must("stopping", "fsck", timeout=60)

    def guarded(self, name, what, *given):
        """Runs something until it is over or fails; in the latter case the others end too."""
        try:
            what(*given)
        except Exception as error:  # Whatever it is, it is told.
            self.failures.add(name, error if isinstance(error, program.Failure) else repr(error))
            self.end = 0

    def together(self):
        begun = [(job.name, self.worker, number) for number, job in enumerate(self.jobs)]
        begun += [(what.__name__, what) for what in (self.pruner, self.checker, self.puller, self.stopper)]
        threads = [threading.Thread(target=self.guarded, args=one) for one in begun]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def nothing_is_left(self):
        self.careen.must("store", "prune", "-af")
        left = self.careen.must("store", "du", "--format", "{{.ID}}").split()
        left = [one for one in left if not one.startswith("hints")]
        if left:
            self.failures.add("after the last prune", f"there are {left}")
        for store in ("store", "stopping"):
            self.careen.must(store, "fsck")
            for directory in ("leases", "ingest", "trash"):
                names = [entry.name for entry in (self.work / store / directory).iterdir()]
                if names:
                    self.failures.add(f"{store}/{directory}", f"there are {names}")
        left = processes.of_program(self.careen.program)
        if left:
            self.failures.add("processes", f"there are {left}")

    def run(self):
        self.end = time.monotonic() + self.seconds
        self.guarded("alone", self.alone)
        if not self.failures.said:
            self.together()
            self.guarded("in the end", self.nothing_is_left)
        self.report()

    def report(self):
        for what, times in sorted(self.tally.counts.items()):
            print(f"{what:42} {times:6}, the longest of {self.tally.longest[what]:.2f} s")
        for kind, times in sorted(self.tally.wait_count.items()):
            print(f"waits for {kind:32} {times:6}, the longest of {self.tally.longest[kind]:.2f} s")
        builds = sum(times for what, times in self.tally.counts.items() if what.startswith("builds "))
        waits = sum(self.tally.wait_count.values())
        prunes = self.tally.counts["prunes"]
        self.failures.finish(f"{builds} builds, {prunes} prunes, {waits} waits")


if __name__ == "__main__":
    Drill(program.arguments(__doc__, 25)).run()
