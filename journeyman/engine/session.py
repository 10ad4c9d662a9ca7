"""One session: a conversation that is a run in the store, whoever follows it, and what waits to be said in it.

Its task opens what the runs share (the model, the tools, the policy) and does one turn after another. A client that
leaves ends nothing; the session ends when it has nothing to do and nobody follows it.
"""

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import TaskGroup
from pydantic import JsonValue

from journeyman.agent.models.model import Sampling
from journeyman.agent.outfit import Rules, limits, outfit, policy_for
from journeyman.agent.runtime import Runtime
from journeyman.agent.session import Order, Result
from journeyman.config import Settings, load_settings
from journeyman.engine import wire
from journeyman.engine.peer import Peer, join
from journeyman.engine.questions import Questions
from journeyman.engine.record import Record
from journeyman.engine.turn import Turn, ended
from journeyman.engine.updates import Updates
from journeyman.engine.wire import OURS
from journeyman.errors import JourneymanError, UsageError
from journeyman.safe import safe
from journeyman.tools.target import Target
from journeyman.traces.events import BudgetRaised, BudgetWarned, Compacted, Event, ModelDelta, RunResumed
from journeyman.traces.transcript import told
from journeyman.traces.writer import Stored

Json = dict[str, Any]


class Session:
    def __init__(
        self, record: Record, cwd: Path, given: Json, group: TaskGroup, servers: Sequence[Target] = ()
    ) -> None:
        """`given`: what is said over the settings."""
        self.id = record.id
        self.cwd = cwd
        self.given = given
        self.peers: list[Peer] = []
        self.notices: list[str] = []
        self.runtime: Runtime | None = None
        self.record = record
        self.questions = Questions(self.id, self.peers, group)
        self.waiting: deque[Turn] = deque()
        self.held = False
        self.turn: Turn | None = None
        self.updates = Updates()
        """Of what happens now; `record` says what happened before."""
        self.live: list[Json] = []
        """The updates of the turn under way."""
        self._servers = servers
        self._settings: Settings | None = None
        self._fault: JourneymanError | None = None
        self._scope: anyio.CancelScope | None = None
        self._stale = False
        self._trying = False
        """Whoever asked to open it hears how it went."""
        self.over = anyio.Event()
        """It is none of the engine's any more."""
        self.ending = False
        self._coming = 0
        """Clients that are being told what was said before."""
        self._wake = anyio.Event()
        self._opened = anyio.Event()

    # What clients ask for.

    def enqueue(self, text: str, asker: Peer | None, *, first: bool = False, command: str = "") -> Turn:
        """Have it said after what waits already, or before it; a command is run, and the model not asked."""
        turn = Turn(text, asker, command)
        self.held = False
        (self.waiting.appendleft if first else self.waiting.append)(turn)
        self._stir()
        if self.turn is not None or len(self.waiting) > 1:
            self.tell_queue()

        return turn

    def interrupt(self, *, hold: bool = True) -> None:
        """Stop the turn under way; what waits behind it is held up."""
        self.held = hold and bool(self.waiting)
        if self._scope is not None:
            self._scope.cancel()

        self.tell_queue()

    def drop(self, turn_id: str) -> None:
        """Forget a waiting prompt."""
        for turn in [each for each in self.waiting if each.id == turn_id]:
            self.waiting.remove(turn)
            turn.ended.set()

        self.tell_queue()

    def go_on(self) -> None:
        self.held = False
        self._stir()
        self.tell_queue()

    def set_mode(self, mode: str) -> None:
        """Another policy from the next turn on.

        Raises:
            PolicyError: there is no such.
            ConfigError: as `settings`.
        """
        policy = policy_for(self.settings, self.cwd, setting=mode)
        self.given["policy"], self._settings = mode, None
        if self.runtime is None:  # it is being opened, with the one before
            self._stale = True
            self._stir()
        else:
            self.runtime.policy = policy

        self._broadcast({"sessionUpdate": "current_mode_update", "currentModeId": mode})

    async def set_option(self, name: str, value: Any) -> None:
        """Another model, or way of thinking, from the next turn on.

        Raises:
            JourneymanError: it cannot be had; what was before stays.
        """
        before = dict(self.given)
        self.given[name] = value
        await self._reopen()
        if self._fault is not None:
            fault, self.given = self._fault, before
            await self._reopen()
            raise fault

    async def _reopen(self) -> None:
        self._stale, self._opened = True, anyio.Event()
        self._stir()
        if self.turn is None:
            self._trying = True
            await self._opened.wait()
            self._trying = False

    @property
    def mode(self) -> str:
        return str(self.given.get("policy") or (self._settings.policy if self._settings else "ask"))

    @property
    def settings(self) -> Settings:
        """As they stand now.

        Raises:
            ConfigError: one of them will not do.
        """
        self._settings = self._settings or load_settings(root=self.cwd, **self.given)
        return self._settings

    @property
    def limits(self) -> Json:
        return limits(self.settings).model_dump(exclude_none=True)

    @property
    def idle(self) -> bool:
        return self.turn is None and (not self.waiting or self.held)

    def end(self) -> None:
        self.ending = True
        if self._scope is not None:
            self._scope.cancel()

        self._stir()

    # Who follows it.

    async def follow(self, peer: Peer, *, replay: bool) -> None:
        """Let a client hear what happens from here on; with `replay`, all that was said before it first."""
        self._coming += 1
        try:
            await self._tell_before(peer, replay=replay)
            if not (peer in self.peers or peer.gone.is_set()):
                self.peers.append(peer)
        finally:
            self._coming -= 1
            self._end_if_left()

        self.questions.show(peer)
        if peer.notes:
            for notice in self.notices:
                peer.tell(wire.NOTE, {"sessionId": self.id, "kind": "notice", "text": safe(notice)})

    async def _tell_before(self, peer: Peer, *, replay: bool) -> None:
        sent = 0
        while replay and sent < self.record.count:
            until = self.record.count
            async for update in self.record.updates(sent, until, str(self.cwd)):
                peer.update(self.id, update)
                await peer.room()

            sent = until

        if self.record.count and not replay:
            await self.record.catch_up(self.updates)
            peer.update(self.id, self.updates.spent())

        for update in self.live:
            peer.update(self.id, update)

    def leave(self, peer: Peer) -> None:
        if peer in self.peers:
            self.peers.remove(peer)

        self._end_if_left()

    def _end_if_left(self) -> None:
        if self.idle and not (self.peers or self._coming):
            self.end()

    # Its own task.

    async def live_on(self) -> None:
        """Open, do turns, and open anew where something about it has changed; until the end."""
        while not self.ending:
            self._stale = False
            try:
                await self._open()
            except JourneymanError as error:
                self._fail(error)
            except Exception as error:  # noqa: BLE001 - one session's fault is not the engine's end
                self._fail(JourneymanError(f"{type(error).__name__}: {error}", fix="See the engine's log."))

            self.runtime = None
            while not (self.ending or self._stale or (self.waiting and not self.held)):
                await self._rest()

        self._fail(JourneymanError("The session has ended."))

    async def _open(self) -> None:
        self._settings = None
        self.notices.clear()
        settings = self.settings
        base = self.record.base
        runtime = await outfit(settings, Rules(), self.notices, resume=base, extra=self._servers)
        try:
            async with runtime:
                self.notices += [f"{each} {each.fix}".strip() for each in runtime.catalog.problems]
                for notice in self.notices:
                    self.note("notice", notice)

                self._fault, self.runtime = None, runtime
                self._is_open()
                await self._turns(runtime)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(runtime.store.close)

    def _fail(self, error: JourneymanError) -> None:
        self._fault = error
        self._is_open()
        if not (self.ending or self._trying or self.waiting):
            self.note("error", f"{error} {error.fix}".strip())

        while self.waiting:
            turn = self.waiting.popleft()
            turn.error = error
            turn.ended.set()

    def _is_open(self) -> None:
        """As far as it will open with what is said now."""
        if not self._stale:
            self._opened.set()

    async def _turns(self, runtime: Runtime) -> None:
        while not (self.ending or self._stale):
            if self.waiting and not self.held:
                await self._take(self.waiting.popleft(), runtime)
            else:
                await self._rest()

    async def _take(self, turn: Turn, runtime: Runtime) -> None:
        self.turn = turn
        self.tell_queue()
        self._note(wire.TURN, {"running": True})
        try:
            with anyio.CancelScope() as self._scope:
                turn.result = await self._run(turn, runtime)
                turn.error = turn.result.error
        except JourneymanError as error:
            turn.error = error
        except Exception as error:  # noqa: BLE001 - one turn's fault is not the engine's end
            turn.error = JourneymanError(f"{type(error).__name__}: {error}", fix="See the engine's log.")
        finally:
            self._scope = None
            self.record.count = self.updates.count
            self.live.clear()
            self.turn = None
            self._note(wire.TURN, ended(turn))
            turn.ended.set()
            self._end_if_left()

    async def _run(self, turn: Turn, runtime: Runtime) -> Result:
        await self.record.catch_up(self.updates)
        order = self._order(turn)
        heard: Json = {"approver": self.questions.approve, "listeners": [self._passing], "watch": self._stored}
        stem = self.record.stem
        if self.record.stored:
            return await runtime.resume(self.id, order, **heard)

        if stem is not None:
            return await runtime.fork(stem.run_id, None, order, shared=stem.events, as_run=self.id, **heard)

        return await runtime.run(order, run_id=self.id, **heard)

    def _order(self, turn: Turn) -> Order:
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
            more=self.questions.more,
        )

    def _stored(self, stored: Stored) -> None:
        self.record.stored = True
        self._hear(stored.event, stored.at / 1e6)

    def _passing(self, event: Event) -> None:
        if event.type in {"model_delta", "call_progress"}:
            self._hear(event, 0.0)

    def _hear(self, event: Event, at: float) -> None:
        match event:
            case ModelDelta(kind="status"):
                self.note("status", event.text)
            case BudgetWarned():
                self.note("budget", f"{event.used:g} of {event.limit:g} {event.what} used")
            case BudgetRaised():
                self.note("budget", f"{event.limit:g} {event.what} from here on")
            case Compacted():
                self.note("compacted", told(event))
            case RunResumed() if event.unfinished:
                self.note("resumed", "a call was under way when this run was cut off; it may or may not have happened")

        for update in self.updates.of(event, at):
            self._keep(update)
            self._broadcast(update)

    def _keep(self, update: Json) -> None:
        """For whoever comes while the turn is under way."""
        last = self.live[-1] if self.live else None
        joined = last and (update if _is_newer(last, update) else join(last, update))
        if joined:
            self.live[-1] = joined
        else:
            self.live.append(update)

    def _broadcast(self, update: Json) -> None:
        echo = update["sessionUpdate"] == "user_message_chunk"
        for peer in self.peers:
            if not echo or peer.notes or self.turn is None or peer is not self.turn.asker:
                peer.update(self.id, update)

    def note(self, kind: str, text: str) -> None:
        self._note(wire.NOTE, {"kind": kind, "text": safe(text)})

    def tell_queue(self) -> None:
        self._note(wire.QUEUE, {"items": self.queued, "held": self.held})

    @property
    def queued(self) -> list[dict[str, JsonValue]]:
        return [{"id": turn.id, "text": turn.text} for turn in self.waiting]

    def _note(self, method: str, params: Json) -> None:
        for peer in self.peers:
            if peer.notes:
                peer.tell(method, {"sessionId": self.id, **params})

    def _stir(self) -> None:
        self._wake.set()

    async def _rest(self) -> None:
        await self._wake.wait()
        self._wake = anyio.Event()


def _is_newer(last: Json, update: Json) -> bool:
    """Both say how far the same call is; the second one says it all."""
    passing = all(
        each["sessionUpdate"] == "tool_call_update" and "seq" not in each["_meta"][OURS] for each in (last, update)
    )
    return passing and last["toolCallId"] == update["toolCallId"]


def no_session(session_id: str) -> UsageError:
    return UsageError(f"There is no session {session_id!r}.", fix="Open one: session/new, or session/load")
