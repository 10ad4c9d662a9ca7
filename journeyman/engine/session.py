"""One session: a conversation that is a run in the store, whoever follows it, and what waits to be said in it.

Its task opens what the runs share (the model, the tools, the policy) and does one turn after another. A client that
leaves ends nothing; the session ends when it has nothing to do and nobody follows it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import TaskGroup

from journeyman.agent.order import Result
from journeyman.agent.runtime import Runtime
from journeyman.engine import wire
from journeyman.engine.followers import Followers
from journeyman.engine.kit import Kit
from journeyman.engine.models import Models
from journeyman.engine.peer import Peer
from journeyman.engine.questions import Questions
from journeyman.engine.record import Record
from journeyman.engine.tale import Tale
from journeyman.engine.turn import Turn, ended
from journeyman.engine.waiting import Waiting
from journeyman.errors import JourneymanError, UsageError
from journeyman.safe import safe
from journeyman.tools.target import Target
from journeyman.traces.events import Event
from journeyman.traces.writer import Stored

Json = dict[str, Any]
_AFTER_THE_COMMIT = {"model_requested", "call_proposed"}
"""Recorded by a run only once how it begins, and what the user says then, are committed."""


class Session:
    def __init__(
        self,
        record: Record,
        cwd: Path,
        given: Json,
        group: TaskGroup,
        servers: Sequence[Target] = (),
        *,
        models: Models | None = None,
    ) -> None:
        """`given`: what is said over the settings."""
        self.id = record.id
        self.kit = Kit(cwd, given, servers, models or Models())
        self.followers = Followers(self.id)
        self.record = record
        self.questions = Questions(self.id, self.followers.peers, group)
        self.waiting = Waiting(self.id)
        self.turn: Turn | None = None
        self.tale = Tale(self.followers, self.questions)
        self._fault: JourneymanError | None = None
        self._scope: anyio.CancelScope | None = None
        self._stale = False
        self._trying = False
        """Whoever asked to open it hears how it went."""
        self._changing = anyio.Lock()
        self.over = anyio.Event()
        """It is none of the engine's any more."""
        self.ending = False
        self._wake = anyio.Event()
        self._opened = anyio.Event()

    # What clients ask for.

    def enqueue(self, text: str, asker: Peer | None, *, first: bool = False, command: str = "") -> Turn:
        """Have it said after what waits already, or before it; a command is run, and the model not asked."""
        turn = Turn(text, asker, command)
        self.waiting.add(turn, first=first)
        self._stir()
        if self.turn is not None or len(self.waiting.turns) > 1:
            self.tell_queue()

        return turn

    def interrupt(self, *, hold: bool = True) -> None:
        """Stop the turn under way; what waits behind it is held up."""
        self.waiting.held = hold and bool(self.waiting.turns)
        if self._scope is not None:
            self._scope.cancel()

        self.tell_queue()

    def drop(self, turn_id: str) -> None:
        """Forget a waiting prompt."""
        self.waiting.drop(turn_id)
        self.tell_queue()

    def go_on(self) -> None:
        self.waiting.held = False
        self._stir()
        self.tell_queue()

    def set_mode(self, mode: str) -> None:
        """Another policy from the next turn on.

        Raises:
            PolicyError: there is no such.
            ConfigError: a setting will not do.
        """
        if not self.kit.set_mode(mode):  # it is being opened, with the one before
            self._stale = True
            self._stir()

        self.followers.hear({"sessionUpdate": "current_mode_update", "currentModeId": mode})

    async def set_option(self, name: str, value: Any) -> None:
        """Another model, or way of thinking, from the next turn on.

        Raises:
            JourneymanError: it cannot be had; what was before stays.
        """
        async with self._changing:
            given, told = self.kit.given, self._fault
            before = {name: given[name]} if name in given else {}
            given[name] = value
            await self._reopen()
            if (fault := self._fault) is not None:
                del given[name]
                given |= before
                self._fault = told
                await self._reopen()
                raise fault

    async def mind_server(self, name: str, do: str) -> None:
        """As `Kit.mind_server`."""
        async with self._changing:
            if await self.kit.mind_server(name, do):
                await self._reopen()

    async def _reopen(self) -> None:
        self._stale, self._opened = True, anyio.Event()
        self._stir()
        if self.turn is None:
            self._trying = True
            try:
                await self._opened.wait()
            finally:
                self._trying = False

    @property
    def idle(self) -> bool:
        return self.turn is None and not self.waiting

    def end(self) -> None:
        self.ending = True
        if self._scope is not None:
            self._scope.cancel()

        self._stir()

    # Who follows it.

    async def follow(self, peer: Peer, *, replay: bool) -> None:
        """Let a client hear what happens from here on; with `replay`, all that was said before it first."""
        self.followers.coming += 1
        try:
            await self._tell_before(peer, replay=replay)
            self.followers.join(peer)
        finally:
            self.followers.coming -= 1
            self._end_if_left()

        self.questions.show(peer)
        if peer.notes:
            for notice in self.kit.notices:
                peer.tell(wire.NOTE, {"sessionId": self.id, "kind": "notice", "text": safe(notice, lines=True)})

            if self._fault and not self._trying:
                peer.tell(
                    wire.NOTE, {"sessionId": self.id, "kind": "error", "text": safe(self._fault.line, lines=True)}
                )

    async def _tell_before(self, peer: Peer, *, replay: bool) -> None:
        sent = 0
        while replay and sent < self.record.count:
            until = self.record.count
            async for update in self.record.updates(sent, until, str(self.kit.cwd)):
                peer.update(self.id, update)
                await peer.room()

            sent = until

        if self.record.count and not replay:
            await self.record.catch_up(self.tale.updates)
            peer.update(self.id, self.tale.updates.spent())

        self.followers.catch_up(peer)

    def leave(self, peer: Peer) -> None:
        self.followers.leave(peer)
        self._end_if_left()

    def _end_if_left(self) -> None:
        if self.idle and not self.followers:
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

            while not (self.ending or self._stale or self.waiting):
                await self._rest()

        self._fail(JourneymanError("The session has ended."))

    async def _open(self) -> None:
        async with self.kit.open(self.record.base) as runtime:
            for notice in self.kit.notices:
                self.followers.note("notice", notice)

            if self._fault is not None:
                self._fault = None
                self.followers.note("good", "The session is open now.")

            self._is_open()
            await self._turns(runtime)

    def _fail(self, error: JourneymanError) -> None:
        self._fault = error
        self._is_open()
        if not (self.ending or self._trying or self.waiting):
            self.followers.note("error", error.line)

        self.waiting.fail(error, forget=not self.ending)

    def _is_open(self) -> None:
        """As far as it will open with what is said now."""
        if not self._stale:
            self._opened.set()

    async def _turns(self, runtime: Runtime) -> None:
        while not (self.ending or self._stale):
            if self.waiting:
                await self._take(self.waiting.take(), runtime)
            else:
                await self._rest()

    async def _take(self, turn: Turn, runtime: Runtime) -> None:
        self.turn = turn
        self.tell_queue()
        self.followers.tell(wire.TURN, {"running": True})
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
            self.record.count = self.tale.updates.count
            self.followers.live.clear()
            self.turn = None
            self.followers.tell(wire.TURN, ended(turn))
            turn.ended.set()
            self._end_if_left()

        self.waiting.said()  # else the engine ends, and the next one finds it

    async def _run(self, turn: Turn, runtime: Runtime) -> Result:
        await self.record.catch_up(self.tale.updates)
        order = self.kit.order(turn, self.questions.more)
        heard: Json = {"approver": self.questions.approve, "listeners": [self._passing], "watch": self._stored}
        stem = self.record.stem
        if self.record.stored:
            return await runtime.resume(self.id, order, **heard)

        if stem is not None:
            return await runtime.fork(stem.run_id, None, order, shared=stem.events, as_run=self.id, **heard)

        return await runtime.run(order, run_id=self.id, **heard)

    def _stored(self, stored: Stored) -> None:
        self.record.stored = True
        if stored.event.type in _AFTER_THE_COMMIT:
            self.waiting.said()

        self.tale.hear(stored.event, stored.at / 1e6, self._asker)

    def _passing(self, event: Event) -> None:
        if event.type in {"model_delta", "call_progress"}:
            self.tale.hear(event, 0.0, self._asker)

    @property
    def _asker(self) -> Peer | None:
        return self.turn.asker if self.turn else None

    def tell_queue(self) -> None:
        self.followers.tell(wire.QUEUE, self.queue)

    @property
    def queue(self) -> Json:
        return {"items": self.waiting.listed, "held": self.waiting.held}

    def _stir(self) -> None:
        self._wake.set()

    async def _rest(self) -> None:
        await self._wake.wait()
        self._wake = anyio.Event()


def no_session(session_id: str) -> UsageError:
    return UsageError(f"There is no session {session_id!r}.", fix="Open one: session/new, or session/load")
