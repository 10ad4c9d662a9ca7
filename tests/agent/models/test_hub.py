"""A model hub of our own on loopback: redirects, ranges and checksums as the real one has them."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from journeyman.agent.models.hub import HubFile, pull_file
from journeyman.agent.models.llama import LlamaModel
from journeyman.agent.models.spec import make_model
from journeyman.errors import ModelError, ModelNotFound
from journeyman.home import lock

NAME = "someone/tiny-gguf/tiny.gguf"
ASKED = []
"""Path, range and authorization of each request that the hub has seen."""
CONTENT = b"GGUF" + bytes(range(256)) * 1000


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Hub(BaseHTTPRequestHandler):
    digest = hashlib.sha256(CONTENT).hexdigest()
    stops_after = len(CONTENT)

    def do_GET(self):
        ASKED.append((self.path, self.headers.get("Range"), self.headers.get("Authorization")))
        if self.path == f"/someone/tiny-gguf/resolve/main/{NAME.rpartition('/')[2]}":
            self.send_response(302)
            self.send_header("Location", "/blob")
            self.send_header("X-Linked-ETag", f'"{self.digest}"')
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.path == "/blob":
            self._send()
        else:
            self.send_error(404)

    def _send(self):
        start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        if start >= len(CONTENT):
            self.send_error(416)
            return

        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start : self.stops_after])

    def log_message(self, format, *args):  # noqa: A002 - its name there
        pass


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setenv("JOURNEYMAN_HOME", str(tmp_path))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)

    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        ASKED.clear()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


async def test_a_file_is_fetched_once_and_then_a_model(hub):
    shown = []

    path = await pull_file(NAME, lambda done, total: shown.append((done, total)))
    again = await pull_file(NAME)

    assert path.read_bytes() == CONTENT
    assert again == path
    assert shown[-1] == (len(CONTENT), len(CONTENT))
    assert len(ASKED) == 2
    assert isinstance(make_model(f"hf:{NAME}"), LlamaModel)


async def test_a_broken_download_goes_on_where_it_stopped(hub, monkeypatch):
    monkeypatch.setattr(Hub, "stops_after", 100_000)
    with pytest.raises(ModelError, match="cannot be fetched") as caught:
        await pull_file(NAME)

    monkeypatch.setattr(Hub, "stops_after", len(CONTENT))
    path = await pull_file(NAME)

    assert "goes on where it stopped" in caught.value.fix
    assert path.read_bytes() == CONTENT
    assert ASKED[-1][1] == "bytes=100000-"


@pytest.mark.parametrize("part", [b"an older file", b"an older file, and longer" + CONTENT])
async def test_without_a_checksum_nothing_is_added_to_an_old_part(hub, monkeypatch, part):
    monkeypatch.setattr(Hub, "digest", "")
    local = HubFile.parse(NAME).local
    local.parent.mkdir(parents=True)
    local.with_name(local.name + ".part").write_bytes(part)

    assert (await pull_file(NAME)).read_bytes() == CONTENT


async def test_a_part_that_is_whole_is_kept(hub):
    local = HubFile.parse(NAME).local
    local.parent.mkdir(parents=True)
    local.with_name(local.name + ".part").write_bytes(CONTENT)

    assert (await pull_file(NAME)).read_bytes() == CONTENT
    assert [path for path, range_, _ in ASKED if not range_] == []


async def test_damaged_bytes_are_not_kept(hub, monkeypatch):
    monkeypatch.setattr(Hub, "digest", "0" * 64)

    with pytest.raises(ModelError, match="arrived damaged"):
        await pull_file(NAME)

    assert list(HubFile.parse(NAME).local.parent.iterdir()) == []


async def test_a_file_that_the_hub_lacks_is_not_found(hub):
    with pytest.raises(ModelNotFound, match=r"has no 'other\.gguf'"):
        await pull_file("someone/tiny-gguf/other.gguf")


async def test_a_name_with_marks_of_addresses_is_asked_for_whole(hub):
    with pytest.raises(ModelNotFound):
        await pull_file("someone/tiny-gguf/a#b?c.gguf")

    assert ASKED[0][0] == "/someone/tiny-gguf/resolve/main/a%23b%3Fc.gguf"


async def test_a_token_is_sent_to_the_hub_that_was_named(hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")

    await pull_file(NAME)

    assert ASKED[0][2] == "Bearer hf_secret"


@pytest.mark.parametrize("name", ["tiny.gguf", "a/b", "a//b", "a/b/../../c.gguf", ""])
def test_a_name_that_is_no_file_of_a_hub_is_refused(name):
    with pytest.raises(ModelNotFound, match="no file of a model hub"):
        HubFile.parse(name)


def test_a_model_that_was_not_pulled_is_not_fetched_unasked(tmp_path, monkeypatch):
    monkeypatch.setenv("JOURNEYMAN_HOME", str(tmp_path))

    with pytest.raises(ModelNotFound, match="not on this machine") as caught:
        make_model(f"hf:{NAME}")

    assert caught.value.fix == f"journeyman models pull hf:{NAME}"


async def test_a_file_that_another_process_fetches_is_left_to_it(hub):
    local = HubFile.parse(NAME).local
    local.parent.mkdir(parents=True)
    part = local.with_name(local.name + ".part")
    with part.open("wb") as other:
        other.write(CONTENT[:1000])
        other.flush()
        assert lock(other.fileno())
        with pytest.raises(ModelError, match="is being fetched by another process"):
            await pull_file(NAME)

    assert part.read_bytes() == CONTENT[:1000]
    assert (await pull_file(NAME)).read_bytes() == CONTENT
