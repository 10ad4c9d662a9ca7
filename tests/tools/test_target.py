from dataclasses import replace

import pytest

from journeyman.errors import ConfigError
from journeyman.tools.target import Command, Confined, Url, check_name, target


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("uvx mcp-server-time", Command("time", ("uvx", "mcp-server-time"))),
        (
            "uvx mcp-server-time --local-timezone UTC",
            Command("time", ("uvx", "mcp-server-time", "--local-timezone", "UTC")),
        ),
        (
            "npx -y @modelcontextprotocol/server-everything@1.2",
            Command("everything", ("npx", "-y", "@modelcontextprotocol/server-everything@1.2")),
        ),
        ("python 'my server.py'", Command("my_server", ("python", "my server.py"))),
        ("weather", Command("weather", ("weather",))),
        ("https://mcp.example.com/mcp", Url("mcp_example_com", "https://mcp.example.com/mcp")),
        ("http://127.0.0.1:8000/mcp", Url("127_0_0_1", "http://127.0.0.1:8000/mcp")),
    ],
)
def test_a_text_names_a_command_or_a_url(text, expected):
    if isinstance(expected, Command):
        expected = replace(expected, sandbox=Confined())

    assert target(text) == expected


def test_a_name_given_wins():
    assert target("uvx mcp-server-time", "clock").name == "clock"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", None),
        ("'open", None),
        ("uvx x", "files"),
        ("uvx x", "a__b"),
        ("uvx x", "a.b"),
        ("uvx x", "a" * 33),
        ("uvx x", "_a"),
    ],
)
def test_what_will_not_do_is_refused_with_a_fix(text, name):
    with pytest.raises(ConfigError) as caught:
        target(text, name)

    assert caught.value.fix


def test_names_that_can_be_told_apart_will_do():
    assert [check_name(name) for name in ("time", "my-wiki", "a_b", "X2")] == ["time", "my-wiki", "a_b", "X2"]


def test_a_program_named_by_a_path_lies_in_its_own_working_folder(tmp_path, monkeypatch):
    ours, its = tmp_path / "ours", tmp_path / "its"
    for folder in (ours, its):
        folder.mkdir()
        (folder / "serve").touch(0o755)

    (ours / "alone").touch(0o755)
    monkeypatch.chdir(ours)
    assert Command("x", ("./serve",), cwd=its).program == its / "serve"
    assert Command("x", ("./alone",), cwd=its).program is None
    assert Command("x", ("./alone",)).program == ours / "alone"
    assert Command("x", ("serve",), {"PATH": str(its)}, ours).program == its / "serve"
