import json
import logging
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span, Status

from journeyman.agent.models.scripted import ScriptedModel
from journeyman.agent.order import Order
from journeyman.agent.runtime import Runtime
from journeyman.errors import ConfigError
from journeyman.policies.policy import Policy
from journeyman.tools.catalog import Catalog
from journeyman.traces.events import Compacted, ModelRequested, RunStarted
from journeyman.traces.export import Skip, otlp, send
from journeyman.traces.export.live import Sender
from journeyman.traces.export.otel import WINDOW, lines, spans
from journeyman.traces.span import in_call, traceparent
from journeyman.traces.store import Store
from journeyman.traces.writer import Stored
from tests.agent.crew import add, call
from tests.traces.collector import Collector, collector
from tests.traces.runs import record
from tests.traces.trips import FORK, RESUMED, UNFINISHED, WHOLE, said, stored

GOLDEN = Path(__file__).parent / "golden"
TRIPS = {"whole": WHOLE, "resumed": RESUMED, "fork": FORK, "unfinished": UNFINISHED}


@pytest.fixture
def collected() -> Iterator[Collector]:
    with collector() as server:
        yield server


def plain(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    return [plain(item) for item in value.array_value.values] if kind == "array_value" else getattr(value, kind or "")


def attributes(span: Span | Span.Event | Resource) -> dict[str, Any]:
    return {item.key: plain(item.value) for item in span.attributes}


def tree(some: list[Span]) -> list[str]:
    """A line for each span in the order they began, under its parent."""
    children = {parent: [s for s in some if s.parent_span_id == parent] for parent in {s.parent_span_id for s in some}}

    def below(parent: bytes, depth: int) -> Iterator[str]:
        for span in sorted(children.get(parent, ()), key=lambda each: each.start_time_unix_nano):
            code = Status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_").lower()
            yield f"{'  ' * depth}{span.name}: {code} {span.status.message}".rstrip()
            yield from below(span.span_id, depth + 1)

    return list(below(b"", 0))


def named(run: list[Stored], name: str) -> Span:
    return next(span for span in spans(run) if span.name == name)


@pytest.mark.parametrize("name", TRIPS)
def test_spans_are_what_they_were(name: str) -> None:
    golden = ScopeSpans.FromString((GOLDEN / f"{name}.binpb").read_bytes())

    assert list(golden.spans) == spans(TRIPS[name])


def test_a_run_is_a_tree_that_shows_denials_errors_and_scores() -> None:
    assert tree(spans(WHOLE)) == snapshot(
        [
            "invoke_agent journeyman: ok",
            "  chat gpt-5: unset",
            "  execute_tool files.read: unset",
            "  execute_tool files.delete: error denied by policy fs.no-delete: nothing is deleted here",
            "  execute_tool python.add: error error: the arguments are no JSON",
            "  chat gpt-5: unset",
            "  evaluate exact: unset",
            "  evaluate judge: error failed",
        ]
    )


def test_a_run_that_was_killed_and_taken_up_again_is_one_trace() -> None:
    some = spans(RESUMED)

    assert len({span.trace_id for span in some}) == 1
    assert tree(some) == snapshot(
        [
            "invoke_agent journeyman: unset",
            "  chat /m/Qwen.gguf: unset",
            "  execute_tool python.add: error no result was recorded",
            "  execute_tool python.add: error no result was recorded",
            "  invoke_agent journeyman: error The server is gone.",
            "    execute_tool python.add: error unknown: it may have happened",
            "    execute_tool python.add: unset",
            "    chat /m/Other.gguf: error no response was recorded",
        ]
    )


def test_a_fork_is_a_trace_of_its_own_linked_to_the_other_run() -> None:
    some = spans(FORK)
    [link] = some[-1].links
    [root] = [span for span in spans(WHOLE) if not span.parent_span_id]

    assert tree(some) == snapshot(["invoke_agent journeyman: ok", "  chat scripted: unset"])
    assert (link.trace_id, link.span_id) == (root.trace_id, root.span_id)
    assert attributes(some[-1])["gen_ai.input.messages"] == snapshot(
        '[{"role": "user", "parts": [{"type": "text", "content": "Another way."}]}]'
    )
    assert len(json.loads(attributes(some[0])["gen_ai.input.messages"])) == 6


def test_a_model_call_says_what_was_read_and_written() -> None:
    said = attributes(named(WHOLE, "chat gpt-5"))
    texts = {key: json.loads(said.pop(key)) for key in [*said] if "[{" in str(said[key])}
    texts["gen_ai.tool.definitions"] = texts["gen_ai.tool.definitions"][:1]

    assert said == snapshot(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.conversation.id": "the-run",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-5",
            "journeyman.step": 1,
            "journeyman.choice": "auto",
            "gen_ai.request.temperature": 1.0,
            "gen_ai.request.max_tokens": 512,
            "journeyman.sampling.logprobs": True,
            "gen_ai.response.finish_reasons": ["tool_call"],
            "gen_ai.usage.input_tokens": 10,
            "gen_ai.usage.output_tokens": 5,
            "gen_ai.usage.cache_read.input_tokens": 4,
            "gen_ai.usage.reasoning.output_tokens": 2,
            "journeyman.cost_usd": 0.25,
        }
    )
    assert texts == snapshot(
        {
            "gen_ai.system_instructions": [{"type": "text", "content": "Be brief."}],
            "gen_ai.input.messages": [
                {"role": "user", "parts": [{"type": "text", "content": "Tidy up «boats» with <SECRET:token>."}]}
            ],
            "gen_ai.tool.definitions": [
                {
                    "type": "function",
                    "name": "files__read",
                    "description": "Read a file.",
                    "parameters": {"type": "object"},
                }
            ],
            "gen_ai.output.messages": [
                {
                    "role": "assistant",
                    "parts": [
                        {"type": "reasoning", "content": "Which files?"},
                        {"type": "reasoning", "content": "(not shown by the provider)", "hidden": True},
                        {"type": "text", "content": "I look."},
                        {"type": "tool_call", "id": "c1", "name": "files__read", "arguments": {"path": "boats.txt"}},
                        {"type": "tool_call", "id": "c1_2", "name": "files__delete", "arguments": {"path": "/"}},
                        {"type": "tool_call", "id": "c1_3", "name": "add", "arguments": "{oops"},
                    ],
                    "finish_reason": "tool_call",
                }
            ],
        }
    )


