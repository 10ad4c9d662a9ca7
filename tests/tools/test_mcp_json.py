import json
import os
from pathlib import Path

import pytest

from journeyman.errors import ConfigError
from journeyman.home import config_dir, is_trusted, trust
from journeyman.tools.mcp_json import (
    Entry,
    add,
    entries,
    load,
    project_file,
    read,
    remove,
    servers,
    targets,
    user_file,
)
from journeyman.tools.target import Command, Confined, Url


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("JOURNEYMAN_HOME", str(tmp_path / "home"))
    config_dir().mkdir(parents=True)
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def write(path, **entries):
    path.write_text(json.dumps({"mcpServers": entries}), "utf-8")


def problem(function, *arguments) -> tuple[str, str]:
    with pytest.raises(ConfigError) as caught:
        function(*arguments)

    return str(caught.value), caught.value.fix


TIME = {"command": "uvx", "args": ["mcp-server-time"]}


def test_the_user_s_servers_are_targets(project, monkeypatch):
    monkeypatch.setenv("TOKEN", "t")
    write(
        user_file(),
        time={**TIME, "env": {"TZ": "${ZONE:-UTC}"}, "cwd": "x"},
        wiki={"type": "http", "url": "https://w/mcp", "headers": {"Authorization": "Bearer ${TOKEN}"}},
        off={"command": "x", "disabled": True},
    )
    assert servers(project) == (
        (
            Command("time", ("uvx", "mcp-server-time"), {"TZ": "UTC"}, config_dir() / "x", Confined()),
            Url("wiki", "https://w/mcp", {"Authorization": "Bearer t"}),
        ),
        (),
    )


def test_what_a_command_may_do_in_the_sandbox_is_said_by_its_entry(project, monkeypatch):
    monkeypatch.setenv("NOTES", "/notes")
    write(
        user_file(),
        more={**TIME, "sandbox": {"read": ["${NOTES}", "~"], "write": ["here"], "hosts": ["example.org"]}},
        out={**TIME, "sandbox": "off"},
    )
    assert [each.sandbox for each in servers(project).targets if isinstance(each, Command)] == [
        Confined((Path("/notes"), Path.home()), (config_dir() / "here",), ("example.org",)),
        None,
    ]
    assert [str(each) for each in load(user_file()).values()] == [
        "uvx mcp-server-time [read=${NOTES},~ write=here hosts=example.org]",
        "uvx mcp-server-time [sandbox=off]",
    ]
    for wrong in ({"net": True}, {"hosts": ["http://x/"]}, "on"):
        write(user_file(), time={**TIME, "sandbox": wrong})
        with pytest.raises(ConfigError):
            servers(project)


def test_without_files_there_are_none(project):
    assert servers(project) == ((), ())


def test_a_project_s_servers_are_not_started_before_it_is_trusted(project):
    path = project_file(project)
    write(path, evil={"command": "rm", "args": ["-rf", "\x1b[2J"]})
    assert servers(project) == (
        (),
        (f"{path} is not trusted, so its servers are not started: evil (rm -rf ⟪U+001B⟫[2J)",),
    )
    trust(path, path.read_bytes())
    assert servers(project) == ((Command("evil", ("rm", "-rf", "\x1b[2J"), cwd=project, sandbox=Confined()),), ())
    write(path, evil={"command": "worse"})
    assert servers(project).targets == ()


def test_a_file_that_the_caller_names_is_trusted(project):
    write(project_file(project), time=TIME, off={"command": "x", "disabled": True})
    assert targets(project_file(project)) == (
        Command("time", ("uvx", "mcp-server-time"), cwd=project, sandbox=Confined()),
    )
    assert "does not exist" in problem(targets, project / "none.json")[0]


def test_a_broken_file_that_is_not_trusted_stops_nothing(project):
    project_file(project).write_text("{", "utf-8")
    found = servers(project)
    assert found.targets == ()
    assert "is not trusted and not read" in found.notices[0]


def test_a_project_s_file_that_is_no_plain_file_is_not_read(project):
    path = project_file(project)
    path.symlink_to("/dev/zero")
    assert servers(project) == ((), (f"the project's servers are not started: {path} is a link",))
    path.unlink()
    os.mkfifo(path)
    assert servers(project).notices == (f"the project's servers are not started: {path} is not a regular file",)
    path.unlink()
    path.write_text(" " * 2_000_000)
    assert servers(project).notices == (f"the project's servers are not started: {path} has more than 1,048,576 bytes",)


def test_a_link_does_not_share_the_trust_of_what_it_points_to(project, tmp_path):
    write(project_file(project), time=TIME)
    trust(project_file(project), project_file(project).read_bytes())
    clone = tmp_path / "clone"
    clone.mkdir()
    project_file(clone).symlink_to(project_file(project))
    assert servers(clone).targets == ()


def test_only_the_bytes_that_were_judged_are_used(project):
    path = project_file(project)
    write(path, time=TIME)
    data = path.read_bytes()
    trust(path, data)
    write(path, time={"command": "rm"})
    assert not is_trusted(path, read(path))
    assert entries(data, path) == {"time": Entry.model_validate(TIME)}


