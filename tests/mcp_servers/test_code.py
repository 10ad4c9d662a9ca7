"""The code server's further parts, through a client: a shell, pictures and files that were made."""

import socket
from pathlib import Path
from threading import Thread

import pytest
from mcp import Client
from mcp_types import BlobResourceContents, ImageContent, ResourceLink, TextContent, TextResourceContents

from journeyman.mcp_servers import build
from tests.need import need

PICTURE = """
class Picture:
    def _repr_png_(self):
        return b"\\x89PNG"

Picture()
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_files_that_code_made_are_linked_once_and_can_be_read(tmp_path: Path) -> None:
    need("native")
    async with Client(build("code", tmp_path, sandbox="native", full=True)) as client:
        made = await client.call_tool(
            "python", {"code": "open('a b.txt', 'w').write('hi'); open('c.bin', 'wb').write(b'\\xff')"}
        )
        links = [block for block in made.content if isinstance(block, ResourceLink)]
        assert [(link.name, str(link.uri), link.mime_type) for link in links] == [
            ("a b.txt", "artefact:///a%20b.txt", "text/plain"),
            ("c.bin", "artefact:///c.bin", "application/octet-stream"),
        ]
        (text,) = (await client.read_resource(str(links[0].uri))).contents
        assert isinstance(text, TextResourceContents)
        assert text.text == "hi"
        (blob,) = (await client.read_resource(str(links[1].uri))).contents
        assert isinstance(blob, BlobResourceContents)
        assert blob.blob == "/w=="
        again = await client.call_tool("shell", {"command": "cat 'a b.txt'; echo more >> 'a b.txt'"})
        assert [getattr(block, "text", None) or getattr(block, "name", None) for block in again.content] == [
            "hi",
            "a b.txt",
        ]


async def test_a_shell_command_that_fails_says_so_with_what_it_wrote(tmp_path: Path) -> None:
    need("native")
    async with Client(build("code", tmp_path, sandbox="native", full=True)) as client:
        result = await client.call_tool("shell", {"command": "echo before; exit 3"})
        (content,) = result.content
        assert isinstance(content, TextContent)
        assert result.is_error
        assert content.text.startswith("before\n")
        assert "3" in content.text


async def test_a_picture_that_code_shows_is_shown(tmp_path: Path) -> None:
    need("native")
    async with Client(build("code", tmp_path, sandbox="native", full=True)) as client:
        result = await client.call_tool("python", {"code": PICTURE})
        (picture,) = [block for block in result.content if isinstance(block, ImageContent)]
        assert (picture.mime_type, picture.data) == ("image/png", "iVBORw==")


async def test_a_sandbox_without_files_or_programs_says_so(tmp_path: Path) -> None:
    async with Client(build("code", tmp_path, sandbox="monty", full=True)) as client:
        assert (await client.call_tool("python", {"code": "6 * 7"})).content == [TextContent(type="text", text="42")]
        assert (await client.call_tool("shell", {"command": "ls"})).is_error


async def test_what_was_decided_about_connections_is_in_the_result(tmp_path: Path) -> None:
    need("native")
    code = """
import urllib.request
for host in ("127.0.0.1:{port}", "example.org"):
    try:
        print(urllib.request.urlopen(f"http://{{host}}/", timeout=5).read())
    except OSError as error:
        print(type(error).__name__)
"""
    with socket.create_server(("127.0.0.1", 0)) as site:
        port = site.getsockname()[1]
        Thread(target=_answer_once, args=(site,), daemon=True).start()
        async with Client(build("code", tmp_path, sandbox="native", hosts=(f"127.0.0.1:{port}",))) as client:
            (content,) = (await client.call_tool("python", {"code": code.format(port=port)})).content

    assert isinstance(content, TextContent)
    assert content.text.splitlines() == [
        "b'here'",
        "HTTPError",
        f"[connection to 127.0.0.1:{port} at 127.0.0.1]",
        "[no connection to example.org:80: it is not on the list of hosts that may be reached]",
    ]


def _answer_once(site: socket.socket) -> None:
    visitor, _ = site.accept()
    with visitor:
        visitor.recv(4096)
        visitor.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nhere")
