"""What waits to be said: in the engine, or here while there is none."""

from collections.abc import Collection, Sequence

from journeyman.safe import safe
from journeyman.tui.line import Line
from journeyman.tui.rows import Lines

SHOWN = 4


class Waiting(Lines, can_focus=False):
    DEFAULT_CSS = "Waiting { display: none; padding: 0 1; }"

    def __init__(self) -> None:
        super().__init__()
        self.unsent: list[str] = []
        """Said while there was no engine."""

    def tell(self, waiting: Sequence[str], *, held: bool = False) -> None:
        """Show these; `held`: an interrupt holds them up."""
        self.display = bool(waiting)
        self.styles.height = min(len(waiting), SHOWN) + held
        lines: list[Line] = [((("» ", "accent"), (safe(text, 200), "dim"))) for text in waiting]
        self.show([*lines, (("held up: /continue, or write on", "warning"),)] if held else lines)

    def keep(self, *texts: str, first: bool = False) -> None:
        """Keep them for the next engine; `first`: before what is kept already."""
        self.unsent = [*texts, *self.unsent] if first else [*self.unsent, *texts]
        self.tell(self.unsent)

    def taken(self, known: Collection[str]) -> list[str]:
        """What was kept, but for what the engine knows: it was there all the time."""
        waiting, self.unsent = [text for text in self.unsent if text not in known], []
        if not known:
            self.tell([])

        return waiting
