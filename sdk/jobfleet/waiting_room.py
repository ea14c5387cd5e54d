"""Producers of one process that wait for room in a full queue share their looks: one asks now and then, for all."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence

from jobfleet.ending import end_tasks
from jobfleet.errors import InvalidJob, QueueFull
from jobfleet.scripts.producing import BATCH, NewJob, room_pause

Send = Callable[[Sequence[NewJob]], Awaitable[list[str | None]]]


class _Waiter:
    __slots__ = ("answer", "full", "job", "late", "sent")

    def __init__(self, job: NewJob, full: QueueFull, answer: asyncio.Future[str | None]) -> None:
        self.job, self.full, self.answer = job, full, answer
        self.sent = self.late = False

    def time_out(self) -> None:
        """Its time is over; what is under way may still arrive."""
        self.late = True
        if not self.sent and not self.answer.done():
            self.answer.set_exception(self.full.after(self.job.wait))


class WaitingRoom:
    """For one queue on one event loop: first come, first served. ``send`` enqueues a batch and answers for each job."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._waiting: OrderedDict[_Waiter, None] = OrderedDict()
        self._serving: asyncio.Task[None] | None = None

    async def enqueue(self, job: NewJob, full: QueueFull) -> str | None:
        """Enqueue a job that was refused with ``full``, as soon as there is room; the answer is that of its own call.

        Raises:
            QueueFull: there was none within the job's ``wait``; it was not accepted.
        """
        loop = asyncio.get_running_loop()
        waiter = _Waiter(job, full, loop.create_future())
        self._waiting[waiter] = None
        timer = loop.call_later(job.wait, waiter.time_out)
        if self._serving is None or self._serving.done():
            self._serving = asyncio.create_task(self._serve(), name="waiting room")
        try:
            return await waiter.answer
        finally:
            timer.cancel()
            self._waiting.pop(waiter, None)  # who has given up holds no room here behind one who waits for long

    async def _serve(self) -> None:
        most, tries = 1, 1
        await asyncio.sleep(room_pause(tries))
        while batch := self._next(most):
            try:
                answers = await self._send([waiter.job for waiter in batch])
            except QueueFull as full:
                self._back(batch, full)
                most = full.room or 1
                if not full.room:
                    tries += 1
                    await asyncio.sleep(room_pause(tries))
            except InvalidJob as error:  # alone, it is to blame
                if len(batch) == 1:
                    _settle(batch, error=error)
                else:
                    self._back(batch)
                most = max(1, len(batch) // 2)
            except asyncio.CancelledError:
                self._back(batch)
                raise
            except Exception as error:  # noqa: BLE001 - it is handed to those who wait
                _settle(batch, error=error)
            else:
                _settle(batch, answers)
                most, tries = min(2 * most, BATCH), 0

    def _next(self, most: int) -> list[_Waiter]:
        """The first of those that still wait."""
        batch: list[_Waiter] = []
        while self._waiting and len(batch) < most:
            waiter, _ = self._waiting.popitem(last=False)
            if not waiter.answer.done():
                waiter.sent = True
                batch.append(waiter)
        return batch

    def _back(self, batch: Sequence[_Waiter], full: QueueFull | None = None) -> None:
        """They wait on, those first whose turn it was; unless their time has run out."""
        for waiter in reversed(batch):
            waiter.sent, waiter.full = False, full or waiter.full
            if waiter.late:
                waiter.time_out()
            if not waiter.answer.done():
                self._waiting[waiter] = None
                self._waiting.move_to_end(waiter, last=False)

    async def close(self) -> None:
        """Those who still wait are cancelled. May be called twice."""
        await end_tasks(self._serving)
        for waiter in self._waiting:
            waiter.answer.cancel()


def _settle(batch: Sequence[_Waiter], answers: Sequence[str | None] = (), *, error: Exception | None = None) -> None:
    for n, waiter in enumerate(batch):
        if waiter.answer.done():
            continue
        if error is not None:
            waiter.answer.set_exception(error)
        else:
            waiter.answer.set_result(answers[n])
