"""Group-relative policy optimisation on recorded attempts, by TRL's `GRPOTrainer`.

Nothing is drawn here: a `rollout_func` hands TRL the tokens as they were, with their mask and what they were worth. TRL
reads log-probabilities that come this way and, without vLLM, uses them for nothing, as if the model that is trained had
drawn the tokens. Here they are used: as `Grpo.correction` says, in the weight of each token or in the ratio itself.

One micro-batch is one group: its attempts share their prompt, which is read once (`shared.py`), and its kind of task
can have a weight of its own for the divergence.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from journeyman.training import shared
from journeyman.training.recipe import Grpo, Plan
from journeyman.training.rows import Row
from journeyman.training.sft import common

if TYPE_CHECKING:
    import torch


def grpo_trainer(
    model: Any, tokens: Any, groups: Mapping[str, Sequence[Row]], plan: Plan, folder: Path, callbacks: list[Any]
) -> Any:
    """A trainer of the groups."""
    from datasets import Dataset
    from trl import GRPOConfig

    size = max(map(len, groups.values()))
    config = GRPOConfig(
        **common(plan, folder, max(shared.length([row.ids for row in of]) for of in groups.values())),
        **_options(plan.grpo),
        num_generations=size,
        per_device_train_batch_size=size,
        generation_batch_size=size,
        gradient_accumulation_steps=min(plan.batch, len(groups)),
        max_completion_length=max(len(row.ids) - row.begin for of in groups.values() for row in of),
        temperature=1.0,
    )
    return _kind()(
        groups,
        plan.grpo,
        model=model,
        args=config,
        processing_class=tokens,
        reward_funcs=recorded,
        rollout_func=replayed(groups, size),
        train_dataset=Dataset.from_list([{"prompt": name} for name in groups]),
        callbacks=callbacks,
    )


def recorded(completions: Sequence[Any], worth: Sequence[float | None], **_: Any) -> Sequence[float | None]:
    """The verifiers have spoken already."""
    return worth


def replayed(groups: Mapping[str, Sequence[Row]], size: int) -> Any:
    """A `rollout_func`: TRL asks for a group by its name, as often as the largest group has attempts.

    A smaller group is filled up with copies that are worth nothing: not 0 but none, and no token of theirs counts.
    """

    def rollout(names: Sequence[str], _trainer: Any) -> dict[str, list[Any]]:
        rows = [groups[name][at % size] if at % size < len(groups[name]) else None for at, name in enumerate(names)]
        whose = [row or groups[name][0] for row, name in zip(rows, names, strict=True)]
        return {
            "prompt_ids": [row.ids[: row.begin] for row in whose],
            "completion_ids": [row.ids[row.begin :] for row in whose],
            "env_mask": [
                row.drawn[row.begin :] if real else [0] * len(row.ids[row.begin :])
                for row, real in zip(whose, rows, strict=True)
            ],
            "logprobs": [row.logprobs[row.begin :] for row in whose],
            "worth": [row and row.reward for row in rows],
        }

    return rollout


def _options(options: Grpo) -> dict[str, Any]:
    """In TRL's words."""
    return {
        "loss_type": options.loss,
        "scale_rewards": options.scale,
        "epsilon": options.clip_low,
        "epsilon_high": options.clip_high,
        "beta": max([options.kl, *options.kl_of.values()]),
        "use_bias_correction_kl": options.kl_reweighted,
        "importance_sampling_level": options.level,
        "off_policy_mask_threshold": options.off_policy_mask,
        "mask_truncated_completions": options.mask_cut,
        "top_entropy_quantile": options.top_entropy,
    }


def _kind() -> Any:
    """The trainer's class, made when TRL is there."""
    import torch
    from trl import GRPOTrainer

    class Replay(GRPOTrainer):
        def __init__(self, groups: Mapping[str, Sequence[Row]], options: Grpo, **given: Any) -> None:
            self._groups, self._options = groups, options
            counted = [sum(row.drawn) for of in groups.values() for row in of]
            self._tokens_a_group = sum(counted) / len(groups)
            super().__init__(**given)

        def _generate_and_score_completions(self, inputs: Any) -> Any:
            of = self._groups[inputs[0]["prompt"]]
            self.beta = self._options.kl_of.get(of[0].kind, self._options.kl)
            batch = super()._generate_and_score_completions(inputs)
            batch["num_items_in_batch"] = torch.tensor(self._tokens_a_group, device=batch["advantages"].device)
            self._use_what_they_were_drawn_with(batch)
            return batch

        def _use_what_they_were_drawn_with(self, batch: dict[str, Any]) -> None:
            drawn = torch.nan_to_num(batch["sampling_per_token_logps"])  # none outside of the mask
            batch["sampling_per_token_logps"] = drawn
            mask = batch["completion_mask"] * batch["tool_mask"]
            ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
            attention = torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1)
            with torch.no_grad():
                now, _, _ = self._get_per_token_logps_and_entropies(self.model, ids, attention, mask.size(1))

            apart = (now - drawn).abs()[mask.bool()]
            self._metrics["train"]["sampling/sampling_logp_difference/mean"].append(apart.mean().item())
            weigh(batch, now, drawn, mask, self._options)

        def _get_per_token_logps_and_entropies(
            self, model: Any, input_ids: Any, attention_mask: Any, logits_to_keep: int, *_: Any, **__: Any
        ) -> tuple[Any, Any, None]:
            """As TRL's, with the common prompt read once. Of tokens that tools said it gives 0."""
            cut = input_ids.size(1) - logits_to_keep
            rows = [ids[mask.bool()].tolist() for ids, mask in zip(input_ids, attention_mask, strict=True)]
            heads = attention_mask[:, :cut].sum(1).tolist()
            targets = [[0] * head + [1] * (len(ids) - head) for ids, head in zip(rows, heads, strict=True)]
            values, entropies = shared.logprobs(model, rows, targets)
            return _padded(values, logits_to_keep), _padded(entropies, logits_to_keep), None

    return Replay


def weigh(batch: dict[str, Any], now: Any, drawn: Any, mask: Any, options: Grpo) -> None:
    """Put the stored log-probabilities where the loss finds them.

    A token's weight multiplies its advantage: each loss is proportional to that.
    """
    import torch

    if options.correction == "none":
        return

    if options.correction == "ratio":
        batch["old_per_token_logps"] = drawn
        return

    batch["old_per_token_logps"] = now
    weight = torch.exp((now - drawn) * mask)
    beyond = weight > options.cap
    weight = weight.masked_fill(beyond, 0.0) if options.correction == "mask" else weight.clamp(max=options.cap)
    batch["advantages"] = batch["advantages"][:, None] * weight


def _padded(values: Sequence["torch.Tensor"], width: int) -> "torch.Tensor":
    """(B, width), zeros to the right."""
    import torch

    return torch.stack([torch.nn.functional.pad(one, (0, width - len(one))) for one in values])
