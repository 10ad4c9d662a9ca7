"""Tasks as the prompts that other trainers practise on: one row a task, held-out ones never.

    trl:  {"prompt": [message], "task": "KEY", "kind": "...", "ground_truth": "666", "verifiers": "[...]",
           "files": "{...}"}
    verl: {"data_source": "journeyman/KIND", "prompt": [message], "ability": "KIND",
           "reward_model": {"style": "rule", "ground_truth": "666"}, "extra_info": {"split": "train", "index": 0, ...}}

A file is JSON lines, or Parquet where its name says so. Checks and files are JSON text: their shapes differ from task
to task, and a table would fill them up with nulls. TRL hands columns to reward functions as they are; verl wants a
reward function of yours (`custom_reward_function`), because it knows none for this `data_source`.

Lost on the way: tools, policies, oracles, cheats.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal

from journeyman.errors import ConfigError, install
from journeyman.traces.export import Exported, whole
from journeyman.training.tasks import Task

Form = Literal["trl", "verl"]


def export_tasks(tasks: Sequence[Task], out: Path, form: Form, *, force: bool = False) -> Exported:
    """Write prompts to a file, which appears whole or not at all. What is left out is told by key.

    Raises:
        UsageError: the file cannot be written.
        ConfigError: it is to be Parquet, and pyarrow is not installed.
    """
    write = _trl if form == "trl" else _verl
    train = [task for task in tasks if task.split == "train"]
    rows = [write(task, index) for index, task in enumerate(train)]
    with whole(out, force=force) as file:
        (_parquet if out.suffix == ".parquet" else _lines)(file, rows)

    skipped = {task.key: "it is held out" for task in tasks if task.split != "train"}
    return Exported(rows=len(rows), runs=0, skipped=skipped)


def _trl(task: Task, index: int) -> dict[str, Any]:  # noqa: ARG001 - as verl's
    return {
        "prompt": [{"role": "user", "content": task.prompt}],
        "task": task.key,
        "kind": task.kind,
        "ground_truth": task.answer,
        **_texts(task),
    }


def _verl(task: Task, index: int) -> dict[str, Any]:
    return {
        "data_source": f"journeyman/{task.kind}",
        "prompt": [{"role": "user", "content": task.prompt}],
        "ability": task.kind,
        "reward_model": {"style": "rule", "ground_truth": task.answer},
        "extra_info": {"split": "train", "index": index, "task": task.key, **_texts(task)},
    }


def _texts(task: Task) -> dict[str, str]:
    checks = [check.model_dump(mode="json", exclude_defaults=True) for check in task.verifiers]
    return {"verifiers": json.dumps(checks, ensure_ascii=False), "files": json.dumps(task.files, ensure_ascii=False)}


def _lines(file: BinaryIO, rows: Iterable[dict[str, Any]]) -> None:
    file.writelines(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def _parquet(file: BinaryIO, rows: list[dict[str, Any]]) -> None:
    try:
        from pyarrow import Table
        from pyarrow.parquet import write_table
    except ImportError as error:
        raise ConfigError("Parquet needs pyarrow.", fix=f"{install('pyarrow')}, or name the file OUT.jsonl") from error

    write_table(Table.from_pylist(rows), file)
