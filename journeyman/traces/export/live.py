"""Runs sent as they end, by a thread of its own: no run waits for it, and none fails with it.

What cannot be sent is said once and left out; it stays in the store. At the end of the program what is still on its way
gets `LEAVING_S`.
"""

import atexit
import logging
import queue
import threading
from collections.abc import Sequence

from journeyman.errors import JourneymanError, install
from journeyman.traces.writer import Stored

LEAVING_S = 5.0
WAITING = 100
"""Runs; more are left out."""


class Sender:
    """Call it with the events of each run that has ended, from any thread.

    Args:
        url: an OTLP/HTTP endpoint.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._runs: queue.SimpleQueue[Sequence[Stored] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._last: Sequence[Stored] = ()
        self._said = ""

    def __call__(self, run: Sequence[Stored]) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="journeyman-otel", daemon=True)
                self._thread.start()
                atexit.register(self.close)

        if self._runs.qsize() < WAITING:
            self._runs.put(run)
        else:
            self._say(run, f"{WAITING} runs are waiting to be sent already.")

    def close(self, patience: float = LEAVING_S) -> None:
        """Wait for what is on its way, but not longer than `patience` seconds."""
        atexit.unregister(self.close)
        thread, self._thread = self._thread, None
        if thread is not None:
            self._runs.put(None)
            thread.join(patience)
            if thread.is_alive():
                self._say(self._last, f"The collector did not answer within {patience:g} seconds.")

    def _work(self) -> None:
        while (run := self._runs.get()) is not None:
            self._last = run
            try:
                from journeyman.traces.export.otel import spans  # noqa: PLC0415 - protobuf
                from journeyman.traces.export.otlp import send  # noqa: PLC0415

                send(self._url, spans(run))
            except ImportError as error:
                self._say(run, f"OpenTelemetry needs more: {error}; {install('journeyman[otel]')}.")
            except JourneymanError as error:
                self._say(run, str(error))

    def _say(self, run: Sequence[Stored], why: str) -> None:
        if why != self._said:
            named = f" --where run:{run[-1].run_id}" if run else ""
            again = f"journeyman traces export --to URL{named}"
            logging.getLogger(__name__).warning("%s Runs stay in the store: %s", why, again)
            self._said = why
