"""Names that complete what is being written: commands after `/`, files of the folder after `@`."""

import os
from collections.abc import Iterator
from pathlib import Path

from textual import work
from textual.message import Message

from journeyman.safe import safe
from journeyman.tui.commands import COMMANDS
from journeyman.tui.rows import Choice, Choices

FILES = 5_000
"""Files of a folder that are offered."""
HIDDEN = frozenset({"__pycache__", "node_modules", "target", "build", "dist"})
OFFERED = 8


class Names(Choices, can_focus=False):
    """Shown above the prompt while there is something to complete."""

    DEFAULT_CSS = "Names { display: none; background: $surface; }"

    class Offering(Message):
        """Names are offered now for this sign and these letters; none."""

        def __init__(self, of: tuple[str, str] | None) -> None:
            super().__init__()
            self.of = of

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._root = root
        self._files: list[Choice] | None = None
        self._typed = ("", "")

    def offer_for(self, sign: str, typed: str) -> None:
        """Offer what fits the letters after `/` or `@`; nothing without such a sign."""
        self._typed = (sign, typed)
        if sign == "/":
            self.offer([Choice(c.name, f"/{c.name}", f"{c.argument}  {c.about}".strip()) for c in COMMANDS], typed)
        elif sign == "@":
            if self._files is None:
                self._files = []
                self._find_files()

            self.offer(self._files, typed)

        self.display = bool(sign and self.count)
        self.styles.height = min(OFFERED, self.count)
        self.post_message(self.Offering((sign, typed) if self.display else None))

    @work(thread=True, group="files", exclusive=True)
    def _find_files(self) -> None:
        found = files(self._root)
        self.app.call_from_thread(self._found, found)

    def _found(self, found: list[Choice]) -> None:
        self._files = found
        self.offer_for(*self._typed)


def files(root: Path) -> list[Choice]:
    """Files of a folder, to be completed; hidden ones and what programs make are left out."""
    return [Choice(path, safe(path, 200)) for _, path in zip(range(FILES), _files(root), strict=False)]


def _files(root: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in HIDDEN)
        for name in sorted(names):
            if not name.startswith("."):
                yield os.path.relpath(os.path.join(folder, name), root)  # noqa: PTH118 - a Path a file is slow
