"""The story of a course, for people: `report.md`, and `report.png` with the curve."""

from collections.abc import Iterator
from pathlib import Path

from journeyman.errors import ConfigError
from journeyman.safe import safe
from journeyman.training.course import Found, Stage, Test
from journeyman.training.gate import paired
from journeyman.training.interval import wilson
from journeyman.training.thought import ON_TOP

EXAMPLES = 3
"""Tasks that are shown of those that flipped, each way."""


def write_report(found: Found, prompts: dict[str, str], folder: Path) -> Path:
    """Write it.

    Args:
        found: what was found.
        prompts: of the held-out tasks, by key.
        folder: where to.

    Raises:
        ConfigError: it cannot be written.
    """
    path = folder / "report.md"
    try:
        drawn = draw(found, folder / "report.png")
        path.write_text("\n".join(_lines(found, prompts, drawn=drawn)) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error}.", fix=f"Make room in {folder}.") from error

    return path


def draw(found: Found, path: Path) -> bool:
    """The learning curve: held-out and practice by stage, with the controls. False without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False

    tests = [found.before, *(stage.test for stage in found.stages)]
    known = [(at, test) for at, test in enumerate(tests) if test is not None]
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    rates = [test.rate for _, test in known]
    intervals = [wilson(sum(test.right.values()), len(test.right)) for _, test in known]
    errors = [
        [max(0.0, rate - low) for rate, (low, _) in zip(rates, intervals, strict=True)],
        [max(0.0, high - rate) for rate, (_, high) in zip(rates, intervals, strict=True)],
    ]
    axes.errorbar(
        [at for at, _ in known], rates, yerr=errors, marker="o", capsize=3, label="held-out, choosing the stage (95 %)"
    )
    practised = [
        (stage.number - 1, stage.practice.right / stage.practice.attempts) for stage in found.stages if stage.practice
    ]
    if practised:
        axes.plot(*zip(*practised, strict=True), marker="s", linestyle="--", label="practice, before the stage")

    if found.proofs:
        proofs = [(number, test.rate) for number, test in sorted(found.proofs.items())]
        axes.plot(*zip(*proofs, strict=True), marker="D", linestyle=":", label="held-out, for the verdict")

    for arm, test in found.controls.items():
        if test is None:
            continue

        axes.plot([found.control_of], [test.rate], marker="x", linestyle="none", label=f"control: {arm}")

    axes.set(ylim=(-0.02, 1.02), ylabel="share right", title=f"{found.course.name}: {found.course.tasks}")
    axes.set_xticks(range(len(tests)), ["before", *(f"{stage.number} {stage.name}" for stage in found.stages)])
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=150)
    return True


def _lines(found: Found, prompts: dict[str, str], *, drawn: bool) -> Iterator[str]:
    course = found.course
    yield f"# {course.name}: {course.base.name} on {course.tasks}\n"
    if found.verdict:
        what = "Promoted" if found.spec else "Better, and not kept" if found.verdict.promote else "Not promoted"
        yield f"**{what}.** {'; '.join(found.verdict.reasons)}.\n"

    if drawn:
        yield "![The curve](report.png)\n"

    yield from _stages(found)
    yield from _kinds(found)
    yield from _passes(found)
    yield from _flipped(found, prompts)
    yield (
        "\nHeld-out tasks are new ones whose prompts no training has seen, tried greedily through the whole runtime. "
        "One half of them chose the stage; the verdict is of the other half, which chose nothing. "
        "The loop teaches when to call which tool, how to write the call and when to stop; it does not teach reasoning."
    )


def _stages(found: Found) -> Iterator[str]:
    yield (
        "| stage | attempts | right | groups that differ | tokens an attempt | rows | held-out, choosing "
        "| held-out, verdict | minutes | mismatch | KL engine/trainer |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    if found.before:
        minutes = f"{found.before.seconds / 60:.1f}"
        yield f"| before | | | | | | {_rate(found.before)} | {_proof(found, 0)} | {minutes} | | |"

    for stage in found.stages:
        yield _stage(stage, _proof(found, stage.number))

    for arm, test in found.controls.items():
        told = _rate(test) if test else "could not be trained"
        yield f"| control {arm} of {found.control_of} | | | | | | | {told} | | | |"

    thought = [each for each in found.stages if each.thought]
    if thought:
        runs = (f"{each.number} {each.name} {sum(each.thought)} of {len(each.thought)}" for each in thought)
        given = f" A grpo stage gives {ON_TOP} for it." if any(each.name == "grpo" for each in thought) else ""
        yield f"\nHeld-out runs that thought before each call: {', '.join(runs)}.{given}"


def _proof(found: Found, number: int) -> str:
    test = found.proofs.get(number)
    return _rate(test) if test else ""


def _stage(stage: Stage, proof: str) -> str:
    tried, trained = stage.practice, stage.trained
    practice = ["", "", "", ""]
    if tried:
        even = f"{tried.mixed}/{tried.groups}"
        practice = [
            str(tried.attempts),
            f"{tried.right / tried.attempts:.0%}",
            even,
            f"{tried.tokens / tried.attempts:.0f}",
        ]

    test = _rate(stage.test) if stage.test else safe(stage.why)
    minutes = f"{sum(stage.seconds.values()) / 60:.1f}"
    agreed = [f"{trained.agreement.mismatch:.3f}", f"{trained.agreement.kl:.4f}"] if trained else ["", ""]
    name = f"{stage.number} {stage.name}{'' if stage.kept else ' (not kept)'}"
    return f"| {' | '.join([name, *practice, str(stage.rows), test, proof, minutes, *agreed])} |"


def _kinds(found: Found) -> Iterator[str]:
    before, after = _proofs(found)
    if not (before and after):
        return

    yield "\n## Held-out by kind, tasks of the verdict\n\n| kind | before | after |\n|---|---|---|"
    for kind in dict.fromkeys(before.kinds.values()):
        yield f"| {safe(kind)} | {_of(before, kind)} | {_of(after, kind)} |"

    if found.regression:
        before, after = found.regression
        yield f"| *regression suite* | {_rate(before)} | {_rate(after)} |"


def _passes(found: Found) -> Iterator[str]:
    if not found.passes:
        return

    yield (
        "\n## Several attempts\n\n| | " + " | ".join(f"pass@{each.k}" for each in found.passes["before"].passes) + " |"
    )
    yield "|---" * (1 + len(found.passes["before"].passes)) + "|"
    for label, tried in found.passes.items():
        cells = (f"{each.rate:.0%} [{each.low:.0%}, {each.high:.0%}]" for each in tried.passes)
        yield f"| {label} | {' | '.join(cells)} |"

    yield "\n## Where the gain comes from\n\n| adapter | " + " | ".join(found.gains["before"]) + " |"
    yield "|---" * (1 + len(found.gains["before"])) + "|"
    for label, rates in found.gains.items():
        yield f"| {label} | {' | '.join(f'{rate:.0%}' for rate in rates.values())} |"


def _flipped(found: Found, prompts: dict[str, str]) -> Iterator[str]:
    before, after = _proofs(found)
    if not (before and after):
        return

    pair = paired(before.right, after.right)
    yield f"\n## What changed\n\n{len(pair.gained)} tasks gained, {len(pair.lost)} lost; the difference is "
    yield f"{pair.after - pair.before:+.0%} [{pair.low:+.0%}, {pair.high:+.0%}], p = {pair.p:.2g} (McNemar)."
    for title, keys in (("Gained", pair.gained), ("Lost", pair.lost)):
        for key in keys[:EXAMPLES]:
            yield f"- {title}: {safe(prompts.get(key, key), 160)}"


def _proofs(found: Found) -> tuple[Test | None, Test | None]:
    """Before all, and of the stage that was chosen."""
    return found.proofs.get(0), found.proofs.get(found.best.number) if found.best else None


def _of(test: Test, kind: str) -> str:
    right = [right for key, right in test.right.items() if test.kinds[key] == kind]
    return f"{sum(right)}/{len(right)}"


def _rate(test: Test) -> str:
    right, count = sum(test.right.values()), len(test.right)
    low, high = wilson(right, count)
    return f"{right}/{count} = {right / max(count, 1):.0%} [{low:.0%}, {high:.0%}]"
