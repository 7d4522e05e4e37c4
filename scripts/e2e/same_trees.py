#!/usr/bin/env python3
"""same_trees.py ARCHIVE ARCHIVE [IGNORED...]: tells whether two images (OCI archives, layers plain or of gzip) have the
same objects: path, kind, mode, owner, group, device number, link and extended attributes. Prints what differs. What is
random in every build is named by its path.
"""

import io
import json
import sys
import tarfile


def layers(archive):
    """Returns the layers of the one image of an archive."""
    with tarfile.open(archive) as tar:
        def blob(digest):
            return tar.extractfile("blobs/" + digest.replace(":", "/")).read()

        document = json.loads(tar.extractfile("index.json").read())
        while "manifests" in document:
            document = json.loads(blob(document["manifests"][0]["digest"]))
        return [blob(layer["digest"]) for layer in document["layers"]]


def facts(entry):
    """Returns what is compared of one object."""
    device = (entry.devmajor, entry.devminor) if entry.isdev() and not entry.isfifo() else None
    attributes = sorted(item for item in entry.pax_headers.items() if "xattr" in item[0])
    return entry.type, oct(entry.mode), entry.uid, entry.gid, entry.linkname, device, attributes


def remove(tree, path):
    """Removes a path with everything below it."""
    for known in [known for known in tree if known == path or known.startswith(path + "/")]:
        del tree[known]


def tree_of(archive):
    """Returns the objects that all layers together make."""
    tree = {}
    for layer in layers(archive):
        with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
            entries = [(entry.name.removeprefix("./").strip("/"), entry) for entry in tar]
        for path, _ in entries:
            parent, _, name = path.rpartition("/")
            if name == ".wh..wh..opq":
                for below in [known for known in tree if known.startswith(parent + "/")]:
                    tree.pop(below, None)
            elif name.startswith(".wh."):
                remove(tree, f"{parent}/{name[4:]}".lstrip("/"))
        for path, entry in entries:
            if not path.rpartition("/")[2].startswith(".wh."):
                if not entry.isdir() and path in tree:
                    remove(tree, path)
                tree[path] = facts(entry)
    return tree


def main(one, other, *ignored):
    """Compares, and returns the exit status."""
    ours, theirs = tree_of(one), tree_of(other)
    differing = [
        path for path in sorted(ours.keys() | theirs.keys())
        if ours.get(path) != theirs.get(path) and path not in ignored
    ]
    for path in differing:
        print(path, ours.get(path), theirs.get(path))
    print(f"{len(ours)} and {len(theirs)} objects, {len(differing)} differ")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
