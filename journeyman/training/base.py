"""The model to be trained: a GGUF, dequantised and frozen, with a low-rank adapter on top that PEFT trains."""

import logging
import os
import re
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from journeyman.agent.models.engine import cores
from journeyman.agent.models.files import check_gguf
from journeyman.errors import BadModelFile, ConfigError, install
from journeyman.training.recipe import Shape
from journeyman.training.shared import can_attend, register

FIX = "Take a model of the Llama, Qwen or Gemma 3 family."
NEEDED = ("torch", "transformers", "peft", "trl", "gguf")


def missing_parts() -> list[str]:
    """Of what trains, what is not installed."""
    return [name for name in NEEDED if find_spec(name) is None]


def demand_trainer() -> None:
    """See that what trains is installed, and keep it off the network.

    Raises:
        ConfigError: it is not.
    """
    if missing := missing_parts():
        fix = f"{install('journeyman[train]')}   (a smaller PyTorch for CPUs: https://pytorch.org/get-started)"
        raise ConfigError(f"What training needs is not installed here: {', '.join(missing)}.", fix=fix)

    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("DO_NOT_TRACK", "true")  # MLflow, where metrics go there
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    os.environ.setdefault("TQDM_DISABLE", "1")
    warnings.filterwarnings("ignore", module=r"(transformers|trl|peft)\.")  # about each other
    logging.getLogger("trl").setLevel(logging.ERROR)  # it warns of each copy that fills up a group
    from transformers.utils import logging as theirs

    theirs.disable_progress_bar()
    theirs.set_verbosity_error()


def load_base(path: Path) -> Any:
    """The causal language model of a GGUF in bfloat16, frozen.

    Raises:
        ModelNotFound, BadModelFile: there is none, or none that the trainer knows.
    """
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig

    check_gguf(path, "model")
    register()
    torch.set_num_threads(cores())
    try:
        model = AutoModelForCausalLM.from_pretrained(
            path.parent,
            gguf_file=path.name,
            dtype=torch.bfloat16,
            quantization_config=GgufConfig(dequantize=True),
            attn_implementation="shared",
        )
    except (ValueError, KeyError, NotImplementedError) as error:
        raise BadModelFile(f"{path.name} cannot be trained: {error}.", fix=FIX) from error

    if not can_attend(model):
        why = f"{type(model).__name__} has attention of its own kind (sinks, or capped scores)"
        raise BadModelFile(f"{path.name} cannot be trained: {why}.", fix=FIX)

    # As loaded it says that it is quantised, and would refuse to be saved or trained.
    model.hf_quantizer, model.is_quantized = None, False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config

    return model.requires_grad_(requires_grad=False)


def attach(model: Any, shape: Shape, seed: int = 1) -> Any:
    """The model with a new adapter, which changes nothing before it is trained."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    layers = model.config.get_text_config().num_hidden_layers
    config = LoraConfig(
        r=shape.rank,
        lora_alpha=shape.alpha,
        target_modules=list(shape.modules),
        layers_to_transform=list(range(shape.first, layers)),
        layers_pattern="layers",
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config)


def tokenizer(path: Path) -> Any:
    """The model's own, read from its GGUF; its ids are the engine's."""
    from transformers import AutoTokenizer

    found = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    if found.pad_token is None:
        found.pad_token = found.eos_token

    return found


LAYER = re.compile(r"layers\.(\d+)\.(?:.*\.)?(\w+)$")
"""Where a linear layer is, in a module's name: number and own name."""


def device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
