"""Opens the page of a timeline in a headless Chromium without a network, and tells whether it is drawn as it is to be.

    timeline.py PAGE WORK ROWS

ROWS is how many rows the page is to have at least. The window is 1280 and then 400 wide. What holds: the document has those
rows, each with a bar; nothing in it is a script or is loaded; nothing else than the file was asked for; the console is empty; no row
is wider than the window; and the screenshot has the colours of the bars. Exit code 1 says that something does not.
"""

import html.parser
import json
import pathlib
import struct
import subprocess
import sys
import zlib

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-extensions --hide-scrollbars --enable-logging=stderr"
).split()
# Who asks for what the browser itself wants.
NO_ORIGIN = "not an origin"
# What a page that shows commands of strangers must not have.
FORBIDDEN = {"script", "img", "link", "iframe", "object", "embed", "form", "svg"}
# What a bar of a step that ran, and one of a step that failed, is painted with.
RUN, FAILED = (0x4C, 0x8B, 0xF5), (0xD9, 0x30, 0x25)


class Page(html.parser.HTMLParser):
    """What a document has, as the browser understood it."""

    def __init__(self, text):
        super().__init__()
        self.title, self.tags, self.rows, self.within = "", [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.within = tag
        words = (dict(attrs).get("class") or "").split()
        if "row" in words:
            self.rows.append(0)
        if "bar" in words:
            self.rows[-1] += 1
        if any(name.startswith("on") for name, _ in attrs):
            self.tags.append("script")

    def handle_data(self, data):
        if self.within == "title":
            self.title += data
            self.within = None


def run(page, work, width, *asked):
    """Runs the browser in a window of a width; returns what it prints, what it logs, and what it asked for."""
    log = work / "net.json"
    command = ["unshare", "-rn", "chromium", *FLAGS, f"--user-data-dir={work}/profile-{width}", f"--log-net-log={log}"]
    command += [f"--window-size={width},900", *asked, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, done.stderr, requests(log)


def requests(log):
    """Returns the addresses that the page asked for: what the browser asks for by itself has no origin."""
    events = json.loads(log.read_text())["events"]
    found = (event.get("params", {}) for event in events)
    return {what["url"] for what in found if what.get("initiator", NO_ORIGIN) != NO_ORIGIN}


def pixels(path):
    """Returns the width of a PNG of eight bits a colour, and its pixels (RFC 2083)."""
    data, place, packed = path.read_bytes(), 8, b""
    while place < len(data):
        size, kind = struct.unpack(">I4s", data[place : place + 8])
        body = data[place + 8 : place + 8 + size]
        place += size + 12
        if kind == b"IHDR":
            width, height, _, colour = struct.unpack(">IIBB", body[:10])
        elif kind == b"IDAT":
            packed += body
    step = {2: 3, 6: 4}[colour]
    lines, before = zlib.decompress(packed), bytearray(width * step)
    found = set()
    for line in range(height):
        start = line * (width * step + 1)
        before = unfiltered(lines[start], bytearray(lines[start + 1 : start + 1 + width * step]), before, step)
        found.update(bytes(before[x : x + 3]) for x in range(0, width * step, step))
    return width, {tuple(colour) for colour in found}


def unfiltered(kind, line, above, step):
    """Takes the filter of a line away."""
    for x, value in enumerate(line):
        left = line[x - step] if x >= step else 0
        corner = above[x - step] if x >= step else 0
        predictions = (0, left, above[x], (left + above[x]) // 2, paeth(left, above[x], corner))
        line[x] = (value + predictions[kind]) & 255
    return line


def paeth(left, above, corner):
    """Returns the neighbour that is nearest to what they make likely."""
    likely = left + above - corner
    return min((abs(likely - left), 0, left), (abs(likely - above), 1, above), (abs(likely - corner), 2, corner))[2]


def faults(path, work, rows):
    """Returns what does not hold, a line each."""
    for width in (1280, 400):
        said, log, asked = run(path, work, width, "--dump-dom")
        page = Page(said)
        if page.title != "careen build":
            yield f"the title is {page.title!r}: something in the page was executed"
        if bad := FORBIDDEN.intersection(page.tags):
            yield f"the page has {bad}"
        if len(page.rows) < rows or 0 in page.rows:
            yield f"the bars of the rows are {page.rows}"
        if "CONSOLE" in log:
            yield f"the console says: {log}"
        if strangers := {url for url in asked if not url.startswith(("file://", "chrome://", "data:"))}:
            yield f"the page asked for {strangers}"
        shot = work / f"timeline-{width}.png"
        run(path, work, width, f"--screenshot={shot}")
        wide, colours = pixels(shot)
        if wide != width:
            yield f"the screenshot is {wide} wide"
        yield from (f"nothing is painted with {colour} at {width}" for colour in (RUN, FAILED) if colour not in colours)


def main():
    path, work, rows = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])
    found = list(faults(path, work, rows))
    print("\n".join(found) or f"{path} is drawn")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
