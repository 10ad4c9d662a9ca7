"""Every way journeyman can fail, as one small tree; each error says what, why and what to do.

    JourneymanError                     exit  kind
    ├── UsageError                         2  usage       the command line or a call of the SDK makes no sense
    ├── ConfigError                        3  config      a setting, a policy file or a path is wrong
    │   ├── PolicyError                    3  policy      a policy file does not load
    │   └── StoreError                     3  store       the trace store cannot be read or written
    │       └── DamagedRun                 3  store       one run's record; the others can be read
    ├── ModelError                         4  model       no model, one that will not load, a server that cannot answer
    │   ├── ModelNotFound                  4  model
    │   ├── BadModelFile                   4  model_file  a model's or adapter's file is damaged, cut, or no such file
    │   ├── BadTemplate                    4  template    a model's own chat template cannot be used
    │   ├── EngineDied                     4  engine      the local engine's process ended
    │   │   └── EngineOutOfMemory          4  memory      for want of memory
    │   ├── ContextOverflow                4  context     the conversation no longer fits the model's window
    │   ├── Unreachable                    4  unreachable nothing answers, or not in time
    │   ├── KeyRefused                     4  key         no key, a wrong one, or one that may not do this
    │   ├── RateLimited                    4  rate_limit  too many requests, or no money left with the provider
    │   ├── Overloaded                     4  overload    the provider cannot serve anybody now
    │   ├── CutOff                         4  cut         the answer broke off; what came of it is in the trace
    │   └── Refusal                        4  refusal     the model, or its provider, will not answer this
    ├── Refused                            5  refused     a person refused several calls in a row
    ├── BudgetExceeded                     6  budget      steps, tokens or time are spent
    │   └── Paused                         6  budget      a branch of a search has done the steps it was given
    ├── ToolError                          7  tool        text for the model: the run goes on
    │   └── SecretLost                     7  tool        a placeholder whose secret this process does not know
    ├── ServerError                        7  tool        an MCP server that cannot be started or reached
    ├── SandboxError                       8  sandbox     no sandbox that is good enough
    ├── Disconnected                       1  engine_gone the engine process that a front end talks to
    ├── RunTimeout                       124  timeout
    └── Interrupted                      130  interrupted

A `ToolError` is a result that the model reads. Anything else ends the run as a typed outcome that the trace records.
"""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar


class JourneymanError(Exception):
    """What went wrong and why (`str(error)`), what to do about it (`error.fix`), and where to read more (`run_id`)."""

    kind: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1

    def __init_subclass__(cls, kind: str = "", exit_code: int = 0) -> None:
        cls.kind, cls.exit_code = kind or cls.kind, exit_code or cls.exit_code

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message)
        self.fix = fix
        self.run_id: str | None = None

    @property
    def line(self) -> str:
        """All of it as sentences on one line."""
        message = str(self)
        return f"{message}{'' if message.endswith(('.', '?', '!')) or not self.fix else '.'} {self.fix}".strip()

    @property
    def told(self) -> dict[str, str | None]:
        """For other programs."""
        return {"kind": self.kind, "message": str(self), "fix": self.fix, "run_id": self.run_id}


class UsageError(JourneymanError, kind="usage", exit_code=2): ...


class ConfigError(JourneymanError, kind="config", exit_code=3): ...


class PolicyError(ConfigError, kind="policy"): ...


class StoreError(ConfigError, kind="store"): ...


class DamagedRun(StoreError):
    """The record of one run is not what was stored, or not all there."""


class ModelError(JourneymanError, kind="model", exit_code=4): ...


class ModelNotFound(ModelError):
    """The spec names no model that can be had here."""


class BadModelFile(ModelError, kind="model_file"):
    """A model's or an adapter's file is damaged, cut short, or of another kind."""


class BadTemplate(ModelError, kind="template"):
    """A model's own chat template fails, takes too long, or does not show what was said."""


class EngineDied(ModelError, kind="engine"):
    """The local engine's process ended; the run is stored and can be resumed."""


class EngineOutOfMemory(EngineDied, kind="memory"):
    """It ended, or did not start, because there was no memory left."""


class ContextOverflow(ModelError, kind="context"):
    """The conversation does not fit the model's context window."""


class Unreachable(ModelError, kind="unreachable"):
    """Nothing answers there, or not in time."""


class KeyRefused(ModelError, kind="key"):
    """There is no key, or the provider does not take it."""


class RateLimited(ModelError, kind="rate_limit"):
    """The provider takes no more requests from this account now."""


class Overloaded(ModelError, kind="overload"):
    """The provider, or what stands before it, cannot serve anybody now."""


class CutOff(ModelError, kind="cut"):
    """The model's answer broke off on its way; the trace has what came of it."""


class Refusal(ModelError, kind="refusal"):
    """The model, or its provider, will not answer this."""


class Refused(JourneymanError, kind="refused", exit_code=5): ...


class BudgetExceeded(JourneymanError, kind="budget", exit_code=6): ...


class Paused(BudgetExceeded):
    """A run of a search has done the steps it was given."""


class ToolError(JourneymanError, kind="tool", exit_code=7):
    """Raised by a tool to tell the model, in words it can act on, why the call failed."""


class SecretLost(ToolError):
    """A call needs a secret that is stored only as a placeholder, and the process that knew it is gone."""


class ServerError(JourneymanError, kind="tool", exit_code=7):
    """An MCP server cannot be started or reached, or is gone."""

    def __init__(self, message: str, *, fix: str = "", maybe_done: bool = False) -> None:
        super().__init__(message, fix=fix)
        self.maybe_done = maybe_done
        """The call was under way: its effect may or may not have happened."""


class SandboxError(JourneymanError, kind="sandbox", exit_code=8): ...


class Disconnected(JourneymanError, kind="engine_gone"):
    """The engine process that a front end talks to does not start, or is gone."""


class RunTimeout(JourneymanError, kind="timeout", exit_code=124): ...


class Interrupted(JourneymanError, kind="interrupted", exit_code=130): ...


def known(kind: str, message: str, *, fix: str = "") -> JourneymanError:
    """The error of that kind, as another process told of it."""
    kinds: list[type[JourneymanError]] = [JourneymanError]
    for each in kinds:
        if each.kind == kind and each is not JourneymanError:
            return each(message, fix=fix)

        kinds += each.__subclasses__()

    return JourneymanError(message, fix=fix)


def install(what: str) -> str:
    """The command that brings `journeyman[EXTRA]`, or another package, to the Python that runs this; for a `fix`."""
    clone, wanted = Path(__file__).parents[1], f'"{what}"'
    if what.startswith("journeyman[") and (clone / "pyproject.toml").is_file():
        extras = what[len("journeyman[") : -1].split(",")
        if Path(sys.prefix) == clone / ".venv":
            return " ".join(["uv sync --inexact", *(f"--extra {each}" for each in extras)])

        wanted = f'-e "{clone}[{",".join(extras)}]"'

    installer = f"{sys.executable} -m pip install" if find_spec("pip") else f"uv pip install -p {sys.executable}"
    return f"{installer} {wanted}"
