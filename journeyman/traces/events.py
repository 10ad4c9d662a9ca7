"""A run is a stream of these events; everything else is a reader of that one stream.

    run_started
      ([message_added] [inside* message_added] [budget_raised] model_requested  model_delta*  model_responded
         (call_proposed  call_decided  [approval_requested approval_answered])*
         (call_started)*  call_progress*  inside*  [plan_updated]  (call_finished)*  [budget_warned] [compacted])*
    run_finished

`model_delta` and `call_progress` are ephemeral: shown, never stored. Every other event is stored before its effect is
reported, and `call_started` is durable before the tool runs: whoever reads the trace after a crash knows which effects
may have happened. `run_resumed` marks where a later process took the run up again. After the end others may add what
they say of the run: `files_kept`, `sample_scored`. State is a fold over these events (`traces/fold.py`), so resuming is
folding and going on.

A search (`agent/strategies`) is a run whose steps are whole runs, each with a trace of its own: between its first and
its last event stand `candidate_tried` and `candidate_scored`, in any number, and one `candidate_chosen`.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, JsonValue, TypeAdapter

from journeyman.traces.messages import AssistantMessage, Tokens, ToolResult, ToolSpec, Usage, Value

TRACE_VERSION = 1

Effect = Literal["allow", "ask", "deny"]
Choice = Literal["auto", "required", "none"]
Outcome = Literal[
    "answered", "failed", "model_error", "budget", "tool_error", "sandbox_error", "timeout", "interrupted"
]


class Sample(Value):
    """A run's place in a batch of practice. Runs of one batch and task are a group: exchangeable attempts."""

    batch: str
    task: str
    """The task's content hash."""
    index: int
    """0 for the first attempt of the group."""
    kind: str = ""
    split: Literal["train", "held_out"] = "train"
    source: str = ""


class RunStarted(Value):
    type: Literal["run_started"] = "run_started"
    prompt: str
    origin: Literal["user", "model"] = "user"
    """model: what asks for the run is a program's or another run's model; what it says is not the user's word."""
    secret: bool = False
    """The prompt had a secret in it, which is stored as a placeholder: nothing trains on this run."""
    instructions: str = ""
    """System prompt, without the tools."""
    model: str
    """The spec string the model was made from."""
    model_info: dict[str, JsonValue] = Field(default_factory=dict)
    """What identifies it: file, hash, adapter, quantisation, renderer, context size, engine version."""
    tools: tuple[ToolSpec, ...] = ()
    policy: dict[str, JsonValue] = Field(default_factory=dict)
    """Name, hash and text of the permission policy."""
    sandbox: dict[str, JsonValue] = Field(default_factory=dict)
    """Where code that the model writes is run: backend, level, and each guarantee with whether it was proven here. At
    level 0 nothing is isolated, and nothing trains on this run."""
    limits: dict[str, JsonValue] = Field(default_factory=dict)
    """What it may spend (steps, tokens, seconds, usd), `call_seconds`, and how its window is used (`context`,
    `compact_at`)."""
    returns: dict[str, JsonValue] | None = None
    """JSON Schema the answer must match."""
    root: str = ""
    """The folder the tools work in."""
    seed: int | None = None
    sample: Sample | None = None
    """Set where the run practises a task."""
    parent: str | None = None
    """The run this one was forked from."""
    parent_seq: int | None = None
    """Its last event that belongs to this run too: they share everything up to there."""
    strategy: str = ""
    """How more thinking is spent than one plain run: `cot`, `vote(8)`; of a search it names the whole of it."""
    group: str | None = None
    """The search that this run is a candidate of."""
    version: int = TRACE_VERSION


class RunResumed(Value):
    type: Literal["run_resumed"] = "run_resumed"
    unfinished: tuple[str, ...] = ()
    """Calls whose intent was stored without a result: they may or may not have happened."""
    limits: dict[str, JsonValue] = Field(default_factory=dict)
    """As in `run_started`, from here on."""
    model: str | None = None
    """Who goes on, as in `run_started`; unset in traces of the first days."""
    model_info: dict[str, JsonValue] = Field(default_factory=dict)
    tools: tuple[ToolSpec, ...] = ()
    policy: dict[str, JsonValue] = Field(default_factory=dict)


class MessageAdded(Value):
    """Words that join the conversation while the run goes on."""

    type: Literal["message_added"] = "message_added"
    text: str
    secret: bool = False
    """As in `run_started`."""
    origin: Literal["user", "runtime", "compaction"] = "user"
    """runtime: the loop's own, such as the question to mend an answer that does not match its schema. compaction: its
    question for a summary, which goes with its answer when the conversation is compacted."""


