"""The filter of system calls: what no program needs and many an escape did is refused before the kernel looks at it.

Refused with EPERM, so that a program can tell; calls newer than this table with ENOSYS, as an older kernel would. A
call through another architecture's table ends the process. Numbers: the kernel's tables of system calls; layout of a
filter: include/uapi/linux/filter.h and seccomp.h. Only the standard library.
"""

import ctypes
import os
import struct

from journeyman.sandbox.inside.kernel import prctl

_TABLES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
NEWEST = 462
"""Calls behind `mseal` are not there."""
# name: number on x86_64, on aarch64; -1 where it does not exist there
REFUSED = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438), "process_madvise": (440, 440), "process_mrelease": (448, 448),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431),
    "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442), "statmount": (457, 457),
    "listmount": (458, 458), "unshare": (272, 97), "setns": (308, 268), "swapon": (167, 224), "swapoff": (168, 225),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218), "bpf": (321, 280),
    "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "reboot": (169, 142), "acct": (163, 89), "settimeofday": (164, 170),
    "clock_settime": (227, 112), "adjtimex": (159, 171), "clock_adjtime": (305, 266), "quotactl": (179, 60),
    "quotactl_fd": (443, 443), "lookup_dcookie": (212, 18), "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264), "iopl": (172, -1), "ioperm": (173, -1), "modify_ldt": (154, -1),
    "uselib": (134, -1), "ustat": (136, -1), "sysfs": (139, -1), "_sysctl": (156, -1), "nfsservctl": (180, 42),
    "personality": (135, 92), "syslog": (103, 116), "fanotify_init": (300, 262), "vhangup": (153, 58),
    "memfd_secret": (447, 447), "sethostname": (170, 161), "setdomainname": (171, 162), "mbind": (237, 235),
    "migrate_pages": (256, 238), "move_pages": (279, 239), "set_mempolicy": (238, 237),
    "set_mempolicy_home_node": (450, 450), "vmsplice": (278, 75), "lsm_set_self_attr": (460, 460),
}  # fmt: skip
_CLONE, _CLONE3, _SOCKET, _PRLIMIT, _IOCTL = (56, 220), (435, 435), (41, 198), (302, 261), (16, 29)
_FORKS, _SIGNALS = ((57, -1), (58, -1)), ((62, 129), (200, 130), (234, 131), (424, 424), (129, 138), (297, 240))
NAMESPACES = 0x7E020080  # every CLONE_NEW...
_THREAD = 0x00010000
_FAMILIES = (1, 2, 10)  # unix, IPv4, IPv6
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_ERRNO = 0x00050000
_EPERM, _ENOSYS = 1, 38
_LOAD, _RETURN = 0x20, 0x06
_EQUAL, _GREATER, _SET = 0x15, 0x25, 0x45
_NUMBER, _ARCHITECTURE, _FIRST, _SECOND = 0, 4, 16, 24


def refuse(program: bytes) -> None:
    """Put this process and its children under a filter, for good. `no_new_privs` must be set."""
    code = ctypes.create_string_buffer(program, len(program))
    prctl(22, 2, ctypes.byref(_Program(len(program) // 8, ctypes.addressof(code))))


def assemble(*, lone: int = 0) -> bytes:
    """The filter. With `lone`, a pid: that process may start no other, signal none but itself, and open no sockets.

    Raises:
        OSError: there is no table for this architecture.
    """
    if (machine := os.uname().machine) not in _TABLES:
        raise OSError(f"there is no filter of system calls for {machine}")

    architecture, column = _TABLES[machine]
    code = [
        _op(_LOAD, _ARCHITECTURE), _op(_EQUAL, architecture, 1, 0), _op(_RETURN, _KILL), _op(_LOAD, _NUMBER),
        _op(_GREATER, NEWEST, 0, 1), _op(_RETURN, _ERRNO | _ENOSYS),
    ]  # fmt: skip
    for numbers in REFUSED.values():
        code += _when(numbers[column], [_op(_RETURN, _ERRNO | _EPERM)])

    code += _when(_CLONE3[column], [_op(_RETURN, _ERRNO | _ENOSYS)])  # its flags lie where no filter can look
    code += _when(_PRLIMIT[column], [_op(_LOAD, _FIRST), _op(_EQUAL, 0, 1, 0), *_DENIED, *_ALLOWED])
    code += _when(_CLONE[column], [_op(_LOAD, _FIRST), _op(_SET, NAMESPACES, 0, 1), *_DENIED, *_threads(lone)])
    code += _when(_IOCTL[column], [_op(_LOAD, _SECOND), *_among((_TIOCSTI, _TIOCLINUX), denied=True)])
    code += _when(_SOCKET[column], [*_DENIED] if lone else [_op(_LOAD, _FIRST), *_among(_FAMILIES, denied=False)])
    if lone:
        for numbers in _FORKS:
            code += _when(numbers[column], _DENIED)

        for numbers in _SIGNALS:
            code += _when(numbers[column], [_op(_LOAD, _FIRST), _op(_EQUAL, lone, 1, 0), *_DENIED, *_ALLOWED])

    return b"".join([*code, *_ALLOWED])


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))


def _op(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("=HBBI", code, then, otherwise, value)


_ALLOWED = [_op(_RETURN, _ALLOW)]
_DENIED = [_op(_RETURN, _ERRNO | _EPERM)]


def _when(number: int, body: list[bytes]) -> list[bytes]:
    """`body`, which returns, for this call; the call's number must be loaded, and is for what follows."""
    return [] if number < 0 else [_op(_EQUAL, number, 0, len(body)), *body]


def _among(values: tuple[int, ...], *, denied: bool) -> list[bytes]:
    """Return one verdict for these values of what is loaded, the other for the rest."""
    found, rest = (_DENIED, _ALLOWED) if denied else (_ALLOWED, _DENIED)
    tests = [_op(_EQUAL, value, len(values) - at, 0) for at, value in enumerate(values)]
    return [*tests, *rest, *found]


def _threads(lone: int) -> list[bytes]:
    return [_op(_SET, _THREAD, 1, 0), *_DENIED, *_ALLOWED] if lone else _ALLOWED
