"""Adapters from PEFT to the file that llama.cpp loads, and back to train on."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from journeyman.agent.models.files import THINKS
from journeyman.errors import BadModelFile, ConfigError
from journeyman.training.base import LAYER
from journeyman.training.recipe import Shape

if TYPE_CHECKING:
    import torch

TENSORS = {
    "q_proj": "attn_q",
    "k_proj": "attn_k",
    "v_proj": "attn_v",
    "o_proj": "attn_output",
    "gate_proj": "ffn_gate",
    "up_proj": "ffn_up",
    "down_proj": "ffn_down",
}
"""Name of a linear layer here -> in GGUF."""
INTERLEAVED = frozenset({"llama"})
"""Architectures whose queries and keys llama.cpp stores with the two halves of each head interleaved."""


def write_adapter(model: Any, base: Path, out: Path, *, thinks: bool = False) -> None:
    """The adapter as llama.cpp reads it, in float16; it appears whole or not at all.

    thinks: it was taught to think, which its file then tells.

    Raises:
        ConfigError: it cannot be written.
    """
    import gguf

    architecture = _architecture(base)
    part = out.with_name(f".{out.name}.part")
    try:
        writer = gguf.GGUFWriter(part, architecture)
        writer.add_string("general.type", "adapter")
        writer.add_string("adapter.type", "lora")
        writer.add_float32("adapter.lora.alpha", model.peft_config["default"].lora_alpha)
        if thinks:
            writer.add_uint32(THINKS, 1)

        for name, module, heads in _adapted(model, architecture):
            for end, matrix in zip("ab", (_weight(module, "A"), _permuted(_weight(module, "B"), heads)), strict=True):
                writer.add_tensor(f"{name}.weight.lora_{end}", matrix.half().cpu().numpy())

        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        part.replace(out)
    except OSError as error:
        raise ConfigError(
            f"The adapter {out} cannot be written: {error}.", fix=f"Make room in {out.parent}."
        ) from error
    finally:
        part.unlink(missing_ok=True)


def shape_of(path: Path) -> Shape:
    """The shape that an adapter's file was made with.

    Raises:
        BadModelFile: it is no adapter of a kind that is written here.
    """
    tensors, alpha = _read(path)
    layers = {int(name.split(".")[1]) for name in tensors}
    modules = tuple(module for module, name in TENSORS.items() if any(f".{name}." in tensor for tensor in tensors))
    rank = next(iter(tensors.values())).shape[0]
    return Shape(rank=rank, alpha=alpha, first=min(layers), modules=modules)


def read_adapter(model: Any, base: Path, path: Path) -> None:
    """Put a file's weights into the adapter that is attached.

    Raises:
        BadModelFile: it was made with another shape or for another model.
    """
    tensors, _ = _read(path)
    for name, module, heads in _adapted(model, _architecture(base)):
        for end, side, back in (("a", "A", 0), ("b", "B", heads)):
            given, own = tensors.pop(f"{name}.weight.lora_{end}", None), _weight(module, side)
            if given is None or given.shape != own.shape:
                raise BadModelFile(f"{path} is no adapter for {base.name}.", fix="Name one that was made for it.")

            own.copy_(_permuted(given, back, back=True).to(own))


def _adapted(model: Any, architecture: str) -> Iterator[tuple[str, Any, int]]:
    """GGUF's name, the module, and how many heads its rows are to be interleaved by; 0 for none."""
    config = model.config.get_text_config()
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for path, module in model.named_modules():
        place = LAYER.search(path)
        if place and place[2] in TENSORS and "default" in getattr(module, "lora_A", ()):
            interleaved = heads.get(place[2], 0) if architecture in INTERLEAVED else 0
            yield f"blk.{place[1]}.{TENSORS[place[2]]}", module, interleaved


def _weight(module: Any, side: str) -> "torch.Tensor":
    return getattr(module, f"lora_{side}")["default"].weight.detach()


def _permuted(rows: "torch.Tensor", heads: int, *, back: bool = False) -> "torch.Tensor":
    """llama.cpp rotates pairs of neighbours, these models halves: the rows of each head are interleaved to match."""
    if not heads:
        return rows

    count, rank = rows.shape
    half = count // heads // 2
    halves = rows.reshape(heads, half, 2, rank) if back else rows.reshape(heads, 2, half, rank)
    return halves.transpose(1, 2).reshape(count, rank).contiguous()


def _architecture(base: Path) -> str:
    import gguf

    return gguf.GGUFReader(base).fields["general.architecture"].contents()


def _read(path: Path) -> tuple[dict[str, "torch.Tensor"], float]:
    import gguf
    import numpy as np
    import torch

    reader = gguf.GGUFReader(path)
    found = {tensor.name: torch.from_numpy(np.array(tensor.data)).float() for tensor in reader.tensors}
    alpha = reader.fields.get("adapter.lora.alpha")
    if alpha is None or not found or not all(name.startswith("blk.") for name in found):
        raise BadModelFile(f"{path} is no adapter that can be trained on.", fix="Leave --start out, or name another.")

    return found, float(alpha.contents())
