"""What a run and its parts are called in OpenTelemetry: ids made from the run's own, so that everyone makes the same.

A tool call hands its context on to the server that does it; whatever that server records of the call then belongs to
the run's trace, whenever that is exported.
"""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from hashlib import sha256

_call: ContextVar[tuple[str, str] | None] = ContextVar("journeyman_call", default=None)


def trace_id(run_id: str) -> bytes:
    """16 bytes: the trace of a run."""
    return sha256(run_id.encode()).digest()[:16]


def span_id(run_id: str, part: str) -> bytes:
    """8 bytes: a part of a run, such as a call by its id."""
    return sha256(f"{run_id} {part}".encode()).digest()[:8]


@contextmanager
def in_call(run_id: str, call_id: str) -> Generator[None]:
    """What is done inside belongs to this call."""
    token = _call.set((run_id, call_id))
    try:
        yield
    finally:
        _call.reset(token)


def traceparent() -> str | None:
    """The call under way as W3C Trace Context has it (version 00, sampled); None outside of one."""
    if (call := _call.get()) is None:
        return None

    run_id, call_id = call
    return f"00-{trace_id(run_id).hex()}-{span_id(run_id, call_id).hex()}-01"
