"""Settings, each with its origin.

default < user file (`config.toml` in the config folder) < project file (`./journeyman.toml`) < environment
(`JOURNEYMAN_MODEL`) < explicit (`--model`). A project can be a clone of somebody else's: until its file is trusted
(`journeyman.home.trust`) it may lower the budgets and nothing more, and what else it says is left out with a notice.
"""

import os
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    PrivateAttr,
    ValidationError,
)

from journeyman.errors import ConfigError, UsageError
from journeyman.home import config_dir, data_dir, is_trusted
from journeyman.tomlfile import as_text, explained, line_of, parse, read_once

PREFIX = "JOURNEYMAN_"
PROJECT_FILE = "journeyman.toml"
BUDGETS = ("steps", "tokens", "seconds", "usd")
OTHER_VARIABLES = frozenset(
    {"JOURNEYMAN_API_KEY", "JOURNEYMAN_HOME", "JOURNEYMAN_MCP_TOKEN", "JOURNEYMAN_OTEL_HEADERS"}
)


def _thinking(value: object) -> object:
    tokens = int(value) if isinstance(value, str) and value.isdecimal() else value
    if tokens in {"off", "auto", "on"} or (type(tokens) is int and tokens >= 1):
        return tokens

    raise ValueError("it is off, auto, on, or a number of tokens")


Think = Annotated[Literal["off", "auto", "on"] | int, PlainValidator(_thinking)]
"""Whether to think before answering. auto: as the model does it by itself; a number: at most so many tokens of it."""
Effort = Literal["minimal", "low", "medium", "high", "xhigh", "max"]

Location = Annotated[Path, Field(strict=False)]


def _place(value: object) -> Path | str:
    if not isinstance(value, str | Path) or not str(value):
        raise ValueError("it is a path or a URL")

    return value if isinstance(value, Path) or "://" in value else Path(value)


Place = Annotated[Path | str, PlainValidator(_place)]
"""A file's path, or a URL, which stays text."""


def _listed(value: object) -> tuple[str, ...]:
    entries = value.split(",") if isinstance(value, str) else value
    if not isinstance(entries, list | tuple) or not all(isinstance(entry, str) for entry in entries):
        raise ValueError("it is a list of texts")

    return tuple(filter(None, map(str.strip, entries)))


Texts = Annotated[tuple[str, ...], BeforeValidator(_listed)]
"""A list, or texts with commas between them."""


