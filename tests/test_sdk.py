import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import Any, cast

import anyio
import pytest
from pydantic import BaseModel

import journeyman
from journeyman import Agent, Policy, Result, ScriptedModel, mcp, tool
from journeyman.agent.budget import Limits
from journeyman.agent.outfit import sender
from journeyman.config import load_settings
from journeyman.errors import BudgetExceeded, ConfigError, ModelError, ModelNotFound, PolicyError, UsageError
from journeyman.tools.target import Command, Confined, Url
from journeyman.traces.events import ApprovalRequested, CallDecided, RunFinished
from journeyman.traces.store import Store
from tests.traces.collector import collector

CALL = {"tool": "add", "arguments": {"a": 2, "b": 3}}


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNEYMAN_HOME", str(tmp_path / "home"))


@pytest.fixture
def agent():
    agent = Agent(ScriptedModel([CALL, "5"]), tools=[add])
    yield agent
    agent.close()


def test_the_face_is_exactly_what_it_lists() -> None:
    assert set(journeyman.__all__) == set(journeyman._HOME)
    assert all(getattr(journeyman, name) is not None for name in journeyman.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Agnet'"):
        journeyman.Agnet  # noqa: B018


def test_importing_it_imports_nothing_heavy() -> None:
    heavy = ("mcp", "openai", "anthropic", "sqlalchemy", "xllamacpp", "torch", "pydantic", "jsonschema")
    code = f"import sys, journeyman; print([name for name in {heavy} if name in sys.modules])"

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert said.strip() == "[]"


def test_a_call_prints_as_its_answer(agent: Agent) -> None:
    result = agent("2+3?")

    assert isinstance(result, Result)
    assert str(result) == "5"


def test_a_typed_answer_is_a_value(agent: Agent) -> None:
    assert agent("2+3?", returns=int) == 5


def test_a_typed_answer_may_be_a_model() -> None:
    class Sum(BaseModel):
        value: int

    agent = Agent(ScriptedModel(['{"value": "five"}', '{"value": 5}']), tools=[])

    assert agent("2+3?", returns=Sum) == Sum(value=5)
    agent.close()


async def test_awaiting_gives_the_same(agent: Agent) -> None:
    assert str(await agent.run("2+3?")) == "5"
    assert await agent.run("2+3?", returns=int) == 5


async def test_an_entered_agent_serves_many_runs_at_once(agent: Agent) -> None:
    answers = []

    async def ask() -> None:
        answers.append(str(await agent.run("2+3?")))

    async with agent, anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(ask)

    assert answers == ["5"] * 20


def test_the_sync_face_works_inside_a_running_event_loop(agent: Agent) -> None:
    async def main() -> str:
        return str(agent("2+3?"))

    assert [asyncio.run(main()) for _ in range(2)] == ["5", "5"]


def test_runs_are_sent_to_a_collector_as_they_end_where_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    with collector() as server:
        monkeypatch.setenv("JOURNEYMAN_OTEL_ENDPOINT", server.url)
        agent = Agent(ScriptedModel([CALL, "5"]), tools=[add])
        agent("2+3?")
        agent.close()
        if told := sender(load_settings()):
            told.close()

    assert [span.name for span in server.spans if not span.parent_span_id] == ["invoke_agent journeyman"]


def test_streaming_tells_everything_and_ends_with_the_end(agent: Agent) -> None:
    types = [event.type for event in agent.stream("2+3?")]

    assert types[0] == "run_started"
    assert types[-1] == "run_finished"
    assert "model_delta" in types


@pytest.mark.parametrize("entered", [False, True])
async def test_streaming_is_an_async_iterator_too(agent: Agent, entered: bool) -> None:
    async def types() -> list[str]:
        return [event.type async for event in agent.stream("2+3?")]

    if entered:
        async with agent:
            heard = await types()
    else:
        heard = await types()

    assert (heard[0], heard[-1]) == ("run_started", "run_finished")


def test_leaving_a_stream_ends_the_run(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "runs.db")

    @tool
    async def hang() -> None:
        await anyio.sleep_forever()

    agent = Agent(ScriptedModel([{"tool": "hang", "arguments": {}}]), tools=[hang], store=store)
    for event in agent.stream("wait"):
        if event.type == "call_started":
            break

    agent.close()
    assert outcome(store) == "interrupted"
    store.close()


def test_a_run_that_fails_raises_with_its_trace() -> None:
    agent = Agent(ScriptedModel([CALL, CALL]), tools=[add], limits=Limits(steps=1))

    with pytest.raises(BudgetExceeded) as caught:
        agent("2+3?")

    assert caught.value.run_id
    agent.close()


def test_a_stream_that_fails_raises_after_its_events() -> None:
    agent = Agent(ScriptedModel([ModelError("no")]), tools=[])
    heard = []

    with pytest.raises(ModelError, match="no"):
        heard += [heard.append(event.type) for event in agent.stream("hello")]

    assert heard[-1] == "run_finished"
    agent.close()


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [(True, "5"), (False, "denied: the user said no"), ("not now", "denied: not now"), ({"a": 20, "b": 3}, "23")],
)
def test_a_callback_answers_what_the_policy_asks(answer: object, outcome: str, tmp_path: Path) -> None:
    asked: list[ApprovalRequested] = []
    store = Store.open(tmp_path / "runs.db")

    def approve(request: ApprovalRequested) -> object:
        asked.append(request)
        return answer

    agent = Agent(ScriptedModel([CALL, "done"]), tools=[add], policy=Policy.ask("add"), approve=approve, store=store)
    agent("2+3?")
    agent.close()

    finished = [each.event for each in store.events(store.resolve("last")) if each.event.type == "call_finished"]
    store.close()
    assert asked[0].arguments == {"a": 2, "b": 3}
    assert [event.result.text for event in finished if event.type == "call_finished"] == [outcome]


