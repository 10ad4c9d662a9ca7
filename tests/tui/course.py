"""A course of practice as `improve` leaves it."""

from pathlib import Path

from journeyman.training.agree import Agreement
from journeyman.training.course import Course, Found, Stage, Test
from journeyman.training.gate import Paired, Verdict
from journeyman.training.tally import PassAt, Tally
from journeyman.training.train import Trained


def test(*right: bool) -> Test:
    keys = [f"k{at}" for at in range(len(right))]
    return Test(right=dict(zip(keys, right, strict=True)), kinds=dict.fromkeys(keys, "sums"), seconds=60.0)


TRIED = Tally(
    attempts=64,
    right=40,
    unjudged=0,
    groups=8,
    mixed=6,
    passes=(PassAt(k=1, rate=0.62, low=0.5, high=0.7), PassAt(k=8, rate=0.9, low=0.8, high=1.0)),
    tokens=6400,
    seconds=300.0,
    usd=0.0,
)
AGREED = Agreement(places=24, kl=0.0002, base_kl=2.5, mismatch=0.003, same_top=1.0)
DONE = Trained(adapter=Path("adapter.gguf"), steps=20, seconds=300.0, tokens=2_000, loss=0.1, agreement=AGREED)
FOUND = Found(
    course=Course(name="sums", tasks="tasks.toml", base=Path("small.gguf"), stages=("grpo", "sft")),
    before=test(False, False, False, True),
    stages=(
        Stage(
            number=1, name="grpo", practice=TRIED, rows=48, trained=DONE, test=test(True, False, True, True), kept=True
        ),
        Stage(number=2, name="sft", why="There is nothing to learn from."),
    ),
    proofs={0: test(False, False, True, False), 1: test(True, True, True, False)},
    controls={"random": test(False, False, True, False), "format": None},
    control_of=1,
    passes={"before": TRIED, "after": TRIED},
    gains={"before": {"greedy": 0.25}, "after": {"greedy": 0.75, "vote of 8": 0.8}},
    held_out=Paired(tasks=4, before=0.25, after=0.75, gained=("k0", "k1"), lost=("k2",), p=0.25, low=0.0, high=1.0),
    verdict=Verdict(promote=False, reasons=("held-out not surely better: 25% -> 75% (p = 0.25)",)),
)
