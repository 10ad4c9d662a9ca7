"""Any server that speaks OpenAI Chat Completions, through OpenAI's own SDK: llama-server, Ollama, vLLM, LM Studio, or
OpenAI itself.
"""

import difflib
import time
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import urlsplit

import anyio
from anyio import to_thread
from pydantic import JsonValue

from journeyman.agent.models import chat_format
from journeyman.agent.models.model import RESUME, SMALL, Capabilities, Request
from journeyman.errors import ContextOverflow, ModelError, ModelNotFound
from journeyman.traces.events import ModelDelta, ModelResponded
from journeyman.traces.messages import Message

LOOPBACK = {"localhost", "127.0.0.1", "::1"}
CONNECT, SILENCE = 5.0, 600.0
"""Seconds to connect, and without a byte."""
OVERFLOW = ("exceed_context_size", "context_length_exceeded", "context length", "context size", "context window")
"""Words by which servers say that a prompt is too long."""


class ChatModel:
    """The model `name` of the server at `url`; OpenAI where there is no url, the server's first model without a name.

    `http_client` replaces the SDK's own, for tests and for proxies.
    """

    def __init__(
        self,
        url: str | None,
        name: str = "",
        *,
        key: str = "",
        spec: str = "",
        retries: int = 2,
        http_client: Any = None,
    ) -> None:
        self.spec = spec or f"{url}#{name}"
        host = urlsplit(url or "").hostname or ""
        self.capabilities = Capabilities(remote=host not in LOOPBACK, context=8192 if url else 128_000)
        self._url, self._name, self._key = url, name, key
        self._retries, self._http_client = retries, http_client
        self._client: Any = None
        self._info: dict[str, JsonValue] = {}
        self._opening = anyio.Lock()
        self._rendered: dict[str, tuple[list[dict[str, Any]], Message]] = {}

    async def open(self) -> Mapping[str, JsonValue]:
        """Connect, and see that the model is there.

        Raises:
            ModelNotFound: the server does not have it.
            ModelError: nothing answers, the key is refused, or it is no such server.
        """
        async with self._opening:
            if not self._info:
                self._client = self._client or await to_thread.run_sync(self._connect)
                await self._look_up()

        return self._info

    async def respond(self, request: Request) -> AsyncGenerator[ModelDelta | ModelResponded, None]:
        """Stream one turn.

        Raises:
            ContextOverflow: the conversation does not fit.
            ModelError: the server refuses, or its connection breaks.
        """
        await self.open()
        started = time.perf_counter()
        answer = chat_format.Answer(request)
        async with self._streamed(request) as chunks:
            while True:
                with self._typed(midway=True):
                    chunk = await anext(chunks, None)
                    deltas = answer.take(chunk) if chunk is not None else answer.rest()

                for delta in deltas:
                    yield delta

                if chunk is None:
                    break

        with self._typed():
            message = answer.message()

        yield ModelResponded(
            step=request.step,
            message=message,
            finish=answer.finish,
            usage=answer.usage,
            cost_usd=None if self.capabilities.remote else 0.0,
            seconds=round(time.perf_counter() - started, 6),
        )

    def forget(self, run_id: str) -> None:
        self._rendered.pop(run_id, None)

    async def close(self) -> None:
        client, self._client, self._info = self._client, None, {}
        if client is not None:
            await client.close()

    def _connect(self) -> Any:
        """The SDK's client; importing it takes a second, so this runs in a thread."""
        try:
            import httpx2  # noqa: PLC0415 - on first use
            import openai  # noqa: PLC0415
        except ImportError as error:
            raise ModelNotFound(
                f"Servers are spoken to through OpenAI's SDK, which is not installed: {error}.",
                fix='Install it: pip install "journeyman[openai]"',
            ) from error

        timeout = httpx2.Timeout(SILENCE, connect=CONNECT)
        # A proxy for the outside is no way to a server on this machine.
        plain = httpx2.AsyncClient(timeout=timeout, trust_env=self.capabilities.remote, follow_redirects=True)
        ours: Any = {"OpenAI-Organization": openai.Omit(), "OpenAI-Project": openai.Omit()} if self._url else {}
        return openai.AsyncOpenAI(
            base_url=self._url or "https://api.openai.com/v1",
            api_key=self._key or "none",
            max_retries=self._retries,
            timeout=timeout,
            http_client=self._http_client or plain,
            default_headers=ours,
        )

    async def _look_up(self) -> None:
        """Find the model in the server's list; a server without a list is believed."""
        with self._typed():
            found = await self._listed()
            if not self._name and found:
                self._name = next(iter(found))

            if not self._name or (found and self._name not in found):
                raise self._unknown(sorted(found))

            self._know(found.get(self._name, {}))

        self._info = {"model": self._name, "url": self._url, "context": self.capabilities.context}

    async def _listed(self) -> dict[str, Mapping[str, Any]]:
        try:
            with self._typed():
                listed = await self._client.with_options(max_retries=0).models.list()
        except ModelNotFound:
            return {}

        return {each.id: each.model_extra or {} for each in listed.data or ()}

    def _know(self, extra: Mapping[str, Any]) -> None:
        """What llama.cpp (`meta`) and vLLM (`max_model_len`) tell of a model."""
        meta = extra.get("meta") or {}
        parameters = meta.get("n_params")
        small = isinstance(parameters, int) and parameters < SMALL
        context = meta.get("n_ctx") or extra.get("max_model_len") or self.capabilities.context
        self.capabilities = self.capabilities.model_copy(
            update={"small": small, "untrained": small, "context": int(context)}
        )

    def _unknown(self, names: Sequence[str]) -> ModelNotFound:
        if not names:
            return ModelNotFound(f"{self.spec!r} names no model.", fix="Write its name behind the address: URL#NAME.")

        near = difflib.get_close_matches(self._name, names, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return ModelNotFound(
            f"The server at {self._url} has no model {self._name!r}.{hint}", fix=f"It has: {', '.join(names[:10])}."
        )

    @asynccontextmanager
    async def _streamed(self, request: Request) -> AsyncGenerator[Any]:
        with self._typed():
            stream = await self._client.chat.completions.create(
                model=self._name,
                messages=self._messages(request),
                stream=True,
                stream_options={"include_usage": True},
                **self._sampling(request),
                **chat_format.options(request),
            )

        try:
            yield aiter(stream)
        finally:
            with anyio.CancelScope(shield=True):
                await stream.close()

    def _messages(self, request: Request) -> list[dict[str, Any]]:
        """The conversation in the server's format; only what is new is translated."""
        turns, last = self._rendered.get(request.run_id, ([], None))
        if not turns or len(request.messages) < len(turns) or request.messages[len(turns) - 1] is not last:
            turns = []

        turns = turns + [chat_format.message(each) for each in request.messages[len(turns) :]]
        self._rendered[request.run_id] = (turns, request.messages[-1])
        system = [{"role": "system", "content": request.system}] if request.system else []
        return [*system, *turns]

    def _sampling(self, request: Request) -> dict[str, Any]:
        sampling = request.sampling
        if self._url is None:
            # OpenAI's reasoning models refuse a temperature of their caller's.
            return {"max_completion_tokens": sampling.max_tokens}

        seed = {} if sampling.seed is None else {"seed": sampling.seed}
        return {
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            **seed,
        }

    @contextmanager
    def _typed(self, *, midway: bool = False) -> Generator[None]:
        """Errors of the SDK and its transport as ours; midway: an answer had begun."""
        import httpx2  # noqa: PLC0415 - imported already
        import openai  # noqa: PLC0415

        where = self._url or "OpenAI"
        try:
            yield
        except openai.APITimeoutError as error:
            raise ModelError(f"{where} does not answer in time.", fix="Look at the server, or try again.") from error
        except (openai.APIConnectionError, httpx2.HTTPError, httpx2.StreamError) as error:
            raise _unreachable(where, error.__cause__ or error, midway=midway) from error
        except openai.APIError as error:
            status = error.status_code if isinstance(error, openai.APIStatusError) else 0
            raise _refusal(where, status, f"{error.message} {error.code or ''}".strip(), self.spec) from error
        except (ValueError, TypeError, AttributeError, RecursionError) as error:  # it sent what this format never has
            raise ModelError(
                f"{where} does not speak Chat Completions: {str(error).partition(chr(10))[0]}.",
                fix="Check the address: http://HOST:PORT/v1#NAME.",
            ) from error


def _unreachable(where: str, error: BaseException, *, midway: bool) -> ModelError:
    why = str(error) or type(error).__name__
    if midway:
        return ModelError(
            f"The connection to {where} broke in the middle of an answer: {why}.",
            fix=RESUME,
        )

    return ModelError(
        f"Nothing answers at {where}: {why}.",
        fix="Start the server, or check the address: http://HOST:PORT/v1#NAME.",
    )


def _refusal(where: str, status: int, text: str, spec: str) -> ModelError:
    """The error for a refusal: by its words where they speak of the context, else by its status."""
    if any(words in text.lower() for words in OVERFLOW):
        return ContextOverflow(
            f"The conversation does not fit the model's window: {text}.",
            fix="Start a new run, read less at a time, or serve the model with a larger context.",
        )

    match status:
        case 401 | 403:
            variable = "JOURNEYMAN_API_KEY" if "://" in spec else "OPENAI_API_KEY"
            return ModelError(f"{where} refuses the key: {text}.", fix=f"Set {variable} to a key that it accepts.")
        case 404:
            return ModelNotFound(f"{where} does not have it: {text}.", fix="Check the address and the model's name.")
        case 429:
            return ModelError(f"{where} allows no more requests now: {text}.", fix="Wait a minute, or check your plan.")
        case _:
            return ModelError(f"{where} could not answer: {text}.", fix="Look at the server's log, or try again.")
