"""The first door: a fleet declares jobs, enqueues them, looks at queues, and runs a worker.

redis-py is imported with the first connection, and a worker's parts with the first worker, not with the package: who
only declares jobs pays for neither, and who only enqueues not for the worker.
"""

from __future__ import annotations

import asyncio
import dataclasses
import threading
import weakref
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar, Unpack, overload

from jobfleet import codec, flows
from jobfleet.batch import BatchItem
from jobfleet.clients.address import check_url, public_url
from jobfleet.coalescing import Coalescer
from jobfleet.environment import DEFAULT_REALM, DEFAULT_REDIS_URL, Environment
from jobfleet.errors import InvalidJob, QueueFull
from jobfleet.handle import Job, Options
from jobfleet.handlers import DEFAULT_BATCH_WAIT_SECONDS, Handler, Registry, RunIn, Treatment
from jobfleet.job import JobView, result_of
from jobfleet.middleware import Middleware
from jobfleet.options import JobOptions, check_job_name, check_queue_name
from jobfleet.policy import RetryIn, Rules
from jobfleet.queues import QueueHandle, SyncQueueHandle
from jobfleet.scripts import looking, producing
from jobfleet.scripts.producing import NewJob
from jobfleet.seal import PLAIN, Seal
from jobfleet.status import QueueStatus
from jobfleet.waiting_room import WaitingRoom
from jobfleet.worker.settings import WorkerSettings

if TYPE_CHECKING:
    from jobfleet.clients.asynchronous import AsyncClient
    from jobfleet.clients.blocking import SyncClient
    from jobfleet.ends import Ends
    from jobfleet.worker.supervision import Worker

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
M = TypeVar("M", bound=Middleware)
Item = tuple[str, Mapping[str, Any], JobOptions]


