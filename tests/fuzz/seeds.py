#!/usr/bin/env python3
"""Writes what the fuzz targets begin with.

    seeds.py CORPORA DIRECTORY SEED

The rows of the corpora, where there are any, and some inputs of each format that are made here go to DIRECTORY/TARGET,
one file each. Every target gets some. SEED is that of the random ones.
"""

import bz2
import contextlib
import gzip
import io
import json
import lzma
import os
import random
import sys
import tarfile

# One raw block behind a header that says how long it is, and a frame that is skipped (RFC 8878).
ZSTD = b"\x28\xb5\x2f\xfd\x20\x05\x29\x00\x00hello" + b"\x50\x2a\x4d\x18\x02\x00\x00\x00xx"
DIGEST = "sha256:" + "0f" * 32

HEADERS = [
    'Bearer realm="https://a/token",service="r",scope="repository:x:pull,push"',
    'Negotiate, Basic realm="a \\"b\\"", BEARER Realm = y',
    '</v2/_catalog?last=b&n=2>; rel="next", <https://b/c>; rel=prev',
    "120\nSun, 06 Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 1994 08:49:42 GMT\nSun, 06 Nov 1994 08:49:37 GMT",
    "bytes 5-9/10",
    "bytes 0-0/*",
    "../b?c=%2e%2e#d",
    "//user:pass@host:8080/a b",
    "https://[::1]:443/../a\n./x?y",
]
USERS = [
    "root\0root:x:0:0:root:/root:/bin/sh\n\0root:x:0:\n",
    "app:staff\0app:x:1000:1000::/home/app:\n\0staff:x:50:app,root\nwheel:x:10:app\n",
    "1000\0app:x:1000:7::/:\n1000:x:5:5::/:\n\0a:x:7:app\n",
    "4294967295:0\0x:x:-1:+0:::\n\0x:x:00:\n",
    "+0\0\0",
    "-1:root\0\0",
]
RECORDS = [
    json.dumps({"a": [1, 2.5, None, "\u00e9"], "b": {}}),
    json.dumps(
        {
            "format": 1,
            "program": "careen",
            "platform": "linux/amd64",
            "layers": [
                {
                    "diffId": DIGEST,
                    "digest": DIGEST,
                    "size": 9,
                    "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                    "times": {"not-after": "1970-01-01T00:00:01Z"},
                }
            ],
            "records": [
                {
                    "key": DIGEST,
                    "layer": 0,
                    "created": "2026-01-01T00:00:00Z",
                    "made": "2026-01-01T00:00:00Z",
                    "used": "2026-01-01T00:00:00Z",
                    "on": DIGEST,
                }
            ],
            "aliases": [{"definition": DIGEST, "content": DIGEST}],
        }
    ),
    "careen stash 1\n"
    ".\t0:0:755\t1.0\t\td\n"
    f"a\t1:2:644\t1.5\tuser.a=b\tf\t3\t0\t{DIGEST}\n"
    "b\t0:0:777\t0.0\t\tl\t../a\n"
    "c\t1:2:644\t1.5\tuser.a=b\th\ta\n",
]
DOCUMENTS = [
    {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": DIGEST, "size": 2},
        "layers": [
            {
                "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                "digest": DIGEST,
                "size": 9,
                "annotations": {"a": "b"},
            }
        ],
    },
    {
        "schemaVersion": 2,
        "manifests": [
            {
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": DIGEST,
                "size": 9,
                "platform": {"os": "linux", "architecture": "arm", "variant": "v7", "os.features": ["x"]},
            }
        ],
    },
    {
        "architecture": "amd64",
        "os": "linux",
        "created": "2024-01-02T03:04:05.678Z",
        "config": {
            "User": "a",
            "Env": ["A=b"],
            "Cmd": ["c"],
            "ExposedPorts": {"80/tcp": {}},
            "Labels": {"l": "m"},
            "Healthcheck": {"Test": ["NONE"]},
            "OnBuild": ["RUN x"],
        },
        "rootfs": {"type": "layers", "diff_ids": [DIGEST]},
        "history": [{"created_by": "RUN x", "empty_layer": True}],
    },
    {"imageLayoutVersion": "1.0.0"},
]
URLS = [
    "https://github.com/a/b.git#main:sub/dir",
    "git@github.com:a/b.git#v1",
    "ssh://git@h:2222/a/b?ref=main&subdir=c",
    "github.com/a/b",
    "https://h/r.git?checksum=abcdef0&submodules=0&keep-git-dir=1",
    "git@h:--upload-pack=touch x",
    "https://h/r.git#-x:../..",
]
# Each member: name, kind, target.
ATTACKS = [
    [("d/", "dir", ""), ("d/f", "file", ""), ("d/h", "hard", "d/f")],
    [("l", "link", "../../canary"), ("l", "file", "")],
    [("l", "link", "/"), ("l/canary", "file", "")],
    [("h", "hard", "../../canary"), ("h", "file", "")],
    [("h", "hard", "canary")],
    [("a", "link", "b"), ("b", "link", "../.."), ("a/canaries/new", "file", "")],
    [("a/b/c", "file", ""), ("a/.wh..wh..opq", "file", ""), (".wh.a", "file", "")],
    [("d", "link", "../../canaries"), ("d", "dir", ""), ("d/inner", "file", "")],
    [("../x", "file", ""), ("/y", "file", "")],
    [("var/run", "link", "/run"), ("run/", "dir", ""), ("var/run/x", "file", "")],
    [("p", "fifo", ""), ("c", "char", ""), ("x" * 150, "file", ""), ("y", "link", "z" * 150)],
]
KINDS = {
    "dir": tarfile.DIRTYPE,
    "file": tarfile.REGTYPE,
    "link": tarfile.SYMTYPE,
    "hard": tarfile.LNKTYPE,
    "fifo": tarfile.FIFOTYPE,
    "char": tarfile.CHRTYPE,
}
FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
RANDOM_SEEDS = 60
BLOCK = 512


