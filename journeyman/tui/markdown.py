"""Markdown on a terminal, made while it is still being written.

Only the last block of a text that grows may still change: every block before it is laid out once and kept, so a long
answer costs as much a word as a short one. What could turn a block into another one (underlined headings) is not
taken for anything, and a last line that may become a table or a fence waits for its end.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from journeyman.tui.code import highlight
from journeyman.tui.line import Line, Span, chop, fit, width_of, wrap
from journeyman.tui.tables import table

BULLETS = "•◦▪"
_UNSURE = re.compile(r"(?:^|\n)[ ]{0,3}(?:\|[^\n]*|`{1,2}|~{1,2}|#{1,6}|[-*+]|\d{1,3}[.)]?|[-*_ ]{2,})\Z")
"""A last line of which nobody knows yet what it will be."""


@cache
def _parser() -> Any:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    return parser.disable(["lheading", "html_block", "html_inline", "reference", "image", "entity"])


class Markdown:
    """A text that grows, as lines of one width."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.done: list[Line] = []
        """Lines that will not change any more."""
        self._tail = ""
        self._kind = ""

    def feed(self, text: str) -> None:
        """More of the text."""
        self._tail += text

    def lines(self, *, ended: bool = False) -> list[Line]:
        """What can be shown by now; `ended` where nothing more will come."""
        tail = self.tail(ended=ended)
        return [*self.done, *tail]

    def tail(self, *, ended: bool = False) -> list[Line]:
        """The lines after those that are done, which may grow by this."""
        tail = self._tail if ended else _UNSURE.sub("", self._tail)
        blocks = _blocks(tail)
        for number, (kind, start, tokens) in enumerate(blocks):
            open_end = number == len(blocks) - 1 and not ended
            lines = self._laid(kind, tokens, live=open_end)
            if open_end:
                self._tail = _from(self._tail, start)
                return lines

            self.done += lines
            self._kind = kind

        if ended or blocks:
            self._tail = ""

        return []

    def _laid(self, kind: str, tokens: list[Any], *, live: bool) -> list[Line]:
        lines = _Block(self.width, live=live).lay(tokens)
        apart = self._kind and not (self._kind == kind and kind.startswith("item"))
        return [(), *lines] if apart and lines else lines


def render(text: str, width: int) -> list[Line]:
    """A whole text."""
    markdown = Markdown(width)
    markdown.feed(text)
    return markdown.lines(ended=True)


def _from(text: str, line: int) -> str:
    """The text from a line on."""
    at = 0
    for _ in range(line):
        at = text.index("\n", at) + 1

    return text[at:]


def _blocks(text: str) -> list[tuple[str, int, list[Any]]]:
    """Kind, first line and tokens of each block. The items of an outermost list are blocks of their own."""
    tokens = _parser().parse(text)
    blocks: list[tuple[str, int, list[Any]]] = []
    start = 0
    for at, token in enumerate(tokens):
        if token.level == 0 and token.nesting != 1:
            piece = tokens[start : at + 1]
            blocks += (
                _items(piece) if piece[0].type.endswith("list_open") else [(piece[0].type, piece[0].map[0], piece)]
            )
            start = at + 1

    return blocks


def _items(tokens: list[Any]) -> Iterator[tuple[str, int, list[Any]]]:
    """The items of a list, each within a list of its own."""
    start = 1
    for at, token in enumerate(tokens):
        if token.type == "list_item_close" and token.level == 1:
            yield f"item {tokens[0].type}", tokens[start].map[0], [tokens[0], *tokens[start : at + 1], tokens[-1]]
            start = at + 1


