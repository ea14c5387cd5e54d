"""The exchanges of one lane that are under way: their numbers, since when, and what they hand in. Pure."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from jobfleet.scripts.processing import MAX_BATCH, Outcome

AT_ONCE = 2
"""Exchanges under way at a time."""

WORTH_A_CALL = 32
"""So many outcomes do not wait for the end of the exchange under way. Fewer do: a call costs as much as some jobs."""


class Exchanges:
    """Numbers exchanges from 0 as they begin.

    >>> exchanges = Exchanges()
    >>> exchanges.room(outcomes=0), exchanges.begin([]), exchanges.begin([]), exchanges.room(outcomes=500)
    (True, 0, 1, False)
    >>> exchanges.end(0)
    >>> exchanges.room(outcomes=5), exchanges.room(outcomes=50), exchanges.oldest, exchanges.begun
    (False, True, 1, 2)
    """

    def __init__(self) -> None:
        self.begun = 0
        self._open: dict[int, tuple[float, Sequence[Outcome]]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def room(self, outcomes: int) -> bool:
        """Whether one more may begin, with so many outcomes to hand in."""
        others = len(self._open)
        return not others or (others < AT_ONCE and outcomes >= WORTH_A_CALL)

    def begin(self, outcomes: Sequence[Outcome]) -> int:
        """One begins; its number."""
        number, self.begun = self.begun, self.begun + 1
        self._open[number] = (time.monotonic(), outcomes)
        return number

    def end(self, number: int) -> None:
        """One is over, well or not."""
        del self._open[number]

    @property
    def oldest(self) -> int:
        """The number of the oldest one under way; where there is none, of the next."""
        return min(self._open, default=self.begun)

    def since(self) -> float:
        """When the oldest one under way began; where there is none, now. Seconds of the monotonic clock."""
        return min((begun for begun, _ in self._open.values()), default=time.monotonic())

    def ids(self) -> Iterator[str]:
        """The jobs whose outcomes are being handed in."""
        return (outcome.id for _, outcomes in self._open.values() for outcome in outcomes)


def most(slots: int, *, full: bool) -> int:
    """How many jobs one exchange may bring: a part of the slots where the queue is ``full`` of work.

    >>> most(200, full=True), most(200, full=False), most(10, full=True), most(5000, full=True)
    (100, 1000, 1000, 1000)
    """
    return min(slots // AT_ONCE, MAX_BATCH) if full and not one_by_one(slots) else MAX_BATCH


def one_by_one(slots: int) -> bool:
    """Whether so few slots never make a second exchange worth a call: then nothing is gained by a task for each.

    >>> one_by_one(10), one_by_one(200)
    (True, False)
    """
    return slots // AT_ONCE < WORTH_A_CALL
