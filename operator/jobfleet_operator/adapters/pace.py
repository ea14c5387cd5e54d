"""Manners towards the API server: so many calls at a time, so many a second, the urgent ones first."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import IntEnum
from heapq import heappop, heappush
from itertools import count

CALLS_PER_SECOND = 200.0
BURST = 200.0
AT_ONCE = 16
"""Calls under way at one time; the others wait here, so that time-outs count the server's time only."""
KEPT_FREE = 4
"""Of these so many are not for telling: what jobs wait for need not wait for a status to be written."""
PROBE_SECONDS = 1.0
"""Between two writes after the server has asked to wait, until one goes through."""


class Urgency(IntEnum):
    """Which calls go first when there are more than the pace allows."""

    SCALING = 0
    """Jobs wait for it."""
    UPKEEP = 1
    TELLING = 2
    """Status and Events: nothing waits for them."""


class Pace:
    """Grants turns by urgency, and among equals in the order of asking."""

    def __init__(
        self,
        rate: float = CALLS_PER_SECOND,
        burst: float = BURST,
        at_once: int = AT_ONCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._tokens, self._at = burst, clock()
        self._free, self._kept_free = at_once, min(KEPT_FREE, at_once - 1)
        self._waiting: list[tuple[Urgency, int, asyncio.Future[None]]] = []
        self._order = count()
        self._probe_at: float | None = None
        """While the server asks to wait: when the next write may try."""

    def told(self, *, to_wait: bool) -> None:
        """Note whether the answer to a write asked to wait."""
        self._probe_at = self._clock() + PROBE_SECONDS if to_wait else None

    def lets_through(self) -> bool:
        """Whether a write may be sent; while the server asks to wait, one is tried now and then, until one succeeds.

        Who was told to wait does so for as long as told; this keeps a thousand others from being told the same.
        """
        if self._probe_at is None:
            return True
        now = self._clock()
        if now < self._probe_at:
            return False
        self._probe_at = now + PROBE_SECONDS
        return True

    @asynccontextmanager
    async def turn(self, urgency: Urgency) -> AsyncIterator[None]:
        """Wait for a turn, hold it for the time of the call."""
        if self._may_go(urgency) and not self._next_up(urgency):
            self._free -= 1
        else:
            await self._wait(urgency)
        try:
            self._tokens = min(self._burst, self._tokens + (self._clock() - self._at) * self._rate) - 1
            self._at = self._clock()
            # A scaling call goes at once, and the others make up for it.
            if self._tokens < 0 and urgency is not Urgency.SCALING:
                await asyncio.sleep(-self._tokens / self._rate)
            yield
        finally:
            self._free += 1
            self._call_up()

    def _may_go(self, urgency: Urgency) -> bool:
        return self._free > (self._kept_free if urgency is Urgency.TELLING else 0)

    def _next_up(self, urgency: Urgency) -> bool:
        """Whether somebody waits who goes first."""
        return any(other <= urgency and not turn.done() for other, _, turn in self._waiting[:1])

    async def _wait(self, urgency: Urgency) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heappush(self._waiting, (urgency, next(self._order), turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._free += 1
                self._call_up()
            raise

    def _call_up(self) -> None:
        """Give what is free to those who wait; who has given up waiting is passed over."""
        while self._waiting and self._may_go(self._waiting[0][0]):
            _, _, turn = heappop(self._waiting)
            if not turn.done():
                self._free -= 1
                turn.set_result(None)