def test_a_file_the_user_has_not_trusted_is_not_trusted_by_adding_to_it(project):
    path = project_file(project)
    assert add(path, "one", Entry(command="x"))
    assert len(servers(project).targets) == 1
    write(path, evil={"command": "rm"})
    assert not add(path, "two", Entry(command="x"))
    assert servers(project).targets == ()


def test_the_user_s_server_wins_over_a_project_s_namesake(project):
    write(user_file(), time=TIME)
    write(project_file(project), time={"command": "other"})
    trust(project_file(project), project_file(project).read_bytes())
    found = servers(project)
    assert found.targets == (Command("time", ("uvx", "mcp-server-time"), sandbox=Confined()),)
    assert found.notices == (f"{project_file(project)}: time is left out: the user's own server has that name",)


def test_adding_and_removing_keeps_everything_else(project):
    path = user_file()
    path.write_text(
        '{"inputs": [1], "mcpServers": {"b": {"command": "x", "timeout": 3}, "a": {"url": "http://a"}}, "z": null}',
        "utf-8",
    )
    add(path, "time", Entry(command="uvx", args=["mcp-server-time"]))
    remove(path, "a")
    assert path.read_text("utf-8") == (
        """\
{
  "inputs": [
    1
  ],
  "mcpServers": {
    "b": {
      "command": "x",
      "timeout": 3
    },
    "time": {
      "command": "uvx",
      "args": [
        "mcp-server-time"
      ]
    }
  },
  "z": null
}
"""
    )
    assert list(load(path)) == ["b", "time"]
    assert [each.name for each in path.parent.iterdir()] == ["mcp.json"]


def test_the_first_server_makes_the_file(project):
    add(project / "new" / ".mcp.json", "time", Entry(url="http://t"))
    assert load(project / "new" / ".mcp.json") == {"time": Entry(url="http://t")}


def test_what_cannot_be_added_or_removed_is_told(project):
    path = user_file()
    add(path, "time", Entry(command="x"))
    assert problem(add, path, "time", Entry(command="y")) == (
        f"{path} has a server 'time' already",
        "remove it first: journeyman mcp remove time",
    )
    assert problem(add, path, "files", Entry(command="y"))[0] == "the server name 'files' is journeyman's own"
    assert problem(remove, path, "tmie") == (f"{path} has no server 'tmie'", "it has time; journeyman mcp list")


def test_looking_for_a_server_to_remove_makes_no_folder(tmp_path):
    told = problem(remove, tmp_path / "none" / "mcp.json", "time")

    assert told == (f"{tmp_path}/none/mcp.json has no server 'time'", "it has none; journeyman mcp list")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[]", " is not a JSON object"),
        ('{"mcpServers": []}', ": mcpServers is not an object"),
        ('{"mcpServers": {"a": {}}}', ": mcpServers.a: a server has either a command or a url"),
        (
            '{"mcpServers": {"a": {"command": "x", "url": "http://x"}}}',
            ": mcpServers.a: a server has either a command or a url",
        ),
        ('{"mcpServers": {"a": {"command": "x", "args": "y"}}}', ": mcpServers.a.args: Input should be a valid list"),
        ('{"mcpServers": {"a": {"url": "ftp://x"}}}', ": mcpServers.a.url: String should match pattern '^https?://'"),
        ('{"mcpServers": {"a": {"command": "x"}, "a": {"command": "y"}}}', " is not valid JSON: 'a' is there twice"),
        ('{"mcpServers": {"code": {"command": "x"}}}', "the server name 'code' is journeyman's own"),
        (
            '{"mcpServers": {"a": {"command": "${NO_SUCH_VARIABLE}"}}}',
            ": mcpServers.a needs the environment variable NO_SUCH_VARIABLE, which is not set",
        ),
        (
            '{"mcpServers": {"a": {"command": "x", "env": {"\\u001b[2J": 3}}}}',
            ": mcpServers.a.env.⟪U+001B⟫[2J: Input should be a valid string",
        ),
        ("{,", " is not valid JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
    ],
)
def test_mistakes_in_a_file_are_told_with_their_place(project, text, expected):
    user_file().write_text(text, "utf-8")
    message, fix = problem(servers, project)
    assert (message.removeprefix(str(user_file())), bool(fix)) == (expected, True)


def test_a_file_that_cannot_be_written_is_an_error_with_a_fix(project):
    (project / "file").write_text("", "utf-8")
    message, fix = problem(add, project / "file" / ".mcp.json", "a", Entry(command="x"))
    assert ("cannot write" in message or "cannot read" in message, bool(fix)) == (True, True)


def test_the_user_s_file_that_is_a_link_is_written_where_it_leads(project, tmp_path):
    kept = tmp_path / "dotfiles.json"
    write(kept, a=TIME)
    kept.chmod(0o600)
    user_file().symlink_to(kept)
    add(user_file(), "b", Entry(command="y"))
    assert (list(load(kept)), kept.stat().st_mode & 0o777, user_file().is_symlink()) == (["a", "b"], 0o600, True)
