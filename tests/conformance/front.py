"""Hands a scenario of the conformance suite to `client.py`: `python front.py SOCKET URL`."""

import json
import os
import socket
import sys

with socket.socket(socket.AF_UNIX) as there:
    there.connect(sys.argv[1])
    told = [os.environ.get(f"MCP_CONFORMANCE_{name}", "") for name in ("SCENARIO", "CONTEXT")]
    there.sendall(json.dumps([sys.argv[2], *told]).encode() + b"\n")
    sys.exit(int(there.recv(8) or b"1"))
