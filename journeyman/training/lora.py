"""Low-rank adapters by hand: the frozen base in bfloat16, the adapter in float32, the result as a GGUF adapter.

(LoRA: Hu et al., 2021, arXiv 2106.09685.) A few dozen lines instead of a library, because the base must not be cast
for the adapter's sake: on a CPU with bfloat16 instructions that is half of the training time.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from journeyman.errors import ConfigError

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


@dataclass(frozen=True, slots=True)
class Shape:
    rank: int = 16
    alpha: float = 32.0
    first: int = 8
    """The lowest layer that is adapted; those below stay as they are, and the gradient need not go down to them."""
    modules: tuple[str, ...] = tuple(TENSORS)


def load_base(gguf: Path) -> Any:
    """The causal language model of a GGUF, dequantised to bfloat16 and frozen."""
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig

    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True)
    )
    return model.requires_grad_(requires_grad=False)


def attach(model: Any, shape: Shape, seed: int) -> list["torch.Tensor"]:
    """Put an adapter beside every chosen linear layer; returns the parameters to train. It changes nothing yet."""
    import torch
    from torch.nn import Module, Parameter
    from torch.nn.functional import linear

    random = torch.Generator().manual_seed(seed)

    class Adapted(Module):
        def __init__(self, base: Module) -> None:
            super().__init__()
            self.base = base
            bound = math.sqrt(3 / base.in_features)  # variance 1 / in_features
            self.a = Parameter((torch.rand(shape.rank, base.in_features, generator=random) * 2 - 1) * bound)
            self.b = Parameter(torch.zeros(base.out_features, shape.rank))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            low = linear(x, self.a.to(x.dtype))
            return self.base(x) + linear(low, (self.b * (shape.alpha / shape.rank)).to(x.dtype))

    for parent, name in list(_places(model, shape)):
        setattr(parent, name, Adapted(getattr(parent, name)))

    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def _places(model: Any, shape: Shape) -> Iterator[tuple[Any, str]]:
    for layer in model.model.layers[shape.first :]:
        for parent in (layer.self_attn, layer.mlp):
            yield from ((parent, name) for name in shape.modules if hasattr(parent, name))


def read(model: Any, shape: Shape, path: Path) -> None:
    """Put a written adapter's weights into an attached one, to go on training it.

    Raises:
        ConfigError: it was written with another shape or for another model.
    """
    import gguf
    import numpy as np
    import torch

    tensors = {tensor.name: torch.from_numpy(np.array(tensor.data)).float() for tensor in gguf.GGUFReader(path).tensors}
    for index, name, adapted in _adapted(model, shape):
        stem = f"blk.{index}.{TENSORS[name]}.weight.lora_"
        a, b = tensors.pop(f"{stem}a", None), tensors.pop(f"{stem}b", None)
        if a is None or b is None or (a.shape, b.shape) != (adapted.a.shape, adapted.b.shape):
            raise ConfigError(
                f"{path} is no adapter of this shape", fix="train with the rank and layers it was made with"
            )

        adapted.a.data.copy_(a)
        adapted.b.data.copy_(_permuted(b, _heads(model, name), back=True))


def _adapted(model: Any, shape: Shape) -> Iterator[tuple[int, str, Any]]:
    for index, layer in enumerate(model.model.layers):
        if index < shape.first:
            continue

        for name in shape.modules:
            yield index, name, getattr(layer.self_attn if hasattr(layer.self_attn, name) else layer.mlp, name)


def _heads(model: Any, name: str) -> int:
    """Heads whose rows the engine wants interleaved; 0 where it does not."""
    config = model.config
    return {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}.get(name, 0)


def write(model: Any, shape: Shape, path: Path) -> None:
    """The adapter as llama.cpp reads it, in float16."""
    import gguf
    import torch

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", shape.alpha)
    for index, name, adapted in _adapted(model, shape):
        b = _permuted(adapted.b.detach(), _heads(model, name))
        for end, matrix in (("lora_a", adapted.a.detach()), ("lora_b", b)):
            writer.add_tensor(f"blk.{index}.{TENSORS[name]}.weight.{end}", matrix.to(torch.float16).numpy())

    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _permuted(rows: "torch.Tensor", heads: int, *, back: bool = False) -> "torch.Tensor":
    """llama.cpp rotates pairs of neighbours, this model's halves: the rows of each head are interleaved to match."""
    if not heads:
        return rows

    count, rank = rows.shape
    half = count // heads // 2
    halves = rows.reshape(heads, half, 2, rank) if back else rows.reshape(heads, 2, half, rank)
    return halves.transpose(1, 2).reshape(count, rank).contiguous()