def rows(corpora, name):
    """Yields what the rows of a table are given."""
    path = os.path.join(corpora, name, "cases", "cases.jsonl")
    if os.path.exists(path):
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)["in"]


def dockerfiles(corpora):
    """Yields Dockerfiles: of the tables, of whole builds, and with each word of the shell in one."""
    yield "FROM a AS b\nRUN <<E\nc\nE\nCOPY --from=b d e\n"
    for row in rows(corpora, "dockerfile-parser"):
        if "dockerfile" in row:
            yield row["dockerfile"]
    for row in rows(corpora, "shell-lexer"):
        yield f"FROM a\nARG b=c\nENV d={row['word']}\n"
    for top, _, names in os.walk(corpora):
        for name in names:
            if name.endswith("Dockerfile"):
                with open(os.path.join(top, name), encoding="utf-8", errors="replace") as file:
                    yield file.read()


def references(corpora):
    """Yields references of images and platforms."""
    yield from ["busybox", "localhost:5000/a/b:c@" + DIGEST, "linux/arm/v7", "windows(10.0)/amd64"]
    for row in rows(corpora, "image-reference"):
        yield row.get("ref") or row.get("text", "")
    for row in rows(corpora, "platform"):
        yield str(row["platform"])


def documents(corpora):
    """Yields manifests, indexes and configurations."""
    yield from (json.dumps(document) for document in DOCUMENTS)
    for row in rows(corpora, "oci-schema"):
        yield row["text"]


def ignore_files(corpora):
    """Yields a path and patterns."""
    yield "a/b/c\n**/b\n!a/*/c\n[^a-z]?\n"
    for row in rows(corpora, "dockerignore"):
        yield "\n".join([row.get("path", "a"), *row["patterns"]])


def git_urls(corpora):
    """Yields URLs of repositories."""
    yield from URLS
    for row in rows(corpora, "dockerfile-parser"):
        if "ref" in row:
            yield row["ref"]


def archive(members, form):
    """Returns a tar of members."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for name, kind, target in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = KINDS[kind], target
            member.mode = 0o755 if kind == "dir" else 0o644
            content = b"written" if kind == "file" else b""
            member.size = len(content)
            if form == tarfile.PAX_FORMAT:
                member.pax_headers = {"SCHILY.xattr.user.a": "b", "mtime": "1.5"}
            tar.addfile(member, io.BytesIO(content))
    # Of the zeros that fill a tar up, two blocks are its end.
    blocks = -(-len(out.getvalue().rstrip(b"\0")) // BLOCK)
    return out.getvalue()[: blocks * BLOCK].ljust((blocks + 2) * BLOCK, b"\0")


def archives():
    """Yields tars, each in every format that has room for its names."""
    for members in ATTACKS:
        for form in FORMATS:
            with contextlib.suppress(ValueError):
                yield archive(members, form)


def layers(seed):
    """Yields pairs of layers: tars behind a 0, and decisions behind a 1."""
    for tar in archives():
        yield b"\0" + tar
    for seed_of_one in range(RANDOM_SEEDS):
        yield b"\1" + random_bytes(f"{seed} {seed_of_one}", 96)


def compressed():
    """Yields what is compressed in all ways that are known."""
    text = b"hello " * 50
    yield from [gzip.compress(text), gzip.compress(b"") * 3, bz2.compress(text), lzma.compress(text), ZSTD, ZSTD * 2]
    yield gzip.compress(text) + b"trailing"


def random_bytes(seed, most):
    """Returns up to so many bytes."""
    source = random.Random(seed)
    return source.randbytes(source.randrange(1, most))


def questions(seed):
    """Yields calls."""
    return (random_bytes(f"{seed} {number}", 128) for number in range(RANDOM_SEEDS))


def write(directory, inputs):
    """Writes one file for each input."""
    os.makedirs(directory, exist_ok=True)
    for number, content in enumerate(inputs):
        data = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
        with open(os.path.join(directory, f"{number:04}"), "wb") as file:
            file.write(data)


def main():
    """Writes the seeds of all targets."""
    corpora, directory, seed = sys.argv[1:]
    targets = {
        "f1-dockerfile": dockerfiles(corpora),
        "f2-tar-reader": archives(),
        "f3-apply": layers(seed),
        "f4-reference": references(corpora),
        "f5-documents": documents(corpora),
        "f6-ignore": ignore_files(corpora),
        "f7-headers": HEADERS,
        "f9-decompress": compressed(),
        "f10-user": USERS,
        "f11-git-url": git_urls(corpora),
        "f12-record": RECORDS,
        "f13-question": questions(seed),
    }
    for target, inputs in targets.items():
        write(os.path.join(directory, target), inputs)


if __name__ == "__main__":
    main()
