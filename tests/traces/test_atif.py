import json

import pytest
from atif import FinalMetrics, Trajectory
from inline_snapshot import snapshot

from journeyman.traces.export import Skip
from journeyman.traces.export.atif import lines
from journeyman.traces.messages import Text, Tokens, TokenSpan
from journeyman.traces.writer import Stored
from tests.traces.trips import BEGUN, FORK, RESUMED, UNFINISHED, WHOLE, said, stored


def read(run: list[Stored]) -> Trajectory:
    """As another's models of the format read it; they refuse what they do not know."""
    [line] = lines(run)
    return Trajectory.model_validate_json(line)


@pytest.mark.parametrize("run", [WHOLE, RESUMED, FORK, UNFINISHED])
def test_wherever_a_run_stops_it_is_a_trajectory_and_nothing_is_lost_in_reading(run: list[Stored]) -> None:
    for end in range(1, len(run) + 1):
        [line] = lines(run[:end])
        again = Trajectory.model_validate_json(line).model_dump(mode="json", exclude_unset=True)
        assert again == json.loads(line)


def test_a_model_call_is_a_step_with_its_calls_and_what_came_of_them() -> None:
    assert read(WHOLE).steps[2].model_dump(exclude_none=True, exclude={"metrics"}) == snapshot(
        {
            "step_id": 3,
            "timestamp": "2026-11-18T11:06:42+00:00",
            "source": "agent",
            "model_name": "openai:gpt-5",
            "message": "I look.",
            "reasoning_content": "Which files?",
            "tool_calls": [
                {
                    "tool_call_id": "c1",
                    "function_name": "files__read",
                    "arguments": {"path": "boats.txt"},
                    "extra": {
                        "effect": "ask",
                        "rules": ["r.read"],
                        "reason": "outside",
                        "approved": True,
                        "by": "user",
                        "effective_arguments": {"path": "boats.md"},
                    },
                },
                {
                    "tool_call_id": "c1_2",
                    "function_name": "files__delete",
                    "arguments": {"path": "/"},
                    "extra": {"effect": "deny", "rules": ["fs.no-delete"], "reason": "nothing is deleted here"},
                },
                {
                    "tool_call_id": "c1_3",
                    "function_name": "add",
                    "arguments": {},
                    "extra": {"written": "{oops", "problem": "the arguments are no JSON"},
                },
            ],
            "observation": {
                "results": [
                    {"source_call_id": "c1", "content": "two boats", "extra": {"status": "ok", "seconds": 0.5}},
                    {
                        "source_call_id": "c1_2",
                        "content": "denied: nothing is deleted here",
                        "extra": {"status": "denied", "seconds": 0.5},
                    },
                    {
                        "source_call_id": "c1_3",
                        "content": "error: the arguments are no JSON",
                        "extra": {"status": "error", "seconds": 0.5},
                    },
                ]
            },
            "extra": {"finish": "stop", "hidden_reasoning": [""]},
            "llm_call_count": 1,
        }
    )


def test_tokens_are_those_that_were_read_and_written() -> None:
    more = Tokens(
        level="tokens",
        logprob_kind="raw",
        spans=(
            TokenSpan(kind="context", ids=(6,)),
            TokenSpan(kind="forced", ids=(7,)),
            TokenSpan(kind="sampled", ids=(8,), logprobs=(-0.125,)),
        ),
    )
    first, second = (
        step.metrics
        for step in read(stored("r", [*BEGUN, *said(2, Text(text="."), tokens=more)])).steps
        if step.metrics
    )

    assert first.model_dump(exclude_none=True) == snapshot(
        {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "cached_tokens": 4,
            "cost_usd": 0.25,
            "prompt_token_ids": [1, 2, 3],
            "completion_token_ids": [4, 5],
            "logprobs": [-0.5, -0.25],
            "extra": {"reasoning_tokens": 2, "seconds": 1.0, "sampled": [True, True], "logprob_kind": "raw"},
        }
    )
    assert (second.prompt_token_ids, second.completion_token_ids, second.logprobs) == ([1, 2, 3, 4, 5, 6], [7, 8], None)
    assert second.extra == snapshot(
        {
            "reasoning_tokens": 2,
            "seconds": 1.0,
            "sampled": [False, True],
            "logprob_kind": "raw",
            "logprobs": [None, -0.125],
        }
    )


def test_what_came_of_it_is_extra() -> None:
    trajectory = read(WHOLE)

    assert trajectory.extra == snapshot(
        {
            "outcome": "answered",
            "error": None,
            "scores": [
                {"verifier": "exact", "score": 1.0, "status": "ok", "evidence": {"found": 2}},
                {"verifier": "judge", "score": None, "status": "error", "evidence": None},
            ],
        }
    )
    assert trajectory.final_metrics == snapshot(
        FinalMetrics(
            total_prompt_tokens=30, total_completion_tokens=10, total_cached_tokens=8, total_cost_usd=0.5, total_steps=4
        )
    )


def test_what_a_fork_shares_is_marked_as_copied() -> None:
    trajectory = read(FORK)

    assert [step.is_copied_context for step in trajectory.steps] == [True, True, True, None, None]
    assert (trajectory.session_id, trajectory.extra and trajectory.extra["parent"]) == ("the-fork", "the-run")


def test_what_was_not_said_by_the_user_says_so_and_an_unfinished_run_has_no_outcome() -> None:
    assert [(step.source, step.model_name) for step in read(RESUMED).steps] == snapshot(
        [("user", None), ("agent", "local:/m/Qwen.gguf"), ("user", None)]
    )
    assert (read(UNFINISHED).extra or {})["outcome"] is None


def test_a_run_without_a_beginning_is_left_out() -> None:
    with pytest.raises(Skip):
        list(lines(WHOLE[1:]))
