import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from journeyman.config import load_settings
from journeyman.errors import ConfigError, UsageError
from journeyman.home import cache_dir, config_dir, data_dir, is_trusted, replace_text, state_dir, trust
from journeyman.tomlfile import line_of


@pytest.fixture
def project(tmp_path, monkeypatch):
    for name in ("MODEL", "STEPS", "STORE", "THREADS", "POLICY", "SECONDS", "TOKENS", "USD", "ROOT", "DURABLE"):
        monkeypatch.delenv(f"JOURNEYMAN_{name}", raising=False)

    home, folder = tmp_path / "home", tmp_path / "project"
    (home / "config").mkdir(parents=True)
    folder.mkdir()
    monkeypatch.setenv("JOURNEYMAN_HOME", str(home))
    monkeypatch.chdir(folder)
    return folder


def user_file(text: str) -> Path:
    path = config_dir() / "config.toml"
    path.write_text(text, "utf-8")
    return path


def problem(**explicit) -> tuple[str, str]:
    with pytest.raises(UsageError if explicit else ConfigError) as caught:
        load_settings(**explicit)

    return str(caught.value), caught.value.fix


def test_without_any_source_the_defaults_stand(project):
    settings = load_settings(model=None)
    assert settings.model_dump() == {
        "model": None,
        "store": data_dir() / "runs.db",
        "policy": "ask",
        "root": project,
        "steps": 40,
        "tokens": 200_000,
        "seconds": 600.0,
        "usd": None,
        "think": "auto",
        "effort": None,
        "context": None,
        "compact_at": 0.75,
        "sandbox": "auto",
        "sandbox_hosts": (),
        "threads": None,
        "programs": False,
        "web": None,
        "secrets": (),
        "durable": "process",
        "otel_endpoint": None,
    }
    assert (settings.origin("steps"), settings.notices) == ("default", ())


def test_each_source_overrules_the_one_below_and_says_so(project, monkeypatch):
    user = user_file('# mine\nmodel = "local:starter"\nsteps = 30\n\ntokens = 9\nseconds = 5\n')
    (project / "journeyman.toml").write_text("tokens = 8\nseconds = 4\n", "utf-8")
    monkeypatch.setenv("JOURNEYMAN_SECONDS", "3.5")
    monkeypatch.setenv("JOURNEYMAN_USD", "2")
    settings = load_settings(usd=1.0)
    assert {
        name: (getattr(settings, name), settings.origin(name))
        for name in ("model", "steps", "tokens", "seconds", "usd")
    } == {
        "model": ("local:starter", f"{user}:2"),
        "steps": (30, f"{user}:3"),
        "tokens": (8, f"{project}/journeyman.toml:1"),
        "seconds": (3.5, "environment JOURNEYMAN_SECONDS"),
        "usd": (1.0, "--usd"),
    }


@pytest.mark.parametrize(("text", "think"), [('"off"', "off"), ('"on"', "on"), ("2000", 2000)])
def test_thinking_is_a_word_or_a_number_of_tokens(project, monkeypatch, text, think):
    (config_dir() / "config.toml").write_text(f"think = {text}\n", "utf-8")
    assert load_settings().think == think

    monkeypatch.setenv("JOURNEYMAN_THINK", text.strip('"'))
    assert load_settings().think == think


@pytest.mark.parametrize("think", ["much", 0, True])
def test_no_other_thinking_is_taken(project, think):
    with pytest.raises(UsageError, match="--think") as caught:
        load_settings(think=think)

    assert caught.value.fix


def test_a_project_that_is_not_trusted_does_not_tell_a_model_how_much_to_think(project):
    (project / "journeyman.toml").write_text('think = 90000\neffort = "max"\n', "utf-8")

    settings = load_settings()

    assert (settings.think, settings.effort) == ("auto", None)
    assert len(settings.notices) == 2


