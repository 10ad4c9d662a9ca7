"""The page that tells what each strategy buys: `uv run python -m benchmarks.strategies_page [--n 12] [--write]`.

It tries nothing: it adds up what `benchmarks.strategies` has stored, and writes docs/strategies.md from its second
heading on, with the drawings.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.strategies import AT_ONCE, CHOICE, SEED, SURE, Trial, sizes, trials
from journeyman.agent.strategies.route import Route
from journeyman.cli.compare import table
from journeyman.cli.plot import svg
from journeyman.config import load_settings
from journeyman.traces.store import Store
from journeyman.training.compare import Comparison, compared
from journeyman.training.interval import bootstrap
from journeyman.training.rollout import attempts
from journeyman.training.tally import Tried

PAGE = Path(__file__).parents[1] / "docs" / "strategies.md"
BELOW = "# What a strategy buys\n"
"""The page's own words end here."""
MANY = 99
"""Tasks from which what a router saves is told of each family."""
HEAD = """{below}
`uv run python -m benchmarks.strategies --n {n} --routed {routed}`, then `uv run python -m benchmarks.strategies_page`.
Each strategy tries the same held-out tasks once, seed {seed}; what it writes beside the answer it gives (candidates
that were not chosen, judgements) counts as tokens. In the tables: right answers with their 95 % Wilson interval; tokens
written and seconds a task ({at_once} tasks at once on one thread: believe the tokens); against *plain*, the tasks that
only this strategy or only *plain* got right, and the chance of so uneven a split (exact McNemar test). What is not
written of a strategy is as in the table above: `vote` is `vote(5, of=plain)`. A star: the task's own verifier was
asked, which is an upper bound, not a result. Where an arm has fewer tasks than others, the machine's time was up; what
is against *plain* is over shared tasks alone.

"""
SAVED = """## What routing saves

`route(low, high)` beside `high` alone, over the tasks that both have tried: right answers, and by how much of all tasks
they differ; tokens written a task, and how many of them are saved; both with 95 % bootstrap intervals over the tasks.
Where a likelihood decides, it does so at {sure:g}, which parted right short answers from wrong ones best on {n} tasks
of another seed.

| model, family | route | right, routed | right, high | difference | tokens, routed | tokens, high | saved |
|---|---|---|---|---|---|---|---|
"""


def page(trials: Sequence[Trial], store: Store, given: argparse.Namespace) -> str:
    parts = [HEAD.format(below=BELOW, n=given.n, routed=given.routed, seed=SEED, at_once=AT_ONCE)]
    for trial in trials:
        result = compared(trial.plan, trial.name, store)
        arms = tuple(each for each in result.arms if each.tasks)
        if not arms:
            continue

        drawing = PAGE.with_name(f"strategies-{trial.plan.name.rpartition('/')[2]}.svg")
        if given.write:
            drawing.write_text(svg(arms), encoding="utf-8")

        parts.append(
            f"## {trial.name}\n\n{table(arms)}\n\n![accuracy against tokens]({drawing.name})\n\n{_kinds(result)}"
        )

    rows = "".join(row for trial in trials for row in _routed(trial, store))
    return "".join([*parts, SAVED.format(sure=SURE, n=3 * CHOICE), rows]).rstrip() + "\n"


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
                named = f"{kind} |" if kind else f"{trial.name} | `{each}`"
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
        lines.append(f"| {one.strategy} | {' | '.join(cells)} |\n")

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
