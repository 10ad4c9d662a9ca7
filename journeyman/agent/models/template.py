"""A renderer out of a model's own Jinja template, for every model that is of no known family.

    python -P -m journeyman.agent.models.template < {"template": ..., "bos": ..., "eos": ...}

The template is run a few times over conversations of marked words, and what stands between the marks becomes a
`Renderer`: append only, even where the template is not (many drop earlier thoughts, or write the last turn otherwise).
What it says of tools is left to the renderer, which tells them in its own words; how a call is written is the
template's. A template is somebody's program: it runs in Jinja's sandbox, in a process of its own, for seconds at most.
"""

import json
import re
import subprocess
import sys
from hashlib import sha256
from typing import Any

import anyio

from journeyman.agent.models.renderer import HERMES, MARK, Around, Dialect, Renderer
from journeyman.errors import BadTemplate

VERSION = "template/1"
PATIENCE = 15.0
MEMORY = 1 << 30
WORDS = ("sys", "usr", "ans", "nxt", "fun", "arg", "res")
SYSTEM, USER, SAID, NEXT, TOOL, ARGUMENT, RESULT = (f"qz{word}zq" for word in WORDS)
THINK = "<think>"
CALL_ID = "call00000"
"""Templates that want ids get the same for every call: nine letters and digits suit all of them."""


async def derived(template: str, bos: str, eos: str) -> Renderer:
    """The renderer that writes as `template` does.

    bos: the token that begins a text, if the tokeniser does not put it there by itself. eos: that ends one.

    Raises:
        BadTemplate: it cannot be run, takes too long, or does not show what was said.
    """
    wanted = json.dumps({"template": template, "bos": bos, "eos": eos}).encode()
    try:
        with anyio.fail_after(PATIENCE):
            done = await anyio.run_process(
                [sys.executable, "-P", "-m", __name__], input=wanted, check=False, stderr=subprocess.PIPE
            )
    except TimeoutError as error:
        raise _bad(f"it runs for more than {PATIENCE:.0f} seconds") from error

    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {done.returncode}"]
        raise _bad(said[-1])

    return Renderer.model_validate_json(done.stdout)


def _bad(why: str) -> BadTemplate:
    return BadTemplate(
        f"The model's own chat template cannot be used: {why}.",
        fix='From Python, name a format: Engine(renderer="chatml"), or serve it elsewhere: http://HOST:PORT/v1#NAME.',
    )


class Template:
    """A template that can be rendered."""

    def __init__(self, source: str, bos: str, eos: str) -> None:
        from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: PLC0415 - only in the process of its own

        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        environment.filters["tojson"] = lambda value, **more: json.dumps(value, ensure_ascii=False, **more)
        known: dict[str, Any] = environment.globals
        known.update(raise_exception=_refuse, strftime_now=lambda _format: "2026-01-01")
        self._template = environment.from_string(source)
        self._known = {"bos_token": bos, "eos_token": eos, "tools": None, "enable_thinking": True}

    def __call__(self, *messages: dict[str, Any], ask: bool = False) -> str:
        return self._template.render(messages=list(messages), add_generation_prompt=ask, **self._known)

    def tried(self, *messages: dict[str, Any], ask: bool = False) -> str:
        """What it renders; nothing where it refuses."""
        from jinja2 import TemplateError  # noqa: PLC0415

        try:
            return self(*messages, ask=ask)
        except (TemplateError, TypeError, ValueError, KeyError, AttributeError):
            return ""


def _refuse(message: str) -> None:
    from jinja2 import TemplateError  # noqa: PLC0415

    raise TemplateError(message)


