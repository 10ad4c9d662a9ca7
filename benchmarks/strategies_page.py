"""The page that tells what each strategy buys: `uv run python -m benchmarks.strategies_page [--n 12] [--write]`.

It tries nothing: it adds up what `benchmarks.strategies` has stored, and writes docs/strategies.md from its second
heading on, with the drawings.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from sqlalchemy import select

from benchmarks.strategies import CHOICE, SEED, SURE, WRITTEN, Trial, sizes, trials
from journeyman.agent.strategies.route import Route
from journeyman.cli.plot import svg
from journeyman.config import load_settings
from journeyman.traces.schema import run
from journeyman.traces.store import Store
from journeyman.training.compare import Arm, Comparison, compared
from journeyman.training.interval import bootstrap
from journeyman.training.rollout import attempts
from journeyman.training.tally import Tried

PAGE = Path(__file__).parents[1] / "docs" / "strategies.md"
BELOW = "# What a strategy buys\n"
"""The page's own words end here."""
MANY = 50
"""Tasks from which what a router saves is told of each family."""
HEAD = """{below}
`uv run python -m benchmarks.strategies --n {n} --routed {routed}`, then `uv run python -m benchmarks.strategies_page`:
as many of the tasks as a few hours of a core allowed. Each strategy tries the same held-out tasks once, seed {seed}. In
the tables: right answers with their 95 % Wilson interval; tokens a task, read and written, with what candidates that
were not chosen and judges read and wrote; against *plain*, the tasks that only this strategy or only *plain* got right,
and the chance of so uneven a split (exact McNemar test). All of it ran here and cost nothing; there are no seconds,
because strategies that make the same draw share it. A star: the task's own verifier was asked, which is an upper bound,
not a result. What is against *plain* is over shared tasks alone. `local:starter` is the starter of the second table,
`local:qwen.gguf` the model of the first; a token of theirs counts as one.

"""
TABLE = "| strategy | right | 95 % | read | written | better | worse | p |\n|---|---|---|---|---|---|---|---|\n"
SAVED = """## What routing saves

`route(low, high)` beside `high` alone, over the tasks that both have tried: right answers, and by how much of all tasks
they differ; tokens written a task, and how many of them are saved; both with 95 % bootstrap intervals over the tasks.
Where a likelihood decides, it does so at {sure:g}, which parted right short answers from wrong ones best on {n} tasks
of another seed.

| model, family | route | right, routed | right, high | difference | tokens, routed | tokens, high | saved |
|---|---|---|---|---|---|---|---|
"""


def page(trials: Sequence[Trial], store: Store, given: argparse.Namespace) -> str:
    parts = [HEAD.format(below=BELOW, n=given.n, routed=given.routed, seed=SEED)]
    for trial in trials:
        result = compared(trial.plan, trial.name, store)
        arms = [each for each in result.arms if each.tasks]
        if not arms:
            continue

        rows = "".join(_row(each, _read(store, f"{trial.plan.name}/{each.strategy}")) for each in arms)
        drawing = PAGE.with_name(f"strategies-{trial.plan.name.rpartition('/')[2]}.svg")
        if given.write:
            named = [each.model_copy(update={"strategy": WRITTEN[each.strategy]}) for each in arms]
            drawing.write_text(svg(named), encoding="utf-8")

        parts.append(
            f"## {trial.name}\n\n{TABLE}{rows}\n![accuracy against tokens]({drawing.name})\n\n{_kinds(result)}"
        )

    saved = "".join(row for trial in trials for row in _routed(trial, store))
    return "".join([*parts, SAVED.format(sure=SURE, n=3 * CHOICE), saved]).rstrip() + "\n"


def _read(store: Store, batch: str) -> float:
    """Tokens that the models read, a task; those included that a cache spared them."""
    with store.reading() as connection:
        found = connection.execute(select(run.c.task, run.c.prompt_tokens).where(run.c.batch == batch)).all()

    last = {row.task: row.prompt_tokens for row in found}
    return sum(last.values()) / max(len(last), 1)


def _row(arm: Arm, read: float) -> str:
    name = f"{WRITTEN[arm.strategy]}{'*' * ('verifier' in arm.strategy)}"
    right = f"{arm.right}/{arm.tasks} | {arm.low:.0%} to {arm.high:.0%}"
    return f"| {name} | {right} | {read:.0f} | {arm.tokens:.0f} | {arm.better} | {arm.worse} | {arm.p:.2g} |\n"


def _routed(trial: Trial, store: Store) -> Iterator[str]:
    """Each router beside the dear strategy that it saves: over all tasks that both have tried, and by family."""
    kinds = {task.key: task.kind for task in trial.plan.tasks}
    for each in trial.plan.strategies:
        if not isinstance(each, Route):
            continue

        routed, dear = (
            {key: one for (key, _), one in attempts(store, trial.plan.batch(how)).items() if key in kinds}
            for how in (each, each.high)
        )
        both = sorted(routed.keys() & dear.keys())
        families = dict.fromkeys(kinds.values()) if len(kinds) > MANY else ()
        for kind in ("", *families):
            pairs = [(routed[key], dear[key]) for key in both if kind in ("", kinds[key])]
            if pairs:
                named = f"{kind} |" if kind else f"{trial.name} | `{WRITTEN[str(each)]}`"
                yield f"| {named} | {_beside(pairs)} |\n"


def _beside(pairs: Sequence[tuple[Tried, Tried]]) -> str:
    """The cells that set the first of each pair against the second."""
    n = len(pairs)
    right = [sum(pair[at].reward == 1 for pair in pairs) for at in (0, 1)]
    tokens = [sum(pair[at].tokens for pair in pairs) / n for at in (0, 1)]
    won = [float((one.reward == 1) - (other.reward == 1)) for one, other in pairs]
    saved = [(other.tokens - one.tokens) / (tokens[1] or 1) for one, other in pairs]
    differs, saves = (
        f"{sum(each) / n:+.0%} ({low:+.0%} to {high:+.0%})"
        for each, (low, high) in ((won, bootstrap(won)), (saved, bootstrap(saved)))
    )
    return f"{right[0]}/{n} | {right[1]}/{n} | {differs} | {tokens[0]:.0f} | {tokens[1]:.0f} | {saves}"


def _kinds(result: Comparison) -> str:
    kinds = list(result.kinds)
    lines = [f"| right, by family | {' | '.join(kinds)} |\n|{'---|' * (len(kinds) + 1)}\n"]
    for n, one in enumerate(result.arms):
        if not one.tasks:
            continue

        cells = [f"{result.kinds[kind][n].right}/{result.kinds[kind][n].tasks}" for kind in kinds]
        lines.append(f"| {WRITTEN[one.strategy]} | {' | '.join(cells)} |\n")

    return "".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.strategies_page", description=__doc__)
    sizes(parser)
    parser.add_argument("--write", action="store_true", help="write docs/strategies.md and its drawings")
    given = parser.parse_args(arguments)
    with Store.open(load_settings().store) as store:
        text = page(trials(given.n, given.routed), store, given)

    print(text)
    if given.write:
        words, _, _ = PAGE.read_text("utf-8").partition(BELOW)
        PAGE.write_text(words + text, encoding="utf-8")


if __name__ == "__main__":
    main()
