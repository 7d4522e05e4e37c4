"""Looks for secrets: in files, in what they are compressed from and packed in, and in processes."""

import base64
import gzip
import io
import os
import pathlib
import tarfile
import threading
import zlib

# What is larger is not looked into once more; nothing that a build of this drill makes comes near it.
UNPACKED_LIMIT_BYTES = 256 << 20


def forms(secret):
    """Returns a secret in every form in which it could be written: as it is, in base64, as digits, for a URL."""
    found = {secret, secret.hex().encode(), secret.hex().upper().encode()}
    found.add(b"".join(b"%%%02x" % byte for byte in secret))
    found.add(b"".join(b"%%%02X" % byte for byte in secret))
    for before in range(3):
        # What is beside it in a text that was encoded as a whole changes up to two digits at each end.
        encoded = base64.b64encode(b"." * before + secret).rstrip(b"=")
        middle = encoded[(0, 2, 3)[before]:len(encoded) // 4 * 4 - 4]
        found |= {middle, middle.replace(b"+", b"-").replace(b"/", b"_")}
    return found


class Needles:
    """Secrets by their names."""

    def __init__(self, secrets):
        self.forms = {name: forms(secret) for name, secret in secrets.items()}

    def within(self, data):
        """Returns the names of the secrets that some bytes hold."""
        return {name for name, all_forms in self.forms.items() if any(form in data for form in all_forms)}

    def deep(self, data):
        """The same, with what the bytes are compressed from or packed of."""
        found = self.within(data)
        if data[:2] == b"\x1f\x8b":
            found |= self.deep(unzipped(data))
        elif data[257:262] == b"ustar":
            found |= self.packed(data)
        return found

    def packed(self, data):
        """Returns the names of the secrets in the files of an archive."""
        found = set()
        try:
            with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                for member in archive:
                    if member.isfile() and member.size:
                        found |= self.deep(archive.extractfile(member).read())
        except (tarfile.TarError, EOFError):
            pass  # A blob that only begins like an archive has been looked at as it is.
        return found

    def below(self, places):
        """Returns `PATH: NAMES` for each file below the places that holds a secret, in its content or its name, and how
        many files were read."""
        found, count = [], 0
        for path in files_below(places):
            data = content(path)
            count += data is not None
            names = self.within(os.fsencode(path)) | self.deep(data or b"")
            if names:
                found.append(f"{path}: {', '.join(sorted(names))}")
        return found, count


def unzipped(data):
    decoder = zlib.decompressobj(wbits=31)
    try:
        plain = decoder.decompress(data, UNPACKED_LIMIT_BYTES)
        # A layer has many members, one after the other.
        return plain if decoder.unused_data[:2] != b"\x1f\x8b" else gzip.decompress(data)
    except (zlib.error, OSError, EOFError):
        return b""


def files_below(places):
    for place in map(pathlib.Path, places):
        if place.is_file():
            yield place
        for directory, _, names in os.walk(place):
            yield from (pathlib.Path(directory, name) for name in names)


def content(path):
    """Returns the content of a file, or the target of a link; None of what this user may not read."""
    try:
        if path.is_symlink():
            return os.fsencode(os.readlink(path))
        return path.read_bytes() if path.is_file() else b""
    except PermissionError:
        return None


def read_process(process, name):
    try:
        return pathlib.Path(f"/proc/{process}/{name}").read_bytes()
    except OSError:
        return b""  # It has ended, or nobody of this user may look.


def is_of_a_step(process):
    """Tells whether a process is a step's own: its number in the innermost namespace is not that of careen's `init`."""
    for line in read_process(process, "status").splitlines():
        if line.startswith(b"NSpid:"):
            numbers = line.split()[1:]
            return len(numbers) > 1 and numbers[-1] != b"1"
    return False


class Watch(threading.Thread):
    """Looks at arguments and environments of all processes, again and again.

    Those that the user started show in their environment what the user's own has. What is `usual` stands in the
    environment of every program of the user's, as in that of the shell: it is looked for in arguments alone.
    """

    INTERVAL_SECONDS = 0.01

    def __init__(self, needles, usual=()):
        super().__init__(daemon=True)
        self.needles, self.usual, self.ended = needles, set(usual), threading.Event()
        self.users, self.found, self.steps, self.looks = {os.getpid()}, {}, set(), 0

    def run(self):
        while not self.ended.wait(self.INTERVAL_SECONDS):
            self.look()

    def look(self):
        self.looks += 1
        for process in filter(str.isdigit, os.listdir("/proc")):
            self.note(process)

    def note(self, process):
        command = read_process(process, "cmdline")
        arguments = self.needles.within(command)
        environment = read_process(process, "environ")
        shown = self.needles.within(environment)
        if is_of_a_step(process):
            self.steps |= shown if environment else {"closed"}
            return
        if not arguments | shown:
            return
        command = command.replace(b"\0", b" ")[:80].decode(errors="replace").strip()
        known = self.found.setdefault((int(process), command), (set(), set()))
        known[0].update(arguments)
        known[1].update(shown - self.usual)

    def leaks(self):
        """Returns what processes showed that the user did not start."""
        leaks = set()
        for (process, command), (arguments, shown) in self.found.items():
            names = arguments if process in self.users else arguments | shown
            if names:
                leaks.add(f"process {process} `{command}`: {', '.join(sorted(names))}")
        return sorted(leaks)

    def stop(self):
        self.ended.set()
        self.join()
