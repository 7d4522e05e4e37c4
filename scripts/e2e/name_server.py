"""name_server.py NAME ANSWER ADDRESS…: a name server on port 53 of each address, which knows one name (RFC 1035), and a
service on port 4999 of the loop-back, which says `local`.

It says `ready` when it listens, and ends with its standard input.
"""

import ipaddress
import socket
import sys
import threading

TYPE_A = 1
NO_SUCH_NAME = 3


def answer(query, name, address):
    """Returns the answer to a query of one question: the address, nothing of another type, or that there is no such name."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode())
        at += query[at] + 1
    question = query[12 : at + 5]
    is_known = ".".join(labels).lower() == name
    found = is_known and int.from_bytes(question[-4:-2], "big") == TYPE_A
    # A response with authority and recursion, to as much as was asked.
    flags = 0x8580 | (0 if is_known else NO_SUCH_NAME)
    header = query[:2] + flags.to_bytes(2, "big") + b"\0\1" + (b"\0\1" if found else b"\0\0") + bytes(4)
    # The name is that of the question, twelve bytes in.
    record = b"\xc0\x0c\0\1\0\1" + (60).to_bytes(4, "big") + b"\0\4" + ipaddress.ip_address(address).packed
    return header + question + (record if found else b"")


def serve(server, name, address):
    """Answers everybody who asks."""
    while True:
        query, client = server.recvfrom(512)
        server.sendto(answer(query, name, address), client)


def greet(server):
    """Says the same to everybody who comes."""
    while True:
        client, _ = server.accept()
        with client:
            client.sendall(b"local\n")


def main():
    name, address, *places = sys.argv[1:]
    for place in places:
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind((place, 53))
        threading.Thread(target=serve, args=(server, name, address), daemon=True).start()
    service = socket.create_server(("127.0.0.1", 4999))
    threading.Thread(target=greet, args=(service,), daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()


main()
