import ipaddress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import anyio
import httpx2
import pytest
from anyio.abc import SocketAttribute
from hypothesis import given
from hypothesis import strategies as st

from journeyman.errors import ConfigError, ToolError
from journeyman.sandbox.egress import Decision, Egress, special
from journeyman.sandbox.proxy import Proxy

PUBLIC = "93.184.215.14"


class Site(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/away":
            self._answer(302, b"", Location="http://169.254.169.254/latest/meta-data/")
        else:
            self._answer(200, f"{self.headers['Host']} {self.path}".encode())

    def do_POST(self):
        self._answer(200, self.rfile.read(int(self.headers["Content-Length"]))[::-1])

    def _answer(self, status, body, **headers):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)

        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):  # noqa: A002 - the base class's word
        pass


@pytest.fixture
def site():
    """A web server on this machine; its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def decisions():
    return []


@pytest.fixture
async def through(site, decisions):
    """A client whose only way out is the proxy."""
    proxy = Proxy(Egress([f"127.0.0.1:{site}", "localhost"], decisions.append))
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(proxy.serve, listener)
        port = listener.extra(SocketAttribute.local_port)  # noqa: S610 - no Django
        async with httpx2.AsyncClient(proxy=f"http://127.0.0.1:{port}", trust_env=False) as client:
            yield client

        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.255.0.9", "0.0.0.1", "10.1.2.3", "172.31.0.1", "192.168.1.1", "169.254.169.254",
        "168.63.129.16", "100.100.100.200", "192.0.0.192", "198.18.0.1", "224.0.0.1", "255.255.255.255", "192.88.99.1",
        "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:0:127.0.0.1", "fe80::1%eth0", "fd00:ec2::254",
        "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1", "2002:7f00:1::", "2001:0:7f00:1::", "2001:db8::1",
        "fec0::1", "5f00::1", "ff02::1",
    ],
)  # fmt: skip
def test_an_address_that_is_not_of_the_public_network_is_special(address):
    assert special(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", [PUBLIC, "64:ff9b::5db8:d70e", "::ffff:93.184.215.14", "2606:4700:4700::1111"])
def test_an_address_of_the_public_network_is_not(address):
    assert not special(ipaddress.ip_address(address))


@given(st.ip_addresses())
def test_what_python_calls_private_is_never_let_through(address):
    inner = getattr(address, "ipv4_mapped", None) or address
    assert special(address) or inner.is_global or inner in ipaddress.ip_network("64:ff9b::/96")


@pytest.mark.parametrize(
    "host", ["0x7f.1", "2130706433", "0177.0.0.1", "127.1", "localhost", "LOCALHOST.", "[::1]", "[::ffff:7f00:1]"]
)
async def test_no_spelling_of_an_address_leads_to_this_machine(host, decisions):
    with pytest.raises(ToolError, match=r"leads to .*, this machine"):
        await Egress(["*"], decisions.append).connect(host, 80)

    assert [(decision.host, decision.allowed, decision.address) for decision in decisions] == [(host, False, "")]


async def test_an_address_that_is_written_out_with_its_port_may_be_private(site):
    async with await Egress([f"127.0.0.1:{site}"]).connect("127.0.0.1", site) as stream:
        assert stream.extra(SocketAttribute.remote_port) == site  # noqa: S610 - no Django


@pytest.mark.parametrize("address", ["169.254.169.254", "168.63.129.16", "224.0.0.1", "fe80::1"])
async def test_some_addresses_may_not_even_then(address):
    with pytest.raises(ToolError, match="leads to"):
        await Egress([f"[{address}]:80" if ":" in address else f"{address}:80"]).connect(address, 80)


@pytest.mark.parametrize(
    ("entry", "host", "port"),
    [
        ("example.org", "example.org", 22),
        ("example.org", "www.example.org", 80),
        ("*.example.org", "example.org", 80),
        ("*.example.org", "notexample.org", 80),
        ("example.org:8443", "example.org", 443),
        ("example.org", "example.org.evil.test", 80),
    ],
)
async def test_a_host_that_is_not_on_the_list_is_refused_before_its_name_is_looked_up(entry, host, port):
    asked = []

    async def resolve(name, _):
        asked.append(name)
        return [PUBLIC]

    with pytest.raises(ToolError, match="not on the list"):
        await Egress([entry], resolve=resolve).connect(host, port)

    assert asked == []


@pytest.mark.parametrize("addresses", [["127.0.0.1"], [PUBLIC, "10.0.0.1"], ["::ffff:169.254.169.254"], []])
async def test_a_name_of_which_one_address_is_special_is_refused(addresses, decisions):
    async def resolve(*_):
        return addresses

    with pytest.raises(ToolError):
        await Egress(["example.org"], decisions.append, resolve).connect("example.org", 443)

    assert not decisions[0].allowed


async def test_the_connection_goes_to_the_address_that_was_judged_and_the_name_is_not_asked_again(site, decisions):
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])  # a name that changes between the check and the use

    async def resolve(*_):
        return next(answers)

    egress = Egress([f"127.0.0.1:{site}"], decisions.append, resolve)
    async with await egress.connect("127.0.0.1", site):
        pass

    with pytest.raises(ToolError, match="not on the list"):
        await egress.connect("rebound.test", site)

    assert decisions[0] == Decision(host="127.0.0.1", port=site, allowed=True, address="127.0.0.1")


@pytest.mark.parametrize(
    "entry", ["", "http://example.org", "example.org/x", "*.*.org", "a b", "example.org:0", "x:99999"]
)
def test_an_entry_that_names_no_host_is_refused(entry):
    with pytest.raises(ConfigError, match="no host that can be allowed"):
        Egress([entry])


async def test_an_allowed_request_goes_through_the_proxy_under_the_judged_name(through, site):
    answer = await through.get(f"http://127.0.0.1:{site}/a?b=c", headers={"Host": "elsewhere.test"})
    assert (answer.status_code, answer.text) == (200, f"127.0.0.1:{site} /a?b=c")
    assert (await through.post(f"http://127.0.0.1:{site}/", content=b"abc" * 50_000)).content == b"cba" * 50_000


async def test_a_refusal_says_why_and_is_recorded(through, decisions):
    answer = await through.get("http://localhost/")
    assert (answer.status_code, "this machine" in answer.text) == (403, True)
    assert [(one.host, one.allowed, "this machine" in one.reason) for one in decisions] == [("localhost", False, True)]


async def test_a_redirect_is_judged_anew(through, site, decisions):
    answer = await through.get(f"http://127.0.0.1:{site}/away", follow_redirects=True)
    assert answer.status_code == 403
    assert [(one.host, one.allowed) for one in decisions] == [("127.0.0.1", True), ("169.254.169.254", False)]


async def test_a_tunnel_is_judged_like_a_request(through, site, decisions):
    with pytest.raises(httpx2.ProxyError, match="403"):
        await through.get("https://metadata.test/")

    with pytest.raises(httpx2.ConnectError):  # the tunnel opens; what is behind it speaks no TLS
        await through.get(f"https://127.0.0.1:{site}/")

    assert [(one.port, one.allowed) for one in decisions] == [(443, False), (site, True)]


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x16\x03\x01\x02",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT [::1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"A" * 99_999,
    ],
)
async def test_nonsense_ends_only_its_own_connection(through, site, nonsense):
    port = int(str(next(iter(through._mounts.values()))._pool._proxy_url.port))
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(nonsense)
        with anyio.fail_after(50):
            assert b" 200 " not in await _all(stream)

    assert (await through.get(f"http://127.0.0.1:{site}/")).status_code == 200


async def _all(stream):
    data = b""
    try:
        await stream.send_eof()
        async for piece in stream:
            data += piece
    except (anyio.BrokenResourceError, OSError):
        pass

    return data