class Fleet:
    """Jobs, the Redis they go through, and the realm that keeps their queues apart from others'.

    Connections are made when first needed: one client for each event loop, one for synchronous code, so that a fleet
    may be a global of a module.

    ``seal`` says whether arguments and results are compressed or encrypted on their way; producers, workers and whoever
    looks on need keys that fit.

    Raises:
        ConfigurationError: the URL is none of Redis.
    """

    def __init__(self, redis_url: str = DEFAULT_REDIS_URL, *, realm: str = DEFAULT_REALM, seal: Seal = PLAIN) -> None:
        self.seal = seal
        self.redis_url = check_url(redis_url)
        self.realm = realm
        self.environment = Environment(redis_url=redis_url, realm=realm)
        self.registry = Registry()
        self._coalescers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Coalescer]] = (
            weakref.WeakKeyDictionary()
        )
        self._rooms: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, WaitingRoom]] = (
            weakref.WeakKeyDictionary()
        )
        self._ends: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Ends]] = weakref.WeakKeyDictionary()
        self._clients: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncClient] = weakref.WeakKeyDictionary()
        self._sync: SyncClient | None = None
        self._lock = threading.Lock()

    @classmethod
    def from_env(cls, variables: Mapping[str, str] | None = None, *, seal: Seal = PLAIN) -> Self:
        """A fleet as the environment says: ``JOBFLEET_REDIS_URL``, ``JOBFLEET_REALM``, and for a worker the rest.

        Raises:
            ConfigurationError: a variable is wrong; the message names it.
        """
        environment = Environment.read(variables)
        fleet = cls(environment.redis_url, realm=environment.realm, seal=seal)
        fleet.environment = environment
        return fleet

    # -- declaring

    @overload
    def job(
        self,
        *,
        queue: str,
        batch: int,
        batch_wait: float = ...,
        name: str | None = None,
        run_in: RunIn | None = None,
        on_error: Rules | None = None,
        retry_in: RetryIn | None = None,
        **options: Unpack[Options],
    ) -> Callable[[Callable[[list[BatchItem[T]]], Awaitable[None] | None]], Job[[T], None]]: ...

    @overload
    def job(
        self,
        *,
        queue: str,
        name: str | None = None,
        run_in: RunIn | None = None,
        on_error: Rules | None = None,
        retry_in: RetryIn | None = None,
        **options: Unpack[Options],
    ) -> Callable[[Callable[P, R]], Job[P, R]]: ...

    def job(
        self,
        *,
        queue: str,
        batch: int = 0,
        batch_wait: float = DEFAULT_BATCH_WAIT_SECONDS,
        name: str | None = None,
        run_in: RunIn | None = None,
        on_error: Rules | None = None,
        retry_in: RetryIn | None = None,
        **options: Unpack[Options],
    ) -> Any:
        """Declare a function as a job of ``queue``; its annotations are checked where it is enqueued and where it runs.

        ``run_in``, ``on_error``, ``retry_in``, ``batch`` and ``batch_wait`` are those of :class:`jobfleet.Treatment`;
        the options are those of :class:`jobfleet.JobOptions`.

        Raises:
            InvalidJob: a name or an option is wrong.
            ConfigurationError: the function cannot be called by name, cannot run as it is to be run, or the name is
                taken.
        """
        defaults = JobOptions(**options)
        treatment = Treatment(
            run_in=run_in, on_error=on_error or {}, retry_in=retry_in, batch=batch, batch_wait=batch_wait
        )

        def declare(function: Callable[..., Any]) -> Job[..., Any]:
            handler = Handler.of(function, queue, name, defaults, treatment)
            self.registry.add(handler)
            return Job(self, handler, function, defaults)

        return declare

    def middleware(self, middleware: M) -> M:
        """Put ``middleware`` around what is enqueued and run from now on, inside what was added before.

        Raises:
            TypeError: it is no :class:`jobfleet.Middleware`.
        """
        self.registry.middleware.add(middleware)
        return middleware

    # -- producing

    async def enqueue(self, queue: str, name: str, args: Mapping[str, Any], **options: Unpack[Options]) -> str:
        """Enqueue a job by name, with free-form arguments: for a service that does not hold the handler's code.

        Errors as of :meth:`jobfleet.Job.enqueue`.
        """
        return await self.send_one(queue, (name, args, JobOptions(**options)))

    def enqueue_sync(self, queue: str, name: str, args: Mapping[str, Any], **options: Unpack[Options]) -> str:
        """As :meth:`enqueue`, from code without an event loop."""
        (job_id,) = self.send_sync(queue, [(name, args, JobOptions(**options))])
        return job_id

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
        """Enqueue named jobs with their options, one round trip for every thousand."""
        return await self.client().follow(flows.enqueue(self.realm, queue, self._new_jobs(queue, items)))

    def send_sync(self, queue: str, items: Sequence[Item]) -> list[str]:
        """As :meth:`send`, from code without an event loop."""
        return self.sync_client().follow(flows.enqueue(self.realm, queue, self._new_jobs(queue, items)))

    def _new_jobs(self, queue: str, items: Iterable[Item]) -> list[NewJob]:
        check_queue_name(queue)
        items = self.registry.middleware.enqueueing(queue, items)
        jobs = []
        for name, args, options in items:
            if not isinstance(args, Mapping):
                raise InvalidJob("args", f"{args!r:.80} must be a mapping of argument names to values")
            body = codec.pack_body(check_job_name(name), dict(args), options)
            extension = codec.pack_extension(options) if options.extended else b""
            job_id = options.job_id or codec.new_job_id()
            if not self.seal.idle:
                body = self.seal.close(body, codec.bound_to(queue, job_id))
            jobs.append(NewJob(job_id, options.priority, options.due(), body, extension, options.wait_when_full))
        return jobs

    # -- looking

    async def status(self, queue: str) -> QueueStatus:
        """How a queue is now.

        Raises:
            Unavailable: Redis gave no answer in time.
        """
        return QueueStatus.of(queue, await self.client().run(looking.inspect(self.realm, check_queue_name(queue))))

    def status_sync(self, queue: str) -> QueueStatus:
        """As :meth:`status`, from code without an event loop."""
        return QueueStatus.of(queue, self.sync_client().run(looking.inspect(self.realm, check_queue_name(queue))))

    async def job_state(self, queue: str, job_id: str) -> JobView | None:
        """One job by its id; None where there is none, or no longer."""
        return await self.client().run(looking.look(self.realm, check_queue_name(queue), job_id, seal=self.seal))

    def job_state_sync(self, queue: str, job_id: str) -> JobView | None:
        """As :meth:`job_state`, from code without an event loop."""
        return self.sync_client().run(looking.look(self.realm, check_queue_name(queue), job_id, seal=self.seal))

    def queue(self, name: str) -> QueueHandle:
        """A queue, for whoever looks after it: its jobs, failures, limits, events."""
        return QueueHandle(self, check_queue_name(name))

    def queue_sync(self, name: str) -> SyncQueueHandle:
        """As :meth:`queue`, for code without an event loop."""
        return SyncQueueHandle(self, check_queue_name(name))

    async def result(self, queue: str, job_id: str, timeout: float | None = None) -> Any:  # noqa: ASYNC109 - the field's word
        """Wait for a job to end, and give what its handler returned.

        Raises:
            JobFailed: it failed or was cancelled.
            TimeoutError: it has not ended in ``timeout`` seconds.
            LookupError: there is no such job, or no longer.
        """
        return result_of(job_id, await self.queue(queue).wait(job_id, timeout))

    def result_sync(self, queue: str, job_id: str, timeout: float | None = None) -> Any:
        """As :meth:`result`, from code without an event loop."""
        return result_of(job_id, self.queue_sync(queue).wait(job_id, timeout))

    def ends(self, queue: str) -> Ends:
        """Who hears of the ends of a queue's jobs on the running event loop."""
        from jobfleet.ends import Ends  # noqa: PLC0415 - see the module's docstring

        found = self._ends.setdefault(asyncio.get_running_loop(), {})
        if queue not in found:
            found[queue] = Ends(self.client(), self.realm, queue, self.seal)
        return found[queue]

    # -- processing

    def worker(self, settings: WorkerSettings | None = None) -> Worker:
        """A worker for this fleet's handlers, by the environment where no settings are given.

        Raises:
            ConfigurationError: there is no queue to serve.
        """
        from jobfleet.worker.supervision import Worker  # noqa: PLC0415 - see the module's docstring

        chosen = settings or self.worker_settings()
        return Worker(self.redis_url, self.realm, self.registry, dataclasses.replace(chosen, seal=self.seal))

    def worker_settings(self) -> WorkerSettings:
        """The settings that the environment gives a worker; where it names no queues, all declared ones are served."""
        said = self.environment
        settings = WorkerSettings(
            queues=said.queues or self.registry.queues(),
            concurrency=said.concurrency,
            drain_seconds=said.drain_seconds,
            pool=said.pool,
            health_port=said.health_port,
        )
        return dataclasses.replace(settings, name=said.worker, id="") if said.worker else settings

    # -- connections

    def client(self) -> AsyncClient:
        """The client of the running event loop."""
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            from jobfleet.clients.asynchronous import AsyncClient  # noqa: PLC0415 - see the module's docstring

            client = self._clients[loop] = AsyncClient(self.redis_url)
        return client

    def sync_client(self) -> SyncClient:
        """The client of synchronous code; threads share it."""
        with self._lock:
            if self._sync is None:
                from jobfleet.clients.blocking import SyncClient  # noqa: PLC0415 - see the module's docstring

                self._sync = SyncClient(self.redis_url)
            return self._sync

    async def close(self) -> None:
        """Give back the connections of the running event loop and of synchronous code. May be called twice."""
        loop = asyncio.get_running_loop()
        self._coalescers.pop(loop, None)
        for room in self._rooms.pop(loop, {}).values():
            await room.close()
        for ends in self._ends.pop(loop, {}).values():
            await ends.close()
        client = self._clients.pop(loop, None)
        if client is not None:
            await client.close()
        self.close_sync()

    def close_sync(self) -> None:
        """Give back the connections of synchronous code. May be called twice."""
        with self._lock:
            client, self._sync = self._sync, None
        if client is not None:
            client.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"Fleet({public_url(self.redis_url)!r}, realm={self.realm!r})"