def test_a_denied_call_says_by_which_rules() -> None:
    assert attributes(named(WHOLE, "execute_tool files.delete")) == snapshot(
        {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.conversation.id": "the-run",
            "gen_ai.tool.name": "files.delete",
            "gen_ai.tool.type": "function",
            "gen_ai.tool.call.id": "c1_2",
            "gen_ai.tool.call.arguments": '{"path": "/"}',
            "mcp.method.name": "tools/call",
            "journeyman.policy.effect": "deny",
            "journeyman.policy.rules": ["fs.no-delete"],
            "journeyman.policy.reason": "nothing is deleted here",
            "gen_ai.tool.call.result": "denied: nothing is deleted here",
            "journeyman.call.status": "denied",
            "journeyman.call.seconds": 0.5,
            "error.type": "denied",
        }
    )


def test_an_approved_call_shows_what_was_really_done_and_when_it_was_asked_for() -> None:
    span = named(WHOLE, "execute_tool files.read")

    assert attributes(span)["gen_ai.tool.call.arguments"] == '{"path": "boats.md"}'
    assert {event.name: attributes(event) for event in span.events} == snapshot(
        {
            "journeyman.approval_requested": {
                "tool": "files.read",
                "arguments": '{"path": "boats.txt"}',
                "reason": "outside",
            },
            "journeyman.approval_answered": {
                "approved": True,
                "arguments": '{"path": "boats.md"}',
            },
            "journeyman.call_started": {},
        }
    )