class ModelRequested(Value):
    type: Literal["model_requested"] = "model_requested"
    step: int
    """1 for the first model call of the run."""
    choice: Choice = "auto"
    """May, must or must not the model call a tool."""
    offered: tuple[str, ...] | None = None
    """Names of the tools offered in this step; None for all of the run's."""
    sampling: dict[str, JsonValue] = Field(default_factory=dict)
    """Only what differs from the model's defaults."""


class ModelDelta(Value):
    """Ephemeral: a piece of what the model is writing."""

    type: Literal["model_delta"] = "model_delta"
    kind: Literal["text", "thinking", "call", "status"]
    """status: not the model's words but its loader's (`loading model`)."""
    text: str


class ModelResponded(Value):
    type: Literal["model_responded"] = "model_responded"
    step: int
    message: AssistantMessage
    finish: Literal["stop", "length", "cut", "refusal"] = "stop"
    usage: Usage = Usage()
    cost_usd: float | None = None
    """None where no price is known; a local model costs 0."""
    seconds: float = 0.0
    tokens: Tokens | None = None


class PlanStep(Value):
    text: str
    status: Literal["pending", "active", "done", "dropped"] = "pending"


class PlanUpdated(Value):
    type: Literal["plan_updated"] = "plan_updated"
    steps: tuple[PlanStep, ...]


class CallProposed(Value):
    type: Literal["call_proposed"] = "call_proposed"
    call_id: str
    tool: str
    """`server.tool`, or the name the model invented where there is no such tool."""
    arguments: dict[str, JsonValue] | None = None
    """Parsed and validated; None where they are not valid."""
    problem: str | None = None
    """Why the call cannot be made: no such tool, or arguments that do not fit."""


def steered(provenance: Mapping[str, JsonValue]) -> bool:
    """A text of others chose a target, or the call carries off a secret or a link of theirs."""
    each = (finding for found in provenance.values() if isinstance(found, list) for finding in found)
    bad = (finding for finding in each if isinstance(finding, dict) and finding.get("enough") is False)
    return any(finding.get("from") == "outsider" or finding.get("kind") in {"link", "secret"} for finding in bad)


class CallDecided(Value):
    type: Literal["call_decided"] = "call_decided"
    call_id: str
    effect: Effect
    rules: tuple[str, ...] = ()
    """Ids of every rule that matched."""
    reason: str = ""
    provenance: dict[str, JsonValue] = Field(default_factory=dict)
    """By argument: where its values came from, with the witness; `enough: false` is what may not steer unasked."""
    labels: tuple[str, ...] = ()
    """What the tool does, and how far its result can be trusted; empty where there is nothing to note."""

    @property
    def steered(self) -> bool:
        return steered(self.provenance)


class ApprovalRequested(Value):
    type: Literal["approval_requested"] = "approval_requested"
    call_id: str
    tool: str
    arguments: dict[str, JsonValue]
    """The proposed ones, in full."""
    reason: str = ""
    rules: tuple[str, ...] = ()
    provenance: dict[str, JsonValue] = Field(default_factory=dict)
    """As in `call_decided`."""
    token: str = ""
    """Hash of the call, the tool's definition and its labels: what an answer is bound to."""
    offer: str = ""
    """The exact rule that `session` or `always` would remember; empty where neither is offered."""


class ApprovalAnswered(Value):
    type: Literal["approval_answered"] = "approval_answered"
    call_id: str
    approved: bool
    by: Literal["user", "nobody", "callback", "saved"] = "user"
    """nobody: no one was there to ask, so the answer is no."""
    reason: str = ""
    """For the model, where the answer is no."""
    arguments: dict[str, JsonValue] | None = None
    """What will really be executed, where the person edited the proposal."""
    secret: bool = False
    """As in `run_started`."""
    keep: Literal["once", "session", "always"] = "once"
    """How long the approval is remembered."""
    token: str = ""
    """That of the question; an answer with another one answers nothing."""


class CallStarted(Value):
    """The intent: committed before the effect."""

    type: Literal["call_started"] = "call_started"
    call_id: str
    task: str = ""
    """Said once more, where the call's server has made a task of it: the handle by which that is asked for later."""


class CallProgress(Value):
    """Ephemeral: a word from a tool that is still at work."""

    type: Literal["call_progress"] = "call_progress"
    call_id: str
    text: str = ""
    fraction: float | None = None


CallStatus = Literal["ok", "error", "denied", "refused", "timeout", "unknown", "repeated"]


class CallFinished(Value):
    type: Literal["call_finished"] = "call_finished"
    result: ToolResult
    seconds: float = 0.0
    status: CallStatus = "ok"
    """denied: by the policy, or because nobody was there to ask. refused: by a person. unknown: the process ended while
    it ran. repeated: not run again, the earlier result was given back."""


InnerEvent = Annotated[
    CallProposed | CallDecided | ApprovalRequested | ApprovalAnswered | CallStarted | CallFinished,
    Field(discriminator="type"),
]