class _Block:
    """Lays out the tokens of one block."""

    def __init__(self, width: int, *, live: bool) -> None:
        self._width = width
        self._live = live
        self._lines: list[Line] = []
        self._first: list[Line] = []
        """What stands before each line, by depth, with what is put there once (a bullet)."""
        self._once: list[Line | None] = []
        self._depth = 0
        self._heading = ""

    def lay(self, tokens: list[Any]) -> list[Line]:
        position = 0
        while position < len(tokens):
            token = tokens[position]
            if token.type == "table_open":
                end = next(at for at in range(position, len(tokens)) if tokens[at].type == "table_close")
                self._add(table(tokens[position:end], self._room, inline))
                position = end
            else:
                self._token(token)

            position += 1

        return self._lines

    @property
    def _room(self) -> int:
        return max(4, self._width - sum(map(width_of, self._first)))

    def _token(self, token: Any) -> None:  # noqa: C901 - one case for each kind
        match token.type:
            case "inline":
                self._add(_paragraph(token, self._room, self._heading))
            case "heading_open":
                self._heading = "heading" if token.tag in {"h1", "h2"} else "bold"
            case "heading_close":
                self._heading = ""
            case "fence" | "code_block":
                self._add(self._code(token))
            case "hr":
                self._add([(("─" * min(self._room, 40), "dim"),)])
            case "bullet_list_open" | "ordered_list_open":
                self._depth += 1
            case "bullet_list_close" | "ordered_list_close":
                self._depth -= 1
            case "list_item_open":
                bullet = f"{token.info}{token.markup}" if token.info else BULLETS[(self._depth - 1) % len(BULLETS)]
                self._open(((f"{bullet} ", "accent"),), ((" " * (len(bullet) + 1), ""),))
            case "blockquote_open":
                self._open((("▎ ", "dim"),), (("▎ ", "dim"),))
            case "list_item_close" | "blockquote_close":
                self._close()
            case "paragraph_close" if not token.hidden and token.level and self._lines and not self._once:
                self._lines.append(())

    def _open(self, once: Line, before: Line) -> None:
        self._once.append(once)
        self._first.append(before)

    def _close(self) -> None:
        if self._once[-1] is not None:  # an empty item
            self._add([()])

        self._once.pop()
        self._first.pop()

    def _add(self, lines: list[Line]) -> None:
        for line in lines:
            marks = [once or before for once, before in zip(self._once, self._first, strict=True)]
            self._once = [None] * len(self._once)
            self._lines.append(fit((*(span for mark in marks for span in mark), *line), self._width))

    def _code(self, token: Any) -> list[Line]:
        """Code behind a bar. While it is being written each line is coloured by itself, once."""
        text, language = token.content.removesuffix("\n"), token.info.split()[0] if token.info.strip() else ""
        whole = [line for part in text.split("\n") for line in highlight(part, language)] if self._live else None
        coloured = whole if whole is not None else highlight(text, language)
        return [(("▏ ", "dim"), *line) for code in coloured for line in chop(code, self._room - 2)]


def _paragraph(token: Any, width: int, role: str) -> list[Line]:
    lines: list[Line] = []
    spans: list[Span] = []
    for text, how in inline(token, role):
        if text == "\n":
            lines += wrap(spans, width)
            spans = []
        else:
            spans.append((text, how))

    return [*lines, *wrap(spans, width)]


def inline(token: Any, role: str = "") -> Iterator[Span]:  # noqa: C901 - one case for each kind
    """The spans of running text; a hard break is a span of its own."""
    roles = [role]
    for child in token.children or ():
        now = " ".join(filter(None, roles))
        match child.type:
            case "text":
                yield child.content, now
            case "code_inline":
                yield child.content, f"{now} code-inline".strip()
            case "softbreak":
                yield " ", now
            case "hardbreak":
                yield "\n", ""
            case "strong_open":
                roles.append("bold")
            case "em_open":
                roles.append("italic")
            case "s_open":
                roles.append("dim")
            case "link_open":
                roles.append("link")
                target, begins = child.attrs.get("href", ""), token.children.index(child)
            case "link_close":
                roles.pop()
                said = "".join(each.content for each in token.children[begins : token.children.index(child)])
                if said != target:  # where it leads is always seen
                    yield f" ({target})", "dim"
            case "strong_close" | "em_close" | "s_close":
                roles.pop()
            case _:
                yield child.content, now
