"""Secrets are planted wherever a run can meet one; then everything that was written anywhere is searched for them."""

import base64
import os
import sys
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from sqlalchemy import text

from journeyman.agent.models.model import Request
from journeyman.agent.models.scripted import ScriptedModel
from journeyman.agent.order import Order
from journeyman.agent.replay import replay
from journeyman.agent.runtime import Runtime
from journeyman.errors import ModelError
from journeyman.policies.policy import Policy
from journeyman.tools.catalog import Catalog
from journeyman.tools.function import tool
from journeyman.tools.target import Builtin, Command
from journeyman.tools.tool import Output
from journeyman.traces.events import ApprovalAnswered, ApprovalRequested, Event, ModelDelta, ModelResponded
from journeyman.traces.export import export
from journeyman.traces.export import pytest as as_test
from journeyman.traces.find import find, search
from journeyman.traces.findings import TYPED
from journeyman.traces.messages import Text, Thinking, ToolCall
from journeyman.traces.project import refresh
from journeyman.traces.store import Store
from journeyman.traces.verify import verify
from journeyman.veil import PLACEHOLDER
from tests.traces.conftest import new_schema
from tests.traces.runs import said

RAW = Path(__file__).parent.parent / "tools" / "servers" / "raw.py"
PLACES = (
    "prompt", "instructions", "file", "result", "data", "key", "refusal", "exception", "environment", "stderr",
    "description", "default", "steer", "edit", "invented", "plan", "thought", "progress", "failure", "given", "returns",
)  # fmt: skip
SECRETS = {place: f"ghp_{n:02}{place.ljust(12, 'x')}Kq7Jz0pWm4Xv9Tn2Lr8B" for n, place in enumerate(PLACES)}
SECRETS["named"] = "correct horse battery"
SECRETS["password"] = "s3cr3t!pw"


def planted(place: str) -> str:
    return f"before {SECRETS[place]} after"


@tool(description=planted("description"))
def look(token: str = SECRETS["default"]) -> Output:
    assert token == SECRETS["default"]
    return Output(planted("result"), data={"a": [planted("data"), 1], SECRETS["key"]: None})


@tool
def refuse() -> str:
    from journeyman.errors import ToolError  # noqa: PLC0415

    raise ToolError(planted("refusal"))


@tool
def crash() -> str:
    raise RuntimeError(planted("exception"))


@tool
def environ() -> str:
    address = f"postgresql://me:{SECRETS['password']}@db"
    return f"PATH={os.environ['PATH']} {os.environ['MY_TOKEN']} {address} {planted('named')}"


sent: list[str] = []


@tool
def send(what: str) -> str:
    sent.append(what)
    return f"sent {what}"


class Careful(ScriptedModel):
    """Remembers all that it was asked."""

    def __init__(self, script: list[Any]) -> None:
        super().__init__(script)
        self.read: list[str] = []

    async def respond(self, request: Request) -> AsyncGenerator[ModelDelta | ModelResponded, None]:
        self.read.append(repr(request))
        async for item in super().respond(request):
            yield item


def last_said(request: Request) -> str:
    message = request.messages[-1]
    assert message.type != "assistant"
    return message.text


def repeat(request: Request) -> dict[str, Any]:
    """Call with everything the last result said."""
    return {"tool": "send", "arguments": {"what": last_said(request)}}


def fail(_: Request) -> Any:
    raise ModelError(f"401: wrong key {planted('failure')}", fix="Give a key.")


SCRIPT = [
    {"tool": "look"},
    repeat,
    {"tool": "look", "arguments": {"token": "DEFAULT"}},
    {"tool": "refuse"},
    {"tool": "crash"},
    {"tool": "environ"},
    repeat,
    {"tool": "files__read", "arguments": {"path": ".env"}},
    {"tool": "raw__die", "arguments": {"mark": "MARK"}},
    [
        Thinking(text=planted("thought"), signature="signed"),
        Text(text=planted("invented")),
        ToolCall(id="c99", name="update_plan", arguments=f'{{"steps": ["{planted("plan")}"], "done": 0}}'),
    ],
    {"tool": "send", "arguments": {"what": "what a person will edit"}},
    fail,
]


class Everywhere:
    """One run, and all that was written of it."""

    def __init__(self, store: Store, home: Path) -> None:
        self.store = store
        self.home = home
        self.model = Careful([])
        self.heard: list[Event] = []
        self.run_ids: list[str] = []

    async def run(self) -> None:
        script = [self._placed(item) for item in SCRIPT]
        self.model = Careful(script)
        async with self._runtime(self.model) as runtime:
            order = Order(
                planted("prompt"),
                instructions=planted("instructions"),
                root=str(self.home),
                returns={"type": "string", "description": planted("returns")},
            )
            result = await runtime.run(order, listeners=[self.heard.append], approver=_edit)

        assert result.outcome == "model_error", result.error
        assert SECRETS["failure"] not in str(result.error)
        self.run_ids.append(result.run_id)
        more = Careful([*[{"tool": "update_plan", "arguments": {"steps": ["x"], "done": 0}}] * len(SCRIPT), "done"])
        async with self._runtime(more) as runtime:
            again = Order(planted("steer"), root=str(self.home), returns={"type": "string"})
            await runtime.resume(result.run_id, again, listeners=[self.heard.append])

        self.model.read += more.read

    def _placed(self, item: Any) -> Any:
        if not isinstance(item, dict) or "arguments" not in item:
            return item

        if item["arguments"] == {"token": "DEFAULT"}:
            return lambda request: {
                "tool": "look",
                "arguments": {
                    "token": next(t for t in request.tools if t.name == "look").parameters["properties"]["token"][
                        "default"
                    ]
                },
            }

        return item | {"arguments": {"mark": str(self.home / "mark")}} if item["tool"] == "raw__die" else item

    def _runtime(self, model: ScriptedModel) -> Runtime:
        given = {"LAST_WORDS": planted("stderr"), "RAW_TOKEN": SECRETS["given"]}
        raw = Command("raw", (sys.executable, str(RAW), "odd"), given)
        catalog = Catalog([look, refuse, crash, environ, send, Builtin("files", self.home), raw])
        policy = Policy.preset("ask").allow("python.*", "raw.*", "files.*").ask("python.send")
        return Runtime(model, catalog, policy, self.store, secrets=[f"value:{SECRETS['named']}"])


