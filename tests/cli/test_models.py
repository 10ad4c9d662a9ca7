import pytest

from journeyman.agent.models.families import CHATML, MARKS
from journeyman.agent.models.starter import find_starter
from tests.agent.models.tiny import write_model
from tests.need import need


def test_the_starter_is_listed_with_where_it_lies(journeyman):
    need("local")
    files = find_starter()
    rows = journeyman("models", "list", "--json").json
    adapters = "".join(f" with {path}" for path in files.adapters)
    assert rows[-1] == {"model": "local:starter", "state": "here", "detail": f"{files.model}{adapters}"}
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


def test_files_that_were_pulled_are_listed(journeyman):
    path = journeyman.home / "data" / "models" / "o" / "n" / "m.gguf"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"GGUF" * 500_000)
    assert journeyman("models", "list", "--json").json[-1] == {
        "model": f"local:{path}",
        "state": "here",
        "detail": "2 MB",
    }


@pytest.fixture
def tiny(journeyman):
    need("local")
    return write_model(journeyman.folder / "tiny.gguf", [*MARKS[CHATML]], end=CHATML.end)


def test_a_bench_gives_every_figure(journeyman, tiny):
    (row,) = journeyman("models", "bench", f"local:{tiny}", "--threads", "1", "--json").json
    rates = ["prefill", "decode", "decode_logprobs", "one_by_one", "parallel", "one_by_one_logprobs"]
    assert row["device"] == "CPU"
    assert all(row[rate] > 0 for rate in [*rates, "parallel_logprobs", "gain", "gain_logprobs", "load"])


def test_a_probe_prints_what_was_tried(journeyman, tiny):
    words, json = (
        journeyman("models", "probe", f"local:{tiny}"),
        journeyman("models", "probe", f"local:{tiny}", "--json"),
    )
    assert (words.code, words.err) == (0, "")
    assert [line.split("  ")[0] for line in words.out.splitlines()] == [
        "answers", "window", "streaming", "usage", "token ids", "tools", "required calls", "structured output",
        "log-probabilities", "thinking", "prefix cache",
    ]  # fmt: skip
    assert [finding["what"] for finding in json.json["findings"]][:2] == ["answers", "window"]


def test_an_optimised_copy_is_named_as_a_model(journeyman, tiny):
    refused = journeyman("models", "optimise", f"local:{tiny}")
    assert (refused.code, "--force" in refused.err) == (2, True)
    done = journeyman("models", "optimise", f"local:{tiny}", "--force", "--json").json
    assert done["model"] == f"local:{journeyman.home}/data/models/tiny.Q8_0.gguf"
    assert done["before"].keys() == done["after"].keys() == {"read", "write"}


@pytest.mark.parametrize("command", ["bench", "optimise"])
def test_only_a_local_model_can_be_measured(journeyman, command):
    done = journeyman("models", command, "http://127.0.0.1:1/v1#x")
    assert (done.code, "is no local model" in done.err) == (2, True)


def test_a_model_that_is_not_there_is_not_taken_into_use(journeyman):
    done = journeyman("models", "use", "local:nowhere.gguf")
    assert (done.code, "nowhere.gguf" in done.err, "is in use" in done.err) == (4, True, False)
