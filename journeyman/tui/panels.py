"""What a session is made of, looked at: sandbox, policy, costs; and what pickers offer."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from textual.binding import Binding
from textual.screen import Screen

from journeyman.safe import safe
from journeyman.tui.blocks import EFFECTS
from journeyman.tui.commands import COMMANDS
from journeyman.tui.items import Item, Planned
from journeyman.tui.line import Line
from journeyman.tui.opening import quietly
from journeyman.tui.pager import Pager
from journeyman.tui.rows import Choice
from journeyman.tui.status import WARN, Status, aged, short

if TYPE_CHECKING:
    from journeyman.tui.chat import Chat

TITLES = {"sandbox": "Sandbox", "policy": "Permission policy", "cost": "Costs and budget"}
SIGNS = (
    ("@FILE", "Names a file"),
    ("!COMMAND", "Runs it in the sandbox's own folder, by the policy, as your own call"),
)
EVERY_S = 2.0
BAR = 24


def plan_lines(items: Sequence[Item]) -> list[Line]:
    """The plan as it stands."""
    found = next((item for item in reversed(items) if isinstance(item, Planned)), None)
    lines: list[Line] = [((f"[{status}] {text}", ""),) for status, text in found.steps] if found else []
    return lines or [(("There is no plan.", "dim"),)]


class Panel(Pager):
    """One part of the session's state, looked at again every two seconds."""

    BINDINGS = [Binding("r", "again", "look again", id="panel.again")]

    def __init__(self, name: str, chat: "Chat") -> None:
        super().__init__(TITLES[name], [(("looking …", "dim"),)])
        self._part = name
        self._chat = chat

    def on_mount(self) -> None:
        super().on_mount()
        self.action_again()
        self.set_interval(EVERY_S, self.action_again)

    def action_again(self) -> None:
        self.run_worker(self._look(), exclusive=True)

    async def _look(self) -> None:
        talk = self._chat.talk
        state = await quietly(self._chat, talk.state) if talk.is_connected else None
        if state is None:
            self._lines = [(("There is no engine yet.", "warning"),)]
        else:
            self._lines = list(PARTS[self._part](state, self._chat.status))

        self.draw()


def _sandbox(state: Mapping[str, Any], _status: Status) -> Iterator[Line]:
    sandbox = dict(state.get("sandbox") or {})
    if not sandbox:
        yield (("No tool of this session runs code, so there is no sandbox.", "dim"),)

    guarantees = sandbox.pop("guarantees", None) or {}
    for name, value in sandbox.items():
        if not isinstance(value, dict | list):
            yield (f"{safe(name, 40):<12} ", "dim"), (safe(str(value), 300), "")

    yield ()
    for name, proven in guarantees.items() if isinstance(guarantees, dict) else ():
        holds = proven.get("proven", proven.get("holds")) if isinstance(proven, dict) else proven
        yield ("✓ " if holds else "✗ ", "good" if holds else "error"), (safe(str(name), 60), "")


def _policy(state: Mapping[str, Any], _status: Status) -> Iterator[Line]:
    policy = state.get("policy") or {}
    yield ("mode ", "dim"), (safe(str(state.get("mode", "")), 60), "bold")
    yield (
        ("policy ", "dim"),
        (safe(str(policy.get("name", "")), 200), ""),
        (f"  {policy.get('digest', '')}"[:20], "dim"),
    )
    yield ()
    for tier in _tiers(policy.get("text")):
        yield (
            (safe(str(tier.get("tier", "")), 40), "heading"),
            (f"  else {tier['default']}" if "default" in tier else "", "dim"),
        )
        for rule in tier.get("rules") or ():
            effect, tools = safe(str(rule.get("effect", "")), 10), rule.get("tool") or ()
            named = ", ".join(tools) if isinstance(tools, list) else str(tools)
            yield (
                (f"  {effect:<6}", EFFECTS.get(effect, "")),
                (safe(str(rule.get("id", "")), 60), "bold"),
                ("  ", ""),
                (safe(named, 300), ""),
            )
            where = {name: rule[name] for name in ("where", "unless", "from", "labels", "untrusted") if rule.get(name)}
            if where:
                yield ((f"         {safe(json.dumps(where, ensure_ascii=False), 600)}", "dim"),)

            if rule.get("why"):
                yield ((f"         {safe(str(rule['why']), 300)}", "thought"),)

        yield ()


