"""Every error that jobfleet raises, and those that a handler raises to steer its job.

::

    JobfleetError
    ├── ConfigurationError      a setting, a URL or a variable of the environment is wrong
    ├── InvalidJob              refused at enqueue; ``field`` says what is wrong
    ├── JobFailed               the job whose result was waited for has none
    ├── QueueFull               refused at enqueue; the queue has as many jobs as it may have
    │   └── MemoryHigh          refused at enqueue; Redis has too little memory left
    ├── Unavailable             Redis cannot be reached, or cannot answer now; nothing is known to be done
    ├── InspectionError         the operator's window got no answer
    └── HandlerSignal           raised by a handler
        ├── Unrecoverable       fail now, whatever attempts are left
        ├── RetryAfter          fail this attempt, try again after so many seconds
        ├── Snooze              not now: come back after so many seconds, and count no attempt
        └── RateLimited         nobody now: as Snooze, and nothing like it is handed out meanwhile

A foreign error (of redis-py, of pydantic) is translated where it enters, with the cause chained.
"""

from __future__ import annotations

from typing import Any, Self

MAX_DELAY_SECONDS = 10 * 366 * 86_400
"""The longest wait that can be asked for anywhere: ten years."""


class JobfleetError(Exception):
    """The base of all errors of jobfleet. Each goes through pickle with its message and attributes."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Not by ``__init__``, as other exceptions: it makes a message of other arguments.
        return _bare, (type(self), self.args), self.__dict__


def _bare(kind: type[JobfleetError], args: tuple[Any, ...]) -> JobfleetError:
    return kind.__new__(kind, *args)


class ConfigurationError(JobfleetError):
    """A setting is missing or wrong; the message names it and says what would be right."""


class InvalidJob(JobfleetError, ValueError):
    """A job, or what was said of it, is wrong; it was not accepted.

    Attributes:
        field: what is wrong, as the caller spells it: ``priority``, ``args.photo_id``, ``queue``.
        accepted: of an ``enqueue_many`` in several round trips, the ids of the jobs that were accepted before, in
            order: send the calls from ``len(accepted)`` on again, not all. Empty where none was.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.accepted: tuple[str, ...] = ()


class JobFailed(JobfleetError):
    """The job that was waited for failed or was cancelled; the message says why."""


class QueueFull(JobfleetError):
    """The queue has reached its maximum length, and a job that needs room was not accepted.

    A job whose id is known, or that another one stands for, or that replaces one, needs none and is not refused.

    Attributes:
        queue, length, limit: which queue, how many jobs wait or are delayed in it, and how many may.
        accepted: of an ``enqueue_many`` in several round trips, or that waited, the ids of the jobs that were accepted
            before, in order: send the calls from ``len(accepted)`` on again, not all.
        needless: places, from 0, of those jobs of the refused batch that need no room; for who sends batches.
    """

    def __init__(self, queue: str, length: int, limit: int) -> None:
        super().__init__(self._sentence(queue, length, limit))
        self.queue, self.length, self.limit = queue, length, limit
        self.accepted: tuple[str, ...] = ()
        self.needless: frozenset[int] = frozenset()

    @staticmethod
    def _sentence(queue: str, length: int, limit: int) -> str:
        return (
            f"queue {queue!r} holds {length} jobs and may hold {limit}; "
            "try again later, or let enqueue wait: wait_when_full=seconds"
        )

    @property
    def room(self) -> int:
        """How many jobs the queue had room for."""
        return max(0, self.limit - self.length)

    def after(self, seconds: float) -> Self:
        """The same error for whoever has waited for room."""
        error = type(self)(self.queue, self.length, self.limit)
        error.args = (f"{self.args[0].partition(';')[0]}; enqueue waited {seconds:g} s for room",)
        return error


class MemoryHigh(QueueFull):
    """Redis uses more of its memory than the queue's ``max_memory_percent`` allows; else as :class:`QueueFull`.

    Attributes:
        queue, length, limit: which queue, the memory used and the memory allowed, in percent of ``maxmemory``.
    """

    @staticmethod
    def _sentence(queue: str, length: int, limit: int) -> str:
        return (
            f"Redis uses {length} % of its memory and queue {queue!r} takes jobs up to {limit} %; "
            "try again later, or let enqueue wait: wait_when_full=seconds"
        )

    @property
    def room(self) -> int:
        """None, as far as is known."""
        return 0


class Unavailable(JobfleetError):
    """Redis gave no answer in the time allowed, retries included.

    An enqueue that ends so may or may not have been accepted; repeating it with the same job id is safe while the
    job is kept.

    Attributes:
        accepted: of an ``enqueue_many`` in several round trips, the ids of the jobs that were accepted for certain
            before, in order.
    """

    accepted: tuple[str, ...] = ()


class InspectionError(JobfleetError):
    """The state of a queue could not be read or written; the message says which Redis and why."""


class HandlerSignal(JobfleetError):
    """The base of what a handler raises to decide its job's fate."""


class Unrecoverable(HandlerSignal):
    """The job can never succeed: it fails now, with no further attempt."""


def is_delay(seconds: object) -> bool:
    """Whether it is a number of seconds for which something may be put off: from 0 to :data:`MAX_DELAY_SECONDS`."""
    return isinstance(seconds, int | float) and 0 <= seconds <= MAX_DELAY_SECONDS


class _Wait(HandlerSignal):
    """What the signals that name a time have in common."""

    def __init__(self, seconds: float, reason: str = "") -> None:
        name = type(self).__name__
        if not is_delay(seconds):
            raise ValueError(f"{name}(seconds={seconds!r}): give seconds from 0 to {MAX_DELAY_SECONDS} (ten years)")
        super().__init__(reason or f"{name} for {seconds} s")
        self.seconds = seconds


class RetryAfter(_Wait):
    """This attempt failed; the next begins after ``seconds``, if attempts are left.

    Raises:
        ValueError: ``seconds`` is no number from 0 to ten years.
    """


class Snooze(_Wait):
    """The job cannot run yet: it comes back after ``seconds``. This counts neither as a failure nor as an attempt.

    Raises:
        ValueError: ``seconds`` is no number from 0 to ten years.
    """


class RateLimited(_Wait):
    """What the job works against asks for less: the job goes back to the head of its line, unfailed.

    For ``seconds`` its queue (its group, where it has one) hands out nothing, to no worker.

    Raises:
        ValueError: ``seconds`` is no number from 0 to ten years.
    """
