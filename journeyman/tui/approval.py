"""The question whether a call may be made, above the prompt. What the call says stands in a part of its own that takes
neither clicks nor keys; answers are letters that stand alone. None is taken in the first half second, none while
something is being written, and none that another letter follows at once: what somebody is typing answers nothing.
"""

from time import monotonic
from typing import NamedTuple

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.message import Message

from journeyman.tui import diff
from journeyman.tui.bar import Bar
from journeyman.tui.items import Question
from journeyman.tui.line import Line, Span, chop, wrap
from journeyman.tui.prompt import Prompt
from journeyman.tui.rows import Lines

GRACE_S = 0.5
"""Seconds in which a question takes no answer: somebody may be typing."""
HOLD_S = 0.25
"""Seconds that a letter waits for another one, before it is an answer; one that allows more than a call, thrice so."""
TALLEST = 20
"""Lines of a call that are shown at once; arrows move them."""
MORE = ("session", "always", "all")
ANSWERS = (
    ("y", "once", "yes"),
    ("n", "no", "no"),
    ("s", "session", "this session"),
    ("a", "always", "always"),
    ("N", "why", "no, because …"),
    ("e", "edit", "edit"),
    ("question_mark", "explain", "why"),
)
SHORT = {"question_mark": "?"}


class Held(NamedTuple):
    """A letter that may be an answer, or the first of a word."""

    letter: str
    action: str
    question: Question