def _tiers(text: Any) -> list[Mapping[str, Any]]:
    try:
        found = json.loads(str(text or "[]"))
    except ValueError:
        return []

    return [tier for tier in found if isinstance(tier, dict)] if isinstance(found, list) else []


def _cost(_state: Mapping[str, Any], status: Status) -> Iterator[Line]:
    yield ("read    ", "dim"), (f"{status.read:,} tokens, {status.cached:,} of them cached", "")
    yield ("wrote   ", "dim"), (f"{status.wrote:,} tokens, {status.speed:.0f} a second in the last step", "")
    yield ("window  ", "dim"), (f"{status.used:,} of {status.size:,} tokens", "")
    cost = "not known" if status.cost is None else f"${status.cost:.4f}"
    yield ("money   ", "dim"), (cost, "")
    yield ()
    for spent in status.budget:
        full = min(BAR, round(spent.share * BAR))
        role = "error" if spent.share >= 1 else "warning" if spent.share >= WARN else "good"
        told = f" {spent.share:4.0%}  {short(spent.used)} of {short(spent.limit)} {spent.what}"
        yield ("█" * full, role), ("░" * (BAR - full), "dim"), (told, "")


PARTS: dict[str, Callable[[Mapping[str, Any], Status], Iterator[Line]]] = {
    "sandbox": _sandbox,
    "policy": _policy,
    "cost": _cost,
}


def session_choices(listed: Sequence[Mapping[str, Any]]) -> list[Choice]:
    """Sessions with their first words, and how far they came."""
    choices = []
    for each in listed:
        ours = (each.get("_meta") or {}).get("journeyman") or {}
        said = safe(str(ours.get("prompt") or each.get("title") or "").replace("\n", " "), 120)
        cost, reward = ours.get("cost_usd"), ours.get("reward")
        facts = [
            "running" if ours.get("running") else safe(str(ours.get("outcome") or "unfinished"), 20),
            f"{ours.get('steps', 0)} step{'s' * (ours.get('steps') != 1)}",
            f"${cost:.2f}" if cost else "",
            f"reward {reward:g}" if isinstance(reward, int | float) else "",
            _ago(str(each.get("updatedAt") or "")),
        ]
        choices.append(Choice(str(each["sessionId"]), said, " · ".join(filter(None, facts))))

    return choices


def _ago(moment: str) -> str:
    """How long ago an ISO time was."""
    from datetime import datetime

    try:
        return aged(datetime.fromisoformat(moment).timestamp())
    except ValueError:
        return ""


def option_choices(options: Sequence[Mapping[str, Any]], wanted: str) -> list[Choice]:
    """What an option can be set to, as the engine says."""
    option = next((each for each in options if each.get("id") == wanted), {})
    return [
        Choice(
            str(each["value"]),
            safe(str(each.get("name") or each["value"]), 80),
            safe(str(each.get("description") or ""), 80),
        )
        for each in option.get("options") or ()
        if "value" in each
    ]


def help_lines(screen: Screen, more: Sequence[Binding]) -> list[Line]:
    """All keys, each with the name by which `tui.toml` sets another, and all commands."""
    from journeyman.tui.choice import path

    known = [*screen._bindings, *screen.app._bindings, *screen.query_one("Prompt")._bindings]  # noqa: SLF001 - nowhere else
    bindings = {binding.id: binding for _, binding in known if binding.id}
    bindings |= {binding.id: binding for binding in more if binding.id}
    keymap = screen.app._keymap  # noqa: SLF001 - as above
    lines: list[Line] = [(("Keys", "heading"),)]
    for name, binding in sorted(bindings.items()):
        keys = keymap.get(name, binding.key).replace("question_mark", "?")
        lines.append(((f"  {keys:<30} ", "accent"), (f"{binding.description:<16} ", ""), (name, "dim")))

    lines += [(), (("Commands", "heading"),)]
    lines += [((f"  /{c.name} {c.argument}".ljust(34), "accent"), (c.about, "")) for c in COMMANDS]
    lines += [((f"  {sign}".ljust(34), "accent"), (about, "")) for sign, about in SIGNS]
    return [*lines, (), ((f"Other keys, theme, mouse, bell: {path()}", "dim"),)]
