"""One turn of a local model: from a request to sampled ids, shown as they come and read back."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from journeyman.agent.models.conversation import Completion, Conversation, Prompt
from journeyman.agent.models.draft import Draft
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
    draft: Draft = field(init=False)
    final: dict[str, Any] = field(default_factory=dict)
    filled: bool = False
    """Some ids were not told but guessed."""
    cached: int | None = None
    thought: Thought = field(init=False)
    switches: frozenset[int] = frozenset()
    opened: bool = False
    """The prompt ends with the mark that begins a thought."""
    urged: bool = False
    """It was told to answer, having only thought."""
    within: bool = False
    """What is asked for goes on with a thought."""

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

        for delta in self.draft.parser.rest():
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

        self.begin()

    async def _written(self, text: str, *, control: bool = True) -> list[int]:
        return await self.process.tokenise([Segment(text, control=control)], False)

    def response(self, seconds: float) -> ModelResponded:
        draft, ended = self.draft, self.final["stop_type"] == "eos"
        message = AssistantMessage(parts=draft.parser.finish())
        completion = Completion(
            draft.ids,
            ended=ended,
            exact=len(draft.ids) == draft.predicted,
            forced=frozenset(draft.forced),
            logprobs=tuple(draft.logprobs) if draft.probable else None,
        )
        return ModelResponded(
            step=self.request.step,
            message=message,
            finish="stop" if ended else "length",
            usage=Usage(
                prompt_tokens=len(self.prompt.ids),
                cached_tokens=self.cached or 0,
                completion_tokens=draft.predicted - len(draft.forced),
                reasoning_tokens=draft.reasoning,
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
        within = self.within if self.draft.ids else self.opened
        if request.sampling.logprobs or not (request.tools or request.returns is not None):
            after_thought = self.opened and self.draft.ids and not within and not request.sampling.logprobs
            yield some_words(self.form) if after_thought else ""
            return

        for loose in (False, True):
            text = grammar(
                request.allowed,
                request.choice,
                returns=request.returns,
                thinking=able.thinking and think != "off" and (within or not self.draft.ids),
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
                self.draft.drop_last()  # the end of a turn that has no answer yet

            if pause == "enough" and self.draft.parser.kind == "thinking":
                mark = self.form.renderer.think[1]
                self.draft.write(await self._written(mark), mark)
            elif pause == "early":
                self.draft.take_back()
                self.draft.write(await self._written(WAIT, control=False), WAIT)

            self.within = self.draft.parser.kind == "thinking"
            self.thought.turned(pause, self.draft.reasoning)
            text = next(self.candidates())  # of what is still to come
            self.final = {}

    async def _asked(self, text: str) -> AsyncGenerator[ModelDelta]:  # noqa: C901 - one case for each kind of event
        """One request, for the turn or its thought as far as it may go. Only what is not streamed is ever complete."""
        self.draft.base = len(self.draft.ids)
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
                    self._found(progress["cache"])
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
            self.draft.ids = []

    @property
    def _silent(self) -> bool:
        """The model has ended its turn with nothing but a thought that was begun for it."""
        ended = self.opened and not self.urged and self.final.get("stop_type") == "eos"
        return ended and not self.draft.parser.said

    def _pause(self) -> Pause:
        """Why what is being written was, or is to be, interrupted."""
        silent, draft = self._silent, self.draft
        kind = "text" if silent else draft.parser.kind
        pause = self.thought.pause(kind, draft.reasoning, draft.ids[-1] if draft.ids else None)
        if silent and pause != "early":
            return "enough"

        cut = self.request.sampling.logprobs and self.final and self.final["stop_type"] == "limit" and self.room() > 0
        return pause or ("more" if cut else "")

    def _bounded(self, room: int) -> dict[str, int]:
        """What is not streamed cannot be interrupted: a thought is asked for in one part, the rest in another."""
        limit = self.request.sampling.think
        left = limit - self.draft.reasoning if isinstance(limit, int) and self.thought.steered else 0
        return {"n_predict": min(room, left)} if left > 0 else {}

    async def _fill(self, event: dict[str, Any]) -> None:
        """A stream names only the last token of a character that takes several: the others as they are usually cut.

        `as_read` then asks the engine, which knows.
        """
        missing = self.draft.base + event["tokens_predicted"] - self.draft.predicted - len(event["tokens"])
        if missing > 0 and event["tokens"]:
            body = {"content": event["content"], "add_special": False, "parse_special": False}
            ids = (await self.process.wire.post("/tokenize", body))["tokens"]
            if len(ids) == missing + 1 and ids[-1:] == event["tokens"]:
                self.draft.ids += ids[:-1]
                self.filled = True

    async def as_read(self) -> bool:
        """Are prompt and `ids` what the engine holds? All but the last, which it has sampled and not read."""
        event = await self.process.wire.post("/completion", self.body(0))
        return event["timings"]["cache_n"] >= len(self.prompt.ids) + len(self.draft.ids) - 1

    async def read(self) -> AsyncGenerator[ModelDelta]:
        """Have the engine read the prompt in a way that can be cancelled: only a stream stops while it reads."""
        body = self.body(0) | {"stream": True, "return_progress": True}
        async with aclosing(self.process.wire.stream("/completion", body)) as events:
            async for event in events:
                if "timings" in event:
                    self._found(event["timings"]["cache_n"])

                for delta in _reading(event.get("prompt_progress")):
                    yield delta

    def _found(self, cached: int) -> None:
        """Tokens that had been read before; a later request of the turn finds what the turn itself has read."""
        self.cached = cached if self.cached is None else self.cached

    def begin(self) -> None:
        """Make ready to write; what was written before is forgotten."""
        sampling, renderer = self.request.sampling, self.form.renderer
        closes = self.form.special.get(renderer.think[1].strip())
        self.draft = Draft(self._parser, closes=closes, probable=sampling.logprobs)
        self.final, self.filled, self.urged, self.within = {}, False, False, self.opened
        self.thought = Thought(sampling if self.capabilities.thinking else Sampling(), self.switches)

    def _parser(self) -> Parser:
        names, renderer = frozenset(tool.name for tool in self.request.tools), self.form.renderer
        parser = Parser(self.request.step, names, renderer.dialect)
        parser.feed(renderer.think[0] if self.opened else "")
        return parser

    def room(self) -> int:
        sampling = self.request.sampling
        wanted = sampling.max_tokens + (sampling.think if isinstance(sampling.think, int) else 0)
        return min(wanted, self.capabilities.context - len(self.prompt.ids)) - len(self.draft.ids)

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
            "prompt": self.prompt.ids + self.draft.ids,
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
        if event["stop"]:
            self.final = event
            self._found(event["timings"]["cache_n"])

        return self.draft.take(event)


def overflow(tokens: int, context: int) -> ContextOverflow:
    return ContextOverflow(
        f"The conversation has {tokens} tokens and the model's window holds {context}.",
        fix="Start a new run, read less at a time, or give the model a larger context.",
    )


def _reading(progress: dict[str, int] | None) -> Iterator[ModelDelta]:
    if progress and progress["total"] - progress["cache"] >= SHOW_READING:
        yield ModelDelta(kind="status", text=f"reading {progress['processed']} of {progress['total']} tokens")
