"""`journeyman run`: one prompt, one answer on stdout; everything else on stderr."""

import json as json_module
import os
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from journeyman.cli.output import json_option, print_json, show_error
from journeyman.errors import Interrupted, UsageError
from journeyman.safe import safe

if TYPE_CHECKING:
    from journeyman.agent.order import Order, Result
    from journeyman.agent.strategies.strategy import Strategy
    from journeyman.config import Settings
    from journeyman.traces.writer import Stored

HELP = """Answer one prompt: plan, call tools under the policy, print the answer.

\b
Examples:
  journeyman run "What is 37 * 43 - 12?"
  journeyman run --root docs "Which page mentions the port?"
  journeyman run --allow "code.*" "Run this Python: print(sum(range(101)))"
  journeyman run --json "2 + 3?" | jq .answer
  journeyman run --resume last            go on with a run that was cut short
  echo "2 + 3?" | journeyman run -        read the prompt from stdin

The answer is printed on stdout, what happens on stderr if it is a terminal.
Calls that the policy asks about are answered there with y or n; a no of yours
is no failure. Where nobody is there they are denied, the model is told so, and
the exit code is 5, whatever the answer.
"""

DENIED = 5
"""The exit code of a run that answered although a call was denied."""
MOST = 5
"""Denials that are told."""
POSITIVE = click.FloatRange(0, min_open=True)


EFFORTS = ("minimal", "low", "medium", "high", "xhigh", "max")


@click.command(help=HELP)
@click.argument("prompt", required=False)
@click.option("-m", "--model", help="local:starter, local:PATH.gguf, http://HOST:PORT/v1#NAME, scripted:FILE ...")
@click.option("--root", type=click.Path(path_type=Path), help="The folder the tools work in.  [default: here]")
@click.option("--policy", help="readonly, ask, auto, headless, yolo, or a policy file.  [default: ask]")
@click.option("--allow", multiple=True, metavar="TOOL", help='Allow these calls: "code.*". May be repeated.')
@click.option("--ask", multiple=True, metavar="TOOL", help="Ask about these calls.")
@click.option("--deny", multiple=True, metavar="TOOL", help="Deny these calls.")
@click.option("--share", multiple=True, metavar="TOOL", help="Let a remote model read what these return.")
@click.option(
    "--scope", multiple=True, metavar="TOOL", help="All it needs to act: once others' text is read, ask first."
)
@click.option("--resume", metavar="RUN", help="Go on with a stored run: its id, a part of it, or `last`.")
@click.option("--returns", type=click.Path(path_type=Path), metavar="FILE", help="JSON Schema the answer must match.")
@click.option("--strategy", metavar="HOW", help="Spend more thinking: cot, vote(8), best(4), refine, route ...")
@click.option("--max-steps", type=click.IntRange(1), metavar="N", help="Model calls the run may make.")
@click.option("--max-tokens", type=click.IntRange(1), metavar="N", help="Tokens it may read and write.")
@click.option("--max-seconds", type=POSITIVE, metavar="S", help="Seconds it may work; it ends between two steps.")
@click.option("--max-usd", type=click.FloatRange(0), metavar="USD", help="Money it may cost.")
@click.option(
    "--timeout", type=POSITIVE, metavar="S", help="Seconds until it is stopped wherever it is (exit code 124)."
)
@click.option("--think", metavar="HOW", help="off, auto, on, or the tokens it may take.  [default: auto]")
@click.option("--effort", type=click.Choice(EFFORTS), help="How much to think and do, for models that know.")
@click.option("--context", type=click.IntRange(512), metavar="N", help="Tokens of the model's window.")
@click.option("--sandbox", metavar="NAME", help="Where the model's code runs; see `sandbox doctor`.  [default: auto]")
@click.option("--threads", type=click.IntRange(1, 512), metavar="N", help="Threads of the local engine.")
@click.option("--temperature", type=click.FloatRange(0, 10), default=0.0, show_default=True)
@click.option("--seed", type=int, help="Seed of the sampling.")
@json_option(help_text="Print one JSON object: answer, run_id, outcome, usage, steps.")
@json_option("--stream-json", "Print every stored event as it happens, one JSON object a line.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")
def run(prompt: str | None, **options: Any) -> int:
    import anyio

    if prompt == "-":
        prompt = sys.stdin.read().strip()

    prompt = (prompt or "").encode("utf-8", "surrogateescape").decode("utf-8", "replace").strip()
    if not prompt and not options["resume"]:
        raise UsageError(
            "There is no prompt.", fix='journeyman run "What is 37 * 43 - 12?", or journeyman run - to read it'
        )

    heard = Heard(printing=options["stream_json"])
    try:
        result = anyio.run(_run, prompt, options, heard)
    except KeyboardInterrupt:
        again = (
            f"Go on with it: journeyman run --resume {heard.run_id}" if heard.run_id else "Nothing was begun by then."
        )
        interrupted = Interrupted("Interrupted.", fix=_as_asked(again, heard.run_id, options))
        interrupted.run_id = heard.run_id
        raise interrupted from None

    if result.error:
        result.error.fix = _as_asked(result.error.fix, result.run_id, options)

    print_result(result, options)
    if result.exit_code == DENIED and result.error is None:
        _say_denied(heard.denied)

    return result.exit_code