def test_a_score_that_is_missing_is_not_zero() -> None:
    exact, judge = attributes(named(WHOLE, "evaluate exact")), attributes(named(WHOLE, "evaluate judge"))

    assert exact["gen_ai.evaluation.score.value"] == 1.0
    assert "gen_ai.evaluation.score.value" not in judge
    assert judge["gen_ai.evaluation.score.label"] == "error"


def test_what_only_a_provider_can_read_is_left_out_and_placeholders_stay() -> None:
    [line] = lines(WHOLE)

    assert "opaque" not in line
    assert "<SECRET:token>" in line


def test_the_call_a_server_was_told_of_is_the_span_it_belongs_to() -> None:
    with in_call("the-run", "c1"):
        told = traceparent()

    span = named(WHOLE, "execute_tool files.read")
    assert told == f"00-{span.trace_id.hex()}-{span.span_id.hex()}-01"


@pytest.mark.parametrize("name", TRIPS)
def test_wherever_a_run_stops_its_spans_are_whole(name: str) -> None:
    run = TRIPS[name]
    own = next(n for n, each in enumerate(run) if each.run_id == run[-1].run_id)
    for end in range(own + 1, len(run) + 1):
        some = spans(run[:end])
        ids = {span.span_id for span in some}
        assert len(ids) == len(some)
        assert {span.parent_span_id for span in some} <= ids | {b""}
        assert all(span.end_time_unix_nano >= span.start_time_unix_nano > 0 for span in some)


def test_a_run_without_a_beginning_is_left_out() -> None:
    with pytest.raises(Skip):
        spans(WHOLE[1:])