def test_plain_functions_and_built_in_servers_are_tools_too(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("one\ntwo\n")

    def shout(text: str) -> str:
        return text.upper()

    script = ScriptedModel(
        [
            {"tool": "files__info", "arguments": {"path": "notes.txt"}},
            {"tool": "shout", "arguments": {"text": "hi"}},
            "ok",
        ]
    )
    with Store.open(tmp_path / "runs.db") as store:
        agent = Agent(script, tools=["files", shout], root=tmp_path, store=store)
        agent("go")
        agent.close()
        results = [
            each.event.result.text for each in store.events(store.resolve("last")) if each.event.type == "call_finished"
        ]

    assert results[0].startswith("notes.txt: 2 lines")
    assert results[1] == "HI"


def test_servers_are_named_by_command_url_or_file(tmp_path: Path) -> None:
    path = tmp_path / ".mcp.json"
    path.write_text(json.dumps({"mcpServers": {"time": {"command": "uvx", "args": ["mcp-server-time"]}}}))

    words = ("uvx", "mcp-server-time")
    assert mcp("uvx mcp-server-time", env={"TZ": "UTC"}) == Command("time", words, {"TZ": "UTC"}, sandbox=Confined())
    assert mcp("uvx mcp-server-time", sandbox="off") == Command("time", words)
    may = {"write": [str(tmp_path)], "hosts": ["example.org"]}
    assert mcp("uvx mcp-server-time", sandbox=may) == Command(
        "time", words, sandbox=Confined(write=(tmp_path,), hosts=("example.org",))
    )
    assert mcp("https://wiki.example/mcp", name="wiki") == Url("wiki", "https://wiki.example/mcp")
    assert mcp.json(path) == (Command("time", words, {}, tmp_path, Confined()),)
    with pytest.raises(ConfigError):
        mcp.json(tmp_path / "missing.json")

    with pytest.raises(ConfigError, match="says not what the sandbox lets a server do"):
        mcp("uvx mcp-server-time", sandbox={"net": ["*"]})


def test_what_is_no_tool_is_refused() -> None:
    with pytest.raises(UsageError, match="is no tool"):
        Agent(ScriptedModel([]), tools=[cast("Any", 42)])


@pytest.mark.parametrize(
    ("tools", "told"),
    [
        (["filez"], "'filez' is no built-in server. Did you mean 'files'?"),
        (["uvx mcp-server-time"], "is no built-in server"),
        ([[add, 42]], "42 is no tool"),
        ("files", "tools='files' is no list"),
        (add, "is no list"),
    ],
)
def test_a_list_of_tools_that_means_nothing_is_refused(tools: Any, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        Agent(ScriptedModel([]), tools=tools)

    assert told in str(caught.value)


def test_lists_of_tools_may_be_nested() -> None:
    calls = []

    def ping() -> None:
        calls.append("ping")

    agent = Agent(ScriptedModel([{"tool": "ping", "arguments": {}}, "done"]), tools=[[ping]])
    agent("ping")
    agent.close()

    assert calls == ["ping"]


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a folder"):
        Agent(ScriptedModel([]), root=tmp_path / "missing")


def test_what_is_left_out_is_warned_of_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNEYMAN_STEPZ", "3")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        agent = Agent(ScriptedModel(["hello"]), tools=[mcp("no-such-program", name="gone")])
        for _ in range(2):
            asyncio.run(agent.run("hi"))

    setting, server = (str(each.message) for each in told)
    assert "JOURNEYMAN_STEPZ: no such setting" in setting
    assert "'gone'" in server


def test_thinking_is_what_the_caller_says_else_what_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNEYMAN_THINK", "off")
    monkeypatch.setenv("JOURNEYMAN_EFFORT", "low")
    heard: list[Any] = []

    def model() -> ScriptedModel:
        return ScriptedModel(lambda request: heard.append(request.sampling) or "5")

    for agent in (Agent(model(), tools=[]), Agent(model(), tools=[], thinking=900, effort="max")):
        agent("2+3?")
        agent.close()

    assert [(each.think, each.effort) for each in heard] == [("off", "low"), (900, "max")]
    with pytest.raises(UsageError, match="off, auto, on, or a number of tokens"):
        Agent(model(), thinking=cast("Any", "lots"))


def test_the_settings_limit_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNEYMAN_STEPS", "1")
    agent = Agent(ScriptedModel([CALL, "5"]), tools=[add])

    with pytest.raises(BudgetExceeded):
        agent("2+3?")

    agent.close()


def outcome(store: Store) -> str:
    last = list(store.events(store.resolve("last")))[-1].event
    return last.outcome if isinstance(last, RunFinished) else last.type


def test_a_fault_in_a_callback_is_raised_to_whoever_reads_the_stream() -> None:
    def broken(request: ApprovalRequested) -> bool:
        raise ValueError("a fault of mine")

    agent = Agent(ScriptedModel([CALL, "5"]), tools=[add], policy=Policy.ask("add"), approve=broken)
    for _ in range(2):
        heard = []
        with pytest.raises(ValueError, match="a fault of mine"):
            heard += [heard.append(event.type) for event in agent.stream("2+3?")]

        assert heard[-1] == "run_finished"

    agent.close()


def test_an_answer_of_the_callback_that_means_nothing_lets_nothing_happen() -> None:
    answered = cast("Any", lambda _request: 42)
    agent = Agent(ScriptedModel([CALL, "5"]), tools=[add], policy=Policy.ask("add"), approve=answered)
    with pytest.raises(UsageError, match="answered 42"):
        agent("2+3?")

    agent.close()


def test_an_empty_spec_is_not_taken_for_none() -> None:
    with pytest.raises(ModelNotFound, match="'' is no model spec"):
        Agent("", tools=[])("hi")


def test_a_prompt_that_cannot_be_written_is_refused_before_anything_is_asked() -> None:
    with pytest.raises(UsageError, match="surrogates"):
        Agent(ScriptedModel(["5"]), tools=[])("a\ud800b")


def test_an_interrupt_stops_the_run_and_its_trace_has_an_end(tmp_path: Path) -> None:
    @tool
    async def interrupt() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        await anyio.sleep_forever()

    with Store.open(tmp_path / "runs.db") as store:
        agent = Agent(ScriptedModel([{"tool": "interrupt", "arguments": {}}]), tools=[interrupt], store=store)
        with pytest.raises(KeyboardInterrupt):
            agent("wait")

        assert outcome(store) == "interrupted"
        agent.close()


@pytest.mark.parametrize("entered", [False, True])
async def test_cancelling_a_loop_over_a_stream_ends_it_at_once(entered: bool, tmp_path: Path) -> None:
    @tool
    async def hang() -> None:
        await anyio.sleep_forever()

    async def wait(agent: Agent) -> None:
        with anyio.CancelScope() as scope:
            async for event in agent.stream("wait"):
                if event.type == "call_started":
                    scope.cancel()

    with Store.open(tmp_path / "runs.db") as store:
        agent = Agent(ScriptedModel([{"tool": "hang", "arguments": {}}]), tools=[hang], store=store)
        if entered:
            async with agent:
                await wait(agent)
                assert outcome(store) == "interrupted"
        else:
            await wait(agent)
            agent.close()

        assert outcome(store) == "interrupted"


def test_a_task_that_is_cancelled_stops_listening(tmp_path: Path) -> None:
    @tool
    async def hang() -> None:
        await anyio.sleep_forever()

    async def listen(task: asyncio.Task[None]) -> None:
        async for event in agent.stream("wait"):
            if event.type == "call_started":
                task.cancel()

    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None
        await listen(task)

    agent = Agent(ScriptedModel([{"tool": "hang", "arguments": {}}]), tools=[hang], store=tmp_path / "runs.db")
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())

    agent.close()
    with Store.open(tmp_path / "runs.db") as store:
        assert outcome(store) == "interrupted"


def test_closing_gives_everything_back() -> None:
    def held() -> tuple[int, int]:
        return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))

    def use() -> tuple[int, int]:
        agent = Agent(ScriptedModel(["hello"]), tools=[])
        agent("hi")
        agent.close()
        asyncio.run(agent.run("hi"))
        return held()

    assert use() == use()


