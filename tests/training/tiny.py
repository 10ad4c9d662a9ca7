"""A model of two small random layers with the starter's own vocabulary, as a GGUF: trains in a second, and speaks."""

from pathlib import Path

import numpy as np

from journeyman.agent.models.starter import find_starter

SIZES = {
    "llama.block_count": 2,
    "llama.embedding_length": 64,
    "llama.feed_forward_length": 96,
    "llama.attention.head_count": 4,
    "llama.attention.head_count_kv": 2,
    "llama.rope.dimension_count": 16,
    "llama.context_length": 2048,
}


def tiny_model(path: Path, architecture: str = "llama") -> Path:
    """Written there."""
    from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter  # noqa: PLC0415 - with need("gguf")

    reader = GGUFReader(find_starter().model)
    writer = GGUFWriter(path, architecture)
    for name, field in reader.fields.items():
        kind = field.types[0]
        if name.startswith(("GGUF.", "general.")):
            continue

        value = SIZES.get(name, field.contents())
        named = name.replace("llama.", f"{architecture}.", 1)
        writer.add_key_value(named, value, kind, field.types[-1] if kind == GGUFValueType.ARRAY else None)

    vocabulary = len(reader.fields["tokenizer.ggml.tokens"].contents())
    random = np.random.default_rng(1)

    def add(name: str, *shape: int) -> None:
        values = random.normal(0, 0.5 if len(shape) == 1 else 2 / shape[-1] ** 0.5, shape).astype(np.float32)
        values = 1 + 0.1 * values if len(shape) == 1 and name.endswith("norm.weight") else values
        writer.add_tensor(name, values, raw_dtype=GGMLQuantizationType.F32)

    add("token_embd.weight", vocabulary, 64)
    add("output_norm.weight", 64)
    for layer in range(2):
        for name, *shape in (
            ("attn_norm", 64), ("ffn_norm", 64), ("attn_q", 64, 64), ("attn_k", 32, 64), ("attn_v", 32, 64),
            ("attn_output", 64, 64), ("ffn_gate", 96, 64), ("ffn_up", 96, 64), ("ffn_down", 64, 96),
        ):  # fmt: skip
            add(f"blk.{layer}.{name}.weight", *shape)

        if architecture == "qwen2":
            for name, size in (("q", 64), ("k", 32), ("v", 32)):
                add(f"blk.{layer}.attn_{name}.bias", size)

    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
