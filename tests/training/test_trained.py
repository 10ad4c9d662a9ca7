"""Real training of a tiny model, with the `train` extra: its file, its loss, what the engine makes of it."""

import json
import math
import os
import resource
import signal
from dataclasses import replace
from functools import partial
from typing import Any

import anyio
import pytest

from journeyman.errors import BadModelFile, ConfigError, Interrupted, UsageError
from journeyman.training.recipe import PRESETS, Grpo, Plan, Shape
from journeyman.training.rows import Row
from tests.need import need

pytestmark = [
    pytest.mark.timeout(300),  # PyTorch and its kin take their time to be imported
    pytest.mark.filterwarnings("ignore"),  # theirs
]
SHAPE = Shape(rank=2, alpha=4.0, first=1)
HEAD = [1, *range(100, 140)]
END = 2


@pytest.fixture(scope="module")
def rows(base):
    """Two groups of four attempts, each with a tool's words in the middle, and what this very model gives them."""
    from journeyman.training.base import attach, load_base
    from journeyman.training.shared import logprobs

    made = [attempt(group, sample) for group in range(2) for sample in range(4)]
    model = attach(load_base(base), SHAPE)
    values, _ = logprobs(model, [row.ids for row in made], [row.drawn for row in made])
    return [drawn_with(row, one.tolist()) for row, one in zip(made, values, strict=True)]


def attempt(group: int, sample: int) -> Row:
    ids = [*HEAD, 40 + group, 50 + sample, 60, 7, 8, 70 + sample, 80, END]
    drawn = [0] * (len(HEAD) + 1) + [1, 1, 0, 0, 1, 1, 1]
    name = f"b/g{group}"
    about: dict[str, Any] = {
        "task": name,
        "group": name,
        "kind": f"kind{group}",
        "sample": sample,
        "run_id": f"{group}-{sample}",
    }
    return Row(ids, drawn, reward=float(sample % 2), **about)


def drawn_with(row: Row, values: list[float]) -> Row:
    given = iter(values)
    return replace(row, logprobs=[next(given) if drawn else None for drawn in row.drawn])


def trained(base, folder, rows, plan, start=None):
    from journeyman.training.train import Job, train

    return train(Job(base, folder, plan, start), rows)


def sft(**more) -> Plan:
    given: dict[str, Any] = {"epochs": 8} | more
    return Plan(shape=SHAPE, rate=2e-2, batch=4, **given)


