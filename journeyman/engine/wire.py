"""What travels between the engine and its clients: the Agent Client Protocol, and what is ours in it.

ACP (https://agentclientprotocol.com, protocol version 1) is JSON-RPC, one object a line. Everything of ours stands
under its extension points, so that any ACP client works without it: in `_meta` under the key `journeyman`, and in
methods that begin with `_journeyman/`. A client that wants the notifications of ours says so in `initialize`
(`clientCapabilities._meta.journeyman`, see `Wants`); others never hear of them. This file has no code and imports
nothing, so that a client starts at once.
"""

from typing import Any, Literal, NotRequired, TypedDict

PROTOCOL = 1
OURS = "journeyman"
"""The key of everything of ours in a `_meta`."""

# Requests of ours, client to engine.
HISTORY = "_journeyman/history"
"""`HistoryRequest` -> `HistoryPage`: a part of what was said, newest first asked for, in order of time."""
REWIND = "_journeyman/rewind"
"""`{sessionId, seq}` -> `Rewound`: a new session that ends just before the user's message with that `seq`, which the
client follows from then on. Files stay as they are."""
STEER = "_journeyman/steer"
"""`{sessionId, text}` -> `{}`: stop the turn under way and go on with this at once."""
SHELL = "_journeyman/shell"
"""`{sessionId, command}` -> as `session/prompt`: run a command as the user's own call of `code.shell`, in its turn and
by the policy. The model is not asked; it reads what came of it with the next prompt."""
QUEUE = "_journeyman/queue"
"""As a request, `{sessionId, drop: ID}` or `{sessionId, resume: true}` -> `Queue`: forget a waiting prompt, or go on
with those that an interrupt has held up. As a notification, the `Queue` whenever it changes."""
STATE = "_journeyman/state"
"""`{sessionId}` -> `State`: what the session is made of now: model, policy, tools, servers, sandbox, budget."""
SERVER = "_journeyman/server"
"""`{sessionId, server, do}` -> `State`: `restart` a tool server, or do without it in this session (`off`, `on`)."""
STOP = "_journeyman/stop"
"""`{}` -> `{}`: end the engine. Turns under way are interrupted and can be taken up again."""

# Notifications of ours, engine to client.
NOTE = "_journeyman/note"
"""`Note`: something to tell a person that ACP has no word for."""
SETTLED = "_journeyman/settled"
"""`Settled`: a question was answered, by whichever client; whoever still shows it takes it down."""
TURN = "_journeyman/turn"
"""`Turn`: a turn has begun or ended, whoever asked for it."""


class AgentMeta(TypedDict):
    """`agentInfo._meta.journeyman` in the answer to `initialize`."""

    pid: int


class Wants(TypedDict, total=False):
    """`clientCapabilities._meta.journeyman` in `initialize`."""

    notes: bool
    """Send the notifications of this file, and the user's own messages back as `user_message_chunk` when their turn
    begins."""


class Settings(TypedDict, total=False):
    """`_meta.journeyman` of the params of `session/new`, `session/load`, `session/resume` and `session/fork`: what a
    command line says over the settings. Paths in them are absolute.
    """

    model: str
    policy: str
    sandbox: str
    think: str | int
    effort: str
    steps: int
    tokens: int
    seconds: float
    usd: float
    context: int
    threads: int


class Opened(TypedDict):
    """`_meta.journeyman` of the results of `session/new`, `load`, `resume` and `fork`."""

    root: str
    model: str | None
    """As it was asked for; None: whatever is found. `State` says what it came to."""
    running: bool
    queue: "list[Queued]"
    held: bool


class UpdateMeta(TypedDict, total=False):
    """`update._meta.journeyman` of `session/update`; each key only where it says something."""

    seq: int
    """Of the stored event, which `HISTORY` pages by; none for what is only passing."""
    at: float
    """Seconds since 1970."""
    # user_message_chunk
    origin: Literal["user", "runtime", "compaction"]
    """runtime: the loop's own words to the model."""
    # agent_thought_chunk
    shown: Literal["", "summary", "hidden", "redacted", "search"]
    """search: what was tried, how it was judged, and what was chosen: a tree, a line each."""
    # tool_call, tool_call_update
    tool: str
    """`server.tool`, as policies call it."""
    parent: str
    """The `toolCallId` of the model's call that makes this one while it is under way, directly or through one of its
    own: a program, or a server that asks something.
    """
    effect: Literal["allow", "ask", "deny"]
    """What the policy said, with `reason`, `rules`, `labels` and `provenance` as in `call_decided`."""
    reason: str
    rules: list[str]
    labels: list[str]
    provenance: dict[str, Any]
    answered: str
    """By whom a question was answered: user, nobody, callback, saved; with `approved`."""
    approved: bool
    status: str
    """ok, error, denied, refused, timeout, unknown, repeated: what ACP's completed and failed stand for."""
    seconds: float
    bytes: int
    fraction: float
    """How much of a call is done, 0 to 1."""
    # usage_update
    usage: dict[str, int]
    """prompt_tokens, completion_tokens, cached_tokens, ... of the whole run."""
    step: int
    step_seconds: float
    step_tokens: int
    """What the last model call wrote, in `step_seconds`."""
    cost_known: bool
    budget: "list[Spent]"


