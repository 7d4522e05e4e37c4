"""Damages one file of a store after another, and looks whether the next build or `careen fsck` makes it good.

    drill.py CAREEN WORK [SEED [COUNT [BASE]]]

It runs as the user whose store it is, in WORK, with the Dockerfile beside this file upon the image BASE, which is the
layout WORK/base where none is given. Of the files below `fs/` those are damaged whose layer has a blob in the store, which
`careen fsck` must find. Each trial is on the store that the one before left, and the first failure ends the drill.
"""

import hashlib
import json
import os
import pathlib
import random
import shutil
import stat
import subprocess
import sys

from damage import DAMAGES

careen, work = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()
seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
count = int(sys.argv[4]) if len(sys.argv) > 4 else 100
base = sys.argv[5] if len(sys.argv) > 5 else f"oci-layout://{work}/base"
here = pathlib.Path(__file__).resolve().parent
store = work / "store"
environment = dict(os.environ, CAREEN_STORE=str(store), HOME=str(work / "home"), SOURCE_DATE_EPOCH="1")


def run(*words):
    return subprocess.run(
        [careen, *words], cwd=work, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )


def build(*options):
    """Builds an archive and an image of the store; returns the first run that fails, or the last."""
    for output in ["type=oci,dest=out.tar,rewrite-timestamp=true", "type=image,name=app,rewrite-timestamp=true"]:
        done = run(
            "build", "--network=none", "--build-context", f"base={base}", "-o", output, *options, str(here)
        )
        if done.returncode != 0:
            return done
    return done


# What careen never reads: its locks.
UNREAD = {"claims", "lock"}
# The files of layers, whose modes and owners nobody compares.
FILES = "files"


def files():
    """Returns the files of each part of the store, without the links that trials before left: what they lead to is
    not the store's."""
    found = {}
    for directory, below, names in os.walk(store):
        below[:] = sorted(name for name in below if name != "fs")
        for path in (pathlib.Path(directory) / name for name in sorted(names) if name not in UNREAD):
            if not path.is_symlink():
                found.setdefault(part(path), []).append(path)
    layers = [path for path in sorted(store.glob("snapshots/*/*/fs")) if has_blob(path.parent)]
    inside = [path for layer in layers for path in sorted(layer.rglob("*")) if is_plain(path)]
    return found | {FILES: inside} if inside else found


def has_blob(snapshot):
    """Tells whether the blob of a layer is in the store."""
    try:
        blob = json.loads((snapshot / "snapshot.json").read_bytes())["body"]["meta"].get("blob")
        if blob is None:
            digits = hashlib.sha256(f"packed files\0{snapshot.name}".encode()).hexdigest()
            record = store / "records" / snapshot.parent.name / digits[:2] / digits
            blob = json.loads(record.read_bytes())["body"]["value"]
    except (OSError, ValueError, KeyError):
        return False
    return (store / "content/blobs" / blob.replace(":", "/")).is_file()


def is_plain(path):
    """Tells whether it is a regular file with something in it."""
    found = path.lstat()
    return stat.S_ISREG(found.st_mode) and found.st_size > 0


def damage_file(path, how):
    """Damages a file of a layer, which may belong to an id of the user's range; tells whether it is another then."""
    within = [] if path.lstat().st_uid == os.getuid() else ["unshare", "--map-auto", "--map-root-user"]
    words = [*within, sys.executable, here / "damage.py", how, str(random.random()), path, work / "outside"]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout == "another\n"


def part(path):
    below = path.relative_to(store).parts
    if below[0] == "snapshots" and "fs" in below:
        return FILES
    return "/".join(below[:2]) if below[0] == "content" else below[0]


def trial(number, reference):
    """Does one trial; returns what became of it, or raises what is wrong."""
    parts = files()
    path = random.choice(parts[random.choice(sorted(parts))])
    is_file = part(path) == FILES
    damage = random.choice([how for how in DAMAGES if how != "mode" or not is_file])
    where = f"{number}: {damage} {path.relative_to(store)}"
    is_other = False
    if is_file:
        is_other = damage_file(path, damage)
    else:
        if damage != "mode":
            path.chmod(0o600)
        DAMAGES[damage](path, work / "outside")
    done = build()
    how = "noticed by nobody" if done.returncode == 0 else "refused"
    if done.returncode == 0 and (work / "out.tar").read_bytes() != reference:
        raise AssertionError(f"{where}: another result\n{done.stderr}")
    if done.returncode == 0 and "is damaged" in done.stderr:
        how = "healed with a warning"
    if done.returncode != 0 and os.environ.get("DRILL_VERBOSE"):
        print(f"{where}: refused\n{done.stderr}", flush=True)
    found = run("fsck")
    if found.returncode != 0:
        mended = run("fsck", "--repair")
        if mended.returncode != 0:
            if path.name == "VERSION" and ("VERSION`" in mended.stderr or "has format" in mended.stderr):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                path.unlink(missing_ok=True)
                path.write_text("1\n")
                path.chmod(0o600)
                how = "refused with the way out"
            else:
                raise AssertionError(f"{where}: not mended\n{done.stderr}{mended.stdout}{mended.stderr}")
        else:
            how = "found by fsck, build " + how
    elif done.returncode != 0 or is_other:
        raise AssertionError(f"{where}: build {how}, and fsck finds nothing\n{done.stderr}{found.stdout}")
    if run("fsck").returncode != 0:
        raise AssertionError(f"{where}: still damaged\n" + run("fsck").stdout)
    again = build("--no-cache") if is_file else build()
    if again.returncode != 0 or (work / "out.tar").read_bytes() != reference:
        raise AssertionError(f"{where}: not built again\n{again.stderr}")
    return part(path), damage, how


def main():
    random.seed(seed)
    (work / "outside").write_text("outside\n")
    first = build()
    if first.returncode != 0:
        sys.exit(first.stderr)
    reference = (work / "out.tar").read_bytes()
    table, failures = {}, []
    for number in range(count):
        try:
            key = trial(number, reference)
            table[key] = table.get(key, 0) + 1
        except AssertionError as error:
            failures.append(str(error))
            print(error, flush=True)
            break
    for (what, damage, how), times in sorted(table.items()):
        print(f"{what:22} {damage:10} {times:4}  {how}")
    if (work / "outside").read_text() != "outside\n":
        failures.append("a file outside of the store was changed")
        print(failures[-1], flush=True)
    print(f"corruption: seed {seed}, {sum(table.values())} files damaged, {len(failures)} failures")
    sys.exit(1 if failures else 0)


main()
