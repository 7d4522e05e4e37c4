#!/usr/bin/env python3
"""layer_lines.py ARCHIVE: prints a line for each object of each layer of an image (an OCI archive, layers plain or of
gzip): the layer's number, path, kind, mode, owner, group, link, device number and extended attributes with their
values. A whiteout is an object. The objects of a layer come in the order of their paths; of the names of one file any
may be the first, so that a hard link is told by all its names.
"""

import io
import sys
import tarfile

from same_trees import layers

KINDS = {
    tarfile.REGTYPE: "file", tarfile.DIRTYPE: "directory", tarfile.SYMTYPE: "link", tarfile.CHRTYPE: "character",
    tarfile.BLKTYPE: "block", tarfile.FIFOTYPE: "pipe",
}


def attributes(entry):
    """Returns the extended attributes of an object, in the order of their names."""
    prefix = "SCHILY.xattr."
    named = sorted(item for item in entry.pax_headers.items() if item[0].startswith(prefix))
    return " ".join(f"{name.removeprefix(prefix)}={value.encode('utf-8', 'surrogateescape').hex()}"
                    for name, value in named)


def plain(path):
    """Returns a path of an archive in its shortest form."""
    return path.removeprefix("./").rstrip("/")


def lines(layer):
    """Returns the lines of one layer."""
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        entries = [(plain(entry.name), entry) for entry in tar]
    named = dict(entries)
    names = {}
    for path, entry in entries:
        names.setdefault(plain(entry.linkname) if entry.islnk() else path, []).append(path)
    for path, entry in sorted(entries, key=lambda pair: pair[0]):
        first = plain(entry.linkname) if entry.islnk() else path
        entry = named[first]
        device = f"{entry.devmajor}:{entry.devminor}" if entry.ischr() or entry.isblk() else "-"
        same = " ".join(sorted(names[first])) if len(names[first]) > 1 else "-"
        yield (f"{path}\t{KINDS[entry.type]}\t{entry.mode:o}\t{entry.uid}:{entry.gid}\t{entry.linkname or '-'}\t"
               f"{device}\t{attributes(entry) or '-'}\t{same}")


def main(archive):
    """Prints all layers."""
    for number, layer in enumerate(layers(archive)):
        for line in lines(layer):
            print(f"{number}\t{line}")


if __name__ == "__main__":
    main(*sys.argv[1:])
