"""A model behind a provider's SDK: what the formats have in common.

A format says how to connect, what to ask and how to read the stream; here are the lifecycle, the attempts, the errors
and the price. The SDKs do not retry: a request is repeated here, and only while nothing of its answer has been shown.
"""

import difflib
import importlib
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, aclosing, contextmanager
from itertools import count
from operator import is_
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlsplit

import anyio
from anyio import to_thread
from pydantic import JsonValue

from journeyman.agent.models.answer import Answer, Finish
from journeyman.agent.models.failures import Failed, Where, typed
from journeyman.agent.models.model import RESUME, Capabilities, Request
from journeyman.agent.models.prices import Price
from journeyman.errors import CutOff, ModelNotFound, install
from journeyman.traces.events import ModelDelta, ModelResponded
from journeyman.traces.messages import AssistantMessage, Message

T = TypeVar("T")
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
CONNECT, SILENCE = 5.0, 600.0
"""Seconds to connect, and without a byte."""
PARALLEL = 8
"""Requests under way at once: a server that takes fewer queues them."""
RETRIES = 4
"""With the pauses that grow between them, about ten seconds."""


class RemoteModel(ABC):
    """The model `name` at `url`, the provider's own where there is none.

    `http_client` replaces the SDK's own, for tests and for proxies; `pause` is how to wait between two attempts.
    """

    sdk: ClassVar[str]
    """The SDK's module, which is also our extra's name."""
    api: ClassVar[str]
    """The format, as it is spoken of."""
    home: ClassVar[tuple[str, str]]
    """The provider's name, and its address."""
    key: ClassVar[str]
    """The variable its key is in."""
    example: ClassVar[str]
    """How to name one of its models."""

    def __init__(
        self,
        url: str | None,
        name: str = "",
        *,
        key: str = "",
        spec: str = "",
        retries: int = RETRIES,
        http_client: Any = None,
        pause: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self.spec = spec or f"{url}#{name}"
        self._url = url.rstrip("/") if url else self.home[1]
        self._ours = self._url == self.home[1]
        """It is the provider itself, not somebody who speaks its format."""
        remote = (urlsplit(self._url).hostname or "") not in LOOPBACK
        self.capabilities = Capabilities(remote=remote, priced=not remote, parallel=PARALLEL)
        self._name, self._key = name, key
        self._retries, self._http_client, self._pause = retries, http_client, pause
        self._client: Any = None
        self._sdk: Any = None
        self._price: Price | None = None
        self._info: dict[str, JsonValue] = {}
        self._opening = anyio.Lock()
        self._rendered: dict[str, tuple[tuple[Message, ...], list[dict[str, Any]]]] = {}

    async def open(self) -> Mapping[str, JsonValue]:
        """Connect, and see that the model is there.

        Raises:
            ModelNotFound: the provider does not have it, or its SDK is not installed.
            ModelError: nothing answers, the key is refused, or it is no such server.
        """
        async with self._opening:
            if not self._info:
                self._client = self._client or await to_thread.run_sync(self._connect)
                with self._told():
                    await self._find()

                self._price = await to_thread.run_sync(self._find_price)
                self._know(priced=self._price is not None or not self.capabilities.remote)
                if self._price and self._price.context:
                    self._know(context=self._price.context, context_told=True)

                self._info = {"model": self._name, "url": self._url, "context": self.capabilities.context}

        return self._info

    async def respond(self, request: Request) -> AsyncGenerator[ModelDelta | ModelResponded, None]:
        """Stream one turn.

        Raises:
            ContextOverflow: the conversation does not fit.
            CutOff: after the response with what has come, why there is no more.
            ModelError: the provider refuses, or cannot be reached.
        """
        await self.open()
        started = time.perf_counter()
        for attempt in count(1):
            answer, began, broken = self._answer(request), False, None
            try:
                async with aclosing(self._read(request, answer)) as deltas:
                    async for delta in deltas:
                        began = True
                        yield delta
            except Failed as failed:
                if began:
                    broken = failed
                    break

                pause = self._pause_after(failed, attempt)
                yield ModelDelta(kind="status", text=f"{failed.error} Trying again in {pause:.0f} s")
                await self._pause(pause)
            else:
                break

        with self._told():
            message = answer.message()

        finish = "cut" if broken else answer.finish
        yield self._response(request, answer, message, finish, time.perf_counter() - started)
        if finish == "cut":
            why = f": {broken.error}" if broken else "."
            raise CutOff(f"The answer of {self._where.name} broke off{why}", fix=RESUME) from broken

    def forget(self, run_id: str) -> None:
        self._rendered.pop(run_id, None)

    async def close(self) -> None:
        client, self._client, self._info = self._client, None, {}
        if client is not None:
            await client.close()

    @abstractmethod
    def _client_of(self, sdk: Any, options: dict[str, Any]) -> Any:
        """The SDK's client; `options` are those that both SDKs take."""

    @abstractmethod
    async def _find(self) -> None:
        """Find the model, and learn what it can do."""

    @abstractmethod
    def _render(self, said: Message, turns: list[dict[str, Any]]) -> None:
        """Add one message to the conversation in the provider's format."""

    @abstractmethod
    async def _ask(self, request: Request, turns: list[dict[str, Any]]) -> Any:
        """The SDK's stream for the request."""

    @abstractmethod
    def _answer(self, request: Request) -> Answer: ...

    def _pause_after(self, failed: Failed, attempt: int) -> float:
        """Seconds to wait before another attempt.

        Raises:
            ModelError: none would help, or there were enough.
        """
        if not failed.again or attempt > self._retries:
            raise failed.error from failed

        return failed.pause(attempt)

    async def _read(self, request: Request, answer: Answer) -> AsyncGenerator[ModelDelta]:
        """What the answer shows, as it comes.

        Raises:
            Failed: it comes no further.
        """
        with self._typed():
            stream = await self._ask(request, self._conversation(request))

        try:
            events = aiter(stream)
            for n in count():
                with self._typed():
                    event = await anext(events, None)
                    if event is None and n == 0:
                        raise ValueError("the answer has nothing of that format in it")

                    deltas = answer.take(event) if event is not None else answer.rest()

                for delta in deltas:
                    yield delta

                if event is None:
                    return
        finally:
            with anyio.CancelScope(shield=True):
                await stream.close()

    def _response(
        self, request: Request, answer: Answer, message: AssistantMessage, finish: Finish, seconds: float
    ) -> ModelResponded:
        cost = None if self.capabilities.remote else 0.0
        if self._price and answer.usage.prompt_tokens:
            cost = self._price.cost(answer.usage, answer.cache_written)

        return ModelResponded(
            step=request.step,
            message=message,
            finish=finish,
            usage=answer.usage,
            cost_usd=cost,
            seconds=round(seconds, 6),
        )

    def _conversation(self, request: Request) -> list[dict[str, Any]]:
        """The conversation in the provider's format; only what is new is translated."""
        messages = tuple(request.messages)
        seen, turns = self._rendered.get(request.run_id, ((), []))
        if len(messages) < len(seen) or not all(map(is_, seen, messages)):
            seen, turns = (), []

        turns = list(turns)
        for said in messages[len(seen) :]:
            self._render(said, turns)

        self._rendered[request.run_id] = (messages, turns)
        return turns

    def _room(self, request: Request) -> int:
        """Tokens it may write: its answer's, and those of thinking before it, which providers count with them."""
        sampling = request.sampling
        return max(sampling.max_tokens, min(sampling.max_tokens + sampling.thought, self.capabilities.context // 2))

    def _know(self, **more: Any) -> None:
        self.capabilities = self.capabilities.model_copy(update=more)

    def _typed(self) -> AbstractContextManager[None]:
        return typed(self._sdk, self._where)

    @contextmanager
    def _told(self) -> Generator[None]:
        """Failures as what the user is told."""
        try:
            with self._typed():
                yield
        except Failed as failed:
            raise failed.error from failed

    async def _looked_up(self, ask: Callable[[], Awaitable[T]]) -> T | None:
        """What a question about the model answers; None where the server does not know such questions.

        Raises:
            Failed, ModelError: it cannot be asked.
        """
        for attempt in count(1):
            try:
                with self._typed():
                    return await ask()
            except Failed as failed:
                if isinstance(failed.error, ModelNotFound):
                    return None
                if failed.status is None:  # a server that is not there is not waited for
                    raise

                await self._pause(self._pause_after(failed, attempt))

        raise AssertionError("unreachable")

    @property
    def _where(self) -> Where:
        name = self.home[0] if self._ours else self._url
        address = self.example if "://" in self.example else self.key.replace("API_KEY", "BASE_URL")
        check = (
            "Look at this machine's network." if self._ours else f"Start the server, or check the address: {address}."
        )
        return Where(name, self.api, self.key, check)

    def _connect(self) -> Any:
        """The SDK's client; importing it takes a second, so this runs in a thread."""
        try:
            import httpx2  # noqa: PLC0415 - on first use

            self._sdk = importlib.import_module(self.sdk)
        except ImportError as error:
            raise ModelNotFound(
                f"{self.spec} is spoken to through {self.home[0]}'s SDK, which is not installed: {error}.",
                fix=install(f"journeyman[{self.sdk}]"),
            ) from error

        timeout = httpx2.Timeout(SILENCE, connect=CONNECT)
        # A proxy for the outside is no way to a server on this machine.
        plain = httpx2.AsyncClient(timeout=timeout, trust_env=self.capabilities.remote, follow_redirects=True)
        options = {"base_url": self._url, "api_key": self._key or "none", "max_retries": 0, "timeout": timeout}
        return self._client_of(self._sdk, {**options, "http_client": self._http_client or plain})

    def _find_price(self) -> Price | None:
        if not self.capabilities.remote:
            return None

        return Price.find(self._name, self.sdk if self._ours else None, self._url)

    def _unknown(self, names: Sequence[str]) -> ModelNotFound:
        if not names:
            return ModelNotFound(f"{self.spec!r} names no model.", fix=f"Write its name: {self.example}.")

        near = difflib.get_close_matches(self._name, names, n=1)
        guess = f" Did you mean {near[0]!r}?" if near else ""
        shown = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")  # noqa: PLR2004
        return ModelNotFound(f"{self._where.name} has no model {self._name!r}.{guess}", fix=f"It has: {shown}.")
