"""The coordinator for code with an event loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self, Unpack

from jobfleet.audit import AuditEntry
from jobfleet.coordinator.facade import AS_IT_IS, Facade, Health, job_named_like
from jobfleet.errors import Unavailable
from jobfleet.flows import FailureFilter
from jobfleet.handlers import Handler, Treatment
from jobfleet.job import JobLog, JobView
from jobfleet.options import JobOptions, Options, check_shared_options
from jobfleet.queues import ANY
from jobfleet.scripts.steering import Cancellation
from jobfleet.status import QueueStatus

if TYPE_CHECKING:
    from jobfleet.worker.supervision import Worker


class JobQueueCoordinator(Facade):
    """Async; ``async with JobQueueCoordinator(create_simple_config(...)) as queues`` initializes and shuts down."""

    async def initialize(self) -> None:
        """Make sure that Redis answers.

        Raises:
            Unavailable: it does not.
        """
        await self.fleet.status("jobfleet")

    async def shutdown(self) -> None:
        """Drain and end the workers that were registered here, and give the connections back.

        Raises:
            Exception: what a worker ended with; all have ended, and the connections are given back.
        """
        try:
            await self._crew.end()
        finally:
            await self.fleet.close()

    async def enqueue_job(self, queue: str, data: Mapping[str, Any], **options: Unpack[Options]) -> str:
        """Enqueue a job named like its queue; returns its id. Errors as of :meth:`jobfleet.Fleet.enqueue`."""
        return await self.enqueue_named_job(queue, job_named_like(queue), data, **options)

    async def enqueue_named_job(
        self, queue: str, name: str, data: Mapping[str, Any], **options: Unpack[Options]
    ) -> str:
        """Enqueue a job by name; returns its id. Errors as of :meth:`jobfleet.Fleet.enqueue`."""
        return await self.fleet.enqueue(queue, name, data, **options)

    async def bulk_enqueue_jobs(
        self, queue: str, name: str, data: Iterable[Mapping[str, Any]], **options: Unpack[Options]
    ) -> list[str]:
        """Enqueue many jobs of one name, one round trip a thousand; returns their ids in order.

        Errors as of :meth:`jobfleet.Fleet.enqueue`.
        """
        how = JobOptions(**options)
        items = [(name, item, how) for item in data]
        check_shared_options(how, len(items))
        return await self.fleet.send(queue, items)

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
        """Run jobs of that name here, with ``function``, until :meth:`shutdown`; ``treatment`` says how.

        It returns when the worker has started: one of this queue, with ``concurrency`` slots, for all names that have a
        handler here. It leaves SIGTERM and SIGINT to the program, which is to call :meth:`shutdown`. Where a queue has
        jobs of several names, see :meth:`register_handler`.

        Raises:
            InvalidJob: no queue or job may be called so, or an option is wrong.
            ConfigurationError: ``concurrency`` is below 1, or as of :meth:`jobfleet.Fleet.job`.
            Exception: what kept the worker from starting, as a middleware's ``worker_starting``; it may be tried again.
        """
        handler = Handler.of(function, queue, name, JobOptions(**options), treatment)
        return await self._crew.register(handler, concurrency)

    async def scale_workers(self, slots: int, *, why: str = "") -> str:
        """Give each worker registered here so many slots, without interrupting a job; the answer says what was done.

        The audit of their queues tells it, if Redis can be reached.

        How many workers there are, the WorkerPool says in Kubernetes, and the answer tells how to change it.

        Raises:
            ConfigurationError: ``slots`` is below 1.
        """
        return await self._crew.scale(slots, why)

    async def pause_workers(self, queue: str | None = None, *, return_running: bool = False) -> int:
        """Have the workers registered here claim nothing more, from one queue or from all; returns how many that are.

        Others go on; :meth:`pause_queue` holds up all workers everywhere. ``return_running`` as there.
        """
        return await self._crew.pause(queue, return_running=return_running)

    async def resume_workers(self, queue: str | None = None) -> int:
        """Have the workers registered here claim again; returns how many that are."""
        return await self._crew.resume(queue)

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
        """How every queue of the realm is; which these are, see :class:`Health`."""
        return {queue: await self.fleet.status(queue) for queue in self._all(await self.fleet.queues())}

    async def get_health(self) -> Health:
        """Whether Redis answers, and what is wrong with the queues and the workers here.

        Never raises for a Redis that is away.
        """
        try:
            return self._health(await self.get_all_queue_status())
        except Unavailable as error:
            return Health(False, (str(error),))

    async def __aenter__(self) -> Self:
        await self.initialize()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.shutdown()
