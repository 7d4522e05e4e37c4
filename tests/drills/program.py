"""careen as drills run it: with a home, stores and a directory of its own, and with no other variable that matters.

A drill takes `arguments()` for what it was started with, makes a `Careen`, and ends with `finish()`.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

EPOCH = "1700000000"


def arguments(doc, count):
    """Returns what a drill is started with: the program, the work directory, the seed and how often. One that is ended
    takes away what it has mounted and started, as after an error."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("careen", type=lambda text: os.path.abspath(text))
    parser.add_argument("work", type=lambda text: pathlib.Path(text).resolve())
    parser.add_argument("seed", type=int, nargs="?", default=1)
    parser.add_argument("count", type=int, nargs="?", default=count)
    return parser.parse_args()


class Failure(Exception):
    """Something is not as it must be."""


class Careen:
    """The program, with a home in a work directory."""

    def __init__(self, program, work, user=None, group=None):
        self.program, self.work = program, work
        # Whom to become, for drills that root runs.
        self.become = {} if user is None else {"user": user, "group": group or user, "extra_groups": []}
        self.home = work / "home"
        self.home.mkdir(exist_ok=True)
        if user is not None:
            shutil.chown(self.home, user)
        self.environment = {
            "HOME": str(self.home), "PATH": "/usr/local/bin:/usr/bin:/bin", "SOURCE_DATE_EPOCH": EPOCH,
        }

    def start(self, store, *words, env=None, before=(), **how):
        """Starts it upon a store; standard error is standard output. A variable that is None is not set. What comes
        `before` is a command that starts another, and the rest is as `Popen` has it."""
        both = {**self.environment, "CAREEN_STORE": str(self.work / store), **(env or {})}
        return subprocess.Popen(
            [*before, self.program, *map(str, words)], cwd=self.work, text=True, errors="replace",
            env={name: value for name, value in both.items() if value is not None},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **{**self.become, **how},
        )

    def run(self, store, *words, timeout=120, **how):
        """Runs it, and returns its exit code and what it said."""
        running = self.start(store, *words, **how)
        try:
            said, _ = running.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            running.kill()
            raise Failure(f"`careen {words[0]}` did not end in {timeout} s") from None
        return running.returncode, said

    def must(self, store, *words, **how):
        """Runs it, and returns what it said; it has to succeed."""
        code, said = self.run(store, *words, **how)
        if code != 0:
            raise Failure(f"`careen {words[0]}` ended with {code}:\n{said}")
        return said


def waits(event_log):
    """Returns the waits for locks of a build that are over: what on, how long others have it, and the seconds."""
    found = []
    for line in event_log.read_text().splitlines():
        event = json.loads(line)
        if event.get("event") == "waited" and event["over"]:
            found.append((event["lock"], event["held"], event["seconds"]))
    return found


class Failures:
    """What went wrong, told when it does."""

    def __init__(self, drill, seed):
        self.drill, self.seed, self.begun = drill, seed, time.monotonic()
        self.said = []

    def add(self, where, what):
        self.said.append(where)
        print(f"{where}: {what}", flush=True)

    def finish(self, figures):
        """Prints the closing line and ends the process."""
        took = time.monotonic() - self.begun
        print(f"{self.drill}: seed {self.seed}, {figures}, {took:.0f} s, {len(self.said)} failures")
        sys.exit(1 if self.said else 0)
