"""Which places on the network may be reached: an allow-list of names, and a check of the address behind each name.

A name proves nothing about where it leads: its owner may point it at this machine, at the network around it, or at the
service that hands out a cloud machine's keys, and may answer differently the second time. So a name is resolved once,
every address it has is judged, and the connection goes to the judged address. Spellings of addresses (`0x7f.1`,
`[::ffff:127.0.0.1]`) lead to the same judgement because only the resolved address counts. A redirect is a new request
and is judged anew. NOT covered: what an allowed host does with what it is sent, another name behind the same address
(only the tunnel's target is seen, not what is inside), and an operator's own NAT64 prefix.
"""

import contextlib
import errno
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence

import anyio
from anyio.abc import SocketStream

from journeyman.errors import ConfigError, ToolError
from journeyman.traces.messages import Value

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""(name, port) -> its addresses, as text. Raises OSError."""

CONNECT_S = 10.0
PORTS = frozenset({80, 443})
"""For a host that is allowed without a port."""
MAX_NAME = 253
MAX_PORT = 65_535

GLOBAL6 = ipaddress.ip_network("2000::/3")
NAT64 = ipaddress.ip_network("64:ff9b::/96")
_SPECIAL: tuple[tuple[str, str], ...] = (
    ("127.0.0.0/8", "this machine"),
    ("0.0.0.0/8", "this machine"),
    ("169.254.0.0/16", "a link-local address, such as a cloud's metadata service"),
    ("168.63.129.16/32", "a cloud's metadata service"),
    ("10.0.0.0/8", "a private network"),
    ("172.16.0.0/12", "a private network"),
    ("192.168.0.0/16", "a private network"),
    ("100.64.0.0/10", "a carrier's private network"),
    ("192.0.0.0/24", "a reserved address"),
    ("192.0.2.0/24", "an address for examples"),
    ("198.51.100.0/24", "an address for examples"),
    ("203.0.113.0/24", "an address for examples"),
    ("198.18.0.0/15", "an address for benchmarks"),
    ("192.88.99.0/24", "a 6to4 relay"),
    ("224.0.0.0/4", "a multicast address"),
    ("240.0.0.0/4", "a reserved address"),
    ("2001::/23", "a tunnel or a reserved address"),
    ("2001:db8::/32", "an address for examples"),
    ("2002::/16", "a 6to4 tunnel"),
    ("3fff::/20", "an address for examples"),
    ("::1/128", "this machine"),
    ("::/128", "this machine"),
    ("fe80::/10", "a link-local address"),
    ("fc00::/7", "a private network"),
    ("ff00::/8", "a multicast address"),
)
"""What is not the public network, after the special-purpose address registries of IANA."""
SPECIAL: tuple[tuple[Network, str], ...] = tuple((ipaddress.ip_network(text), words) for text, words in _SPECIAL)
NEVER = ("link-local", "metadata", "multicast", "reserved")
"""What cannot be allowed even by writing the address out."""


class Decision(Value):
    """What was decided about one connection."""

    host: str
    """As it was asked for."""
    port: int
    allowed: bool
    address: str = ""
    """Where the connection went; empty if nowhere."""
    reason: str = ""
    """Why it was refused."""


Record = Callable[[Decision], None]


class Egress:
    """An allow-list.

    Args:
        hosts: `example.org` (ports 80 and 443), `example.org:8443`, `*.example.org` (not itself), `*` (any public
            host), or an address with its port, `10.0.0.7:8080`: who wrote it out meant it, so it may be private.
        record: told of every decision.
        resolve: how a name is looked up.

    Raises:
        ConfigError: an entry of the list is none of these.
    """

    def __init__(self, hosts: Sequence[str], record: Record | None = None, resolve: Resolve | None = None) -> None:
        self._allowed = [_entry(host) for host in hosts]
        self._record = record or (lambda _: None)
        self._resolve = resolve or _look_up

    async def connect(self, host: str, port: int) -> SocketStream:
        """A connection to the address that was judged.

        Raises:
            ToolError: the host is not allowed, its address is not, or nothing answers there.
        """
        return await _dial(await self.judge(host, port), host, port)

    async def judge(self, host: str, port: int) -> Sequence[str]:
        """The addresses that may be connected to, and no others: a name may lead elsewhere when it is asked again.

        Raises:
            ToolError: the host is not allowed, or one of its addresses is not.
        """
        try:
            addresses = await self._judged(host, port)
        except _Refused as refused:
            self._record(Decision(host=host[:MAX_NAME], port=port, allowed=False, reason=str(refused)))
            raise ToolError(f"no connection to {host[:MAX_NAME]}:{port}: {refused}") from None

        self._record(Decision(host=host, port=port, allowed=True, address=addresses[0]))
        return addresses

    async def _judged(self, host: str, port: int) -> Sequence[str]:
        name = _name(host)
        written_out = _literal(name)
        if not any(_matches(entry, name, port) for entry in self._allowed):
            raise _Refused("it is not on the list of hosts that may be reached")

        try:
            with anyio.fail_after(CONNECT_S):
                addresses = [name] if written_out else list(await self._resolve(name, port))
        except (OSError, TimeoutError, UnicodeError):
            raise _Refused("its name cannot be resolved") from None

        meant = written_out is not None and (name, port) in self._allowed
        for address in addresses:
            words = special(ipaddress.ip_address(address))
            if words and (not meant or any(never in words for never in NEVER)):
                raise _Refused(f"it leads to {address}, {words}")

        if not addresses:
            raise _Refused("its name has no address")

        return addresses


def special(address: Address) -> str:
    """What kind of address it is, in words; empty for one of the public network that is not this machine's own."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or (ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in NAT64 else None)
        if inner is not None:
            return special(inner)

    for network, words in SPECIAL:
        if address in network:
            return words

    if isinstance(address, ipaddress.IPv6Address) and address not in GLOBAL6:
        return "a reserved address"

    return "this machine" if _is_own(address) else ""


