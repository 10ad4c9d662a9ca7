r"""The little language that picks runs: `reward>0.5 tool:calculator denied>0 outcome:answered "two words" free`.

    number  OP  value   reward, denied, steps, calls, errors, tokens, cost, seconds; OP is > >= < <= = == != or :
    reward.NAME > 0.5   the score of one verifier;   reward:none   not scored at all
    text : pattern      model, outcome, prompt, answer, tool, effect, status, verifier, finding, run, parent, batch,
                        task, kind, split (of the task that was tried)
    since:2d until:2026-11-01        started then or later, before then (s, m, h, d, w, or a date)
    is:unfinished  is:fork  is:trainable  is:scored  is:mixed (in a group whose attempts are not all worth the same)
    word  "two words"  begin*        said anywhere: prompt, answers, arguments of calls, results

Everything must hold; `-` before a term turns it round. In a pattern `*` stands for anything; `tool:calculator` means
all the tools of a server or one by that name. A number that is not known (no score, no price) fits no comparison.
"""

import operator
import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from difflib import get_close_matches
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, exists, false, func, or_, select, true

from journeyman.errors import UsageError
from journeyman.traces import words
from journeyman.traces.projections import artifact, finding, reward, run_artifact, sample, tool_call
from journeyman.traces.schema import run

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    "==": operator.eq,
    ":": operator.eq,
    "!=": operator.ne,
}
NUMBERS: dict[str, ColumnElement] = {
    "reward": run.c.reward,
    "denied": run.c.denied,
    "steps": run.c.steps,
    "calls": run.c.calls,
    "errors": run.c.errors,
    "tokens": run.c.prompt_tokens + run.c.completion_tokens,
    "cost": run.c.cost_usd,
    "seconds": run.c.seconds,
}
TEXTS = (
    "model", "outcome", "prompt", "answer", "tool", "effect", "status", "verifier", "finding", "run", "parent",
    "batch", "task", "kind", "split",
)  # fmt: skip
LISTED = frozenset(
    ("denied", "steps", "tokens", "seconds", "outcome", "prompt", "answer", "run", "parent", "since", "until",
     "batch", "task")
)  # fmt: skip
"""Fields of the run's own row, which needs no projection."""

_TERM = re.compile(
    r"""(?P<no>-)?(?:
        (?P<field>[A-Za-z_]+(?:\.[\w.-]+)?)\s*(?P<op>==|!=|<=|>=|[=<>:])\s*(?:"(?P<quoted>[^"]*)"|(?P<value>[^\s"]+))
        |"(?P<phrase>[^"]*)"|(?P<word>[^\s"]+)
    )(?=\s|$)""",
    re.VERBOSE,
)


_HALF = re.compile(r"^[=<>:]|[=<>:]$")


class Term(NamedTuple):
    no: bool
    field: str
    """Empty for words."""
    op: str
    value: str
    at: int
    """Where it begins in the text."""