def test_a_long_conversation_takes_no_more_room_in_later_calls() -> None:
    start = RunStarted(prompt="x" * WINDOW, model="scripted")
    [chat, _] = spans(stored("long", [start, *said(1)]))
    assert "journeyman.input.left_out" not in attributes(chat)

    summary = Compacted(kept=0, summary="s" * (WINDOW // 2))
    [chat, _] = spans(stored("long", [start, summary, *said(1)]))
    [read] = json.loads(attributes(chat)["gen_ai.input.messages"])
    assert read["parts"][0]["content"] == summary.summary
    assert attributes(chat)["journeyman.input.left_out"] == 1


def test_a_line_of_a_file_is_otlp_s_json() -> None:
    [line] = lines(FORK)
    span = json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"][-1]
    [sent] = [span for span in spans(FORK) if not span.parent_span_id]

    assert (span["traceId"], span["spanId"]) == (sent.trace_id.hex(), sent.span_id.hex())
    assert span["links"] == [{"traceId": sent.links[0].trace_id.hex(), "spanId": sent.links[0].span_id.hex()}]
    assert span["kind"] == 1
    assert span["startTimeUnixNano"] == str(sent.start_time_unix_nano)


def test_numbers_that_are_too_large_become_text() -> None:
    asked = ModelRequested(step=1, sampling={"seed": 2**70})
    [chat, _] = spans(stored("r", [RunStarted(prompt="?", model="m"), asked]))

    assert attributes(chat)["gen_ai.request.seed"] == str(2**70)


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_runs_are_sent_to_a_collector(store: Store, collected: Collector, monkeypatch) -> None:
    monkeypatch.setenv(otlp.HEADERS, "x-key=a%2Cb, other = c")
    monkeypatch.setattr(otlp, "BATCH", 3)
    run_id = await record(store, *[each.event for each in WHOLE])
    headless = await record(store, *said(1))

    done = send(store, [headless, run_id], collected.url)

    assert (done.rows, done.runs, done.skipped) == (8, 1, {headless: "it has no beginning"})
    assert collected.spans == spans(list(store.events(run_id)))
    assert collected.paths == ["/v1/traces"] * 3
    assert {key: collected.headers[0][key] for key in ("content-type", "x-key", "other")} == snapshot(
        {"content-type": "application/x-protobuf", "x-key": "a,b", "other": "c"}
    )
    assert attributes(collected.requests[0].resource_spans[0].resource)["service.name"] == "journeyman"


def test_a_path_is_kept(collected: Collector) -> None:
    otlp.send(f"{collected.url}/my/traces", spans(UNFINISHED))

    assert collected.paths == ["/my/traces"]


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize(
    ("status", "refuses", "problem"),
    [(503, 0, "HTTP status 503"), (200, 2, "2 spans were refused: too old"), (302, 0, "HTTP status 302")],
)
def test_a_collector_that_will_not_take_them_is_an_error(collected: Collector, status, refuses, problem) -> None:
    collected.status, collected.refuses = status, refuses

    with pytest.raises(ConfigError, match=problem):
        otlp.send(collected.url, spans(UNFINISHED))


@pytest.mark.parametrize("url", ["http://me:s3cret@127.0.0.1:{}", "http://[", "http://127.0.0.1:99999", "gopher://x"])
def test_an_address_where_nobody_is_is_an_error_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError, match="cannot be sent") as caught:
        otlp.send(url.format(closed_port()), spans(UNFINISHED))

    assert "s3cret" not in f"{caught.value} {caught.value.fix}"


async def three_runs(store: Store, sender: Sender) -> list[str]:
    """One from its start, the same gone on with, and a fork of it."""
    async with Runtime(
        ScriptedModel([call(a=1, b=2), "3", "4"]), Catalog([add]), Policy.preset("yolo"), store, ended=sender
    ) as it:
        first = await it.run(Order("1+2?"))
        await it.resume(first.run_id, Order("And 1 more?"))
        fork = await it.fork(first.run_id, 2, Order("Sure?"))

    return [first.run_id, first.run_id, fork.run_id]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_runs_are_sent_as_they_end(store: Store, collected: Collector) -> None:
    sender = Sender(collected.url)
    run_ids = await three_runs(store, sender)
    sender.close()

    first, again, fork = (list(each.resource_spans[0].scope_spans[0].spans) for each in collected.requests)
    assert again == spans(list(store.events(run_ids[1])))
    assert again[: len(first)] == first
    assert fork == spans(list(store.events(run_ids[2])))


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_a_collector_that_is_gone_fails_no_run_and_is_told_of_once(store: Store, caplog) -> None:
    sender = Sender(f"http://127.0.0.1:{closed_port()}")
    with caplog.at_level(logging.WARNING):
        run_ids = await three_runs(store, sender)
        sender.close()

    assert [run.outcome for run in store.runs()] == ["answered", "answered"]
    [told] = caplog.messages
    assert told.startswith("The spans cannot be sent to http://127.0.0.1:")
    assert told.endswith(f"--to URL --where run:{run_ids[0]}")


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_nobody_waits_for_a_collector_that_does_not_answer(store: Store, collected: Collector, caplog) -> None:
    collected.silent.clear()
    sender = Sender(collected.url)
    await three_runs(store, sender)

    thread = sender._thread
    sender.close(patience=0.01)

    assert thread is not None
    assert thread.is_alive()
    assert caplog.messages[0].startswith("The collector did not answer within 0.01 seconds. Runs stay in the store:")
    assert [run.outcome for run in store.runs()] == ["answered", "answered"]
    collected.silent.set()
    thread.join()


def test_what_waits_to_be_sent_does_not_grow_without_end(collected: Collector, caplog, monkeypatch) -> None:
    monkeypatch.setattr("journeyman.traces.export.live.WAITING", 2)
    collected.silent.clear()
    sender = Sender(collected.url)
    with caplog.at_level(logging.WARNING):
        for _ in range(9):
            sender(UNFINISHED)

    collected.silent.set()
    sender.close()

    assert len(collected.requests) < 9
    assert len(caplog.messages) == 1
    assert "are waiting to be sent already" in caplog.messages[0]


if __name__ == "__main__":  # python -m tests.traces.test_otel: take what is now for right
    for name, run in TRIPS.items():
        (GOLDEN / f"{name}.binpb").write_bytes(ScopeSpans(spans=spans(run)).SerializeToString(deterministic=True))
