import io
import json
import os
import signal
import subprocess
import sys
import tarfile
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import anyio
import pytest

from journeyman.errors import SandboxError
from journeyman.sandbox import image
from journeyman.sandbox.container import LABEL, Demux
from journeyman.sandbox.docker import Docker, GVisor
from journeyman.sandbox.sandbox import Limits, Spec
from tests.need import need


@pytest.fixture(scope="module", params=["asyncio"])
def anyio_backend(request):
    return request.param


@pytest.fixture(scope="module")
async def docker():
    await anyio.to_thread.run_sync(need, "docker")
    return Docker()


@pytest.fixture(scope="module")
async def box(docker):
    sandbox = await docker.open(Spec(seed=1))
    yield sandbox
    await sandbox.close()


async def test_what_is_promised_was_tried(docker):
    probe = await docker.probe()
    assert (probe.backend, probe.level, probe.fix) == ("docker", 3, "")
    assert all(probe.guarantees.values())
    assert {"no_network", "no_privileges", "memory_all", "inodes"} < set(probe.guarantees)


async def test_variables_files_and_commands_share_one_container(box):
    assert (await box.run_python("x = 6; open('a.txt', 'w').write('cell')")).value == "4"
    assert (await box.exec(["sh", "-c", "cat a.txt; id -u"])).stdout == "cell64000\n"
    await box.write("b/c.txt", b"host")
    assert (await box.run_python("open('b/c.txt').read() * 2, x * 7")).value == "('hosthost', 42)"
    assert await box.read("a.txt") == b"cell"
    assert await box.artefacts() == ["a.txt", "b/c.txt"]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("1 / 0", "error"),
        ("while True: pass", "timeout"),
        ("x = bytearray(10**10)", "oom"),
        ("print('x' * 10**9)", "oom"),
        ("for _ in range(10**4): print('x' * 10**5)", "output_limit"),
        ("import os; os._exit(1)", "crashed"),
    ],
)
async def test_whatever_a_cell_does_is_a_result_and_the_next_one_runs(box, code, status):
    assert (await box.run_python(code, timeout=2 if status == "timeout" else 30)).status == status
    assert (await box.run_python("'alive'")).value == "'alive'"


async def test_a_warm_container_is_taken_once_and_replaced(docker):
    spec = Spec(limits=Limits(output_kb=1))
    await docker.prewarm(spec, 1)
    waiting = [container.id for container in docker.warm(spec)]
    box = await docker.open(spec)
    try:
        assert (await box.exec(["hostname"])).stdout or waiting
        with anyio.fail_after(50):
            while not docker.warm(spec):  # noqa: ASYNC110 - a thread makes it
                await anyio.sleep(0.01)

        assert [container.id for container in docker.warm(spec)] != waiting
    finally:
        await box.close()
        await docker.cool(spec)


async def test_no_container_outlives_a_caller_that_is_killed(docker):
    code = """
import anyio
from journeyman.sandbox.docker import Docker
from journeyman.sandbox.sandbox import Spec
async def main():
    box = await Docker().open(Spec())
    print("open", flush=True)
    await anyio.sleep(60)
anyio.run(main)
"""
    async with await anyio.open_process([sys.executable, "-c", code], stdout=subprocess.PIPE) as caller:
        assert caller.stdout
        assert (await caller.stdout.receive()).startswith(b"open")
        assert len(_containers(docker, caller.pid)) == 1
        os.kill(caller.pid, signal.SIGKILL)

    with anyio.fail_after(50):
        while _containers(docker, caller.pid):  # noqa: ASYNC110 - the daemon ends it
            await anyio.sleep(0.05)


def _containers(docker, pid):
    return docker.client().api.containers(all=True, filters={"label": f"{LABEL}={pid}"})


async def test_a_workspace_begins_with_a_copy_of_a_folder(docker, tmp_path):
    (tmp_path / "data.txt").write_text("given", "utf-8")
    box = await docker.open(Spec(workspace=tmp_path))
    try:
        assert (await box.run_python("open('data.txt').read()")).value == "'given'"
        assert (await box.run_python("open('data.txt', 'w').write('changed')")).status == "ok"
        assert await box.artefacts() == ["data.txt"]
    finally:
        await box.close()

    assert (tmp_path / "data.txt").read_text("utf-8") == "given"


async def test_what_is_closed_says_so(docker):
    box = await docker.open(Spec())
    await box.close()
    await box.close()
    with pytest.raises(SandboxError, match="closed"):
        await box.run_python("1")


@pytest.mark.parametrize("backend", ["docker", "gvisor"])
def test_without_a_daemon_the_error_says_how_to_get_one(backend, tmp_path):
    pytest.importorskip("docker")
    command = [sys.executable, "-m", "journeyman", "sandbox", "attack", "--json", "--backend", backend]
    environment = {**os.environ, "DOCKER_HOST": f"unix://{tmp_path}/nobody.sock", "JOURNEYMAN_HOME": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, check=False, timeout=50)
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["kind"], error["fix"]) == (8, "sandbox", "sudo systemctl start docker")
    assert error["message"].startswith("no Docker daemon answers: ")