def test_a_project_that_is_not_trusted_may_only_lower_budgets(project):
    path = project / "journeyman.toml"
    path.write_text('model = "http://evil/v1#x"\nstore = "x.db"\nsteps = 5\ntokens = 900_000_000\nusd = 3\n', "utf-8")
    settings = load_settings()
    assert (settings.model, settings.steps, settings.tokens, settings.usd) == (None, 5, 200_000, 3.0)
    assert settings.notices == tuple(
        f"{path}:{line}: {name} is left out: the file is not trusted"
        for line, name in ((1, "model"), (2, "store"), (4, "tokens"))
    )
    trust(path, path.read_bytes())
    trusted = load_settings()
    assert (trusted.model, trusted.store, trusted.tokens, trusted.notices) == (
        "http://evil/v1#x",
        project / "x.db",
        900_000_000,
        (),
    )


def test_trust_is_in_the_bytes_that_were_seen(project):
    path = project / "journeyman.toml"
    assert not is_trusted(path, b"steps = 1")
    trust(path, b"steps = 1")
    assert is_trusted(path, b"steps = 1")
    assert not is_trusted(path, b"steps = 2")
    assert not is_trusted(project / "other.toml", b"steps = 1")


def test_a_project_s_file_that_is_a_link_or_no_file_is_refused(project, tmp_path):
    path = project / "journeyman.toml"
    (tmp_path / "elsewhere.toml").write_text("steps = 1", "utf-8")
    path.symlink_to(tmp_path / "elsewhere.toml")
    assert problem() == (f"{path} is a link", "put the file itself there")
    path.unlink()
    os.mkfifo(path)
    assert problem() == (f"{path} is not a regular file", "put the file itself there")


def test_a_damaged_book_of_trust_trusts_nothing(project):
    path = project / "journeyman.toml"
    path.write_text("steps = 1", "utf-8")
    trust(path, b"steps = 1")
    (state_dir() / "trusted.json").write_text("[", "utf-8")
    assert not is_trusted(path, b"steps = 1")


def test_trust_that_cannot_be_kept_is_an_error_with_a_fix(project):
    state_dir().parent.mkdir(exist_ok=True)
    state_dir().write_text("a file where a folder should be", "utf-8")
    with pytest.raises(ConfigError) as caught:
        trust(project / "journeyman.toml", b"")

    assert "JOURNEYMAN_HOME" in caught.value.fix


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\nmodle = 'x'", ("2: unknown key 'modle'", "did you mean 'model'?")),
        ("steps = 'many'", ("1: steps: Input should be a valid integer", "mend that value")),
        ("steps = true", ("1: steps: Input should be a valid integer", "mend that value")),
        ("steps = 0", ("1: steps: Input should be greater than or equal to 1", "mend that value")),
        ("seconds = nan", ("1: seconds: Input should be a finite number", "mend that value")),
        ("durable = 'ever'", ("1: durable: Input should be 'process' or 'power'", "mend that value")),
        (
            "steps = 1\nsteps = 2",
            (" is not valid TOML: Cannot overwrite a value (at end of document)", "mend that line"),
        ),
    ],
)
def test_a_mistake_in_a_file_is_told_with_its_line_and_a_near_match(project, text, expected):
    path = user_file(text)
    message, fix = problem()
    assert (message.removeprefix(str(path)).lstrip(":"), fix) == expected


def test_files_that_cannot_be_read_are_told_apart(project):
    path = config_dir() / "config.toml"
    path.mkdir()
    assert "is a folder" in problem()[0]
    path.rmdir()
    path.write_bytes(b"model = '\xff'")
    assert "not UTF-8" in problem()[0]


def test_a_mistake_in_the_environment_names_its_variable(project, monkeypatch):
    monkeypatch.setenv("JOURNEYMAN_STEPS", "many")
    assert problem() == snapshot(
        (
            "environment JOURNEYMAN_STEPS: Input should be a valid integer, unable to parse string as an integer",
            "mend or unset the variable",
        )
    )


