"""What `journeyman doctor` looks at: can the main job work here, and what else is missing.

Nothing is created, downloaded or asked of another machine. Native code is tried in a process of its own, because it can
end the one it is in.
"""

import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio

from journeyman.agent.models.found import find_spec
from journeyman.config import Settings, load_settings
from journeyman.errors import (
    ConfigError,
    JourneymanError,
    ModelNotFound,
    SandboxError,
    ServerError,
    StoreError,
    install,
)
from journeyman.home import data_dir, state_dir
from journeyman.traces.messages import Value

ROOM = 1 << 20
"""Bytes that must find room: more than a run of many steps takes."""
PATIENCE = 30.0
"""Seconds that the engine may take to be imported; it takes a twentieth of one."""


class Check(Value):
    name: str
    ok: bool
    detail: str
    """What was found, or what is wrong and why."""
    fix: str = ""
    """The command that mends it."""
    required: bool = True
    """Without it the main job, a run, cannot work."""


def checkup() -> Iterator[Check]:
    """Every check, each as soon as it is made."""
    yield _check("python", _python)
    yield _check("settings", _settings)
    try:
        settings = load_settings()
    except ConfigError:
        settings = Settings()

    yield _check("policy", lambda: _policy(settings))
    yield _check("model", lambda: _model(_spec(settings)))
    yield _check("engine", _engine, required=_is_local(settings))
    yield _check("store", lambda: _store(settings.store))
    yield _check("home", _home)
    yield _check("sandbox", _sandbox, required=False)
    yield _check("servers", lambda: _servers(settings.root), required=False)


def _check(name: str, look: Callable[[], str], *, required: bool = True) -> Check:
    try:
        return Check(name=name, ok=True, detail=look(), required=required)
    except JourneymanError as error:
        return Check(name=name, ok=False, detail=str(error), fix=error.fix, required=required)
    except OSError as error:  # a folder on the way that may not be looked into
        return Check(name=name, ok=False, detail=str(error), fix="check its permissions", required=required)


def _python() -> str:
    return f"{platform.python_implementation()} {platform.python_version()}, {platform.platform(terse=True)}"


def _settings() -> str:
    settings = load_settings()
    origins = {name: settings.origin(name) for name in Settings.model_fields}
    changed = [f"{name} ({origin})" for name, origin in origins.items() if origin != "default"]
    return "; ".join([", ".join(changed) or "all default", *settings.notices])


def _policy(settings: Settings) -> str:
    from journeyman.policies.policy import Policy

    return Policy.assemble(settings.policy, project=settings.root).name


def _spec(settings: Settings) -> str:
    return settings.model or anyio.run(find_spec)


def _is_local(settings: Settings) -> bool:
    try:
        return _spec(settings).startswith(("local:", "hf:"))
    except ConfigError:
        return True


def _model(spec: str) -> str:
    from journeyman.agent.models.llama import LlamaModel
    from journeyman.agent.models.spec import make_model

    model = make_model(spec)
    if not isinstance(model, LlamaModel):
        return f"{spec}; it is asked when a run begins"

    files = model.files
    files.check()
    return f"{files.model}{f' with {files.adapter}' if files.adapter else ', without an adapter'}"


def _engine() -> str:
    code = "import xllamacpp, importlib.metadata as m; print(m.version('xllamacpp'))"
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", code],
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ModelNotFound(f"the local engine is not imported after {PATIENCE:.0f} seconds") from None

    if done.returncode == 0:
        return f"xllamacpp {done.stdout.strip()}"

    why = done.stderr.strip().splitlines()[-1:] or [f"it ended with {done.returncode}"]
    raise ModelNotFound(f"the local engine cannot be imported: {why[0]}", fix=install("journeyman[local]"))


def _store(path: Path | str) -> str:
    if isinstance(path, str):
        return _database(path)

    if not path.exists():
        return _room_for(path)

    import sqlite3
    from contextlib import closing

    from journeyman.traces.store import Store

    with closing(Store.open(path)) as store:
        newest = store.runs(limit=1)

    try:
        with closing(sqlite3.connect(path, timeout=1, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        raise StoreError(
            f"{path} cannot be written: {error}", fix="set a place that can be: JOURNEYMAN_STORE=PATH"
        ) from None

    _try(path.parent, f"{path} cannot grow")
    return f"{path}, newest run {newest[0].run_id}" if newest else f"{path}, no runs yet"


def _database(url: str) -> str:
    from contextlib import closing

    from journeyman.traces.store import Store

    with closing(Store.open(url)) as store:
        newest = store.runs(limit=1)

    return f"{store.where}, newest run {newest[0].run_id}" if newest else f"{store.where}, no runs yet"


def _room_for(path: Path) -> str:
    _try(path.parent, f"{path} cannot be made")
    return f"{path}, made by the first run"


def _home() -> str:
    """Where saved approvals, pins and what is trusted are kept."""
    _try(state_dir(), f"nothing can be remembered in {state_dir()}")
    return f"{state_dir()} can be written"


def _try(folder: Path, otherwise: str) -> None:
    """Write in a folder, or where it would be made: permissions do not tell that a disk is full or read-only.

    Raises:
        StoreError: nothing can be written there.
    """
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(bytes(ROOM))
            file.flush()
    except OSError as error:
        place = "JOURNEYMAN_HOME=FOLDER" if folder in {data_dir(), state_dir()} else "JOURNEYMAN_STORE=PATH"
        fix = f"free some of that disk, or set a place that can be written: {place}"
        raise StoreError(f"{otherwise}: nothing can be written in {there}: {error.strerror}", fix=fix) from None


def _sandbox() -> str:
    from journeyman.sandbox.docker import Docker
    from journeyman.sandbox.select import BACKENDS, probe_all

    # To try a container, an image may have to be made: that is for `journeyman sandbox doctor`.
    probes = anyio.run(probe_all, [each for each in BACKENDS if not isinstance(each, Docker)])
    usable = [probe for probe in probes if probe.available]
    if not usable:
        raise SandboxError("; ".join(f"{probe.backend}: {probe.reason}" for probe in probes), fix="uv sync")

    return "; ".join(f"{probe.backend}, isolation level {probe.level}" for probe in usable)


def _servers(root: Path) -> str:
    from journeyman.tools.mcp_json import servers
    from journeyman.tools.target import Command

    found = servers(root)
    gone = [each.name for each in found.targets if isinstance(each, Command) and each.program is None]
    if gone:
        names = ", ".join(gone)
        raise ServerError(f"no program for: {names}", fix=f"install it, or journeyman mcp remove {gone[0]}")

    names = ", ".join(each.name for each in found.targets)
    told = f"{names}, not started now; to try one: journeyman mcp test NAME" if names else "none of your own"
    return "; ".join([told, *found.notices])