async def test_more_isolation_than_a_shared_kernel_gives_is_refused(docker):
    with pytest.raises(SandboxError, match="isolation level 3, level 4"):
        await docker.open(Spec(min_isolation=4))


async def test_gvisor_answers_with_a_kernel_of_its_own():
    await anyio.to_thread.run_sync(need, "gvisor")
    gvisor = GVisor()
    assert (await gvisor.probe()).guarantees["own_kernel"]
    box = await gvisor.open(Spec(min_isolation=4))
    try:
        assert (await box.run_python("import os; os.uname().version")).value != repr(os.uname().version)
    finally:
        await box.close()


def test_the_image_holds_a_python_and_nothing_of_its_user():
    with tarfile.open(fileobj=io.BytesIO(image.build())) as archive:
        names = {member.name: member for member in archive.getmembers()}

    assert {"usr/bin/python3", "usr/bin/sh", "work", "tmp"} <= names.keys()
    assert not [name for name in names if "site-packages" in name or name.startswith("home/")]
    assert names["work"].mode == 0o1777
    assert all(member.uid == 0 for member in names.values())


def test_another_list_of_packages_is_another_image():
    assert image.tag(("anyio",)) != image.tag()
    with pytest.raises(SandboxError, match="nothing_of_the_kind cannot be preloaded"):
        image.tag(("nothing_of_the_kind",))


def test_what_docker_sends_is_taken_apart_however_it_is_cut():
    data = b"\1\0\0\0\0\0\0\3abc" + b"\2\0\0\0\0\0\0\4oops" + b"\1\0\0\0\0\0\0\2de"
    for size in (1, 3, 8, 100):
        demux = Demux()
        out = b"".join(demux.feed(data[at : at + size]) for at in range(0, len(data), size))
        assert (out, demux.stderr) == (b"abcde", b"oops")


FETCH = """
import urllib.request
def fetch(url):
    try:
        return urllib.request.urlopen(url, timeout=5).read().decode()
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read().decode().strip()}"
"""


async def test_only_allowed_hosts_are_reached_and_every_decision_is_told(docker, site):
    box = await docker.open(Spec(allow_hosts=(site,)))
    try:
        result = await box.run_python(
            f"{FETCH}\nfetch('http://{site}/'), fetch('http://169.254.169.254/'), fetch('http://x.test/')"
        )
        assert result.value
        assert result.value.startswith(
            "('from the site', '403 no connection to 169.254.169.254:80: it is not on the list"
        )
        assert [(each.host, each.allowed) for each in result.connections] == [
            ("127.0.0.1", True),
            ("169.254.169.254", False),
            ("x.test", False),
        ]
        assert result.denials[1].startswith("no connection to x.test:80: ")
        directly = "import socket; socket.create_connection(('192.0.2.1', 80), 1)"
        assert "unreachable" in (await box.run_python(directly)).error
        assert (await box.exec(["sh", "-c", "ls /run; echo $http_proxy"])).stdout == "http://127.0.0.1:3128\n"
    finally:
        await box.close()


@pytest.fixture
def site():
    """The address of a web server on this machine."""
    server = HTTPServer(("127.0.0.1", 0), Site)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


class Site(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"from the site")

    def log_message(self, format, *args):  # noqa: A002 - the base class's word
        pass


async def test_gvisor_lets_nothing_out():
    await anyio.to_thread.run_sync(need, "gvisor")
    with pytest.raises(SandboxError, match="gvisor lets nothing out"):
        await GVisor().open(Spec(allow_hosts=("example.org",)))


async def test_a_warm_container_that_died_meanwhile_is_not_handed_over(docker):
    spec = Spec(limits=Limits(output_kb=2))
    await docker.prewarm(spec, 1)
    docker.client().api.kill(docker.warm(spec)[0].id)
    box = await docker.open(spec)
    try:
        assert (await box.run_python("'alive'")).value == "'alive'"
    finally:
        await box.close()
        await docker.cool(spec)


async def test_a_folder_that_is_too_large_for_the_workspace_is_refused(docker, tmp_path):
    (tmp_path / "data").write_bytes(b"x" * 2_000_000)
    with pytest.raises(SandboxError, match=r"cannot begin with .* holds more than 1048576 bytes"):
        await docker.open(Spec(workspace=tmp_path, limits=Limits(disk_mb=1)))


async def test_a_daemon_that_goes_away_is_a_result_and_then_an_error(docker):
    box = await docker.open(Spec())
    docker.client().api.kill(box.line._container.id)
    assert (await box.run_python("1")).status == "lost"
    with pytest.raises(SandboxError, match="the sandbox ended"):
        await box.run_python("1")

    await box.close()
