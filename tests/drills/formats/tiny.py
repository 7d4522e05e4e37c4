"""Makes the context of the stores of other versions: a program of 200 bytes that makes a file, and what is copied.

    tiny.py DIRECTORY

The program is for amd64, and needs nothing beside it: a base that has a shell would make each archive a thousand times
as large.
"""

import pathlib
import struct
import sys

DOCKERFILE = """FROM scratch
COPY make /make
COPY file /dir/file
RUN ["/make"]
ENV A=b
"""
ADDRESS = 0x400000
HEADERS = 64 + 56


def program(made):
    """Returns an ELF file that makes an empty file and ends."""
    code = bytearray()
    code += b"\xb8" + struct.pack("<I", 85)  # mov eax, creat
    code += b"\xbf" + b"\0\0\0\0"  # mov edi, the name
    code += b"\xbe" + struct.pack("<I", 0o644)  # mov esi, 0644
    code += b"\x0f\x05"  # syscall
    code += b"\xb8" + struct.pack("<I", 60) + b"\x31\xff" + b"\x0f\x05"  # exit(0)
    struct.pack_into("<I", code, 6, ADDRESS + HEADERS + len(code))
    code += made.encode() + b"\0"
    size = HEADERS + len(code)
    elf = b"\x7fELF\x02\x01\x01" + bytes(9)
    elf += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, ADDRESS + HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    elf += struct.pack("<IIQQQQQQ", 1, 5, 0, ADDRESS, ADDRESS, size, size, 4096)
    return elf + bytes(code)


def lay_out(directory):
    """Writes the context."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "make").write_bytes(program("/made"))
    (directory / "make").chmod(0o755)
    (directory / "file").write_text("of a store of another version\n")
    (directory / "file").chmod(0o644)
    (directory / "Dockerfile").write_text(DOCKERFILE)


if __name__ == "__main__":
    lay_out(pathlib.Path(sys.argv[1]))
