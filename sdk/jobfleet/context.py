"""What a running handler may know of its job."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from jobfleet.report import Report, log_lines, pack_progress

if TYPE_CHECKING:
    from jobfleet.job import Body, ClaimedJob

_making = threading.Lock()


class Teller(Protocol):
    """Where it goes what an attempt tells."""

    def take(self, report: Report, progress: bytes, lines: Iterable[bytes], first: int | None = None) -> None:
        """Add to a report and see to it that it is sent soon; returns at once. From any thread."""

    async def kept(self, report: Report) -> bool:
        """Send what is left of a report now; whether it was taken."""


class Telling:
    """What :meth:`JobContext.progress` and :meth:`JobContext.log` give. Nothing has to be done with it.

    ``await`` it and all that the attempt has told so far is sent at once. The answer is whether Redis took it: False
    where the attempt is over, or where Redis gave no answer; in the latter case it is sent again later. In a process of
    its own (``run_in="process"``) it goes to the worker, which is not waited for.
    """

    __slots__ = ("report", "teller")

    def __init__(self, report: Report, teller: Teller) -> None:
        self.report, self.teller = report, teller

    def __await__(self) -> Generator[Any, None, bool]:
        return self.teller.kept(self.report).__await__()


class _Nowhere:
    """The teller of a context that no worker made."""

    def take(self, report: Report, progress: bytes, lines: Iterable[bytes], first: int | None = None) -> None:
        """Tell nobody."""

    async def kept(self, report: Report) -> bool:  # noqa: ARG002 - it is told to nobody
        """Nobody took it."""
        return False


class Token(threading.Event):
    """An Event that is true when it is set, so that ``while not job.cancelled`` means what it says."""

    def __bool__(self) -> bool:
        return self.is_set()


class JobContext:
    """One attempt, as its handler sees it.

    What it tells (:meth:`progress`, :meth:`log`) is gathered and sent a few times a second, all attempts of a worker
    together, and before the attempt's outcome: nothing is lost that was told before the handler returned. Both may be
    called from any thread, as often as one likes, and wait for nothing, also while Redis is away. What an attempt tells
    that has lost its lease is refused, and its handler ended.

    Attributes:
        attempt: which delivery this is, from 1; ``failures`` earlier ones failed.
        args: the arguments as they were sent, before they were checked against the handler's annotations.
        metadata: what the producer put beside them.
    """

    __slots__ = (
        "_cancelled", "_over", "_teller", "_telling", "args", "attempt", "failures", "id", "metadata", "name", "queue",
    )  # fmt: skip

    def __init__(self, job: ClaimedJob, body: Body, teller: Teller | None = None) -> None:
        self.queue = job.queue
        self.id = job.id
        self.name = body.name
        self.attempt = job.attempt
        self.failures = job.failures
        self.args: Mapping[str, Any] = body.args
        self.metadata: Mapping[str, str] = body.metadata
        self._cancelled: Token | None = None
        self._over = False
        self._teller = teller
        self._telling: Telling | None = None

    def progress(self, value: Any) -> Telling:
        """Say how far the job is; whoever looks the job up sees what was told last, also after its end.

        ``value`` is a number from 0 to 100, read as percent, or data: anything that arguments may be made of, as in
        ``{"done": 3, "of": 700, "cursor": "x17"}``. It outlives the attempt: the next one may look it up and go on.

        Raises:
            TypeError: the value has no form in MessagePack.
            ValueError: it is not finite, or weighs more than 16 KiB when packed.
        """
        return self._tell(pack_progress(value), ())

    def log(self, line: object) -> Telling:
        """Add a line, or the lines of a text, to the job's log, with the time and the attempt.

        A line is cut at 2,000 characters, and a job's log keeps 64 KiB: when it is over, its older half goes.
        """
        return self._tell(b"", log_lines(time.time_ns() // 1_000_000, self.attempt, str(line)))

    def _tell(self, progress: bytes, lines: Iterable[bytes]) -> Telling:
        telling = self.telling
        telling.teller.take(telling.report, progress, lines)
        return telling

    @property
    def telling(self) -> Telling:
        """What the attempt has told, and where it goes; for the worker."""
        if self._telling is None:
            with _making:
                if self._telling is None:
                    self._telling = Telling(Report(self.id, self.attempt), self._teller or _Nowhere())
        return self._telling

    @property
    def cancelled(self) -> Token:
        """Set, and true, when the attempt is over for the queue.

        Its time ran out, somebody cancelled the job, its lease was lost, or the worker must end. An async handler is
        cancelled besides, and a process ended; a handler in a thread should look here from time to time.
        """
        if self._cancelled is None:
            with _making:
                if self._cancelled is None:
                    self._cancelled = Token()
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
