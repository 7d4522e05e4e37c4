"""Kills processes of builds at random moments, and looks whether the next build is as if nothing had happened.

    drill.py CAREEN WORK [SEED [COUNT [BASE]]]

It runs as an ordinary user, in WORK, with the Dockerfile beside this file upon the image BASE, which is the layout
WORK/base where none is given. Each time one process of the build is killed, or all of them at once. Then nothing of
the build is left within a second, `careen fsck` finds nothing, and the next build gives the bytes of an undisturbed one.
The store is the same for all, so that a kill meets steps that are there as well as steps that are not: every third
time it begins empty.
"""

import os
import pathlib
import random
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import processes  # noqa: E402

careen, work = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()
seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
count = int(sys.argv[4]) if len(sys.argv) > 4 else 30
base = sys.argv[5] if len(sys.argv) > 5 else f"oci-layout://{work}/base"
here = pathlib.Path(__file__).resolve().parent
environment = dict(os.environ, HOME=str(work / "home"), SOURCE_DATE_EPOCH="1")
BUILD = ["build", "--network=none", "--build-context", f"base={base}"]
OUTPUT = ["-o", "type=oci,dest=out.tar,rewrite-timestamp=true", str(here)]


def start(store, *words):
    return subprocess.Popen(
        [careen, *words], cwd=work, env=dict(environment, CAREEN_STORE=str(work / store)), text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )


def run(store, *words):
    running = start(store, *words)
    said, _ = running.communicate()
    return running.returncode, said


def build(store):
    """Returns the archive that a build writes."""
    (work / "out.tar").unlink(missing_ok=True)
    code, said = run(store, *BUILD, *OUTPUT)
    if code != 0:
        raise AssertionError(f"the build failed\n{said}")
    return (work / "out.tar").read_bytes()


def began(number):
    """Returns when a process began; nothing of one that has ended, also where nobody has asked how."""
    try:
        words = pathlib.Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return None if words[0] in "ZX" else words[19]


def trial(number, store, whole):
    """Kills once; returns whom."""
    running = start(store, *BUILD, "--progress=plain", *OUTPUT)
    time.sleep(random.random() * whole)
    numbers = processes.tree(running.pid)
    times = {one: began(one) for one in numbers}
    whom = "all" if random.randrange(4) == 0 else "one"
    killed = processes.send(numbers if whom == "all" else [random.choice(numbers)], signal.SIGKILL)
    running.communicate()
    time.sleep(1)
    left = [one for one, at in times.items() if at is not None and began(one) == at]
    if left:
        raise AssertionError(f"{left} are left a second after the kill")
    code, said = run(store, "fsck")
    if code != 0:
        raise AssertionError(f"fsck: {said}")
    return whom if killed else "nobody"


def main():
    random.seed(seed)
    begun = time.monotonic()
    reference = build("reference")
    whole = time.monotonic() - begun
    table, failures, store = {}, [], "store-0"
    for number in range(count):
        if number % 3 == 0:
            store = f"store-{number}"
        try:
            whom = trial(number, store, whole)
            if build(store) != reference:
                raise AssertionError("another result")
            table[whom] = table.get(whom, 0) + 1
        except AssertionError as error:
            failures.append(error)
            print(f"kill {number}: {error}", flush=True)
        if number % 3 == 2:
            run(store, "image", "prune", "--all", "--force")
    for whom, times in sorted(table.items()):
        print(f"{whom:8} {times:4}")
    print(f"kill: seed {seed}, {sum(table.values())} builds killed, {len(failures)} failures")
    sys.exit(1 if failures else 0)


main()
