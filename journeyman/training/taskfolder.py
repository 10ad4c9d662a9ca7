"""Tasks that others keep in folders: Terminal-Bench's, before and since Harbor, and repositories as in SWE-bench.

    FOLDER/task.yaml  solution.sh        tests/test_outputs.py     # Terminal-Bench
    FOLDER/task.toml  instruction.md     environment/Dockerfile  solution/solve.sh  tests/test_outputs.py   # Harbor
    rows.jsonl        INSTANCE_ID/...                              # SWE-bench: a row each, its repository beside them

The folder of the container (/app) is the folder that the tools work in. Files come from what the Dockerfile COPYs; what
it RUNs is not done, so a task that needs it fails its own proof (`journeyman tasks check`). Tests are written only when
a run is judged. Tasks that carry a benchmark's canary, and rows that do not say `"split": "train"`, are never trained
on.
"""

import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from journeyman.errors import ConfigError, install
from journeyman.tomlfile import as_text, read_once
from journeyman.training.folder import MOST_FILES, texts
from journeyman.training.patch import apply
from journeyman.training.tasks import Task
from journeyman.verifiers.check import Check
from journeyman.verifiers.hidden import PLANTED, SETTINGS

MARKERS = ("task.yaml", "task.toml")
ALLOW = ("files.*", "code.*")
HOME = re.compile(r"/app\b/?")
SECONDS = 60.0


def read_folder(path: Path) -> list[Task]:
    """The task in a folder, or those in the folders below it.

    Raises:
        ConfigError: one of them is not right.
    """
    folders = [path] if _marked(path) else sorted(each for each in path.iterdir() if each.is_dir() and _marked(each))
    return [_terminal_bench(folder) for folder in folders]


def _marked(folder: Path) -> bool:
    return any((folder / name).is_file() for name in MARKERS)


def _terminal_bench(folder: Path) -> Task:
    harbor = (folder / "task.toml").is_file()
    about = _toml(folder / "task.toml") if harbor else _yaml(folder / "task.yaml")
    instruction = _text(folder / "instruction.md") if harbor else about.get("instruction")
    if not isinstance(instruction, str) or not instruction.strip():
        raise ConfigError(f"{folder} has no instruction", fix="write instruction.md, or `instruction:` in task.yaml")

    limit = (about.get("verifier") or {}).get("timeout_sec") if harbor else about.get("max_test_timeout_sec")
    tests = {f"tests/{path}": HOME.sub("./", text) for path, text in texts(folder / "tests").items()}
    script = folder / ("solution/solve.sh" if harbor else "solution.sh")
    everything = "".join([instruction, *tests.values(), _text(folder / MARKERS[harbor])])
    return Task(
        kind="terminal_bench",
        name=folder.name,
        prompt=HOME.sub(".", instruction.replace("/app/", "")).strip(),
        checks=(Check(verifier="tests", parameters=_verified(tests, float(limit or SECONDS), folder)),),
        files=_copied(folder / "environment" if harbor else folder),
        script=HOME.sub("./", _text(script)) if script.is_file() else "",
        says="Done.",
        allow=ALLOW,
        source=str(folder),
        never="canary" in everything.lower(),
    )


def _verified(tests: Mapping[str, str], seconds: float, folder: Path) -> dict[str, Any]:
    """By pytest where there are files for it; else the script that comes with them."""
    common: dict[str, Any] = {"files": dict(tests), "seconds": seconds}
    if any(PurePosixPath(path).name.startswith("test_") and path.endswith(".py") for path in tests):
        return common

    if "tests/test.sh" not in tests:
        raise ConfigError(f"{folder} has no tests", fix="write tests/test_outputs.py or tests/test.sh")

    return common | {"command": ["bash", "tests/test.sh"]}


def _copied(context: Path) -> dict[str, str]:
    """What the Dockerfile puts into the container's folder."""
    dockerfile = context / "Dockerfile"
    files: dict[str, str] = {}
    for line in _text(dockerfile).splitlines() if dockerfile.is_file() else ():
        word, *rest = shlex.split(line, comments=True) or [""]
        names = [name for name in rest if not name.startswith("--")]
        if word.upper() in {"COPY", "ADD"} and len(names) > 1:
            for source in names[:-1]:
                files |= _placed(context, source, names[-1])

    return files


def _placed(context: Path, source: str, target: str) -> dict[str, str]:
    target = HOME.sub("", target).removeprefix("./")
    here = (context / source.lstrip("/")).resolve()
    if not here.is_relative_to(context.resolve()) or target.startswith("/"):
        return {}

    if here.is_file():
        name = f"{target}{here.name}" if not target or target.endswith("/") else target
        return {name: _text(here)}

    ours = {"Dockerfile", "docker-compose.yaml", *MARKERS, "solution.sh", "solution.yaml", "run-tests.sh"}
    found = {path: text for path, text in texts(here).items() if path not in ours and not path.startswith("tests/")}
    prefix = f"{target.rstrip('/')}/" if target.strip("/.") else ""
    return {f"{prefix}{path}": text for path, text in found.items()}


def as_repository(row: Mapping[str, Any], where: str, beside: Path) -> dict[str, Any]:
    """A row of SWE-bench as the fields of a task.

    Args:
        row: instance_id, problem_statement, patch, test_patch, FAIL_TO_PASS and PASS_TO_PASS.
        where: file and line, for messages.
        beside: the folder with the repositories, each at its base commit, called as its instance.

    Raises:
        ConfigError: there is no such repository, or a patch does not fit it.
    """
    name = str(row["instance_id"])
    snapshot = beside / name
    if not snapshot.is_dir():
        fix = f"clone {row.get('repo')} there; git checkout {row.get('base_commit', 'BASE_COMMIT')}"
        raise ConfigError(f"{where}: there is no repository {snapshot}", fix=fix)

    files = texts(snapshot)
    if len(files) >= MOST_FILES:
        raise ConfigError(f"{where}: {snapshot} has {MOST_FILES} files or more", fix="leave out what it does not need")

    tests = {path: text for path, text in apply(files, str(row["test_patch"])).items() if text is not None}
    steering = {path: text for path, text in files.items() if PurePosixPath(path).name in PLANTED | SETTINGS}
    must = [*_names(row.get("FAIL_TO_PASS")), *_names(row.get("PASS_TO_PASS"))]
    return {
        "kind": "repository",
        "name": name,
        "prompt": f"Solve this in the repository in your folder.\n\n{row['problem_statement']}",
        "checks": [{"verifier": "tests", "files": steering | tests, "must": must, "seconds": SECONDS * 5}],
        "files": files,
        "leaves": apply(files, str(row["patch"])),
        "says": "Done.",
        "allow": ALLOW,
        "source": where,
        "never": row.get("split") != "train",
    }


def _names(given: Any) -> list[str]:
    """A list, or JSON text of one."""
    return [str(each) for each in (json.loads(given) if isinstance(given, str) else given or ())]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", fix="tasks are UTF-8 text") from None


def _toml(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(as_text(read_once(path, link=True), path))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}", fix="mend that line") from None


def _yaml(path: Path) -> dict[str, Any]:
    try:
        import yaml
    except ImportError:
        raise ConfigError(f"{path} needs PyYAML", fix=install("journeyman[tasks]")) from None

    try:
        found = yaml.safe_load(_text(path))
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}", fix="mend that line") from None

    return found if isinstance(found, dict) else {}
