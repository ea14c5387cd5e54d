"""The operator's window into the queues: all that it reads and writes in Redis goes through here.

Nothing behind this window knows of Kubernetes.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from jobfleet import environment, flows
from jobfleet.audit import NOBODY, Author
from jobfleet.clients.address import public_url
from jobfleet.clients.asynchronous import AsyncClient
from jobfleet.clients.patience import Patience
from jobfleet.dead_letters import carry
from jobfleet.ending import end_tasks
from jobfleet.errors import InspectionError, JobfleetError, Unavailable
from jobfleet.keys import WAKE_CHANNEL
from jobfleet.scripts import looking, processing, steering
from jobfleet.scripts.command import Command
from jobfleet.scripts.looking import Circuit, WorkerView
from jobfleet.scripts.steering import DRAIN_MS
from jobfleet.settings import QueueSettings

__all__ = [
    "DRAIN_MS",
    "HEALTH_PORT",
    "QUEUES_VARIABLE",
    "WORKER_NAME_VARIABLE",
    "Circuit",
    "InspectionError",
    "Inspector",
    "QueueAddress",
    "QueueSettings",
    "QueueSnapshot",
    "WorkerView",
    "connection_environment",
    "end_tasks",
    "worker_environment",
]

WORKER_NAME_VARIABLE = environment.WORKER
QUEUES_VARIABLE = environment.QUEUES
"""Names with commas between them, as `worker_environment` writes it."""
HEALTH_PORT = 8081

_PATIENCE = Patience(total=2.0)
"""The operator would rather hold and say so than wait: it comes round every second anyway."""

_WRITES_AT_ONCE = 16
"""Each takes a connection while it lasts, and a thousand queues may want to be written to in one moment."""
_PROMOTE_AT_ONCE = 1000
_RELISTEN_SECONDS = 1.0


@dataclass(frozen=True, slots=True, order=True)
class QueueAddress:
    """A queue's place in a Redis: the realm (in Kubernetes the namespace) and its name.

    >>> str(QueueAddress("shop", "photos")), QueueAddress.parse("shop/photos").queue
    ('shop/photos', 'photos')
    """

    realm: str
    queue: str

    def __str__(self) -> str:
        return f"{self.realm}/{self.queue}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The address that ``str()`` of it wrote.

        Raises:
            ValueError: there is no slash in it.
        """
        realm, slash, queue = text.partition("/")
        if not slash:
            raise ValueError(f"{text!r} is no queue's address; it has the form realm/queue")
        return cls(realm, queue)


@dataclass(frozen=True, slots=True)
class QueueSnapshot:
    """A queue at one instant of Redis' clock.

    Attributes:
        waiting, active, delayed, delayed_due, completed, failed, cancelled: jobs now in that state (and kept).
        delayed_soon: delayed jobs that are not due and will be within the time that was asked for.
        forwarding: failed jobs on their way to the dead-letter queue.
        oldest_waiting_ms: when the oldest waiting job became ready, Unix ms.
        next_due_ms: when the next delayed job is due, Unix ms.
        enqueued_total … cancelled_total, finished_total, busy_ms_total: counters that only grow, of jobs, of attempts
            that came to an end, and of the milliseconds these ran.
        settings: what Redis holds; None: nothing was ever pushed.
        circuits_open, circuits: how many circuits are not closed, and up to twenty of them.
    """

    address: QueueAddress
    now_ms: int
    waiting: int
    active: int
    delayed: int
    delayed_due: int
    completed: int
    failed: int
    cancelled: int
    forwarding: int
    oldest_waiting_ms: int | None
    next_due_ms: int | None
    enqueued_total: int
    completed_total: int
    failed_total: int
    retried_total: int
    reclaimed_total: int
    cancelled_total: int
    busy_ms_total: int
    finished_total: int
    settings: QueueSettings | None
    workers: tuple[WorkerView, ...]
    delayed_soon: int = 0
    circuits_open: int = 0
    circuits: tuple[Circuit, ...] = ()

    @property
    def backlog(self) -> int:
        """Jobs that want a worker now: waiting, active, and delayed ones that are due."""
        return self.waiting + self.active + self.delayed_due

    @property
    def needy(self) -> bool:
        """Whether a due job waits to be promoted, a worker's lease has ended, or nobody is there to forward."""
        return self.delayed_due > 0 or any(worker.lease_ms < 0 for worker in self.workers) or self.abandoned

    @property
    def abandoned(self) -> bool:
        """Whether failed jobs are to be forwarded, and no live worker is there to do it."""
        return self.forwarding > 0 and all(worker.lease_ms < 0 for worker in self.workers)


