#!/usr/bin/env python3
"""counts.py [--careen PROGRAM] [--base LAYOUT] [--write]: what a build that has nothing to do, and one RUN, ask of the kernel and of the processor.

Times move by tens of percent from day to day; how often something is done does not. Prints for each number what it is
now, what docs/performance/counts.json says that it was, and the ratio; --write puts the new numbers there. Exits with
1 when a number is larger than before by more than a tenth.

Counted are the whole tree of processes, the first included:
  calls         system calls, without those that depend on who waits for whom
  programs      execve
  processes     processes and threads that are made
  syncs         fsync, fdatasync and syncfs
  instructions  in user mode: by perf where it has the counter, which virtual machines often have not; else those of the
                build with nothing to do by callgrind, from valgrind 3.23, which cannot follow a RUN (seccomp)

A build with nothing to do has twenty cached RUN steps. One RUN is a tenth of what twenty cost more than ten, so that
what is done once a build is not in it. All of it is done with one id. strace must be there; LAYOUT is an OCI image layout with a shell, and is made by
base-images.sh where none is named.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
RECORD = ROOT / "docs/performance/counts.json"
STEPS = 20
TOLERANCE = 1.1

# How often these are called depends on timing.
WAITING = {
    "futex", "poll", "ppoll", "wait4", "waitid", "restart_syscall", "sched_yield", "clock_nanosleep", "recvmsg",
    "nanosleep", "rt_sigreturn",
}
CLONES = {"clone", "clone3", "fork", "vfork"}
SYNCS = {"fsync", "fdatasync", "syncfs", "sync"}


def run(command, environment):
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"counts.py: {' '.join(map(str, command))}\n{done.stderr}")
    return done


class Trial:
    """A store, a base, and builds with them."""

    def __init__(self, careen, base, work):
        self.careen, self.base, self.work = careen, base, work
        self.environment = {"PATH": "/nonexistent", "HOME": str(work), "CAREEN_STORE": str(work / "store")}

    def command(self, steps, *options):
        directory = self.work / str(steps)
        directory.mkdir(exist_ok=True)
        lines = ["FROM base"] + [f"RUN : {number}" for number in range(steps)]
        (directory / "Dockerfile").write_text("\n".join(lines) + "\n")
        context = f"base=oci-layout://{self.base}:latest"
        return [self.careen, "build", "-q", "--output", "type=cacheonly", "--build-context", context, *options, directory]

    def count(self, steps, *options):
        command = self.command(steps, *options)
        # The second time it is known what is known.
        for _ in range(2):
            run(command, self.environment)
        counts = self.count_calls(command)
        instructions = self.count_instructions(command)
        if instructions is None and not options:
            instructions = self.count_emulated(command)
        if instructions is not None:
            counts["instructions"] = instructions
        return counts

    def count_calls(self, command):
        table = self.work / "calls"
        run(["/usr/bin/strace", "-f", "-c", "-U", "calls,name", "-o", table, *command], self.environment)
        calls = {name: int(number) for number, name in re.findall(r"^\s*(\d+) (\w+)$", table.read_text(), re.M)}
        calls.pop("total", None)
        return {
            "calls": sum(number for name, number in calls.items() if name not in WAITING),
            "programs": calls.get("execve", 0),
            "processes": sum(calls.get(name, 0) for name in CLONES),
            "syncs": sum(calls.get(name, 0) for name in SYNCS),
        }

    def count_instructions(self, command):
        table = self.work / "instructions"
        perf = ["/usr/bin/perf", "stat", "-x", ",", "-e", "instructions:u", "-o", table, *command]
        try:
            done = subprocess.run(perf, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True)
        except FileNotFoundError:
            return None
        found = re.search(r"^(\d+),", table.read_text(), re.M) if done.returncode == 0 else None
        return int(found.group(1)) if found else None


    def count_emulated(self, command):
        valgrind = ["/usr/bin/valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *command]
        try:
            done = subprocess.run(valgrind, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        except FileNotFoundError:
            return None
        found = re.search(r"Collected : (\d+)$", done.stderr, re.M) if done.returncode == 0 else None
        return int(found.group(1)) if found else None


def measure(careen, base):
    with tempfile.TemporaryDirectory() as work:
        trial = Trial(careen, base, Path(work))
        idle = trial.count(STEPS)
        all_of_them, half = (trial.count(steps, "--no-cache") for steps in (STEPS, STEPS // 2))
        per_step = {name: round((all_of_them[name] - half[name]) / (STEPS // 2), 1) for name in all_of_them}
        return {"nothing to do": idle, "one RUN": per_step}


def compare(now, before):
    """Prints the table; returns whether anything became worse."""
    worse = False
    print(f"{'':32}{'now':>12}{'before':>12}{'ratio':>8}")
    for what, numbers in now.items():
        for name, number in numbers.items():
            old = before.get(what, {}).get(name)
            ratio = number / old if old else None
            worse = worse or (ratio or 0) > TOLERANCE
            told = [f"{number:g}", "-" if old is None else f"{old:g}", "-" if ratio is None else f"{ratio:.2f}"]
            print(f"{f'{what}: {name}':32}{told[0]:>12}{told[1]:>12}{told[2]:>8}")
    return worse


def have_one_id():
    """Begins again with one id: strace cannot follow a helper that has more rights than it, as one that gives ids has."""
    if Path("/proc/self/uid_map").read_text().split()[2:] != ["1"]:
        os.execv("/usr/bin/unshare", ["unshare", "--user", "--map-root-user", sys.executable, *sys.argv])


def main():
    have_one_id()
    parser = argparse.ArgumentParser(usage="counts.py [--careen PROGRAM] [--base LAYOUT] [--write]")
    parser.add_argument("--careen", type=Path, default=ROOT / "target/release/careen")
    parser.add_argument("--base", type=Path)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    base = arguments.base
    if base is None:
        base = Path(tempfile.gettempdir()) / f"careen-bench-base-{os.getuid()}"
        subprocess.run([ROOT / "scripts/base-images.sh", base], check=True, stdout=subprocess.DEVNULL)
    now = measure(arguments.careen.resolve(), base.resolve())
    before = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    worse = compare(now, before)
    if arguments.write:
        RECORD.write_text(json.dumps(now, indent=2) + "\n")
    sys.exit(1 if worse and not arguments.write else 0)


if __name__ == "__main__":
    main()