def _address(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise ValueError("it is the address of a collector, http://HOST:PORT")

    return value


class Settings(BaseModel):
    """What a run is made from. `origin(name)` tells where each value came from."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    model: str | None = Field(None, min_length=1)
    """Spec string; unset: a server that answers on loopback, else the starter."""
    store: Place = Field(default_factory=lambda: data_dir() / "runs.db")
    """The trace store: a file, or the URL of a PostgreSQL database (`postgresql://user:password@host/name`)."""
    policy: str = Field("ask", min_length=1)
    """A preset (readonly, ask, auto, headless, yolo) or the path of a policy file."""
    root: Location = Field(default_factory=Path.cwd)
    """The folder the tools work in."""
    steps: int = Field(40, ge=1)
    """Model calls a run may make."""
    tokens: int = Field(200_000, ge=1)
    """Tokens a run may read and write."""
    seconds: float = Field(600.0, gt=0)
    """Wall time a run may take."""
    usd: float | None = Field(None, ge=0)
    """Money a run may cost; unset: no limit."""
    think: Think = "auto"
    """Think before answering: off, auto (as the model does it by itself), on, or tokens it may take."""
    effort: Effort | None = None
    """How much a model is to think and do: minimal, low, medium, high, xhigh, max; unset: its own default."""
    context: int | None = Field(None, ge=512)
    """Tokens of the model's window; unset: 8192 or less of a local model, all that is known of another's."""
    compact_at: float = Field(0.75, gt=0, le=1)
    """The share of the window that is filled before older parts of a run make room."""
    sandbox: str = Field("auto", min_length=1)
    """Where code runs that the model writes: auto, or a backend that `journeyman sandbox doctor` lists.
    unsafe-subprocess isolates nothing, and nothing trains on such a run."""
    sandbox_hosts: Texts = ()
    """Hosts that this code may reach, through a proxy that judges every address: `example.org`, `*.example.org:8443`.
    What it then sends is looked at as what a mail carries is; unset: no network."""
    programs: bool = False
    """Let the model write programs that call the tools, each call decided like any other; not a small model."""
    web: str | None = Field(None, min_length=1)
    """Let the model use the web: `fetch` (pages only), or also a search by `searxng:URL`, `brave` or `tavily` (keys in
    BRAVE_API_KEY, TAVILY_API_KEY); unset: no web."""
    threads: int | None = Field(None, ge=1)
    """Threads of the local engine; unset: what the machine has free."""
    secrets: Texts = ()
    """What no model may read and no trace keeps: `env:NAME`, `file:PATH`, `value:TEXT`; in the environment with commas
    between them. Beside these, whatever is called or looks like a secret."""
    durable: Literal["process", "power"] = "process"
    """What the trace survives: the end of the process, or the loss of power too (slower)."""
    otel_endpoint: Annotated[str, AfterValidator(_address)] | None = None
    """Where runs are sent as they end, as OpenTelemetry spans (OTLP over HTTP); unset: nowhere."""

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)
    _notices: tuple[str, ...] = PrivateAttr(())

    def origin(self, name: str) -> str:
        """`default`, `/path/config.toml:3`, `environment JOURNEYMAN_MODEL` or `--model`.

        Raises:
            ConfigError: there is no such setting.
        """
        if name not in type(self).model_fields:
            raise ConfigError(f"there is no setting {name!r}", fix=_hint(name, list(type(self).model_fields)))

        return self._origins.get(name, "default")

    @property
    def notices(self) -> tuple[str, ...]:
        """What was left out and why, a sentence each; worth a line on stderr."""
        return self._notices


class _Source(NamedTuple):
    values: dict[str, Any]
    origins: dict[str, str]
    notices: tuple[str, ...] = ()
    trusted: bool = True


def load_settings(**explicit: Any) -> Settings:
    """All sources, joined. An explicit None is one that was not given.

    Raises:
        ConfigError: a source has an unknown setting or a value that does not fit, with its place and a near match.
        UsageError: it is one of the explicit ones.
    """
    given = _explicit({name: value for name, value in explicit.items() if value is not None})
    project = Path(given.values.get("root", ".")).expanduser().absolute() / PROJECT_FILE
    joined = _Source({}, {})
    for source in (_file(config_dir() / "config.toml"), _file(project, ours=False), _environment(), given):
        joined = _join(joined, source if source.trusted else _tightening(source, joined.values))

    settings = Settings(**joined.values)
    settings._origins.update(joined.origins)  # noqa: SLF001 - its own maker
    settings._notices = (*joined.notices, *_unset(settings.secrets))  # noqa: SLF001
    return settings


def _unset(secrets: Iterable[str]) -> Iterator[str]:
    for name in (entry.removeprefix("env:") for entry in secrets if entry.startswith("env:")):
        if not os.environ.get(name):
            yield f"secrets: {name} is not set in the environment, so nothing of it can be hidden"


def _join(lower: _Source, upper: _Source) -> _Source:
    return _Source(lower.values | upper.values, lower.origins | upper.origins, lower.notices + upper.notices)


def _file(path: Path, *, ours: bool = True) -> _Source:
    if not path.exists():
        return _Source({}, {})

    data = read_once(path, link=ours)
    text = as_text(data, path)
    settings = parse(Settings, text, str(path))
    values = {name: _anchored(name, getattr(settings, name), path.parent) for name in _given(settings)}
    origins = {name: f"{path}:{line_of(text, (name,))}" for name in values}
    return _Source(values, origins, trusted=ours or is_trusted(path, data))


def _given(settings: Settings) -> list[str]:
    return [name for name in Settings.model_fields if name in settings.model_fields_set]


def _anchored(name: str, value: Any, folder: Path) -> Any:
    """A relative path in a file starts at that file's folder."""
    if name == "secrets":
        return tuple(f"file:{folder / Path(e[5:]).expanduser()}" if e.startswith("file:") else e for e in value)

    if isinstance(value, Path):
        return folder / value.expanduser()

    return str(folder / Path(value).expanduser()) if name == "policy" and value.endswith(".toml") else value


def _tightening(source: _Source, lower: dict[str, Any]) -> _Source:
    """Of a file that is not trusted: only budgets below what stands already."""
    values, notices = {}, []
    for name, value in source.values.items():
        present = lower.get(name, Settings.model_fields[name].default)
        if name in BUDGETS and (present is None or value <= present):
            values[name] = value
        else:
            notices.append(f"{source.origins[name]}: {name} is left out: the file is not trusted")

    return _Source(values, {name: source.origins[name] for name in values}, tuple(notices))


def _environment() -> _Source:
    variables = {name: value for name, value in os.environ.items() if name.startswith(PREFIX) and value}
    fields = {name.removeprefix(PREFIX).lower(): name for name in variables if name not in OTHER_VARIABLES}
    known = {field: name for field, name in fields.items() if field in Settings.model_fields}
    try:
        settings = Settings.model_validate_strings({field: variables[name] for field, name in known.items()})
    except ValidationError as error:
        (name, *_), message, _ = explained(Settings, error)
        raise ConfigError(
            f"environment {known[str(name)]}: {message.removeprefix(f'{name}: ')}", fix="mend or unset the variable"
        ) from None

    notices = tuple(
        f"environment {name}: no such setting; {_hint(field, list(Settings.model_fields))}"
        for field, name in fields.items()
        if field not in known
    )
    values = {field: getattr(settings, field) for field in known}
    return _Source(values, {field: f"environment {name}" for field, name in known.items()}, notices)


def _explicit(values: dict[str, Any]) -> _Source:
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        (name, *_), message, fix = explained(Settings, error)
        raise UsageError(f"--{name}: {message.removeprefix(f'{name}: ')}", fix=fix) from None

    return _Source({name: getattr(settings, name) for name in values}, {name: f"--{name}" for name in values})


def _hint(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
