"""The process of its own in which llama.cpp runs: a native abort must not take the run with it.

    python -P -m journeyman.agent.models.llama_child

stdin: one line of JSON with what to load, then nothing; when it closes, the process ends. stdout: one line of JSON,
`{"address": ..., "threads": ...}` once the model answers there, or `{"error": ...}`. stderr: the engine's own log.
Nothing of journeyman is imported here, so that loading starts at once.
"""

import importlib
import json
import os
import signal
import sys
import threading
from typing import Any

PR_SET_PDEATHSIG = 1
ERRORS_ONLY = 1
BATCH = 256
ROOM = 0.9
"""The part of a GPU's free memory that is counted on."""


def main() -> None:
    # Native code writes to stdout as it likes; the answer gets a descriptor of its own.
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    wanted = json.loads(sys.stdin.readline())
    if wanted["parent"]:
        end_with(wanted["parent"])

    threading.Thread(target=end_with_stdin, daemon=True).start()
    server = None
    try:
        server, placed = load(wanted)
        found = {"address": server.listening_address, "engine": version(), **placed}
    except ImportError as error:
        found = {"error": "no_engine", "text": str(error)}
    except RuntimeError as error:
        found = {"error": "load", "text": str(error)}

    answer.write(json.dumps(found) + "\n")
    answer.flush()
    if server is None:
        os._exit(1)

    threading.Event().wait()


def load(wanted: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The server, and where its parts lie."""
    xllamacpp: Any = importlib.import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = wanted["model"]
    params.n_parallel = wanted["parallel"]
    params.n_ctx = wanted["context"] * wanted["parallel"]
    for cpu in (params.cpuparams, params.cpuparams_batch):
        cpu.n_threads = wanted["threads"]
        # Sleeping at a barrier, not spinning: as fast on a quiet machine, and 8 times as fast on a busy one.
        cpu.poll = 0

    params.api_keys = [wanted["key"]]
    params.ui = False
    params.endpoint_metrics = True  # its counters tell how much of a prompt was read again
    # The file's own template is somebody's program, and some abort the engine: it never runs there.
    params.chat_template = "chatml"
    params.use_jinja = False
    params.warmup = False
    params.verbosity = ERRORS_ONLY
    params.cache_ram_mib = wanted["cache_mb"]
    if wanted["adapters"]:
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(path, 1.0) for path in wanted["adapters"]]

    placed = placement(xllamacpp.get_device_info(), wanted)
    # Fitting to free memory chooses layers, and which experts stay on the CPU; it loads the model twice.
    params.fit_params = placed["fitted"]
    if wanted["gpu_layers"] is not None:
        params.n_gpu_layers = wanted["gpu_layers"]

    if placed["kv_type"] == "q8_0":
        params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_Q8_0

    if not placed["gpus"]:
        params.n_batch = BATCH  # a cancelled prefill stops at the end of its batch

    return xllamacpp.Server(params), placed


def placement(devices: list[dict[str, Any]], wanted: dict[str, Any]) -> dict[str, Any]:
    """What goes where, from the memory that is free: on a GPU where there is one and it was not forbidden.

    Keys and values take half the room where the model and they would not fit otherwise.
    """
    found = [device for device in devices if "_GPU" in repr(device["type"]) or "_IGPU" in repr(device["type"])]
    gpus = found if wanted["gpu_layers"] != 0 else []
    free = sum(device["memory_free"] for device in gpus)
    tight = bool(gpus) and wanted["size"] + wanted["kv_bytes"] > free * ROOM
    return {
        "gpus": [device["description"] for device in gpus],
        "kv_type": "q8_0" if tight else "f16",
        "fitted": bool(gpus) and wanted["gpu_layers"] is None,
    }


def version() -> str:
    from xllamacpp import _version  # noqa: PLC0415 - loaded already

    return f"xllamacpp {_version.get_versions()['version']}"


def end_with(parent: int) -> None:
    """Let the kernel kill this process when `parent`'s main thread ends, however it ends (Linux)."""
    import ctypes  # noqa: PLC0415 - only where it is asked for

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def end_with_stdin() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
