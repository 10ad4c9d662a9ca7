import json

import pytest

from journeyman.agent.models.found import find_files, find_spec
from journeyman.agent.models.kept import find_kept, in_use, keep, kept, rollback, use
from journeyman.agent.models.llama import LlamaModel
from journeyman.agent.models.spec import make_model
from journeyman.errors import BadModelFile, ModelNotFound, UsageError
from journeyman.home import data_dir


@pytest.fixture
def base(tmp_path, monkeypatch):
    monkeypatch.setenv("JOURNEYMAN_HOME", str(tmp_path / "home"))
    base = tmp_path / "base.gguf"
    base.write_bytes(b"GGUF" + bytes(2000))
    (tmp_path / "a.gguf").write_bytes(b"GGUF" + b"a" * 2000)
    return base


def test_a_kept_adapter_is_a_model_by_its_name(base):
    assert keep("mine", base, base.with_name("a.gguf"), {"tasks": "t.toml"}) == "local:mine"
    model = make_model("local:mine")
    assert isinstance(model, LlamaModel)
    assert (model.spec, model.files.model, model.files.adapters[0].read_bytes()) == (
        "local:mine",
        base,
        base.with_name("a.gguf").read_bytes(),
    )
    assert [card["name"] for card in kept()] == ["mine"]


def test_a_name_is_taken_once(base):
    keep("mine", base, base.with_name("a.gguf"), {})
    with pytest.raises(UsageError, match="There is a model 'mine' already"):
        keep("mine", base, base.with_name("a.gguf"), {})


def test_what_breaks_off_leaves_nothing_and_the_name_free(base):
    with pytest.raises(TypeError):
        keep("mine", base, base.with_name("a.gguf"), {"tasks": object()})

    assert (kept(), find_kept("mine")) == ([], None)
    assert keep("mine", base, base.with_name("a.gguf"), {}) == "local:mine"
    assert [path.name for path in (data_dir() / "models").iterdir()] == ["kept"]


@pytest.mark.parametrize("name", ["starter", "../up", "a/b", "", "x.gguf"])
def test_a_name_cannot_be_another_form_of_a_spec(base, name):
    with pytest.raises(UsageError, match="is no name for a model"):
        keep(name, base, base.with_name("a.gguf"), {})


def test_a_changed_or_missing_base_is_refused(base):
    keep("mine", base, base.with_name("a.gguf"), {})
    base.write_bytes(b"GGUF" + b"x" * 3000)
    with pytest.raises(BadModelFile, match="is not the model that 'mine' was trained on"):
        find_kept("mine")

    base.unlink()
    with pytest.raises(ModelNotFound, match="is gone"):
        find_kept("mine")


async def test_what_is_in_use_is_taken_where_no_model_is_named_until_it_is_taken_back(base):
    use("local:one")
    use("local:two")
    assert await find_spec(()) == "local:two"
    assert rollback() == "local:one"
    assert rollback() is None
    assert await find_spec(()) == "local:starter"
    with pytest.raises(UsageError, match="No model was chosen"):
        rollback()


def test_a_damaged_list_chooses_nothing(base, tmp_path):
    use("local:one")
    path = tmp_path / "home" / "data" / "models" / "kept" / "in-use.json"
    path.write_text(json.dumps({"one": 1}), encoding="utf-8")
    assert in_use() is None


def test_a_file_that_is_still_on_its_way_is_no_model_yet(base):
    for name in ("mine.gguf", ".pull-x/wheel/starter.gguf"):
        path = data_dir() / "models" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"GGUF")

    assert find_files() == [data_dir() / "models" / "mine.gguf"]
