"""Run in a terminal by `test_hostile.py`: every widget and screen shows the corpus, one after the other."""

import asyncio
import sys
from pathlib import Path

from journeyman.errors import UsageError
from journeyman.tui import servers
from journeyman.tui.app import Journeyman
from journeyman.tui.choice import Choice
from journeyman.tui.feed import items_of, question
from journeyman.tui.opening import Opening
from journeyman.tui.panels import PARTS, session_choices
from journeyman.tui.picker import Picker
from journeyman.tui.shelf import _record
from journeyman.tui.status import Status
from journeyman.tui.traces import recorded
from tests.tui.corpus import HOSTILE


def updates(text: str) -> list[dict]:
    """All that an engine can say, with the text everywhere."""
    content = {"type": "text", "text": text}
    diff = {"type": "diff", "path": f"/a/{text}", "oldText": text, "newText": f"{text}\n{text}"}
    ours = {"journeyman": {"tool": text, "effect": text, "rules": [text], "reason": text, "status": "ok", "seconds": 1}}
    return [
        {"sessionUpdate": "user_message_chunk", "content": content},
        {"sessionUpdate": "agent_thought_chunk", "content": content},
        {"sessionUpdate": "agent_message_chunk", "content": content},
        {"sessionUpdate": "plan", "entries": [{"content": text, "status": text}]},
        {"sessionUpdate": "tool_call", "toolCallId": text, "title": text, "rawInput": {text: text}, "_meta": ours},
        {
            "sessionUpdate": "tool_call_update",
            "toolCallId": text,
            "status": "completed",
            "content": [diff, {"type": "content", "content": content}],
            "_meta": ours,
        },
    ]


def state(text: str) -> dict:
    return {
        "mode": text,
        "policy": {
            "name": text,
            "digest": "d",
            "text": f'[{{"tier": "x", "rules": [{{"effect": "ask", "id": "{ascii(text)[1:9]}"}}]}}]',
        },
        "sandbox": {"backend": text, "guarantees": {text: True}},
        "servers": [{"name": text, "transport": text, "error": text, "stderr": [text], "tools": 1, "protocol": text}],
        "notices": [text],
        "tools": [{"name": f"{text}.{text}"}],
    }


async def show(app: Journeyman, text: str) -> None:
    chat = app.chat
    items, _ = items_of(updates(text))
    chat.transcript.load(items)
    for index in range(len(items)):
        chat.transcript.fold(index)

    await asyncio.sleep(0.02)
    for update in updates(text):
        chat.feed.take(update)

    await asyncio.sleep(0.1)
    chat.feed.stopped()
    chat.feed.note("error", text)
    chat.told(UsageError(text, fix=text))
    chat.show_word(text)
    chat.waiting.tell([text, text], held=True)
    chat.show_status(Status(state="ready", model=text, mode="ask", used=1, size=2, read=3))
    ours = {
        "tool": text,
        "arguments": {text: text, "b": [text]},
        "reason": text,
        "rules": [text],
        "sources": [text],
        "offer": text,
        "then": [{"id": "c2", "tool": text, "arguments": {text: text}}],
    }
    asked = question(text, {"toolCallId": "c", "content": updates(text)[-1]["content"]}, ours)
    chat.show_question(asked)
    chat.approval.action_answer("explain")
    await asyncio.sleep(0.02)
    app.edit(asked)
    await asyncio.sleep(0.02)
    await app.pop_screen()
    chat.settle("")
    chat.prompt.set(text)
    await asyncio.sleep(0.02)
    chat.prompt.set("")
    app.read("\n".join(line for item in items for line in [str(getattr(item, "text", ""))]))
    await asyncio.sleep(0.02)
    await app.pop_screen()
    lines = [line for part in PARTS.values() for line in part(state(text), chat.status)]
    lines += [servers.told(state(text)["servers"][0], 80), *servers.details(state(text), state(text)["servers"][0], 80)]
    record = _record(
        {**dict.fromkeys(("run_id", "batch", "task"), "r"), **NUMBERS, "model": text, "prompt": text, "answer": text}
    )
    app.show("all", [*lines, recorded(record, 100), recorded(record, 40)])
    await asyncio.sleep(0.02)
    await app.pop_screen()
    listed = [{"sessionId": "s", "title": text, "_meta": {"journeyman": {"prompt": text, "outcome": text}}}]
    app.push_screen(Picker("sessions", session_choices(listed)))
    await asyncio.sleep(0.02)
    await app.pop_screen()


NUMBERS = {
    "outcome": None, "reward": None, "steps": 1, "prompt_tokens": 1, "completion_tokens": 1, "cost_usd": None,
    "seconds": 1.0, "calls": 1, "errors": 1, "denied": 1, "started_at": 1,
}  # fmt: skip


BATCH = 5
"""Texts that are shown at once."""


async def quiet() -> None: ...


def main() -> None:
    app = Journeyman(Opening(Path.cwd()), Choice(theme="journeyman-dark", bell=False))
    app.chat.talk.run = quiet

    async def go() -> None:
        for at in range(0, len(HOSTILE), BATCH):
            await show(app, "\n".join(HOSTILE[at : at + BATCH]))

        app.exit("shown-all")

    app.call_later(lambda: app.run_worker(go()))
    sys.stdout.write(f"\n{app.run()}\n")


if __name__ == "__main__":
    main()