class Inside(Value):
    """Something that a call under way asked for: a call of its own, or a question of its server to the user. Or a call
    of the user's own, inside their message: what came of it follows as a message of the runtime's.
    """

    type: Literal["inside"] = "inside"
    call_id: str
    """The call under way, which the model made; the event has an id of its own. Of the user's own call both are `u0`,
    `u1`, ..."""
    event: InnerEvent

    @property
    def own(self) -> bool:
        """The user's own call."""
        event = self.event
        return self.call_id == (event.result.call_id if isinstance(event, CallFinished) else event.call_id)


Resource = Literal["steps", "tokens", "seconds", "usd"]


class BudgetWarned(Value):
    type: Literal["budget_warned"] = "budget_warned"
    what: Resource
    used: float
    limit: float


class BudgetRaised(Value):
    """More was spent than the limit allowed, and whoever was asked allowed more."""

    type: Literal["budget_raised"] = "budget_raised"
    what: Resource
    limit: float
    """The limit from here on."""


class Compacted(Value):
    """Room was made in the model's window: from here on it reads the prompt, what stands here, and what was kept."""

    type: Literal["compacted"] = "compacted"
    kept: int
    """Messages at the end that were kept as they are."""
    summary: str = ""
    """Stands for all between the prompt and those; empty where only results were cut."""
    results: int | None = None
    """Characters that each result before the kept messages was cut to; None where none was."""
    tokens: int = 0
    """What the conversation had before."""


class FilesKept(Value):
    """The files of the folder as the run left them: a run can be scored again without being run again."""

    type: Literal["files_kept"] = "files_kept"
    files: dict[str, str | None]
    """Path -> text, of those that are not as they were laid out; None for what is no text, or too long."""
    gone: tuple[str, ...] = ()
    """Paths that were laid out and are not there any more."""


class SampleScored(Value):
    type: Literal["sample_scored"] = "sample_scored"
    verifier: str
    """Name and version of what judged; `reward/HASH` is the score that counts, made of the others."""
    name: str = ""
    """What the task calls the check."""
    score: float | None = None
    """None is "not scored", which is not 0."""
    status: Literal["ok", "error", "timeout", "na"] = "ok"
    evidence: JsonValue = None
    steps: dict[int, float] = Field(default_factory=dict)
    """Scores of single steps: a process score, apart from the outcome."""


Role = Literal["candidate", "revision", "judgement"]


class CandidateTried(Value):
    """A run of a search has ended."""

    type: Literal["candidate_tried"] = "candidate_tried"
    run_id: str
    index: int
    """0 for the first run of the search."""
    role: Role = "candidate"
    """revision: it goes on from `of`. judgement: it was asked about `of`, and can not be chosen."""
    of: str | None = None
    strategy: str = ""
    outcome: Outcome
    answer: str = ""
    """Its beginning."""
    usage: Usage = Usage()
    cost_usd: float | None = None
    steps: int = 0
    denied: int = 0
    seconds: float = 0.0


class CandidateScored(Value):
    type: Literal["candidate_scored"] = "candidate_scored"
    run_id: str
    by: str
    """verifier, judge, process or likelihood."""
    score: float | None = None
    """None: it could not be told."""
    why: str = ""


class CandidateChosen(Value):
    type: Literal["candidate_chosen"] = "candidate_chosen"
    run_id: str
    why: str
    applied: tuple[str, ...] = ()
    """Paths in the run's folder that it changed: only now, and only its."""
    kept_back: str = ""
    """Why its changes could not be applied, or what no candidate could do."""


class RunFinished(Value):
    type: Literal["run_finished"] = "run_finished"
    outcome: Outcome
    answer: str | None = None
    error: dict[str, str] | None = None
    """kind, message and fix, where the outcome is an error."""
    usage: Usage = Usage()
    cost_usd: float | None = None
    """None where the price of any call is not known."""
    steps: int = 0
    denied: int = 0
    """Calls that the policy refused, or that nobody was there to approve."""
    seconds: float = 0.0


StoredEvent = Annotated[
    RunStarted
    | RunResumed
    | MessageAdded
    | ModelRequested
    | ModelResponded
    | PlanUpdated
    | CallProposed
    | CallDecided
    | ApprovalRequested
    | ApprovalAnswered
    | CallStarted
    | CallFinished
    | Inside
    | BudgetWarned
    | BudgetRaised
    | Compacted
    | FilesKept
    | SampleScored
    | CandidateTried
    | CandidateScored
    | CandidateChosen
    | RunFinished,
    Field(discriminator="type"),
]
EphemeralEvent = ModelDelta | CallProgress
EPHEMERAL = frozenset({ModelDelta, CallProgress})
Event = Annotated[StoredEvent | EphemeralEvent, Field(discriminator="type")]

stored_event: TypeAdapter[StoredEvent] = TypeAdapter(StoredEvent)
"""Validates one stored event from Python data or JSON."""
