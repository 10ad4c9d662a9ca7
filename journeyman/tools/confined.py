"""A stranger's program, started in the sandbox: what it sees there, and how that is told.

It sees the system's programs, its own installation, what its command names, and what its definition lets it read or
write; it has a home of its own, which is kept, and reaches the hosts that are named. What cannot work so runs outside
only where its definition says so.
"""

import json
import os
import socket
import sys
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from subprocess import PIPE
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

import anyio
from anyio.abc import Process

from journeyman.errors import ServerError
from journeyman.home import state_dir
from journeyman.safe import safe
from journeyman.tools.pins import key
from journeyman.tools.steady import is_steady, steps
from journeyman.tools.tail import Tail
from journeyman.tools.target import Command, Confined
from journeyman.tools.thread import in_thread

if TYPE_CHECKING:
    from journeyman.sandbox.proxy import Outlet

BOOT = "import sys; sys.path.insert(0, {code!r}); from journeyman.sandbox.inside.jail import main; main()"
MARKS = ("pyproject.toml", "package.json", ".git")
"""What the folder of a program has."""
PACKAGES = "node_modules"
"""Where Node's programs lie beside what they need."""
CERTIFICATES = ("/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/ca-certificates", "/etc/pki/tls/certs")
NARROW = 3
"""Parts of a path; one that has fewer is not one program's."""
OUTSIDE = "outside the sandbox"


async def demand(target: Command) -> None:
    """Go on only where this machine has the sandbox that the program is to run in.

    Raises:
        ServerError: it has none.
    """
    from journeyman.sandbox.native import Native  # noqa: PLC0415 - for such programs only
    from journeyman.sandbox.proven import proven  # noqa: PLC0415

    if target.sandbox is not None and not (probe := await proven(Native())).available:
        raise ServerError(
            f"MCP server {target.name!r} is not started, for want of a sandbox: {probe.reason}",
            fix=f'{probe.fix}; or let it run {OUTSIDE}: "sandbox": "off" in its entry of mcp.json',
        )


@asynccontextmanager
async def started(target: Command, stderr: Tail) -> AsyncGenerator[Process]:
    """The program, at work; while this is open it has its way to the hosts that it may reach.

    Raises:
        OSError: it cannot be started.
        ServerError, ConfigError: the sandbox cannot be as it is defined.
    """
    from mcp.client.stdio import get_default_environment  # noqa: PLC0415

    env = get_default_environment() | dict(target.env)
    if target.sandbox is None:
        yield await _process(target.command, stderr, env, cwd=target.cwd)
        return

    from journeyman.sandbox.inside.tree import HOME  # noqa: PLC0415 - for such programs only
    from journeyman.sandbox.proxy import Outlet  # noqa: PLC0415
    from journeyman.sandbox.server import CODE  # noqa: PLC0415

    settings = await in_thread(lambda: _settings(target))
    outlet = Outlet(target.sandbox.hosts)
    stderr.refused = lambda: [
        f"{each.host}:{each.port}: {each.reason}" for each in outlet.decisions() if not each.allowed
    ]
    door, threshold = socket.socketpair()
    try:
        with threshold, TemporaryFile() as told:
            told.write(json.dumps({**settings, "door": threshold.fileno()}).encode())
            told.seek(0)
            boot = (sys.executable, "-I", "-S", "-c", BOOT.format(code=CODE), str(told.fileno()))
            numbers = [threshold.fileno(), told.fileno()]
            own = {**env, "HOME": HOME}
            process = await _process((*boot, *target.command), stderr, own, pass_fds=numbers)

        async with anyio.create_task_group() as group:
            group.start_soon(_let_out, outlet, door)
            yield process
            group.cancel_scope.cancel()
    finally:
        outlet.close()


async def _process(
    command: Sequence[str],
    stderr: Tail,
    env: dict[str, str],
    *,
    cwd: Path | None = None,
    pass_fds: Sequence[int] = (),
) -> Process:
    process = await anyio.open_process(
        command,
        stdin=PIPE,
        stdout=PIPE,
        stderr=stderr.writing,
        env=env,
        cwd=cwd,
        start_new_session=True,
        pass_fds=pass_fds,
    )
    stderr.close_writing()
    return process


async def _let_out(outlet: "Outlet", door: socket.socket) -> None:
    with suppress(OSError):  # it died first, and its stderr says of what
        await in_thread(lambda: outlet.begin(door))


def _settings(target: Command) -> dict[str, object]:
    """What `inside.jail` is told. Raises OSError, ServerError."""
    program, changed = target.program, _changed(target)
    if program is None or target.sandbox is None:
        raise FileNotFoundError(target.command[0])

    for path in (*target.sandbox.read, *target.sandbox.write):
        if not path.exists():
            told = f"MCP server {target.name!r} is to see {path}, which is not there"
            raise ServerError(told, fix=f"make it (mkdir {path}), or correct the server's entry")

    _refuse_odd(target, program)
    root, home = _homes() / ".root", _homes() / key(target).replace(" ", "-")
    for folder in (root, home):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    return {
        "root": str(root),
        "home": str(home),
        "read": [*map(str, seen(target)), *(each for each in CERTIFICATES if is_steady(Path(each), changed))],
        "write": [str(path) for each in _written(target) for path in (each, each.resolve())],
        "cwd": str(target.cwd or Path.cwd()),
        "program": str(program),
        "host": os.getpid(),
    }


