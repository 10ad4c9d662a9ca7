import pytest

from journeyman.traces.events import MessageAdded, RunFinished, RunStarted
from journeyman.traces.paging import behind, length
from journeyman.traces.store import Store


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "runs.db") as store:
        yield store


async def write(store, run_id, first, texts):
    recorder = store.recorder(run_id)
    recorder.record(first)
    for text in texts:
        recorder.record(MessageAdded(text=text))
        if text.endswith("0"):
            await recorder.barrier()

    recorder.record(RunFinished(outcome="answered"))
    await recorder.barrier()


async def test_any_part_of_a_run_and_of_a_fork_of_a_fork_is_read_alone(store):
    await write(store, "one", RunStarted(prompt="?", model="m"), [str(n) for n in range(25)])
    await write(store, "two", RunStarted(prompt="?", model="m", parent="one", parent_seq=13), ["a", "b0", "c"])
    await write(store, "three", RunStarted(prompt="?", model="m", parent="two", parent_seq=2), ["d"])
    for run in ("one", "two", "three"):
        whole = list(store.events(run))
        assert length(store, run) == len(whole)
        for first in range(len(whole) + 2):
            assert list(behind(store, run, first)) == whole[first:]

    assert length(store, "four") == 0
