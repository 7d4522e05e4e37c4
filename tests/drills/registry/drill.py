"""Builds, pushes, caches and pulls with a registry that misbehaves at random (hostile.py), and looks at what is left.

    drill.py CAREEN WORK [SEED [COUNT]]

It runs as an ordinary user, in WORK, upon the image of the layout WORK/base. A build whose base, cache and result are in the
registry either succeeds or says what the registry did, with exit code 4; so does a pull of the result. Every second time nothing goes wrong
but what another attempt puts right, and then both succeed. Nothing hangs or panics.
Then no tag of the registry leads to what is not there, `careen fsck` finds nothing, and the next build, of which nothing goes
wrong, gives the digests of one that was never disturbed. Every second time the store begins empty.
"""

import collections
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import hostile  # noqa: E402

careen, work = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()
seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
count = int(sys.argv[4]) if len(sys.argv) > 4 else 20
# How long anything may take before it hangs, in seconds.
PATIENCE_S = 120
PLATFORMS = "linux/amd64,linux/arm64"
TRIES = ["--retry", "7", "--retry-delay", "0s", "--creds", "me:secret"]
# What is a registry's fault, as docs/errors.md has it.
REMOTE = 4
# How an error begins: of a build beside plain progress, and of anything else.
ERROR = re.compile(r"^(ERROR|error): ", re.MULTILINE)


def run(store, *words):
    """Runs careen; returns its exit code and what it said."""
    environment = dict(os.environ, HOME=str(work / "home"), CAREEN_STORE=str(work / store), SOURCE_DATE_EPOCH="1")
    ran = subprocess.run(
        [careen, *words], cwd=work, env=environment, text=True, timeout=PATIENCE_S,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    return ran.returncode, ran.stdout


def lay_out(dice):
    """Makes the context: files that nothing makes smaller."""
    context = work / "context"
    context.mkdir()
    for name, size in (("one", 150_000), ("two", 90_000)):
        (context / name).write_bytes(dice.randbytes(size))


def write_dockerfile(host):
    base = f"FROM {host}/lib/base:1"
    text = f"{base} AS parts\nCOPY one /one\n{base}\nCOPY two /two\nCOPY --from=parts /one /copied\n"
    (work / "context/Dockerfile").write_text(text)


def build(store, host):
    """Builds for two platforms with everything in the registry."""
    cache = f"{host}/team/cache:1"
    return run(
        store, "build", "--progress=plain", "--platform", PLATFORMS, *TRIES, "--push", "-t", f"{host}/team/app:1",
        "--cache-from", cache, "--cache-to", f"type=registry,ref={cache},mode=max", "context",
    )


def pull(store, host):
    return run(store, "pull", "--platform", PLATFORMS, *TRIES, f"{host}/team/app:1")


def check_outcome(what, code, said, host):
    """Fails where something neither succeeded nor said what the registry did."""
    if code == 0:
        return "done"
    lines = said[-3000:]
    expected = 1 if "is damaged" in said else REMOTE
    if code not in (expected, REMOTE) or "panicked" in said or host not in said or not ERROR.search(said):
        raise AssertionError(f"{what} ended with {code}\n{lines}")
    return f"refused: {cause(said)}"


def cause(said):
    """Returns the last cause of an error, without what differs from one to the next."""
    causes = [line for line in said.splitlines() if "caused by:" in line or ERROR.match(line)]
    text = re.sub(r"`[^`]*`", "`…`", causes[-1].split("by:")[-1])
    return re.sub(r"[0-9]+", "N", text.strip())


def check_store(store):
    code, said = run(store, "fsck")
    if code != 0:
        raise AssertionError(f"fsck: {said}")


def check_registry(registry):
    if registry.dangling():
        raise AssertionError(f"tags lead to what is not there: {registry.dangling()}")


def wanted_tags(registry):
    return {place: digest for place, digest in registry.tags.items() if place[0] == "team/app"}


def trial_of(dice, is_passing):
    """Decides what a trial is like."""
    return hostile.Trial(
        rate=dice.choice([0.05, 0.1, 0.2]),
        faults=tuple(hostile.PASSING if is_passing else hostile.PASSING + hostile.LASTING),
        location=dice.choice(["path", "url", "query", "relative"]),
        # A token that few requests are good for is used up by another thread at times, and that is final.
        token_uses=0 if is_passing else dice.choice([0, 0, 3, 10]),
        takes_mounts=dice.random() < 0.7,
    )


def attempt(registry, trial, store, reference):
    """One trial; returns how the build and the pull ended."""
    registry.begin(trial)
    outcomes = [check_outcome("the build", *build(store, registry.host), registry.host)]
    check_registry(registry)
    check_store(store)
    if outcomes == ["done"]:
        if wanted_tags(registry) != reference:
            raise AssertionError("another result")
        outcomes.append(check_outcome("the pull", *pull(f"{store}-pulled", registry.host), registry.host))
        check_store(f"{store}-pulled")
    if set(trial.faults) == set(hostile.PASSING) and outcomes != ["done", "done"]:
        raise AssertionError(f"it ended with {outcomes}, though all that went wrong passes")
    registry.behave()
    for what, (code, said) in (
        ("build", build(store, registry.host)),
        ("pull", pull(f"{store}-pulled", registry.host)),
    ):
        if code != 0:
            raise AssertionError(f"the next {what} failed\n{said[-3000:]}")
    check_registry(registry)
    if wanted_tags(registry) != reference:
        raise AssertionError("another result afterwards")
    return outcomes


def main():
    dice = random.Random(seed)
    begun = time.monotonic()
    lay_out(dice)
    registry = hostile.Registry(dice, work / "base")
    write_dockerfile(registry.host)
    code, said = build("reference", registry.host)
    if code != 0:
        raise SystemExit(f"the build that nobody disturbs failed\n{said}")
    reference = wanted_tags(registry)
    table, failures, store = collections.Counter(), 0, ""
    for number in range(count):
        if number % 2 == 0:
            store = f"store-{number}"
        trial = trial_of(dice, is_passing=number % 2 == 0)
        try:
            for what, outcome in zip(("build", "pull"), attempt(registry, trial, store, reference)):
                table[f"{what} {outcome}"] += 1
        except (AssertionError, subprocess.TimeoutExpired) as error:
            failures += 1
            print(f"trial {number}: {error}", flush=True)
        if number % 2 == 1:
            shutil.rmtree(work / f"{store}-pulled", ignore_errors=True)
    faults = sum(registry.counts.values())
    for what, times in sorted(table.items()):
        print(f"{times:4} {what}")
    unmet = [fault for fault in hostile.PASSING + hostile.LASTING if not registry.counts[fault]]
    print(f"faults never met: {', '.join(unmet) or 'none'}; {time.monotonic() - begun:.0f} s")
    print(f"registry: seed {seed}, {count} trials with {faults} faults, {failures} failures")
    sys.exit(1 if failures else 0)


main()