class Inspector:
    """One Redis, seen by an operator. Every method raises :class:`InspectionError` when Redis gives no answer.

    What changes something tells the queue's audit so, in the same call: ``actor`` did it, because of ``why``.

    Raises:
        ConfigurationError: the URL is none of Redis.
    """

    def __init__(self, url: str, actor: str = NOBODY.who) -> None:
        self.url = url
        self._actor = actor
        self._client = AsyncClient(url, _PATIENCE)
        self._writes = asyncio.Semaphore(_WRITES_AT_ONCE)
        self._read_at = 0.0
        self._trouble_until = 0.0
        self._refused_at: dict[QueueAddress, float] = {}
        """When each queue was unreadable last though Redis answered, of the last few seconds."""

    def _by(self, why: str) -> Author:
        return Author(self._actor, why)

    @contextlib.asynccontextmanager
    async def _asking(self) -> AsyncIterator[None]:
        """Translates errors, and notes trouble: right after an outage leases have ended that nobody could renew.

        What one queue refuses is no trouble of the others.
        """
        try:
            yield
        except JobfleetError as error:
            if isinstance(error, Unavailable):
                self._trouble_until = time.monotonic() + processing.LEASE_MS / 1000
            raise InspectionError(str(error)) from error

    @contextlib.asynccontextmanager
    async def _writing(self) -> AsyncIterator[None]:
        """As `_asking`, for what changes one queue: only so many at a time."""
        async with self._writes, self._asking():
            yield

    async def snapshots(
        self, addresses: Iterable[QueueAddress], ahead_ms: Mapping[QueueAddress, int] | None = None
    ) -> dict[QueueAddress, QueueSnapshot]:
        """All these queues in one round trip; `ahead_ms` says how far to look ahead at their delayed jobs."""
        found, unreadable = await self.read(addresses, ahead_ms)
        for message in unreadable.values():
            raise InspectionError(message)
        return found

    async def read(
        self, addresses: Iterable[QueueAddress], ahead_ms: Mapping[QueueAddress, int] | None = None
    ) -> tuple[dict[QueueAddress, QueueSnapshot], dict[QueueAddress, str]]:
        """As `snapshots`, of those queues that can be read; and why the others cannot, though Redis answers."""
        wanted = list(addresses)
        if not wanted:
            return {}, {}
        async with self._asking():
            answers = await self._client.run_each(
                [looking.inspect(a.realm, a.queue, (ahead_ms or {}).get(a, 0)) for a in wanted]
            )
        found: dict[QueueAddress, QueueSnapshot] = {}
        unreadable: dict[QueueAddress, str] = {}
        for address, answer in zip(wanted, answers, strict=True):
            if isinstance(answer, JobfleetError):
                unreadable[address] = str(answer)
            else:
                found[address] = _snapshot(address, answer)
        self._note_reading(unreadable)
        return found, unreadable

    def _note_reading(self, unreadable: Iterable[QueueAddress]) -> None:
        """What could not be read for a while may have leases that ended only because nobody could renew them."""
        now, lease = time.monotonic(), processing.LEASE_MS / 1000
        if now - self._read_at > lease / 2:
            self._trouble_until = now + lease
        self._read_at = now
        self._refused_at = {address: at for address, at in self._refused_at.items() if now - at < lease}
        self._refused_at |= dict.fromkeys(unreadable, now)

    def _calm(self, address: QueueAddress) -> bool:
        """Whether a lease that has ended there can be taken for its worker's end."""
        now, lease = time.monotonic(), processing.LEASE_MS / 1000
        return now >= self._trouble_until and now - self._refused_at.get(address, -lease) >= lease

    async def apply_settings(self, address: QueueAddress, settings: QueueSettings, why: str = "") -> None:
        """Write all settings of a queue."""
        async with self._writing():
            await self._client.follow(flows.configure(address.realm, address.queue, settings.stored(), self._by(why)))

    async def drain(self, address: QueueAddress, worker_ids: Sequence[str], why: str = "") -> dict[str, int]:
        """Those workers get no job for ``DRAIN_MS``; returns what each holds at that instant, -1 for an unknown one.

        A name in place of an id holds for the worker of that name that registers meanwhile, from its first moment.
        Tell them again before that is over, for as long as they are to be drained: without an operator they go on.
        """
        if not worker_ids:
            return {}
        async with self._writing():
            return await self._client.run(steering.drain(address.realm, address.queue, worker_ids, by=self._by(why)))

    async def undrain(self, address: QueueAddress, worker_ids: Sequence[str], why: str = "") -> None:
        """Those workers get jobs again."""
        if worker_ids:
            async with self._writing():
                await self._client.run(steering.undrain(address.realm, address.queue, worker_ids, self._by(why)))

    async def reclaim(self, address: QueueAddress, worker_ids: Sequence[str], why: str = "") -> int:
        """Give back the jobs of workers that are known to be dead, whatever their leases say; returns how many."""
        if not worker_ids:
            return 0
        place, by = (address.realm, address.queue), self._by(why)
        async with self._writing():
            taken = await self._client.run_many(
                [processing.reclaim(*place, worker, known_dead=True, by=by) for worker in worker_ids]
            )
        return sum(taken)

    async def tend(self, snapshots: Iterable[QueueSnapshot]) -> None:
        """Do what no worker may be there to do: promote due jobs, reclaim from workers whose lease has ended, forward.

        What is to be done follows from the snapshots, which should be fresh; all of it takes one round trip (what is
        forwarded takes its own), and none where nothing is to be done. A worker that has renewed its lease since is
        left alone.

        For one lease after trouble with Redis or with that queue, and after a pause between two readings of snapshots,
        nothing is reclaimed: whatever held this one up may have kept live workers from renewing theirs.

        A queue that refuses holds no other up; the first refusal is raised in the end.
        """
        snapshots = list(snapshots)
        commands: list[Command[int]] = []
        for seen in snapshots:
            place = seen.address
            if seen.delayed_due:
                commands.append(processing.promote(place.realm, place.queue, _PROMOTE_AT_ONCE))
            overdue = [worker.id for worker in seen.workers if worker.lease_ms < 0] if self._calm(place) else []
            commands += [processing.reclaim(place.realm, place.queue, w, known_dead=False) for w in overdue]
        refusals: list[JobfleetError] = []
        async with self._asking():
            if commands:
                answers = await self._client.run_each(commands)
                refusals += [answer for answer in answers if isinstance(answer, JobfleetError)]
            for seen in snapshots:
                if not (seen.abandoned and self._calm(seen.address)):
                    continue
                try:
                    await self._client.follow(carry(seen.address.realm, seen.address.queue))
                except Unavailable:
                    raise
                except JobfleetError as error:
                    refusals.append(error)
        if refusals:
            raise InspectionError(str(refusals[0])) from refusals[0]

    async def purge(self, address: QueueAddress, why: str = "") -> int:
        """Delete the queue with all that is in it but its audit; returns the jobs removed."""
        async with self._asking():
            reading = await self._client.run(looking.inspect(address.realm, address.queue))
            workers = [worker.id for worker in reading.workers]
            return await self._client.run(steering.purge(address.realm, address.queue, workers, self._by(why)))

    async def record(
        self, addresses: Iterable[QueueAddress], verb: str, workers: int, what: str, why: str = ""
    ) -> None:
        """Tell the audit of these queues what was done outside of Redis, in one round trip; to so many workers."""
        async with self._writing():
            await self._client.run_many(
                [steering.record(a.realm, a.queue, self._by(why), verb, workers, what) for a in addresses]
            )

    async def wakes(self) -> AsyncIterator[QueueAddress]:
        """Yields a queue's address when it got work while it was empty. Reconnects by itself and never ends."""
        while True:
            try:
                async for message in self._client.listen(WAKE_CHANNEL):
                    if message:
                        yield QueueAddress.parse(message)
            except JobfleetError:
                await asyncio.sleep(_RELISTEN_SECONDS)

    async def close(self) -> None:
        """Give the connections back. May be called twice."""
        await self._client.close()

    def __repr__(self) -> str:
        return f"Inspector({public_url(self.url)!r})"


