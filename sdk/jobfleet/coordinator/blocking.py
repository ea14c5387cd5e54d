"""The coordinator for code without an event loop."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self, Unpack

from jobfleet.audit import AuditEntry
from jobfleet.coordinator.facade import AS_IT_IS, Facade, Health, SimpleConfig, job_named_like
from jobfleet.coordinator.loop_thread import LoopThread
from jobfleet.errors import Unavailable
from jobfleet.flows import FailureFilter
from jobfleet.handlers import Handler, Treatment
from jobfleet.job import JobLog, JobView
from jobfleet.options import JobOptions, Options, check_shared_options
from jobfleet.queues import ANY
from jobfleet.scripts.steering import Cancellation
from jobfleet.status import QueueStatus


class SyncJobQueueCoordinator(Facade):
    """As :class:`JobQueueCoordinator`, for code without an event loop, from any thread.

    Its workers share one event loop in a daemon thread: a process that ends without :meth:`shutdown` leaves their jobs
    to the end of their leases. What acts on these workers is refused to an async handler of theirs, with
    ConfigurationError: the loop would wait for itself.
    """

    def __init__(self, config: SimpleConfig) -> None:
        super().__init__(config)
        self._thread = LoopThread()

    def initialize(self) -> None:
        """Make sure that Redis answers.

        Raises:
            Unavailable: it does not.
        """
        self.fleet.status_sync("jobfleet")

    def shutdown(self) -> None:
        """Drain and end the workers that were registered here, and give the connections back.

        Errors as of :meth:`JobQueueCoordinator.shutdown`.
        """
        try:
            if self._thread.running:
                self._thread.run(self._shutdown())
        finally:
            self._thread.stop()
            self.fleet.close_sync()

    async def _shutdown(self) -> None:
        try:
            await self._crew.end()
        finally:
            await self.fleet.close()

    def enqueue_job(self, queue: str, data: Mapping[str, Any], **options: Unpack[Options]) -> str:
        """Enqueue a job named like its queue; returns its id."""
        return self.enqueue_named_job(queue, job_named_like(queue), data, **options)

    def enqueue_named_job(self, queue: str, name: str, data: Mapping[str, Any], **options: Unpack[Options]) -> str:
        """Enqueue a job by name; returns its id."""
        return self.fleet.enqueue_sync(queue, name, data, **options)

    def bulk_enqueue_jobs(
        self, queue: str, name: str, data: Iterable[Mapping[str, Any]], **options: Unpack[Options]
    ) -> list[str]:
        """Enqueue many jobs of one name, one round trip a thousand; returns their ids in order."""
        how = JobOptions(**options)
        items = [(name, item, how) for item in data]
        check_shared_options(how, len(items))
        return self.fleet.send_sync(queue, items)

    def register_worker(
        self,
        queue: str,
        name: str,
        function: Callable[..., Any],
        *,
        concurrency: int = 10,
        treatment: Treatment = AS_IT_IS,
        **options: Unpack[Options],
    ) -> str:
        """As :meth:`JobQueueCoordinator.register_worker`; returns the worker's id: it lives in another thread."""
        handler = Handler.of(function, queue, name, JobOptions(**options), treatment)
        return self._thread.run(self._crew.register(handler, concurrency)).settings.id

    def scale_workers(self, slots: int, *, why: str = "") -> str:
        """As :meth:`JobQueueCoordinator.scale_workers`."""
        return self._thread.run(self._crew.scale(slots, why))

    def pause_workers(self, queue: str | None = None, *, return_running: bool = False) -> int:
        """As :meth:`JobQueueCoordinator.pause_workers`."""
        return self._thread.run(self._crew.pause(queue, return_running=return_running))

    def resume_workers(self, queue: str | None = None) -> int:
        """As :meth:`JobQueueCoordinator.resume_workers`."""
        return self._thread.run(self._crew.resume(queue))

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
        """How every queue of the realm is; which these are, see :class:`Health`."""
        return {queue: self.fleet.status_sync(queue) for queue in self._all(self.fleet.queues_sync())}

    def get_health(self) -> Health:
        """Whether Redis answers, and what is wrong with the queues and the workers here.

        Never raises for a Redis that is away.
        """
        try:
            return self._health(self.get_all_queue_status())
        except Unavailable as error:
            return Health(False, (str(error),))

    def __enter__(self) -> Self:
        self.initialize()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(Unavailable):
            self.shutdown()
