"""How each item of a transcript looks: values in, lines out."""

from typing import NamedTuple

from journeyman.tui import diff
from journeyman.tui.items import Card, Item, Note, Planned, Said, Thought
from journeyman.tui.line import Line, Span, chop, ends, fit, plain, width_of, wrap
from journeyman.tui.markdown import render

SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
PREVIEW = 3
"""Lines of a result that are shown while its card is folded."""
LIVE = 4
"""Newest lines shown of what is still going on."""
EDITED = 14
"""Lines of a change that are shown while its card is folded."""
MOST = 2_000
"""Lines of one unfolded card; the pager has the rest."""

MARKS = {
    "waiting": ("○", "dim"),
    "asked": ("?", "warning"),
    "ok": ("●", "good"),
    "repeated": ("●", "dim"),
    "error": ("✗", "error"),
    "timeout": ("✗", "error"),
    "unknown": ("!", "warning"),
    "denied": ("⊘", "error"),
    "refused": ("⊘", "error"),
    "not done": ("–", "dim"),
}
EFFECTS = {"allow": "good", "ask": "warning", "deny": "error"}
STEPS = {"done": ("✓", "good"), "active": ("▸", "accent"), "pending": ("○", "dim"), "dropped": ("–", "dim")}
NOTES = {"info": "dim", "good": "good", "warning": "warning", "error": "error"}


class Look(NamedTuple):
    """What an item's looks depend on beside itself."""

    width: int
    unfolded: bool = False
    selected: bool = False
    frame: int = 0
    """Of the spinner."""
    seconds: float = 0.0
    """How long it has been going on."""


def block(item: Item, look: Look) -> list[Line]:
    """The lines of an item."""
    match item:
        case Said():
            return _said(item, look)
        case Thought():
            return _thought(item, look)
        case Card(parent=""):
            return _card(item, look)
        case Card():
            return [(("  ", ""), *line) for line in _card(item, look._replace(width=look.width - 2))]
        case Planned():
            return [line for step in item.steps for line in _step(*step, look.width)]
        case Note():
            return _lines(item.text, look.width, NOTES[item.kind], (("  ", ""),))


def gap(before: Item | None, item: Item) -> bool:
    """Whether an empty line stands between two items: none within a row of calls, or of notes."""
    if before is None:
        return False

    return type(before) is not type(item) or isinstance(item, Said)


