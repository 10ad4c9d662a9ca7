"""A run with a bit of everything in it, for views of runs: made of events at fixed times."""

from collections.abc import Sequence

from journeyman.traces.events import (
    ApprovalAnswered,
    ApprovalRequested,
    BudgetWarned,
    CallDecided,
    CallFinished,
    CallProposed,
    CallStarted,
    MessageAdded,
    ModelRequested,
    ModelResponded,
    PlanStep,
    PlanUpdated,
    RunFinished,
    RunResumed,
    RunStarted,
    SampleScored,
    StoredEvent,
)
from journeyman.traces.messages import (
    AssistantMessage,
    Part,
    Text,
    Thinking,
    Tokens,
    TokenSpan,
    ToolCall,
    ToolResult,
    ToolSpec,
    Usage,
)
from journeyman.traces.writer import Stored

START = 1_795_000_000_000_000
TOOLS = (
    ToolSpec(
        name="files__read", server="files", tool="read", description="Read a file.", parameters={"type": "object"}
    ),
    ToolSpec(name="files__delete", server="files", tool="delete", parameters={"type": "object"}),
    ToolSpec(name="add", server="python", tool="add", parameters={"type": "object"}),
)
TOKENS = Tokens(
    level="tokens",
    logprob_kind="raw",
    root=True,
    spans=(
        TokenSpan(kind="context", ids=(1, 2, 3)),
        TokenSpan(kind="sampled", ids=(4, 5), logprobs=(-0.5, -0.25)),
    ),
)


def stored(run_id: str, events: Sequence[StoredEvent], first: int = 1, at: int = START) -> list[Stored]:
    """Events a second apart."""
    return [Stored(run_id, first + n, at + n * 1_000_000, event) for n, event in enumerate(events)]


def said(step: int, *parts: Part, tokens: Tokens | None = None) -> list[StoredEvent]:
    usage = Usage(prompt_tokens=10 * step, cached_tokens=4, completion_tokens=5, reasoning_tokens=2)
    message = AssistantMessage(parts=parts, provider_state={"opaque": "state"})
    return [
        ModelRequested(step=step, sampling={"temperature": 1.0, "max_tokens": 512, "logprobs": True}),
        ModelResponded(step=step, message=message, usage=usage, cost_usd=0.25, seconds=1.0, tokens=tokens),
    ]


def finished(call_id: str, name: str, text: str, **more) -> CallFinished:
    result = ToolResult(call_id=call_id, name=name, text=text, is_error=more.pop("is_error", False))
    return CallFinished(result=result, seconds=0.5, **more)


BEGUN: list[StoredEvent] = [
    RunStarted(
        prompt="Tidy up «boats» with <SECRET:token>.",
        instructions="Be brief.",
        model="openai:gpt-5",
        model_info={"context": 8000},
        tools=TOOLS,
        policy={"name": "ask", "digest": "d1"},
        root="/home/me",
    ),
    *said(
        1,
        Thinking(text="Which files?", signature="opaque"),
        Thinking(text="", hidden=True),
        Text(text="I look."),
        ToolCall(id="c1", name="files__read", arguments='{"path": "boats.txt"}'),
        ToolCall(id="c1_2", name="files__delete", arguments='{"path": "/"}'),
        ToolCall(id="c1_3", name="add", arguments="{oops"),
        tokens=TOKENS,
    ),
    CallProposed(call_id="c1", tool="files.read", arguments={"path": "boats.txt"}),
    CallDecided(call_id="c1", effect="ask", rules=("r.read",), reason="outside"),
    ApprovalRequested(call_id="c1", tool="files.read", arguments={"path": "boats.txt"}, reason="outside"),
    ApprovalAnswered(call_id="c1", approved=True, by="user", arguments={"path": "boats.md"}),
    CallProposed(call_id="c1_2", tool="files.delete", arguments={"path": "/"}),
    CallDecided(call_id="c1_2", effect="deny", rules=("fs.no-delete",), reason="nothing is deleted here"),
    CallProposed(call_id="c1_3", tool="python.add", problem="the arguments are no JSON"),
    CallStarted(call_id="c1"),
    finished("c1", "files__read", "two boats"),
    finished("c1_2", "files__delete", "denied: nothing is deleted here", is_error=True, status="denied"),
    finished("c1_3", "add", "error: the arguments are no JSON", is_error=True, status="error"),
    PlanUpdated(steps=(PlanStep(text="look", status="done"),)),
    BudgetWarned(what="steps", used=8, limit=10),
]
ENDED: list[StoredEvent] = [
    *said(2, Text(text="Two boats.")),
    RunFinished(outcome="answered", answer="Two boats.", steps=2, denied=1, seconds=20.0),
]
SCORED: list[StoredEvent] = [
    SampleScored(verifier="exact", score=1.0, evidence={"found": 2}),
    SampleScored(verifier="judge", score=None, status="error"),
]
WHOLE = stored("the-run", [*BEGUN, *ENDED, *SCORED])

KILLED: list[StoredEvent] = [
    RunStarted(prompt="Add.", model="local:/m/Qwen.gguf", tools=TOOLS),
    *said(1, ToolCall(id="c1", name="add", arguments='{"a": 1}'), ToolCall(id="c1_2", name="add", arguments="{}")),
    CallProposed(call_id="c1", tool="python.add", arguments={"a": 1}),
    CallDecided(call_id="c1", effect="allow"),
    CallProposed(call_id="c1_2", tool="python.add", arguments={}),
    CallDecided(call_id="c1_2", effect="allow"),
    CallStarted(call_id="c1"),
    CallStarted(call_id="c1_2"),
    RunResumed(unfinished=("c1", "c1_2"), model="local:/m/Other.gguf"),
    finished("c1", "add", "unknown: it may have happened", is_error=True, status="unknown"),
    CallProposed(call_id="c1_2", tool="python.add", arguments={}),
    CallDecided(call_id="c1_2", effect="allow"),
    CallStarted(call_id="c1_2"),
    finished("c1_2", "add", "3"),
    MessageAdded(text="Be quick."),
    ModelRequested(step=2),
    RunFinished(outcome="model_error", error={"kind": "model", "message": "The server is gone.", "fix": "Start it."}),
]
RESUMED = stored("killed", KILLED)

FORK = [
    *WHOLE[:17],
    *stored(
        "the-fork",
        [
            RunStarted(prompt="Tidy up.", model="scripted", tools=TOOLS, parent="the-run", parent_seq=17),
            MessageAdded(text="Another way."),
            *said(2, Text(text="Done.")),
            RunFinished(outcome="answered", answer="Done."),
        ],
    ),
]
UNFINISHED = stored("going-on", KILLED[:8])
