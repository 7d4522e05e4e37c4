"""File systems that root mounts for a drill, and takes away when it ends."""

import contextlib
import pathlib
import shutil
import subprocess


def command(*words):
    subprocess.run([str(word) for word in words], check=True, capture_output=True)


@contextlib.contextmanager
def mounted(place, user, kind, *words):
    """Mounts something at a new directory, which belongs to the user."""
    place.mkdir()
    command("mount", "-t", kind, *words, place)
    try:
        shutil.chown(place, user)
        yield place
    finally:
        # What a build leaves for the blink of an eye, such as a process that ends, is not waited for.
        command("umount", "--lazy", place)


@contextlib.contextmanager
def bound(place, source, *options):
    """Mounts a directory once more, with options."""
    place.mkdir()
    command("mount", "--bind", source, place)
    try:
        command("mount", "-o", ",".join(["remount", "bind", *options]), place)
        yield place
    finally:
        command("umount", "--lazy", place)


@contextlib.contextmanager
def ext4(place, user, *features, options="loop", size="64M"):
    """Makes an ext4 file system in a file, and mounts it."""
    image = place.with_suffix(".img")
    command("truncate", "-s", size, image)
    command("mkfs.ext4", "-q", *features, image)
    with mounted(place, user, "ext4", "-o", options, image):
        yield place
    pathlib.Path(image).unlink()
