"""How a model is to be trained, as frozen values: the adapter's shape, the schedule, the method and its options.

    Plan(method="grpo", grpo=PRESETS["dapo"], rate=1e-4)

Presets carry names of the literature: GRPO (arXiv 2402.03300), Dr. GRPO (2503.20783), DAPO (2503.14476), CISPO
(2506.13585), GSPO (2507.18071), and what DeepSeek-V3.2 (2512.02556) adds for samples that another program drew.
"""

from typing import Literal

from pydantic import Field

from journeyman.traces.messages import Value

Method = Literal["sft", "grpo", "dpo"]

MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class Shape(Value):
    """Of the low-rank adapter (LoRA, arXiv 2106.09685)."""

    rank: int = Field(16, ge=1)
    alpha: float = 32.0
    """What the adapter adds is scaled by alpha / rank."""
    first: int = Field(0, ge=0)
    """The lowest layer that is adapted: the gradient need not go further down, and the file is smaller."""
    modules: tuple[str, ...] = MODULES


class Grpo(Value):
    """Options of group-relative policy optimisation. What TRL has under another name is named beside it."""

    loss: Literal["grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo", "luspo", "vespo"] = "dapo"
    """What is averaged: `grpo` over attempts, `dapo` and `cispo` over tokens, `dr_grpo` over a fixed length; `cispo`
    clips the weight of each token and drops none."""
    scale: Literal["group", "batch", "none"] = "none"
    """Divide advantages by the standard deviation of the rewards, or not (`scale_rewards`)."""
    clip_low: float = 0.2
    clip_high: float = 0.28
    """For `cispo` the most that a token may weigh."""
    kl: float = 0.0
    """Weight of the divergence from the model as it was at the start (`beta`)."""
    kl_of: dict[str, float] = {}
    """Another weight for some kinds of tasks."""
    kl_reweighted: bool = False
    """Correct the estimate of the divergence for who drew the tokens (`use_bias_correction_kl`)."""
    level: Literal["token", "sequence"] = "token"
    """Of the importance ratio (`importance_sampling_level`)."""
    correction: Literal["truncate", "mask", "ratio", "none"] = "truncate"
    """What the stored log-probabilities are for. `truncate`: each token weighs as much more or less as this model
    finds it likelier than the engine that drew it, at most `cap`; `mask`: 0 beyond `cap`. `ratio`: they stand in the
    clipped ratio itself. `none` forgets them: only to measure what they are worth."""
    cap: float = 2.0
    off_policy_mask: float | None = None
    """Leave out attempts of too little worth that this model finds unlikely, in nats a token
    (`off_policy_mask_threshold`)."""
    mask_cut: bool = False
    """Leave out attempts that were cut off at their limit (`mask_truncated_completions`)."""
    top_entropy: float = 1.0
    """Train on this share of the tokens only, the least certain ones (`top_entropy_quantile`)."""
    keep_even: bool = False
    """Keep groups whose attempts are all worth the same; they teach nothing and are dropped otherwise."""


PRESETS: dict[str, Grpo] = {
    "dapo": Grpo(mask_cut=True),
    "grpo": Grpo(loss="grpo", scale="group", clip_high=0.2, kl=0.04, keep_even=True),
    "dr_grpo": Grpo(loss="dr_grpo", clip_high=0.2),
    "cispo": Grpo(loss="cispo", clip_high=5.0),
    "gspo": Grpo(loss="grpo", scale="group", level="sequence", clip_low=3e-4, clip_high=4e-4),
    "deepseek-v3.2": Grpo(loss="grpo", clip_high=0.2, kl=0.01, kl_reweighted=True, off_policy_mask=0.05),
}


class Plan(Value):
    """One training."""

    method: Method = "sft"
    shape: Shape = Shape()
    rate: float = Field(1e-3, gt=0)
    """Highest learning rate: it rises over the first steps and falls along a cosine."""
    epochs: float = Field(2.0, gt=0)
    batch: int = Field(8, ge=1)
    """Of one optimiser step: conversations, for `grpo` groups, for `dpo` pairs."""
    steps: int = Field(0, ge=0)
    """Stop after so many; 0 for none."""
    warmup: float = Field(0.1, ge=0, lt=1)
    """Share of the steps over which the rate rises."""
    clip: float = 1.0
    """Of the gradient's norm."""
    longest: int = Field(4096, ge=16)
    """Tokens; longer conversations are left out, never cut."""
    save_every: int = Field(20, ge=1)
    """Steps between checkpoints."""
    seed: int = 1
    grpo: Grpo = PRESETS["dapo"]
    beta: float = 0.1
    """Of DPO: how far it may go from the model as it was."""
