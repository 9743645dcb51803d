#!/usr/bin/env python3
"""httpd.py DIR: answers one HTTP request from standard input with a file below DIR, on
standard output. QEMU starts one for each connection to the metadata address. A folder
is answered with its file named "index"."""
import os
import sys

root = os.path.realpath(sys.argv[1])
request = sys.stdin.buffer.readline(4096).decode("latin-1").split()
while sys.stdin.buffer.readline(4096).strip():
    pass  # headers
path = os.path.realpath(root + "/" + request[1].split("?")[0])
if os.path.isdir(path):
    path += "/index"
if path.startswith(root + "/") and os.path.isfile(path):
    with open(path, "rb") as file:
        status, body = "200 OK", file.read()
else:
    status, body = "404 Not Found", b"no such thing\n"
head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
sys.stdout.buffer.write(head.encode() + body)
