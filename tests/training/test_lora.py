"""Run with the `train` extra: `uv run --extra train pytest tests/training`."""

import pytest

from journeyman.errors import ConfigError
from journeyman.training.encode import Pack

torch = pytest.importorskip("torch")
gguf = pytest.importorskip("gguf")
transformers = pytest.importorskip("transformers")

from journeyman.training import lora  # noqa: E402 - after the skips
from journeyman.training.tune import Progress, Schedule, step_loss, tune  # noqa: E402

SHAPE = lora.Shape(rank=2, alpha=4.0, first=1)
PACK = Pack(
    ids=[1, 2, 3, 4, 5, 6, 4, 7],
    positions=[0, 1, 2, 3, 4, 5, 3, 4],
    segment=[0, 0, 0, 1, 1, 1, 2, 2],
    learnt=[False, False, False, False, True, True, False, True],
)


def model():
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=16,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.4,
    )
    return transformers.LlamaForCausalLM(config).requires_grad_(requires_grad=False)


def test_an_adapter_changes_nothing_before_it_is_trained():
    plain, adapted = model(), model()
    lora.attach(adapted, SHAPE, seed=1)
    assert torch.equal(step_loss(plain, PACK), step_loss(adapted, PACK))


def test_layers_below_the_first_are_left_alone():
    adapted = model()
    parameters = lora.attach(adapted, SHAPE, seed=1)
    assert len(parameters) == 2 * 7 * 2
    assert not any(parameter.requires_grad for parameter in adapted.model.layers[0].parameters())


def test_neighbours_in_a_pack_do_not_see_each_other():
    """The loss of a pack is the mean of its dialogues' own, weighted by the root of how much each has to learn."""
    one = Pack(PACK.ids[:6], PACK.positions[:6], PACK.segment[:6], PACK.learnt[:6])
    two = Pack(PACK.ids[:3] + PACK.ids[6:], [0, 1, 2, 3, 4], [0, 0, 0, 1, 1], [False, False, False, False, True])
    together = step_loss(model(), PACK)
    apart = (2**0.5 * step_loss(model(), one) + step_loss(model(), two)) / (2**0.5 + 1)
    torch.testing.assert_close(together, apart)


@pytest.mark.parametrize("workers", [1, 2])
def test_training_learns_its_data(workers):
    adapted = model()
    parameters = lora.attach(adapted, SHAPE, seed=1)
    heard: list[Progress] = []
    before = step_loss(adapted, PACK).item()
    tune(adapted, parameters, [PACK] * 60, Schedule(rate=3e-2), heard.append, workers=workers)
    assert step_loss(adapted, PACK).item() < before / 2
    assert [progress.step for progress in heard] == list(range(1, 60 // workers + 1))


def test_the_adapter_is_written_as_the_engine_names_things(tmp_path):
    adapted = model()
    lora.attach(adapted, SHAPE, seed=1)
    lora.write(adapted, SHAPE, tmp_path / "adapter.gguf")
    read = gguf.GGUFReader(tmp_path / "adapter.gguf")
    names = sorted(tensor.name for tensor in read.tensors)
    assert names == sorted(
        f"blk.{layer}.{name}.weight.lora_{end}" for layer in (1, 2) for name in lora.TENSORS.values() for end in "ab"
    )
    assert read.fields["adapter.type"].contents() == "lora"
    assert read.fields["adapter.lora.alpha"].contents() == 4.0


def test_a_written_adapter_can_be_trained_on(tmp_path):
    one, two = model(), model()
    for parameter in lora.attach(one, SHAPE, seed=1):
        torch.nn.init.normal_(parameter)

    lora.write(one, SHAPE, tmp_path / "adapter.gguf")
    lora.attach(two, SHAPE, seed=2)
    lora.read(two, SHAPE, tmp_path / "adapter.gguf")
    torch.testing.assert_close(step_loss(two, PACK), step_loss(one, PACK), rtol=0.02, atol=0.02)


def test_an_adapter_of_another_shape_is_refused(tmp_path):
    one, two, other = model(), model(), lora.Shape(rank=3, alpha=4.0, first=1)
    lora.attach(one, SHAPE, seed=1)
    lora.write(one, SHAPE, tmp_path / "adapter.gguf")
    lora.attach(two, other, seed=1)
    with pytest.raises(ConfigError, match="no adapter of this shape"):
        lora.read(two, other, tmp_path / "adapter.gguf")


def test_rows_of_queries_and_keys_are_interleaved_for_the_engine():
    rows = torch.arange(8.0)[:, None]
    assert lora._permuted(rows, 2)[:, 0].tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


def test_the_rate_rises_and_falls():
    schedule = Schedule(rate=1.0, warmup=10)
    rates = [schedule.at(step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates == [*sorted(rates[:10]), *sorted(rates[10:], reverse=True)]
    assert rates[-1] == pytest.approx(0.05, abs=0.01)
