"""One turn of a local model: from a request to sampled ids, shown as they come and read back."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from journeyman.agent.models.conversation import Completion, Conversation, Prompt
from journeyman.agent.models.examples import examples
from journeyman.agent.models.grammar import Format, grammar, some_words
from journeyman.agent.models.llama_process import EngineProcess
from journeyman.agent.models.model import Capabilities, Request, Sampling
from journeyman.agent.models.parse import Parser
from journeyman.agent.models.renderer import Segment
from journeyman.agent.models.thought import SWITCHES, WAIT, Pause, Thought
from journeyman.errors import ContextOverflow
from journeyman.traces.events import ModelDelta, ModelResponded
from journeyman.traces.messages import AssistantMessage, Usage

ROOM = 16
"""Tokens that must be left for an answer."""
SHOW_READING = 512
"""New tokens from which the reading of a prompt is shown."""
REJECTED = "llg error"
"""What the engine logs about a grammar that it then ignores."""
KEPT = [
    "content", "tokens", "stop", "stop_type", "tokens_predicted", "tokens_evaluated", "timings",
    "completion_probabilities",
]  # fmt: skip


@dataclass
class Turn:
    """`sampled` runs it; then `response` is what came of it."""

    request: Request
    conversation: Conversation
    process: EngineProcess
    capabilities: Capabilities
    grammars: dict[str, bool]
    """Grammars tried so far on this engine: did they compile."""
    form: Format
    stream: bool = True
    slot: int = -1
    prompt: Prompt = field(init=False)
    parser: Parser = field(init=False)
    ids: list[int] = field(default_factory=list)
    logprobs: list[float | None] = field(default_factory=list)
    final: dict[str, Any] = field(default_factory=dict)
    filled: bool = False
    """Some ids were not told but guessed."""
    cached: int | None = None
    predicted: int = 0
    reasoning: int = 0
    forced: set[int] = field(default_factory=set)
    """Which of the ids were written for the model, by their place."""
    thought: Thought = field(init=False)
    switches: frozenset[int] = frozenset()
    opened: bool = False
    """The prompt ends with the mark that begins a thought."""
    urged: bool = False
    """It was told to answer, having only thought."""
    within: bool = False
    """What is asked for goes on with a thought."""
    _base: int = 0
    """Ids that were there before the request under way."""
    _open_thought: tuple[int, int, int] = (0, 0, 0)
    """Ids, pieces and tokens of thinking up to where the thought had not ended yet."""
    _pieces: list[str] = field(default_factory=list)

    async def sampled(self) -> AsyncGenerator[ModelDelta]:
        """Sample the turn, showing it.

        Raises:
            ContextOverflow: no room for an answer.
            OSError, Refused: from the engine.
        """
        await self.prepare()
        for text in self.candidates():
            before = self.process.log_size
            self.begin()
            async with aclosing(self._whole(text)) as deltas:
                async for delta in deltas:
                    yield delta

            if self.accepted(text, before):
                break

        for delta in self.parser.rest():
            yield delta

    async def prepare(self) -> None:
        """Render what the model is to read.

        Raises:
            ContextOverflow: no room for an answer.
            OSError, Refused: from the engine.
        """
        shown = examples(self.request.tools) if self.capabilities.untrained else ()
        self.prompt = await self.conversation.prompt(self.request, self.process.tokenise, shown)
        if len(self.prompt.ids) + ROOM > self.capabilities.context:
            raise overflow(len(self.prompt.ids), self.capabilities.context)

        if self.request.sampling.switch_penalty:
            words = [await self._written(f"{space}{word}") for word in SWITCHES for space in ("", " ")]
            self.switches = frozenset(ids[0] for ids in words if ids)

        think, renderer = self.request.sampling.think, self.form.renderer
        if self.capabilities.thinking and (think != "auto" or renderer.thinks_first):
            self.opened = think != "off"  # else it is over at once
            begun = await self._written(renderer.think[0] if self.opened else "".join(renderer.think))
            self.prompt = self.prompt._replace(ids=[*self.prompt.ids, *begun], new=[*self.prompt.new, *begun])

    async def _written(self, text: str) -> list[int]:
        return await self.process.tokenise([Segment(text, control=True)], False)

    def response(self, seconds: float) -> ModelResponded:
        message = AssistantMessage(parts=self.parser.finish())
        ended = self.final["stop_type"] == "eos"
        completion = Completion(
            self.ids,
            ended=ended,
            exact=len(self.ids) == self.predicted,
            forced=frozenset(self.forced),
            logprobs=tuple(self.logprobs) if self.request.sampling.logprobs else None,
        )
        return ModelResponded(
            step=self.request.step,
            message=message,
            finish="stop" if ended else "length",
            usage=Usage(
                prompt_tokens=len(self.prompt.ids),
                cached_tokens=self.cached or 0,
                completion_tokens=self.predicted - len(self.forced),
                reasoning_tokens=self.reasoning,
            ),
            cost_usd=0.0,
            seconds=round(seconds, 6),
            tokens=self.conversation.answered(self.request, self.prompt, completion, message),
        )

    def accepted(self, text: str, before: int) -> bool:
        """Did the engine read this grammar, as its log tells after the first `before` bytes."""
        if text and text not in self.grammars:
            self.grammars[text] = REJECTED not in self.process.log(before)

        return not text or self.grammars[text]

    def candidates(self) -> Iterator[str]:
        """Grammars of what is offered, the exact one first, then a looser one; only none leaves true probabilities."""
        request, able, think = self.request, self.capabilities, self.request.sampling.think
        within = self.within if self.ids else self.opened
        if request.sampling.logprobs or not (request.tools or request.returns is not None):
            after_thought = self.opened and self.ids and not within and not request.sampling.logprobs
            yield some_words(self.form) if after_thought else ""
            return

        for loose in (False, True):
            text = grammar(
                request.allowed,
                request.choice,
                returns=request.returns,
                thinking=able.thinking and think != "off" and (within or not self.ids),
                within=within,
                small=able.small,
                loose=loose,
                form=self.form,
            )
            if loose or self.grammars.get(text, True):
                yield text

    async def _whole(self, text: str) -> AsyncGenerator[ModelDelta]:
        """The turn under a grammar, in several requests where its thought is steered."""
        while True:
            async with aclosing(self._asked(text)) as deltas:
                async for delta in deltas:
                    yield delta

            pause = self._pause()
            if not pause:
                return

            if self._silent:
                self.urged = pause != "early"
                del self.ids[-1:]  # the end of a turn that has no answer yet
                del self.logprobs[len(self.ids) :]

            if pause == "enough" and self.parser.kind == "thinking":
                await self._write(self.form.renderer.think[1])
            elif pause == "early":
                await self._take_back()

            self.within = self.parser.kind == "thinking"
            self.thought.turned(pause, self.reasoning)
            text = next(self.candidates())  # of what is still to come
            self.final = {}

    async def _asked(self, text: str) -> AsyncGenerator[ModelDelta]:  # noqa: C901 - one case for each kind of event
        """One request, for the turn or its thought as far as it may go. Only what is not streamed is ever complete."""
        self._base = len(self.ids)
        body = self.whole(text)
        if self.request.sampling.logprobs or not (self.stream or self.thought.steered):
            async with aclosing(self.read()) as deltas:
                async for delta in deltas:
                    yield delta

            event = await self.process.wire.post("/completion", body | self._bounded(body["n_predict"]))
            for delta in self.take(event):
                yield delta

            return

        async with aclosing(
            self.process.wire.stream("/completion", body | {"stream": True, "return_progress": True})
        ) as events:
            async for event in events:
                if progress := event.get("prompt_progress"):
                    for delta in _reading(progress):
                        yield delta
                else:
                    await self._fill(event)
                    for delta in self.take(event):
                        yield delta

                    if self._pause():
                        return

        if not self.final:
            raise ConnectionError("the engine's answer ended early")

        if self.filled and not await self.as_read():
            self.ids = []

    @property
    def _silent(self) -> bool:
        """The model has ended its turn with nothing but a thought that was begun for it."""
        ended = self.opened and not self.urged and self.final.get("stop_type") == "eos"
        return ended and not self.parser.said

    def _pause(self) -> Pause:
        """Why what is being written was, or is to be, interrupted."""
        silent = self._silent
        kind = "text" if silent else self.parser.kind
        pause = self.thought.pause(kind, self.reasoning, self.ids[-1] if self.ids else None)
        if silent and pause != "early":
            return "enough"

        cut = self.request.sampling.logprobs and self.final and self.final["stop_type"] == "limit" and self.room() > 0
        return pause or ("more" if cut else "")

    def _bounded(self, room: int) -> dict[str, int]:
        """What is not streamed cannot be interrupted: a thought is asked for in one part, the rest in another."""
        limit = self.request.sampling.think
        left = limit - self.reasoning if isinstance(limit, int) and self.thought.steered else 0
        return {"n_predict": min(room, left)} if left > 0 else {}

    async def _write(self, text: str, *, control: bool = True) -> None:
        """Write for the model, which goes on after it."""
        ids = await self.process.tokenise([Segment(text, control=control)], False)
        self.forced |= set(range(len(self.ids), len(self.ids) + len(ids)))
        self.ids += ids
        self.logprobs += [None] * len(ids)
        self.predicted = len(self.ids)
        self._pieces.append(text)
        self.parser.feed(text)

    async def _take_back(self) -> None:
        """Undo the end of the thought, and have it go on."""
        count, pieces, self.reasoning = self._open_thought
        del self.ids[count:], self.logprobs[count:], self._pieces[pieces:]
        self.parser = self._new_parser()
        self.parser.feed("".join(self._pieces))
        await self._write(WAIT, control=False)

    async def _fill(self, event: dict[str, Any]) -> None:
        """A stream names only the last token of a character that takes several: the others as they are usually cut.

        `as_read` then asks the engine, which knows.
        """
        missing = self._base + event["tokens_predicted"] - self.predicted - len(event["tokens"])
        if missing > 0 and event["tokens"]:
            body = {"content": event["content"], "add_special": False, "parse_special": False}
            ids = (await self.process.wire.post("/tokenize", body))["tokens"]
            if len(ids) == missing + 1 and ids[-1:] == event["tokens"]:
                self.ids += ids[:-1]
                self.filled = True

    async def as_read(self) -> bool:
        """Are prompt and `ids` what the engine holds? All but the last, which it has sampled and not read."""
        event = await self.process.wire.post("/completion", self.body(0))
        return event["timings"]["cache_n"] >= len(self.prompt.ids) + len(self.ids) - 1

    async def read(self) -> AsyncGenerator[ModelDelta]:
        """Have the engine read the prompt in a way that can be cancelled: only a stream stops while it reads."""
        body = self.body(0) | {"stream": True, "return_progress": True}
        async with aclosing(self.process.wire.stream("/completion", body)) as events:
            async for event in events:
                if "timings" in event:
                    self.cached = event["timings"]["cache_n"]

                for delta in _reading(event.get("prompt_progress")):
                    yield delta

    def begin(self) -> None:
        self.parser = self._new_parser()
        self.ids, self.logprobs, self.final, self.filled, self.predicted, self.reasoning = [], [], {}, False, 0, 0
        self.forced, self.urged, self.within, self._base = set(), False, self.opened, 0
        self._pieces, self._open_thought = [], (0, 0, 0)
        self.thought = Thought(self.request.sampling if self.capabilities.thinking else Sampling(), self.switches)

    def _new_parser(self) -> Parser:
        parser = Parser(self.request.step, self._names, self.form.renderer.dialect)
        parser.feed(self.form.renderer.think[0] if self.opened else "")
        return parser

    @property
    def _names(self) -> frozenset[str]:
        return frozenset(tool.name for tool in self.request.tools)

    def room(self) -> int:
        sampling = self.request.sampling
        wanted = sampling.max_tokens + (sampling.think if isinstance(sampling.think, int) else 0)
        return min(wanted, self.capabilities.context - len(self.prompt.ids)) - len(self.ids)

    def whole(self, text: str) -> dict[str, Any]:
        """What asks for the whole turn under a grammar."""
        body = self.body(self.room()) | ({"n_probs": 1} if self.request.sampling.logprobs else {})
        return body | ({"grammar": text} if text else {})

    def body(self, tokens: int) -> dict[str, Any]:
        """Neutral sampling: nothing but temperature and top-p, so that what is recorded is what was drawn from."""
        sampling = self.request.sampling
        scales = [{"id": n, "scale": scale} for n, scale in enumerate(sampling.adapters)]
        return {
            **({"lora": scales} if scales else {}),
            "prompt": self.prompt.ids + self.ids,
            "n_predict": tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": 0,
            "min_p": 0.0,
            "samplers": ["top_p", "temperature"],
            "seed": -1 if sampling.seed is None else sampling.seed,
            "cache_prompt": True,
            "return_tokens": True,
            "id_slot": self.slot,
            "response_fields": KEPT,
            "preserved_tokens": self.form.written,
            **({"logit_bias": self.thought.bias} if self.thought.bias else {}),
        }

    def take(self, event: dict[str, Any]) -> list[ModelDelta]:
        """Add what one event of the engine brings."""
        self.ids += event["tokens"]
        if self.request.sampling.logprobs:
            self.logprobs += told_logprobs(event)

        if event["stop"]:
            self.final = event
            if self.cached is None:
                self.cached = event["timings"]["cache_n"]

        self.predicted = max(self.predicted, self._base + event["tokens_predicted"])
        self._pieces.append(event["content"])
        deltas = self.parser.feed(event["content"])
        self.reasoning += self._thought_in(event, deltas)
        if self.parser.kind == "thinking" and not self.parser.held:
            self._open_thought = (len(self.ids), len(self._pieces), self.reasoning)

        return deltas

    def _thought_in(self, event: dict[str, Any], deltas: Sequence[ModelDelta]) -> int:
        """Tokens of thinking in what came; where it came with others, up to the mark that ends it, or their share."""
        count = len(event["tokens"])
        if self.parser.kind == "thinking" or count <= 1:
            return count if self.parser.kind == "thinking" else 0

        closes = self.form.special.get(self.form.renderer.think[1].strip())
        if closes in event["tokens"]:
            return event["tokens"].index(closes)

        thought = sum(len(delta.text) for delta in deltas if delta.kind == "thinking")
        return round(count * thought / max(len(event["content"]), 1))


def overflow(tokens: int, context: int) -> ContextOverflow:
    return ContextOverflow(
        f"The conversation has {tokens} tokens and the model's window holds {context}.",
        fix="Start a new run, read less at a time, or give the model a larger context.",
    )


def _reading(progress: dict[str, int] | None) -> Iterator[ModelDelta]:
    if progress and progress["total"] - progress["cache"] >= SHOW_READING:
        yield ModelDelta(kind="status", text=f"reading {progress['processed']} of {progress['total']} tokens")


def told_logprobs(event: dict[str, Any]) -> list[float | None]:
    """One for each id of the event, matched by id; None for a token that the engine reported no value for."""
    values: list[float | None] = []
    reported = iter(event.get("completion_probabilities") or ())
    entry = next(reported, None)
    for token in event["tokens"]:
        if entry is not None and entry["id"] == token:
            values.append(entry["logprob"])
            entry = next(reported, None)
        else:
            values.append(None)

    return values
