import json
from collections.abc import Iterable
from typing import Any

import pytest

from journeyman.traces.events import (
    ApprovalAnswered,
    CallDecided,
    CallFinished,
    MessageAdded,
    ModelRequested,
    ModelResponded,
    RunFinished,
    RunStarted,
    Sample,
    SampleScored,
    StoredEvent,
)
from journeyman.traces.export import Skip, art, dpo, grpo, kto, messages, openenv, tokens, verifiers, verl
from journeyman.traces.export.pairs import Pair, pairs
from journeyman.traces.export.sequences import reward
from journeyman.traces.messages import AssistantMessage, Text, Tokens, TokenSpan, ToolCall, ToolResult
from journeyman.traces.writer import Stored


def started(index: int = 0, split: str = "train") -> RunStarted:
    sample = Sample.model_validate({"batch": "b", "task": "t", "index": index, "split": split})
    return RunStarted(prompt="2+3?", model="local:starter", sample=sample)


def asked(step: int, temperature: float = 1.0, **more: float) -> ModelRequested:
    return ModelRequested(step=step, sampling={"temperature": temperature, "logprobs": True, **more})


def spans(*spans: TokenSpan, root: bool = False) -> Tokens:
    return Tokens(level="tokens", logprob_kind="processed", root=root, spans=spans)


def context(*ids: int) -> TokenSpan:
    return TokenSpan(kind="context", ids=ids)


def drawn(*ids: int, logprobs: tuple[float | None, ...] | None = None) -> TokenSpan:
    return TokenSpan(kind="sampled", ids=ids, logprobs=logprobs or tuple(-0.5 for _ in ids))


def forced(*ids: int) -> TokenSpan:
    return TokenSpan(kind="forced", ids=ids)


def calls(expression: str, *of: TokenSpan, step: int = 1, root: bool = True) -> ModelResponded:
    call = ToolCall(id=f"c{step}", name="calc", arguments=json.dumps({"expression": expression}))
    return ModelResponded(step=step, message=AssistantMessage(parts=(call,)), tokens=spans(*of, root=root))


def says(text: str, *of: TokenSpan, step: int = 2, root: bool = False) -> ModelResponded:
    return ModelResponded(step=step, message=AssistantMessage(parts=(Text(text=text),)), tokens=spans(*of, root=root))


def result(text: str, step: int = 1) -> CallFinished:
    return CallFinished(result=ToolResult(call_id=f"c{step}", name="calc", text=text))


def run(*events: StoredEvent, run_id: str = "r") -> list[Stored]:
    return [Stored(run_id, seq, 0, event) for seq, event in enumerate(events, 1)]


def scored(score: float | None, name: str = "reward") -> SampleScored:
    return SampleScored(verifier=f"{name}/1", name=name, score=score, status="ok" if score is not None else "error")


RIGHT = (
    started(),
    asked(1),
    calls("2+3", context(1, 2), drawn(3, 4, logprobs=(-0.1, -0.2))),
    result("5"),
    asked(2),
    says("5", context(5, 6), drawn(7), forced(8)),
    RunFinished(outcome="answered", answer="5"),
    scored(1.0),
)


def rows(lines: Iterable[str]) -> list[Any]:
    return [json.loads(line) for line in lines]


def test_steps_that_extend_each_other_are_one_sequence_of_which_only_drawn_tokens_are_labels():
    assert rows(tokens.lines(run(*RIGHT))) == [
        {
            "input_ids": [1, 2, 3, 4, 5, 6, 7, 8],
            "labels": [-100, -100, 3, 4, -100, -100, 7, -100],
            "run_id": "r",
            "reward": 1.0,
        }
    ]


def test_a_new_root_is_a_new_row():
    again = (*RIGHT[:5], says("5", context(9), drawn(7), root=True), *RIGHT[6:])
    assert [row["input_ids"] for row in rows(tokens.lines(run(*again)))] == [[1, 2, 3, 4], [9, 7]]


def test_practice_is_replayed_with_the_probabilities_it_was_drawn_with():
    assert rows(grpo.lines(run(*RIGHT))) == [
        {
            "prompt_ids": [1, 2],
            "completion_ids": [3, 4, 5, 6, 7, 8],
            "env_mask": [1, 1, 0, 0, 1, 0],
            "logprobs": [-0.1, -0.2, None, None, -0.5, None],
            "temperature": 1.0,
            "reward": 1.0,
            "group": "b/t",
            "sample": 0,
            "run_id": "r",
            "prompt": [{"role": "user", "content": "2+3?"}],
        }
    ]


REPLAYED = (grpo, verl, verifiers, openenv, art)
fork = started().model_copy(update={"parent": "r", "parent_seq": 4})
steered = CallDecided(call_id="c1", effect="deny", provenance={"to": [{"from": "outsider", "enough": False}]})
edited = ApprovalAnswered(call_id="c1", approved=True, arguments={"expression": "3+2"})
text_only = says("5").model_copy(update={"tokens": Tokens(level="text")})