class Spent(TypedDict):
    what: Literal["steps", "tokens", "seconds", "usd"]
    used: float
    limit: float


class PermissionMeta(TypedDict):
    """`_meta.journeyman` of the params of `session/request_permission`."""

    kind: Literal["call", "again", "budget"]
    """call: the policy asks. again: it may have happened already. budget: something is spent; `reason` says what, and
    there are no arguments.
    """
    token: str
    """Names the question: what an answer is bound to, and what `Settled` repeats."""
    tool: str
    arguments: dict[str, Any]
    """In full. Untrusted text: show it through `journeyman.safe`."""
    reason: str
    rules: list[str]
    provenance: dict[str, Any]
    sources: list[str]
    """Where each argument's value came from, a sentence each; fit to be shown."""
    then: "list[Upcoming]"
    """Calls that the model makes in the same step, and that are decided after this one."""
    offer: str
    """The exact rule that the options `session` and `always` would remember; empty where they are not offered."""


OptionId = Literal["once", "session", "always", "no"]
"""Of the options of a question: allow_once, allow_always, allow_always, reject_once."""


class AnswerMeta(TypedDict, total=False):
    """`_meta.journeyman` of the result of `session/request_permission`."""

    arguments: dict[str, Any]
    """With an option that allows: call with these instead. They are checked and decided like the model's own."""
    reason: str
    """With `no`: for the model to read."""
    also: list[str]
    """With an option that allows: the ids of those of `then` that are allowed too, if they are asked about for no other
    rule, and nobody else's text steers them."""
    by: str
    """`nobody`, with a question that is dismissed. It is an answer once nobody is at any client that follows."""


class Upcoming(TypedDict):
    id: str
    tool: str
    """As the model calls it."""
    arguments: dict[str, Any]


class Queued(TypedDict):
    id: str
    text: str


class Queue(TypedDict):
    sessionId: str
    items: list[Queued]
    """Prompts that wait for the turn under way, the next one first."""
    held: bool
    """An interrupt has held them up: `QUEUE` with `resume`, or another prompt, goes on with them."""


class Note(TypedDict):
    sessionId: str
    kind: Literal["status", "notice", "budget", "compacted", "resumed", "error", "good"]
    """status: passing, such as a model that is being loaded; the next word of any kind takes it down. error: the
    session cannot be opened; good: now it is.
    """
    text: str
    """Fit to be shown, on several lines."""


class Settled(TypedDict):
    sessionId: str
    token: str
    toolCallId: str
    approved: bool
    by: str


class Fault(TypedDict):
    """What went wrong; also the `data` of a JSON-RPC error that the engine answers with."""

    kind: str
    """As in `journeyman.errors`."""
    message: str
    fix: str
    run_id: NotRequired[str | None]


class Turn(TypedDict):
    sessionId: str
    running: bool
    outcome: NotRequired[str]
    """As in `run_finished`, once it has ended."""
    stopReason: NotRequired[str]
    """ACP's word for it."""
    error: NotRequired[Fault | None]
    usage: NotRequired[dict[str, int]]
    cost_usd: NotRequired[float | None]
    seconds: NotRequired[float]
    denied: NotRequired[int]


class HistoryRequest(TypedDict):
    sessionId: str
    before: NotRequired[int]
    """Only what stands before this `seq`; without it, up to the end."""
    limit: NotRequired[int]
    """Stored events looked at; 400 by default."""


class HistoryPage(TypedDict):
    updates: list[dict[str, Any]]
    """As the `update` of `session/update`, the oldest first; without `usage_update`, which comes after
    `session/resume`."""
    before: int | None
    """Ask with this for what stands before; None: there is no more."""
    total: int
    """Stored events of the whole session."""


class Rewound(TypedDict):
    sessionId: str
    prompt: str
    """What the user said in that turn, to be edited and said again."""


class ServerState(TypedDict):
    name: str
    transport: str
    """builtin, command or url."""
    protocol: str
    """The version that is spoken, once it is."""
    tools: int
    off: bool
    """This session does without it."""
    calls: int
    """Of this session, in this engine."""
    p50: NotRequired[float]
    """Seconds that half of them took at most."""
    p95: NotRequired[float]
    error: str
    """What went wrong last; untrusted."""
    stderr: list[str]
    """The last lines that it wrote there; untrusted."""


class State(TypedDict):
    sessionId: str
    root: str
    model: str | None
    mode: str
    policy: dict[str, Any]
    """name, digest, text."""
    sandbox: dict[str, Any]
    tools: list[dict[str, Any]]
    """name (`server.tool`), description, read_only."""
    servers: list[ServerState]
    limits: dict[str, Any]
    notices: list[str]
    clients: int


class SessionMeta(TypedDict):
    """`_meta.journeyman` of each session that `session/list` names."""

    outcome: str | None
    """None: running, or killed before its end."""
    running: bool
    """In this engine, now."""
    prompt: str
    answer: str | None
    model: str
    steps: int
    tokens: int
    cost_usd: float | None
    reward: float | None
    parent: str | None
