"""The second door to the same rooms, for code that names queues and jobs at run time. A facade: no logic of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, Unpack

from jobfleet.audit import AuditEntry
from jobfleet.environment import DEFAULT_REALM, Environment
from jobfleet.errors import ConfigurationError, Unavailable
from jobfleet.fleet import Fleet
from jobfleet.flows import FailureFilter
from jobfleet.handlers import Handler, Treatment
from jobfleet.job import JobLog, JobView
from jobfleet.options import JobOptions, Options
from jobfleet.queues import ANY
from jobfleet.scripts import steering
from jobfleet.scripts.steering import Cancellation
from jobfleet.status import QueueStatus
from jobfleet.worker.settings import WorkerSettings

if TYPE_CHECKING:
    from jobfleet.worker.supervision import Worker

log = logging.getLogger("jobfleet.coordinator")

AS_IT_IS = Treatment()


@dataclass(frozen=True, slots=True)
class SimpleConfig:
    """Where the queues are, and which."""

    redis_url: str
    realm: str = DEFAULT_REALM
    queues: tuple[str, ...] = ()
    actor: str = ""
    """Who acts, as of :class:`jobfleet.Fleet`."""


@dataclass(frozen=True, slots=True)
class Health:
    """Whether Redis answers and what is wrong, a sentence each; healthy where nothing is."""

    redis: bool
    problems: tuple[str, ...]

    @property
    def healthy(self) -> bool:
        """Whether there is nothing to tell."""
        return self.redis and not self.problems


def create_simple_config(host: str = "localhost", port: int = 6379, *, queues: Iterable[str] = ()) -> SimpleConfig:
    """The configuration for a Redis without a password at ``host``:``port``.

    Raises:
        ConfigurationError: ``queues`` is one text and no list of names.
    """
    if isinstance(queues, str):
        raise ConfigurationError(f"queues: {queues!r} is one text and no list of names; write queues=({queues!r},)")
    return SimpleConfig(f"redis://{host}:{port}/0", queues=tuple(queues))


class _Facade:
    """What both coordinators share: a fleet, and the names of the queues that it was told of."""

    def __init__(self, config: SimpleConfig) -> None:
        self.fleet = Fleet(config.redis_url, realm=config.realm, actor=config.actor)
        self._queues = set(config.queues)

    def _known(self) -> list[str]:
        return sorted(self._queues | set(self.fleet.registry.queues()))

    def _register(
        self, queue: str, name: str, function: Callable[..., Any], options: Options, treatment: Treatment
    ) -> None:
        self.fleet.registry.add(Handler.of(function, queue, name, JobOptions(**options), treatment))


def _health(statuses: Mapping[str, QueueStatus]) -> Health:
    return Health(True, tuple(f"{q}: {problem}" for q, status in statuses.items() for problem in status.problems()))


class JobQueueCoordinator(_Facade):
    """Async; ``async with JobQueueCoordinator(create_simple_config(...)) as queues`` initializes and shuts down."""

    def __init__(self, config: SimpleConfig) -> None:
        super().__init__(config)
        self._workers: list[tuple[Worker, asyncio.Task[None]]] = []

    async def initialize(self) -> None:
        """Make sure that Redis answers.

        Raises:
            Unavailable: it does not.
        """
        await self.fleet.status("jobfleet")

    async def shutdown(self) -> None:
        """Drain and end the workers that were registered here, and give the connections back."""
        for worker, _ in self._workers:
            worker.stop()
        for _, task in self._workers:
            await task
        self._workers.clear()
        await self.fleet.close()

    async def enqueue_job(self, queue: str, data: Mapping[str, Any], **options: Unpack[Options]) -> str:
        """Enqueue a job named like its queue; returns its id. Errors as of :meth:`jobfleet.Fleet.enqueue`."""
        return await self.enqueue_named_job(queue, queue.replace("-", "_"), data, **options)

    async def enqueue_named_job(
        self, queue: str, name: str, data: Mapping[str, Any], **options: Unpack[Options]
    ) -> str:
        """Enqueue a job by name; returns its id."""
        self._queues.add(queue)
        return await self.fleet.enqueue(queue, name, data, **options)

    async def bulk_enqueue_jobs(
        self, queue: str, name: str, data: Iterable[Mapping[str, Any]], **options: Unpack[Options]
    ) -> list[str]:
        """Enqueue many jobs of one name, one round trip a thousand; returns their ids in order."""
        self._queues.add(queue)
        how = JobOptions(**options)
        return await self.fleet.send(queue, [(name, item, how) for item in data])

    async def register_worker(
        self,
        queue: str,
        name: str,
        function: Callable[..., Any],
        *,
        concurrency: int = 10,
        treatment: Treatment = AS_IT_IS,
        **options: Unpack[Options],
    ) -> Worker:
        """Run jobs of that name here, with ``function``, until :meth:`shutdown`; ``treatment`` says how."""
        self._register(queue, name, function, options, treatment)
        worker = self.fleet.worker(WorkerSettings(queues=(queue,), concurrency=concurrency))
        self._workers.append((worker, asyncio.create_task(worker.run())))
        await worker.started.wait()
        return worker

    async def scale_workers(self, slots: int, *, why: str = "") -> str:
        """Give each worker registered here so many slots, without interrupting a job; the answer says what was done.

        The audit of their queues tells it, if Redis can be reached.

        How many workers there are, the WorkerPool says in Kubernetes, and the answer tells how to change it.

        Raises:
            ConfigurationError: ``slots`` is below 1.
        """
        resized: dict[str, list[str]] = {}
        for worker, _ in self._workers:
            before = worker.resize(slots)
            for queue in worker.settings.queue_names if before != slots else ():
                resized.setdefault(queue, []).append(f"{worker.settings.id} {before}->{slots} slots")
        await self._record_resized(resized, why)
        done = f"{len(self._workers)} workers of this process have {slots} slots each now"
        pool = Environment.read().pool
        if not pool:
            return done
        ask = f'kubectl patch workerpool {pool} --type merge -p \'{{"spec": {{"minReplicas": N}}}}\''
        return f"{done}; the number of workers is the WorkerPool's: {ask}"

    async def _record_resized(self, resized: Mapping[str, list[str]], why: str) -> None:
        realm, by = self.fleet.realm, self.fleet.author(why)
        told = [steering.record(realm, q, by, "resize", len(whom), ", ".join(whom)) for q, whom in resized.items()]
        try:
            if told:
                await self.fleet.client().run_many(told)
        except Unavailable as error:
            log.warning("the audit does not tell that workers were resized: %s", error)

    async def pause_workers(self, queue: str | None = None, *, return_running: bool = False) -> int:
        """Have the workers registered here claim nothing more, from one queue or from all; returns how many that are.

        Others go on; :meth:`pause_queue` holds up all workers everywhere. ``return_running`` as there.
        """
        serving = self._serving(queue)
        for worker in serving:
            worker.pause(queue, return_running=return_running)
        return len(serving)

    async def resume_workers(self, queue: str | None = None) -> int:
        """Have the workers registered here claim again; returns how many that are."""
        serving = self._serving(queue)
        for worker in serving:
            worker.resume(queue)
        return len(serving)

    def _serving(self, queue: str | None) -> list[Worker]:
        return [worker for worker, _ in self._workers if queue is None or queue in worker.settings.queue_names]

    async def pause_queue(self, queue: str, *, return_running: bool = False, why: str = "") -> None:
        """Hand out nothing more from a queue, to any worker anywhere; as :meth:`jobfleet.QueueHandle.pause`."""
        await self.fleet.queue(queue, why=why).pause(return_running=return_running)

    async def resume_queue(self, queue: str, *, why: str = "") -> None:
        """End a pause of a queue."""
        await self.fleet.queue(queue, why=why).resume()

    async def close_circuit(self, queue: str, group: str = "", *, why: str = "") -> bool:
        """Close the circuit of a queue, or of a group of it; as :meth:`jobfleet.QueueHandle.close_circuit`."""
        return await self.fleet.queue(queue, why=why).close_circuit(group)

    async def get_job(self, queue: str, job_id: str) -> JobView | None:
        """One job, with its history and the worker that runs it; None where there is none, or no longer."""
        return await self.fleet.queue(queue).job(job_id)

    async def get_job_log(self, queue: str, job_id: str, start: int = 0, limit: int = 1000) -> JobLog:
        """What a job's handlers logged, from line ``start`` on; below 0 it counts from the end."""
        return await self.fleet.queue(queue).log(job_id, start, limit)

    async def configure_queue(self, queue: str, *, why: str = "", **settings: int | str) -> None:
        """Write settings of a queue by their names; as :meth:`jobfleet.QueueHandle.configure`."""
        await self.fleet.queue(queue, why=why).configure(**settings)

    async def get_failed_jobs(self, queue: str, wanted: FailureFilter = ANY, limit: int = 100) -> list[JobView]:
        """Failed jobs, the newest first."""
        return await self.fleet.queue(queue).failed(wanted, limit)

    async def retry_job(self, queue: str, job_id: str, *, why: str = "") -> bool:
        """Try a failed or cancelled job again, with all its attempts; whether it was one."""
        return await self.fleet.queue(queue, why=why).retry(job_id) == 1

    async def cancel_job(self, queue: str, job_id: str, *, why: str = "") -> Cancellation:
        """Cancel a job wherever it is."""
        return await self.fleet.queue(queue, why=why).cancel(job_id)

    async def get_audit(self, queue: str, newest: int = 100) -> list[AuditEntry]:
        """Who did what to a queue, the newest entry first; as :meth:`jobfleet.QueueHandle.audit`."""
        return await self.fleet.queue(queue).audit(newest)

    async def get_queue_status(self, queue: str) -> QueueStatus:
        """How a queue is now."""
        return await self.fleet.status(queue)

    async def get_all_queue_status(self) -> dict[str, QueueStatus]:
        """How every queue is that this coordinator was told of or has used."""
        return {queue: await self.fleet.status(queue) for queue in self._known()}

    async def get_health(self) -> Health:
        """Whether Redis answers, and what is wrong with the queues. Never raises for a Redis that is away."""
        try:
            return _health(await self.get_all_queue_status())
        except Unavailable as error:
            return Health(False, (str(error),))

    async def __aenter__(self) -> Self:
        await self.initialize()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.shutdown()


