"""Runs the examples of README.md and docs, as their readers would.

    examples_docs.py CAREEN BASE WORK CHECKOUT [PAGE…]

It runs as an ordinary user. BASE is an OCI image layout (scripts/base-images.sh), WORK an empty directory. Each page has
a home, a store, an empty working directory and a registry of its own, which answers for every host name there is; its
examples are run in their order. What becomes of a block is said by its language, or by a comment before it that readers
do not see:

    ```sh                                  the lines are run, and have to succeed
    ```console                             lines after `$ ` are run; the others are what they print, where `…` is anything
    ```text                                is a drawing
    ```synopsis                            the command's help knows each flag
    <!-- example: not run, REASON -->      the next block is not run
    <!-- example: file PATH [OLD=NEW] -->  the next block is written to a file, with OLD replaced; `_` is a space
    <!-- example: exit N [typed TEXT] -->  the next block ends with this exit code; on a terminal, where TEXT is typed
    <!-- example: table [OLD=NEW]… -->     the commands in the last column of the next table are run
    <!-- example: unseen                   the lines up to `-->` are run: what an example takes for granted
    …

`cargo xtask tidy` looks for blocks of which nothing is said. The commands see `$BASE`, the address of the registry,
which has BASE as `busybox`, as `$REGISTRY`, and that of a server of the working directory's files as `$FILES`. Times, sizes, digests and numbers of steps are not compared. The last line counts.
"""

import dataclasses
import functools
import http.server
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import threading
import time

PATIENCE = 120  # seconds
CAREEN, BASE, WORK, CHECKOUT = (pathlib.Path(word).resolve() for word in sys.argv[1:5])
MARK = "<!-- example: "


class Wrong(Exception):
    """An example is not as its page says."""


@dataclasses.dataclass
class Part:
    """A block of a page, a table, or commands that readers do not see."""

    language: str
    text: str
    line: int
    words: str = ""  # what the comment before it says


# Reading pages.


def parts_of(page):
    """Returns the parts of a page in their order."""
    lines, found, words, at = page.splitlines(), [], "", 0
    while at < len(lines):
        line, begun = lines[at], at + 1
        at += 1
        if line.startswith(MARK):
            comment, at = until(lines, at - 1, lambda text: text.endswith("-->"))
            words, unseen = comment_of(comment)
            if unseen is not None:
                found.append(Part("unseen", unseen, begun))
        elif line.startswith("```"):
            block, at = until(lines, at, lambda text: text == "```")
            found.append(Part(line[3:], "\n".join(block[:-1]) + "\n", begun, words))
            words = ""
        elif line.startswith("|") and words.startswith("table"):
            rows, at = until(lines, at - 1, lambda text: not text.startswith("|"))
            found.append(Part("table", "\n".join(rows[2:]), begun, words))
            words = ""
        elif line and words:
            raise Wrong(f"line {begun}: nothing follows the comment `{words}`")
    return found


def until(lines, at, is_last):
    """Returns the lines up to the one that ends something, and where the next one is."""
    end = next((n for n in range(at, len(lines)) if is_last(lines[n])), len(lines) - 1)
    return lines[at : end + 1], end + 1


def comment_of(lines):
    """Returns the words of a comment, or the commands in it."""
    text = "\n".join(lines).removeprefix(MARK).removesuffix("-->")
    first, _, rest = text.partition("\n")
    return ("", rest) if first == "unseen" else (text.strip(), None)


def replacements(words):
    """Returns the pairs of `OLD=NEW` among words; `_` stands for a space."""
    pairs = (word.replace("_", " ").partition("=") for word in words)
    return {old: new for old, _, new in pairs}


def replaced(text, pairs):
    """Replaces whole words."""
    for old, new in pairs.items():
        text = re.sub(rf"(?<![A-Za-z]){re.escape(old)}(?![A-Za-z])", lambda _, new=new: new, text)
    return text


# Running.


