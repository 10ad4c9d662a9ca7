"""Run the benchmarks that need no model: `uv run python -m benchmarks [NAME ...]`.

Each prints our figure beside a floor that is measured in the same run: what the bare parts cost without a runtime. CPU
time, not wall time, because machines are shared. Nothing here fails a build.
"""

import sys

from benchmarks import (
    concurrency,
    containers,
    exports,
    peers,
    policy,
    practice,
    sandbox,
    search,
    secrets,
    servers,
    startup,
    steps,
    traces,
    tui,
)

ALL = {
    "startup": startup.main,
    "steps": steps.main,
    "concurrency": concurrency.main,
    "traces": traces.main,
    "exports": exports.main,
    "practice": practice.main,
    "containers": containers.main,
    "sandbox": sandbox.main,
    "search": search.main,
    "servers": servers.main,
    "secrets": secrets.main,
    "policy": policy.main,
    "tui": tui.main,
    "peers": peers.main,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or ALL:
        ALL[name]()
