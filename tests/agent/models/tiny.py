"""Models of a few kilobytes with random weights: any vocabulary and template, in the real engine."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, TokenType
from gguf.quants import quantize

WIDTH, HEADS, INNER = 32, 2, 64
BYTES = [chr(n) if 33 <= n <= 126 or 161 <= n <= 172 or 174 <= n <= 255 else "" for n in range(256)]
"""How byte-level BPE spells a byte; the empty ones come after U+0100, in order."""
SPELLED = {"<tool_call>", "</tool_call>"}
"""Tokens that real vocabularies have as words, not as control tokens."""


def spelling():
    more = iter(range(256, 512))
    return [character or chr(next(more)) for character in BYTES]


def write_model(
    path: Path,
    special: list[str],
    *,
    end: str,
    begin: str = "",
    template: str = "",
    spelled: set[str] = SPELLED,
    untouched: Collection[str] = (),
    stored: str = "F32",
) -> Path:
    """A llama of one layer whose vocabulary is the 256 bytes and `special`; those `untouched` are all alike to it."""
    tokens = [*spelling(), *special]
    writer = GGUFWriter(path, "llama")
    writer.add_context_length(2048)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    kinds = [TokenType.USER_DEFINED if token in spelled else TokenType.CONTROL for token in special]
    writer.add_token_types([TokenType.NORMAL] * 256 + kinds)
    writer.add_token_merges(["a b"])
    writer.add_eos_token_id(tokens.index(end))
    writer.add_add_bos_token(bool(begin))
    if begin:
        writer.add_bos_token_id(tokens.index(begin))

    if template:
        writer.add_chat_template(template)

    for name, shape in shapes(len(tokens)).items():
        kind = GGMLQuantizationType[stored if len(shape) > 1 else "F32"]
        values = weights(shape)
        if name == "output.weight":
            for n, token in enumerate(sorted(untouched), 1):
                values[tokens.index(token)] = n * values[0]

        writer.add_tensor(name, quantize(values, kind), raw_dtype=kind)

    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def shapes(vocabulary: int) -> dict[str, tuple[int, ...]]:
    square = (WIDTH, WIDTH)
    return {
        "token_embd.weight": (vocabulary, WIDTH),
        "output_norm.weight": (WIDTH,),
        "output.weight": (vocabulary, WIDTH),
        "blk.0.attn_norm.weight": (WIDTH,),
        "blk.0.attn_q.weight": square,
        "blk.0.attn_k.weight": square,
        "blk.0.attn_v.weight": square,
        "blk.0.attn_output.weight": square,
        "blk.0.ffn_norm.weight": (WIDTH,),
        "blk.0.ffn_gate.weight": (INNER, WIDTH),
        "blk.0.ffn_up.weight": (INNER, WIDTH),
        "blk.0.ffn_down.weight": (WIDTH, INNER),
    }


def weights(shape: tuple[int, ...]) -> Any:
    return np.random.default_rng(sum(shape)).normal(0, 0.5, shape).astype(np.float32)
