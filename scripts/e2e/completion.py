"""Types command lines into a shell on a terminal, presses tab, and tells what they have become.

    completion.py bash|zsh|fish PROGRAMS CASES

PROGRAMS is the directory of `careen` and `docker`. Each line of CASES is what is typed, a tab, and the words that the
line is to have afterwards; an expected word that begins with `~` is a regular expression. Exit code 1 says that a
line has become something else.
"""

import os
import pty
import re
import select
import signal
import sys
import time

# How long a shell may take to answer, and how long it says nothing when it has, in seconds.
PATIENCE = 20
QUIET = 0.4

STARTS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "source <({0} completion bash)"),
    "zsh": (["zsh", "-f", "-i"], "autoload -Uz compinit; compinit -D; source <({0} completion zsh)"),
    "fish": (["fish", "--private", "-i"], "{0} completion fish | source"),
}
# What prints each word of the line in angle brackets, typed at its beginning.
SHOW = "printf '<%s>' "
WORDS = re.compile(r"(?:<[^<>%]*>)+")
SEQUENCES = re.compile(r"\x1b\[[0-9;?<>=]*[a-zA-Z]|\x1b\][^\x07]*\x07|\x1b[=>()][0-9A-Z]?")


class Shell:
    """An interactive shell."""

    def __init__(self, name, programs):
        argv, self.script = STARTS[name]
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            path = f"{programs}:{os.environ['PATH']}"
            os.execvpe(argv[0], argv, {**os.environ, "PATH": path, "TERM": "xterm"})
        self.until_quiet()
        for program in ("careen", "docker"):
            self.type(self.script.format(program) + "\r")
            self.until_quiet()

    def type(self, text):
        """Types a text, whatever it does."""
        os.write(self.terminal, text.encode())

    def until_quiet(self, wanted=None):
        """Returns what the shell prints until it is quiet, and, if that is wanted, has said something."""
        said, begun, last = b"", time.monotonic(), time.monotonic()
        while time.monotonic() - begun < PATIENCE:
            if select.select([self.terminal], [], [], 0.05)[0]:
                said += os.read(self.terminal, 65536)
                last = time.monotonic()
            is_quiet = time.monotonic() - last > QUIET
            if is_quiet and (wanted is None or wanted.search(plain(said))):
                break
        return plain(said)

    def completed(self, line):
        """Returns the words of a line once it has been completed."""
        self.type(line + "\t")
        self.until_quiet()
        self.type("\x01" + SHOW + "\x05\r")
        shown = WORDS.findall(self.until_quiet(WORDS))
        return re.findall(r"<([^<>]*)>", shown[-1]) if shown else []

    def end(self):
        """Ends the shell."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def plain(said):
    """Returns a text without what a terminal obeys."""
    return SEQUENCES.sub("", said.decode(errors="replace"))


def is_expected(words, expected):
    """Tells whether a line has become what was expected."""
    pairs = zip(words, expected, strict=False)
    fits = (re.fullmatch(other[1:], word) if other[0] == "~" else word == other for word, other in pairs)
    return len(words) == len(expected) and all(fits)


def main():
    name, programs, path = sys.argv[1:]
    shell, failed = Shell(name, programs), 0
    with open(path, encoding="utf-8") as cases:
        for case in cases:
            typed, expected = case.rstrip("\n").split("\t")
            words = shell.completed(typed)
            if not is_expected(words, expected.split(" ")):
                failed += 1
                print(f"{name}: {typed!r} has become {words}, not {expected!r}")
    shell.end()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
