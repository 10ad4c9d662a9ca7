"""`journeyman traces`: what was recorded, read back, found, compared and written for others."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from journeyman.cli.group import Group
from journeyman.cli.output import answer, json_option, print_json
from journeyman.cli.stores import opened
from journeyman.cli.traces_again import fork, replay
from journeyman.cli.traces_keep import delete, gc, rebuild, stats, verify
from journeyman.cli.traces_score import rate, score
from journeyman.errors import UsageError
from journeyman.safe import safe

if TYPE_CHECKING:
    from journeyman.traces.store import RunSummary

FILTER = """\b
A filter is words and conditions; all must hold, `-` turns one round:
  reward>0.5  denied>0  steps>=3  calls errors tokens cost seconds
  reward.NAME>0.5 (one verifier)  reward:none (not scored)
  tool:calculator  model:smollm*  outcome:answered  prompt:"two words"
  answer: effect: status: verifier: finding: run: parent:
  batch: task: kind: split:train  is:mixed (its group is right and wrong)
  since:2d  until:2026-11-01  is:unfinished  is:fork  is:trainable
  any other words are looked for in prompts, answers, calls and results
"""

LIST = f"""\b
Try:
  journeyman traces list
  journeyman traces list 'tool:calculator denied>0 since:7d'
  journeyman traces list --json 'reward>0.5' | jq '.[].run_id'

{FILTER}"""

SHOW = """\b
Try:
  journeyman traces show
  journeyman traces show k3f9qd
  journeyman traces show --json last | jq '.events[].type'"""

SEARCH = f"""\b
Try:
  journeyman traces search boat
  journeyman traces search '"port 8443" tool:search since:30d'

{FILTER}"""

DIFF = """\b
Try:
  journeyman traces diff k3f9qd 8w2m1x"""

EXPORT = f"""\b
Try:
  journeyman traces export sft.jsonl --where 'reward==1'
  journeyman traces export all.jsonl --format events
  journeyman traces export --to http://127.0.0.1:6006

{FILTER}"""

FORMATS = """Write runs to a file, or send them, oldest first.

\b
messages  conversations with tool calls, as trainers read them
          lost: token ids, decisions, times, hidden thoughts
tokens    token ids and labels, as TRL's SFTTrainer reads them
          lost: text, decisions, log-probabilities
grpo      token ids, log-probabilities and rewards of groups, to replay
          lost: text beyond the prompt, decisions
dpo       a right and a wrong next turn after the same conversation
          lost: token ids, all after the turn in which two runs part
kto       the turns of dpo, a row each with its label
          lost: as in dpo
verl      what verl's agent loops return, a row a sequence
          lost: text, decisions
verifiers episodes of verifiers 0.4, which prime-rl reads too
          lost: decisions, plans, budgets
openenv   OpenEnv's training traces, a run a line
          lost: text, decisions; the reward is in each turn's metadata
art       ART's trajectories, a group a line
          lost: decisions, plans; runs with forced tokens are left out
events    everything that was recorded; nothing is lost
otel      OpenTelemetry spans, for Phoenix and its like
          lost: token ids and probabilities, what only a provider can read,
          of a conversation all but the newest 64,000 characters a call
inspect   a log of Inspect (.eval), a sample for each run
          lost: token ids and probabilities, tool definitions, what only a
          provider can read, what a decision was traced to
atif      trajectories (ATIF 1.8), a run a line
          lost: plans, budgets, times of calls, what only a provider can read
