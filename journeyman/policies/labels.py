"""Labels: what a tool does, which arguments steer it, and how far its results can be trusted.

    [label."mail.send"]
    does = ["external"]
    control.to = "address"                                        # must be the user's own word
    control.attachment = { kind = "id", of = "file", from = "service" }
    data = ["subject", "body"]                                    # what it carries: links and secrets are looked for

    [label."drive.list"]
    does = ["read"]
    returns = "outsider"                                          # trusted: nobody else writes there
    private = true
    record = { of = "file", id = "id", name = ["filename"], linked = ["shared_with"] }

A tool without a label is judged by the shape of its values. What a server says of itself (`annotations`) is not asked.
"""

import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, ConfigDict, Field, StrictBool, StrictStr

from journeyman.errors import PolicyError
from journeyman.tomlfile import parse
from journeyman.traces.messages import ToolSpec, Value

Does = Literal["read", "internal", "external", "destructive", "financial", "admin", "fetch"]
Kind = Literal["address", "name", "id", "path", "url", "amount", "value", "text"]
Origin = Literal["user", "service", "unknown", "outsider"]
TRUST: dict[str, int] = {"user": 0, "service": 1, "unknown": 2, "outsider": 3, "any": 3}
"""user: said, named or made on the user's order. service: a configured service enumerates it. unknown: nowhere seen.
outsider: found where strangers write."""
ASKING = frozenset({"elicitation", "sampling"})
"""What servers ask of the user and of the model goes by these names: `elicitation.SERVER`."""
OURS = frozenset({"agent", "calculator", "code", "files", "python", "search", "web"}) | ASKING
"""Servers whose word on `read_only` counts: the built-in ones and the user's own functions. The names are reserved."""


def _table(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


class Control(Value):
    """An argument that decides whom or what a call reaches."""

    model_config = ConfigDict(populate_by_name=True)

    kind: Kind
    of: StrictStr = ""
    """The resource an id belongs to: an event's 13 is no file's 13."""
    least: Literal["user", "service", "unknown", "any"] = Field("user", alias="from")
    """The least trusted origin that passes unasked. `unknown` stops only what is copied from an outsider."""
    key: StrictStr = ""
    """Where the argument is made of objects: the key that counts."""


class Record(Value):
    """How a result's rows are read: the row whose name the user spoke of is the user's choice, and so is its id."""

    of: StrictStr = ""
    id: StrictStr = ""
    name: tuple[StrictStr, ...] = ()
    linked: tuple[StrictStr, ...] = ()
    """Fields that are the user's choice with the row: who shares a file, not what is written in it."""
    service: tuple[StrictStr, ...] = ()
    """Fields that the service fills in itself, in every row. `*` is all of them."""
    own: dict[StrictStr, StrictStr] = Field(default_factory=dict)
    """Rows with these values are the user's own doing, such as mail that was sent: what is linked in them is known to
    the service, and only they can be named."""


class Label(Value):
    does: Annotated[tuple[Does, ...], BeforeValidator(lambda v: (v,) if isinstance(v, str) else v)] = ()
    control: dict[StrictStr, Annotated[Control, BeforeValidator(_table)]] = Field(default_factory=dict)
    data: tuple[StrictStr, ...] = ()
    returns: Literal["trusted", "service", "outsider"] = "outsider"
    """trusted: ours or computed. service: values that may be targets, in words a stranger may have chosen. outsider:
    anything may stand in it."""
    private: StrictBool = False
    """The user's own business: what of it looks like a secret is not sent on unasked, nor read by a remote model."""
    creates: StrictBool = False
    """Its result is the record it made."""
    record: Record = Record()
    shapes: StrictBool = False
    """Arguments without a label of their own are judged by the shape of their values."""

    @property
    def told(self) -> tuple[str, ...]:
        """As a trace keeps it: nothing for what only reads or computes what is not the user's own business."""
        notes = (
            *self.does,
            *([self.returns] if self.returns != "trusted" else []),
            *(["private"] if self.private else []),
        )
        return notes if notes != ("read",) else ()

    @classmethod
    def of(cls, told: Sequence[str]) -> Self:
        """As far as a trace tells."""
        does = tuple(each for each in told if each in get_args(Does))
        returns = next((each for each in told if each in {"service", "outsider"}), "trusted")
        return cls.model_validate({"does": does, "returns": returns, "private": "private" in told})

    @property
    def sends(self) -> bool:
        """What it is given leaves the user's hands."""
        return self.shapes or not SENDING.isdisjoint(self.does)


SENDING = frozenset({"external", "financial", "fetch", "admin"})
STRANGE = Label(shapes=True, private=True)
"""A server's tool that nobody has labelled."""
OWN = Label(shapes=True, returns="trusted")
"""A function that the user handed to the agent."""
READER = Label(does=("read",), returns="trusted")


class Labels(Value):
    label: dict[StrictStr, Label] = Field(default_factory=dict)


@cache
def shipped() -> dict[str, Label]:
    """The labels of our own servers and of the common reference servers, by `server.tool`."""
    text = files("journeyman.policies").joinpath("labels.toml").read_text("utf-8")
    return parse(Labels, text, "labels.toml", PolicyError).label


def default(tool: ToolSpec) -> Label:
    if tool.server != "python":
        return STRANGE

    return READER if tool.read_only else OWN


URL = re.compile(r"(?:https?://|www\.)[^\s<>\"'`]+", re.IGNORECASE)
LINK = re.compile(
    rf"{URL.pattern}|(?<![\w@.-])(?:[a-z0-9-]+\.)+(?:com|org|net|io|co|info|biz|ru|cn|xyz|top|app|dev|ly|me|site)\b(?:/[^\s<>\"']*)?",
    re.IGNORECASE,
)
"""What a mail program makes a link of, with or without its scheme."""
ADDRESS = re.compile(r"[^\s@]+@[^\s@]+\.\w+|[A-Z]{2}\d{2}[A-Z0-9]{9,30}|\+?[\d][\d -]{7,}\d")
WHEN = re.compile(r"[\d:TZ./ +-]*\d{2}[-:/.]\d{2}[\d:TZ./ +-]*")
PATH = re.compile(r"[~.]?[\w.-]*/[^\s]*|[\w-]+\.\w{1,5}")
SHAPES: dict[Kind, re.Pattern[str]] = {"url": URL, "address": ADDRESS, "path": PATH}


def by_shape(name: str, value: Any) -> Control | None:
    """What a value looks like that nobody has labelled; None for what steers nothing: dates, numbers, prose."""
    if isinstance(value, str | int) and not isinstance(value, bool) and re.search(r"(?:^|_)id$|I[dD]$", name):
        return Control(kind="id", least="service", of=re.sub(r"_?(id|Id|ID)$", "", name))

    if not isinstance(value, str) or not value.strip() or WHEN.fullmatch(value):
        return None

    for kind, shape in SHAPES.items():
        if shape.fullmatch(value):
            return Control(kind=kind, least="service")

    prose = len(value.split()) > PROSE or re.search(r"\d.*,|,.*\d", value)  # a postal address is no name
    return None if prose else Control(kind="name", least="unknown")


PROSE = 8
"""Words; more are prose and no name."""
