"""The process that runs untrusted Python, cell after cell, in one namespace.

Nothing that it says is more than a claim: the code shares its memory and can write whatever it likes to the channel.
Time, memory, output and how the process ended are the supervisor's to tell. Only the standard library.
"""

import ast
import builtins
import io
import linecache
import os
import random
import socket
import sys
import traceback
import types
from collections import deque
from typing import Any

from journeyman.sandbox.inside.frames import Reader, joined, pack

RICH = {
    "_repr_png_": "image/png",
    "_repr_jpeg_": "image/jpeg",
    "_repr_svg_": "image/svg+xml",
    "_repr_html_": "text/html",
}
KINDS = frozenset(RICH.values()) | {"value", "error"}
CODE_MAX = 4 * 1024 * 1024
FRAMES = 5
_LINE = 200
Pieces = list[tuple[str, bytes]]


def serve(channel: socket.socket, home: str, seed: int | None) -> None:
    """Run the cells that come in until the channel closes; only its own end returns."""
    cells, here = _Cells(home, seed), os.getpid()
    reader = Reader(CODE_MAX)
    while True:
        frame = reader.feed(b"")
        while frame is None:
            data = channel.recv(1 << 14)
            if not data:
                return

            frame = reader.feed(data)

        header, body = frame
        answer = cells.run(body.decode(errors="replace"), header)
        if os.getpid() != here:  # the code forked, and this is the child
            os._exit(0)

        channel.sendall(answer)


def rehearse(times: int) -> None:
    """Have the interpreter set up what it sets up on first use, numpy its generators, and all run in."""
    cells, reader = _Cells("/", 0), Reader(CODE_MAX)
    for _ in range(times):
        reader.feed(pack({"room": 1, "moved": False}, b"x = 1\nx"))
        cells.run("x = 1\nx", {"room": 1})

    linecache.clearcache()
    sys.path.remove("/")


class _Cells:
    def __init__(self, home: str, seed: int | None) -> None:
        self._home = home
        self._count = 0
        self._shown: Pieces = []
        main = types.ModuleType("__main__")
        sys.modules["__main__"] = main
        sys.argv = [""]
        sys.path.insert(0, home)
        self._names = vars(main)
        vars(builtins)["display"] = self._display
        for name in ("stdout", "stderr"):
            number = 1 if name == "stdout" else 2
            raw = open(number, "wb", closefd=False)  # noqa: SIM115 - as long as the process
            stream = io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", line_buffering=True)
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)

        self._streams = (sys.stdout, sys.stderr)
        sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - the same
        _seed(seed)

    def run(self, code: str, header: dict[str, Any]) -> bytes:
        """The frame that answers: what the cell claims to have come to."""
        room = header["room"]
        if header.get("moved"):  # the workspace was mounted anew; the old one must be let go
            os.chdir(self._home)

        self._shown = []
        status, pieces = self._status(code, room)
        for stream in {*self._streams, sys.stdout, sys.stderr}:
            try:
                stream.flush()
            except BaseException:  # noqa: BLE001, S112 - the code may have put anything there
                continue

        return joined({"status": status}, [*pieces, *self._shown])

    def _status(self, code: str, room: int) -> tuple[str, Pieces]:
        self._count += bool(code)
        name = f"<cell {self._count}>"
        linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
        try:
            value = self._value(code, name)
            self._figures()
            if value is None:
                return "ok", []

            self._names["_"] = value
            self._show(value)
            return "ok", [("value", repr(value).encode(errors="backslashreplace")[: room + 1])]
        except BaseException as error:  # noqa: BLE001 - whatever the code raises is its result
            text = _explained(error).encode(errors="backslashreplace")[:room]
            return "oom" if isinstance(error, MemoryError) else "error", [("error", text)]

    def _value(self, code: str, name: str) -> object:
        tree = ast.parse(code, name)
        last = tree.body[-1] if tree.body else None
        if not isinstance(last, ast.Expr):
            exec(compile(tree, name, "exec", dont_inherit=True), self._names)  # noqa: S102 - what this is for
            return None

        tree.body.pop()
        exec(compile(tree, name, "exec", dont_inherit=True), self._names)  # noqa: S102 - the same
        return eval(compile(ast.Expression(last.value), name, "eval", dont_inherit=True), self._names)  # noqa: S307

    def _display(self, *values: object) -> None:
        for value in values:
            if not self._show(value):
                print(repr(value))  # noqa: T201 - a notebook's `display`

    def _show(self, value: object) -> bool:
        """Keep the picture that a value says it has; whether it has one."""
        for method, mime in RICH.items():
            render = None if isinstance(value, type) else getattr(value, method, None)
            data = render() if callable(render) else None
            if isinstance(data, str):
                data = data.encode()

            if isinstance(data, bytes):
                self._shown.append((mime, data))
                return True

        return False

    def _figures(self) -> None:
        """What matplotlib would show: every open figure, as PNG."""
        pyplot = sys.modules.get("matplotlib.pyplot")
        if pyplot is None:
            return

        for number in pyplot.get_fignums():
            picture = io.BytesIO()
            pyplot.figure(number).savefig(picture, format="png")
            pyplot.close(number)
            self._shown.append(("image/png", picture.getvalue()))


def _explained(error: BaseException) -> str:
    """The innermost frames, `line 2, in f: return 1 / x` each, then the exception."""
    lines: deque[str] = deque(maxlen=FRAMES)
    trace = error.__traceback__
    while trace is not None:
        if (place := trace.tb_frame.f_code).co_filename not in {__file__, ast.__file__}:
            lines.append(_place(place, trace.tb_lineno))

        trace = trace.tb_next

    if isinstance(error, SyntaxError) and (error.filename or "").startswith("<cell "):
        lines.append(f"line {error.lineno}: {(error.text or '').strip()[:_LINE]}\n")
        return "".join(lines) + f"{type(error).__name__}: {error.msg}"

    return "".join(lines) + "".join(traceback.format_exception_only(error)).strip()


def _place(code: types.CodeType, line: int) -> str:
    inside = "" if code.co_name == "<module>" else f", in {code.co_name}"
    if not code.co_filename.startswith("<cell "):
        return f"{code.co_filename} line {line}{inside}\n"

    return f"line {line}{inside}: {linecache.getline(code.co_filename, line).strip()[:_LINE]}\n"


def _seed(seed: int | None) -> None:
    """Forks of one server must not draw the same numbers, unless they are asked to."""
    random.seed(seed)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(None if seed is None else seed % 2**32)
