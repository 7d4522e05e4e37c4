"""Runs a program and stops it at chosen system calls, which can be made to fail, or be the last thing that a process does.

What strace counts for each thread is counted here over all processes: so each call that a build makes can be met, whichever
thread makes it. Root traces a process of an ordinary user, since a program of another user's, as `newuidmap`, only then
becomes that user's. The filter that stops a process at nothing but the chosen calls is installed by root, who may do
so without `no_new_privs` (seccomp(2)).

x86-64 only: ptrace(2) gives registers, and they are each processor's own.
"""

import collections
import ctypes
import errno
import functools
import json
import os
import pathlib
import signal
import struct
import time

CALLS = {
    "read": 0, "write": 1, "mmap": 9, "pread64": 17, "pwrite64": 18, "sendfile": 40, "clone": 56, "execve": 59,
    "flock": 73, "fsync": 74, "fdatasync": 75, "ftruncate": 77, "rename": 82, "mkdir": 83, "link": 86, "unlink": 87,
    "symlink": 88, "chmod": 90, "fchmod": 91, "mount": 165, "fsetxattr": 190, "getdents64": 217, "openat": 257,
    "mkdirat": 258, "mknodat": 259, "fchownat": 260, "unlinkat": 263, "renameat": 264, "linkat": 265,
    "symlinkat": 266, "utimensat": 280, "syncfs": 306, "renameat2": 316, "copy_file_range": 326, "move_mount": 429,
    "clone3": 435, "openat2": 437,
}
NAMES = {number: name for name, number in CALLS.items()}

# Which argument is the descriptor of the file that a call is about.
OF_DESCRIPTOR = {
    "read": 0, "write": 0, "mmap": 4, "pread64": 0, "pwrite64": 0, "sendfile": 0, "flock": 0, "fsync": 0,
    "fdatasync": 0, "ftruncate": 0, "fsetxattr": 0, "getdents64": 0, "syncfs": 0, "fchmod": 0, "copy_file_range": 2,
}
# Which arguments are the directory and the name; a call without a directory counts from the working directory.
OF_NAME = {
    "rename": (None, 1), "mkdir": (None, 0), "link": (None, 1), "unlink": (None, 0), "symlink": (None, 1),
    "chmod": (None, 0), "fchownat": (0, 1), "mount": (None, 1), "openat": (0, 1), "mkdirat": (0, 1),
    "mknodat": (0, 1), "unlinkat": (0, 1), "renameat": (2, 3), "linkat": (2, 3), "symlinkat": (1, 2),
    "utimensat": (0, 1), "renameat2": (2, 3), "openat2": (0, 1), "move_mount": (2, 3), "execve": (None, 0),
}
# Places that are no files of a disk.
NOWHERE = ("/dev/", "/proc/", "/sys/", "/memfd:")

