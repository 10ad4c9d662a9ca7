"""A copy of a model whose weights are stored in a way that this CPU multiplies fast, by the `gguf` package.

The engine has no fast kernels for some ways of storing weights. Stored as Q8_0 the same weights, nearly bit for bit,
take more room and a fraction of the time. The copy is another file; the model itself stays as it is.
"""

from collections import Counter
from collections.abc import Callable
from math import prod
from pathlib import Path
from secrets import token_hex
from typing import Any

from journeyman.errors import ModelError, ModelNotFound, UsageError, install

SLOW = frozenset({"Q4_1", "Q5_0", "Q5_1"})
"""Types without kernels for weights in blocks that lie side by side (llama.cpp's `repack` and `sgemm`)."""
PART = 0.3
"""The part of a model's bytes from which its slow types decide."""
COPY = "Q8_0"

Progress = Callable[[int, int], None]


def requantised(source: Path, target: Path, progress: Progress, *, force: bool = False) -> Path:
    """Write `target`, a copy of `source` with its weights as Q8_0.

    force: also where this is not expected to be faster.

    Raises:
        UsageError: the model is stored well already.
        ModelError: it cannot be read or written.
    """
    from gguf import GGUFWriter  # noqa: PLC0415 - on first use

    reader = _reader(source)
    sizes = _bytes(reader)
    slow = sum(size for kind, size in sizes.items() if kind in SLOW)
    if slow < PART * sum(sizes.values()) and not force:
        most = max(sizes, key=lambda kind: sizes[kind])
        raise UsageError(
            f"{source.name} is stored as {most}, for which the engine has fast kernels.",
            fix="Nothing is to be done; --force makes a copy all the same.",
        )

    part = target.with_name(f"{target.name}.{token_hex(8)}.part")  # another process may be making the same copy
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        writer = GGUFWriter(part, _text(reader, "general.architecture"))
        _copy_fields(reader, writer)
        _copy_weights(reader, writer, progress)
        part.replace(target)
    except OSError as error:
        raise ModelError(f"{target} cannot be written: {error}.", fix=f"Make room in {target.parent}.") from error
    except NotImplementedError as error:
        raise ModelError(
            f"{source.name} cannot be read: {error}.", fix="Get the model in another quantisation."
        ) from error
    finally:
        part.unlink(missing_ok=True)

    return target


def _reader(path: Path) -> Any:
    try:
        from gguf import GGUFReader  # noqa: PLC0415 - on first use
    except ImportError as error:
        raise ModelNotFound(f"The gguf package is not installed: {error}.", fix=install("journeyman[local]")) from error

    try:
        return GGUFReader(path)
    except (ValueError, OSError, IndexError, KeyError) as error:
        raise ModelError(f"{str(path)!r} cannot be read: {error}.", fix="Get the file again.") from error


def _bytes(reader: Any) -> Counter[str]:
    sizes: Counter[str] = Counter()
    for tensor in reader.tensors:
        sizes[tensor.tensor_type.name] += int(tensor.n_bytes)

    return sizes


def _text(reader: Any, key: str) -> str:
    return reader.get_field(key).contents()


def _copy_fields(reader: Any, writer: Any) -> None:
    from gguf import GGUFValueType, LlamaFileType  # noqa: PLC0415

    for field in reader.fields.values():
        if field.name == "general.architecture" or field.name.startswith("GGUF."):
            continue  # the writer's own

        kind = field.types[0]
        inner = field.types[-1] if kind == GGUFValueType.ARRAY else None
        value = int(LlamaFileType.MOSTLY_Q8_0) if field.name == "general.file_type" else field.contents()
        writer.add_key_value(field.name, value, kind, sub_type=inner)


def _copy_weights(reader: Any, writer: Any, progress: Progress) -> None:
    """One tensor at a time: no more than that is in memory."""
    import numpy  # noqa: ICN001, PLC0415
    from gguf import GGMLQuantizationType  # noqa: PLC0415
    from gguf.quants import dequantize, quant_shape_to_byte_shape, quantize  # noqa: PLC0415

    eight = GGMLQuantizationType[COPY]
    plans = [(tensor, _changes(tensor)) for tensor in reader.tensors]
    for tensor, changes in plans:
        shape = tuple(int(n) for n in reversed(tensor.shape))
        if changes:
            packed = quant_shape_to_byte_shape(shape, eight)
            writer.add_tensor_info(tensor.name, packed, numpy.dtype("uint8"), prod(packed), eight)
        else:
            writer.add_tensor_info(
                tensor.name, tensor.data.shape, tensor.data.dtype, tensor.data.nbytes, tensor.tensor_type
            )

    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for n, (tensor, changes) in enumerate(plans, 1):
        weights = quantize(dequantize(tensor.data, tensor.tensor_type), eight) if changes else tensor.data
        writer.write_tensor_data(weights, tensor_endianess=reader.endianess)
        progress(n, len(plans))

    writer.close()


def _changes(tensor: Any) -> bool:
    """Is it one to be stored anew: weights in blocks, not norms, whose rows are whole blocks."""
    return tensor.tensor_type.name not in {"F32", "F16", "BF16", COPY} and int(tensor.shape[0]) % 32 == 0
