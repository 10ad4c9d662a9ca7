"""A conversation in plain lines, for screen readers, dumb terminals and logs: nothing is drawn over, no escape is sent.

Each thing that happens begins a line with what it is (`answer:`, `call:`, `ask:` ...); more lines of the same are
indented, so that no text from outside can begin one.
"""

import signal
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, cast

import anyio
from anyio.abc import TaskGroup

from journeyman.cli.lines import Lines
from journeyman.cli.plain_commands import LEAVE, run
from journeyman.cli.run import DENIED
from journeyman.cli.terminal import YES, AskAtTerminal
from journeyman.engine import wire
from journeyman.engine.client import Ask, Client, Note, Update, connect
from journeyman.errors import Disconnected, JourneymanError
from journeyman.safe import safe
from journeyman.traces.events import ApprovalRequested

CHUNKS = {"user_message_chunk": "you", "agent_message_chunk": "answer", "agent_thought_chunk": "thought"}
MARKS = {"completed": "x", "in_progress": ">", "pending": " "}
RESULT = 2000
"""Characters of a result that are printed; the rest is in the trace."""


def converse(cwd: Path, resume: str | None, settings: dict[str, Any]) -> int:
    """Talk until the end of input; the exit code of the last turn."""
    return anyio.run(_converse, cwd, resume, settings)


async def _converse(cwd: Path, resume: str | None, settings: dict[str, Any]) -> int:
    out = Out()
    out.say("note", "starting the engine, if there is none yet")
    try:
        async with connect() as client:
            return await Plain(client, cwd, cast("wire.Settings", settings), out).talk(resume)
    finally:
        out.end()


class Out:
    """Writes events; pieces of one text are joined until a line is whole."""

    def __init__(self) -> None:
        self._kind = ""
        self._rest = ""
        self._begun = False

    def say(self, kind: str, text: str) -> None:
        self.end()
        self.piece(kind, text)
        self.end()

    def piece(self, kind: str, text: str) -> None:
        """A part of a text that may go on."""
        if kind != self._kind:
            self.end()
            self._kind = kind

        *whole, self._rest = (self._rest + text).split("\n")
        for line in whole:
            self._line(line)

    def end(self) -> None:
        """The text is over."""
        if self._rest:
            self._line(self._rest)

        self._kind, self._rest, self._begun = "", "", False

    def _line(self, text: str) -> None:
        head = "    " if self._begun else f"{self._kind}: "
        print(f"{head}{safe(text.expandtabs(4), None)}".rstrip(), flush=True)
        self._begun = True