def seen(target: Command) -> list[Path]:
    """What it may read besides the system's folders: its own installation first."""
    program, changed = target.program, _changed(target)
    named = [path for word in target.command[1:] for path in _named(word, target.cwd or Path.cwd())]
    given = [*(target.sandbox.read if target.sandbox else ()), *([target.cwd] if target.cwd else [])]
    ways = (step for each in (*named, *given) if is_steady(each, changed) for step in _way(each))
    own = (each for each in (_installation(program, changed) if program else ()) if is_steady(each, changed))
    return list(dict.fromkeys((*own, *ways)))


def told(target: Command) -> str:
    """Where it runs and what it may do there, in a line for a person."""
    if target.sandbox is None:
        return f"{OUTSIDE}: it may do what you may"

    reads = [_short(path) for path in seen(target) if not (path.is_symlink() or path.is_relative_to("/usr"))]
    writes = ["a home of its own", *map(_short, target.sandbox.write)]
    hosts = target.sandbox.hosts or ("no host",)
    pieces = (f"reads {', '.join(reads) or 'nothing of yours'}", f"writes {', '.join(writes)}")
    return safe(f"in the sandbox: {'; '.join(pieces)}; reaches {', '.join(hosts)}", None)


def _way(path: Path) -> list[Path]:
    """Each link that is followed on the way to what a path stands for, and that; none lies behind another one."""
    walk = list(steps(path))
    return [*filter(os.path.islink, walk), *(walk[-1:] or [path])]


def _installation(program: Path, changed: Sequence[Path]) -> Iterator[Path]:
    """The folders that a program comes with; of a virtual environment, those of its Python too."""
    if not is_steady(program, changed):
        return

    for each in _way(program):
        prefix = each.parent.parent
        is_one = each.is_dir() or _is_wide(prefix)
        if is_one or not ((prefix / "lib").is_dir() or each.parent.name == "shims"):
            yield each
            continue

        yield prefix
        yield from (step for each in _elsewhere(prefix) if is_steady(each, changed) for step in _way(each))
        if (prefix / "pyvenv.cfg").exists() and program.name != "python":
            yield from _installation(prefix / "bin" / "python", changed)


def _elsewhere(prefix: Path) -> Iterator[Path]:
    """Folders of code that an installation of Python takes in where it lies: what was installed to be edited."""
    for file in prefix.glob("lib/python*/site-packages/*.pth"):
        paths = [Path(line) for line in file.read_text(encoding="utf-8", errors="replace").splitlines()]
        yield from (path for path in paths if path.is_absolute() and path.is_dir() and not _is_wide(path))


def _named(word: str, folder: Path) -> Iterator[Path]:
    """What a word of the command names, if anything; of a file of a program all of that program."""
    for text in {word, word.partition("=")[2]}:
        path = Path(os.path.normpath(folder / text))
        if not {"/", "."} & set(text) or "://" in text or _is_wide(path) or not path.exists():
            continue

        above = [] if path.is_dir() else [each for each in path.parents if not _is_wide(each)]
        packages = [each for each in above if each.name == PACKAGES]
        marked = [each for each in above if any((each / mark).exists() for mark in MARKS)]
        yield [*packages[-1:], *marked, path][0]


def _is_wide(path: Path) -> bool:
    """Too much to be seen unless somebody says so: the user's whole home, or what is everybody's."""
    home = Path.home()
    homes, ways = {home, Path(os.path.realpath(home))}, {path, Path(os.path.realpath(path))}
    return any(
        len(way.parts) < NARROW or any(each.is_relative_to(way) or way == each / ".local" for each in homes)
        for way in ways
    )


def _homes() -> Path:
    return state_dir() / "servers"


def _changed(target: Command) -> list[Path]:
    """Folders in which a server may have changed what leads where."""
    return [Path(os.path.realpath(each)) for each in (_homes(), *(target.sandbox.write if target.sandbox else ()))]


def _written(target: Command) -> list[Path]:
    """What it may write, without what lies in another such folder and is seen there."""
    folders = target.sandbox.write if target.sandbox else ()
    return [
        each
        for each in folders
        if not any(step != other and step.is_relative_to(other) for other in _changed(target) for step in steps(each))
    ]


def _refuse_odd(target: Command, program: Path) -> None:
    """Raises ServerError where what it is to see cannot be shown, or not without the server's deciding what it is."""
    from journeyman.sandbox.inside.tree import HOME, SYSTEM, WRITABLE  # noqa: PLC0415 - for such programs only

    given = target.sandbox or Confined()
    for path in (*given.read, *given.write):
        ways = (path, Path(os.path.realpath(path)))
        if any(Path(HOME).is_relative_to(way) or way.is_relative_to(WRITABLE) for way in ways):
            told = f"MCP server {target.name!r} is to see {path}, where its own home would lie"
            raise ServerError(told, fix="name the folders in it that the server needs")

    real = Path(os.path.realpath(state_dir()))
    for path in given.write:
        if real.is_relative_to(os.path.realpath(path)):
            told = f"MCP server {target.name!r} is to write to {path}, where journeyman keeps what it knows of servers"
            raise ServerError(told, fix="name the folders in it that the server needs")

    if not is_steady(program, _changed(target)):
        found = Path(os.path.realpath(program))
        if not any(found.is_relative_to(each) for each in (*SYSTEM, *seen(target), *_changed(target))):
            told = (
                f"MCP server {target.name!r} is started by {program}, which it may change, and which leads to {found}"
            )
            raise ServerError(told, fix=f"start it by {found}, or name what it may write more closely")


def _short(path: Path) -> str:
    return f"~/{path.relative_to(Path.home())}" if path.is_relative_to(Path.home()) else str(path)
