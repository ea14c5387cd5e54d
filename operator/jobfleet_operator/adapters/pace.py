"""A rate limit for calls to the API server: a bucket of turns that fills steadily."""

import asyncio
import time
from collections.abc import Callable

CALLS_PER_SECOND = 100.0
BURST = 200.0


class Pace:
    """Grants turns: up to `burst` at once, `rate` a second in the long run, in the order of asking."""

    def __init__(
        self,
        rate: float = CALLS_PER_SECOND,
        burst: float = BURST,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._turns, self._at = burst, clock()

    async def turn(self) -> None:
        """Wait until it is this caller's turn."""
        now = self._clock()
        self._turns = min(self._burst, self._turns + (now - self._at) * self._rate)
        self._at = now
        self._turns -= 1
        if self._turns < 0:
            await asyncio.sleep(-self._turns / self._rate)
