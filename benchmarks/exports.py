"""What it costs to write 10,000 runs of practice for a trainer: two model calls, a tool call and 120 drawn tokens each.

Floor: reading the events out of the store. `EXPORT_RUNS` sets how many runs there are, `EXPORT_FORMATS` which formats.
"""

import os
import tempfile
import time
from pathlib import Path

import anyio

from journeyman.traces.events import (
    CallDecided,
    CallFinished,
    CallProposed,
    CallStarted,
    ModelRequested,
    ModelResponded,
    RunFinished,
    RunStarted,
    Sample,
    SampleScored,
    StoredEvent,
)
from journeyman.traces.export import export
from journeyman.traces.messages import AssistantMessage, Text, Tokens, TokenSpan, ToolCall, ToolResult, ToolSpec
from journeyman.traces.store import Store

RUNS = int(os.environ.get("EXPORT_RUNS", "10000"))
FORMATS = os.environ.get("EXPORT_FORMATS", "messages tokens grpo dpo kto verl verifiers openenv art atif").split()
CALC = ToolSpec(name="calc", server="python", tool="calc", parameters={"type": "object"})
ASKED = {"temperature": 1.0, "logprobs": True}


def tokens(n: int, context: int, *, root: bool) -> Tokens:
    read = TokenSpan(kind="context", ids=tuple(range(n, n + context)))
    drawn = TokenSpan(kind="sampled", ids=tuple(range(60)), logprobs=tuple(-0.125 * (i % 7) for i in range(60)))
    return Tokens(level="tokens", logprob_kind="processed", root=root, spans=(read, drawn))


def run(n: int) -> list[StoredEvent]:
    task, index = divmod(n, 8)
    right = index % 2 == 0
    call = ToolCall(id="c1", name="calc", arguments=f'{{"expression": "{task} + 1"}}')
    says = AssistantMessage(parts=(Text(text=f"It is {task + right}."),))
    result = ToolResult(call_id="c1", name="calc", text=str(task + 1))
    sample = Sample(batch="b", task=f"t{task}", index=index)
    return [
        RunStarted(prompt=f"{task} + 1?", instructions="Calculate.", model="local:m", tools=(CALC,), sample=sample),
        ModelRequested(step=1, sampling=ASKED),
        ModelResponded(step=1, message=AssistantMessage(parts=(call,)), tokens=tokens(n, 200, root=True)),
        CallProposed(call_id="c1", tool="python.calc", arguments={"expression": f"{task} + 1"}),
        CallDecided(call_id="c1", effect="allow", rules=("r",)),
        CallStarted(call_id="c1"),
        CallFinished(result=result),
        ModelRequested(step=2, sampling=ASKED),
        ModelResponded(step=2, message=says, tokens=tokens(n, 20, root=False)),
        RunFinished(outcome="answered", answer=says.text, steps=2),
        SampleScored(verifier="reward/1", name="reward", score=float(right)),
    ]


async def fill(store: Store) -> list[str]:
    for n in range(RUNS):
        recorder = store.recorder(f"r{n:06}")
        for event in run(n):
            recorder.record(event)

        if n % 500 == 0:
            await recorder.barrier()

    await recorder.barrier()
    return [f"r{n:06}" for n in range(RUNS)]


def main() -> None:
    with tempfile.TemporaryDirectory() as name, Store.open(Path(name) / "runs.db") as store:
        ids = anyio.run(fill, store)
        before = time.process_time()
        for run_id in ids:
            list(store.events(run_id))

        floor = time.process_time() - before
        print(f"{RUNS:,} runs: reading their events takes {floor:.1f} CPU-s")
        for form in FORMATS:
            before = time.process_time()
            done = export(store, ids, Path(name) / "out.jsonl", form, force=True)
            spent = time.process_time() - before
            size = (Path(name) / "out.jsonl").stat().st_size / 1e6
            print(f"  {form:<10} {spent:6.1f} CPU-s, {done.rows:,} rows, {size:,.0f} MB, {len(done.skipped)} left out")


if __name__ == "__main__":
    main()