def estimate(item: Item, width: int) -> int:
    """About how many lines it takes, its gap included: exact enough for a scroll bar, and quick."""
    if isinstance(item, Said):
        return len(item.text) // width + item.text.count("\n") + 2

    return 1 + (min(PREVIEW, len(item.output) // width + 1) if isinstance(item, Card) and item.output else 0)


def is_foldable(item: Item) -> bool:
    return isinstance(item, Card | Thought)


def mark(selected: bool) -> Span:
    """What stands at the left of a selected item."""
    return ("▌ ", "accent") if selected else ("  ", "")


def whole(item: Item) -> str:
    """All of its text, to be copied or read in the pager."""
    match item:
        case Card():
            edits = [plain(line) for edit in item.edits for line in diff.shown(edit, 100)]
            return "\n".join(filter(None, [*item.full, *edits, item.output]))
        case Planned():
            return "\n".join(f"[{status}] {text}" for status, text in item.steps)
        case _:
            return item.text


def _said(item: Said, look: Look) -> list[Line]:
    side = mark(look.selected)
    if item.who == "assistant":
        return [(side, *line) if line else () for line in render(item.text, look.width - 2)]

    first = (("❯ ", "accent bold"),) if item.who == "user" else (("» ", "dim"),)
    return _lines(item.text, look.width, "user" if item.who == "user" else "dim", first)


def _lines(text: str, width: int, role: str, first: Line) -> list[Line]:
    lines: list[Line] = []
    indent = ((" " * width_of(first), ""),)
    for each in text.rstrip("\n").split("\n"):
        lines += wrap([(each, role)], width, first=indent if lines else first, rest=indent)

    return lines


def _thought(item: Thought, look: Look) -> list[Line]:
    side = mark(look.selected)
    about = f"~{max(1, len(item.text) // 4):,} tokens" if item.text else ""
    seconds = look.seconds if item.open else item.seconds
    how_long = f"{seconds:.0f} s" if item.open else f"{seconds:.1f} s" if seconds else ""
    said = " · ".join(filter(None, ["thinking" if item.open else "thought", item.note, about, how_long]))
    sign = SPINNER[look.frame % len(SPINNER)] if item.open else "▾" if look.unfolded else "▸"
    head = fit((side, (f"{sign} {said}", "dim")), look.width)
    if not (look.unfolded or item.open):
        return [head]

    lines = _lines(item.text, look.width - 4, "thought", (("  ", ""),))
    shown = lines if look.unfolded else lines[-PREVIEW:]
    return [head, *((("  ", ""), *line) for line in shown)]


def _step(status: str, text: str, width: int) -> list[Line]:
    sign, role = STEPS.get(status, STEPS["pending"])
    return wrap([(text, "dim" if status in {"done", "dropped"} else "")], width, first=(("  ", ""), (f"{sign} ", role)))


def _card(item: Card, look: Look) -> list[Line]:
    lines = [_head(item, look)]
    room = look.width - 6
    if look.unfolded:
        lines += [line for text in item.full[1:] for line in _lines(text, look.width, "dim", (("    ", ""),))]
        if item.rules or item.reason:
            why = f"{item.effect}: {item.reason} ({', '.join(item.rules)})" if item.rules else item.reason
            lines += _lines(why, look.width, EFFECTS.get(item.effect, "dim"), (("    ", ""),))

    body = [line for edit in item.edits for line in diff.shown(edit, room)]
    body, hidden = _cut(body, MOST if look.unfolded else EDITED)
    output, more = _output(item, look, room)
    lines += [(("    ", ""), *line) for line in [*body, *hidden]]
    return [*lines, *((("  ", ""), ("  │ ", "dim"), *line) for line in [*output, *more])]


def _head(item: Card, look: Look) -> Line:
    running = item.status == "running"
    sign, role = (SPINNER[look.frame % len(SPINNER)], "accent") if running else MARKS[item.status]
    left: Line = (mark(look.selected), (f"{sign} ", role), (item.tool, "bold"), (f"  {item.arguments}", "dim"))
    return ends(left, _facts(item, look), look.width)


def _facts(item: Card, look: Look) -> Line:
    """At the right of a card's head: what the policy said, how it ended, how long it took, how much came."""
    spans: list[Span] = []
    if item.effect and look.width >= 60:  # noqa: PLR2004 - below it there is no room
        rule = f" {item.rules[0]}" if item.rules and look.width >= 100 else ""  # noqa: PLR2004 - as above
        spans.append((f"{item.effect}{rule}", EFFECTS.get(item.effect, "dim")))

    if item.status not in {"ok", "running", "waiting"} and not (item.status == "denied" and spans):
        spans.append((item.status, MARKS[item.status][1]))

    seconds = look.seconds if item.status == "running" else item.seconds
    if item.status == "running" or (item.is_done and seconds):
        spans.append((f"{seconds:.0f} s" if item.status == "running" else lasted(seconds), "dim"))

    if item.is_done and item.output and look.width >= 60:  # noqa: PLR2004 - as above
        spans.append((size(len(item.output)), "dim"))

    joined = [each for span in spans for each in ((" · ", "dim"), span)]
    return ((" ", ""), *joined[1:]) if joined else ()


def _output(item: Card, look: Look, room: int) -> tuple[list[Line], list[Line]]:
    text = item.output.strip("\n")
    if not text:
        return [], []

    role = "error" if item.status in {"error", "timeout", "denied", "refused"} else "output"
    newest = item.status == "running" and not look.unfolded
    limit = MOST if look.unfolded else LIVE if newest else PREVIEW
    rows = text.split("\n")
    some = rows[-limit:] if newest else rows[: limit + 1]
    lines = [line for row in some for line in chop([(row, role)], room)]
    if newest:
        return lines[-limit:], []

    left = len(rows) - len(some) + max(0, len(lines) - limit)
    return lines[:limit], _more(left)


def _cut(lines: list[Line], limit: int) -> tuple[list[Line], list[Line]]:
    return lines[:limit], _more(len(lines) - limit)


def _more(left: int) -> list[Line]:
    return [((f"… +{left:,} lines", "dim"),)] if left > 0 else []


def lasted(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def size(characters: int) -> str:
    return f"{characters} B" if characters < 1_000 else f"{characters / 1_000:.1f} kB"  # noqa: PLR2004 - a kilobyte