def _as_asked(fix: str, run_id: str | None, options: dict[str, Any]) -> str:
    """Advice to resume, under the rules that this command line gave: no run remembers those."""
    given = [(name, each) for name in ("allow", "ask", "deny") for each in options[name]]
    if options["policy"]:
        given.insert(0, ("policy", options["policy"]))

    flags = "".join(f" --{name} {quote(each)}" for name, each in given)
    return fix.replace(f"--resume {run_id}", f"--resume {run_id}{flags}")


def _say_denied(denied: dict[str, str]) -> None:
    """What the exit code means."""
    for tool, why in list(denied.items())[:MOST]:
        click.echo(f"note: {safe(tool)} was denied: {safe(why)}", err=True)

    name = next(iter(denied), "TOOL")
    click.echo(
        f"  to allow it: --allow {safe(name)} (what else there is: journeyman policy explain {safe(name)})", err=True
    )


class Heard:
    """Hears each event as it is stored, and prints it where that is asked for and somebody reads."""

    def __init__(self, *, printing: bool) -> None:
        self.run_id: str | None = None
        self._printing = printing
        self.denied: dict[str, str] = {}
        """Why, by tool."""
        self._tools: dict[str, str] = {}

    def __call__(self, stored: "Stored") -> None:
        self.run_id = stored.run_id
        self._note(getattr(stored.event, "event", stored.event))
        if not self._printing:
            return

        try:
            print(stored.json(), flush=True)
        except BrokenPipeError:  # whoever read has gone; the run goes on to its end
            self._printing = False
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def _note(self, event: Any) -> None:
        if event.type == "call_proposed":
            self._tools[event.call_id] = event.tool
        elif event.type == "call_finished" and event.status == "denied":
            result = event.result
            self.denied[self._tools.get(result.call_id, result.name)] = result.text.removeprefix("denied: ")