def test_what_is_learnt_is_what_the_engine_then_says(base, rows, tmp_path):
    done = trained(base, tmp_path, rows, sft())
    assert done.agreement.kl < 0.02 < done.agreement.base_kl
    assert done.agreement.mismatch < 0.1
    losses = [json.loads(line).get("loss") for line in (tmp_path / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert losses[-2] < losses[0] - 2
    card = json.loads((tmp_path / "card.json").read_text("utf-8"))
    assert card["by_kind"] == {"kind0": 4, "kind1": 4}
    assert (tmp_path / "adapter_model.safetensors").exists()


@pytest.mark.parametrize("method", ["sft", "grpo"])
def test_what_is_too_long_to_be_kept_is_made_again_with_the_same_losses(base, rows, tmp_path, monkeypatch, method):
    from journeyman.training import sft

    def losses(name):
        plan = Plan(method=method, shape=SHAPE, rate=2e-2, batch=4)
        trained(base, tmp_path / name, rows, plan)
        lines = (tmp_path / name / "metrics.jsonl").read_text("utf-8").splitlines()
        return [found["loss"] for found in map(json.loads, lines) if "loss" in found]

    kept = losses("kept")
    assert not sft.common(Plan(), tmp_path, sft.LONG)["gradient_checkpointing"]
    monkeypatch.setattr(sft, "LONG", 8)
    assert sft.common(Plan(), tmp_path, 9)["gradient_checkpointing"]
    assert losses("again") == pytest.approx(kept, rel=1e-3, abs=1e-4)


def test_an_adapter_of_another_architecture_is_written_as_its_engine_reads_it(base, rows, tmp_path):
    from tests.training.tiny import tiny_model

    other = tiny_model(tmp_path / "qwen.gguf", "qwen2")
    done = trained(other, tmp_path / "out", rows, sft(epochs=4))
    assert done.agreement.kl < 0.02 < done.agreement.base_kl


def test_an_adapter_that_was_taught_to_think_may_think(base, rows, tmp_path):
    from journeyman.agent.models.files import ModelFiles
    from journeyman.agent.models.llama import LlamaModel
    from journeyman.training.base import tokenizer

    mark = tokenizer(base)("<think").input_ids
    thoughtful = [
        replace(
            row,
            ids=HEAD + mark + row.ids[row.begin :],
            drawn=[0] * len(HEAD) + [1] * len(mark) + row.drawn[row.begin :],
        )
        for row in rows
    ]
    first = trained(base, tmp_path / "1", thoughtful, sft(steps=1))
    further = trained(base, tmp_path / "2", rows, sft(steps=1), start=first.adapter)
    plain = trained(base, tmp_path / "3", rows, sft(steps=1))

    async def may_think(adapter) -> bool:
        model = LlamaModel(ModelFiles(model=base, adapters=(adapter,)))
        await model.open()
        await model.close()
        return model.capabilities.thinking

    assert [anyio.run(may_think, done.adapter) for done in (first, further, plain)] == [True, True, False]


def test_a_written_adapter_can_be_gone_on_with(base, rows, tmp_path):
    from journeyman.training.adapter import shape_of

    first = trained(base, tmp_path / "1", rows, sft(epochs=4))
    assert shape_of(first.adapter) == SHAPE
    further = trained(base, tmp_path / "2", rows, sft(epochs=1), start=first.adapter)
    assert further.loss < first.loss + 0.5


def test_sequences_read_together_get_what_they_get_apart(base, rows):
    import torch

    from journeyman.training.base import load_base
    from journeyman.training.shared import logprobs

    model = load_base(base).float()
    together, _ = logprobs(model, [row.ids for row in rows], [row.drawn for row in rows])
    apart = [logprobs(model, [row.ids], [row.drawn])[0][0] for row in rows]
    plain = torch.log_softmax(model(input_ids=torch.tensor([rows[0].ids])).logits[0].float(), -1)
    at = [n for n, drawn in enumerate(rows[0].drawn) if drawn]
    torch.testing.assert_close(
        together[0], torch.stack([plain[n - 1, rows[0].ids[n]] for n in at]), atol=1e-4, rtol=1e-4
    )
    for one, other in zip(together, apart, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def attention(config):
    """A random model of two or more layers, for transformers' own attention and ours."""
    need("trl")
    import torch
    from transformers import AutoModelForCausalLM

    from journeyman.training.shared import register

    register()
    torch.manual_seed(1)
    sizes = {"vocab_size": 100, "hidden_size": 32, "intermediate_size": 32, "head_dim": 8, "initializer_range": 0.5}
    heads = {"num_hidden_layers": 6, "num_attention_heads": 4, "num_key_value_heads": 2}
    return AutoModelForCausalLM.from_config(config(**sizes, **heads), attn_implementation="shared").eval()


@pytest.mark.parametrize("family", ["Mistral", "Gemma3Text"])
def test_a_sequence_read_alone_keeps_to_the_models_sliding_window(family):
    need("trl")
    import torch
    import transformers

    from journeyman.training.shared import logprobs

    model = attention(partial(getattr(transformers, f"{family}Config"), sliding_window=4))
    long, short = [3 + n * 7 % 90 for n in range(24)], [3, 10, 60, 61]
    ours, _ = logprobs(model, [long, short], [[0] + [1] * 23, [0] + [1] * 3])
    model.set_attn_implementation("eager")
    for ids, values in zip((long, short), ours, strict=True):
        every = torch.log_softmax(model(input_ids=torch.tensor([ids])).logits[0].float(), -1)
        torch.testing.assert_close(values, every[range(len(ids) - 1), ids[1:]], atol=1e-3, rtol=1e-3)


def test_a_model_whose_attention_is_of_another_kind_is_not_trained(base, tmp_path, monkeypatch):
    import transformers

    from journeyman.training.base import load_base
    from journeyman.training.shared import can_attend

    kinds = {
        "Gemma3Text": {},
        "Gemma2": {"attn_logit_softcapping": 5.0},
        "GptOss": {"num_local_experts": 2, "num_experts_per_tok": 1},
    }
    made = {name: attention(partial(getattr(transformers, f"{name}Config"), **more)) for name, more in kinds.items()}
    assert {name: can_attend(model) for name, model in made.items()} == {
        "Gemma3Text": True,
        "Gemma2": False,
        "GptOss": False,
    }
    monkeypatch.setattr(transformers.LlamaPreTrainedModel, "_supports_sdpa", False)
    with pytest.raises(BadModelFile, match="attention of its own kind"):
        load_base(base)


def gradient(base, rows, options: Grpo, tmp_path) -> list[float]:
    """Of the first group, as TRL computes it."""
    import torch

    from journeyman.training.base import attach, load_base, tokenizer
    from journeyman.training.grpo import grpo_trainer
    from journeyman.training.rows import groups_of

    model = attach(load_base(base), SHAPE)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.constant_(parameter, 0.01)

    groups = groups_of(rows)
    plan = Plan(method="grpo", shape=SHAPE, grpo=options, batch=1)
    trainer = grpo_trainer(model, tokenizer(base), groups, plan, tmp_path, [])
    batch = trainer._generate_and_score_completions([{"prompt": next(iter(groups))} for _ in range(4)])
    trainer.current_gradient_accumulation_steps = 1
    trainer.compute_loss(trainer.model, batch).backward()
    return [p.grad.double().norm().item() for p in trainer.model.parameters() if p.grad is not None]


@pytest.mark.parametrize("correction", ["truncate", "mask", "ratio"])
def test_the_stored_log_probabilities_are_used(correction, base, rows, tmp_path):
    options = PRESETS["dr_grpo"].model_copy(update={"correction": correction, "cap": 1.05})
    likelier = [
        drawn_with(row, [value + 0.4 * (row.sample - 1) for value in row.logprobs if value is not None]) for row in rows
    ]
    assert gradient(base, rows, options, tmp_path) != pytest.approx(
        gradient(base, likelier, options, tmp_path), rel=1e-3
    )


def test_without_a_correction_they_are_used_for_nothing(base, rows, tmp_path):
    options = PRESETS["dr_grpo"].model_copy(update={"correction": "none"})
    likelier = [drawn_with(row, [value - 3 for value in row.logprobs if value is not None]) for row in rows]
    assert gradient(base, rows, options, tmp_path) == pytest.approx(
        gradient(base, likelier, options, tmp_path), rel=1e-4
    )


def test_a_token_weighs_what_this_model_finds_it_likelier_but_not_more_than_the_cap():
    need("torch")
    import torch

    from journeyman.training.grpo import weigh

    now, mask = torch.log(torch.tensor([[0.5, 0.5, 0.5]])), torch.tensor([[1, 1, 0]])
    drawn = torch.log(torch.tensor([[0.4, 0.05, 1.0]]))
    for correction, expected in (("truncate", [2.5, 4.0, 2.0]), ("mask", [2.5, 0.0, 2.0])):
        batch = {"advantages": torch.tensor([2.0])}
        weigh(batch, now, drawn, mask, Grpo.model_validate({"correction": correction}))
        torch.testing.assert_close(batch["advantages"], torch.tensor([expected]))


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_reinforces_what_was_worth_more(name, base, rows, tmp_path):
    before = probabilities(base, rows, None)
    plan = Plan(method="grpo", shape=SHAPE, rate=5e-3, epochs=6, batch=2, grpo=PRESETS[name])
    done = trained(base, tmp_path, rows, plan)
    after = probabilities(base, rows, done.adapter)
    gained = [after[n] - before[n] for n in range(len(rows))]
    right = [gain for gain, row in zip(gained, rows, strict=True) if row.reward]
    wrong = [gain for gain, row in zip(gained, rows, strict=True) if not row.reward]
    assert sum(right) > sum(wrong)
    assert done.steps == 6


def probabilities(base, rows, adapter) -> list[float]:
    from journeyman.training.adapter import read_adapter
    from journeyman.training.base import attach, load_base
    from journeyman.training.shared import logprobs

    model = attach(load_base(base), SHAPE)
    if adapter:
        read_adapter(model, base, adapter)

    values, _ = logprobs(model, [row.ids for row in rows], [row.drawn for row in rows])
    return [one.sum().item() for one in values]


def test_a_kind_of_tasks_can_have_a_weight_of_its_own_for_the_divergence(base, rows, tmp_path):
    from journeyman.training.base import attach, load_base, tokenizer
    from journeyman.training.grpo import grpo_trainer
    from journeyman.training.rows import groups_of

    groups = groups_of(rows)
    plan = Plan(method="grpo", shape=SHAPE, grpo=Grpo(kl=0.01, kl_of={"kind1": 0.5}))
    trainer = grpo_trainer(attach(load_base(base), SHAPE), tokenizer(base), groups, plan, tmp_path, [])
    weights = []
    for name in groups:
        batch = trainer._generate_and_score_completions([{"prompt": name} for _ in range(4)])
        weights.append((trainer.beta, "ref_per_token_logps" in batch))

    assert weights == [(0.01, True), (0.5, True)]


def test_a_group_that_lost_attempts_is_filled_up_with_what_counts_for_nothing(base, rows, tmp_path, caplog):
    fewer = [row for row in rows if row.run_id != "1-3"]
    done = trained(base, tmp_path, fewer, Plan(method="grpo", shape=SHAPE, epochs=1, batch=2))
    assert (done.steps, math.isfinite(done.loss)) == (1, True)
    assert caplog.text == "", "nobody is warned of what was meant"


def test_preferences_move_the_better_turn_up(base, rows, tmp_path):
    plan = Plan(method="dpo", shape=SHAPE, rate=1e-2, epochs=6, batch=2)
    done = trained(base, tmp_path, rows, plan)
    assert done.loss < 0.6 < math.log(2)


def test_ctrl_c_keeps_the_step_and_the_same_call_goes_on(base, rows, tmp_path, monkeypatch):
    from journeyman.training import live as room

    def interrupt(text: str, *_) -> None:
        if text.startswith("step 1/"):
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(room, "say", interrupt)
    with pytest.raises(Interrupted, match="Interrupted after step 2"):
        trained(base, tmp_path, rows, sft())

    monkeypatch.undo()
    assert trained(base, tmp_path, rows, sft()).steps == 16
    steps = [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert steps.count(1) == 1


def test_each_training_has_its_own_curves_for_tensorboard(base, rows, tmp_path):
    need("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for name, epochs in (("one", 1), ("two", 2)):
        done = trained(base, tmp_path / name, rows, sft(epochs=epochs))
        curves = EventAccumulator(str(tmp_path / name / "tensorboard")).Reload()
        assert [each.step for each in curves.Scalars("train/loss")] == [*range(1, done.steps + 1)]


def test_metrics_go_to_mlflow_where_it_was_told_to_be(base, rows, tmp_path, monkeypatch):
    need("mlflow")
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    done = trained(base, tmp_path / "out", rows, sft(epochs=1))
    (run,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "loss")
    assert [each.step for each in history] == [*range(1, done.steps + 1)]


def test_a_folder_belongs_to_one_training(base, rows, tmp_path):
    trained(base, tmp_path, rows, sft(epochs=1))
    with pytest.raises(UsageError, match="has another training"):
        trained(base, tmp_path, rows, sft(epochs=2))


def test_a_write_that_was_cut_off_leaves_nothing_to_stumble_over(base, rows, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))  # the file system gives out in the middle
    try:
        with pytest.raises(ConfigError, match="cannot be used"):
            trained(base, tmp_path, rows, sft(steps=1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert not (tmp_path / "plan.json").exists()
    assert trained(base, tmp_path, rows, sft(steps=1)).steps == 1
    plan = (tmp_path / "plan.json").stat()
    assert trained(base, tmp_path, rows, sft(steps=1)).steps == 1
    assert (tmp_path / "plan.json").stat().st_ino == plan.st_ino, "it is written once"


def test_an_adapter_for_another_model_is_refused(base, rows, tmp_path):
    from journeyman.agent.models.starter import ADAPTER

    with pytest.raises(BadModelFile, match=r"is no adapter for tiny\.gguf"):
        trained(base, tmp_path, rows, sft(), start=ADAPTER)


def test_nothing_to_learn_from_is_said(base, rows, tmp_path):
    even = [replace(row, reward=0.0) for row in rows]
    with pytest.raises(UsageError, match="None of 2 groups has attempts of different worth"):
        trained(base, tmp_path, even, Plan(method="grpo"))


def test_a_folder_that_cannot_be_written_is_said(base, rows, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot be used"):
        trained(base, tmp_path / "file" / "out", rows, sft())
