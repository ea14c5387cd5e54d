"""What a lane listens to: the wake token of its queue while it is idle, and what this worker is told while jobs run.

Each waits on a connection of its own, for a bounded time, and goes on for ever.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from jobfleet import flows
from jobfleet.clients.asynchronous import AsyncClient
from jobfleet.errors import JobfleetError
from jobfleet.keys import queue_keys
from jobfleet.worker.holding import Holding

log = logging.getLogger("jobfleet.worker")

TROUBLE_SECONDS = 1.0
"""How long a lane waits after Redis gave no answer."""


async def for_work(
    client: AsyncClient, at: tuple[str, str], idle: asyncio.Event, woken: Callable[[], Awaitable[None]]
) -> None:
    """Take the wake token of the queue ``at`` whenever ``idle`` is set, and then call ``woken``; also after trouble."""
    wake = queue_keys(*at).wake
    while True:
        await idle.wait()
        idle.clear()
        try:
            found = await client.pop(wake)
        except JobfleetError as error:
            log.warning("the wait for work broke: %s", error, extra={"queue": at[1]})
            await asyncio.sleep(TROUBLE_SECONDS)
            found = True
        if found:
            await woken()


async def for_words(
    client: AsyncClient, at: tuple[str, str], worker: str, holding: Holding, look: Callable[[], None]
) -> None:
    """Carry out what ``worker`` is told, only while some jobs run: ``cancel <id> <attempt>``, or ``look``."""
    control = queue_keys(*at).control(worker)
    while True:
        if not holding:
            holding.occupied.clear()
            await holding.occupied.wait()
        try:
            told = await client.pop_value(control)
        except JobfleetError:
            await asyncio.sleep(TROUBLE_SECONDS)  # the listener for work says why
            continue
        match (told or b"").decode("utf-8", "replace").split():
            case ["cancel", job_id, attempt] if attempt.isdigit():
                holding.cancel(job_id, int(attempt))
            case [flows.LOOK]:
                look()
            case []:
                pass
            case _:
                log.warning("told something unheard of", extra={"queue": at[1], "told": told})
