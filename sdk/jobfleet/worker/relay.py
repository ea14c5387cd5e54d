"""In the process of a handler: what it tells, on its way to the worker. A thread sends it, some times a second at most.

Only that thread sends while the handler runs: a signal that ends the handler strikes no half-sent message.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable

from jobfleet.report import Report, Told

REST_SECONDS = 0.05
"""Between one sending and the next."""


class Relay:
    """Gathers what one attempt tells; ``send`` takes it to the worker."""

    def __init__(self, send: Callable[[Told], None]) -> None:
        self._send = send
        self._report: Report | None = None
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._stir = threading.Event()
        self._thread: threading.Thread | None = None

    def take(self, report: Report, progress: bytes, lines: Iterable[bytes], first: int | None = None) -> None:
        """Add to a report and have it sent soon. From any thread."""
        with self._lock:
            if report.closed:
                return
            report.add(progress, lines, first)
            self._report = report
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="jobfleet-relay", daemon=True)
                self._thread.start()
        self._stir.set()

    async def kept(self, report: Report) -> bool:
        """The worker will have it in a moment."""
        return not report.closed

    def end(self) -> None:
        """Send what is left; what the attempt's threads tell from now on, nobody hears."""
        self.flush()
        with self._lock:
            if self._report is not None:
                self._report.close()
                self._report = None

    def flush(self) -> None:
        """Send what is there."""
        with self._sending:
            with self._lock:
                report = self._report
                if report is None or report.empty:
                    return
                told = report.told()
                report.taken(told)
            self._send(told)

    def _work(self) -> None:
        while True:
            self._stir.wait()
            self._stir.clear()
            with contextlib.suppress(OSError):  # the worker is gone, and this process at its end
                self.flush()
            time.sleep(REST_SECONDS)
