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
        server = load(wanted)
        found = {"address": server.listening_address, "engine": version()}
    except ImportError as error:
        found = {"error": "no_engine", "text": str(error)}
    except RuntimeError as error:
        found = {"error": "load", "text": str(error)}

    answer.write(json.dumps(found) + "\n")
    answer.flush()
    if server is None:
        os._exit(1)

    threading.Event().wait()


def load(wanted: dict[str, Any]) -> Any:
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
    # The file's own template is somebody's program, and some abort the engine: it never runs there.
    params.chat_template = "chatml"
    params.use_jinja = False
    params.warmup = False
    params.verbosity = ERRORS_ONLY
    params.cache_ram_mib = wanted["cache_mb"]
    if wanted["adapter"]:
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(wanted["adapter"], 1.0)]

    if wanted["gpu_layers"] is not None:
        params.n_gpu_layers = wanted["gpu_layers"]

    if not has_gpu(xllamacpp):
        # Fitting to memory loads the model twice; a cancelled prefill stops at the end of its batch.
        params.fit_params = False
        params.n_batch = BATCH

    return xllamacpp.Server(params)


def has_gpu(xllamacpp: Any) -> bool:
    return any(
        "_GPU" in repr(device["type"]) or "_IGPU" in repr(device["type"]) for device in xllamacpp.get_device_info()
    )


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