class Reader:
    """Who follows a page, in a directory of their own."""

    def __init__(self, name):
        self.top = WORK / name.replace("/", "-").removesuffix(".md")
        self.home, self.place, programs = (self.top / part for part in ("home", "work", "bin"))
        for directory in (self.home, self.place, programs):
            directory.mkdir(parents=True)
        (programs / "careen").symlink_to(CAREEN)
        self.environment = {
            "HOME": str(self.home), "LANG": "C.UTF-8", "TERM": "xterm", "BASE": str(BASE), "BUILDKIT_PROGRESS": "plain",
            "PATH": f"{self.home}/.local/bin:{programs}:/usr/local/bin:/usr/bin:/bin", "USER": "reader",
        }
        self.files = files_of(self.place)
        self.environment["FILES"] = "127.0.0.1:{}".format(self.files.server_port)
        # Whether commands can have a network of their own depends on the machine, and so would what is printed.
        settings = self.home / ".config/careen/config.toml"
        settings.parent.mkdir(parents=True)
        settings.write_text('network = "host"\n')
        self.registry = self.serve()
        self.run("careen copy -q --all oci:$BASE docker://$REGISTRY/library/busybox")

    def serve(self):
        """Starts the registry that stands for all there are."""
        words = [CAREEN, "registry", "serve", "--dir", self.top / "registry", "--listen", "127.0.0.1:0", "--quiet"]
        running = subprocess.Popen(words, env=self.environment, stdout=subprocess.PIPE, text=True)
        address = re.search(r"127\.0\.0\.1:\d+", running.stdout.readline()).group()
        self.environment["REGISTRY"] = address
        hosts = self.home / ".config/containerd/certs.d/_default/hosts.toml"
        hosts.parent.mkdir(parents=True)
        hosts.write_text(f'server = "http://{address}"\n[host."http://{address}"]\n  capabilities = ["pull", "resolve", "push"]\n')
        return running

    def leave(self):
        """Ends the registry, and removes what belongs to other ids."""
        self.files.shutdown()
        self.registry.terminate()
        self.registry.wait()
        shutil.rmtree(self.top, ignore_errors=True)
        if self.top.exists():
            subprocess.run(["unshare", "--user", "--map-root-user", "--map-auto", "rm", "-rf", self.top], check=False)

    def run(self, script, code=0):
        """Runs lines of a shell; returns what they print."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script], cwd=self.place, env=self.environment, timeout=PATIENCE,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        judge(script, done.returncode, done.stdout, code)
        return done.stdout

    def run_on_terminal(self, script, typed, code=0):
        """Runs lines of a shell on a terminal, and types when a prompt is there."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.place)
            os.execve("/bin/bash", ["bash", "-euo", "pipefail", "-c", script], self.environment)
        shown, left, end = "", [line + "\n" for line in typed.split("\\n")], time.monotonic() + PATIENCE
        while time.monotonic() < end:
            waits = not select.select([terminal], [], [], 1)[0]
            if waits and left and re.search(r"[#$:] $", re.sub(r"\x1b\[[0-9;?]*[a-z]", "", shown)):
                os.write(terminal, left.pop(0).encode())
            elif not waits:
                try:
                    read = os.read(terminal, 65536)
                except OSError:  # nobody has the other side any more
                    break
                shown += read.decode(errors="replace")
        else:
            os.kill(pid, signal.SIGKILL)
        os.close(terminal)
        judge(script, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown, code)
        return shown


def files_of(directory):
    """Starts a server of the files of a directory."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            """Says nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=directory))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def judge(script, found, printed, expected):
    if found != expected:
        last = "\n".join(printed.splitlines()[-25:])
        raise Wrong(f"exit code {found}, not {expected}, of:\n{script.strip()}\n{last}")


# What is printed.


def unified(line):
    """Returns a line without what differs from run to run."""
    line = re.sub(r"sha256:[0-9a-f]{12,64}", "DIGEST", line)
    line = re.sub(r"^#\d+", "#N", line)
    line = re.sub(r"\b\d+(\.\d+)?[kMGT]?B\b", "SIZE", line)
    line = re.sub(r"^#N \d+\.\d{3} ", "#N TIME ", line)
    line = re.sub(r"^\d+\.\d{3} ", "TIME ", line)
    line = re.sub(r"\b\d+(\.\d+)?s\b", "TIME", line)
    return re.sub(r"(?<=\S) {2,}", " ", line.rstrip())


def pattern(lines):
    """Returns what a page shows as a pattern; `…` is anything, and alone in a line any lines."""
    pieces = (
        r"(?:.*\n)*?" if line.strip() == "…" else re.escape(unified(line)).replace("…", ".*?") + r"\n" for line in lines
    )
    return re.compile("".join(pieces))


def compare(command, printed, shown):
    """Makes sure that a command printed what the page shows, if it shows anything."""
    said = "".join(unified(line) + "\n" for line in printed.splitlines()).strip("\n") + "\n"
    while shown and not shown[-1].strip():
        shown.pop()
    if shown and not pattern(shown).fullmatch(said):
        raise Wrong("`{}` prints\n{}\nand the page shows\n{}".format(command, said, "\n".join(shown)))
    return bool(shown)


