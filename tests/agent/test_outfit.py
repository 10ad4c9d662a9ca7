"""What settings and flags come to."""

import threading

import pytest

from journeyman.agent.models.scripted import ScriptedModel
from journeyman.agent.outfit import Rules, outfit
from journeyman.config import Settings, load_settings
from journeyman.errors import ConfigError, PolicyError
from journeyman.policies.policy import Policy
from journeyman.traces.events import RunStarted
from journeyman.traces.messages import ToolSpec

PYTHON = ToolSpec(name="code__python", server="code", tool="python")
WRITE = ToolSpec(name="files__write", server="files", tool="write")


@pytest.fixture
def settings(tmp_path, monkeypatch) -> Settings:
    monkeypatch.setenv("JOURNEYMAN_HOME", str(tmp_path / "home"))
    script = tmp_path / "script.json"
    script.write_text('["done"]')
    return load_settings(root=tmp_path, model=f"scripted:{script}")


async def policy_of(settings: Settings, rules: Rules, notices: list[str]) -> Policy:
    runtime = await outfit(settings, rules, notices)
    runtime.store.close()
    return runtime.policy


async def test_code_that_may_reach_hosts_is_judged_as_something_that_sends(settings):
    alone = await policy_of(settings, Rules(), [])
    reaching = await policy_of(settings.model_copy(update={"sandbox_hosts": ("example.org",)}), Rules(), [])
    assert (alone.label_of(PYTHON).sends, reaching.label_of(PYTHON).sends) == (False, True)
    with pytest.raises(ConfigError, match="'http://x' is no host that can be allowed"):
        await outfit(settings.model_copy(update={"sandbox_hosts": ("http://x",)}), Rules(), [])


async def test_a_scope_is_all_that_a_run_may_act_with_once_it_has_read_a_text_of_others(settings):
    policy = await policy_of(settings, Rules(allow=["files.write"], scope=["mail.send"]), [])
    watch = policy.watch()
    assert watch.decide(WRITE, {"path": "a", "content": ""}).effect == "allow"
    watch.apply(RunStarted(prompt="words of others", origin="model", model="m"))
    assert watch.decide(WRITE, {"path": "a", "content": ""}).rules == ("builtin:scope",)
    with pytest.raises(PolicyError, match="scope mail__send: scope: 'mail__send' is how a model writes it"):
        await outfit(settings, Rules(scope=["mail__send"]), [])


async def test_a_project_s_policy_that_is_not_trusted_is_said(settings, tmp_path):
    (tmp_path / "journeyman.policy.toml").write_text('allow = ["files.write"]\n')
    notices: list[str] = []
    policy = await policy_of(settings, Rules(), notices)
    assert policy.decide(WRITE, {"path": "a", "content": ""}).effect == "ask"
    (notice,) = notices
    assert notice.startswith(f"{tmp_path / 'journeyman.policy.toml'} is not trusted: its rules can only tighten.")
    assert notice.endswith("journeyman config trust")


async def test_what_was_opened_is_closed_again_where_something_else_will_not_do(settings):
    made, closed = [], []

    class Heard(ScriptedModel):
        async def close(self) -> None:
            closed.append(self)

    def make(_spec, _engine):
        made.append(Heard(["done"]))
        return made[-1]

    before = set(threading.enumerate())
    unreadable = settings.model_copy(update={"secrets": ("file:/not/there",)})
    with pytest.raises(ConfigError, match=r"secrets: /not/there cannot be read"):
        await outfit(unreadable, Rules(), [], make=make)

    assert (len(made), closed) == (1, made)
    assert set(threading.enumerate()) <= before  # the store's too has ended
