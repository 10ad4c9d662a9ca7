"""GGUF files: found, checked before a process is started for them, and looked into when one does not load."""

import hashlib
import struct
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple

from journeyman.agent.models.engine import CONTEXT
from journeyman.errors import BadModelFile, ModelError, ModelNotFound
from journeyman.traces.messages import Value

MAGIC = b"GGUF"
SMALLEST = 1024
EDGE = 1 << 20
THINKS = "journeyman.thinks"
"""In an adapter's header: it taught its model to think, whatever the model was before."""


class Tensor(NamedTuple):
    name: str
    shape: tuple[int, ...]
    """The fastest running dimension first."""
    kind: int
    """How it is stored: a number of GGML's."""
    offset: int
    """Of its first byte in the file."""


class ModelFiles(Value):
    """What is loaded: a model, and adapters on top of it."""

    model: Path
    adapters: tuple[Path, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "ModelFiles":
        """Read `PATH.gguf[+ADAPTER.gguf ...]`; any other + belongs to a path."""
        *files, last = text.split(".gguf+")
        model, *adapters = [*(f"{file}.gguf" for file in files), *filter(None, [last])]
        return cls(model=_place(model), adapters=tuple(map(_place, adapters)))

    @property
    def adapter(self) -> Path | None:
        """The first one."""
        return self.adapters[0] if self.adapters else None

    @property
    def spec(self) -> str:
        """What names them in every folder."""
        return "local:" + "+".join(map(str, (self.model, *self.adapters)))

    def check(self) -> None:
        """See that the files can be what they should be; it takes no time.

        Raises:
            ModelNotFound: a file is missing, or is a folder.
            BadModelFile: a file is no GGUF, or is nearly empty.
        """
        check_gguf(self.model, "model")
        for adapter in self.adapters:
            check_gguf(adapter, "adapter")


def _place(path: str) -> Path:
    return Path(path).expanduser().absolute()


def check_gguf(path: Path, what: str) -> None:
    if path.is_dir():
        inside = sorted(path.glob("*.gguf"))
        raise ModelNotFound(
            f"The {what} {str(path)!r} is a folder.",
            fix=f"Name the file: local:{inside[0]}" if inside else "Name a .gguf file; there is none in that folder.",
        )

    if not path.exists():
        near = sorted(path.parent.glob("*.gguf"))[:3] if path.parent.is_dir() else []
        others = f" Files there: {', '.join(each.name for each in near)}." if near else ""
        raise ModelNotFound(
            f"There is no {what} file {str(path)!r}.{others}", fix="Check the path, or use local:starter."
        )

    try:
        with path.open("rb") as file:
            magic = file.read(len(MAGIC))
    except OSError as error:
        raise ModelNotFound(
            f"The {what} {str(path)!r} cannot be read: {error}.", fix="Check its permissions."
        ) from error

    if magic != MAGIC:
        raise BadModelFile(
            f"The {what} {str(path)!r} is not a GGUF file: it begins with {magic!r}.",
            fix="Use a model converted to GGUF (llama.cpp's format); a download may have saved an error page instead.",
        )

    if path.stat().st_size < SMALLEST:
        raise BadModelFile(f"The {what} {str(path)!r} is truncated: {path.stat().st_size} bytes.", fix="Copy it again.")


def fingerprint(path: Path) -> str:
    """Size, first and last MiB, hashed: tells two models apart in a millisecond. Not a checksum of the whole."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        digest.update(file.read(EDGE))
        file.seek(max(0, size - EDGE))
        digest.update(file.read(EDGE))

    return digest.hexdigest()[:32]


def missing_bytes(path: Path) -> int:
    """How many bytes a GGUF file lacks at its end, as its own header tells; 0 for a whole one.

    Raises:
        ValueError: the header makes no sense.
    """
    with path.open("rb") as file:
        try:
            needed = _end_of_tensors(file)
        except struct.error:
            return 1

    return max(0, needed - path.stat().st_size)


def fitting_context(path: Path, wanted: int | None) -> int:
    """Tokens of context to load a model with: what is wanted, if it was trained for that many.

    Raises:
        ModelError: it was trained for fewer, or the header makes no sense.
    """
    trained = trained_context(path) or wanted or CONTEXT
    if wanted is not None and not 0 < wanted <= trained:
        raise ModelError(
            f"A context of {wanted} tokens was asked for and {path.name} was trained for {trained}.",
            fix=f"Ask for a context of 1 to {trained} tokens.",
        )

    return min(trained, wanted or CONTEXT)


def trained_context(path: Path) -> int | None:
    """How many tokens the model was trained to see at once, as its header tells.

    Raises:
        BadModelFile: the header makes no sense.
    """
    value = _found(path, ".context_length")
    return value if isinstance(value, int) else None


def own_template(path: Path) -> str:
    """The chat template that the file carries; empty for none. It takes a moment: it stands behind the vocabulary.

    Raises:
        BadModelFile: the header makes no sense.
    """
    value = _found(path, "tokenizer.chat_template")
    return value if isinstance(value, str) else ""


def thinks(adapter: Path) -> bool:
    """Does it teach its model to think.

    Raises:
        BadModelFile: the header makes no sense.
    """
    return _found(adapter, THINKS) == 1


def kv_bytes(path: Path) -> int:
    """Bytes that one token of context takes in a cache of 16-bit keys and values; 0 where the header does not tell."""
    keys = (".block_count", ".embedding_length", ".attention.head_count", ".attention.head_count_kv")
    found = [_found(path, key) for key in keys]
    if not all(isinstance(value, int) and value for value in found):
        return 0

    layers, width, heads, shared = (int(value or 0) for value in found)
    return layers * (width // heads) * shared * 2 * 2


def _found(path: Path, key: str) -> int | str | None:
    with path.open("rb") as file:
        try:
            return _value(file, key)
        except struct.error:
            return None  # it ends before
        except (ValueError, OSError, OverflowError, MemoryError, RecursionError) as error:
            raise _senseless(path, error) from error


def _senseless(path: Path, error: Exception) -> BadModelFile:
    return BadModelFile(f"The header of {str(path)!r} makes no sense: {error}.", fix="Get the file again.")


# The GGUF header: magic, version, two counts, key-value pairs, then a name, shape, type and offset for each tensor.
SCALARS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
STRING, ARRAY, UINT32 = 8, 9, 4
ALIGNMENT = 32
VOCABULARY = b"tokenizer."
LONGEST_KEY = 65536
MOST_DIMENSIONS = 8
"""GGML has four."""


def _value(file: BufferedReader, suffix: str) -> int | str | None:
    """The 32-bit number or the text whose key ends with `suffix`."""
    _magic, _version, _tensors, pairs = struct.unpack("<4sIQQ", file.read(24))
    for _ in range(pairs):
        length = _number(file, "<Q")
        if length > LONGEST_KEY:
            raise ValueError(f"a key of {length} bytes")

        key, kind = file.read(length), _number(file, "<I")
        if key.startswith(VOCABULARY) and not suffix.startswith(VOCABULARY.decode()):
            return None  # what else there is stands before

        if key.endswith(suffix.encode()) and kind == UINT32:
            return _number(file, "<I")

        if key.endswith(suffix.encode()) and kind == STRING:
            return file.read(_number(file, "<Q")).decode(errors="replace")

        _skip(file, kind)

    return None


def tensor(path: Path, name: str) -> Tensor | None:
    """A tensor of the file; None where it is not in there.

    Raises:
        BadModelFile: the header makes no sense.
    """
    with path.open("rb") as file:
        try:
            listed = list(_tensors(file))
        except (ValueError, OSError, OverflowError, MemoryError, RecursionError, struct.error) as error:
            raise _senseless(path, error) from error

        start = _aligned(file.tell())

    return next((each._replace(offset=start + each.offset) for each in listed if each.name == name), None)


def _end_of_tensors(file: BufferedReader) -> int:
    """Offset in the file that its last tensor reaches at least: where it starts, which is enough to notice a cut."""
    last = max((each.offset for each in _tensors(file)), default=0)
    return _aligned(file.tell()) + last


def _tensors(file: BufferedReader) -> Iterator[Tensor]:
    """As they are listed: offsets count from the end of the list."""
    _magic, _version, tensors, pairs = struct.unpack("<4sIQQ", file.read(24))
    for _ in range(pairs):
        _text(file)
        _skip(file, _number(file, "<I"))

    for _ in range(tensors):
        length = _number(file, "<Q")
        name = file.read(min(length, LONGEST_KEY)).decode(errors="replace")
        dimensions = _number(file, "<I")
        if length > LONGEST_KEY or dimensions > MOST_DIMENSIONS:
            raise ValueError(f"a tensor with a name of {length} bytes and {dimensions} dimensions")

        shape = tuple(_number(file, "<Q") for _ in range(dimensions))
        kind, offset = struct.unpack("<IQ", file.read(12))
        yield Tensor(name, shape, kind, offset)


def _aligned(offset: int) -> int:
    return -(-offset // ALIGNMENT) * ALIGNMENT


def _number(file: BufferedReader, layout: str) -> int:
    return struct.unpack(layout, file.read(struct.calcsize(layout)))[0]


def _text(file: BufferedReader) -> None:
    file.seek(_number(file, "<Q"), 1)


def _skip(file: BufferedReader, kind: int) -> None:
    if kind == STRING:
        _text(file)
    elif kind == ARRAY:
        inner, count = struct.unpack("<IQ", file.read(12))
        if inner in SCALARS:
            file.seek(SCALARS[inner] * count, 1)
        else:
            for _ in range(count):
                _skip(file, inner)
    elif kind in SCALARS:
        file.seek(SCALARS[kind], 1)
    else:
        raise ValueError(f"{kind} is no type of a GGUF value")
