"""An image for containers, made from the Python that is running: no registry, no network, a second or two.

In it are the interpreter with its standard library (as bytecode, where the host has that), the shared libraries they
load, a shell with the usual small programs, the packages to be preloaded, and the supervisor. Nothing else of the host,
so nothing of its user.
"""

import io
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Collection, Iterator, Sequence
from hashlib import sha256
from importlib import metadata
from pathlib import Path

from journeyman.errors import SandboxError, install

RECIPE = "1"
"""Raised when what goes into the image changes."""
REPOSITORY = "journeyman-python"
PYTHON = "/usr/bin/python3"
PACKAGES = "/usr/lib/packages"
SUPERVISOR = "/usr/lib/supervisor"
PROGRAMS = (  # noqa: SIM905 - a list of words
    "sh bash ls cat cp mv rm mkdir rmdir ln touch chmod head tail wc sort uniq cut tr tee grep sed awk find xargs env "
    "echo printf test true false date sleep seq basename dirname pwd id uname expr diff cmp tar gzip sha256sum timeout"
).split()
LEFT_OUT = frozenset({"test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "distutils"})
LEFT_OUT |= {"pydoc_data", "site-packages", "dist-packages", "__pycache__"}
"""Folders of the standard library that no cell needs."""
HOME = "/work"
FOLDERS = {"work": 0o1777, "tmp": 0o1777, "proc": 0o555, "dev": 0o755, "sys": 0o555, "etc": 0o755, "run": 0o755}
MERGED = ("bin", "lib", "lib64")
"""Links into /usr where the host has them as links."""
USERS = "root:x:0:0:root:/:/bin/sh\nuser:x:64000:64000:user:/work:/bin/sh\n"
_LIBRARY = re.compile(r"(?:=>)?\s+(/\S+) \(0x")


def tag(preload: Sequence[str] = (), base: str = "") -> str:
    """What the image is called; another interpreter, supervisor, recipe or list of packages is another image."""
    packages = sorted(f"{name}=={metadata.version(name)}" for name in _distributions(preload))
    identity = sha256("\n".join((RECIPE, base, sys.version, sys.base_prefix, *packages)).encode())
    for path in _supervisor():
        identity.update(path.read_bytes())

    return f"{REPOSITORY}:{identity.hexdigest()[:16]}"


def supervisor() -> bytes:
    """What an image that has a Python of its own lacks, as a tar archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        _add_supervisor(_Image(tar))

    return buffer.getvalue()


def build(preload: Sequence[str] = ()) -> bytes:
    """The image's files as a tar archive.

    Raises:
        SandboxError: this machine's interpreter cannot go into a Linux container, or a package is not installed.
    """
    if sys.platform != "linux":
        raise SandboxError(
            "an image can be made from the interpreter of Linux only",
            fix="get one that has Python and name it: JOURNEYMAN_SANDBOX_IMAGE=python:3.13-slim",
        )

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        image = _Image(tar)
        for name, mode in FOLDERS.items():
            image.folder(name, mode)

        for name in MERGED:
            if Path("/", name).is_symlink():
                image.link(name, f"usr/{name}")

        image.data("etc/passwd", USERS.encode(), 0o644)
        _add_python(image)
        _add_programs(image)
        _add_supervisor(image)
        for name in _distributions(preload):
            _add_package(image, name)

        image.close_over_libraries()

    return buffer.getvalue()


class _Image:
    """A tar archive that takes each path once, follows links, and forgets who owned a file."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._names: set[str] = set()
        self._binaries: list[Path] = []

    def folder(self, name: str, mode: int) -> None:
        self._add(_entry(name, mode, kind=tarfile.DIRTYPE))

    def data(self, name: str, data: bytes, mode: int) -> None:
        entry = _entry(name, mode)
        entry.size = len(data)
        self._add(entry, io.BytesIO(data))

    def link(self, name: str, target: str) -> None:
        entry = _entry(name, 0o777, kind=tarfile.SYMTYPE)
        entry.linkname = target
        self._add(entry)

    def file(self, path: Path, name: str | None = None) -> None:
        name = (name or str(path.parent.resolve() / path.name)).lstrip("/")
        if name in self._names:
            return

        data = path.read_bytes()
        if data[:4] == b"\x7fELF":
            self._binaries.append(path)
            data = _stripped(path) or data

        self.data(name, data, 0o755 if path.stat().st_mode & 0o111 else 0o644)

    def close_over_libraries(self) -> None:
        """Take in what the programs load, at the places where they look for it."""
        for library in _libraries(self._binaries):
            self.file(library)

    def _add(self, entry: tarfile.TarInfo, data: io.BytesIO | None = None) -> None:
        if entry.name not in self._names:
            self._names.add(entry.name)
            self._tar.addfile(entry, data)


def _entry(name: str, mode: int, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.mode, entry.type = mode, kind
    return entry


def _add_python(image: _Image) -> None:
    """The interpreter under a path of its own, so that it finds its library where it was built to look."""
    interpreter = Path(sys.base_prefix, "bin", f"python{sys.version_info[0]}.{sys.version_info[1]}")
    if not interpreter.exists():
        interpreter = Path(sys.executable).resolve()

    library = Path(sysconfig.get_path("stdlib", vars={"base": sys.base_prefix, "installed_base": sys.base_prefix}))
    image.file(interpreter)
    if str(interpreter) != PYTHON:
        image.link(PYTHON.lstrip("/"), str(interpreter))

    image.link("usr/bin/python", PYTHON)
    _add_tree(image, library)
    if (
        bundled := Path(sys.base_prefix, "lib", f"libpython{sys.version_info[0]}.{sys.version_info[1]}.so.1.0")
    ).exists():
        image.file(bundled)


def _supervisor() -> list[Path]:
    """The files of ours that run inside."""
    room = Path(__file__).parent
    names = ("beneath.py", "entry.py", "nearby.py", "paths.py", "refusals.py", "__init__.py")
    return [room.parent / "__init__.py", room.parent / "errors.py", *(room / name for name in names),
            *sorted((room / "inside").glob("*.py"))]  # fmt: skip


def _add_supervisor(image: _Image) -> None:
    package = Path(__file__).parents[2]
    for path in _supervisor():
        image.file(path, f"{SUPERVISOR}/{path.relative_to(package)}")


def _add_programs(image: _Image) -> None:
    for program in PROGRAMS:
        if found := shutil.which(program, path="/usr/bin:/bin"):
            image.file(Path(found).resolve(), f"usr/bin/{program}")


def _add_tree(image: _Image, folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            if path.name not in LEFT_OUT and not path.name.startswith("config-"):
                _add_tree(image, path)
        elif path.suffix == ".py":
            _add_module(image, path)
        elif path.suffix in {".so", ".txt", ".json"} and not path.name.startswith(("_test", "_tkinter")):
            image.file(path)


def _add_module(image: _Image, path: Path) -> None:
    """Its bytecode in its place, if that is there: half the size, and nothing to compile in a read-only file system."""
    compiled = path.parent / "__pycache__" / f"{path.stem}.{sys.implementation.cache_tag}.pyc"
    if compiled.exists():
        image.file(compiled, str(path.with_suffix(".pyc")))
    else:
        image.file(path)


def _add_package(image: _Image, name: str) -> None:
    """What its distribution brought, under a path of its own."""
    for each in metadata.files(name) or ():
        path = Path(str(each.locate()))
        if ".." not in each.parts and "tests" not in each.parts and path.is_file():
            image.file(path, f"{PACKAGES}/{each}")


def _distributions(modules: Collection[str]) -> list[str]:
    """The distributions that hold these modules, and those they need, without extras. Raises SandboxError."""
    owners = metadata.packages_distributions() if modules else {}
    wanted: list[str] = []
    for module in modules:
        top = module.partition(".")[0]
        if top not in owners and top not in sys.stdlib_module_names:
            raise SandboxError(f"{module} cannot be preloaded: it is not installed", fix=install(top))

        wanted.extend(owners.get(top, ()))

    found: dict[str, None] = {}
    while wanted:
        name = wanted.pop()
        if name not in found:
            found[name] = None
            wanted.extend(_needs(name))

    return list(found)


def _needs(name: str) -> Iterator[str]:
    for line in metadata.requires(name) or ():
        if ";" not in line and (found := re.match(r"[\w.-]+", line)):
            yield found[0]


def _libraries(binaries: Sequence[Path]) -> list[Path]:
    """The shared libraries that these load, the loader included."""
    listed = subprocess.run(
        ["ldd", *map(str, binaries)], capture_output=True, text=True, check=False, timeout=60, env={"LC_ALL": "C"}
    )
    return [Path(found) for found in dict.fromkeys(_LIBRARY.findall(listed.stdout))]


def _stripped(path: Path) -> bytes | None:
    """Without what only a debugger reads; None where there is no tool for that."""
    strip = shutil.which("strip")
    if strip is None or path.stat().st_size < 1 << 18:
        return None

    with tempfile.NamedTemporaryFile() as slim:
        done = subprocess.run([strip, "-o", slim.name, str(path)], capture_output=True, check=False, timeout=60)
        return Path(slim.name).read_bytes() if done.returncode == 0 else None
