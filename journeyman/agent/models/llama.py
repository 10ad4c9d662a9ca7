"""A local model: llama.cpp in a process of its own, prompts and completions as token ids.

The conversation is rendered here (`renderer`), kept as ids (`conversation`), sampled under a grammar made from what is
offered (`grammar`) and read back piece by piece (`parse`).
"""

import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from copy import copy
from dataclasses import replace
from typing import Any

import anyio
from pydantic import JsonValue

from journeyman.agent.models.conversation import Conversation
from journeyman.agent.models.engine import Engine
from journeyman.agent.models.files import ModelFiles, fingerprint, fitting_context, thinks
from journeyman.agent.models.grammar import Format
from journeyman.agent.models.group import sample_group
from journeyman.agent.models.llama_process import EngineProcess
from journeyman.agent.models.model import SMALL, Capabilities, Request
from journeyman.agent.models.places import Places
from journeyman.agent.models.recognise import Recognised, recognise
from journeyman.agent.models.turn import Turn, overflow
from journeyman.agent.models.wire import Refused, Wire
from journeyman.errors import EngineDied, JourneymanError, ModelError, UsageError
from journeyman.traces.events import ModelDelta, ModelResponded


class LlamaModel:
    """`files` run by llama.cpp as `engine` says.

    `small` and `untrained` say what the model needs; None finds out from its size and its vocabulary.
    """

    def __init__(
        self,
        files: ModelFiles,
        engine: Engine | None = None,
        *,
        spec: str = "",
        small: bool | None = None,
        untrained: bool | None = None,
    ) -> None:
        self.spec = spec or files.spec
        self.capabilities = Capabilities(token_ids=True, logprobs=True, grammar=True, small=bool(small))
        self.files = files
        self._engine = engine or Engine()
        self.capabilities = self.capabilities.model_copy(update={"parallel": self._engine.parallel})
        self._wanted = (small, untrained)
        self._process: EngineProcess | None = None
        self._opening = anyio.Lock()
        self._info: dict[str, JsonValue] = {}
        self._form = Format()
        self._ends: list[int] = []
        self._conversations: dict[str, Conversation] = {}
        self._places = Places(self._engine.parallel)
        self._grammars: dict[str, bool] = {}

    def start(self) -> None:
        """Start the engine's process and return at once; `open` waits for it.

        Raises:
            ModelNotFound, ModelError: the files cannot be loaded.
        """
        if self._process is None:
            self.files.check()
            context = fitting_context(self.files.model, self._engine.context)
            self._process = EngineProcess(self.files, self._engine.model_copy(update={"context": context}))

    async def open(self) -> Mapping[str, JsonValue]:
        """Load the model, once, or again after its process has died.

        Raises:
            ModelError: it cannot be had, with the fix.
        """
        async with self._opening:
            if self._process is not None and self._info and not self._process.alive:
                self._process.drop()
                self._process, self._info = None, {}

            if not self._info:
                self.start()
                await self._load()

        return self._info

    async def respond(self, request: Request) -> AsyncGenerator[ModelDelta | ModelResponded]:
        """Sample one turn.

        Raises:
            EngineDied: the engine's process ended; the next call starts it again.
            ContextOverflow: the conversation does not fit.
            ModelError: the model cannot be had.
        """
        started = time.perf_counter()
        if not self._info:
            yield ModelDelta(kind="status", text=f"loading {self.files.model.stem}")

        await self.open()
        async with self._places.one(request) as slot:
            await self.open()  # again: the engine may have died while this waited
            turn = self._turn(request, slot)
            try:
                async with aclosing(turn.sampled()) as deltas:
                    async for delta in deltas:
                        yield delta
            except (Refused, OSError) as error:
                raise await self._why(error) from error

        yield turn.response(time.perf_counter() - started)

    async def respond_group(self, request: Request, runs: Sequence[str]) -> list[ModelResponded]:
        """One answer to `request` for each of `runs`, drawn at once; the prompt is read only once.

        The answers go on from `request.run_id`, where that run has been asked before. For single
        calls: votes, candidates, judgements. A run of the group that goes on has its prefix read again, once; runs of
        several steps do better in parallel by `respond`, where each keeps its own.

        Raises:
            UsageError: there are more runs than the engine has places (`Engine.parallel`).
            EngineDied, ContextOverflow, ModelError: as in `respond`.
        """
        await self.open()
        if not 0 < len(runs) <= self._engine.parallel:
            raise UsageError(
                f"A group of {len(runs)} was asked for and the engine takes 1 to {self._engine.parallel} at once.",
                fix="Give the engine as many places as a group has: Engine(parallel=...).",
            )

        started = time.perf_counter()
        if stem := self._conversations.get(request.run_id):
            self._conversations |= {run: copy(stem) for run in runs}

        async with self._places.room(self._engine.parallel):  # the engine itself chooses the group's slots
            await self.open()
            each = [replace(request, run_id=run) for run in runs]
            turns = [self._turn(one, self._places.slot(one)) for one in each]
            try:
                await sample_group(turns)
            except (Refused, OSError) as error:
                raise await self._why(error) from error

        return [turn.response(time.perf_counter() - started) for turn in turns]

    def forget(self, run_id: str) -> None:
        self._conversations.pop(run_id, None)
        self._places.forget(run_id)

    async def close(self) -> None:
        process, self._process, self._info = self._process, None, {}
        if process is not None:
            await process.close()

    def _turn(self, request: Request, slot: int) -> Turn:
        process = self._running
        renderer = self._form.renderer.trying(request.sampling.effort)
        conversation = self._conversations.setdefault(request.run_id, Conversation(renderer, self._ends))
        return Turn(
            request,
            conversation,
            process,
            self.capabilities,
            self._grammars,
            self._form,
            stream=self._engine.stream,
            slot=slot,
        )

    async def _load(self) -> None:
        process = self._running
        try:
            await process.ready()
            listed = await process.wire.get("/v1/models")
            found_format = await recognise(process.tokenise, process.wire, self.files.model, self._engine.renderer)
        except JourneymanError:
            await self.close()
            raise
        except (OSError, Refused) as error:
            died = await process.died(error)
            await self.close()
            raise died from error

        meta = listed["data"][0]["meta"]
        self._know(meta, found_format)
        self._info = self._identity(meta)

    @property
    def wire(self) -> Wire:
        """The open engine itself, for those that measure it."""
        return self._running.wire

    @property
    def pid(self) -> int:
        """Of the engine's process."""
        return self._running.process.pid

    async def _why(self, error: Refused | OSError) -> ModelError:
        return _refusal(error) if isinstance(error, Refused) else await self._running.died(error)

    @property
    def _running(self) -> EngineProcess:
        if self._process is None:
            raise EngineDied("The local engine is closed.", fix="Open the model again.")

        return self._process

    def _know(self, meta: Mapping[str, Any], found: Recognised) -> None:
        """Learn from the loaded model what it can do and what it needs."""
        small, untrained = self._wanted
        small = meta["n_params"] < SMALL if small is None else small
        taught = bool(self.files.adapters) or found.calls
        self._form, self._ends = found.form, found.ends
        self.capabilities = self.capabilities.model_copy(
            update={
                "thinking": found.thinks or any(map(thinks, self.files.adapters)),
                "small": small,
                "untrained": small and not taught if untrained is None else untrained,
                "context": meta["n_ctx"],
            }
        )

    def _identity(self, meta: Mapping[str, Any]) -> dict[str, JsonValue]:
        found = self._running.found
        return {
            "file": self.files.model.name,
            "fingerprint": fingerprint(self.files.model),
            "adapters": [{"file": path.name, "fingerprint": fingerprint(path)} for path in self.files.adapters],
            "parameters": meta["n_params"],
            "quantisation": meta.get("ftype"),
            "renderer": self._form.renderer.name,
            "renderer_hash": self._form.renderer.snapshot,
            "context": meta["n_ctx"],
            "engine": found["engine"],
            "gpus": found["gpus"],
            "kv_type": found["kv_type"],
            "threads": self._running.threads,
        }


def _refusal(refused: Refused) -> ModelError:
    if refused.error.get("type") == "exceed_context_size_error":
        return overflow(refused.error.get("n_prompt_tokens", 0), refused.error.get("n_ctx", 0))

    return ModelError(f"The local engine refused the request: {refused}.", fix="Report it, with the run's trace.")
