"""Landlock: what a process may open from now on, for itself and its children. Needs no privilege.

Access bits and layouts: the kernel's include/uapi/linux/landlock.h. Only the standard library.
"""

import ctypes
import os
from collections.abc import Sequence

from journeyman.sandbox.inside.kernel import call

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
READ = _EXECUTE | _READ_FILE | _READ_DIR
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | 1 << 14 | 1 << 15
_BY_VERSION = ((1, (1 << 13) - 1), (2, 1 << 13), (3, 1 << 14), (5, 1 << 15))
_BIND_TCP, _CONNECT_TCP = 1, 2
_RULESET = ctypes.c_uint64 * 3
_SCOPES = 3  # abstract unix sockets and signals


def version() -> int:
    """0 where there is none."""
    try:
        return call(_CREATE, None, 0, 1)
    except OSError:
        return 0


def restrict(readable: Sequence[str], writable: Sequence[str], *, network: bool = True) -> None:
    """Nothing but these and what is below them; without `network` no TCP either (version 4).

    From version 6 on also: no signal to a process outside, no abstract unix socket of one. Paths that do not exist are
    passed over. `no_new_privs` must be set.

    Raises:
        OSError: there is no Landlock here.
    """
    has = version()
    everything = sum(bits for since, bits in _BY_VERSION if has >= since)
    net = _BIND_TCP | _CONNECT_TCP if has >= 4 and not network else 0  # noqa: PLR2004 - the version
    scopes = _SCOPES if has >= 6 else 0  # noqa: PLR2004 - the same
    ruleset = _RULESET(everything, net, scopes)
    number = call(_CREATE, ruleset, 24 if has >= 6 else 16 if has >= 4 else 8, 0)  # noqa: PLR2004 - the same
    try:
        for path in readable:
            _allow(number, path, READ & everything)

        for path in writable:
            _allow(number, path, everything)

        call(_RESTRICT, number, 0)
    finally:
        os.close(number)


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32))


def _allow(ruleset: int, path: str, access: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return

    try:
        access = access if os.path.isdir(place) else access & _OF_FILES
        call(_ADD_RULE, ruleset, 1, ctypes.byref(_Beneath(access, place)), 0)
    finally:
        os.close(place)
