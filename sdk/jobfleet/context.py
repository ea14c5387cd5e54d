"""What a running handler may know of its job."""

from __future__ import annotations

import threading
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class JobContext:
    """One attempt, as its handler sees it.

    Attributes:
        attempt: which delivery this is, from 1; ``failures`` earlier ones failed.
        cancelled: set when the attempt is over for the queue: its time ran out, its lease was lost, or the worker must
            end. An async handler is cancelled besides; a handler in a thread should look here from time to time.
    """

    queue: str
    id: str
    name: str
    attempt: int
    failures: int
    cancelled: threading.Event = field(default_factory=threading.Event)


_current: ContextVar[JobContext | None] = ContextVar("jobfleet_job", default=None)


def current_job() -> JobContext:
    """The job that the calling handler runs, in async code and in threads alike.

    Raises:
        LookupError: the caller is not inside a handler.
    """
    context = _current.get()
    if context is None:
        raise LookupError("current_job() was called outside of a handler")
    return context


def enter(context: JobContext) -> None:
    """Make ``context`` the current job of the calling task or thread."""
    _current.set(context)
