"""A model of two small random layers and a vocabulary of bytes, as a GGUF: trains in a second, and speaks."""

from pathlib import Path

import numpy as np

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
WIDTH, INNER, HEADS, SHARED, LAYERS = 64, 96, 4, 2, 2
NORMAL, CONTROL = 1, 3
"""Types of tokens, as GGUF numbers them."""


def tiny_model(path: Path, architecture: str = "llama") -> Path:
    """Written there."""
    from gguf import GGUFWriter  # noqa: PLC0415 - it need not be installed

    tokens = [*SPECIAL, *_bytes(), "Ġt"]
    writer = GGUFWriter(path, architecture)
    writer.add_block_count(LAYERS)
    writer.add_context_length(8192)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(SHARED)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([CONTROL] * len(SPECIAL) + [NORMAL] * (len(tokens) - len(SPECIAL)))
    writer.add_token_merges(["Ġ t"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(0)
    writer.add_add_bos_token(value=False)
    for name, values in _weights(architecture, len(tokens)):
        writer.add_tensor(name, values)

    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _bytes() -> list[str]:
    """Every byte as byte-level vocabularies write it: printable ones as they are, others as characters from 256 on."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    odd = [byte for byte in range(256) if byte not in plain]
    return [chr(byte) if byte in plain else chr(256 + odd.index(byte)) for byte in range(256)]


def _weights(architecture: str, vocabulary: int):
    random = np.random.default_rng(1)
    shared = WIDTH // HEADS * SHARED

    def matrix(*shape: int):
        return random.normal(0, 2 / shape[-1] ** 0.5, shape).astype(np.float32)

    def norm():
        return (1 + 0.1 * random.normal(0, 1, WIDTH)).astype(np.float32)

    yield "token_embd.weight", matrix(vocabulary, WIDTH)
    yield "output_norm.weight", norm()
    for layer in range(LAYERS):
        yield f"blk.{layer}.attn_norm.weight", norm()
        yield f"blk.{layer}.ffn_norm.weight", norm()
        for name, *shape in (
            ("attn_q", WIDTH, WIDTH), ("attn_k", shared, WIDTH), ("attn_v", shared, WIDTH),
            ("attn_output", WIDTH, WIDTH), ("ffn_gate", INNER, WIDTH), ("ffn_up", INNER, WIDTH),
            ("ffn_down", WIDTH, INNER),
        ):  # fmt: skip
            yield f"blk.{layer}.{name}.weight", matrix(*shape)

        if architecture == "qwen2":
            for name, size in (("q", WIDTH), ("k", shared), ("v", shared)):
                yield f"blk.{layer}.attn_{name}.bias", matrix(size)
