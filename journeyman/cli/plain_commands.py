"""What can be typed in a plain conversation beside words for the agent."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from journeyman.engine import wire

if TYPE_CHECKING:
    from journeyman.cli.plain import Plain


async def run(talk: "Plain", line: str) -> None:
    """Do what a line that begins with a slash says."""
    name, _, rest = line[1:].partition(" ")
    if name in COMMANDS and rest.strip() and name not in TAKES:
        talk.note(f"/{name} takes nothing after it; it {COMMANDS[name][1]}")
    elif name in COMMANDS:
        await COMMANDS[name][0](talk, rest.strip())
    else:
        talk.note(f"there is no command /{name}; /help names them")


async def _help(talk: "Plain", _rest: str) -> None:
    for name, (_, told) in COMMANDS.items():
        talk.note(f"/{name} {told}")

    talk.note(
        "!COMMAND runs it in the sandbox's own folder, as your own call by the policy; the agent reads what comes"
    )


def _option(name: str) -> "Command":
    async def option(talk: "Plain", value: str) -> None:
        if not value:
            talk.note(f"/{name} {COMMANDS[name][1]}")
            return

        await talk.client.set_option(talk.session, name, value)
        talk.note(f"{name} {value}")

    return option


async def _mode(talk: "Plain", rest: str) -> None:
    if rest:
        await talk.client.set_mode(talk.session, rest)  # the engine tells all that follow the session
    else:
        talk.note(f"mode {(await talk.client.state(talk.session))['mode']}; /mode {COMMANDS['mode'][1]}")


async def _new(talk: "Plain", _rest: str) -> None:
    await talk.open(None)


async def _resume(talk: "Plain", rest: str) -> None:
    await (talk.open(rest) if rest else _sessions(talk, ""))


async def _sessions(talk: "Plain", _rest: str) -> None:
    for each in (await talk.client.sessions(talk.cwd))["sessions"][:20]:
        outcome = each["_meta"][wire.OURS]["outcome"] or "open"
        talk.note(f"{each['sessionId']} {each['updatedAt'][:16]} {outcome}: {each['title']}")


async def _fork(talk: "Plain", _rest: str) -> None:
    talk.session = (await talk.client.fork(talk.session, talk.cwd))["sessionId"]
    talk.note(f"session {talk.session}: it begins with all that was said so far")


async def _rewind(talk: "Plain", rest: str) -> None:
    if not rest.isdecimal() or not 1 <= int(rest) <= len(talk.users):
        if rest or not talk.users:
            talk.note(f"there is no message {rest} of yours here" if rest else "you have said nothing yet")

        for number, (_, text) in enumerate(talk.users, 1):
            talk.note(f"/rewind {number}: {text[:80]}")

        return

    rewound = await talk.client.rewind(talk.session, talk.users[int(rest) - 1][0])
    talk.session = rewound["sessionId"]
    del talk.users[int(rest) - 1 :]
    talk.note(f"session {talk.session}: it ends before you said: {rewound['prompt']}")
    talk.note("files stay as they are")


async def _cost(talk: "Plain", _rest: str) -> None:
    spent = talk.spent
    if not spent:
        talk.note("nothing was spent yet")
        return

    usage, cost = spent["usage"], spent.get("cost")
    money = f"${cost['amount']:.4f}" if cost else "at a price that is not known"
    talk.note(
        f"read {usage['prompt_tokens']} tokens ({usage['cached_tokens']} cached), "
        f"wrote {usage['completion_tokens']}, {money}; the window holds {spent['used']} of {spent['size']}"
    )
    for each in spent["budget"]:
        talk.note(f"of {each['limit']:g} {each['what']} a turn, {each['used']:.4g} are used")


async def _tools(talk: "Plain", _rest: str) -> None:
    state = await talk.client.state(talk.session)
    for each in state["tools"]:
        talk.note(f"{each['name']}: {each['description']}")

    for notice in state["notices"]:
        talk.note(notice)


async def _policy(talk: "Plain", _rest: str) -> None:
    state = await talk.client.state(talk.session)
    sandbox = state["sandbox"].get("backend", "nowhere")
    talk.note(f"policy {state['policy'].get('name', state['mode'])}; code runs in: {sandbox}")


Command = Callable[["Plain", str], Awaitable[None]]
TAKES = {"model", "mode", "think", "effort", "resume", "rewind"}
"""The commands that something may stand behind."""
LEAVE = {"/quit", "/exit"}
COMMANDS: dict[str, tuple[Command, str]] = {
    "help": (_help, "says this"),
    "model": (_option("model"), "SPEC: another model from here on"),
    "mode": (_mode, "NAME: readonly, ask, auto or yolo"),
    "think": (_option("think"), "HOW: off, auto, on"),
    "effort": (_option("effort"), "HOW: low, medium, high, or default"),
    "new": (_new, "begins another session"),
    "resume": (_resume, "SESSION: goes on with one; without it, names those of this folder"),
    "sessions": (_sessions, "names the sessions of this folder"),
    "fork": (_fork, "goes on in a copy of this session"),
    "rewind": (_rewind, "N: goes back to before your N-th message; without it, names them"),
    "cost": (_cost, "says what was spent"),
    "tools": (_tools, "names the tools"),
    "policy": (_policy, "says which policy and sandbox hold"),
    "quit": (_help, "leaves; the session is stored"),
}
