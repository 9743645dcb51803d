#!/usr/bin/env python3
"""console.py SOCKET EXPECT SEND EXPECT SEND ... EXPECT: talks to a serial console. Waits
for each text in turn and answers with the next line; prints nothing. Ends with 1 and
what came instead when a text is not seen within 20 seconds."""
import socket
import sys


def main():
    link = socket.socket(socket.AF_UNIX)
    link.settimeout(20)
    link.connect(sys.argv[1])
    link.sendall(b"\n")  # a prompt that came earlier comes again
    seen = b""
    for place, text in enumerate(sys.argv[2:]):
        if place % 2:
            link.sendall(text.encode() + b"\n")
            continue
        try:
            while text.encode() not in seen:
                got = link.recv(4096)
                if not got:
                    sys.exit("      the console was closed")
                seen += got
        except TimeoutError:
            sys.exit(f"      no {text!r} on the console, but {seen[-300:]!r}")
        seen = seen.split(text.encode(), 1)[1]


main()
