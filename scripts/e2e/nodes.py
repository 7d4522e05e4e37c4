#!/usr/bin/env python3
"""nodes.py TAR: writes an archive with objects that only root makes: devices, pipes, files of others and of many modes."""

import io
import sys
import tarfile

# Name, type, mode, user, group, device number or target.
OBJECTS = [
    ("disk", tarfile.BLKTYPE, 0o660, 0, 6, (8, 0)),
    ("console", tarfile.CHRTYPE, 0o620, 1234, 5, (5, 1)),
    ("null", tarfile.CHRTYPE, 0o666, 0, 0, (1, 3)),
    ("large", tarfile.CHRTYPE, 0o600, 65534, 65534, (4095, 1048575)),
    ("null-again", tarfile.LNKTYPE, 0o666, 0, 0, "null"),
    ("pipe", tarfile.FIFOTYPE, 0o604, 3, 4, None),
    ("directory", tarfile.DIRTYPE, 0o1730, 33, 33, None),
    ("directory/file", tarfile.REGTYPE, 0o4750, 33, 1234, None),
    ("directory/again", tarfile.LNKTYPE, 0o4750, 33, 1234, "directory/file"),
    ("link", tarfile.SYMTYPE, 0o777, 12, 13, "directory/file"),
    ("dangling", tarfile.SYMTYPE, 0o777, 0, 1234, "/nowhere"),
    ("closed", tarfile.REGTYPE, 0, 60000, 60000, None),
]


def entry(name, kind, mode, user, group, extra):
    """Returns the header of one object."""
    made = tarfile.TarInfo(name)
    made.type, made.mode, made.uid, made.gid, made.mtime = kind, mode, user, group, 1000000000
    if isinstance(extra, tuple):
        made.devmajor, made.devminor = extra
    elif extra:
        made.linkname = extra
    if kind == tarfile.REGTYPE:
        made.size = len(name)
    return made


def main(path):
    """Writes the archive."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for one in OBJECTS:
            made = entry(*one)
            archive.addfile(made, io.BytesIO(one[0].encode()) if made.isreg() else None)


if __name__ == "__main__":
    main(*sys.argv[1:])
