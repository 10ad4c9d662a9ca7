"""From a spec string to a model: `local:starter`, `http://127.0.0.1:8080/v1#qwen3`, `scripted:answers.json`, ...

Nothing is loaded or connected here; `Model.open` does that. Local first means that data and money leave only by
choice: a key in the environment is never a reason to use it.
"""

import difflib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from journeyman.agent.models.engine import Engine
from journeyman.agent.models.model import Model
from journeyman.errors import KeyRefused, ModelNotFound, UsageError

if TYPE_CHECKING:
    from journeyman.agent.models.files import ModelFiles

FORMS = {
    "local:starter": "the small model that comes along",
    "local:PATH.gguf[+ADAPTER.gguf]": "a GGUF file on this machine",
    "local:NAME": "one that was trained here, listed by `journeyman models list`",
    "hf:OWNER/NAME/FILE.gguf": "a file of a model hub, after `journeyman models pull`",
    "http://HOST:PORT/v1#NAME": "any server that speaks OpenAI Chat Completions",
    "openai:NAME": "OpenAI, with the key in OPENAI_API_KEY",
    "anthropic:NAME": "Anthropic, with the key in ANTHROPIC_API_KEY",
    "scripted:FILE": "a script, for tests",
}


def make_model(spec: str, engine: Engine | None = None) -> Model:
    """The model that `spec` names. The model's own spec names it from every folder.

    Raises:
        ModelNotFound: the spec has none of the known forms, or names nothing that is there.
        KeyRefused: it needs a key that is not set.
    """
    kind, _, rest = spec.partition(":")
    make = MAKERS.get(kind)
    if make is None or not rest:
        raise ModelNotFound(f"{spec!r} is no model spec.{_near(spec)}", fix=f"Use one of these forms:\n{forms()}")

    return make(spec, rest, engine or Engine())


def local_files(spec: str) -> "ModelFiles":
    """The files of a local model.

    Raises:
        UsageError: it is not a local one.
        ModelNotFound, BadModelFile: it is not here.
    """
    from journeyman.agent.models.llama import LlamaModel  # noqa: PLC0415 - only for local models

    model = make_model(spec)
    if not isinstance(model, LlamaModel):
        raise UsageError(
            f"{spec!r} is no local model.", fix="Name local:starter, local:PATH.gguf or hf:OWNER/NAME/FILE."
        )

    model.files.check()
    return model.files


def forms() -> str:
    """Every form of a spec with its meaning, one a line."""
    width = max(map(len, FORMS))
    return "\n".join(f"  {form:<{width}}  {meaning}" for form, meaning in FORMS.items())


def _local(spec: str, rest: str, engine: Engine) -> Model:
    from journeyman.agent.models.llama import LlamaModel  # noqa: PLC0415 - only for local models
    from journeyman.agent.models.starter import starter_model  # noqa: PLC0415

    if rest == "starter":
        return starter_model(engine, spec=spec)

    from journeyman.agent.models.files import ModelFiles  # noqa: PLC0415
    from journeyman.agent.models.kept import find_kept  # noqa: PLC0415

    if files := find_kept(rest):
        return LlamaModel(files, engine, spec=spec)

    files = ModelFiles.parse(rest)
    if files.model.suffix != ".gguf" and not files.model.exists():
        raise ModelNotFound(f"{rest!r} is no local model.{_near(spec)}", fix="Write local:starter or local:PATH.gguf.")

    return LlamaModel(files, engine)


def _hub(spec: str, rest: str, engine: Engine) -> Model:
    from journeyman.agent.models.files import ModelFiles  # noqa: PLC0415 - only for local models
    from journeyman.agent.models.hub import HubFile  # noqa: PLC0415
    from journeyman.agent.models.llama import LlamaModel  # noqa: PLC0415

    path = HubFile.parse(rest).local
    if not path.is_file():
        raise ModelNotFound(f"{spec!r} is not on this machine.", fix=f"journeyman models pull {spec}")

    return LlamaModel(ModelFiles(model=path), engine, spec=spec)


def _server(spec: str, _rest: str, _engine: Engine) -> Model:
    from journeyman.agent.models.chat import ChatModel  # noqa: PLC0415 - only for servers

    url, _, name = spec.partition("#")
    try:
        host = urlsplit(url)
        named = bool(host.hostname) and (host.port or True)
    except ValueError:
        named = False

    if not named:
        raise ModelNotFound(f"{url!r} is no address of a server.", fix="Write http://HOST:PORT/v1#NAME.")

    return ChatModel(url.rstrip("/"), name, key=os.environ.get("JOURNEYMAN_API_KEY", ""), spec=spec)


def _openai(spec: str, rest: str, _engine: Engine) -> Model:
    from journeyman.agent.models.responses import ResponsesModel  # noqa: PLC0415 - only for OpenAI

    return ResponsesModel(os.environ.get("OPENAI_BASE_URL"), rest, key=_key(spec, "OPENAI_API_KEY"), spec=spec)


def _anthropic(spec: str, rest: str, _engine: Engine) -> Model:
    from journeyman.agent.models.anthropic import AnthropicModel  # noqa: PLC0415 - only for Anthropic

    return AnthropicModel(os.environ.get("ANTHROPIC_BASE_URL"), rest, key=_key(spec, "ANTHROPIC_API_KEY"), spec=spec)


def _key(spec: str, variable: str) -> str:
    """The provider's key.

    Raises:
        KeyRefused: there is none.
    """
    if key := os.environ.get(variable, ""):
        return key

    fix = f"Set {variable}, or use a local model: local:starter."
    raise KeyRefused(f"{spec!r} needs a key and {variable} is not set.", fix=fix)


def _scripted(_spec: str, rest: str, _engine: Engine) -> Model:
    from journeyman.agent.models.scripted import load_script  # noqa: PLC0415 - only for scripts

    return load_script(Path(rest).expanduser())


MAKERS: dict[str, Callable[[str, str, Engine], Model]] = {
    "local": _local,
    "hf": _hub,
    "http": _server,
    "https": _server,
    "openai": _openai,
    "anthropic": _anthropic,
    "scripted": _scripted,
}


def _near(spec: str) -> str:
    """A hint where the spec is nearly one, or is a file."""
    kind, _, rest = spec.partition(":")
    others = [] if kind in MAKERS else [f"{maker}:{rest or '...'}" for maker in MAKERS]
    if others and spec.endswith((".gguf", ".json", ".jsonl")):
        return f" Did you mean '{'local' if spec.endswith('.gguf') else 'scripted'}:{spec}'?"

    near = difflib.get_close_matches(spec, ["local:starter", *others, "starter"], n=1, cutoff=0.6)
    close = [] if kind in MAKERS else difflib.get_close_matches(kind, MAKERS, n=1, cutoff=0.7)
    if not near and not close:
        return ""

    guess = "local:starter" if near == ["starter"] else near[0] if near else f"{close[0]}:{rest}"
    return f" Did you mean {guess!r}?"
