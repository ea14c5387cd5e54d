"""Manners towards the API server: so many calls at a time, so many a second, the urgent ones first."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import IntEnum
from heapq import heappop, heappush
from itertools import count

CALLS_PER_SECOND = 100.0
BURST = 200.0
AT_ONCE = 16
"""Calls under way at one time; the others wait here, so that time-outs count the server's time only."""


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
        self._free = at_once
        self._waiting: list[tuple[Urgency, int, asyncio.Future[None]]] = []
        self._order = count()

    @asynccontextmanager
    async def turn(self, urgency: Urgency) -> AsyncIterator[None]:
        """Wait for a turn, hold it for the time of the call."""
        if self._free and not self._waiting:
            self._free -= 1
        else:
            await self._wait(urgency)
        try:
            await self._keep_to_the_rate()
            yield
        finally:
            self._pass_on()

    async def _wait(self, urgency: Urgency) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heappush(self._waiting, (urgency, next(self._order), turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            _, _, turn = heappop(self._waiting)
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    async def _keep_to_the_rate(self) -> None:
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        self._tokens -= 1
        if self._tokens < 0:
            await asyncio.sleep(-self._tokens / self._rate)
