import json
from hashlib import sha256
from importlib.util import find_spec

import pytest

from journeyman.agent.models.starter import ADAPTER
from journeyman.training.card import save
from journeyman.training.coldstart import main
from tests.need import need


@pytest.mark.skipif(find_spec("torch") is not None, reason="PyTorch is installed")
def test_without_the_extra_it_says_what_to_install(tmp_path, capsys):
    need("local")
    assert main(["--out", str(tmp_path / "out")]) == 3
    assert capsys.readouterr().err.endswith(
        "is not installed\nuv run --extra train python -m journeyman.training.coldstart\n"
    )
    assert not (tmp_path / "out").exists()


def test_a_card_lies_beside_the_adapter_and_names_its_hash(tmp_path):
    adapter = tmp_path / "adapter.gguf"
    adapter.write_bytes(b"GGUF")
    save({"rounds": []}, adapter)
    card = json.loads((tmp_path / "adapter.json").read_text("utf-8"))
    assert card == {"rounds": [], "adapter_sha256": sha256(b"GGUF").hexdigest()}


def test_the_shipped_adapter_is_the_one_its_card_describes():
    card = json.loads(ADAPTER.with_suffix(".json").read_text("utf-8"))
    data = ADAPTER.read_bytes()
    assert card["adapter_sha256"] == sha256(data).hexdigest()
    assert len(data) <= 8_000_000