async def _run(prompt: str, options: dict[str, Any], heard: Heard) -> "Result":
    from journeyman.agent.outfit import Rules, outfit
    from journeyman.agent.parts import nobody
    from journeyman.cli.progress import Progress
    from journeyman.cli.terminal import AskAtTerminal, someone_there, stop_on_sigterm

    settings = _settings(options)
    progress = Progress(sys.stderr)
    notices: list[str] = []
    rules = Rules(**{each.name: options[each.name] for each in fields(Rules)})
    order = _order(prompt, settings, options)
    runtime = await outfit(settings, rules, notices, resume=options["resume"], strategy=order.strategy)
    show = sys.stderr.isatty() and not options["quiet"]
    stop_on_sigterm()
    async with runtime:
        for problem in [*notices, *_problems(runtime)]:
            click.echo(f"note: {safe(problem)}", err=True)

        if show:
            progress.live(f"loading {safe(runtime.model.spec)}")

        there = AskAtTerminal(progress.line) if someone_there() else None
        start = runtime.resume if options["resume"] else runtime.run
        target = [options["resume"]] if options["resume"] else []
        return await start(
            *target,
            replace(order, more=there.more if there else None),
            approver=there or nobody,
            listeners=[progress] if show else [],
            watch=heard,
        )


def _settings(options: dict[str, Any]) -> "Settings":
    from journeyman.config import load_settings

    names = {"steps": "max_steps", "tokens": "max_tokens", "seconds": "max_seconds", "usd": "max_usd"}
    plain = {
        name: options[name] for name in ("model", "root", "policy", "sandbox", "threads", "think", "effort", "context")
    }
    return load_settings(**plain, **{name: options[option] for name, option in names.items()})


def _order(prompt: str, settings: "Settings", options: dict[str, Any]) -> "Order":
    from journeyman.agent.models.model import Sampling
    from journeyman.agent.order import Order
    from journeyman.agent.outfit import limits, working_folder

    return Order(
        prompt=prompt,
        limits=limits(settings),
        sampling=Sampling(
            temperature=options["temperature"], seed=options["seed"], think=settings.think, effort=settings.effort
        ),
        timeout=options["timeout"],
        context=settings.context,
        compact_at=settings.compact_at,
        programs=settings.programs,
        returns=_schema(options["returns"]) if options["returns"] else None,
        strategy=_strategy(options),
        root=str(working_folder(settings)),
    )


def _strategy(options: dict[str, Any]) -> "Strategy | None":
    from journeyman.agent.strategies.spec import strategy

    if not options["strategy"]:
        return None

    if options["resume"]:
        fix = "Ask it as a new run, or leave --strategy out."
        raise UsageError("A run that is resumed goes on as one run, without a strategy.", fix=fix)

    return strategy(options["strategy"])


def _schema(path: Path) -> dict[str, Any]:
    try:
        schema = json_module.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(
            f"The schema {path} cannot be read: {error}.", fix="Name a file with a JSON Schema."
        ) from error

    if not isinstance(schema, dict):
        raise UsageError(f"The schema {path} is not a JSON object.", fix='Such as {"type": "integer"}.')

    return schema


def _problems(runtime: Any) -> Sequence[str]:
    unmet = runtime.policy.unmet(runtime.catalog.specs)
    known = sorted({spec.server for spec in runtime.catalog.specs})
    return [
        *(problem.line for problem in runtime.catalog.problems),
        *(f"no tool is called {name!r}; there are servers {', '.join(known)}" for name in unmet),
    ]


def print_result(result: "Result", options: dict[str, Any]) -> None:
    """The answer on stdout, or one JSON object; an error as every command says it."""
    if options.get("stream_json"):
        return

    if options["json"]:
        print_json(
            {
                "answer": result.answer,
                "run_id": result.run_id,
                "outcome": result.outcome,
                "usage": result.usage.model_dump(),
                "cost_usd": result.cost_usd,
                "steps": result.steps,
                "denied": result.denied,
                "seconds": result.seconds,
                **({"chosen": result.chosen} if result.chosen else {}),
                "plan": [step.model_dump() for step in result.plan],
                "exit_code": result.exit_code,
                **({"error": result.error.told} if result.error else {}),
            }
        )
        return

    if result.answer is not None:
        click.echo(safe(result.answer, None, lines=True) if sys.stdout.isatty() else result.answer)

    if result.error:
        show_error(result.error)
        click.echo(f"  run {result.run_id}: journeyman traces show {result.run_id}", err=True)
