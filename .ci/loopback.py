# ruff: noqa: INP001 - a script
"""Switches the loopback on in a fresh network namespace, where it begins switched off."""

import fcntl
import socket
import struct

SIOCSIFFLAGS = 0x8914
IFF_UP = 1

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
    fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP))
