"""terminal.py COMMAND…: runs a command on a terminal of 80 columns, types there what comes on standard input a line each time that
the command is silent, and writes what the terminal shows. Ends with the command's exit code."""

import fcntl
import os
import pty
import select
import struct
import sys
import termios

SILENCE = 2.0

lines = sys.stdin.read().splitlines()
process, terminal = pty.fork()
if process == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
while True:
    ready, _, _ = select.select([terminal], [], [], SILENCE)
    if not ready:
        if lines:
            os.write(terminal, lines.pop(0).encode() + b"\n")
        continue
    try:
        shown = os.read(terminal, 65536)
    except OSError:
        break
    if not shown:
        break
    sys.stdout.buffer.write(shown.replace(b"\r", b""))
sys.stdout.buffer.flush()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