async def _edit(request: ApprovalRequested) -> ApprovalAnswered:
    edited = {"what": planted("edit")} if request.arguments.get("what") == "what a person will edit" else None
    return ApprovalAnswered(call_id=request.call_id, approved=True, arguments=edited)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def everywhere(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everywhere]:
    """One run for all tests, which only look at it."""
    folder = tmp_path_factory.mktemp("planted")
    (folder / "work").mkdir()
    (folder / "work" / ".env").write_text(f"A=1\nFILE_TOKEN={SECRETS['file']}\n")
    url = str(folder / "runs.db")
    if request.param == "postgresql":
        url = new_schema(request.getfixturevalue("server"))

    with pytest.MonkeyPatch.context() as patch, Store.open(url) as store:
        patch.setenv("JOURNEYMAN_HOME", str(folder / "home"))
        patch.setenv("MY_TOKEN", SECRETS["environment"])
        world = Everywhere(store, folder / "work")
        anyio.run(world.run)
        yield world


def leaks(data: str | bytes) -> list[str]:
    raw = data.encode(errors="surrogatepass") if isinstance(data, str) else data
    return [place for place, secret in SECRETS.items() if any(form in raw for form in _forms(secret.encode()))]


def _forms(secret: bytes) -> Iterator[bytes]:
    yield from (secret, secret[:18], secret[-12:], secret.hex().encode(), secret.lower(), base64.b64encode(secret)[:-4])


def everything(store: Store) -> str:
    """Every column of every table, as text; binary ones in hex."""
    if store.dialect == "sqlite":
        return ""  # the file is searched

    with store.reading() as connection:
        names = connection.execute(
            text("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
        ).scalars()
        return "\n".join(str(connection.execute(text(f"SELECT t::text FROM {name} t")).all()) for name in names)  # noqa: S608


def on_disk(folder: Path, *, but: str = ".env") -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file() and file.name != but)


async def test_secrets_are_nowhere(everywhere: Everywhere, tmp_path: Path) -> None:
    store, (run_id,) = everywhere.store, everywhere.run_ids
    refresh(store, everything=True)
    out = tmp_path / "out"
    out.mkdir()
    export(store, [run_id], out / "events.jsonl", "events")
    run = list(store.events(run_id))
    as_test.write(run, out, (await replay([each.event for each in run])).digest)

    assert leaks("\n".join(everywhere.model.read)) == []
    assert leaks("\n".join(repr(event) for event in everywhere.heard if not isinstance(event, ModelDelta))) == []
    assert leaks(on_disk(everywhere.home.parent)) == []
    assert leaks(on_disk(out)) == []
    assert leaks(everything(store)) == []
    assert leaks(said(store)) == []
    assert "SECRET_" in on_disk(out).decode()


async def test_a_call_gets_what_a_placeholder_stands_for(everywhere: Everywhere) -> None:
    result, environment, edited = sent[-3:]

    assert result == planted("result")
    assert SECRETS["environment"] in environment
    assert f"postgresql://me:{SECRETS['password']}@db {planted('named')}" in environment
    assert edited == planted("edit")


async def test_where_a_secret_was_typed_nothing_trains(everywhere: Everywhere, tmp_path: Path) -> None:
    store, (run_id,) = everywhere.store, everywhere.run_ids

    (listed,) = store.runs()
    assert listed.level == "secret"
    assert find(store, "is:trainable") == []
    assert [run.run_id for run in find(store, "finding:typed_secret")] == [run_id]
    assert TYPED.detail in [report.detail for report in verify(store)]
    assert export(store, [run_id], tmp_path / "sft.jsonl", "messages").skipped == {
        run_id: "a secret was typed in it, so nothing trains on it"
    }


async def test_a_run_with_secrets_replays_and_is_found_by_its_placeholders(everywhere: Everywhere) -> None:
    store, (run_id,) = everywhere.store, everywhere.run_ids
    again = await replay([each.event for each in store.events(run_id)])
    assert (again.expected, again.got) == (None, None)

    placeholder = PLACEHOLDER.search(store.runs()[0].prompt)
    assert placeholder is not None
    assert [hit.run.run_id for hit in search(store, placeholder[0])] == [run_id]
    assert search(store, f'"{SECRETS["prompt"]}"') == []