def test_threads_that_call_at_once_share_one_runtime() -> None:
    class Counted(ScriptedModel):
        starts = 0

        def start(self) -> None:
            self.starts += 1

    model = Counted(["hello"])
    agent = Agent(model, tools=[])
    gate = threading.Barrier(8)

    def call() -> None:
        gate.wait()
        agent("hi")

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()

    for thread in threads:
        thread.join()

    agent.close()
    assert model.starts == 1


def test_no_arguments_are_an_answer_too() -> None:
    calls = []

    @tool
    def ping() -> None:
        calls.append("ping")

    script = ScriptedModel([{"tool": "ping", "arguments": {}}, "done"])
    agent = Agent(script, tools=[ping], policy=Policy.ask("ping"), approve=lambda _request: {})
    agent("ping")
    agent.close()

    assert calls == ["ping"]


async def test_code_that_may_reach_hosts_is_judged_as_something_that_sends(monkeypatch, tmp_path):
    monkeypatch.setenv("JOURNEYMAN_SANDBOX_HOSTS", "example.org")
    script = [{"tool": "code__python", "arguments": {"code": "1"}}, "I may not."]
    for policy in ("readonly", Policy.preset("readonly")):
        with Store.open(tmp_path / "runs.db") as store:
            result = await Agent(ScriptedModel(script), policy=policy, store=store, root=tmp_path).run("?")
            [decided] = [each.event for each in store.events(result.run_id) if isinstance(each.event, CallDecided)]

        assert (decided.effect, decided.labels) == ("deny", ("internal", "external", "outsider", "private"))


