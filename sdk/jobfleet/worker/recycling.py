"""Ends a worker that has done its share or grown too large, before its node does: something starts a fresh one."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from jobfleet.worker.memory import resident_mb

log = logging.getLogger("jobfleet.worker")

LOOK_SECONDS = 1.0
"""How often at most the memory is looked at."""


class Recycling:
    """Counts jobs, looks at the memory as they end, and calls ``stop`` once.

    Either limit may be 0: there is none.
    """

    def __init__(self, max_jobs: int, max_memory_mb: int, stop: Callable[[], None]) -> None:
        self._max_jobs = max_jobs
        self._max_memory_mb = max_memory_mb
        self._stop = stop
        self._jobs = 0
        self._look_at = 0.0
        self._over = False

    @property
    def wanted(self) -> bool:
        """Whether there is a limit."""
        return bool(self._max_jobs or self._max_memory_mb)

    def note(self, jobs: int) -> None:
        """So many more jobs are done."""
        self._jobs += jobs
        why = self._reason()
        if why and not self._over:
            self._over = True
            log.info("worker ends to be replaced", extra={"why": why})
            self._stop()

    def _reason(self) -> str:
        if self._max_jobs and self._jobs >= self._max_jobs:
            return f"{self._jobs} jobs are done (max_jobs {self._max_jobs})"
        if self._max_memory_mb and time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + LOOK_SECONDS
            memory = resident_mb()
            if memory > self._max_memory_mb:
                return f"it takes {memory} MiB (max_memory_mb {self._max_memory_mb})"
        return ""
