"""What the engine has read and written of one run, as token ids: the next prompt is the last one, the completion, and
what is new. Ids are made once; nothing that was sampled is ever tokenised again.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from journeyman.agent.models.model import Request
from journeyman.agent.models.renderer import Renderer, Segment
from journeyman.traces.messages import Message, Tokens, TokenSpan

Tokenise = Callable[[Sequence[Segment], bool], Awaitable[list[int]]]
"""Segments to ids; True for the start of a sequence, where a model may want a token of its own."""
Examples = Sequence[Message]


class Prompt(NamedTuple):
    ids: list[int]
    """The whole prompt."""
    new: list[int]
    """Its end: what the last call had not seen."""
    root: bool
    messages: int
    """How many of the request's messages it covers."""


class Completion(NamedTuple):
    ids: list[int]
    """Sampled, in order, and what was forced among them."""
    ended: bool
    """The model ended its turn; False where it was cut."""
    exact: bool = True
    """Every sampled id is there."""
    forced: frozenset[int] = frozenset()
    """Which of the ids, by their place, were written for the model."""
    logprobs: tuple[float | None, ...] | None = None


class Conversation:
    """One run's sequence."""

    def __init__(self, renderer: Renderer, ends: Sequence[int]) -> None:
        """`ends` are the ids of the tokens that end a turn and stay; the first is written where another ended it."""
        self._renderer = renderer
        self._ends = ends
        self._ids: list[int] = []
        self._open = False
        """The last turn was cut: its end is still to be written."""
        self._seen: tuple[int, Message | None] = (0, None)
        self._head: tuple[str, Sequence[object]] = ("", ())

    async def prompt(self, request: Request, tokenise: Tokenise, examples: Examples = ()) -> Prompt:
        """The ids to send for `request`; nothing is remembered before `answered`."""
        count, _ = self._seen
        if not self._extended_by(request):
            turns = [*examples, *request.messages]
            ids = await tokenise(self._renderer.prompt(request.system, request.tools, turns), True)
            return Prompt(ids, ids, root=True, messages=len(request.messages))

        new = await tokenise(self._renderer.more(request.messages[count:]), False)
        if self._open:
            new = [self._ends[0], *new]

        return Prompt(self._ids + new, new, root=False, messages=len(request.messages))

    def answered(self, request: Request, prompt: Prompt, completion: Completion, message: Message) -> Tokens:
        """Remember the turn, and say what the trace stores of it."""
        if not completion.exact:
            self._ids = []
            return Tokens(level="text", root=prompt.root)

        sampled, forced = completion.ids, []
        if completion.ended and (not sampled or sampled[-1] not in self._ends):
            # The model ended with another end-of-text token; the conversation goes on after the one of its format.
            sampled, forced = sampled[:-1], [self._ends[0]]

        self._ids = [*prompt.ids, *sampled, *forced]
        self._open = not completion.ended
        self._seen = (prompt.messages + 1, message)
        self._head = (request.instructions, request.tools)
        logprobs = completion.logprobs[: len(sampled)] if completion.logprobs else None
        spans = [
            TokenSpan(kind="context", ids=tuple(prompt.new)),
            *_stretches(sampled, completion.forced, logprobs),
            TokenSpan(kind="forced", ids=tuple(forced)),
        ]
        return Tokens(
            level="tokens",
            logprob_kind="raw" if logprobs else "none",
            root=prompt.root,
            spans=tuple(span for span in spans if span.ids),
        )

    def _extended_by(self, request: Request) -> bool:
        """Does the request go on where the last answer ended. The first and last messages seen tell, not each one."""
        count, last = self._seen
        if not self._ids or len(request.messages) < count:
            return False

        then = request.messages[count - 1]
        instructions, tools = self._head
        return (
            (then is last or then == last)
            and request.instructions == instructions
            and (request.tools is tools or list(request.tools) == list(tools))
        )


def _stretches(
    ids: Sequence[int], forced: frozenset[int], logprobs: tuple[float | None, ...] | None
) -> Iterator[TokenSpan]:
    """What was sampled and what was forced, in turns."""
    for written, places in groupby(range(len(ids)), key=forced.__contains__):
        at = list(places)
        drawn = None if written or logprobs is None else logprobs[at[0] : at[-1] + 1]
        yield TokenSpan(kind="forced" if written else "sampled", ids=tuple(ids[at[0] : at[-1] + 1]), logprobs=drawn)
