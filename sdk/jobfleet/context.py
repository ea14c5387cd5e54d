"""What a running handler may know of its job."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobfleet.job import Body, ClaimedJob

_making = threading.Lock()


class JobContext:
    """One attempt, as its handler sees it.

    Attributes:
        attempt: which delivery this is, from 1; ``failures`` earlier ones failed.
        args: the arguments as they were sent, before they were checked against the handler's annotations.
        metadata: what the producer put beside them.
    """

    __slots__ = ("_cancelled", "_over", "args", "attempt", "failures", "id", "metadata", "name", "queue")

    def __init__(self, job: ClaimedJob, body: Body) -> None:
        self.queue = job.queue
        self.id = job.id
        self.name = body.name
        self.attempt = job.attempt
        self.failures = job.failures
        self.args: Mapping[str, Any] = body.args
        self.metadata: Mapping[str, str] = body.metadata
        self._cancelled: threading.Event | None = None
        self._over = False

    @property
    def cancelled(self) -> threading.Event:
        """Set when the attempt is over for the queue.

        Its time ran out, somebody cancelled the job, its lease was lost, or the worker must end. An async handler is
        cancelled besides, and a process ended; a handler in a thread should look here from time to time.
        """
        if self._cancelled is None:
            with _making:
                if self._cancelled is None:
                    self._cancelled = threading.Event()
            if self._over:
                self._cancelled.set()
        return self._cancelled

    def end(self) -> None:
        """Say that the attempt is over; for the worker."""
        self._over = True
        if self._cancelled is not None:
            self._cancelled.set()

    def __repr__(self) -> str:
        return f"<JobContext {self.name!r} {self.id} in queue {self.queue!r}, attempt {self.attempt}>"


_current: ContextVar[JobContext | None] = ContextVar("jobfleet_job", default=None)


def current_job() -> JobContext:
    """The job that the calling handler runs: in async code, in threads and in processes alike.

    Raises:
        LookupError: the caller is not inside a handler, or inside a batch handler, whose items each have a ``job``.
    """
    context = _current.get()
    if context is None:
        raise LookupError(
            "current_job() was called outside of a handler; in a batch handler, each item has its own job"
        )
    return context


enter = _current.set
"""Make a context the current job of the calling task or thread."""