@pytest.mark.parametrize(
    ("events", "why"),
    [
        ((started(split="held_out"), *RIGHT[1:]), "its task is held out"),
        ((*RIGHT, edited), "a person changed the arguments of call c1"),
        ((*RIGHT[:3], steered, *RIGHT[3:]), "a text of others steered a call in it"),
        ((RIGHT[0].model_copy(update={"secret": True}), *RIGHT[1:]), "a secret was typed in it"),
        ((*RIGHT, MessageAdded(text="?", secret=True)), "a secret was typed in it"),
        ((*RIGHT[:2], calls("2+3", context(1), forced(3)), *RIGHT[3:5], says("5", context(5)), *RIGHT[6:]), "no token"),
        ((*RIGHT[:5], text_only, *RIGHT[6:]), "the tokens of step 2 were not recorded exactly"),
        ((started(), RunFinished(outcome="failed"), scored(0.0)), "no token of it was drawn by the model and recorded"),
    ],
)
@pytest.mark.parametrize("form", [tokens, *REPLAYED])
def test_what_must_not_be_trained_on_is_refused_with_the_reason(form, events, why):
    with pytest.raises(Skip, match=why):
        list(form.lines(run(*events)))


@pytest.mark.parametrize(
    ("events", "why"),
    [
        ((RunStarted(prompt="?", model="m"), *RIGHT[1:]), "it is not an attempt of a group"),
        (RIGHT[:-1], "it was not scored"),
        ((*RIGHT, scored(None)), "it was not scored"),
        ((*RIGHT[:1], asked(1, 0.7), *RIGHT[2:]), "it was drawn at temperature 0.7"),
        ((*RIGHT[:4], asked(2, top_p=0.9), *RIGHT[5:]), "it was drawn at top_p 0.9"),
        ((*RIGHT[:6], RunFinished(outcome="model_error"), scored(0.0)), "it ended in model_error, which is no doing"),
        ((*RIGHT[:4], fork, *RIGHT[4:]), "it is a fork"),
        (
            (*RIGHT[:2], calls("2+3", context(1), drawn(3, 4, logprobs=(-0.1, None))), *RIGHT[3:]),
            "tokens that it drew have no log-probability",
        ),
    ],
)
@pytest.mark.parametrize("form", REPLAYED)
def test_what_cannot_be_replayed_is_refused_with_the_reason(form, events, why):
    with pytest.raises(Skip, match=why):
        list(form.lines(run(*events)))


@pytest.mark.parametrize("form", [messages, dpo, kto])
@pytest.mark.parametrize("at", ["held out", "steered", "edited", "secret"])
def test_texts_of_what_must_not_be_trained_on_are_refused_too(form, at):
    events = {
        "held out": (started(split="held_out"), *RIGHT[1:]),
        "steered": (*RIGHT[:3], steered, *RIGHT[3:]),
        "edited": (*RIGHT, edited),
        "secret": (*RIGHT, MessageAdded(text="?", secret=True)),
    }
    with pytest.raises(Skip):
        list(form.lines(run(*events[at])))


def test_a_forced_token_is_masked_in_every_format_and_refused_where_there_is_no_mask():
    masks = [
        json.loads(next(verl.lines(run(*RIGHT))))["response_mask"],
        json.loads(next(openenv.lines(run(*RIGHT))))["turns"][1]["loss_mask"],
        json.loads(next(verifiers.lines(run(*RIGHT))))["traces"][0]["nodes"][-1]["mask"],
    ]
    assert masks == [[1, 1, 0, 0, 1, 0], [0, 0, 0, 0, 0, 0, 1, 0], [False, False, True, False]]
    with pytest.raises(Skip, match="a token in it was forced"):
        list(art.lines(run(*RIGHT)))


def test_the_newest_reward_counts_and_without_one_the_mean_of_the_checks():
    assert reward(run(scored(0.0), scored(1.0))) == 1
    assert reward(run(scored(0.0, "a"), scored(1.0, "b"), scored(1.0, "a"))) == 1
    assert reward(run(scored(None, "a"), scored(0.5, "b"))) == 0.5
    assert reward(run(scored(None, "a"))) is None


def attempt(score: float, *events: StoredEvent, index: int) -> list[Stored]:
    last = RunFinished(outcome="answered")
    return run(started(index), *events, last, scored(score), run_id=f"r{index}")


def group() -> list[list[Stored]]:
    good = calls("2+3", context(1), drawn(3))
    return [
        attempt(1, good, result("5"), says("5", drawn(7)), index=0),
        attempt(0, good, result("5"), says("6", drawn(8)), index=1),
        attempt(0, calls("2*3", context(1), drawn(4)), result("6"), says("6", drawn(8)), index=2),
        attempt(0, good, result("five"), says("6", drawn(8)), index=3),
        attempt(0, good, result("5"), says("6", drawn(8)), index=4),
    ]


def turn(text: str = "", expression: str = "") -> dict[str, object]:
    call = {"id": "c1", "type": "function", "function": {"name": "calc", "arguments": {"expression": expression}}}
    return {"role": "assistant", "content": text} | ({"tool_calls": [call]} if expression else {})


ASKED = {"role": "user", "content": "2+3?"}
TOLD = {"role": "tool", "name": "calc", "tool_call_id": "c1", "content": "5"}


def test_a_right_and_a_wrong_run_are_compared_in_the_turn_in_which_they_part():
    found = list(pairs(line for each in group() for line in dpo.lines(each)))
    assert found == [
        Pair([ASKED, turn(expression="2+3"), TOLD], turn("5"), turn("6"), "[]"),
        Pair([ASKED], turn(expression="2+3"), turn(expression="2*3"), "[]"),
    ]


def test_pairs_are_rows_for_dpo_and_turns_for_kto():
    for form, expected in ((dpo, 2), (kto, 4)):
        written = rows(form.gathered(line for each in group() for line in form.lines(each)))
        assert len(written) == expected

    assert written[1] == {
        "prompt": [ASKED, turn(expression="2+3"), TOLD],
        "completion": [turn("6")],
        "label": False,
        "tools": "[]",
    }
