#!/usr/bin/env python3
"""Cuts the power below builds, and looks whether all that they had said is there.

    drill.py CAREEN WORK [SEED [COUNT]]

Root runs it, for the mounts; careen itself runs as the user CAREEN_DRILL_USER, else careen-t1, and in turn as
CAREEN_DRILL_SINGLE, else nobody, who has no range of ids. The base is the layout WORK/base.

Two loops of builds share a store on an ext4 of its own, in a file. At a random moment the file system forgets all that it
has not written, and takes nothing any more (EXT4_IOC_SHUTDOWN with NOLOGFLUSH, linux/fs/ext4/ext4.h), as a disk without
power. It is mounted anew, and then has to hold:

* what a build that had ended with 0 said: the archive it wrote, or the image it named in the store, with the digest
  that it printed, and every blob in it with the bytes of its name;
* no blob of the store is empty or has other bytes than its name says, and no file of an unpacked layer other ones than
  its blob;
* every build is done again, in the same store, without any manual step, and prints what a store that lost nothing gives.

The file system lives for PERIOD cuts, so that a store carries what earlier cuts left in it; then comes the other user.
Ends with 1 at the first thing that does not hold, and says at which cut of which seed.
"""

import fcntl
import hashlib
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tarfile
import threading
import time

EXT4_IOC_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32)
NOLOGFLUSH = 2
PERIOD = 10
USERS = [os.environ.get("CAREEN_DRILL_USER", "careen-t1"), os.environ.get("CAREEN_DRILL_SINGLE", "nobody")]
CONTEXT = os.path.dirname(os.path.abspath(__file__))
# Builds that one loop can do before the longest wait for a cut is over, at the very most.
BUILDS = 40
DISK_BYTES = 4 << 30
# Each build has some 400 files that are there twice.
INODES = 1_000_000
LONGEST_WAIT_SECONDS = 2.5


class Broken(Exception):
    """Something that was promised does not hold."""


