"""Text as it lies on disk: bytes, how they are encoded, and the lines a person counts in them.

Nothing is lost on the way through: decoding and encoding give the same bytes back, mark and newlines included.
"""

import codecs
import re
from dataclasses import dataclass

from journeyman.errors import ToolError

NEWLINE = re.compile(r"\r\n|\n|\r")
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
PROBED = 8192


@dataclass(frozen=True, slots=True)
class Text:
    text: str
    """Without the byte order mark; newlines as they are."""
    encoding: str
    mark: bytes = b""

    @property
    def lines(self) -> list[str]:
        """As a person counts them: a last line without newline counts, nothing after the last newline does not."""
        lines = NEWLINE.split(self.text)
        return lines if lines[-1] else lines[:-1]

    @property
    def newline(self) -> str:
        """The most frequent one; a line feed where there is none."""
        found = NEWLINE.findall(self.text)
        return max(("\n", "\r\n", "\r"), key=found.count)

    def encode(self, text: str) -> bytes:
        """Other text as the same kind of file.

        Raises:
            ToolError: the file's encoding has no such letter.
        """
        try:
            return self.mark + text.encode(self.encoding)
        except UnicodeEncodeError as error:
            letter = text[error.start]
            raise ToolError(f"{letter!r} cannot be written in this file, which is {self.encoding}") from None


def is_binary(data: bytes) -> bool:
    """Whether the bytes are no text: a NUL near the start, and no byte order mark that would explain it."""
    return b"\0" in data[:PROBED] and not data.startswith(tuple(mark for mark, _ in _MARKS))


def decode(data: bytes, path: str) -> Text:
    """UTF-8, UTF-16/32 with a mark, else Windows-1252 or Latin-1: whichever gives the same bytes back.

    Raises:
        ToolError: it is no text.
    """
    if is_binary(data):
        raise ToolError(f"{path} is a binary file with {len(data)} bytes, not text")

    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return Text(_strictly(data.removeprefix(mark), encoding, path), encoding, mark)

    for encoding in ("utf-8", "cp1252"):
        try:
            return Text(data.decode(encoding), encoding)
        except UnicodeDecodeError:
            continue

    return Text(data.decode("latin-1"), "latin-1")


def _strictly(data: bytes, encoding: str, path: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        raise ToolError(f"{path} begins like {encoding} text but is not") from None
