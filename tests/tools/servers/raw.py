# ruff: noqa: T201 - its standard output is the wire
"""Speaks the wire by hand, so that it can do what the SDK would not: `python raw.py KIND`."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

OBJECT = {"type": "object"}
TOOLS = {
    "odd": [
        {"name": "big", "inputSchema": OBJECT},
        {"name": "die", "inputSchema": OBJECT},
        {"name": "die_once", "inputSchema": OBJECT, "annotations": {"readOnlyHint": True}},
        {"name": "environment", "inputSchema": OBJECT},
        {"name": "broken", "inputSchema": OBJECT},
        {"name": "hang", "inputSchema": OBJECT},
        {"name": "fine", "inputSchema": OBJECT},
        {"name": "spawn", "inputSchema": OBJECT},
    ],
    "thief": [{"name": name, "inputSchema": OBJECT} for name in ("take", "plant", "reach", "knock", "look")],
    "bad_schema": [
        {"name": "fine", "inputSchema": OBJECT},
        {"name": "loose", "inputSchema": {}},
        {"name": "schemaless"},
        {"name": "list", "inputSchema": {"type": "array"}},
        {"name": "invalid", "inputSchema": {"type": "object", "properties": {"a": {"type": "nonsense"}}}},
        {"name": "huge", "inputSchema": {"type": "object", "description": "x" * 100_000}},
        {"name": "hidden\u202e", "inputSchema": OBJECT},
        {"name": "fine", "inputSchema": OBJECT, "description": "a twin"},
        "not even an object",
    ],
    "fetching": [
        {"name": "far", "inputSchema": {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/x.json"}}}}
    ],
    "typed": [
        {"name": "fine", "inputSchema": OBJECT, "outputSchema": {"type": "object", "pattern": 3}},
        {"name": "odd", "inputSchema": {"type": "object", "$schema": []}},
    ],
}


def listed(kind):
    """What the server offers now; `file` reads it from a file each time."""
    if kind == "file":
        return json.loads(Path(os.environ["TOOLS_FILE"]).read_text("utf-8"))

    return TOOLS.get(kind, [{"name": "fine", "inputSchema": OBJECT}])


def big(arguments):
    return "x" * arguments.get("size", 10_000_000)


def die(arguments):
    """Count in a file and end the process."""
    mark = Path(arguments["mark"])
    mark.write_text(str(int(mark.read_text()) + 1) if mark.exists() else "1")
    print("dying now", os.environ.get("LAST_WORDS", ""), file=sys.stderr, flush=True)
    os._exit(3)


def die_once(arguments):
    """The first call ends the process, the second does not."""
    if not Path(arguments["mark"]).exists():
        Path(arguments["mark"]).touch()
        os._exit(3)

    return "alive"


def environment(_):
    return " ".join(sorted(os.environ))


def spawn(arguments):
    """Leave a process behind that ignores the end of its parent."""
    program = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    child = subprocess.Popen([sys.executable, "-c", program])
    Path(arguments["mark"]).write_text(str(child.pid))
    return "spawned"


def hang(_):
    time.sleep(600)


def tried(what):
    """What came of it, or why nothing did."""
    try:
        return what()
    except OSError as error:
        return f"{type(error).__name__}: {error.strerror}"


def take(arguments):
    return tried(lambda: Path(arguments["path"]).expanduser().read_text("utf-8"))


def plant(arguments):
    return tried(lambda: str(Path(arguments["path"]).expanduser().write_text("planted", "utf-8")))


def reach(arguments):
    """Connect straight there, and then through the proxy, if there is one."""

    def straight():
        with socket.create_connection((arguments["host"], arguments["port"]), timeout=5):
            return "connected"

    def through():
        proxy = os.environ["http_proxy"].rpartition("/")[2].split(":")
        with socket.create_connection((proxy[0], int(proxy[1])), timeout=5) as connection:
            where = f"{arguments['host']}:{arguments['port']}"
            connection.sendall(f"CONNECT {where} HTTP/1.1\r\nHost: {where}\r\n\r\n".encode())
            return connection.recv(65_536).decode().splitlines()[0]

    return f"{tried(straight)}; {tried(through)}"


def knock(arguments):
    """Connect to a socket of somebody else's, in the file system."""

    def connect():
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(arguments["path"])
            return "connected"

    return tried(connect)


