"""A run as a test: its events in a file, and a pytest beside it that does the run again and compares."""

from collections.abc import Sequence
from pathlib import Path

from journeyman.errors import UsageError
from journeyman.traces.events import RunStarted
from journeyman.traces.writer import Stored

TEST = '''\
"""Pins the run {run_id}: {prompt}"""

from pathlib import Path

import anyio

from journeyman.agent.replay import read, replay


def test_{name}() -> None:
    again = anyio.run(replay, read(Path(__file__).with_suffix(".jsonl")))

    assert (again.expected, again.got) == (None, None)
    assert again.digest == "{digest}"
'''


def write(run: Sequence[Stored], folder: Path, digest: str) -> tuple[Path, Path]:
    """The test and its events.

    Raises:
        UsageError: the files cannot be written.
    """
    run_id = run[-1].run_id
    name = "run_" + run_id.replace("-", "_")
    prompt = next((each.event.prompt for each in run if isinstance(each.event, RunStarted)), "")
    shown = " ".join(prompt.encode("ascii", "replace").decode().split())[:60].replace("\\", "/").replace('"', "'")
    test, events = folder / f"test_{name}.py", folder / f"test_{name}.jsonl"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        events.write_text("".join(f"{each.json()}\n" for each in run), "utf-8", newline="\n")
        test.write_text(TEST.format(run_id=run_id, prompt=shown, name=name, digest=digest), "utf-8", newline="\n")
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be written: {error}.", fix="Name a folder you may write to: --out DIR"
        ) from error

    return test, events
