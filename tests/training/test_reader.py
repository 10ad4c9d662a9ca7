"""From stored runs to rows, with a model's own tokenizer. With the `train` extra."""

import json

import pytest

from journeyman.agent.models.files import fingerprint
from journeyman.errors import ConfigError
from journeyman.traces.events import ModelResponded, RunFinished, RunStarted
from journeyman.traces.export import Skip
from journeyman.traces.messages import AssistantMessage, Text, Thinking, UserMessage
from journeyman.traces.writer import Stored
from tests.traces.practised import CALC, GOOD, attempt, says, span, tokens

pytestmark = [pytest.mark.timeout(120), pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def reader(base):
    from journeyman.training.base import tokenizer
    from journeyman.training.rows import Reader

    return Reader(base, tokenizer(base))


def by(base, run: list[Stored], **more: str) -> list[Stored]:
    """As if this model had made it."""
    first = run[0].event
    assert isinstance(first, RunStarted)
    own = first.model_copy(update={"model_info": {"fingerprint": fingerprint(base), **more}})
    return [run[0]._replace(event=own), *run[1:]]


def text(reader, ids) -> str:
    """Bytes are single tokens here."""
    return "".join(chr(TABLE[id_]) if id_ in TABLE else reader_mark(reader, id_) for id_ in ids)


def reader_mark(reader, id_: int) -> str:
    return {1: "<|im_start|>", 2: "<|im_end|>"}.get(id_, " t")


def table() -> dict[int, int]:
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return {3 + byte: byte for byte in range(256) if byte in plain or byte in {10, 32}}


TABLE = table()


def targets(reader, row) -> str:
    return text(reader, [id_ for id_, drawn in zip(row.ids, row.drawn, strict=True) if drawn])


def test_tokens_of_the_model_itself_are_taken_as_they_were_drawn(base, reader):
    [row] = reader.attempts(by(base, GOOD))
    assert row.ids == [65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75]
    assert row.drawn == [0, 0, 0, 1, 1, 0, 0, 1, 0, 0, 1]
    assert [value is None for value in row.logprobs] == [not drawn for drawn in row.drawn]
    assert (row.group, row.sample, row.reward, row.kind) == ("b/t", 0, 1.0, "sums")


def test_examples_that_were_shown_are_left_out_and_the_completion_stays(base, reader):
    shown = [*range(10, 200)] * 4
    run = by(base, attempt(0, 1.0, *says(1, "5", tokens(span("context", *shown), span("sampled", 72, 2), root=True))))
    [row] = reader.rows(run)
    assert row.ids[-2:] == [72, 2]
    assert sum(row.drawn) == 2
    assert text(reader, row.ids[:-2]).endswith("<|im_start|>user\n2+3?<|im_end|>\n<|im_start|>assistant\n")
    assert reader.counts["rendered without examples"] == 1


def test_runs_of_another_model_are_rendered_as_this_one_would_have_written_them(reader):
    [row] = reader.rows(GOOD)
    assert targets(reader, row) == (
        '<think>\nAdd.\n</think>\n\n\n<tool_call>\n{"name": "calc", "arguments": {"expression": "2+3"}}\n</tool_call>'
        "<|im_end|>5<|im_end|>"
    )
    assert "Calculate." in text(reader, row.ids[: row.begin])


def test_thoughts_that_were_hidden_or_summed_up_are_never_targets(reader):
    thoughts = (Thinking(text="A summary.", hidden=True), Thinking(text="", redacted=True), Text(text="5"))
    started = RunStarted(prompt="2+3?", model="anthropic:x", tools=(CALC,))
    answered = ModelResponded(step=1, message=AssistantMessage(parts=thoughts))
    run = [Stored("r", n, n, event) for n, event in enumerate((started, answered, RunFinished(outcome="answered")), 1)]
    [row] = reader.rows(run)
    assert targets(reader, row) == "5<|im_end|>"


def test_another_models_tokens_are_not_reinforced(reader):
    with pytest.raises(Skip, match="another model drew it"):
        reader.attempts(GOOD)


def test_runs_of_this_model_in_a_format_that_it_no_longer_speaks_are_another_models(base, reader):
    assert reader.rows(by(base, GOOD, renderer="chatml/1")) == reader.rows(by(base, GOOD))
    assert reader.rows(by(base, GOOD, renderer="older/1")) == reader.rows(GOOD)
    with pytest.raises(Skip, match="another format"):
        reader.attempts(by(base, GOOD, renderer="older/1"))


def test_held_out_tasks_are_never_learnt(base, reader):
    run = by(base, attempt(0, 1.0, *says(1, "5", tokens(span("sampled", 72), root=True)), split="held_out"))
    for read in (reader.rows, reader.attempts):
        with pytest.raises(Skip, match="its task is held out"):
            read(run)


def test_samples_against_forgetting_are_rendered(reader, tmp_path):
    from journeyman.training.rows import general

    file = tmp_path / "general.jsonl"
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    file.write_text(json.dumps({"messages": messages}) + "\n", encoding="utf-8")
    [row] = general(file, reader, 5, seed=1)
    assert targets(reader, row) == "Hello<|im_end|>"
    assert row == reader.row(
        [UserMessage(text="Hi"), AssistantMessage(parts=(Text(text="Hello"),))], kind="general", run_id="replay-0"
    )
    file.write_text("{}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="has no samples to replay"):
        general(file, reader, 5, seed=1)
