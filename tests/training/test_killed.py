"""Practice whose process is killed, for real, and gone on with."""

import os
import signal
import subprocess
import sys

from journeyman.agent.models.scripted import ScriptedModel
from journeyman.traces.find import find
from journeyman.traces.store import Store
from journeyman.training.rollout import Batch, attempts, rollout
from journeyman.training.scoring import score_again
from journeyman.training.tasks import Task
from journeyman.verifiers.desk import Desk

TASKS = [Task(prompt=f"{n}+1?", answer=str(n + 1), match="numeric") for n in range(4)]
PRACTICE = """
import sys
import anyio
from journeyman.agent.models.scripted import ScriptedModel
from journeyman.traces.store import Store
from journeyman.training.rollout import Batch, rollout
from tests.training.test_killed import TASKS

def tell(trial):
    print(trial.run_id, flush=True)

with Store.open(sys.argv[1]) as store:
    model = ScriptedModel(lambda request: "1", delay=0.05)
    anyio.run(rollout, Batch("b", TASKS, n=6, parallel=3), model, store, tell)
"""


def killed_after(place: str, n: int, home: str) -> list[str]:
    """The runs that a process told of before it was killed."""
    env = {**os.environ, "JOURNEYMAN_HOME": home}
    with subprocess.Popen([sys.executable, "-c", PRACTICE, place], stdout=subprocess.PIPE, text=True, env=env) as child:
        assert child.stdout
        told = [child.stdout.readline().strip() for _ in range(n)]
        os.kill(child.pid, signal.SIGKILL)

    return told


async def test_what_a_killed_batch_had_done_is_kept_and_only_the_rest_is_done(tmp_path):
    place = str(tmp_path / "runs.db")
    told = killed_after(place, 7, str(tmp_path / "home"))
    with Store.open(place) as store:
        before = attempts(store, "b")
        assert {run.run_id for run in find(store, "batch:b is:scored")} >= set(told)
        rest = await rollout(Batch("b", TASKS, n=6, parallel=3), ScriptedModel("1"), store)
        wanted = {(task.key, index) for task in TASKS for index in range(6)}
        assert {(trial.task.key, trial.index) for trial in rest} == wanted - before.keys()
        assert attempts(store, "b").keys() == wanted
        assert len(find(store, "batch:b is:scored", None)) == len(wanted)

        cut = [run.run_id for run in find(store, "batch:b is:unfinished", None)]
        assert len(find(store, "batch:b", None)) - len(wanted) <= 3
        async with Desk(1) as desk:
            again = await score_again(store, cut, TASKS, desk)

        assert again.skipped == dict.fromkeys(cut, "it did not end")