class Filter:
    """A parsed filter. The empty one fits every run."""

    def __init__(self, text: str = "") -> None:
        """Parse it.

        Raises:
            UsageError: pointing at the word that makes no sense.
        """
        self.text = text
        self.terms = tuple(_terms(text))
        for term in self.terms:
            self._condition(term, "sqlite", None)  # a mistake shows now

    @property
    def needs_projections(self) -> bool:
        return any(term.field not in LISTED for term in self.terms)

    def where(self, dialect: str, newest: int | None = None) -> ColumnElement[bool]:
        """The condition on `schema.run`.

        Args:
            dialect: the store's.
            newest: look words up in so many of the newest events that say them; None for all.
        """
        return and_(true(), *(self._condition(term, dialect, newest) for term in self.terms))

    def _condition(self, term: Term, dialect: str, newest: int | None) -> ColumnElement[bool]:
        if term.field:
            condition = self._of_field(term)
        else:
            condition = run.c.run_id.in_(_runs(words.hits(dialect, term.value, newest)))

        return ~func.coalesce(condition, false()) if term.no else condition

    def _of_field(self, term: Term) -> ColumnElement[bool]:
        name, _, verifier = term.field.partition(".")
        if name == "reward" and verifier:
            value = self._number(term)
            return _scored(verifier, OPERATORS[term.op](reward.c.score, value))

        if name in NUMBERS and not verifier:
            return _known(NUMBERS[name], term.op, self._number(term) if term.value != "none" else None)

        if term.field in {"since", "until"} and term.op == ":":
            when = int(self._moment(term) * 1e6)
            return run.c.started_at >= when if term.field == "since" else run.c.started_at < when

        if term.field == "is" and term.value in _IS:
            return _IS[term.value]()

        if term.field not in TEXTS:
            raise self._wrong(term, _unknown(term), _near(term))

        if term.op not in {":", "=", "=="}:
            raise self._wrong(term, f"{term.field} is no number", f"{term.field}:{term.value}")

        return _of_text(term.field, term.value)

    def _number(self, term: Term) -> float:
        try:
            return float(term.value)
        except ValueError:
            raise self._wrong(term, f"{term.value!r} is no number", f"{term.field}>0.5") from None

    def _moment(self, term: Term) -> float:
        ago = re.fullmatch(r"(\d+)([smhdw])", term.value)
        if ago:
            return time.time() - int(ago[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}[ago[2]]

        try:
            return datetime.fromisoformat(term.value).astimezone().timestamp()
        except (ValueError, OverflowError):
            fix = f"{term.field}:2d, or {term.field}:2026-11-01"
            raise self._wrong(term, f"{term.value!r} is no time", fix) from None

    def _wrong(self, term: Term, why: str, fix: str) -> UsageError:
        return wrong(self.text, term.at, why, fix)


def wrong(text: str, at: int, why: str, fix: str) -> UsageError:
    """An error that points at a place in the filter."""
    return UsageError(f"The filter makes no sense: {why}.\n  {text}\n  {' ' * at}^", fix=fix)


def _terms(text: str) -> Iterator[Term]:
    at = 0
    while True:
        at += len(text[at:]) - len(text[at:].lstrip())
        if at == len(text):
            return

        match = _TERM.match(text, at)
        if match is None:
            raise wrong(text, at, "a quotation mark stands alone", 'Quotation marks come in pairs: prompt:"two words"')

        found = match.groupdict()
        value = next(found[key] for key in ("quoted", "value", "phrase", "word") if found[key] is not None)
        term = Term(bool(found["no"]), (found["field"] or "").lower(), found["op"] or "", value, at)
        if not value.strip("*") and not (value and term.field in TEXTS):  # batch:* is in any
            raise wrong(text, at, "nothing is asked for here", "Say a word or a value.")

        if found["word"] and _HALF.search(found["word"]):
            raise wrong(text, at, "half a condition", f'Say all of it (reward>0.5), or quote the words: "{value}"')

        yield term
        at = match.end()


def _unknown(term: Term) -> str:
    return f"there is no {term.field}:{term.value}" if term.field == "is" else f"there is no field {term.field!r}"


def _near(term: Term) -> str:
    known = [*NUMBERS, *TEXTS, "since", "until", "is"]
    if term.field == "is":
        return f"is: takes {', '.join(_IS)}"

    near = get_close_matches(term.field, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}."
    return f'{hint} To search for the words themselves, quote them: "{term.field}{term.op}{term.value}"'


def _known(column: ColumnElement, op: str, value: float | None) -> ColumnElement[bool]:
    if value is None:
        return column.is_not(None) if op == "!=" else column.is_(None)

    return OPERATORS[op](column, value)


def _like(column: ColumnElement, pattern: str) -> ColumnElement[bool]:
    escaped = re.sub(r"([%_\\])", r"\\\1", pattern).replace("*", "%")
    return column.ilike(escaped, escape="\\")


def _of_text(field: str, value: str) -> ColumnElement[bool]:
    match field:
        case "prompt" | "answer":
            condition = _like(run.c[field], f"*{value}*")
        case "run" | "parent":
            condition = _like(run.c.run_id if field == "run" else run.c.parent, f"{value}*")
        case "model":
            condition = or_(_like(run.c.model, value), run.c.run_id.in_(_made_of(value)))
        case "tool":
            names = (value, f"{value}.*", f"*.{value}")
            condition = _has(tool_call, or_(*(_like(tool_call.c.tool, name) for name in names)))
        case "finding":
            condition = _has(finding, or_(_like(finding.c.code, value), _like(finding.c.level, value)))
        case "kind" | "split":
            condition = _has(sample, _like(sample.c[field], value))
        case "outcome" | "batch" | "task":
            condition = _like(run.c[field], value)
        case _:
            table = reward if field == "verifier" else tool_call
            condition = _has(table, _like(table.c[field], value))

    return condition


def _scored(name: str, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """By its newest score of that name: of the check, or of the verifier with or without its version."""
    later = reward.alias()
    names = (_like(reward.c.name, name), _like(reward.c.verifier, name), _like(reward.c.verifier, f"{name}/*"))
    same = and_(later.c.run_id == reward.c.run_id, later.c.verifier == reward.c.verifier, later.c.name == reward.c.name)
    newest = ~exists().where(same, later.c.seq > reward.c.seq).correlate(reward)
    return _has(reward, or_(*names), condition, newest)


def _has(table: Any, *conditions: ColumnElement) -> ColumnElement[bool]:
    return exists().where(table.c.run_id == run.c.run_id, *conditions)


def _made_of(pattern: str) -> Select:
    """Runs whose model is identified by something of that name: a file, an adapter, a base model."""
    joined = select(run_artifact.c.run_id).join(artifact, artifact.c.hash == run_artifact.c.hash)
    return joined.where(or_(_like(artifact.c.info, f'*"{pattern}"*'), _like(artifact.c.info, f'*/{pattern}"*')))


def _runs(hits: Select) -> Select:
    found = hits.subquery()
    return select(found.c.run_id)


_other = run.alias()
_IS: dict[str, Callable[[], ColumnElement[bool]]] = {
    "unfinished": lambda: run.c.outcome.is_(None),
    "fork": lambda: run.c.parent.is_not(None),
    "mixed": lambda: exists().where(
        _other.c.batch == run.c.batch, _other.c.task == run.c.task, _other.c.reward != run.c.reward
    ),
    "scored": lambda: run.c.reward.is_not(None),
    "trainable": lambda: and_(
        run.c.ended_at.is_not(None),
        run.c.level == "tokens",
        run.c.outcome.in_(("answered", "failed", "model_error", "budget")),
        ~_has(finding, finding.c.level == "fatal"),
    ),
}