def _turn(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": text}


def derive(source: str, bos: str, eos: str) -> Renderer:
    """What stands around each kind of turn.

    Raises:
        ValueError: the template does not show what was said.
    """
    template = Template(source, bos, eos)
    user, said, again = _turn("user", USER), _turn("assistant", SAID), _turn("user", NEXT)
    asked, plain = template(user, ask=True), template(user)
    answered, more = template(user, said), template(user, said, again, ask=True)
    before, after = between(asked, "", USER), between(plain, USER, "")
    assistant = between(asked, USER, "").removeprefix(after)
    thinks_first = assistant.rstrip().endswith(THINK)
    if thinks_first:
        assistant = assistant[: assistant.rindex(THINK)]

    ended = between(answered, SAID, "")
    mark = MARK.match(ended.lstrip()) if not (eos and ended.lstrip().startswith(eos)) else None
    end = mark[0] if mark else eos
    rest = ended.lstrip().removeprefix(end) if end in ended else ended
    opens = between(more, SAID, NEXT).lstrip().removeprefix(end).removeprefix(rest)
    system, first = _system(template, user, before, opens)
    fields: dict[str, Any] = {
        "name": VERSION,
        "end": end,
        "after": rest,
        "system": system,
        "user": (opens, after),
        "start": first,
        "assistant": assistant,
        "thinks_first": thinks_first,
        "origin": sha256(source.encode()).hexdigest(),
    }
    return Renderer(**fields | _calls(template, after, assistant, end))


def _system(template: Template, user: dict[str, Any], before: str, opens: str) -> tuple[Around | None, str]:
    """What stands around the instructions, and before the first turn where there are none."""
    start = before.removesuffix(opens)
    shown = template.tried(_turn("system", SYSTEM), user)
    if SYSTEM not in shown or USER not in shown:
        return None, start

    after = between(shown, SYSTEM, USER)
    if not after.endswith(opens):  # the instructions stand inside of the first user turn
        return None, start

    return (between(shown, "", SYSTEM), after.removesuffix(opens)), start


def _calls(template: Template, turned: str, assistant: str, end: str) -> dict[str, Any]:
    """How calls and results are written; nothing where the template has neither."""
    function = {"name": TOOL, "arguments": {"qz": ARGUMENT}}
    call = {"id": CALL_ID, "type": "function", "function": function}
    asks = {"role": "assistant", "content": "", "tool_calls": [call]}
    result = {"role": "tool", "name": TOOL, "tool_call_id": CALL_ID, "content": RESULT}
    shown = template.tried(_turn("user", USER), asks, result, ask=True)
    begun = re.escape(USER + turned + assistant)
    written = re.search(rf'(?s){begun}(.*?){TOOL}(.*?)\{{\s*"qz":\s*"{ARGUMENT}"\s*\}}(.*?){RESULT}(.*)', shown)
    if not written or end not in written[3]:
        return {}

    head, middle, rest, after = written.groups()
    close, _, opens = rest.partition(end)
    mark = MARK.match(head)
    opener = mark[0] if mark else ""
    dialect = Dialect(opens=opener, head=head.removeprefix(opener), middle=middle, close=close)
    if not (opener or dialect.head.startswith("{")):
        dialect = HERMES

    special = tuple(dict.fromkeys(MARK.findall(head + middle + close)))
    return {
        "dialect": dialect,
        "special": () if dialect == HERMES else special,
        "result": (opens.lstrip("\n"), after.rpartition(assistant)[0] if assistant and assistant in after else after),
        "result_body": "{}",
    }


def between(text: str, left: str, right: str) -> str:
    """What stands in `text` between two marks; an empty one is its edge.

    Raises:
        ValueError: a mark is not there.
    """
    start = text.index(left) + len(left) if left else 0
    return text[start : text.index(right, start) if right else len(text)]


def main() -> None:
    import resource  # noqa: PLC0415 - POSIX

    from jinja2 import TemplateError  # noqa: PLC0415

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    wanted = json.load(sys.stdin)
    try:
        found = derive(wanted["template"], wanted["bos"], wanted["eos"])
    except (TemplateError, ValueError, TypeError, KeyError, AttributeError, MemoryError, RecursionError) as error:
        sys.exit(f"{type(error).__name__}: {error}")

    print(found.model_dump_json())  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
