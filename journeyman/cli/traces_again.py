"""`journeyman traces replay` and `fork`: stored runs, done again."""

import sys
from typing import TYPE_CHECKING, Any

import click

from journeyman.cli.output import json_option, print_json
from journeyman.cli.stores import opened
from journeyman.errors import UsageError
from journeyman.safe import safe

if TYPE_CHECKING:
    from journeyman.agent.order import Result
    from journeyman.agent.replay import Replayed
    from journeyman.agent.today import Today
    from journeyman.traces.events import StoredEvent
    from journeyman.traces.writer import Stored

REPLAY = """\b
Try:
  journeyman traces replay last
  journeyman traces replay --live-tools last
  journeyman traces replay --live-model local:starter k3f9qd"""

FORK = """\b
Try:
  journeyman traces fork last:2
  journeyman traces fork k3f9qd:3 "Use the calculator instead."
  journeyman traces fork -m local:big.gguf k3f9qd:1"""


@click.command(epilog=REPLAY)
@click.argument("run_id", metavar="RUN", default="last")
@click.option("--live-tools", is_flag=True, help="Today's tools, under today's policy: the calls really happen.")
@click.option("--live-model", metavar="SPEC", help="Ask this model; calls have their recorded results.")
@json_option()
def replay(run_id: str, live_tools: bool, live_model: str | None, json: bool) -> int:
    """Do a stored run again and compare every event.

    Without options nothing is live: the recorded model and tools are played, and the run must come out the same. The
    exit code is 1 where it does not.
    """
    import anyio

    if live_tools and live_model:
        raise UsageError(
            "With both live it is a run of its own.", fix="journeyman run, or journeyman traces fork RUN:1"
        )

    with opened() as store:
        run_id = store.resolve(run_id)
        stored = list(store.events(run_id))

    if live_tools or live_model:
        return _show_today(anyio.run(_today, stored, live_model), stored, json=json)

    from journeyman.agent.replay import replay as again

    return _show_replayed(anyio.run(again, [each.event for each in stored]), json=json)


def _show_replayed(done: "Replayed", *, json: bool) -> int:
    if json:
        print_json({"same": done.same, **done.model_dump(mode="json")})
    elif done.same:
        click.echo(f"The same: {done.events} events, {done.digest[:12]}.")
    else:
        click.echo(f"The same for {done.events} events, then not.")
        for mark, event in (("- recorded", done.expected), ("+ now", done.got)):
            click.echo(f"{mark}: {safe(event.model_dump_json(exclude_none=True)) if event else '(nothing)'}")

    return 0 if done.same else 1


async def _today(stored: "list[Stored]", model: str | None) -> "Today":
    events = [each.event for each in stored]
    return await (_with_model(events, model) if model else _with_tools(events))


async def _with_model(events: "list[StoredEvent]", spec: str) -> "Today":
    from journeyman.agent.models.spec import Engine, make_model
    from journeyman.agent.today import with_model
    from journeyman.config import load_settings

    model = make_model(spec, Engine(threads=load_settings().threads))
    try:
        return await with_model(events, model)
    finally:
        await model.close()


async def _with_tools(events: "list[StoredEvent]") -> "Today":
    from journeyman.agent.outfit import policy_for, tools_of, working_folder
    from journeyman.agent.today import start_of, with_tools
    from journeyman.agent.veiled import veil_of
    from journeyman.config import load_settings
    from journeyman.tools.catalog import Catalog
    from journeyman.tools.mcp_json import servers
    from journeyman.tools.pins import Pins

    settings = load_settings(root=start_of(events).root or None)
    root = working_folder(settings)
    policy = policy_for(settings, root)
    async with Catalog([*tools_of(settings, root), *servers(root).targets], pins=Pins.of_user()) as catalog:
        info = {"name": policy.name, "digest": policy.digest}
        veil = veil_of(settings.secrets, catalog.variables)
        return await with_tools(events, catalog, policy, _approver(), info, veil=veil)


def _approver() -> Any:
    from journeyman.agent.parts import nobody
    from journeyman.cli.progress import Progress
    from journeyman.cli.terminal import AskAtTerminal, someone_there

    return AskAtTerminal(Progress(sys.stderr).line) if someone_there() else nobody


def _show_today(today: "Today", stored: "list[Stored]", *, json: bool) -> int:
    from journeyman.cli.difference import show_difference
    from journeyman.traces.writer import Stored

    if json:
        events = [event.model_dump(mode="json", exclude_none=True) for event in today.events]
        print_json({"same": today.difference.same, **today.difference.model_dump(), "now": events})
    else:
        now = [Stored("now", n, 0, event) for n, event in enumerate(today.events, 1)]
        show_difference(today.difference, stored, now)

    return 0 if today.difference.same else 1


@click.command(epilog=FORK)
@click.argument("place", metavar="RUN:STEP")
@click.argument("prompt", default="")
@click.option("-m", "--model", help="Another model than the run's own.")
@click.option("--allow", multiple=True, metavar="TOOL", help="Allow these calls. May be repeated.")
@click.option("--temperature", type=float, default=0.0, show_default=True)
@click.option("--seed", type=int, help="Seed of the sampling.")
@json_option(help_text="Print one JSON object: answer, run_id, outcome, usage, steps.")
def fork(place: str, prompt: str, **options: Any) -> int:
    """Go another way from a step of a stored run on.

    STEP is asked anew, after PROMPT if one is given; what came before is shared with the stored run, not copied.
    """
    import anyio

    from journeyman.cli.run import print_result

    run_id, _, step = place.rpartition(":")
    if not run_id or not step.isdecimal():
        raise UsageError(f"{place!r} names no step of a run.", fix="journeyman traces fork last:2")

    result = anyio.run(_fork, run_id, int(step), prompt, options)
    print_result(result, options)
    return result.exit_code


async def _fork(run_id: str, step: int, prompt: str, options: dict[str, Any]) -> "Result":
    from journeyman.agent.models.model import Sampling
    from journeyman.agent.order import Order
    from journeyman.agent.outfit import Rules, limits, outfit, working_folder
    from journeyman.cli.terminal import stop_on_sigterm
    from journeyman.config import load_settings

    settings = load_settings(model=options["model"])
    notices: list[str] = []
    runtime = await outfit(settings, Rules(allow=options["allow"]), notices, resume=run_id)
    for notice in notices:
        click.echo(f"note: {notice}", err=True)

    sampling = Sampling(temperature=options["temperature"], seed=options["seed"])
    order = Order(prompt, limits=limits(settings), sampling=sampling, root=str(working_folder(settings)))
    stop_on_sigterm()
    async with runtime:
        return await runtime.fork(run_id, step, order, approver=_approver())