class Plain:
    def __init__(self, client: Client, cwd: Path, settings: wire.Settings, out: Out) -> None:
        self.client = client
        self.cwd = cwd
        self._settings = settings
        self._out = out
        self._lines = Lines()
        self.session = ""
        self._running = False
        self._typed = ""
        """What was said last."""
        self._code = 0
        self._questions: dict[str, anyio.CancelScope] = {}
        self.spent: dict[str, Any] = {}
        """The last `usage_update`, with what is ours in it."""
        self.users: list[tuple[int, str]] = []
        """What the user said, and its `seq`."""
        self._said = False

    async def talk(self, resume: str | None) -> int:
        try:
            await self._talk(resume)
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None

        if self._said:
            self._out.say("note", f"resume with: journeyman chat --resume {self.session}")

        return self._code

    async def _talk(self, resume: str | None) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(self._listen, group)
            group.start_soon(self._stop_on_interrupt, group)
            try:
                await self.open(resume)
                while (line := await self._lines.ask("you> ")) is not None and line not in LEAVE:
                    await (self._command(line) if line.startswith("/") else self._turn(line))
            finally:
                group.cancel_scope.cancel()

    async def open(self, resume: str | None) -> None:
        """Begin a session, or take one up and say what was said in it."""
        before, self.users = self.users, []
        try:
            if resume:
                opened = await self.client.load(resume, self.cwd, self._settings)
                self.session = opened["_meta"][wire.OURS]["sessionId"]
            else:
                opened = await self.client.new(self.cwd, self._settings)
                self.session = opened["sessionId"]
        except JourneymanError:
            self.users = before  # of the session that goes on
            raise

        await self._quiet()
        model = opened["configOptions"][0]["currentValue"]
        mode = opened["modes"]["currentModeId"]
        self._out.say("note", f"session {self.session}, model {model}, mode {mode}; /help says what can be typed")
        for each in opened["_meta"][wire.OURS]["queue"]:
            self._out.say("note", f"not asked yet, and asked first when you go on: {each['text']}")

    async def _command(self, line: str) -> None:
        try:
            await run(self, line)
        except JourneymanError as error:
            self._out.say("error", f"{error}\n{error.fix}".strip())

        await self._quiet()

    def note(self, text: str) -> None:
        self._out.say("note", text)

    async def _turn(self, text: str) -> None:
        if not text:
            return

        self._running, self._said, self._code, self._typed = True, True, 0, text
        try:
            if text.startswith("!") and not text.startswith("!!"):
                answer = await self.client.shell(self.session, text[1:])
            else:
                answer = await self.client.prompt(self.session, text)
        except JourneymanError as error:
            await self._quiet()
            self._code = error.exit_code
            self._out.say("error", f"{error}\n{error.fix}".strip())
        else:
            await self._quiet()
            self._ended(answer)
        finally:
            self._running = False

    def _ended(self, answer: Any) -> None:
        ended = answer["_meta"][wire.OURS]
        error = ended.get("error")
        if error:
            self._code = 6
            self._out.say("error", f"{error['message']}\n{error['fix']}".strip())
        elif answer["stopReason"] != "end_turn":
            self._out.say("note", answer["stopReason"])
        elif ended.get("denied"):
            self._code = DENIED

    async def _quiet(self) -> None:
        """Wait until all that was heard so far is written."""
        heard = anyio.Event()
        self.client.behind(heard)
        await heard.wait()
        self._out.end()

    # What the engine says.

    async def _listen(self, group: TaskGroup) -> None:
        async for message in self.client.messages:
            match message:
                case anyio.Event():
                    message.set()
                case Update():
                    self._update(message)
                case Note():
                    self._note(message)
                case Ask():
                    group.start_soon(self._ask, message)

        self._code = Disconnected.exit_code
        self._out.say("error", "the engine is gone; the session is stored")
        group.cancel_scope.cancel()

    def _update(self, message: Update) -> None:
        update, ours = message.update, message.ours
        match message.kind:
            case "user_message_chunk":
                self._user(update["content"]["text"], ours)
            case kind if kind in CHUNKS:
                self._out.piece(CHUNKS[kind], update["content"]["text"])
            case "plan":
                for entry in update["entries"]:
                    self._out.say("plan", f"[{MARKS[entry['status']]}] {entry['content']}")
            case "tool_call":
                told = f"{update['title']}{': ' + ours['reason'] if 'reason' in ours else ''}"
                self._out.say(_named("call", ours), told)
            case "tool_call_update":
                self._call(update, ours)
            case "usage_update":
                self.spent = {**update, **ours}
            case "current_mode_update":
                self._out.say("note", f"mode {update['currentModeId']}")

    def _user(self, text: str, ours: Any) -> None:
        if ours.get("origin") == "user":
            self.users.append((ours.get("seq", 0), text))

        self._out.end()  # what was said before answers something else
        if not (self._running and self._lines.typed and text == self._typed):  # they have just typed it
            self._out.say("you" if ours.get("origin") == "user" else "asked", text)

    def _call(self, update: dict[str, Any], ours: Any) -> None:
        if "effect" in ours:
            if ours["effect"] != "ask":  # the question says why
                self._out.say(_named("policy", ours), f"{ours['effect']}: {ours['reason']}")
        elif "status" in ours:
            text = "\n".join(_texts(update))
            seconds = f"{ours['seconds']:.1f} s"
            left = f"\n({len(text) - RESULT:,} more characters)" if len(text) > RESULT else ""
            self._out.say(_named("result", ours), f"{ours['status']}, {seconds}: {text[:RESULT]}{left}")

    def _note(self, note: Note) -> None:
        params = note.params
        match note.method:
            case wire.NOTE if params["kind"] != "status":
                self._out.say("note", params["text"])
            case wire.SETTLED:
                if scope := self._questions.pop(params["token"], None):
                    scope.cancel()
            case wire.TURN if not params["running"] and not self._running:
                self._out.say("note", f"a turn of another client has ended: {params['outcome']}")

    async def _ask(self, ask: Ask) -> None:
        """Put a question to the person, unless another client is quicker."""
        ours = ask.ours
        if self._lines.busy:
            self._out.say("ask", "a question waits: press Enter to hear it")

        with anyio.CancelScope() as self._questions[ours["token"]]:
            if ours["kind"] == "budget":
                self._out.say("ask", ours["reason"])
                more = await self._lines.ask("ask: y to go on, n to stop here [n] ") or ""
                await self.client.answer(ask, "once" if more.lower() in YES else "no")
                return

            names = ("tool", "arguments", "reason", "rules", "provenance", "token", "offer")
            request = ApprovalRequested.model_validate(
                {"call_id": ask.call["toolCallId"], **{name: ours[name] for name in names}}
            )
            self._out.end()
            try:
                answer = await AskAtTerminal(partial(self._out.say, "ask"), self._prompted)(request)
            except EOFError:
                await self.client.answer(ask, None, by="nobody")
                return

            option = answer.keep if answer.approved and answer.keep != "once" else "once" if answer.approved else "no"
            more: dict[str, Any] = {"reason": answer.reason} if answer.reason else {}
            if answer.arguments is not None:
                more["arguments"] = answer.arguments

            await self.client.answer(ask, option, **more)

    async def _prompted(self, question: str) -> str:
        """Raises EOFError at the end of input: nobody is there to answer."""
        answer = await self._lines.ask(f"ask: {question.strip()} ")
        if answer is None:
            raise EOFError

        return answer

    async def _stop_on_interrupt(self, group: TaskGroup) -> None:
        with suppress(NotImplementedError), anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for number in signals:
                if number == signal.SIGINT and self._running:
                    await self.client.cancel(self.session)
                else:
                    self._code = 130
                    sys.stdout.write("\n")
                    group.cancel_scope.cancel()


def _named(kind: str, ours: Any) -> str:
    """What a call makes itself is told apart from what the model calls."""
    return f"inner {kind}" if "parent" in ours else kind


def _texts(update: dict[str, Any]) -> list[str]:
    return [each["content"]["text"] for each in update.get("content", ()) if each["type"] == "content"]
