import json
from hashlib import sha256

from journeyman.agent.models.starter import ADAPTER


def test_the_shipped_adapter_is_the_one_its_card_describes():
    card = json.loads(ADAPTER.with_suffix(".json").read_text("utf-8"))
    data = ADAPTER.read_bytes()
    assert card["adapter_sha256"] == sha256(data).hexdigest()
    assert len(data) <= 8_000_000
