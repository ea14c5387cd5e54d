"""An event loop in a thread of its own, for synchronous code that has workers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from jobfleet.errors import ConfigurationError

T = TypeVar("T")
_Life = tuple[asyncio.AbstractEventLoop, asyncio.Event]


class LoopThread:
    """Runs coroutines for any thread. It starts when first needed, and does not hold up the end of the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._life: Future[_Life] = Future()

    @property
    def running(self) -> bool:
        """Whether it has been started and not been stopped."""
        return self._thread is not None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What ``work`` returns, or raises.

        Raises:
            ConfigurationError: it is called on this loop, which would wait for itself.
        """
        try:
            self._refuse_itself()
        except ConfigurationError:
            work.close()
            raise
        with self._lock:
            if self._thread is None:
                self._life = Future()
                self._thread = threading.Thread(target=asyncio.run, args=(_live(self._life),), daemon=True)
                self._thread.start()
            loop, _ = self._life.result()
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    def stop(self) -> None:
        """End the loop, and wait for it. May be called twice; :meth:`run` would start another.

        Raises:
            ConfigurationError: as of :meth:`run`.
        """
        self._refuse_itself()
        with self._lock:
            if self._thread is not None:
                loop, told = self._life.result()
                loop.call_soon_threadsafe(told.set)
                self._thread.join()
                self._thread = None

    def _refuse_itself(self) -> None:
        if threading.current_thread() is self._thread:
            raise ConfigurationError(
                "an async handler runs on the event loop of the SyncJobQueueCoordinator's workers, which would wait "
                "for itself: make the handler a plain function, which runs in a thread, or use a JobQueueCoordinator"
            )


async def _live(life: Future[_Life]) -> None:
    told = asyncio.Event()
    life.set_result((asyncio.get_running_loop(), told))
    await told.wait()