"""

TEST = """\b
Try:
  journeyman traces export-test last --out tests
  pytest tests"""


@click.group(cls=Group)
def traces() -> None:
    """Read, find, compare, replay and export the runs that were recorded."""


for command in (fork, replay, score, rate, verify, delete, gc, stats, rebuild):
    traces.add_command(command)


@traces.command("list", epilog=LIST)
@click.argument("filter", nargs=-1)
@click.option("-n", "--limit", type=click.IntRange(0), default=20, show_default=True, help="How many; 0 for all.")
@json_option()
def list_runs(filter: tuple[str, ...], limit: int, json: bool) -> None:  # noqa: A002 - its name on the command line
    """List runs, newest first; with FILTER, those it fits.

    Without one, attempts at tasks and candidates of searches are left out: batch:* has them.
    """
    from journeyman.traces.find import count, find

    wanted = " ".join(filter)
    with opened() as store:
        found = find(store, wanted or "-batch:*", limit + 1 if limit else None)
        runs = found[: limit or None]
        inner = 0 if wanted or json else count(store, "batch:*")

    answer([run.model_dump(mode="json") for run in runs], *map(_line, runs), json=json)
    if not json:
        _say_left_out(len(runs), more=len(found) > len(runs), inner=inner)


def _say_left_out(shown: int, *, more: bool, inner: int) -> None:
    """What a list does not show, on stderr; `inner`: attempts and candidates."""
    if inner:
        click.echo(f"{inner} attempts or candidates are not listed: journeyman traces list 'batch:*'", err=True)
    elif not shown:
        click.echo("No run fits.", err=True)

    if more:
        click.echo(f"These are the newest {shown}; for all: -n 0", err=True)


def _line(run: "RunSummary") -> str:
    outcome = run.outcome or "unfinished"
    score = f"  {run.reward:g}" if run.reward is not None else ""
    score += "  (secret)" if run.level == "secret" else ""
    said = f"{safe(run.prompt, 50)}  {safe(run.answer or '', 40)}"
    cost = f"  ${run.cost_usd:.4f}" if run.cost_usd else ""
    return f"{run.run_id}  {outcome:<11}  {run.steps:>3} steps{cost}{score}  {said}".rstrip()


@traces.command(epilog=SHOW)
@click.argument("run_id", metavar="RUN", default="last")
@json_option(help_text="Print the stored events, one JSON object.")
def show(run_id: str, json: bool) -> None:
    """Show one run as a transcript.

    RUN may be a part of an id; without one, the newest run.
    """
    from journeyman.traces.transcript import transcript

    with opened() as store:
        run_id = store.resolve(run_id)
        stored = list(store.events(run_id))

    if json:
        events = ",".join(each.json() for each in stored)
        click.echo(f'{{"run_id":"{run_id}","events":[{events}]}}')
        return

    for line in transcript(stored, lambda text: safe(text, 2000)):
        click.echo(line)


@traces.command(epilog=SEARCH)
@click.argument("words", nargs=-1, required=True)
@click.option("-n", "--limit", type=click.IntRange(1), default=20, show_default=True, help="How many runs.")
@json_option()
def search(words: tuple[str, ...], limit: int, json: bool) -> None:
    """Find runs by what was said in them, and show where."""
    from journeyman.traces.find import search as look

    with opened() as store:
        hits = look(store, " ".join(words), limit)

    if not (hits or json):
        click.echo("No run says that.", err=True)

    lines = (f"{_line(hit.run)}\n    {hit.type}: {safe(hit.text.strip())}" for hit in hits)
    answer([hit.model_dump(mode="json") for hit in hits], *lines, json=json)


@traces.command(epilog=DIFF)
@click.argument("a")
@click.argument("b")
@json_option()
def diff(a: str, b: str, json: bool) -> int:
    """Show where runs A and B part.

    Times, prices and names of calls are not compared. The exit code is 1 where they differ.
    """
    from journeyman.cli.difference import show_difference
    from journeyman.traces.diff import diff as compare

    with opened() as store:
        left, right = (list(store.events(store.resolve(each))) for each in (a, b))

    difference = compare([each.event for each in left], [each.event for each in right])
    if json:
        print_json({"same": difference.same, **difference.model_dump()})
    else:
        show_difference(difference, left, right)

    return 0 if difference.same else 1


@traces.command(help=FORMATS, epilog=EXPORT)
@click.argument("out", type=click.Path(path_type=Path), required=False)
@click.option("--format", "form", help="One of the above.  [default: messages; with --to, otel]")
@click.option("--to", "url", metavar="URL", help="Send spans to an OpenTelemetry collector (OTLP over HTTP).")
@click.option("--where", default="", metavar="FILTER", help="Which runs; for messages only those that answered.")
@click.option("--force", is_flag=True, help="Also in place of a file that is there.")
@json_option()
def export(*, out: Path | None, form: str | None, url: str | None, where: str, force: bool, json: bool) -> None:
    from journeyman.traces.export import export as write
    from journeyman.traces.export import send
    from journeyman.traces.find import find
    from journeyman.traces.query import Filter

    form = form or ("otel" if url else "messages")
    if (out is None) == (url is None) or (url and form != "otel"):
        fix = "journeyman traces export OUT.jsonl, or: journeyman traces export --to URL"
        raise UsageError("Runs are written to a file, or sent as otel to a URL.", fix=fix)

    if out == Path("-"):
        raise UsageError("Runs are written to a file, not to standard output.", fix="Name it: OUT.jsonl")

    Filter(where)  # a mistake shows as it was typed
    wanted = f"{where} outcome:answered" if form == "messages" else where
    with opened() as store:
        runs = [run.run_id for run in reversed(find(store, wanted, None))]
        done = write(store, runs, out, form, force=force) if out else send(store, runs, url or "")

    if json:
        print_json(done.model_dump(mode="json"))
        return

    click.echo(
        f"{done.rows} {'rows' if out else 'spans'} of {done.runs} runs {'in' if out else 'sent to'} {out or url}"
    )
    if not (done.rows or done.skipped):
        what = f"none of them makes a row of {form}: journeyman traces export --help" if done.runs else "no run matches"
        click.echo(f"nothing was written: {what}", err=True)

    for why, ids in _by_reason(done.skipped).items():
        named = f"{ids[0]}: " if len(ids) == 1 else f"{len(ids)} runs, {ids[0]} the first: "
        click.echo(f"left out {named}{why}", err=True)


def _by_reason(skipped: "dict[str, str]") -> "dict[str, list[str]]":
    """Runs that were left out, by why."""
    reasons: dict[str, list[str]] = {}
    for run_id, why in skipped.items():
        reasons.setdefault(why, []).append(run_id)

    return reasons


@traces.command("export-test", epilog=TEST)
@click.argument("run_id", metavar="RUN", default="last")
@click.option("--out", type=click.Path(path_type=Path), default=Path(), help="The folder to write to.  [default: here]")
@json_option()
def export_test(run_id: str, out: Path, json: bool) -> None:
    """Write a pytest that pins a run: it must come out the same, step for step.

    The recorded model and tools are played, so the test needs neither.
    """
    import anyio

    from journeyman.agent.replay import replay as again
    from journeyman.traces.export.pytest import write

    with opened() as store:
        run_id = store.resolve(run_id)
        stored = list(store.events(run_id))

    done = anyio.run(again, [each.event for each in stored])
    if not done.same:
        message = f"The run {run_id} does not come out the same: a test of it would fail."
        raise UsageError(message, fix=f"See where: journeyman traces replay {run_id}")

    files = [str(path) for path in write(stored, out, done.digest)]
    answer(files, *files, json=json)
