#!/usr/bin/env python3
"""qmp.py SOCKET JSON...: sends commands to QEMU's monitor, one after the other, and
prints what each returns. Ends with 1 and QEMU's words when one is refused."""
import json
import socket
import sys


def answer(stream):
    """Returns the next message that is no event."""
    for line in stream:
        message = json.loads(line)
        if "event" not in message:
            return message
    sys.exit("QEMU closed its monitor.")


def main():
    link = socket.socket(socket.AF_UNIX)
    link.settimeout(20)
    link.connect(sys.argv[1])
    stream = link.makefile("rw")
    answer(stream)  # the greeting
    for command in ['{"execute": "qmp_capabilities"}'] + sys.argv[2:]:
        stream.write(command + "\n")
        stream.flush()
        reply = answer(stream)
        if "error" in reply:
            sys.exit(reply["error"]["desc"])
        print(json.dumps(reply["return"]))


main()
