"""Processes below one that a drill has started, and what their ids alone may remove."""

import os
import pathlib
import shutil
import subprocess


def parents():
    """Returns the parent of each process, by number."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                text = (entry / "stat").read_text()
            except OSError:
                continue
            found[int(entry.name)] = int(text.rsplit(")", 1)[1].split()[1])
    return found


def tree(first):
    """Returns a process and all below it."""
    above, found = parents(), [first]
    for number in found:
        found += [child for child, parent in above.items() if parent == number]
    return found


def send(numbers, signal):
    """Sends a signal to processes, and returns those that it reached."""
    reached = []
    for number in numbers:
        try:
            os.kill(number, signal)
            reached.append(number)
        except (ProcessLookupError, PermissionError):
            pass  # It has ended, or has an id of the sandbox.
    return reached


def of_program(program):
    """Returns the processes of a program, by its path."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0] == os.fsencode(program):
                found.append(int(entry.name))
    return found


def remove_tree(careen, name):
    """Removes a store; files in it may have ids that only a namespace reaches."""
    path = careen.work / name
    command = ["unshare", "--map-auto", "--map-root-user", "rm", "-rf", str(path)]
    if os.getuid() == 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        shutil.rmtree(path)
