#!/usr/bin/env python3
"""resident.py COMMAND [ARGUMENT...]: runs a command and prints how much memory it and what it started took.

Prints `SECONDS LARGEST TOGETHER`, the memory in KiB: LARGEST is the largest resident size that any one of its processes
ever had (as GNU time has it: of those that were waited for), TOGETHER the most that all processes below it had at one
moment, looked at twenty times a second. Pages that several processes share count once for each, so TOGETHER is never
too low. The command's own output goes to standard error; its exit code is this program's.
"""
import os
import subprocess
import sys
import threading
import time

INTERVAL_SECONDS = 0.05


def parents():
    """Returns the parent of each process."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", "rb") as stat:
                # The name in parentheses may hold anything; what is behind the last one is numbers.
                found[int(name)] = int(stat.read().rpartition(b")")[2].split()[1])
        except (OSError, IndexError):
            continue  # It has ended.
    return found


def family(top):
    """Returns a process and everything below it."""
    below = {}
    for process, parent in parents().items():
        below.setdefault(parent, []).append(process)
    members, left = [], [top]
    while left:
        process = left.pop()
        members.append(process)
        left.extend(below.get(process, []))
    return members


def resident_kib(process):
    """Returns the resident size of a process, 0 of one that has ended."""
    try:
        with open(f"/proc/{process}/statm", "rb") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024
    except (OSError, IndexError):
        return 0


def watch(top, ended, most):
    """Notes the most memory that the family of a process has, until it has ended."""
    while not ended.wait(INTERVAL_SECONDS):
        most[0] = max(most[0], sum(map(resident_kib, family(top))))


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    begun = time.monotonic()
    command = subprocess.Popen(sys.argv[1:], stdout=sys.stderr)
    ended, most = threading.Event(), [0]
    watcher = threading.Thread(target=watch, args=(command.pid, ended, most))
    watcher.start()
    _, status, usage = os.wait4(command.pid, 0)
    ended.set()
    watcher.join()
    seconds = time.monotonic() - begun
    print(f"{seconds:.1f} {usage.ru_maxrss} {max(most[0], usage.ru_maxrss)}")
    sys.exit(os.waitstatus_to_exitcode(status) & 0xFF)


if __name__ == "__main__":
    main()