def _snapshot(address: QueueAddress, reading: looking.QueueReading) -> QueueSnapshot:
    return QueueSnapshot(
        address=address,
        now_ms=reading.now_ms,
        waiting=reading.count("waiting"),
        active=reading.count("active"),
        delayed=reading.delayed,
        delayed_due=reading.delayed_due,
        completed=reading.completed,
        failed=reading.failed,
        cancelled=reading.cancelled,
        forwarding=reading.forwarding,
        oldest_waiting_ms=reading.oldest_waiting_ms,
        next_due_ms=reading.next_due_ms,
        enqueued_total=reading.count("enqueued"),
        completed_total=reading.count("completed"),
        failed_total=reading.count("failed"),
        retried_total=reading.count("retried"),
        reclaimed_total=reading.count("reclaimed"),
        cancelled_total=reading.count("cancelled"),
        busy_ms_total=reading.count("busy_ms"),
        finished_total=reading.count("finished"),
        settings=reading.settings,
        workers=reading.workers,
        delayed_soon=reading.delayed_soon,
        circuits_open=reading.circuits_open,
        circuits=reading.circuits,
    )


def worker_environment(
    *, queues: Sequence[str], concurrency: int, drain_seconds: int, pool: str, health_port: int = HEALTH_PORT
) -> dict[str, str]:
    """What a worker's container must find in its environment, beside the connection and its own name."""
    return {
        environment.QUEUES: ",".join(queues),
        environment.CONCURRENCY: str(concurrency),
        environment.DRAIN_SECONDS: str(drain_seconds),
        environment.POOL: pool,
        environment.HEALTH_PORT: str(health_port),
    }


def connection_environment(*, redis_url: str, realm: str) -> dict[str, str]:
    """What a producer's or a worker's container must find in its environment to reach its queues."""
    return {environment.REDIS_URL: redis_url, environment.REALM: realm}
