"""Everything one can do, once: what `/` completes, Ctrl+P lists and F1 explains."""

from typing import NamedTuple


class Command(NamedTuple):
    name: str
    about: str
    argument: str = ""
    """What may follow it."""
    busy: bool = True
    """Whether it can be done while a turn is under way."""


COMMANDS = (
    Command("help", "Keys and commands"),
    Command("new", "Begin another session", busy=False),
    Command("resume", "Go on with an earlier session", "ID", busy=False),
    Command("rewind", "Go back to before one of your messages", busy=False),
    Command("fork", "Go on in a copy of this session", busy=False),
    Command("model", "Use another model from the next turn on", "NAME"),
    Command("think", "Think before answering: off, auto, on, or tokens", "HOW"),
    Command("effort", "How much the model is to think and do", "LEVEL"),
    Command("mode", "Another permission policy", "NAME"),
    Command("steer", "Stop the turn and go on with this at once", "TEXT"),
    Command("continue", "Go on with the messages that an interrupt held up"),
    Command("stop", "Interrupt the turn under way"),
    Command("mcp", "Tool servers: their state and what they said last"),
    Command("sandbox", "Where code runs, and what that keeps in"),
    Command("policy", "The permission policy in force"),
    Command("plan", "The plan as it stands"),
    Command("traces", "All recorded runs: find, compare, label, export", "FILTER"),
    Command("training", "How practice is going"),
    Command("cost", "Tokens, money and budget"),
    Command("copy", "Copy the answer, or the selected part"),
    Command("thoughts", "Unfold all thoughts, or fold them"),
    Command("theme", "Other colours", "NAME"),
    Command("quit", "Leave; the session is stored"),
)
NAMES = {command.name: command for command in COMMANDS}
