import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from journeyman.agent.models.chat import ChatModel
from journeyman.agent.models.engine import Engine
from journeyman.agent.models.found import find_spec
from journeyman.agent.models.llama import LlamaModel
from journeyman.agent.models.remote import RemoteModel
from journeyman.agent.models.scripted import ScriptedModel
from journeyman.agent.models.spec import FORMS, make_model
from journeyman.agent.outfit import Rules, outfit
from journeyman.config import load_settings
from journeyman.errors import KeyRefused, ModelNotFound


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ("starter", "Did you mean 'local:starter'?"),
        ("models/tiny.gguf", "Did you mean 'local:models/tiny.gguf'?"),
        ("answers.json", "Did you mean 'scripted:answers.json'?"),
        ("opnai:gpt", "Did you mean 'openai:gpt'?"),
        ("models/answers.jsonl", "Did you mean 'scripted:models/answers.jsonl'?"),
        ("local:", ""),
        ("nonsense", ""),
    ],
)
def test_an_unknown_spec_lists_the_forms(spec, hint):
    with pytest.raises(ModelNotFound, match="is no model spec") as caught:
        make_model(spec)

    assert hint in str(caught.value)
    assert all(form in caught.value.fix for form in FORMS)


def test_a_script_is_read(tmp_path):
    path = tmp_path / "script.json"
    path.write_text('["Hello."]', encoding="utf-8")

    model = make_model(f"scripted:{path}")

    assert isinstance(model, ScriptedModel)
    assert model.spec == f"scripted:{path}"


def test_a_file_with_an_adapter_is_a_local_model(tmp_path):
    model = make_model(f"local:{tmp_path}/m.gguf+{tmp_path}/a.gguf", Engine(threads=1))

    assert isinstance(model, LlamaModel)
    assert model.files.model == tmp_path / "m.gguf"
    assert model.files.adapter == tmp_path / "a.gguf"


def test_a_name_that_is_no_file_is_not_a_local_model():
    for spec, hint in (("local:stater", " Did you mean 'local:starter'?"), ("local:answers.json", "")):
        with pytest.raises(ModelNotFound) as caught:
            make_model(spec)

        assert str(caught.value) == f"{spec.removeprefix('local:')!r} is no local model.{hint}"


def test_a_model_names_its_files_for_every_folder(tmp_path, monkeypatch):
    (tmp_path / "a.json").write_text('["Hello."]', encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    specs = [make_model(f"local:{each}").spec for each in ("m.gguf", "m.gguf+a.gguf", "c++/m.gguf+c++/a.gguf")]

    here = str(tmp_path)
    assert specs == [
        f"local:{here}/m.gguf", f"local:{here}/m.gguf+{here}/a.gguf", f"local:{here}/c++/m.gguf+{here}/c++/a.gguf"
    ]  # fmt: skip
    assert make_model("scripted:a.json").spec == f"scripted:{here}/a.json"
    assert all(make_model(spec).spec == spec for spec in specs)


def test_a_server_elsewhere_is_remote_and_one_here_is_not():
    here, there = make_model("http://127.0.0.1:8080/v1#m"), make_model("https://models.example/v1#m")

    assert isinstance(here, ChatModel)
    assert (here.capabilities.remote, there.capabilities.remote) == (False, True)


@pytest.mark.parametrize("spec", ["http:///v1#m", "http://host:port/v1#m", "http://[::/v1"])
def test_a_bad_address_says_what_an_address_is(spec):
    with pytest.raises(ModelNotFound, match="no address of a server"):
        make_model(spec)


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_provider_needs_a_key_that_is_set_on_purpose(monkeypatch, provider):
    variable = f"{provider.upper()}_API_KEY"
    monkeypatch.delenv(variable, raising=False)

    with pytest.raises(KeyRefused, match=f"{variable} is not set") as caught:
        make_model(f"{provider}:best")

    assert "local:starter" in caught.value.fix


async def test_a_key_in_the_environment_is_mentioned_and_never_used(tmp_path, monkeypatch):
    monkeypatch.setenv("JOURNEYMAN_HOME", str(tmp_path))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    monkeypatch.delenv("JOURNEYMAN_MODEL", raising=False)
    unasked, asked = [], []

    runtime = await outfit(load_settings(root=tmp_path), Rules(), unasked)
    await outfit(load_settings(root=tmp_path, model="openai:gpt-5.1"), Rules(), asked)

    assert not isinstance(runtime.model, RemoteModel) or not runtime.model.capabilities.remote
    assert unasked == ["OPENAI_API_KEY is set and not used; --model openai:NAME uses it"]
    assert asked == []


@contextmanager
def served(answer):
    """A server on a free port of this machine that gives the same answer to every request."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format, *args):  # noqa: A002 - its name there
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def listing(*names):
    return json.dumps({"object": "list", "data": [{"id": name} for name in names]}).encode()


async def test_the_first_server_that_answers_is_found():
    with (
        served(listing("nomic-embed", "qwen3")) as second,
        served(b"<html>") as first,
        served(listing("other")) as third,
    ):
        assert await find_spec((1, first, second, third)) == f"http://127.0.0.1:{second}/v1#qwen3"


@pytest.mark.parametrize(
    "answer", [b"<html>", b"[" * 100_000, b"[]", b"{}", b'{"data": "x"}', b'{"data": [{}, 1]}', listing("embed")]
)
async def test_what_is_no_model_server_is_passed_by(answer):
    with served(answer) as port:
        assert await find_spec((port,)) == "local:starter"


async def test_a_key_in_the_environment_is_never_a_reason(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")

    assert await find_spec((1,)) == "local:starter"
