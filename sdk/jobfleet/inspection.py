"""The operator's window into the queues: all that it reads and writes in Redis goes through here.

Nothing behind this window knows of Kubernetes.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

from jobfleet import environment, flows
from jobfleet.audit import NOBODY, Author
from jobfleet.clients.address import check_url, public_url
from jobfleet.clients.asynchronous import AsyncClient
from jobfleet.clients.patience import Patience
from jobfleet.dead_letters import carry
from jobfleet.ending import end_tasks
from jobfleet.errors import ConfigurationError, InspectionError, JobfleetError, Unavailable
from jobfleet.keys import WAKE_CHANNEL
from jobfleet.scripts import looking, processing, steering
from jobfleet.scripts.command import Command
from jobfleet.scripts.looking import Circuit, WorkerView
from jobfleet.scripts.steering import DRAIN_MS
from jobfleet.settings import QueueSettings
from jobfleet.snapshots import QueueAddress, QueueSnapshot

__all__ = [
    "DRAIN_MS",
    "HEALTH_PORT",
    "HEALTH_PORT_VARIABLE",
    "QUEUES_VARIABLE",
    "WORKER_NAME_VARIABLE",
    "Circuit",
    "ConfigurationError",
    "InspectionError",
    "Inspector",
    "QueueAddress",
    "QueueSettings",
    "QueueSnapshot",
    "WorkerView",
    "check_url",
    "connection_environment",
    "end_tasks",
    "worker_environment",
]

WORKER_NAME_VARIABLE = environment.WORKER
QUEUES_VARIABLE = environment.QUEUES
"""Names with commas between them, as `worker_environment` writes it."""
HEALTH_PORT_VARIABLE = environment.HEALTH_PORT
HEALTH_PORT = 8081

_PATIENCE = Patience(total=2.0)
"""The operator would rather hold and say so than wait: it comes round every second anyway."""

_WRITES_AT_ONCE = 16
"""Each takes a connection while it lasts, and a thousand queues may want to be written to in one moment."""
_PROMOTE_AT_ONCE = 1000
_RELISTEN_SECONDS = 1.0


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
                found[address] = QueueSnapshot.of(address, answer)
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
