"""Which format a loaded model's conversations are written in, and what its vocabulary says that it was taught."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from anyio import to_thread

from journeyman.agent.models.families import FAMILIES, PLAIN, PROBE
from journeyman.agent.models.files import own_template
from journeyman.agent.models.grammar import Format
from journeyman.agent.models.marks import CALL, THINK, family_of
from journeyman.agent.models.renderer import Renderer
from journeyman.agent.models.template import derived
from journeyman.agent.models.tokenise import Tokeniser
from journeyman.agent.models.wire import Wire
from journeyman.errors import ModelError, UsageError

TAUGHT = (*THINK, *CALL)
TEMPLATE = "template"


class Recognised(NamedTuple):
    form: Format
    ends: list[int]
    """Ids of the tokens that end a turn of the model's and stay in the sequence."""
    thinks: bool
    calls: bool
    """It has tokens of its own for calls: it was taught to make them."""


async def recognise(tokenise: Tokeniser, wire: Wire, model: Path, wanted: str | None) -> Recognised:
    """What a loaded model's format is; from then on `tokenise` guards its marks.

    wanted: a family's name, or `template` for the file's own; None finds out.

    Raises:
        UsageError: there is no such family.
        ModelError: the model's template cannot be used, or its vocabulary lacks a token of the format.
        OSError, Refused: from the engine.
    """
    special = await _ids(wire, (*PROBE, *TAUGHT))
    template = await to_thread.run_sync(own_template, model)
    family = None if wanted else await to_thread.run_sync(family_of, model, special, template)
    renderer = family or await _renderer(wire, template, wanted)
    known = await _ids(wire, tuple(filter(None, (*renderer.kept, *renderer.closing, *renderer.special))))
    if lacking := [mark for mark in renderer.kept if mark not in known]:
        raise ModelError(
            f"{model.name} has no token {lacking[0]!r}, which ends a turn in the format {renderer.name}.",
            fix=f"Name another one: Engine(renderer=...) with {', '.join(FAMILIES)}, {TEMPLATE}.",
        )

    tokenise.guarded = tuple(await _ids(wire, renderer.marks, special=False))
    spelled = await _ids(wire, TAUGHT, special=False)
    known |= {mark: special[mark] for mark in TAUGHT if mark in special and mark not in spelled}
    thinks = THINK[0] in special or renderer.thinks_first or THINK[0] not in renderer.think[0]
    calls = CALL[0] in special and bool(renderer.dialect.opens)
    return Recognised(
        Format(renderer, known),
        [known[mark] for mark in renderer.kept],
        thinks,
        calls or bool(renderer.special),
    )


async def _renderer(wire: Wire, template: str, wanted: str | None) -> Renderer:
    if wanted not in {None, TEMPLATE, *FAMILIES}:
        raise UsageError(
            f"{wanted!r} is no format of conversations.", fix=f"Name one of {', '.join(FAMILIES)}, {TEMPLATE}."
        )

    properties = await wire.get("/props")
    if wanted in FAMILIES:
        found = FAMILIES[wanted]
    elif template:
        adds_bos = (await wire.post("/tokenize", {"content": "", "add_special": True}))["tokens"]
        bos = "" if adds_bos else properties["bos_token"]
        return await derived(template, bos, properties["eos_token"])
    else:
        found = PLAIN

    return found if found.end else found.model_copy(update={"end": properties["eos_token"]})


async def _ids(wire: Wire, marks: Sequence[str], *, special: bool = True) -> dict[str, int]:
    """The ids of those marks that are one token; not special: that plain text is read as, too."""
    body = {"content": list(marks), "add_special": False, "parse_special": special, "with_pieces": True}
    tokens: list[dict[str, Any]] = (await wire.post("/tokenize", body))["tokens"]
    return {token["piece"]: token["id"] for token in tokens if token["piece"] in marks}