class Approval(Vertical, can_focus=True):
    """The first of the questions that wait."""

    DEFAULT_CSS = """
    Approval { height: auto; max-height: 80%; border-left: thick $warning; background: $surface; display: none;
               margin: 1 0 0 0; }
    Approval Lines { height: auto; padding: 0 1; background: $surface;
                     scrollbar-background: $surface; }
    Approval Bar { background: $surface; }
    """
    BINDINGS = [
        *(Binding(key, f"answer('{what}')", text, id=f"approval.{what}") for key, what, text in ANSWERS),
        Binding("Y", "answer('all')", "yes to all", id="approval.all"),
        Binding("up", "scroll_call(-1)", show=False),
        Binding("down", "scroll_call(1)", show=False),
    ]

    class Answered(Message):
        """once, session, always, no, why (no with a reason), edit, explain, all."""

        def __init__(self, questions: tuple[Question, ...], answer: str) -> None:
            super().__init__()
            self.questions = questions
            self.answer = answer

    def __init__(self, prompt: Prompt) -> None:
        super().__init__()
        self.questions: list[Question] = []
        self._prompt = prompt
        self._held: Held | None = None
        self._shown = 0
        self._since = 0.0
        self._explained = False

    def compose(self) -> ComposeResult:
        yield Bar(ident="asked")
        yield Lines(ident="call")
        yield Lines(ident="answers")

    def on_mount(self) -> None:
        for lines in self.query(Lines):
            lines.can_focus = False

        self.watch(self.query_one("#call", Lines), "scroll_y", self._show_answers, init=False)

    def ask(self, question: Question) -> None:
        self.questions.append(question)
        self._show(fresh=len(self.questions) == 1)

    def settle(self, token: object) -> None:
        """A question is answered, here or by another client."""
        first = self.questions[:1]
        self.questions = [each for each in self.questions if each.id != token]
        self._show(fresh=self.questions[:1] != first)

    def clear(self) -> None:
        self.questions = []
        self._show(fresh=True)

    def on_resize(self) -> None:
        self._show(fresh=False)

    def _show(self, *, fresh: bool) -> None:
        self.display = bool(self.questions)
        if not self.questions:
            return

        if fresh:
            self._since = monotonic()
            self._explained = False

        question, more = self.questions[0], self._more
        waits: Line = ((f"+{more} more wait ", "dim"),) if more else ()
        what = "May more be spent?" if question.tool == "budget" else f"May it call {question.tool}?"
        self.query_one("#asked", Bar).show(((what, "warning bold"),), waits)
        lines = self._lines(question, max(20, self.size.width - 4))
        call = self.query_one("#call", Lines)
        told, height = wrap(self._answers(question, more), max(20, self.size.width - 4)), self.app.size.height
        room = max(
            2, height // 2 - 4, min(5, height - 5 - len(told))
        )  # the rest is for the prompt and what one may say
        call.styles.height = self._shown = min(len(lines), room, TALLEST)
        call.show(lines, stay=not fresh)
        self._show_answers(0 if fresh else call.scroll_y)

    @property
    def _more(self) -> int:
        return len(self.questions) - 1 + len(self.questions[0].then)

    def _show_answers(self, top: float) -> None:
        """The answers, behind how much of the call is not on the screen."""
        if not self.questions:
            return

        above, below = int(top), len(self.query_one("#call", Lines).lines) - int(top) - self._shown
        cut = f"↓ {below} more lines   " if below > 0 else f"↑ {above} more lines   " if above else ""
        answers = self.query_one("#answers", Lines)
        line = ((cut, "warning bold"), *self._answers(self.questions[0], self._more))
        told = wrap(line if cut else line[1:], max(20, self.size.width - 4))
        answers.styles.height = len(told)
        answers.show(told)

    def _lines(self, question: Question, width: int) -> list[Line]:
        lines = [line for text in question.call for line in chop([(text, "")], width)]
        for edit in question.edits:
            lines += [((f"  {edit.path}", "bold"),), *diff.shown(edit, width)]

        lines += wrap([(question.reason, "dim")], width) if question.reason else []
        if self._explained:
            lines += [line for source in question.sources for line in wrap([(source, "accent")], width)]
            lines += wrap([(f"rules: {', '.join(question.rules)}", "dim")], width) if question.rules else []

        if question.offer:
            lines += wrap([(f"s and a would keep the rule: {question.offer}", "dim")], width)

        for _, call in question.then:
            lines += [((" and then", "warning"),), *(line for text in call for line in chop([(text, "")], width))]

        return lines

    def _answers(self, question: Question, more: int) -> Line:
        spans: list[Span] = []
        for key, what, text in ANSWERS:
            if what in {"session", "always"} and not question.offer:
                continue

            if question.tool == "budget" and what in {"edit", "explain"}:
                continue

            spans += [(SHORT.get(key, key), "accent bold"), (f" {text}   ", "dim")]

        return (*spans, ("Y", "accent bold"), (" yes to all", "dim")) if more else tuple(spans)

    def on_focus(self) -> None:
        self._since = monotonic()

    def on_key(self, event: events.Key) -> None:
        if not event.is_printable:
            self._held = self._held if event.key == "enter" else None
            return

        event.stop()
        event.prevent_default()
        action = self._action(event.key)
        if action and self.questions and self._is_heard() and self._held is None:
            self._held = Held(event.character or "", action, self.questions[0])
            lasting = any(f"'{more}'" in action for more in MORE)
            self.set_timer(HOLD_S * 3 if lasting else HOLD_S, self._waited)
        else:
            self._write(event.character or "")

    def on_paste(self, event: events.Paste) -> None:
        event.stop()
        self._write(event.text.replace("\r\n", "\n").replace("\r", "\n"))

    def _action(self, key: str) -> str:
        """What a key does here, as the user has set them; nothing where it is a letter like any other."""
        bound = self.screen.active_bindings.get(key)
        return bound.binding.action if bound and bound.node is self else ""

    def _is_heard(self) -> bool:
        return not self._prompt.text and monotonic() - self._since >= GRACE_S

    def _write(self, text: str) -> None:
        """What was held and this are words for the prompt."""
        held, self._held = self._held, None
        self._prompt.insert((held.letter if held else "") + text)

    def _waited(self) -> None:
        """Letters that came meanwhile are before this in both queues, however busy the app was."""
        held = self._held
        self.app.call_later(self.call_later, self._decide, held)

    async def _decide(self, held: Held | None) -> None:
        if held is None or held is not self._held:
            return

        if self.questions[:1] == [held.question] and self.has_focus and self.screen.is_current and self._is_heard():
            self._held = None
            await self.run_action(held.action)
        else:
            self._write("")

    def action_answer(self, answer: str) -> None:
        if not self.questions or monotonic() - self._since < GRACE_S:
            return

        question = self.questions[0]
        if (answer in {"session", "always"} and not question.offer) or (answer == "all" and not self._more):
            return

        if answer == "explain":
            self._explained = not self._explained
            self._show(fresh=False)
            return

        asked = tuple(self.questions) if answer == "all" else (question,)
        self.post_message(self.Answered(asked, answer))

    def action_scroll_call(self, step: int) -> None:
        call = self.query_one("#call", Lines)
        if step < 0 and not call.scroll_offset.y:
            self._prompt.post_message(Prompt.Key("up"))  # as from the prompt: what waits is taken back

        call.go(call.scroll_offset.y + step)