def test_an_unknown_variable_is_a_notice_with_a_near_match(project, monkeypatch):
    monkeypatch.setenv("JOURNEYMAN_MODLE", "x")
    assert load_settings().notices == ("environment JOURNEYMAN_MODLE: no such setting; did you mean 'model'?",)


def test_a_mistake_in_an_argument_names_its_flag(project):
    assert problem(steps=0) == ("--steps: Input should be greater than or equal to 1", "mend that value")
    assert problem(stepz=1) == ("--stepz: unknown key 'stepz'", "did you mean 'steps'?")
    with pytest.raises(ConfigError, match="no setting 'stepz'"):
        load_settings().origin("stepz")


def test_paths_in_a_file_start_at_its_folder(project):
    user_file("store = 'traces/a.db'\npolicy = 'house.toml'")
    settings = load_settings()
    assert (settings.store, settings.policy) == (config_dir() / "traces/a.db", str(config_dir() / "house.toml"))


def test_the_project_s_file_is_the_one_in_the_root(project, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "journeyman.toml").write_text("steps = 3", "utf-8")
    assert load_settings(root=other).steps == 3


def test_everything_lies_under_journeyman_home(project, tmp_path):
    assert [data_dir(), config_dir(), cache_dir(), state_dir()] == [
        tmp_path / "home" / kind for kind in ("data", "config", "cache", "state")
    ]


TEXT = """\
name = "x"  # rule
[[rule]]
effect = "deny"
[[rule]]
effect = "allow"
where.path = { under = "src", "host" = "h" }
[rule.where.url]
max = 3
"""


@pytest.mark.parametrize(
    ("loc", "line"),
    [
        (("name",), 1),
        (("rule", 0, "effect"), 3),
        (("rule", 1, "effect"), 5),
        (("rule", 1, "where", "path", "host"), 6),
        (("rule", 1, "where", "url", "max"), 8),
        (("rule", 0, "missing"), 2),
        (("missing",), None),
    ],
)
def test_the_line_of_a_key_is_found(loc, line):
    assert line_of(TEXT, loc) == line


def test_a_store_may_be_a_database_wherever_it_is_named(project, monkeypatch):
    url = "postgresql://me:secret@db.example/runs"
    assert load_settings(store=url).store == url

    user_file(f"store = '{url}'")
    assert load_settings().store == url

    monkeypatch.setenv("JOURNEYMAN_STORE", "traces.db")
    assert load_settings().store == Path("traces.db")


def test_a_secret_that_is_not_there_to_hide_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THERE_TOKEN", "xB7c9Qm2LpT4")
    monkeypatch.delenv("GONE_TOKEN", raising=False)

    settings = load_settings(secrets=("env:GONE_TOKEN", "env:THERE_TOKEN"))

    assert settings.notices == ("secrets: GONE_TOKEN is not set in the environment, so nothing of it can be hidden",)


def test_a_file_that_is_written_anew_stays_as_private_as_it_was(tmp_path):
    path = tmp_path / "x.json"
    path.touch(0o600)
    replace_text(path, "new")
    assert (path.read_text("utf-8"), path.stat().st_mode & 0o777, list(tmp_path.iterdir())) == ("new", 0o600, [path])


def test_nothing_that_waits_where_a_file_is_prepared_is_written_through(tmp_path):
    precious, path = tmp_path / "precious", tmp_path / "x.json"
    precious.write_text("precious", "utf-8")
    (tmp_path / f".x.json.{os.getpid()}.tmp").symlink_to(precious)
    replace_text(path, "mine")
    assert (precious.read_text("utf-8"), path.read_text("utf-8"), path.is_symlink()) == ("precious", "mine", False)


def test_two_threads_may_write_one_file(tmp_path):
    path, texts = tmp_path / "x.json", ["1" * 9999, "2" * 9999]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda number: replace_text(path, texts[number % 2]), range(200)))

    assert path.read_text("utf-8") in texts
