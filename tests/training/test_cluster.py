"""The same practice on a Ray cluster of this machine, into a PostgreSQL server."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from journeyman.agent.models.engine import Engine
from journeyman.errors import UsageError
from journeyman.traces.find import find
from journeyman.traces.store import Store
from journeyman.training.cluster import fan_out
from journeyman.training.rollout import Batch, attempts
from journeyman.training.tasks import Task
from tests.need import need
from tests.traces.conftest import new_schema
from tests.traces.conftest import server as server  # noqa: PLC0414 - a fixture

TASKS = [Task(prompt=f"{n}+1?", answer=str(n + 1), match="numeric") for n in range(4)]
PRACTICE = """
import json, sys
import ray
from journeyman.agent.models.engine import Engine
from journeyman.errors import ModelError
from journeyman.training.cluster import fan_out
from journeyman.training.rollout import Batch
from tests.training.test_cluster import TASKS

where, script = sys.argv[1:]
told = []
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
for n in (1, 2, 2):
    fan_out(Batch("b", TASKS, n=n), script, Engine(), where, workers=2, report=told.append)

try:
    fan_out(Batch("c", TASKS, n=1), "local:/none.gguf", Engine(), where, workers=1)
except ModelError as error:
    print(json.dumps([[[trial.task.prompt, trial.index] for trial in told], str(error)]))
"""


@pytest.mark.timeout(240)
def test_two_workers_make_what_is_missing_and_no_more(server, tmp_path):
    need("ray")
    where = new_schema(server).replace("postgresql:", "postgresql+psycopg:")
    script = tmp_path / "one.json"
    script.write_text(json.dumps(["1"]))
    env = {
        **os.environ,
        "RAY_USAGE_STATS_ENABLED": "0",
        "JOURNEYMAN_HOME": str(tmp_path),
        "PYTHONPATH": str(Path.cwd()),
    }
    command = [sys.executable, "-c", PRACTICE, where, f"scripted:{script}"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=200, check=False)

    assert done.returncode == 0, done.stderr
    told, error = json.loads(done.stdout)
    assert sorted(told) == [[task.prompt, n] for task in TASKS for n in range(2)]
    assert "/none.gguf" in error
    with Store.open(where) as store:
        assert attempts(store, "b").keys() == {(task.key, n) for task in TASKS for n in range(2)}
        assert [run.reward for run in find(store, f"batch:b task:{TASKS[0].key}")] == [1.0, 1.0]


def test_a_store_in_a_file_is_no_store_for_a_cluster(tmp_path):
    with pytest.raises(UsageError, match="cannot write to a file") as caught:
        fan_out(Batch("b", TASKS), "scripted:x", Engine(), str(tmp_path / "runs.db"))

    assert "postgresql" in caught.value.fix
