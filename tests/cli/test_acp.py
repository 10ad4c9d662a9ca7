import json
import sys

import pytest

ZED = """{
  // mine
  "theme": "One Dark",
  "agent_servers": {
    "other": {"type": "custom", "command": "other"}, // theirs
  },
}
"""
COMMAND = {"command": sys.executable, "args": ["-m", "journeyman", "serve", "--acp"], "env": {}}


@pytest.fixture
def homes(tmp_path):
    return {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / ".config")}


def test_zed_gets_the_agent_and_keeps_all_else(journeyman, homes, tmp_path):
    path = tmp_path / ".config" / "zed" / "settings.json"
    path.parent.mkdir(parents=True)
    path.write_text(ZED)
    tried = journeyman("acp", "register", "--client", "zed", "--dry-run", **homes)
    assert "+ agent_servers.journeyman:" in tried.out
    assert path.read_text() == ZED
    assert journeyman("acp", "register", "--client", "zed", **homes).code == 0
    written = path.read_text()
    assert '"type": "custom"' in written
    assert all(line in written for line in ZED.splitlines()[:5])
    assert len(list(path.parent.glob("*.bak"))) == 1
    assert "nothing to change" in journeyman("acp", "register", "--client", "zed", **homes).out
    assert journeyman("acp", "unregister", "--client", "zed", **homes).code == 0
    assert "journeyman" not in path.read_text()


def test_jetbrains_gets_a_file_of_its_own(journeyman, homes, tmp_path):
    assert journeyman("acp", "register", "--client", "jetbrains", **homes).code == 0
    written = json.loads((tmp_path / ".jetbrains" / "acp.json").read_text())
    assert written == {"agent_servers": {"journeyman": COMMAND}}
