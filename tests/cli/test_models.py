import pytest

from journeyman.agent.models.starter import find_starter
from tests.need import need


def test_the_starter_is_listed_with_where_it_lies(journeyman):
    need("local")
    files = find_starter()
    rows = journeyman("models", "list", "--json").json
    assert rows[-1] == {
        "model": "local:starter",
        "state": "here",
        "detail": str(files.model),
        "adapter": str(files.adapter) if files.adapter else None,
    }
    words = journeyman("models", "list")
    assert f"here     {files.model}" in words.out
    assert "local:PATH.gguf[+ADAPTER.gguf]" in words.out


def test_pulling_what_is_here_fetches_nothing_and_says_where_it_is(journeyman):
    need("local")
    files = find_starter()
    words, json = journeyman("models", "pull", "starter"), journeyman("models", "pull", "--json", "starter")
    assert (words.code, words.out, words.err) == (0, f"{files.model}\n", "")
    assert json.json == {"name": "starter", "path": str(files.model), "bytes": 98_362_432}


@pytest.mark.parametrize("name", ["smollm", ""])
def test_a_model_that_cannot_be_pulled_is_told_which_can(journeyman, name):
    done = journeyman("models", "pull", name)
    assert (done.code, done.out) == (2, "")
    assert "starter" in done.err