class Drill:
    """A file system that loses power, and the builds on it."""

    def __init__(self, careen, work, seed):
        self.program, self.seed = os.path.abspath(careen), seed
        self.work = os.path.abspath(work)
        self.disk = os.path.join(self.work, "disk")
        self.mount = os.path.join(self.work, "mount")
        self.sound = os.path.join(self.work, "sound")
        self.user = USERS[0]
        self.random = random.Random(seed)
        self.counts = {"cuts": 0, "met": 0, "archives": 0, "images": 0, "blobs": 0, "layers": 0, "again": 0}

    def begin(self, user):
        """Makes an empty file system that a user owns, and a place for the store that loses nothing."""
        self.user = user
        run(["rm", "-rf", self.sound])
        for directory in (self.mount, self.sound):
            os.makedirs(directory, exist_ok=True)
        shutil.chown(self.sound, user)
        with open(self.disk, "wb") as file:
            file.truncate(DISK_BYTES)
        run(["mkfs.ext4", "-q", "-F", "-N", str(INODES), self.disk])
        self.attach()
        shutil.chown(self.mount, self.user)
        # The drill's own preparation is not what loses power.
        os.sync()

    def attach(self):
        """Mounts the file system, which repairs itself from its journal."""
        run(["mount", "-o", "loop", self.disk, self.mount])

    def detach(self):
        """Unmounts it, and waits until no namespace has it any more: not of a build that is ending, nor of another program
        that made one meanwhile."""
        for _ in range(600):
            subprocess.run(["umount", self.mount], stderr=subprocess.DEVNULL)
            if not subprocess.run(["losetup", "--associated", self.disk], stdout=subprocess.PIPE, check=True).stdout:
                return
            time.sleep(0.1)
        raise Broken("the file system is still in use a minute after the builds have ended")

    def cut(self):
        """Cuts the power: nothing that is not on the disk by now will ever be."""
        directory = os.open(self.mount, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(directory, EXT4_IOC_SHUTDOWN, struct.pack("I", NOLOGFLUSH))
        finally:
            os.close(directory)

    def careen(self, store, *arguments):
        """Starts careen as the user."""
        command = ["runuser", "-u", self.user, "--", "env", "HOME=" + self.mount, "CAREEN_STORE=" + store,
                   "SOURCE_DATE_EPOCH=1700000000", self.program, *arguments]
        return subprocess.Popen(command, cwd=CONTEXT, text=True, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)

    def build(self, store, number, output):
        """Starts a build; `output` is a file for an archive, or None for an image in the store."""
        kind = f"type=oci,dest={output}" if output else "type=image"
        return self.careen(store, "build", "--quiet", "--build-arg", f"N={number}", "--tag", name(number),
                           "--build-context", f"base=oci-layout://{self.work}/base", "--output",
                           kind + ",rewrite-timestamp=true", ".")

    def store(self):
        return os.path.join(self.mount, "store")

    def archive(self, number):
        return os.path.join(self.mount, f"{number}.tar")


class Loop(threading.Thread):
    """Builds one number after the other until a build fails, as it does when there is no power."""

    def __init__(self, drill, numbers):
        super().__init__()
        self.drill, self.numbers = drill, numbers
        self.begun, self.done, self.job, self.failure = [], {}, None, None

    def run(self):
        for number in self.numbers:
            output = self.drill.archive(number) if number % 3 else None
            self.begun.append(number)
            self.job = self.drill.build(self.drill.store(), number, output)
            printed, self.failure = self.job.communicate()
            if self.job.returncode != 0:
                return
            self.done[number] = printed.strip()


def name(number):
    return f"drill:{number}"


def run(command):
    subprocess.run(command, check=True)


def check_archive(archive, image):
    """Fails unless the archive has this image, by the digest of its configuration, and every blob that is named; returns
    their number."""
    with tarfile.open(archive) as tar:
        index = json.load(tar.extractfile("index.json"))
        counts = [check_blob(tar, manifest["digest"]) for manifest in index["manifests"]]
        images = [json.loads(blob(tar, manifest["digest"]))["config"]["digest"] for manifest in index["manifests"]]
        if image not in images:
            raise Broken(f"{archive} has {images}, and {image} was said")
        return sum(counts)


def blob(tar, digest):
    return tar.extractfile("blobs/" + digest.replace(":", "/")).read()


def check_blob(tar, digest):
    """Fails unless a blob, and all that it names, is there with the bytes of its name; returns their number."""
    content = blob(tar, digest)
    if "sha256:" + hashlib.sha256(content).hexdigest() != digest:
        raise Broken(f"{tar.name}: {digest} has other bytes")
    document = json.loads(content) if content.startswith(b"{") else {}
    below = [*document.get("manifests", []), *document.get("layers", [])]
    if "mediaType" in document.get("config", {}):
        below.append(document["config"])
    return 1 + sum(check_blob(tar, descriptor["digest"]) for descriptor in below)


def check_store(drill):
    """Fails if a blob of the store has other bytes than its name says; returns the number of blobs."""
    blobs = os.path.join(drill.store(), "content/blobs/sha256")
    names = os.listdir(blobs) if os.path.isdir(blobs) else []
    for digest in names:
        with open(os.path.join(blobs, digest), "rb") as file:
            if hashlib.sha256(file.read()).hexdigest() != digest:
                raise Broken(f"the store's blob {digest} has other bytes")
    return len(names)


def check_files(drill):
    """Fails if a file of an unpacked layer is not as the layer's blob says; returns the number of layers."""
    job = drill.careen(drill.store(), "fsck", "--json")
    printed, complaint = job.communicate()
    if job.returncode not in (0, 1):
        raise Broken(f"fsck: {complaint}")
    found = json.loads(printed)
    for damage in found["damage"]:
        if "as its layer says" in damage["wrong"]:
            raise Broken(f"{damage['place']}: {damage['wrong']}")
    return found["compared_snapshots"]


def check_said(drill, number, digest):
    """Fails unless what a build said before the cut is true after it."""
    if number % 3:
        drill.counts["archives"] += 1
        return check_archive(drill.archive(number), digest)
    drill.counts["images"] += 1
    saved = os.path.join(drill.mount, "saved.tar")
    job = drill.careen(drill.store(), "save", name(number), "--output", saved)
    _, complaint = job.communicate()
    if job.returncode != 0:
        raise Broken(f"{name(number)} was said to be in the store, and cannot be saved: {complaint}")
    return check_archive(saved, digest)


def check_again(drill, number, said):
    """Fails unless the build can be done in the store that lost power, with what a store that lost nothing gives."""
    digests = []
    for store, output in [(drill.store(), drill.archive(number)), (drill.sound, None)]:
        job = drill.build(store, number, output)
        printed, complaint = job.communicate()
        if job.returncode != 0:
            raise Broken(f"build {number} fails after the cut: {complaint}")
        digests.append(printed.strip())
    if len(set(digests + ([said] if said else []))) != 1:
        raise Broken(f"build {number} said {said} before the cut, {digests[0]} after it, and {digests[1]} elsewhere")
    check_archive(drill.archive(number), digests[0])
    drill.counts["again"] += 1


def one_cut(drill, first):
    """Lets two loops build until the power is cut, and checks what is left."""
    loops = [Loop(drill, range(first + part, first + BUILDS, 2)) for part in range(2)]
    for loop in loops:
        loop.start()
    time.sleep(drill.random.uniform(0, LONGEST_WAIT_SECONDS))
    drill.cut()
    drill.counts["cuts"] += 1
    for loop in loops:
        loop.join()
        drill.counts["met"] += loop.job.returncode != 0
    drill.detach()
    drill.attach()
    drill.counts["blobs"] += check_store(drill)
    drill.counts["layers"] += check_files(drill)
    for loop in loops:
        for number, digest in loop.done.items():
            check_said(drill, number, digest)
        for number in loop.begun:
            check_again(drill, number, loop.done.get(number))
    drill.counts["blobs"] += check_store(drill)


def main():
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    count = int(sys.argv[4]) if len(sys.argv) > 4 else 200
    drill = Drill(sys.argv[1], sys.argv[2], seed)
    period = min(PERIOD, max(1, count // len(USERS)))
    try:
        for number in range(count):
            if number % period == 0:
                if number > 0:
                    drill.detach()
                drill.begin(USERS[number // period % len(USERS)])
            one_cut(drill, number % period * BUILDS)
    except Broken as broken:
        print(f"power: cut {drill.counts['cuts']} of seed {seed}, as {drill.user}: {broken}", file=sys.stderr)
        return 1
    finally:
        subprocess.run(["umount", "--lazy", drill.mount], stderr=subprocess.DEVNULL)
    counts = drill.counts
    print(f"power: seed {seed}, {counts['cuts']} cuts: {counts['met']} builds met, {counts['archives']} archives and "
          f"{counts['images']} images of the store were said and held, {counts['blobs']} blobs verified, "
          f"{counts['layers']} unpacked layers compared, "
          f"{counts['again']} builds done again")
    return 0


if __name__ == "__main__":
    sys.exit(main())
