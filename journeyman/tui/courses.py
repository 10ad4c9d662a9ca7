"""What `journeyman improve` has found out, course by course: read from the folders it works in, also while it works."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from journeyman.errors import ConfigError
from journeyman.safe import safe
from journeyman.tui.chart import Series, curves, spark
from journeyman.tui.line import Line

if TYPE_CHECKING:
    from journeyman.training.course import Found, Stage, Test

FLIPPED = 6
"""Tasks that are shown of those that flipped, each way."""
METRICS = ("reward", "loss", "kl", "entropy", "completions/mean_length", "frac_reward_zero_std")
"""Of a trainer, where it tells them."""
LABEL = 12
HEADS = (
    ("attempts", "tries"), ("right", "right"), ("all alike", "alike"), ("tokens", "tokens"), ("rows", "rows"),
    ("held out", "held"), ("verdict", "proof"), ("mismatch", "apart"), ("KL", "KL"),
)  # fmt: skip
"""In full, and where there is less room."""


def folders() -> list[Path]:
    """Of all courses, the newest first."""
    from journeyman.home import data_dir

    found = (data_dir() / "training").glob("*/course.json")
    return [path.parent for path in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)]


def read(folder: Path) -> "Found":
    """What is known of a course by now.

    Raises:
        ConfigError: its file cannot be read, or is of another version.
    """
    from journeyman.training.course import Found

    try:
        return Found.model_validate_json((folder / "course.json").read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{folder} is no course that can be read: {error}", fix="journeyman improve") from error


def told(found: "Found", folder: Path, prompts: Mapping[str, str], width: int) -> Iterator[Line]:
    """The screen, as lines. `prompts` are those of tasks, by key."""
    course = found.course
    yield (safe(course.name), "heading"), (f"  {safe(course.base.name)} on {safe(course.tasks)}", "dim")
    if found.verdict:
        role = "good" if found.verdict.promote else "warning"
        yield (
            ("promoted: " if found.verdict.promote else "not promoted: ", role),
            ("; ".join(found.verdict.reasons), ""),
        )

    yield ()
    yield from curves(_series(found), len(found.stages) + 1, width, "right, by stage")
    names = ["before", *(f"{stage.number} {stage.name}" for stage in found.stages)]
    yield ((f"     {' · '.join(names)}", "dim"),)
    yield ()
    yield from _stages(found, width)
    for stage in found.stages:
        yield from _metrics(folder / f"{stage.number}-{stage.name}", stage)

    yield from _passes(found)
    yield from _flipped(found, prompts)


def _series(found: "Found") -> list[Series]:
    tests = {0: found.before, **{stage.number: stage.test for stage in found.stages}}
    tried = {s.number - 1: s.practice.right / max(1, s.practice.attempts) for s in found.stages if s.practice}
    controls = [test.rate for test in found.controls.values() if test]
    return [
        Series("practice", "●", "accent", tried),
        Series("held out", "○", "heading", {at: test.rate for at, test in tests.items() if test}),
        Series("of the verdict", "◆", "good", {at: test.rate for at, test in found.proofs.items()}),
        *([Series("best control", "×", "error", {found.control_of: max(controls)})] if controls else []),
    ]


def _stages(found: "Found", width: int) -> Iterator[Line]:
    wide = width >= LABEL + 10 * len(HEADS)
    row = _Row(10 if wide else 7)
    yield ((row("stage", [full if wide else short for full, short in HEADS]), "dim"),)
    yield ((row("before", [""] * 5 + [_rate(found.before), _rate(found.proofs.get(0))]), ""),)
    for stage in found.stages:
        cells = [*_tried(stage), str(stage.rows), _rate(stage.test), _rate(found.proofs.get(stage.number))]
        if stage.trained:
            cells += [f"{stage.trained.agreement.mismatch:.3f}", f"{stage.trained.agreement.kl:.4f}"]

        yield ((row(f"{stage.number} {stage.name}", cells), "" if stage.kept else "dim"),)

    for arm, test in found.controls.items():
        yield ((row(f"ctrl {safe(arm)}", [""] * 6 + [_rate(test)]), "dim"),)


class _Row(NamedTuple):
    cell: int

    def __call__(self, name: str, cells: Sequence[str]) -> str:
        return f"{name[: LABEL - 1]:<{LABEL}}" + "".join(f"{each:>{self.cell}}" for each in cells)


def _tried(stage: "Stage") -> list[str]:
    """Attempts, how many came out right, how many groups teach nothing, tokens an attempt."""
    if stage.practice is None:
        return [""] * 4

    tried = stage.practice
    each = max(1, tried.attempts)
    alike = 1 - tried.mixed / max(1, tried.groups)
    return [str(tried.attempts), f"{tried.right / each:.0%}", f"{alike:.0%}", f"{tried.tokens / each:.0f}"]


def _rate(test: "Test | None") -> str:
    return f"{test.rate:.0%}" if test else ""


def _metrics(folder: Path, stage: "Stage") -> Iterator[Line]:
    """How the trainer's numbers went."""
    rows: list[dict[str, Any]] = []
    with suppress(OSError, ValueError):
        rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text("utf-8").splitlines()]

    for name in METRICS:
        values = [float(row[name]) for row in rows if isinstance(row.get(name), int | float)]
        if len(values) > 1:
            label = f"{stage.number} {stage.name} {name.partition('/')[2].replace('_', ' ') or name.replace('_', ' ')}"
            yield (f"{label:<30}", "dim"), (spark(values, 40), "accent"), (f"  {values[0]:.3g} → {values[-1]:.3g}", "")


def _passes(found: "Found") -> Iterator[Line]:
    practised = {f"{stage.number} {stage.name}": stage.practice for stage in found.stages if stage.practice}
    for label, tried in (practised | found.passes).items():
        cells = "   ".join(f"pass@{p.k} {p.rate:.0%} [{p.low:.0%} {p.high:.0%}]" for p in tried.passes)
        yield (f"{label:<12}", "dim"), (cells, "")

    for label, rates in found.gains.items():
        yield (f"{label:<12}", "dim"), ("   ".join(f"{how} {rate:.0%}" for how, rate in rates.items()), "")


def _flipped(found: "Found", prompts: Mapping[str, str]) -> Iterator[Line]:
    if pair := found.held_out:
        yield ()
        change = f"{pair.after - pair.before:+.0%} [{pair.low:+.0%} {pair.high:+.0%}], p = {pair.p:.2g}"
        yield (
            ("held-out tasks that flipped  ", "bold"),
            (f"{len(pair.gained)} gained, {len(pair.lost)} lost; {change}", ""),
        )
        yield from _named("▲ ", "good", pair.gained, prompts)
        yield from _named("▼ ", "error", pair.lost, prompts)


def _named(sign: str, role: str, keys: Sequence[str], prompts: Mapping[str, str]) -> Iterator[Line]:
    for key in keys[:FLIPPED]:
        yield (sign, role), (safe(prompts.get(key, key), 160), "")
