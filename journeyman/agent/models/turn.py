"""One turn of a local model: from a request to sampled ids, shown as they come and read back."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from journeyman.agent.models.conversation import Completion, Conversation, Prompt
from journeyman.agent.models.examples import examples
from journeyman.agent.models.grammar import Format, grammar
from journeyman.agent.models.llama_process import EngineProcess
from journeyman.agent.models.model import Capabilities, Request
from journeyman.agent.models.parse import Parser
from journeyman.agent.models.renderer import Segment
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
    forced: range = range(0)
    """Which of the ids ended a thought that was as long as it may be."""

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

        if self.request.sampling.think == "off" and self.capabilities.thinking:  # a thought that is over
            none = await self._written("".join(self.form.renderer.think))
            self.prompt = self.prompt._replace(ids=[*self.prompt.ids, *none], new=[*self.prompt.new, *none])

    async def _written(self, text: str) -> list[int]:
        return await self.process.tokenise([Segment(text, control=True)], False)

    def response(self, seconds: float) -> ModelResponded:
        message = AssistantMessage(parts=self.parser.finish())
        ended = self.final["stop_type"] == "eos"
        completion = Completion(
            self.ids,
            ended=ended,
            exact=len(self.ids) == self.predicted,
            forced=self.forced,
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
        if request.sampling.logprobs or not (request.tools or request.returns is not None):
            yield ""
            return

        for loose in (False, True):
            text = grammar(
                request.allowed,
                request.choice,
                returns=request.returns,
                thinking=able.thinking and think != "off" and not self.forced,
                must_think=think not in {"auto", "off"},
                small=able.small,
                loose=loose,
                form=self.form,
            )
            if loose or self.grammars.get(text, True):
                yield text

    async def _whole(self, text: str) -> AsyncGenerator[ModelDelta]:
        """The turn under a grammar, in two requests where a thought has to be ended."""
        async with aclosing(self._asked(text)) as deltas:
            async for delta in deltas:
                yield delta

        if self._thought_enough():
            await self._end_thought()
            async with aclosing(self._asked(next(self.candidates()))) as deltas:
                async for delta in deltas:
                    yield delta

    async def _asked(self, text: str) -> AsyncGenerator[ModelDelta]:  # noqa: C901 - one case for each kind of event
        """One request, for the turn or its thought as far as it may go. Only what is not streamed is ever complete."""
        body = self.whole(text)
        if not self.stream or self.request.sampling.logprobs:
            async with aclosing(self.read()) as deltas:
                async for delta in deltas:
                    yield delta

            event = await self.process.wire.post("/completion", body)
            self.logprobs = told_logprobs(event)
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

                    if self._thought_enough():
                        break

        if self._thought_enough():
            return

        if not self.final:
            raise ConnectionError("the engine's answer ended early")

        if self.filled and not await self.as_read():
            self.ids = []

    def _thought_enough(self) -> bool:
        limit = self.request.sampling.think
        return isinstance(limit, int) and self.reasoning >= limit and self.parser.kind == "thinking"

    async def _end_thought(self) -> None:
        """Write the end of the thought; what follows is the model's again."""
        end = self.form.renderer.think[1]
        closing = await self._written(end)
        self.forced = range(len(self.ids), len(self.ids) + len(closing))
        self.ids += closing
        self.predicted = len(self.ids)
        self.final = {}
        self.parser.feed(end)

    async def _fill(self, event: dict[str, Any]) -> None:
        """A stream names only the last token of a character that takes several: the others as they are usually cut.

        `as_read` then asks the engine, which knows.
        """
        missing = self.forced.stop + event["tokens_predicted"] - self.predicted - len(event["tokens"])
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
        self.parser = Parser(self.request.step, self._names, self.form.renderer.dialect)
        self.ids, self.logprobs, self.final, self.filled, self.predicted, self.reasoning = [], [], {}, False, 0, 0
        self.forced = range(0)

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
        }

    def take(self, event: dict[str, Any]) -> list[ModelDelta]:
        """Add what one event of the engine brings."""
        self.ids += event["tokens"]
        if event["stop"]:
            self.final = event
            if self.cached is None:
                self.cached = event["timings"]["cache_n"]

        self.predicted = max(self.predicted, self.forced.stop + event["tokens_predicted"])
        deltas = self.parser.feed(event["content"])
        if self.parser.kind == "thinking":
            self.reasoning += len(event["tokens"])

        return deltas


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
