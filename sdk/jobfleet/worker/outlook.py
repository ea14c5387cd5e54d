"""What a worker believes of its queue: whether it may ask for jobs, whether there are some, and when to look. Pure."""

from __future__ import annotations

import time

from jobfleet.scripts.processing import Grant, Hold, Pulse


class Outlook:
    """Follows from what exchanges and heartbeats say, and from what this worker was told.

    Attributes:
        flood: whether the queue lately gave as many jobs as were asked for.
        hold: why Redis hands this worker nothing.
        paused: whether this worker was told to claim nothing for now.
        stopping: whether it was told to claim nothing any more.

    >>> outlook = Outlook()
    >>> outlook.wants
    True
    >>> outlook.note(0, Grant(0, 0, Hold.NONE, again=False, resume_ms=250, refused=(), jobs=[]), want=5)
    >>> outlook.wants, outlook.may_claim, round(outlook.wait(10.0), 1)
    (False, True, 0.2)
    >>> outlook.look_round()
    >>> outlook.wants
    True
    """

    __slots__ = ("_due_at", "_more", "_noted", "flood", "hold", "paused", "stopping")

    def __init__(self) -> None:
        self._more = True
        self._noted = 0
        self._due_at: float | None = None
        self.flood = False
        self.hold = Hold.NONE
        self.paused = False
        self.stopping = False

    @property
    def wants(self) -> bool:
        """Whether to ask for jobs now."""
        return self._more and self.hold is Hold.NONE and not (self.stopping or self.paused)

    @property
    def may_claim(self) -> bool:
        """Whether to ask for jobs when there are some: a paused queue may be resumed any time."""
        return self.hold is not Hold.DRAINING and not (self.stopping or self.paused)

    def wait(self, most: float) -> float:
        """How many seconds to wait for a wake token until something falls due, at most ``most``."""
        return most if self._due_at is None else min(most, max(0.001, self._due_at - time.monotonic()))

    def note(self, number: int, grant: Grant, want: int) -> None:
        """An exchange asked for ``want`` jobs and was answered; what an earlier one than the latest says is old."""
        if number < self._noted:
            return
        self._noted = number
        self.hold = grant.hold
        if want > 0:
            self.flood = len(grant.jobs) == want
            self._more = grant.again or self.flood
        self._due_at = None
        if due_ms := min((ms for ms in (grant.next_due_ms, grant.resume_ms) if ms), default=0):
            self._due_at = time.monotonic() + max(0, due_ms - grant.now_ms) / 1000

    def beat(self, pulse: Pulse) -> bool:
        """A heartbeat says whether this worker is drained; whether that is news."""
        news = pulse.draining is not (self.hold is Hold.DRAINING)
        if news:
            self.hold = Hold.DRAINING if pulse.draining else Hold.NONE
            self._more = True
        return news

    def look_round(self) -> None:
        """Believe nothing about the queue but what the next exchange says."""
        self._more = True
        if self.hold.paused:
            self.hold = Hold.NONE