def test_a_policy_may_be_named_and_a_wrong_name_or_model_is_told():
    assert Agent(ScriptedModel(["hi"]), tools=[], policy="readonly")("?").answer == "hi"
    with pytest.raises(PolicyError, match="no policy 'nope'"):
        Agent(policy="nope")

    with pytest.raises(UsageError, match="model=3 is no model"):
        Agent(model=cast("Any", 3))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"limits": 3}, "limits=3 will not do"),
        ({"sampling": {"temperature": 1}}, "sampling="),
        ({"instructions": 7}, "instructions=7 will not do"),
        ({"timeout": 0}, "timeout=0 is no time"),
    ],
)
def test_an_option_of_another_kind_is_refused_in_words(given: Any, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        Agent(ScriptedModel(["5"]), tools=[], **given)


@pytest.mark.parametrize("prompt", [None, "", "  ", 5])
def test_a_prompt_must_say_something(prompt: Any) -> None:
    with pytest.raises(UsageError, match="is no prompt"):
        Agent(ScriptedModel(["5"]), tools=[])(prompt)


def test_an_answer_has_a_type_that_exists() -> None:
    with pytest.raises(UsageError, match="returns='nothing'"):
        Agent(ScriptedModel(["5"]), tools=[])("2+3?", returns=cast("Any", "nothing"))
