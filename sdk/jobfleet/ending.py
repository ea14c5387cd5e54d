"""Ends asyncio tasks that speak to Redis."""

from __future__ import annotations

import asyncio
from typing import Any

PATIENCE_SECONDS = 0.1


async def end_tasks(*tasks: asyncio.Task[Any] | None) -> None:
    """Cancel tasks until they have ended; what they raise is not seen.

    One cancel may not do: redis-py can swallow it while it makes a connection or gives one up.
    """
    given = {task for task in tasks if task is not None}
    left = {task for task in given if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=PATIENCE_SECONDS)
    for task in given:
        if not task.cancelled():
            task.exception()
