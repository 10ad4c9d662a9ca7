"""CPU time of looking for secrets in what a run reads, in microseconds a KB, and in the events of a step.

Beside it the floor: Python's own search for one word that is not there.
"""

import base64
import random
import time
from collections.abc import Callable
from pathlib import Path

from journeyman.agent.veiled import veiled
from journeyman.traces.events import (
    CallDecided,
    CallFinished,
    CallProposed,
    CallStarted,
    ModelRequested,
    ModelResponded,
)
from journeyman.traces.messages import AssistantMessage, ToolCall, ToolResult
from journeyman.veil import Veil

LENGTH = 24_000
HERE = Path(__file__).parent.parent
DICE = random.Random(1)  # noqa: S311 - the same each time
TEXTS = {
    "prose": (HERE / "docs" / "cli.md").read_text("utf-8"),
    "code": (HERE / "journeyman" / "traces" / "store.py").read_text("utf-8") * 3,
    "not ASCII": "Grüße aus Köln, naïve façade, 日本語 " * 1000,
    "base64": base64.b64encode(DICE.randbytes(LENGTH)).decode(),
    "with a key": "So it goes. " * 1990 + "ghp_" + "Ab1" * 12,
}
STEP = (
    ModelRequested(step=1),
    ModelResponded(
        step=1, message=AssistantMessage(parts=(ToolCall(id="c1", name="add", arguments='{"a": 1, "b": 2}'),))
    ),
    CallProposed(call_id="c1", tool="python.add", arguments={"a": 1, "b": 2}),
    CallDecided(call_id="c1", effect="allow", rules=("r1",), reason="the rule allows it"),
    CallStarted(call_id="c1"),
    CallFinished(result=ToolResult(call_id="c1", name="add", text="3", data=3)),
)


def least(work: Callable[[], object], times: int = 50) -> float:
    """Microseconds of CPU."""
    spent = []
    for _ in range(5):
        before = time.process_time()
        for _ in range(times):
            work()

        spent.append((time.process_time() - before) / times * 1e6)

    return min(spent)


def main() -> None:
    plain = Veil()
    knowing = Veil([(f"K{n}", "".join(DICE.choices("abcdefghjk0123456789", k=30))) for n in range(20)])
    print("looking for secrets, microseconds of CPU a KB (least of 5)")
    print("               floor   by form   and 20 by value")
    for name, text in TEXTS.items():
        whole = text[-LENGTH:]
        figures = [least(lambda w=work, t=whole: w(t)) for work in (_find, plain.fresh().hide, knowing.fresh().hide)]
        print(f"  {name:<11}" + "".join(f"{1024 * figure / len(whole):9.2f}" for figure in figures))

    print(f"the events of a step: {least(_step, 2000):.1f} us")


def _find(text: str) -> int:
    return text.find("\0")


def _step(veil: Veil = Veil()) -> None:  # noqa: B008 - one for all
    for event in STEP:
        veiled(event, veil, typed=False)


if __name__ == "__main__":
    main()
