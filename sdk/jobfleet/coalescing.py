"""Concurrent enqueues of one process share round trips.

The first goes at once. Those that come while it is under way wait for it, and then go together, a thousand in a call,
or 4 MB: so a single enqueue is not held up, and many at a time cost next to nothing each.

Nobody waits for more than two calls that fail: when Redis gave one no answer, all who waited before it began hear so.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from jobfleet.errors import InvalidJob, QueueFull, Unavailable
from jobfleet.scripts.producing import BATCH, BATCH_BYTES, NewJob

T = TypeVar("T")
Send = Callable[[Sequence[NewJob]], Awaitable[list[str | None]]]
Waiting = tuple[NewJob, asyncio.Future[str | None]]


class Coalescer:
    """For one queue on one event loop. ``send`` enqueues a batch and answers for each job."""

    __slots__ = ("_busy", "_flush", "_queued", "_send")

    def __init__(self, send: Send) -> None:
        self._send = send
        self._queued: deque[Waiting] = deque()
        self._busy = False
        self._flush: asyncio.Task[None] | None = None

    async def enqueue(self, job: NewJob) -> str | None:
        """Enqueue one job; the answer and the errors are those of its own call."""
        if self._busy:
            future: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
            self._queued.append((job, future))
            return await future
        self._busy = True
        try:
            (answer,) = await self._send((job,))
            return answer
        finally:
            while self._queued and self._queued[0][1].done():  # when a loop ends all are, and nothing is begun
                self._queued.popleft()
            if self._queued:
                self._flush = asyncio.create_task(self._flush_queued())
            else:
                self._busy = False

    async def _flush_queued(self) -> None:
        try:
            while batch := self._next():
                before = len(self._queued)
                try:
                    await self._send_batch(batch)
                except Exception as error:  # noqa: BLE001 - it is handed to those who wait
                    _fail(batch, error)
                    if isinstance(error, Unavailable):
                        _fail([self._queued.popleft() for _ in range(before)], error)
                except asyncio.CancelledError:
                    for _, future in [*batch, *self._queued]:
                        future.cancel()
                    self._queued.clear()
                    raise
        finally:
            self._busy = False

    def _next(self) -> list[Waiting]:
        """What goes in the next call, without those whose producer waits no longer."""
        batch: list[Waiting] = []
        size = 0
        while self._queued and len(batch) < BATCH and size < BATCH_BYTES:
            waiting = self._queued.popleft()
            if not waiting[1].done():
                batch.append(waiting)
                size += len(waiting[0].body)
        return batch

    async def _send_batch(self, batch: list[Waiting]) -> None:
        try:
            answers = await self._send([job for job, _ in batch])
        except QueueFull as full:
            going, staying = _divided(batch, full)
            _fail(staying, full)
            if going:
                await self._send_batch(going)
        except InvalidJob as error:
            if len(batch) == 1:
                _fail(batch, error)
                return
            for one in batch:  # one of them is to blame: each goes by itself
                if not one[1].done():
                    await self._send_batch([one])
        else:
            for (_, future), answer in zip(batch, answers, strict=True):
                if not future.done():
                    future.set_result(answer)


def _divided(batch: Sequence[T], full: QueueFull) -> tuple[list[T], list[T]]:
    """Those of a refused batch for which there is room, or that need none, in their order; and the others.

    >>> full = QueueFull("photos", length=9, limit=10)
    >>> full.needless = frozenset({0, 3})
    >>> _divided("abcde", full)
    (['a', 'b', 'd'], ['c', 'e'])
    """
    room = full.room
    going: list[T] = []
    staying: list[T] = []
    for place, one in enumerate(batch):
        if place in full.needless:
            going.append(one)
        elif room:
            room -= 1
            going.append(one)
        else:
            staying.append(one)
    return going, staying


def _fail(batch: list[Waiting], error: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)
