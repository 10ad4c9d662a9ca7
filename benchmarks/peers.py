"""What others' stores cost for 200 steps with results of 1 KB, beside ours: CPU time a step, and bytes on disk.

    uv venv /tmp/peers && uv pip install --python /tmp/peers openai-agents langgraph langgraph-checkpoint-sqlite
    PEERS_PYTHON=/tmp/peers/bin/python uv run python -m benchmarks peers

Theirs run in their own environment and are given messages only: a call and its result each step, no loop around it but
where the store knows no other way (LangGraph). Ours also keeps what was decided, when, and the hash chain.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import anyio

from benchmarks.traces import prose
from journeyman.traces.events import (
    CallDecided,
    CallFinished,
    CallProposed,
    CallStarted,
    ModelRequested,
    ModelResponded,
    RunStarted,
)
from journeyman.traces.messages import AssistantMessage, ToolCall, ToolResult, Usage
from journeyman.traces.store import Store

STEPS = 200
THEIRS = """
import asyncio, json, sys, tempfile, time
from pathlib import Path
RESULTS = json.load(sys.stdin)

async def openai_agents(folder):
    from agents import SQLiteSession
    session = SQLiteSession("run", folder / "runs.db")
    for n, text in enumerate(RESULTS):
        call = {"type": "function_call", "call_id": f"c{n}", "name": "look", "arguments": json.dumps({"n": n})}
        await session.add_items([call, {"type": "function_call_output", "call_id": f"c{n}", "output": text}])

    session.close()

async def langgraph(folder):
    from langchain_core.messages import AIMessage, ToolMessage
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
    from langgraph.graph import START, MessagesState, StateGraph

    def step(state):
        n = len(state["messages"]) // 2
        call = AIMessage("", tool_calls=[{"id": f"c{n}", "name": "look", "args": {"n": n}}])
        return {"messages": [call, ToolMessage(RESULTS[n], tool_call_id=f"c{n}")]}

    def more(state):
        return "step" if len(state["messages"]) < 2 * len(RESULTS) else "__end__"

    graph = StateGraph(MessagesState).add_node("step", step).add_edge(START, "step").add_conditional_edges("step", more)
    async with AsyncSqliteSaver.from_conn_string(str(folder / "runs.db")) as saver:
        run = {"configurable": {"thread_id": "run"}, "recursion_limit": 2 * len(RESULTS)}
        await graph.compile(checkpointer=saver).ainvoke({"messages": []}, run)

for peer in (openai_agents, langgraph):
    for _ in range(2):  # the first time imports
        with tempfile.TemporaryDirectory() as name:
            before = time.process_time()
            asyncio.run(peer(Path(name)))
            spent = (time.process_time() - before) / len(RESULTS) * 1e6
            size = sum(file.stat().st_size for file in Path(name).iterdir())

    print(f"  {peer.__name__:<14} {spent:7.0f} us a step  {size:12,} bytes")
"""


async def ours(folder: Path, results: list[str]) -> float:
    """Microseconds of CPU a step: six events and a barrier."""
    with Store.open(folder / "runs.db") as store:
        recorder = store.recorder("run")
        recorder.record(RunStarted(prompt="go", model="scripted"))
        spent = 0.0
        for n, text in enumerate(results):
            name = f"c{n}"
            call = ToolCall(id=name, name="look", arguments=json.dumps({"n": n}))
            events = (
                ModelRequested(step=n),
                ModelResponded(step=n, message=AssistantMessage(parts=(call,)), usage=Usage(completion_tokens=4)),
                CallProposed(call_id=name, tool="python.look", arguments={"n": n}),
                CallDecided(call_id=name, effect="allow", rules=("own",), reason="a function of the caller's"),
                CallStarted(call_id=name),
                CallFinished(result=ToolResult(call_id=name, name="look", text=text)),
            )
            before = time.process_time()
            for event in events:
                recorder.record(event)

            await recorder.barrier()
            spent += time.process_time() - before

    return spent / len(results) * 1e6


def main() -> None:
    results = [prose(n) for n in range(STEPS)]
    print(f"stores: {STEPS} steps with results of 1 KB")
    for name, texts in (("journeyman", results), ("  short results", [str(n) for n in range(STEPS)])):
        with tempfile.TemporaryDirectory() as folder:
            spent = anyio.run(ours, Path(folder), texts)
            size = sum(file.stat().st_size for file in Path(folder).iterdir())
            print(f"  {name:<14} {spent:7.0f} us a step  {size:12,} bytes")

    if python := os.environ.get("PEERS_PYTHON"):
        sys.stdout.flush()
        subprocess.run([python, "-c", THEIRS], input=json.dumps(results), text=True, check=True)
    else:
        print("  others: see benchmarks/peers.py")


if __name__ == "__main__":
    main()
