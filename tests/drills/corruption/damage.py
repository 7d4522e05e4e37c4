"""Ways to damage a file.

    damage.py NAME SEED PATH OUTSIDE

damages a file of a layer, whose mode stays, and prints `another` where its bytes are others then. OUTSIDE is what links
lead to.
"""

import os
import pathlib
import random
import stat
import sys


def flip(path, _):
    data = bytearray(path.read_bytes())
    if data:
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    path.write_bytes(data)


def cut(path, _):
    size = path.stat().st_size
    os.truncate(path, random.randrange(size) if size else 0)


def extend(path, _):
    with path.open("ab") as file:
        file.write(bytes(random.randrange(1, 100)))


def zero(path, _):
    path.write_bytes(bytes(path.stat().st_size))


def delete(path, _):
    path.unlink()


def directory(path, _):
    path.unlink()
    path.mkdir()
    (path / "x").write_text("x")


def link(path, outside):
    path.unlink()
    path.symlink_to(outside)


def mode(path, _):
    path.chmod(random.choice([0, 0o777, 0o4755]))


DAMAGES = {damage.__name__: damage for damage in [flip, cut, extend, zero, delete, directory, link, mode]}


def content(path):
    """Returns the bytes of what is at a path, and none of what is no file."""
    return path.read_bytes() if path.is_file() and not path.is_symlink() else None


def main(name, seed, path, outside):
    random.seed(seed)
    path = pathlib.Path(path)
    before, was = content(path), path.lstat().st_mode
    path.chmod(0o600)
    DAMAGES[name](path, outside)
    if path.is_file() and not path.is_symlink():
        path.chmod(stat.S_IMODE(was))
    print("as it was" if content(path) == before else "another")


if __name__ == "__main__":
    main(*sys.argv[1:])