class SyncJobQueueCoordinator(_Facade):
    """As :class:`JobQueueCoordinator`, for code without an event loop; it enqueues and looks, and runs no workers."""

    def initialize(self) -> None:
        """Make sure that Redis answers.

        Raises:
            Unavailable: it does not.
        """
        self.fleet.status_sync("jobfleet")

    def shutdown(self) -> None:
        """Give the connections back."""
        self.fleet.close_sync()

    def enqueue_job(self, queue: str, data: Mapping[str, Any], **options: Unpack[Options]) -> str:
        """Enqueue a job named like its queue; returns its id."""
        return self.enqueue_named_job(queue, queue.replace("-", "_"), data, **options)

    def enqueue_named_job(self, queue: str, name: str, data: Mapping[str, Any], **options: Unpack[Options]) -> str:
        """Enqueue a job by name; returns its id."""
        self._queues.add(queue)
        return self.fleet.enqueue_sync(queue, name, data, **options)

    def bulk_enqueue_jobs(
        self, queue: str, name: str, data: Iterable[Mapping[str, Any]], **options: Unpack[Options]
    ) -> list[str]:
        """Enqueue many jobs of one name, one round trip a thousand; returns their ids in order."""
        self._queues.add(queue)
        how = JobOptions(**options)
        return self.fleet.send_sync(queue, [(name, item, how) for item in data])

    def pause_queue(self, queue: str, *, return_running: bool = False, why: str = "") -> None:
        """Hand out nothing more from a queue, to any worker anywhere; as :meth:`jobfleet.QueueHandle.pause`."""
        self.fleet.queue_sync(queue, why=why).pause(return_running=return_running)

    def resume_queue(self, queue: str, *, why: str = "") -> None:
        """End a pause of a queue."""
        self.fleet.queue_sync(queue, why=why).resume()

    def close_circuit(self, queue: str, group: str = "", *, why: str = "") -> bool:
        """Close the circuit of a queue, or of a group of it."""
        return self.fleet.queue_sync(queue, why=why).close_circuit(group)

    def get_job(self, queue: str, job_id: str) -> JobView | None:
        """One job; None where there is none, or no longer."""
        return self.fleet.queue_sync(queue).job(job_id)

    def get_job_log(self, queue: str, job_id: str, start: int = 0, limit: int = 1000) -> JobLog:
        """What a job's handlers logged, from line ``start`` on; below 0 it counts from the end."""
        return self.fleet.queue_sync(queue).log(job_id, start, limit)

    def configure_queue(self, queue: str, *, why: str = "", **settings: int | str) -> None:
        """Write settings of a queue by their names; as :meth:`jobfleet.QueueHandle.configure`."""
        self.fleet.queue_sync(queue, why=why).configure(**settings)

    def get_failed_jobs(self, queue: str, wanted: FailureFilter = ANY, limit: int = 100) -> list[JobView]:
        """Failed jobs, the newest first."""
        return self.fleet.queue_sync(queue).failed(wanted, limit)

    def retry_job(self, queue: str, job_id: str, *, why: str = "") -> bool:
        """Try a failed or cancelled job again; whether it was one."""
        return self.fleet.queue_sync(queue, why=why).retry(job_id) == 1

    def cancel_job(self, queue: str, job_id: str, *, why: str = "") -> Cancellation:
        """Cancel a job wherever it is."""
        return self.fleet.queue_sync(queue, why=why).cancel(job_id)

    def get_audit(self, queue: str, newest: int = 100) -> list[AuditEntry]:
        """Who did what to a queue, the newest entry first."""
        return self.fleet.queue_sync(queue).audit(newest)

    def get_queue_status(self, queue: str) -> QueueStatus:
        """How a queue is now."""
        return self.fleet.status_sync(queue)

    def get_all_queue_status(self) -> dict[str, QueueStatus]:
        """How every queue is that this coordinator was told of or has used."""
        return {queue: self.fleet.status_sync(queue) for queue in self._known()}

    def get_health(self) -> Health:
        """Whether Redis answers, and what is wrong with the queues. Never raises for a Redis that is away."""
        try:
            return _health(self.get_all_queue_status())
        except Unavailable as error:
            return Health(False, (str(error),))

    def __enter__(self) -> Self:
        self.initialize()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(Unavailable):
            self.shutdown()
