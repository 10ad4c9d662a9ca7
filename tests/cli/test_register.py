import json


def test_a_server_is_tried_shown_registered_looked_after_and_taken_out(journeyman):
    home = {"HOME": str(journeyman.home), "XDG_CONFIG_HOME": ""}
    path = journeyman.home / ".cursor/mcp.json"
    path.parent.mkdir(parents=True)
    before = '{\n  "mcpServers": {\n    "time": {"command": "uvx", "args": ["mcp-server-time"]}\n  }\n}\n'
    path.write_text(before)
    words = ("mcp", "register", "--client", "cursor", "calculator")
    shown = journeyman(*words, "--dry-run", **home)
    assert (shown.code, "+ mcpServers.journeyman-calculator: " in shown.out, path.read_text()) == (0, True, before)
    done = journeyman(*words, **home)
    assert (done.code, done.out) == (0, shown.out)
    assert done.err.splitlines()[0].startswith("calculator: ")
    entry = json.loads(path.read_text())["mcpServers"]["journeyman-calculator"]
    assert entry["args"][-2:] == ["--root", str(journeyman.folder)]
    assert journeyman(*words, **home).out == f"Cursor: nothing to change in {path}\n"
    (row,) = journeyman("mcp", "doctor", "--client", "cursor", "--json", **home).json
    assert (row["server"], row["ok"]) == ("journeyman-calculator", True)
    path.write_text(path.read_text().replace(json.dumps(entry["command"]), '"/gone/python"'))
    broken = journeyman("mcp", "doctor", "--client", "cursor", **home)
    assert (broken.code, "cannot be started" in broken.out) == (1, True)
    taken = journeyman("mcp", "unregister", "--client", "cursor", **home)
    assert (taken.code, path.read_text()) == (0, before)


def test_servers_of_other_programs_are_taken_only_with_consent(journeyman):
    home = {"HOME": str(journeyman.home), "XDG_CONFIG_HOME": ""}
    path = journeyman.home / ".codex/config.toml"
    path.parent.mkdir(parents=True)
    path.write_text('[mcp_servers.time]\ncommand = "uvx"\nargs = ["mcp-server-time"]\nenv = { ZONE = "s3cret" }\n')
    shown = journeyman("mcp", "import", **home)
    first, second = shown.out.splitlines()
    assert (shown.code, first) == (0, "time, of Codex: uvx mcp-server-time (with ZONE)")
    assert second.startswith("  in the sandbox: reads ")
    assert "time" not in journeyman("mcp", "list", **home).out
    taken = journeyman("mcp", "import", "--yes", "time", **home)
    mine = journeyman.home / "config/mcp.json"
    assert taken.out.endswith(f"added time to {mine}\n")
    assert json.loads(mine.read_text())["mcpServers"]["time"]["env"] == {"ZONE": "s3cret"}
    assert journeyman("mcp", "import", "wiki", **home).code == 2


def test_what_cannot_be_registered_says_what_to_do(journeyman):
    home = {"HOME": str(journeyman.home)}
    for words, code, told in (
        (("--client", "goose", "--project"), 2, "goose has no file for a project"),
        (("--client", "zed", "--root", "gone"), 2, "gone is not a folder"),
        (("--client", "emacs"), 2, "'emacs' is not one of"),
    ):
        done = journeyman("mcp", "register", *words, **home)
        assert (done.code, told in done.err) == (code, True)