class _Refused(Exception):
    """Why, in words for the model."""


def _entry(text: str) -> tuple[str, int | None]:
    host, port = text.strip(), None
    head, colon, tail = host.rpartition(":")
    if colon and tail.isdecimal() and (":" not in head or head.endswith("]")):
        host, port = head, int(tail)

    name = _name(host)
    bare = name.removeprefix("*.")
    fits = name == "*" or (bare and not set(bare) & set("*/@?# "))
    if not fits or len(name) > MAX_NAME or (port is not None and not 0 < port <= MAX_PORT):
        raise ConfigError(
            f"{text!r} is no host that can be allowed", fix="write example.org, *.example.org or host:443"
        )

    return name, port


def _name(host: str) -> str:
    """One spelling for a name: without case, brackets and the root's dot, its letters as DNS has them."""
    name = host.strip("[]").rstrip(".").lower()
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_address(name))

    with contextlib.suppress(UnicodeError):
        return name if name.isascii() else name.encode("idna").decode()

    return name


def _literal(name: str) -> Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _matches(entry: tuple[str, int | None], name: str, port: int) -> bool:
    host, at = entry
    if port != at if at is not None else port not in PORTS:
        return False

    return host in {"*", name} or (host.startswith("*.") and name.endswith(host[1:]))


async def _look_up(name: str, port: int) -> list[str]:
    found = await anyio.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(where[0]) for *_, where in found))


async def _dial(addresses: Sequence[str], host: str, port: int) -> SocketStream:
    reason = "nothing answers"
    for address in addresses:
        try:
            with anyio.fail_after(CONNECT_S):
                return await anyio.connect_tcp(address, port)
        except TimeoutError:
            reason = "it does not answer in time"
        except OSError as error:
            reason = (error.strerror or str(error)).lower()

    raise ToolError(f"no connection to {host}:{port}: {reason}")


def _is_own(address: Address) -> bool:
    """An address can be bound only on the machine it belongs to."""
    family = socket.AF_INET6 if isinstance(address, ipaddress.IPv6Address) else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError as error:
        return error.errno not in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EINVAL}
    else:
        return True
