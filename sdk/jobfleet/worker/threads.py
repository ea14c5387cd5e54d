"""Threads for handlers that are not async: as many as jobs run in them, kept for the next.

Why not a ThreadPoolExecutor: its futures cost more than a small job, its size is fixed, and the interpreter waits for
its threads at the end, also for one that never returns.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import itertools
import logging
import math
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

log = logging.getLogger("jobfleet.worker")

Call = Callable[[], Any]
Done = Callable[[Any, BaseException | None], None]


class Threads:
    """Runs calls in threads and says on the event loop what became of them. Only for the loop's thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._calls: SimpleQueue[tuple[contextvars.Context, Call, Done] | None] = SimpleQueue()
        self._done: deque[tuple[Done, Any, BaseException | None]] = deque()
        self._told = False
        self._most: float = math.inf
        self._threads = 0
        self._pending = 0
        self._names = itertools.count(1)

    def submit(self, call: Call, done: Done) -> None:
        """Run ``call`` in a thread, in a copy of the caller's context; then ``done`` on the loop with what it gave."""
        self._pending += 1
        if self._pending > self._threads:
            name = f"jobfleet-handler-{next(self._names)}"
            try:
                threading.Thread(target=self._work, name=name, daemon=True).start()
                self._threads += 1
            except RuntimeError as error:  # the system gives no more: the call waits for a thread, if there is one
                log.warning("a thread cannot be started: %s", error, extra={"threads": self._threads})
                if self._threads == 0:
                    self._done.append((done, None, error))
                    self._loop.call_soon(self._tell)
                    return
        self._calls.put((contextvars.copy_context(), call, done))

    def future(self, call: Call) -> asyncio.Future[Any]:
        """As :meth:`submit`, to await."""
        future: asyncio.Future[Any] = self._loop.create_future()

        def done(result: Any, error: BaseException | None) -> None:
            if future.cancelled():
                return
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(_awaitable(error))
                future.exception()  # looked at: whoever awaited it may be gone

        self.submit(call, done)
        return future

    def _work(self) -> None:
        """A thread's life."""
        while (item := self._calls.get()) is not None:
            context, call, done = item
            result, error = None, None
            try:
                result = context.run(call)
            except BaseException as raised:  # noqa: BLE001 - whatever a handler raises is its job's failure
                error = raised
            self._done.append((done, result, error))
            del item, context, call, done, result, error  # an idle thread keeps nothing alive
            if not self._told:
                self._told = True
                with contextlib.suppress(RuntimeError):  # the loop is closed: nobody wants to know
                    self._loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        self._told = False  # before the first look: what comes from now on tells anew
        try:
            while self._done:
                done, result, error = self._done.popleft()
                self._pending -= 1
                done(result, error)
        finally:
            if self._done:  # one went wrong, and the event loop says so; the others do not wait for the next to end
                self._loop.call_soon(self._tell)
            if self._threads > self._most:
                self._trim()

    def resize(self, most: int) -> None:
        """Keep ``most`` threads; those beyond end as they come free."""
        self._most = most
        self._trim()

    def _trim(self) -> None:
        """End threads beyond the most that are free. For a busy one, a None would stand before the calls that come."""
        while self._threads > max(self._most, self._pending):
            self._threads -= 1
            self._calls.put(None)

    def close(self) -> None:
        """End idle threads, and others as they come free, for no call comes any more. May be called twice."""
        while self._threads > 0:
            self._threads -= 1
            self._calls.put(None)


def _awaitable(error: BaseException) -> BaseException:
    """The error as an await can raise it: from a coroutine, too, a StopIteration comes as a RuntimeError."""
    if not isinstance(error, StopIteration):
        return error
    raised = RuntimeError("the handler raised StopIteration").with_traceback(error.__traceback__)
    raised.__cause__ = error
    return raised
