"""One running attempt, and the ways in which it is over."""

from __future__ import annotations

import asyncio
import logging
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from jobfleet.context import JobContext, Teller
from jobfleet.job import Body, ClaimedJob
from jobfleet.policy import PLAIN
from jobfleet.scripts.processing import Outcome
from jobfleet.worker import verdict

if TYPE_CHECKING:
    from jobfleet.handlers import Handler

log = logging.getLogger("jobfleet.worker")

ABANDON_SECONDS = 5.0
"""How long a handler may go on after it was cancelled; then its job is settled without it. It keeps its slot."""


class Ending(Enum):
    """Why an attempt is ended before it ends by itself."""

    TIMED_OUT = "its time ran out"
    CANCELLED = "somebody cancelled the job"
    WITHDRAWN = "the queue no longer wants to know: the lease was lost, or the job went back"


class Owner(Protocol):
    """Where an attempt came from: hears what became of it, and when its slot is free."""

    @property
    def reports(self) -> Teller:
        """Where it goes what the attempt tells."""

    def settled(self, attempt: Attempt, outcome: Outcome) -> None:
        """Take the attempt's one outcome."""

    def freed(self) -> None:
        """Take a slot back."""

    def finished(self, attempt: Attempt, outcome: Outcome) -> None:
        """Both at once."""


class Running(Protocol):
    """What can be told to stop: a task, a call in a thread, a place in a batch."""

    def cancel(self) -> object:
        """Tell it."""


class Attempt:
    """One running attempt.

    Attributes:
        limit: seconds for which the job may hold the event loop up; None: there is no limit. For the health probe.
        running: what runs it; None until it does.
        entered: whether its task came to its first line; a task that is cancelled before would never come there.
        settled: whether its outcome has been told, or must not be.
    """

    __slots__ = (
        "body", "context", "ending", "entered", "handler", "job", "limit", "owner", "running", "settled", "timer",
    )  # fmt: skip

    def __init__(self, job: ClaimedJob, owner: Owner) -> None:
        self.job = job
        self.owner = owner
        self.body: Body | None = None
        self.handler: Handler | None = None
        self.context: JobContext | None = None
        self.running: Running | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.limit: float | None = 0.0
        self.ending: Ending | None = None
        self.entered = True
        self.settled = False


def end(attempt: Attempt, ending: Ending) -> None:
    """End an attempt: an async handler is cancelled, one in a thread told by its token, one in a process killed.

    The first ending counts, but a withdrawn attempt tells nothing any more.
    """
    if ending is Ending.WITHDRAWN:
        attempt.settled = True
    if attempt.ending is not None:
        return
    attempt.ending = ending
    if attempt.context is not None:
        attempt.context.end()
    if attempt.running is not None and attempt.entered:
        attempt.running.cancel()
    if not attempt.settled:
        if attempt.timer is not None:
            attempt.timer.cancel()
        attempt.timer = asyncio.get_running_loop().call_later(ABANDON_SECONDS, _abandon, attempt)


def _abandon(attempt: Attempt) -> None:
    if not attempt.settled:
        log.warning(
            "a handler goes on although it was cancelled; its job is settled without it",
            extra={"queue": attempt.job.queue, "job": attempt.job.id},
        )
        settle_ending(attempt)
        if attempt.running is not None:
            attempt.running.cancel()


def settle(attempt: Attempt, outcome: Outcome) -> None:
    """Tell the queue what became of an attempt, once."""
    if not attempt.settled:
        attempt.settled = True
        if attempt.timer is not None:
            attempt.timer.cancel()
        attempt.owner.settled(attempt, outcome)


def settle_ending(attempt: Attempt) -> None:
    """Tell the queue what the ending stands for, if there is one that it wants to know."""
    if attempt.settled:
        return
    if attempt.ending is Ending.CANCELLED:
        settle(attempt, verdict.cancelled(attempt.job))
    elif attempt.ending is Ending.TIMED_OUT:
        handler = attempt.handler
        policy, home = (handler.policy, handler.home) if handler else (PLAIN, "")
        error = verdict.timed_out(attempt.body, attempt.limit if handler and handler.batch else None)
        settle(attempt, verdict.failed(attempt.job, attempt.body, error, policy, home))
