"""What a model is trained on: token sequences with the targets among them, made of stored runs.

Runs of the model itself are taken token by token as they were drawn; nothing is decoded and nothing tokenised again.
Only what stood before the first drawn token may be rendered anew, without the examples that an untrained model was
shown. Runs of other models (distillation), and samples against forgetting, are rendered as this model would have
read and written them; thoughts that a provider hid or summed up are left out.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from journeyman.agent.models.families import PLAIN
from journeyman.agent.models.files import fingerprint, own_template
from journeyman.agent.models.marks import family_of
from journeyman.agent.models.renderer import Renderer
from journeyman.errors import ConfigError
from journeyman.home import data_dir
from journeyman.traces.events import RunStarted
from journeyman.traces.export import Skip, trainable
from journeyman.traces.export.practice import practice
from journeyman.traces.export.sequences import demand_trainable, reward, sequences
from journeyman.traces.fold import State
from journeyman.traces.messages import AssistantMessage, Message, Text, Thinking, UserMessage
from journeyman.traces.store import Store
from journeyman.traces.writer import Stored
from journeyman.training.encode import encode, ids_of, tokeniser


@dataclass(frozen=True, slots=True)
class Row:
    """One sequence."""

    ids: list[int]
    drawn: list[int]
    """1 where the token is a target."""
    logprobs: list[float | None] = field(default_factory=list)
    """Those the targets were drawn with; empty where they are not known."""
    task: str = ""
    kind: str = ""
    group: str = ""
    sample: int = 0
    reward: float | None = None
    run_id: str = ""

    @property
    def begin(self) -> int:
        """Of the first target."""
        return self.drawn.index(1)


class Reader:
    """Turns runs into rows for one model.

    Args:
        base: its GGUF.
        tokens: its tokenizer; None only to count rows: text is taken byte by byte.

    Raises:
        ConfigError: how it writes conversations is not known without its engine.
    """

    def __init__(self, base: Path, tokens: Any) -> None:
        family = PLAIN if tokens is None else family_of(base, tokens.get_vocab(), own_template(base))
        if family is None:
            fix = "Train a model of a family with its own marks: ChatML (Qwen, SmolLM), Llama 3, Gemma, gpt-oss."
            raise ConfigError(f"The format that {base.name} speaks is not known here.", fix=fix)

        self.renderer: Renderer = family
        self._counts = tokens is None
        self.tokenise = _bytes if tokens is None else tokeniser(tokens)
        # What the engine puts before a sequence, if anything.
        self._start: list[int] = [] if tokens is None else tokens("").input_ids
        copies = (data_dir() / "models").glob(f"{base.stem}.*.gguf")
        self._own = {fingerprint(path) for path in (base, *copies)}
        self.counts: Counter[str] = Counter()
        """How many rows were taken how."""

    def rows(self, run: Sequence[Stored]) -> list[Row]:
        """The rows of one run, to imitate it.

        Raises:
            Skip: why nothing can be learnt from it.
        """
        trainable(run)
        started = demand_trainable(run)
        return self._exact(run, started) if self._drew(started) else [self._told(run, started)]

    def attempts(self, run: Sequence[Stored]) -> list[Row]:
        """The rows of one attempt, with the log-probabilities it was drawn with, for reinforcement learning.

        Raises:
            Skip: why nothing can be learnt from it.
        """
        trainable(run)
        attempt = practice(run)
        if not self._drew(attempt.started):
            raise Skip("another model drew it, or this one in another format")

        about: dict[str, Any] = attempt.about | {
            "task": attempt.group,
            "kind": _kind(attempt.started),
            "reward": attempt.reward,
        }
        return [Row(one.ids, one.mask, one.drawn(0, other=None), **about) for one in attempt.sequences]

    def row(self, messages: Sequence[Message], instructions: str = "", tools: Sequence[Any] = (), **about: Any) -> Row:
        """A conversation as this model would have read and written it."""
        ids, learnt = encode(self.tokenise, self.renderer, messages, instructions, tools)
        return Row([*self._start, *ids], [0] * len(self._start) + learnt, **about)

    def _drew(self, started: RunStarted) -> bool:
        """Whether it is of this model, in the format that is spoken with it now."""
        told = started.model_info
        same = self._counts or told.get("renderer") in {None, self.renderer.name}
        return same and told.get("fingerprint") in self._own

    def _exact(self, run: Sequence[Stored], started: RunStarted) -> list[Row]:
        about = _about(run, started)
        found = []
        for number, one in enumerate(sequences(run)):
            ids, mask = one.ids, one.mask
            if number == 0 and (head := self._without_examples(started, ids[: one.prompt])) is not None:
                ids, mask = head + ids[one.prompt :], [0] * len(head) + mask[one.prompt :]
                self.counts["rendered without examples"] += 1

            self.counts["as drawn"] += 1
            found.append(Row(ids, mask, **about))

        return found

    def _without_examples(self, started: RunStarted, head: list[int]) -> list[int] | None:
        """The beginning as the trained model will read it; None where that is what was read."""
        segments = self.renderer.prompt(started.instructions, started.tools, [UserMessage(text=started.prompt)])
        plain = [*self._start, *ids_of(self.tokenise, segments)]
        return plain if len(plain) < len(head) else None

    def _told(self, run: Sequence[Stored], started: RunStarted) -> Row:
        state = State()
        for each in run:
            state.apply(each.event)

        if state.answer is None:
            raise Skip("another model's run without an answer")

        self.counts["of another model"] += 1
        about = _about(run, started)
        messages = [_openly(message) for message in state.messages]
        return self.row(messages, started.instructions, started.tools, **about)


def _bytes(text: str, *, control: bool) -> list[int]:  # noqa: ARG001 - all text is alike
    return list(text.encode())


def _openly(message: Message) -> Message:
    """Without thoughts that nobody was shown as they were."""
    if not isinstance(message, AssistantMessage):
        return message

    parts = tuple(part for part in message.parts if not (isinstance(part, Thinking) and part.shown))
    return AssistantMessage(parts=parts)


def read_rows(
    store: Store, run_ids: Iterable[str], reader: Reader, *, practised: bool = False
) -> tuple[list[Row], dict[str, str]]:
    """The rows of many runs, and why others have none.

    Raises:
        StoreError: the store cannot be read.
    """
    rows: list[Row] = []
    skipped: dict[str, str] = {}
    for run_id in run_ids:
        try:
            run = list(store.events(run_id))
            rows += reader.attempts(run) if practised else reader.rows(run)
        except Skip as why:
            skipped[run_id] = str(why)

    return rows, skipped


def few_of_each(rows: Sequence[Row], most: int) -> list[Row]:
    """At most so many different ways to do one task: easy tasks are done often, and would drown the others."""
    seen: dict[str, set[tuple[int, ...]]] = defaultdict(set)
    kept = []
    for row in rows:
        done = seen[row.task or row.run_id]
        words = tuple(row.ids[row.begin :])
        if len(done) < most and words not in done:
            done.add(words)
            kept.append(row)

    return kept


def general(path: Path, reader: Reader, most: int, seed: int) -> list[Row]:
    """Samples of what the model should not forget: `{"messages": [{"role", "content"}]}`, one a line.

    Raises:
        ConfigError: the file cannot be read.
    """
    try:
        found = [json.loads(line)["messages"] for line in path.read_text("utf-8").splitlines() if line.strip()]
        told = [(_instructions(each), list(_turns(each))) for each in found]
    except (OSError, ValueError, KeyError, TypeError) as error:
        fix = 'Each line is {"messages": [{"role": "user", "content": "..."}, ...]}.'
        raise ConfigError(f"{path} has no samples to replay: {error!r}.", fix=fix) from error

    Random(seed).shuffle(told)
    return [
        reader.row(turns, words, kind="general", run_id=f"replay-{n}") for n, (words, turns) in enumerate(told[:most])
    ]


def _instructions(messages: Sequence[dict[str, str]]) -> str:
    return "\n".join(each["content"] for each in messages if each["role"] == "system")


def _turns(messages: Sequence[dict[str, str]]) -> Iterator[Message]:
    for each in messages:
        if each["role"] == "user":
            yield UserMessage(text=each["content"])
        elif each["role"] == "assistant":
            yield AssistantMessage(parts=(Text(text=each["content"]),))


def groups_of(rows: Sequence[Row], *, even: bool = False) -> dict[str, list[Row]]:
    """Attempts by group. Those whose conversation was begun anew are left out: their parts would count twice.

    even: also groups whose attempts are all worth the same.
    """
    times = Counter(row.run_id for row in rows)
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if times[row.run_id] == 1:
            groups[row.group].append(row)

    return {name: of for name, of in groups.items() if len(of) > 1 and (even or len({row.reward for row in of}) > 1)}


def _about(run: Sequence[Stored], started: RunStarted) -> dict[str, Any]:
    task = started.sample.task if started.sample else ""
    return {"task": task, "kind": _kind(started), "reward": reward(run), "run_id": run[-1].run_id}


def _kind(started: RunStarted) -> str:
    return started.sample.kind if started.sample else ""
