"""How often the starter is right: `uv run python -m benchmarks.starter [--n 40] [--base] [--write]`.

Held-out tasks of every kind through the whole runtime, one after another. `--base` tries the same model without its
adapter (with everything the runtime does for an untrained model: grammar, forced first call, examples). `--write` puts
the table into docs/starter.md and the figures into the adapter's card.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import anyio

from benchmarks.evaluate import Rate, Trial, evaluate, outcomes, rates
from journeyman.agent.models.llama import LlamaModel
from journeyman.agent.models.model import Model
from journeyman.agent.models.spec import make_model
from journeyman.agent.models.starter import ADAPTER, find_starter
from journeyman.errors import UsageError
from journeyman.traces.store import Store
from journeyman.training.generate import families, generate
from journeyman.training.tasks import Task

PAGE = Path(__file__).parents[1] / "docs" / "starter.md"
CARD = ADAPTER.with_name("adapter.json")
MEANING = {
    "arithmetic": "an expression in signs or words, one call of the calculator",
    "word_problem": "a small story, one call of the calculator",
    "file_fact": "lines, words or bytes of a file; what is in a folder",
    "file_lookup": "a value, an entry or a line of a file",
    "file_change": "write or edit a file, and the file must be right",
    "file_trouble": "a misspelt name, a missing file, a denied call",
    "search": "one fact in a folder of Markdown files, or that it is not there",
    "adaptive_search": "a fact that has to be found out first to know what to search for",
    "code": "run this Python; use Python to ...",
    "plan": "two or three tools after each other, with a plan",
    "own_tool": "a function of the user's with typed arguments",
    "chat": "small talk, no call",
}


def main(arguments: Sequence[str] | None = None) -> None:
    given = _parse(arguments)
    tasks = [task for kind in given.kinds for task in _tasks(kind, given.n, given.seed)]
    started = perf_counter()
    rows = {"starter": anyio.run(_trials, [make_model(given.model) for _ in range(given.jobs)], tasks)}
    if given.base:
        rows["base"] = anyio.run(_trials, [_base() for _ in range(given.jobs)], tasks[:: given.base])

    page = _page(rows, given, perf_counter() - started)
    print(page)
    if given.write:
        PAGE.write_text(page, encoding="utf-8")
        card = json.loads(CARD.read_text(encoding="utf-8")) | {"figures": _figures(rows["starter"], given)}
        CARD.write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")

    if given.wrong:
        _show_wrong(rows["starter"])


def _tasks(kind: str, n: int, seed: int) -> list[Task]:
    """As many as there are: small talk has few different questions."""
    while True:
        try:
            return generate(kind, n, seed=seed, split="held_out")
        except UsageError:
            n -= 1


async def _trials(models: Sequence[Model], tasks: Sequence[Task]) -> list[Trial]:
    """The tasks dealt out to the models, which are alike; in the order of the tasks."""
    done: list[Trial] = []

    def report(trial: Trial) -> None:
        done.append(trial)
        right = sum(trial.right for trial in done)
        sys.stderr.write(f"\r{trial.task.kind}: {right} of {len(done)} right, {len(tasks)} to do      ")

    with TemporaryDirectory() as folder:
        store = Store.open(Path(folder) / "runs.db")
        async with anyio.create_task_group() as group:
            for n, model in enumerate(models):
                group.start_soon(evaluate, model, tasks[n :: len(models)], store, report)

    sys.stderr.write("\n")
    place = {task.key: n for n, task in enumerate(tasks)}
    return sorted(done, key=lambda trial: place[trial.task.key])


def _base() -> LlamaModel:
    """The starter without its adapter."""
    files = find_starter()
    return LlamaModel(
        type(files)(model=files.model), spec="local:starter without its adapter", small=True, untrained=True
    )


HEAD = """# How often the starter is right

`uv run python -m benchmarks.starter {typed}`, {date}: {count} held-out questions through the whole runtime (tools,
policy, loop, trace), greedy, each tried once in a folder of its own. No question of the training data is among them.
*Seen* are new questions of the phrasings and stories that training used, *unseen* those of phrasings and stories it
never used. In brackets the 95 % Wilson interval.

| kind | what is asked | right | seen | unseen | without the adapter |
|---|---|---|---|---|---|
"""
FOOT = """
The wrong ones: {faults}. Half of the runs took less than {median:.1f} s; all together took {minutes:.0f} minutes on two
shared cores. *Without the adapter* is the same model helped by the runtime alone: calls locked to a grammar, the first
one forced, two examples shown.

What the adapter was made from is in journeyman/agent/models/starter/adapter.json;
`journeyman improve --tasks starter --fresh --recipe cold --first 8` makes one like it: docs/training.md.
"""


def _page(rows: dict[str, list[Trial]], given: argparse.Namespace, seconds: float) -> str:
    trials, base = rows["starter"], rates(rows.get("base", []))
    lines = []
    for kind, row in rates(trials).items():
        right = f"{_cell(row['all'])} | {_short(row['seen'])} | {_short(row['unseen'])}"
        untrained = _cell(base[kind]["all"]) if kind in base else "not tried"
        lines.append(f"| {kind} | {MEANING[kind]} | {right} | {untrained} |\n")

    untrained = _cell(Rate.of(rows["base"])) if base else "not tried"
    lines.append(f"| **all** | | {_cell(Rate.of(trials))} | | | {untrained} |\n")
    faults = ", ".join(f"{count} {name}" for name, count in sorted(outcomes(trials).items()))
    head = HEAD.format(typed=shlex.join(given.typed), date=datetime.now(UTC).date(), count=len(trials))
    foot = FOOT.format(faults=faults or "none", median=_median(trials), minutes=seconds / 60)
    return head + "".join(lines) + foot


def _cell(rate: Rate) -> str:
    return f"{rate.right}/{rate.trials} [{rate.low:.0%}, {rate.high:.0%}]".replace("%", " %")


def _short(rate: Rate) -> str:
    return f"{rate.right}/{rate.trials}"


def _median(trials: Sequence[Trial]) -> float:
    return sorted(trial.seconds for trial in trials)[len(trials) // 2]


def _figures(trials: Sequence[Trial], given: argparse.Namespace) -> dict[str, object]:
    table = {kind: f"{row['all'].right}/{row['all'].trials}" for kind, row in rates(trials).items()}
    return {"date": datetime.now(UTC).date().isoformat(), "seed": given.seed, "held_out_right": table}


def _show_wrong(trials: Sequence[Trial]) -> None:
    for trial in trials:
        if not trial.right:
            print(f"{trial.task.kind}{' (unseen)' if trial.task.unseen else ''}: {trial.task.prompt!r}")
            print(f"    {trial.calls} {trial.answer!r}; {trial.score.evidence}")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    typed = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.starter", description=__doc__)
    parser.add_argument("--n", type=int, default=40, help="questions of each kind")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--kinds", type=lambda text: text.split(","), default=list(families()))
    parser.add_argument("--model", default="local:starter")
    parser.add_argument("--base", type=int, metavar="K", help="try every K-th question without the adapter too")
    parser.add_argument("--jobs", type=int, default=1, help="engines side by side")
    parser.add_argument("--write", action="store_true", help="write docs/starter.md and the adapter's card")
    parser.add_argument("--wrong", action="store_true", help="show what went wrong")
    return parser.parse_args(typed, argparse.Namespace(typed=typed))


if __name__ == "__main__":
    main()
