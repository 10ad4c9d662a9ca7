"""Adapters that were trained here: kept by name, and which of them runs use that name no model.

A name is a model's spec: `local:NAME`. `use` and `rollback` only write down which one is the default; no file of a
model is ever changed.
"""

import errno
import json
import re
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any

from journeyman.agent.models.files import ModelFiles, fingerprint
from journeyman.errors import BadModelFile, ConfigError, ModelNotFound, UsageError
from journeyman.home import alone, data_dir, replace_text

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def keep(name: str, base: Path, adapter: Path, card: dict[str, Any]) -> str:
    """Keep an adapter, whole or not at all; returns its spec.

    Raises:
        UsageError: the name is taken, or is none.
        ConfigError: it cannot be kept.
    """
    demand_name(name)
    folder = _folder() / name
    fresh = folder.parent.with_name(f".{name}.{token_hex(8)}.tmp")
    try:
        fresh.mkdir(parents=True)
        folder.parent.mkdir(exist_ok=True)
        shutil.copyfile(adapter, fresh / "adapter.gguf")
        about = {**card, "name": name, "base_path": str(base.absolute()), "base_fingerprint": fingerprint(base)}
        (fresh / "card.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        fresh.rename(folder)
    except OSError as error:
        if error.errno in {errno.EEXIST, errno.ENOTEMPTY}:
            fix = "Give another name: --name NAME"
            raise UsageError(f"There is a model {name!r} already.", fix=fix) from None

        raise ConfigError(f"{folder} cannot be written: {error}.", fix=f"Make room in {folder.parent}.") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)

    return f"local:{name}"


def demand_name(name: str) -> None:
    """Raises UsageError where it cannot be a model's name."""
    if not NAME.fullmatch(name) or name == "starter" or name.endswith(".gguf"):
        raise UsageError(f"{name!r} is no name for a model.", fix="Use letters, digits, - and _.")


def kept() -> list[dict[str, Any]]:
    """The cards of all that are kept, oldest first."""
    cards = [json.loads(path.read_text("utf-8")) for path in _folder().glob("*/card.json")]
    return sorted(cards, key=lambda card: str(card.get("at", "")))


def find_kept(name: str) -> ModelFiles | None:
    """The files of a kept model; None if there is none of that name.

    Raises:
        ModelNotFound: its base is gone.
        BadModelFile: its base is another file now.
    """
    card = _folder() / name / "card.json"
    if not NAME.fullmatch(name) or not card.is_file():
        return None

    about = json.loads(card.read_text("utf-8"))
    base = Path(about["base_path"])
    if not base.is_file():
        raise ModelNotFound(
            f"The model that {name!r} was trained on is gone: {base}.",
            fix="Put it back there, or: journeyman models rollback",
        )

    if fingerprint(base) != about["base_fingerprint"]:
        raise BadModelFile(f"{base} is not the model that {name!r} was trained on.", fix="Put the old file back.")

    return ModelFiles(model=base, adapters=(card.with_name("adapter.gguf"),))


def in_use() -> str | None:
    """Spec of the model that runs take which name none; None where nobody chose.

    Raises:
        ConfigError: the choice cannot be read.
    """
    return next(iter(_history()[-1:]), None)


def use(spec: str) -> None:
    """From now on runs that name no model take this one.

    Raises:
        ConfigError: the choice cannot be kept.
    """
    with _choosing() as history:
        history.append(spec)


def rollback() -> str | None:
    """Go back to the choice before; returns what is in use now.

    Raises:
        UsageError: there is no choice to take back.
        ConfigError: it cannot be kept.
    """
    with _choosing() as history:
        if not history:
            fix = "Choose one: journeyman models use NAME"
            raise UsageError("No model was chosen that could be taken back.", fix=fix)

        history.pop()

    return next(iter(history[-1:]), None)


def _folder() -> Path:
    return data_dir() / "models" / "kept"


def _history() -> list[str]:
    path = _folder() / "in-use.json"
    try:
        found = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return []
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error}.", fix=f"Make {path.parent} readable.") from error

    return [spec for spec in found if isinstance(spec, str)] if isinstance(found, list) else []


@contextmanager
def _choosing() -> Generator[list[str]]:
    path = _folder() / "in-use.json"
    try:
        with alone(path):
            history = _history()
            yield history
            replace_text(path, json.dumps(history, indent=2))
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error}.", fix=f"Make {path.parent} writable.") from error
