"""What enqueues: one by one with shared round trips, in bulk, with or without an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

from jobfleet import checks, flows
from jobfleet.coalescing import Coalescer
from jobfleet.connections import Connections
from jobfleet.envelope import Envelope
from jobfleet.errors import QueueFull
from jobfleet.handlers import Registry
from jobfleet.ids import new_job_id
from jobfleet.options import JobOptions, Options, check_queue_name
from jobfleet.scripts import producing
from jobfleet.scripts.producing import NewJob
from jobfleet.waiting_room import WaitingRoom

if TYPE_CHECKING:
    from jobfleet.seal import Seal

Item = tuple[str, Mapping[str, Any], JobOptions]
"""A job's name, its arguments, and how it is to be treated."""


class Producer(Connections):
    """Enqueues named jobs, through the middleware of its registry; ``strict``: only those that it has declared."""

    def __init__(self, redis_url: str, realm: str, seal: Seal, *, strict: bool = False) -> None:
        super().__init__(redis_url, realm, seal)
        self.strict = strict
        self.registry = Registry()
        self._envelopes: dict[str, Envelope] = {}
        """The latest of each queue: the next job is often of the same kind."""
        self._coalescers: dict[asyncio.AbstractEventLoop, dict[str, Coalescer]] = {}
        self._rooms: dict[asyncio.AbstractEventLoop, dict[str, WaitingRoom]] = {}

    async def enqueue(self, queue: str, name: str, args: Mapping[str, Any], **options: Unpack[Options]) -> str:
        """Enqueue a job by name, with free-form arguments: for a service that does not hold the handler's code.

        Neither can be known to be right here, unless the fleet is ``strict``: a queue begins with its first job, and
        the handler may be in another service. A job that no worker has a handler for fails there.

        Errors as of :meth:`jobfleet.Job.enqueue`.
        """
        return await self.send_one(queue, (name, args, JobOptions(**options)))

    def enqueue_sync(self, queue: str, name: str, args: Mapping[str, Any], **options: Unpack[Options]) -> str:
        """As :meth:`enqueue`, from code without an event loop."""
        return self.send_one_sync(queue, (name, args, JobOptions(**options)))

    async def send_one(self, queue: str, item: Item) -> str:
        """Enqueue one named job; concurrent calls of one event loop share round trips."""
        (job,) = self._new_jobs(queue, (item,))
        coalescers = self._coalescers.setdefault(asyncio.get_running_loop(), {})
        coalescer = coalescers.get(queue)
        if coalescer is None:
            coalescer = coalescers[queue] = Coalescer(partial(self._send, queue))
        try:
            return await coalescer.enqueue(job) or job.id
        except QueueFull as full:
            if not job.wait:
                raise
            rooms = self._rooms.setdefault(asyncio.get_running_loop(), {})
            if queue not in rooms:
                rooms[queue] = WaitingRoom(partial(self._send, queue))
            return await rooms[queue].enqueue(job, full) or job.id

    async def _send(self, queue: str, jobs: Sequence[NewJob]) -> list[str | None]:
        return await self.client().run(producing.enqueue(self.realm, queue, jobs))

    async def send(self, queue: str, items: Sequence[Item]) -> list[str]:
        """Enqueue named jobs with their options, one round trip for every thousand, or 4 MB."""
        return await self.client().follow(flows.enqueue(self.realm, queue, self._new_jobs(queue, items)))

    def send_sync(self, queue: str, items: Sequence[Item]) -> list[str]:
        """As :meth:`send`, from code without an event loop."""
        return self.sync_client().follow(flows.enqueue(self.realm, queue, self._new_jobs(queue, items)))

    def send_one_sync(self, queue: str, item: Item) -> str:
        """Enqueue one named job, from code without an event loop."""
        jobs = self._new_jobs(queue, (item,))
        (job,) = jobs
        if job.wait:
            (job_id,) = self.sync_client().follow(flows.enqueue(self.realm, queue, jobs))
            return job_id
        (answer,) = self.sync_client().run(producing.enqueue(self.realm, queue, jobs))
        return answer or job.id

    def _new_jobs(self, queue: str, items: Iterable[Item]) -> list[NewJob]:
        check_queue_name(queue)
        jobs = []
        envelope = self._envelopes.get(queue)
        for name, args, options in self.registry.middleware.enqueueing(queue, items):
            if envelope is None or not envelope.fits(name, options):
                if self.strict:
                    self.registry.require(queue, name)
                envelope = self._envelopes[queue] = Envelope(queue, name, options, self.seal)
            if type(args) is not dict:
                args = dict(checks.mapping("args", args))  # noqa: PLW2901 - MessagePack takes no other mapping
            jobs.append(envelope.job(options.job_id or new_job_id(), args))
        return jobs

    async def _leave(self, loop: asyncio.AbstractEventLoop) -> None:
        for room in self._rooms.pop(loop, {}).values():
            await room.close()
        await super()._leave(loop)

    def _forget(self, loop: asyncio.AbstractEventLoop) -> None:
        self._coalescers.pop(loop, None)
        self._rooms.pop(loop, None)
        super()._forget(loop)
