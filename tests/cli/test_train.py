from importlib.util import find_spec

import pytest

from journeyman.errors import install
from tests.need import need
from tests.training.tiny import tiny_model


@pytest.mark.skipif(find_spec("trl") is not None, reason="TRL is installed")
@pytest.mark.parametrize("words", [("train", "sft"), ("train", "grpo"), ("improve", "--tasks", "starter")])
def test_without_the_extra_it_says_what_to_install(journeyman, words):
    done = journeyman(*words)
    assert (done.code, done.out) == (3, "")
    assert "What training needs is not installed here: torch, " in done.err
    assert install("journeyman[train]") in done.err


def test_what_would_be_learnt_is_counted_without_the_extra(journeyman):
    need("gguf")
    model = f"local:{tiny_model(journeyman.folder / 'tiny.gguf')}"
    (journeyman.folder / "says.json").write_text('["Hello."]', encoding="utf-8")
    assert journeyman("run", "Hi", "-m", "scripted:says.json").code == 0

    counted = journeyman("train", "sft", "-m", model, "--where", "", "--dry-run", "--json")
    assert (counted.code, counted.json["rows"], counted.json["taken"]) == (0, 1, {"of another model": 1})
    assert counted.json["targets"] > 0
    assert journeyman("train", "grpo", "-m", model, "--dry-run").out == "0 rows with 0 targets\n"


def test_what_was_never_chosen_cannot_be_taken_back(journeyman):
    assert journeyman("models", "use", "local:nothing").code == 4
    done = journeyman("models", "rollback")
    assert (done.code, done.err) == (
        2,
        "Error: No model was chosen that could be taken back.\n  Choose one: journeyman models use NAME\n",
    )


def test_the_model_in_use_is_listed_and_taken_back(journeyman):
    assert journeyman("models", "use", "local:starter").code == 0
    assert journeyman("models", "rollback").err == "No model is chosen: a local server's, else local:starter.\n"
