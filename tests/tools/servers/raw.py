# ruff: noqa: T201 - its standard output is the wire
"""Speaks the wire by hand, so that it can do what the SDK would not: `python raw.py KIND`."""

import json
import os
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


CALLS = {"big": big, "die": die, "die_once": die_once, "environment": environment, "hang": hang, "spawn": spawn}


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


def serve(kind):
    for line in sys.stdin:
        request = json.loads(line)
        if request.get("method") == "initialize":
            answer(
                request,
                {
                    "protocolVersion": "2025-06-18",
                    "capabilities": {"tools": {}},
                    "serverInfo": {"name": kind, "version": "1"},
                },
            )
        elif request.get("method") == "tools/list" and kind != "secretive":
            if kind == "noisy":
                print("this is no JSON", flush=True)
                print('{"neither": "is this"}', flush=True)

            answer(request, {"tools": listed(kind)})
        elif request.get("method") == "tools/call":
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
