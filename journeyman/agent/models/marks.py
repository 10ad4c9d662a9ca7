"""The family of a file's model, and whether it can write that family's marks.

A vocabulary may have tokens that no training has touched. Their rows of the output matrix all point the same way, so
that no context makes one of them likelier than another, and no adapter below that matrix can part them. In the GGUF of
Qwen2.5-Coder-0.5B-Instruct 6,089 rows are so, `<tool_call>` among them: it can call tools, in other words than those.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from journeyman.agent.models.families import CHATML, CHATML_BARE, known_family
from journeyman.agent.models.files import tensor
from journeyman.agent.models.renderer import Renderer

THINK, CALL = ("<think>", "</think>"), ("<tool_call>", "</tool_call>")
"""Marks that are tokens of their own where a model was meant to use them."""
OUTPUT = ("output.weight", "token_embd.weight")
"""The second where a model reads and writes by one matrix."""
ALIKE = 0.99


def family_of(model: Path, vocabulary: Mapping[str, int], template: str) -> Renderer | None:
    """The known family that a file's model is of; None where its own template has to tell.

    vocabulary: token -> id, of the marks at least.

    Raises:
        BadModelFile: the file's header makes no sense.
    """
    family = known_family(vocabulary, template)
    marked = family is CHATML and all(mark in vocabulary for mark in CALL)
    return CHATML_BARE if marked and alike(model, [vocabulary[mark] for mark in CALL]) else family


def alike(model: Path, tokens: Sequence[int]) -> bool:
    """Do the output's rows of two tokens point the same way (a cosine of 0.99). Not, where that cannot be read."""
    matrix = next(filter(None, (tensor(model, name) for name in OUTPUT)), None)
    if matrix is None:
        return False  # in another file of several

    import numpy  # noqa: ICN001, PLC0415 - on first use
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType  # noqa: PLC0415
    from gguf.quants import dequantize  # noqa: PLC0415

    try:
        kind = GGMLQuantizationType(matrix.kind)
        block, size = GGML_QUANT_SIZES[kind]
        length = matrix.shape[0] // block * size
        stored = [numpy.fromfile(model, numpy.uint8, length, offset=matrix.offset + length * n) for n in tokens]
        one, other = (dequantize(row, kind) for row in stored)
    except (ValueError, KeyError, IndexError, NotImplementedError):
        return False

    lengths = numpy.linalg.norm(one) * numpy.linalg.norm(other)
    return bool(one @ other >= ALIKE * lengths)