# What becomes of each part.


@dataclasses.dataclass
class Count:
    examples: int = 0
    commands: int = 0
    compared: int = 0
    files: int = 0
    left: int = 0


def carry_out(reader, part, count):
    """Does with a part what its page says."""
    word, _, rest = part.words.partition(" ")
    if part.language == "unseen":
        return reader.run(part.text)
    if part.words.startswith("not run, "):
        count.left += 1
        return print(f"  line {part.line}: {part.words}")
    if part.language == "text" and not word:
        return None
    count.examples += 1
    if word == "file":
        return write(reader, rest.split(), part, count)
    if part.language == "table":
        return run_table(reader, part, replacements(rest.split()), count)
    if part.language == "synopsis":
        return look_up(reader, part.text, count)
    if part.language not in ("console", "sh") or word not in ("", "exit"):
        raise Wrong(f"nothing says what becomes of this {part.language or 'block'}")
    code, _, typed = rest.partition(" typed ")
    if part.language == "console":
        return run_console(reader, part, int(code or 0), count)
    count.commands += 1
    if typed:
        return reader.run_on_terminal(part.text, typed, int(code))
    return reader.run(part.text, int(code or 0))


def write(reader, words, part, count):
    path = words[0].replace("~", str(reader.home))
    target = reader.place / path
    target.parent.mkdir(parents=True, exist_ok=True)
    pairs = replacements(words[1:])
    target.write_text(replaced(part.text, pairs).replace("$REGISTRY", reader.environment["REGISTRY"]))
    count.files += 1


def run_table(reader, part, pairs, count):
    """Runs the commands in the last column of a table."""
    for row in part.text.splitlines():
        cell = row.replace("\\|", "\0").rstrip(" |").rpartition("|")[2].replace("\0", "|")
        for command in re.findall(r"`([^`]*\bcareen [^`]*)`", cell):
            command = replaced(command, pairs)
            reader.run_on_terminal(command, "exit") if " -it " in command else reader.run(command)
            count.commands += 1


def look_up(reader, text, count):
    """Makes sure that the help of each command has the flags that are shown."""
    for line in text.splitlines():
        words = re.match(r"careen((?: [a-z]+)+)", line)
        if not words:
            raise Wrong(f"no command: {line}")
        known = reader.run(f"careen{words.group(1)} --help")
        for flag in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", line):
            if not re.search(rf"(?<![\w-]){flag}(?![\w-])", known):
                raise Wrong(f"`careen{words.group(1)} --help` has no {flag}")
        count.commands += 1


def run_console(reader, part, code, count):
    """Runs the commands after `$ `, and compares what they print."""
    commands = []
    for line in part.text.splitlines():
        if line.startswith("$ "):
            commands.append(([line[2:]], []))
        elif commands and not commands[-1][1] and commands[-1][0][-1].endswith("\\"):
            commands[-1][0].append(line)
        elif commands:
            commands[-1][1].append(line)
        else:
            raise Wrong(f"no command: {line}")
    for number, (command, shown) in enumerate(commands, 1):
        is_last = number == len(commands)
        printed = reader.run("\n".join(command), code if is_last else 0)
        count.compared += compare(command[0], printed, shown)
        count.commands += 1


def follow(name, count):
    """Follows a page; returns whether it is right."""
    parts = parts_of((CHECKOUT / name).read_text())
    if not [part for part in parts if part.language != "text"]:
        return True
    print(f"{name}", flush=True)
    reader, begun = Reader(name), time.monotonic()
    try:
        for part in parts:
            try:
                carry_out(reader, part, count)
            except Wrong as wrong:
                print(f"WRONG: {name}:{part.line}: {wrong}", flush=True)
                return False
    finally:
        reader.leave()
    print(f"  right ({time.monotonic() - begun:.0f} s)", flush=True)
    return True


def main():
    pages = sys.argv[5:] or ["README.md", *sorted(str(p.relative_to(CHECKOUT)) for p in (CHECKOUT / "docs").rglob("*.md"))]
    count, begun = Count(), time.monotonic()
    wrong = [page for page in pages if not follow(page, count)]
    print(
        f"{len(pages)} pages: {count.examples} examples run with {count.commands} commands, {count.compared} outputs compared, "
        f"{count.files} files written; {count.left} not run; {len(wrong)} pages wrong ({time.monotonic() - begun:.0f} s)"
    )
    sys.exit(1 if wrong else 0)


main()
