"""Waiting for the end of jobs: one subscription for a queue and event loop, however many wait; nobody polls."""

from __future__ import annotations

import asyncio
import contextlib

from jobfleet.clients.asynchronous import AsyncClient
from jobfleet.clients.blocking import LOOK_AGAIN_SECONDS
from jobfleet.ending import end_tasks
from jobfleet.errors import JobfleetError, Unavailable
from jobfleet.job import JobView
from jobfleet.keys import queue_keys
from jobfleet.scripts import looking
from jobfleet.seal import Seal


class Ends:
    """Hears of the ends of a queue's jobs, from the first wait until it is closed."""

    def __init__(self, client: AsyncClient, realm: str, queue: str, seal: Seal) -> None:
        self._seal = seal
        self._client, self._realm, self._queue = client, realm, queue
        self._channel = queue_keys(realm, queue).ends
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._listener: asyncio.Task[None] | None = None
        self._closed = False

    async def wait(self, job_id: str, timeout: float | None) -> JobView | None:  # noqa: ASYNC109 - the field's word
        """The job when it has ended; None where it is unknown.

        Raises:
            TimeoutError: it has not ended in ``timeout`` seconds.
        """
        event = asyncio.Event()
        self._waiting.setdefault(job_id, set()).add(event)
        if self._listener is None or self._listener.done():
            self._listener = asyncio.create_task(self._listen(), name=f"ends {self._queue}")
        hasty = timeout is not None and timeout <= 0  # one look there must be
        try:
            async with asyncio.timeout(None if hasty else timeout):
                while True:
                    if self._closed:
                        raise Unavailable(f"the fleet was closed while job {job_id} was waited for")
                    event.clear()
                    view = await self._client.run(looking.await_end(self._realm, self._queue, job_id, seal=self._seal))
                    if view is None or view.state.terminal:
                        return view
                    if hasty:
                        break
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(LOOK_AGAIN_SECONDS):  # wait_for loses a cancel on Python 3.11
                            await event.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting[job_id].discard(event)
            if not self._waiting[job_id]:
                del self._waiting[job_id]
        raise TimeoutError(f"job {job_id} has not ended in {timeout} s")

    async def _listen(self) -> None:
        while not self._closed:
            try:
                async for message in self._client.listen(self._channel):
                    heard = [message] if message else list(self._waiting)
                    for event in [event for job_id in heard for event in self._waiting.get(job_id, ())]:
                        event.set()
            except JobfleetError:
                await asyncio.sleep(1.0)

    async def close(self) -> None:
        """Stop listening. May be called twice."""
        self._closed = True
        for event in [event for waiting in self._waiting.values() for event in waiting]:
            event.set()
        await end_tasks(self._listener)
