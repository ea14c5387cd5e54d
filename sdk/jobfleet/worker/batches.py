"""Batch handlers: gathers jobs of one name, runs them in one call, and lets each end by itself.

A batch takes one slot, from its first job on; the slots of the jobs that join it come free at once, so that a batch
may be larger than the worker has slots.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from jobfleet.arguments import ItemArguments
from jobfleet.batch import BatchItem
from jobfleet.handlers import Handler
from jobfleet.middleware import wrapped
from jobfleet.worker import verdict
from jobfleet.worker.attempt import Attempt, Ending, end, settle, settle_ending

Place = Callable[[Handler, dict[str, Any], Callable[[], None]], Awaitable[Any]]
"""Runs a handler with arguments where it is to run; the last is called if it is cancelled and cannot be ended."""


class Batch:
    """Jobs that wait to be run together, or are."""

    def __init__(self, handler: Handler, first: Attempt) -> None:
        self.handler = handler
        self.owner = first.owner
        self.members: dict[str, Member] = {}
        self.timer: asyncio.TimerHandle | None = None
        self.task: asyncio.Task[None] | None = None

    def leave(self, member: Member) -> None:
        """Let one job go, with the outcome that its ending stands for. The last one takes the call with it."""
        settle_ending(member.attempt)
        if self.task is None:
            del self.members[member.attempt.job.id]
        elif all(other.attempt.settled for other in self.members.values()):
            self.task.cancel()

    def time_out(self) -> None:
        """End all that have no verdict yet."""
        for member in list(self.members.values()):
            end(member.attempt, Ending.TIMED_OUT)

    def tell(self) -> None:
        """The call is over and its thread cannot be ended: tell it by each job's token."""
        for member in self.members.values():
            member.item.job.end()


class Member:
    """One job's place in a batch: what its attempt's ``running`` is."""

    __slots__ = ("attempt", "batch", "item")

    def __init__(self, batch: Batch, attempt: Attempt, item: BatchItem[Any]) -> None:
        self.batch, self.attempt, self.item = batch, attempt, item

    def cancel(self) -> None:
        """The job leaves; the others go on."""
        self.batch.leave(self)

    def decide(self, result: Any, error: BaseException | None) -> None:
        """Tell the queue, unless it knows already."""
        if not self.attempt.settled:
            job, handler = self.attempt.job, self.batch.handler
            if error is None:
                settle(self.attempt, verdict.completed(job, result))
            else:
                settle(self.attempt, verdict.failed(job, self.attempt.body, error, handler.policy, handler.home))


class Batches:
    """All batches of one worker. Only for the event loop's thread."""

    def __init__(self, around: Sequence[Any], place: Place) -> None:
        self._around = around
        self._place = place
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._forming: dict[tuple[str, str], Batch] = {}
        self._hurried = False

    def add(self, attempt: Attempt, handler: Handler, args: Any) -> None:
        """Put a job into the batch that is forming, or begin one with it."""
        key = (handler.queue, handler.name)
        batch = self._forming.get(key)
        if batch is None:
            batch = self._forming[key] = Batch(handler, attempt)
            batch.timer = self._loop.call_later(0 if self._hurried else handler.batch_wait, self._begin, key)
        else:
            attempt.owner.freed()
        assert attempt.context is not None  # noqa: S101 - set by the only caller
        item = BatchItem(args, attempt.context, lambda result, error: self._told(member, result, error))
        member = attempt.running = Member(batch, attempt, item)
        batch.members[attempt.job.id] = member
        if len(batch.members) >= handler.batch:
            self._begin(key)

    def _told(self, member: Member, result: Any, error: BaseException | None) -> None:
        if threading.get_ident() == self._thread:
            member.decide(result, error)
        else:
            self._loop.call_soon_threadsafe(member.decide, result, error)

    def flush(self) -> None:
        """Begin what is forming: nothing more will come but by claims that are under way, and that begins at once."""
        self._hurried = True
        for key in list(self._forming):
            self._begin(key)

    def _begin(self, key: tuple[str, str]) -> None:
        batch = self._forming.pop(key, None)
        if batch is None:
            return
        if batch.timer is not None:
            batch.timer.cancel()
        if not batch.members:  # all have left; the slot of the first one was the batch's
            batch.owner.freed()
            return
        bodies = (member.attempt.body for member in batch.members.values())
        limit = min((body.timeout for body in bodies if body and body.timeout is not None), default=None)
        batch.timer = None if limit is None else self._loop.call_later(limit, batch.time_out)
        for member in batch.members.values():
            member.attempt.limit = limit
        batch.task = asyncio.create_task(self._run(batch), name=f"batch {batch.handler.name}")
        batch.task.add_done_callback(lambda _: batch.owner.freed())

    async def _run(self, batch: Batch) -> None:
        handler, members = batch.handler, list(batch.members.values())
        assert isinstance(handler.arguments, ItemArguments)  # noqa: S101 - Handler.of saw to it
        kwargs = {handler.arguments.parameter: [member.item for member in members]}
        error: BaseException | None = None
        try:
            call = wrapped(
                self._around,
                [member.item.job for member in members],
                lambda: self._place(handler, kwargs, batch.tell),
            )
            await call()
        except BaseException as raised:  # noqa: BLE001 - the jobs' failure
            error = raised
        if batch.timer is not None:
            batch.timer.cancel()
        for member in members:
            if not member.item.decided:
                member.decide(None, error)
