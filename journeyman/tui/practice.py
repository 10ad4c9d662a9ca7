"""How practice is going: the courses of `journeyman improve`, the newest first."""

from collections.abc import Iterator

from textual import work
from textual.binding import Binding

from journeyman.errors import JourneymanError
from journeyman.tui import courses
from journeyman.tui.line import Line
from journeyman.tui.pager import Pager

NONE = "No course yet. journeyman improve --tasks starter; what was tried by hand: F4, then g"


class Practice(Pager):
    """One course at a time, read when it is turned to."""

    BINDINGS = [
        Binding("right,n", "turn(1)", "next course", id="practice.next"),
        Binding("left,p", "turn(-1)", "course before", id="practice.before"),
        Binding("r", "again", "look again", id="practice.again"),
    ]

    def __init__(self) -> None:
        super().__init__("Practice", [(("reading …", "dim"),)], "←→ courses · r look again · ")
        self._at = 0

    def on_mount(self) -> None:
        super().on_mount()
        self.action_again()

    def action_turn(self, step: int) -> None:
        self._at += step
        self.action_again()

    @work(thread=True, exclusive=True)
    def action_again(self) -> None:
        try:
            self._lines = list(self._read(max(30, self.size.width - 4)))
        except JourneymanError as error:
            self._lines = [((error.line, "error"),)]

        self.app.call_from_thread(self.draw)

    def _read(self, width: int) -> Iterator[Line]:
        from journeyman.tui.shelf import Shelf

        found = courses.folders()
        if not found:
            yield ((NONE, "dim"),)
            return

        self._at %= len(found)
        yield ((f"course {self._at + 1} of {len(found)}", "dim"),)
        course = courses.read(found[self._at])
        flipped = (*course.held_out.gained, *course.held_out.lost) if course.held_out else ()
        shelf = Shelf()
        try:
            yield from courses.told(course, found[self._at], shelf.prompts(flipped), width)
        finally:
            shelf.close()