def look(_):
    """What there is to be seen: processes, who it is, and the folders at the top."""
    pids = [each for each in Path("/proc").iterdir() if each.name.isdigit()]
    home = sorted(each.name for each in Path.home().iterdir())
    return json.dumps({"pids": len(pids), "home": home, "parent": os.getppid()})


CALLS = {
    each.__name__: each for each in (take, plant, reach, knock, look, big, die, die_once, environment, hang, spawn)
}


def call(name, arguments):
    if name == "broken":
        return {"content": "no list"}

    text = CALLS[name](arguments) if name in CALLS else "done"
    return {"content": [{"type": "text", "text": text}]}


def answer(request, result):
    if request.get("params", {}).get("arguments", {}).get("nameless"):
        print(json.dumps({"jsonrpc": "2.0", "result": {**result, "id": request["id"]}}), flush=True)
        return

    print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}), flush=True)


BESIDES = {"resources": {"subscribe": True}, "prompts": {}} if "OFFERS_FILE" in os.environ else {}
WATCHED = []


def offered(_):
    """What it offers besides tools is read from a file each time."""
    return json.loads(Path(os.environ["OFFERS_FILE"]).read_text("utf-8"))


def watch(params):
    WATCHED.extend([params["uri"], "evil://another"])
    return {}


def tell_watched():
    for uri in WATCHED:
        told = {"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": uri}}
        print(json.dumps(told), flush=True)


ASKED = (
    {
        "resources/list": offered,
        "prompts/list": offered,
        "resources/templates/list": offered,
        "resources/subscribe": watch,
        "resources/read": lambda params: {"contents": [{"uri": params["uri"], "text": "read"}]},
        "prompts/get": lambda _: {"messages": [{"role": "user", "content": {"type": "text", "text": "used"}}]},
    }
    if BESIDES
    else {}
)


def serve(kind):
    for line in sys.stdin:
        request = json.loads(line)
        if request.get("method") == "initialize":
            time.sleep(kind == "slow")
            answer(
                request,
                {
                    "protocolVersion": "2025-06-18",
                    "capabilities": {"tools": {}, **BESIDES},
                    "serverInfo": {"name": kind, "version": "1"},
                },
            )
        elif request.get("method") == "tools/list" and kind != "secretive":
            if kind == "noisy":
                print("this is no JSON", flush=True)
                print('{"neither": "is this"}', flush=True)

            answer(request, {"tools": listed(kind)})
        elif request.get("method") in ASKED:
            answer(request, ASKED[request["method"]](request.get("params") or {}))
        elif request.get("method") == "tools/call":
            tell_watched()
            answer(request, call(request["params"]["name"], request["params"].get("arguments") or {}))
            if kind == "brief":
                return
        elif kind == "old" and request.get("method") == "server/discover":
            sys.exit("what is server/discover?")
        elif "id" in request and kind != "secretive":
            error = {"code": -32601, "message": "no such method"}
            print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "error": error}), flush=True)


if __name__ == "__main__":
    if "PID_FILE" in os.environ:
        Path(os.environ["PID_FILE"]).write_text(str(os.getpid()))

    KIND = sys.argv[1]
    if KIND == "silent":
        print("I say nothing", file=sys.stderr, flush=True)
        sys.stdin.read()
    elif KIND == "dying":
        sys.exit("cannot \x1b[31mstart\nno API_KEY")
    elif KIND == "deaf":
        time.sleep(600)
    elif KIND == "endless":
        while True:
            sys.stdout.write("x" * 65_536)
    else:
        serve(KIND)
