from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeyman.errors import UsageError
from journeyman.traces.find import find, search
from journeyman.traces.query import Filter
from journeyman.traces.store import Store
from tests.traces.runs import WHOLE, answer, exact, record, scored, span, started, step

TRAINABLE = exact(span("context", 1), span("sampled", 2, logprobs=(-0.5,)), root=True)


@pytest.fixture
async def runs(store: Store) -> Store:
    await record(store, *WHOLE, scored(1.0), run_id="boats")
    denied = step(status="denied", effect="deny", result="denied: the harbour is closed")
    await record(store, started("Close the harbour 100%"), *denied, *answer(text="No.", denied=1), run_id="harbour")
    await record(store, started("Say hi", model="local:tiny"), *answer(1, "hi", TRAINABLE), scored(0.0), run_id="hi")
    await record(store, started("Still thinking"), run_id="open")
    parent_seq = 7
    await record(store, started(parent="boats", parent_seq=parent_seq), *answer(2, "Nine ships"), run_id="fork")
    return store


FOUND = {
    "": {"boats", "harbour", "hi", "open", "fork"},
    "reward>0.5": {"boats"},
    "reward == 0": {"hi"},
    "reward:none": {"harbour", "open", "fork"},
    "reward!=none": {"boats", "hi"},
    "-reward>0.5": {"harbour", "hi", "open", "fork"},
    "reward.exact>=1": {"boats"},
    "reward.judge>=0": set(),
    "denied>0": {"harbour"},
    "steps<2 steps>0": {"hi"},
    "calls:1 -denied:1": {"boats"},
    "errors>0": {"harbour"},
    "tokens>=28": {"boats", "harbour", "hi", "fork"},
    "cost>0.3": {"boats", "harbour"},
    "seconds<=1.5": {"boats", "harbour", "hi", "fork"},
    "tool:python": {"boats", "harbour"},
    "tool:add": {"boats", "harbour"},
    "tool:PYTHON.a*": {"boats", "harbour"},
    "tool:calculator": set(),
    "effect:deny": {"harbour"},
    "status:ok": {"boats"},
    "verifier:ex*": {"boats", "hi"},
    "model:local*": {"hi"},
    "model:smollm*": {"boats", "harbour", "hi", "fork"},
    "outcome:answered is:trainable": {"hi"},
    "is:unfinished": {"open"},
    "is:fork parent:boats": {"fork"},
    "is:scored": {"boats", "hi"},
    "run:ha": {"harbour"},
    "parent:*": {"fork"},
    "-outcome:*": {"open"},
    "tool:*": {"boats", "harbour"},
    "batch:*": set(),
    'prompt:"how many"': {"boats", "fork"},
    "prompt:100%": {"harbour"},
    "prompt:a_b": set(),
    "answer:hi": {"hi", "fork"},
    "boats": {"boats"},
    '"many boats"': {"boats"},
    '"boats many"': set(),
    "harb*": {"harbour"},
    "closed tool:add": {"harbour"},
    "boats -three": set(),
    "ships": {"fork"},
    "since:1h": {"boats", "harbour", "hi", "open", "fork"},
    "until:2020-01-01": set(),
}


async def test_a_filter_finds_what_it_says(runs: Store) -> None:
    assert {words: {run.run_id for run in find(runs, words)} for words in FOUND} == FOUND


@pytest.mark.parametrize(
    ("words", "at", "why", "fix"),
    [
        ("ok rewad>1", 3, "no field 'rewad'", "did you mean 'reward'?"),
        ("http://x", 0, "no field 'http'", '"http://x"'),
        ("steps>many", 0, "'many' is no number", "steps>0.5"),
        ("tool>3", 0, "tool is no number", "tool:3"),
        ("since:soon", 0, "'soon' is no time", "since:2d"),
        ("a is:good", 2, "no is:good", "unfinished, fork"),
        ('a "b', 2, "stands alone", "pairs"),
        ("*", 0, "nothing is asked for", "Say a word"),
        ("boat reward>", 5, "half a condition", "reward>0.5"),
        ("<3", 0, "half a condition", "quote"),
        ('batch:""', 0, "nothing is asked for", "Say a word"),
        ('"" x', 0, "nothing is asked for", "Say a word"),
    ],
)
def test_a_filter_that_makes_no_sense_is_pointed_at(words: str, at: int, why: str, fix: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        Filter(words)

    assert str(caught.value).splitlines()[1:] == [f"  {words}", f"  {' ' * at}^"]
    assert fix in caught.value.fix


@given(st.text(alphabet=st.sampled_from("abc\"-:<>=!.* 01%_\\isrewd'()"), max_size=30))
def test_any_text_is_a_filter_or_a_usage_error(words: str) -> None:
    with suppress(UsageError):
        assert Filter(words).where("sqlite") is not None


STRANGE = ['"a AND NEAR(b"', "'; DROP TABLE event; --", "(", "a*b", '"x:y"', "\\", "'x*", "ß\u0301"]


async def test_words_are_never_a_language_of_the_database(runs: Store) -> None:
    assert [find(runs, words) for words in STRANGE] == [[]] * len(STRANGE)
    assert len(find(runs)) == 5


async def test_a_search_shows_where_it_was_said(runs: Store) -> None:
    hits = search(runs, "closed")

    assert [(hit.run.run_id, hit.type, hit.text) for hit in hits] == [
        ("harbour", "call_finished", "denied: the harbour is closed")
    ]


async def test_the_newest_come_first_and_no_more_than_asked_for(runs: Store) -> None:
    assert [run.run_id for run in find(runs, "outcome:answered", limit=2)] == ["fork", "hi"]
    assert len(find(runs, "boats", limit=1)) == 1
