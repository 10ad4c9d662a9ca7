"""What a session works with: the settings, what is said over them, and the runtime that they come to."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from journeyman.agent.budget import More
from journeyman.agent.models.model import Sampling
from journeyman.agent.order import Order
from journeyman.agent.outfit import Rules, limits, outfit, policy_for
from journeyman.agent.runtime import Runtime
from journeyman.config import Settings, load_settings
from journeyman.engine.models import Models
from journeyman.engine.turn import Turn
from journeyman.errors import UsageError
from journeyman.safe import safe
from journeyman.tools.catalog import Catalog
from journeyman.tools.target import Target

Json = dict[str, Any]


class Kit:
    def __init__(self, cwd: Path, given: Json, servers: Sequence[Target], models: Models) -> None:
        """`given`: what is said over the settings; `servers`: what a client brings along."""
        self.cwd = cwd
        self.given = given
        self.off: set[str] = set()
        """Servers that it does without."""
        self.notices: list[str] = []
        self.runtime: Runtime | None = None
        """While it is open."""
        self._servers = servers
        self._models = models
        self._settings: Settings | None = None

    @asynccontextmanager
    async def open(self, base: str | None) -> AsyncGenerator[Runtime]:
        """A runtime for the settings as they are now; `base` is the run that is gone on with.

        Raises:
            JourneymanError: as `outfit`.
        """
        self._settings = None
        self.notices.clear()
        heard: Json = {"extra": self._servers, "without": self.off, "make": self._models.make}
        runtime = await outfit(self.settings, Rules(), self.notices, resume=base, **heard)
        try:
            async with runtime:
                self.notices += [each.line for each in runtime.catalog.problems]
                self.runtime = runtime
                yield runtime
        finally:
            self.runtime = None
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(runtime.store.close)

    @property
    def settings(self) -> Settings:
        """As they stand now.

        Raises:
            ConfigError: one of them will not do.
        """
        self._settings = self._settings or load_settings(root=self.cwd, **self.given)
        return self._settings

    @property
    def mode(self) -> str:
        return str(self.given.get("policy") or (self._settings.policy if self._settings else "ask"))

    def set_mode(self, mode: str) -> bool:
        """Take another policy; whether it holds from the next turn on, or only once the runtime is opened anew.

        Raises:
            PolicyError: there is no such.
            ConfigError: as `settings`.
        """
        policy = policy_for(self.settings, self.cwd, setting=mode)
        self.given["policy"], self._settings = mode, None
        if self.runtime is not None:
            self.runtime.policy = policy

        return self.runtime is not None

    async def mind_server(self, name: str, do: str) -> bool:
        """`restart` a server, or do without it: `off`, `on`. Whether the runtime has to be opened anew for that.

        Raises:
            UsageError: there is no such server, or that cannot be done with it.
            ServerError: it does not start.
        """
        there = self.runtime.catalog if self.runtime else Catalog()
        server = next((each for each in there.servers if each.name == name), None)
        if (server is None and name not in self.off) or do not in {"restart", "on", "off"}:
            raise UsageError(f"The server {safe(name)!r} cannot be switched {safe(do)!r}.", fix="journeyman mcp list")

        if server is not None and do == "restart":
            await server.restart()
            return not any(spec.server == name for spec in there.specs)

        self.off = {*self.off, name} if do == "off" else self.off - {name}
        return True

    def order(self, turn: Turn, more: More) -> Order:
        """What a turn asks of a run; `more` is asked where a budget is spent."""
        settings = self.settings
        return Order(
            prompt=turn.text,
            command=turn.command,
            limits=limits(settings),
            sampling=Sampling(think=settings.think, effort=settings.effort),
            context=settings.context,
            compact_at=settings.compact_at,
            programs=settings.programs,
            root=str(self.cwd),
            more=more,
        )