PTRACE_POKEUSER, PTRACE_CONT, PTRACE_GETREGS = 6, 7, 12
PTRACE_SEIZE, PTRACE_LISTEN = 0x4206, 0x4208
# Fork, vfork, clone, exec, seccomp, and that everybody ends with the tracer.
OPTIONS = 0x2 | 0x4 | 0x8 | 0x10 | 0x80 | 0x100000
EVENT_EXEC, EVENT_SECCOMP, EVENT_STOP = 4, 7, 128
WALL = 0x40000000
STOPPING = (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
# Where registers are in `struct user_regs_struct`, in words.
RAX, ORIG_RAX = 10, 15
ARGUMENTS = (14, 13, 12, 7, 9, 8)
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
RET_TRACE, RET_ALLOW = 0x7FF00000, 0x7FFF0000
AUDIT_ARCH_X86_64 = 0xC000003E
O_CREAT, O_TMPFILE = 0o100, 0o20000000
MAP_ANONYMOUS = 0x20
# How long what a program began may outlive it.
PATIENCE_SECONDS = 1.0

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long

# A system call: its name, its number among all of that name, and the file that it is about.
Call = collections.namedtuple("Call", "name number path")
# What became of a program: how it ended, what it said, the calls that were met, and processes that were left.
Ended = collections.namedtuple("Ended", "code said calls left seconds")


class Fault:
    """What is to happen at one call: an error for it, or a signal for its process, or for all of them."""

    def __init__(self, name, number, error=None, kill=None):
        self.name, self.number, self.error, self.kill = name, number, error, kill

    def __str__(self):
        what = errno.errorcode[self.error] if self.error else f"kill {self.kill}"
        return f"{self.name} {self.number}: {what}"


def ptrace(request, pid, address=0, data=0):
    """Asks the kernel; a process that was killed meanwhile is none any more."""
    if libc.ptrace(request, pid, address, data) == -1:
        code = ctypes.get_errno()
        if code != errno.ESRCH:
            raise OSError(code, f"ptrace {request:#x} of {pid}")
        return False
    return True


def seccomp_filter(names):
    """Returns the program that stops at these calls (linux/filter.h: code, jump if true, if false, operand)."""
    numbers = sorted(CALLS[name] for name in names)
    program = [(0x20, 0, 0, 4), (0x15, 0, len(numbers) + 1, AUDIT_ARCH_X86_64), (0x20, 0, 0, 0)]
    program += [(0x15, len(numbers) - at, 0, number) for at, number in enumerate(numbers)]
    program += [(0x06, 0, 0, RET_ALLOW), (0x06, 0, 0, RET_TRACE)]
    return b"".join(struct.pack("HBBI", *line) for line in program), len(program)


def install(names):
    code, count = seccomp_filter(names)
    held = ctypes.create_string_buffer(code)
    program = struct.pack("HxxxxxxQ", count, ctypes.addressof(held))
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.c_char_p(program), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "install the filter")


class Tracer:
    """One run of a program."""

    def __init__(self, names, program, output, fault=None):
        self.names, self.program, self.output, self.fault = names, os.path.realpath(program), output, fault
        self.numbers, self.calls = collections.Counter(), []
        self.ours, self.known, self.status, self.main = {}, set(), None, None

    def start(self, user, argv, environment, directory):
        """Starts a program as a user."""
        ready, go = os.pipe()
        self.main = os.fork()
        if self.main == 0:
            try:
                os.close(go)
                os.read(ready, 1)
                become(user, directory, self.output, functools.partial(install, self.names))
                os.execve(argv[0], argv, environment)
            finally:
                os._exit(127)
        os.close(ready)
        ptrace(PTRACE_SEIZE, self.main, 0, OPTIONS)
        self.known.add(self.main)
        os.close(go)

    def follow(self):
        """Follows all processes until they have ended, or are left; returns those that are left."""
        until = None
        while self.known:
            if until is None and self.status is not None:
                until = time.monotonic() + PATIENCE_SECONDS
            try:
                pid, status = os.waitpid(-1, WALL | (os.WNOHANG if until else 0))
            except ChildProcessError:
                break
            if pid == 0:
                if time.monotonic() > until:
                    break
                time.sleep(0.001)
            else:
                self.meet(pid, status)
        return [pid for pid in self.known if is_alive(pid)]

    def meet(self, pid, status):
        """Does what a change of one process or thread asks for."""
        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
            self.known.discard(pid)
            if pid == self.main:
                self.status = status
            return
        self.known.add(pid)
        event, stopped_by = status >> 16, os.WSTOPSIG(status)
        if event == EVENT_SECCOMP:
            self.stopped(pid)
        elif event == EVENT_EXEC:
            self.ours.clear()
        if event == EVENT_STOP and stopped_by in STOPPING:
            ptrace(PTRACE_LISTEN, pid)
        else:
            ptrace(PTRACE_CONT, pid, 0, 0 if event else stopped_by)

    def stopped(self, pid):
        """Counts a call, and lets happen what is to happen at it."""
        registers = (ctypes.c_ulong * 27)()
        if not ptrace(PTRACE_GETREGS, pid, 0, ctypes.addressof(registers)):
            return
        name = NAMES.get(registers[ORIG_RAX])
        arguments = [registers[at] for at in ARGUMENTS]
        if name is None or not self.is_ours(pid) or not is_met(pid, name, arguments):
            return
        path = subject(pid, name, arguments)
        if path is None or path == self.output:
            return
        self.numbers[name] += 1
        call = Call(name, self.numbers[name], path)
        fault = self.fault
        if fault is None:
            self.calls.append(call)
        elif (fault.name, fault.number) == call[:2]:
            self.calls.append(call)
            self.happen(pid, fault)

    def happen(self, pid, fault):
        if fault.error:
            # No such call: it is not made, and what is in the register is its answer (seccomp(2), SECCOMP_RET_TRACE).
            ptrace(PTRACE_POKEUSER, pid, RAX * 8, ctypes.c_ulong(-fault.error % (1 << 64)).value)
            ptrace(PTRACE_POKEUSER, pid, ORIG_RAX * 8, (1 << 64) - 1)
        for one in sorted(self.known) if fault.kill == "all" else [pid] if fault.kill else []:
            try:
                os.kill(one, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def is_ours(self, pid):
        """Tells whether a process runs the program, or the copy in memory that it makes of itself."""
        if pid not in self.ours:
            try:
                runs = os.readlink(f"/proc/{pid}/exe")
            except OSError:
                return False
            self.ours[pid] = runs == self.program or runs.startswith("/memfd:")
        return self.ours[pid]


def become(user, directory, output, prepare):
    """Makes this process one of a user, in a session of its own."""
    os.setsid()
    for number, place, flags in [(0, "/dev/null", os.O_RDONLY), (1, output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)]:
        opened = os.open(place, flags, 0o644)
        os.dup2(opened, number)
        os.close(opened)
    os.dup2(1, 2)
    prepare()
    os.initgroups(user.pw_name, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    os.chdir(directory)


def is_alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def is_met(pid, name, arguments):
    """Tells whether a call is one of those that are meant: of opened files those that may be made, of mapped ones those
    that have a file."""
    if name == "openat":
        return arguments[2] & (O_CREAT | O_TMPFILE) != 0
    if name == "openat2":
        flags = memory(pid, arguments[2], 8)
        return len(flags) == 8 and struct.unpack("Q", flags)[0] & (O_CREAT | O_TMPFILE) != 0
    if name == "mmap":
        return arguments[3] & MAP_ANONYMOUS == 0
    return True


def subject(pid, name, arguments):
    """Returns the file that a call is about; empty where it is about none, nothing where that is none of a disk."""
    try:
        if name in OF_DESCRIPTOR:
            path = os.readlink(f"/proc/{pid}/fd/{ctypes.c_int(arguments[OF_DESCRIPTOR[name]]).value}")
        elif name in OF_NAME:
            directory, at = OF_NAME[name]
            word = memory(pid, arguments[at], 4096).split(b"\0")[0].decode(errors="replace")
            number = -100 if directory is None else ctypes.c_int(arguments[directory]).value
            above = f"/proc/{pid}/cwd" if number == -100 else f"/proc/{pid}/fd/{number}"
            path = word if word.startswith("/") else os.path.join(os.readlink(above), word).rstrip("/")
        else:
            return ""
    except OSError:
        return None
    return path if path.startswith("/") and not f"{path}/".startswith(NOWHERE) else None


def memory(pid, address, length):
    """Returns what a process has in its memory, up to the end of a page at least."""
    length = min(length, 4096 - address % 4096) if length > 8 else length
    try:
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as file:
            file.seek(address)
            return file.read(length)
    except (OSError, ValueError, OverflowError):
        return b""


def run(names, user, argv, environment, directory, output, fault=None):
    """Runs a program to its end, in a process of its own, which gets to know of all children; returns what became of it."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            with os.fdopen(writer, "w") as told:
                json.dump(followed(names, user, argv, environment, directory, output, fault), told)
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        code, calls, left, seconds = json.load(told)
    os.waitpid(child, 0)
    said = pathlib.Path(output).read_text(errors="replace")
    return Ended(code, said, [Call(*call) for call in calls], left, seconds)


def followed(names, user, argv, environment, directory, output, fault):
    tracer = Tracer(names, argv[0], str(output), fault)
    begun = time.monotonic()
    tracer.start(user, argv, environment, directory)
    left = tracer.follow()
    seconds = time.monotonic() - begun
    described = [describe(pid) for pid in left]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(tracer.status), tracer.calls, described, seconds


def describe(pid):
    try:
        words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        return f"{pid} {words.strip()}"
    except OSError:
        return str(pid)
