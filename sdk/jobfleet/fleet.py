"""The first door: a fleet declares jobs, enqueues them, looks at queues, and runs a worker.

A worker's parts are imported with the first worker, not with the package: who only enqueues does not pay for them.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar, Unpack, overload

from jobfleet.audit import Author
from jobfleet.batch import BatchItem
from jobfleet.environment import DEFAULT_REALM, DEFAULT_REDIS_URL, Environment, actor_of
from jobfleet.errors import ConfigurationError, InvalidJob
from jobfleet.handle import Job
from jobfleet.handlers import DEFAULT_BATCH_WAIT_SECONDS, Handler, RunIn, Treatment
from jobfleet.job import JobView
from jobfleet.keys import pattern_of, queues_in
from jobfleet.middleware import Middleware
from jobfleet.options import JobOptions, Options, check_queue_name
from jobfleet.policy import RetryIn, Rules
from jobfleet.producer import Producer
from jobfleet.queues import QueueHandle, SyncQueueHandle, given
from jobfleet.record import result_of
from jobfleet.scripts import looking
from jobfleet.scripts.command import Command
from jobfleet.seal import PLAIN, Seal
from jobfleet.status import QueueStatus
from jobfleet.worker.settings import WorkerSettings

if TYPE_CHECKING:
    from jobfleet.worker.supervision import Worker

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
M = TypeVar("M", bound=Middleware)


class Fleet(Producer):
    """Jobs, the Redis they go through, and the realm that keeps their queues apart from others'.

    Connections are made when first needed: one client for each event loop, one for synchronous code, so that a fleet
    may be a global of a module.

    ``seal`` says whether arguments and results are compressed or encrypted on their way; producers, workers and whoever
    looks on need keys that fit. ``actor`` is who acts, as the audit of queues tells it; where it is not given, the
    environment tells: ``JOBFLEET_ACTOR``, or a worker's or Pod's name, or user@host. ``strict``: enqueueing by name is
    refused with InvalidJob where this fleet has not declared that job in that queue.

    Raises:
        ConfigurationError: the URL is none of Redis, or ``realm`` is none: 1 to 253 printable characters without
            spaces, ``/``, ``{`` and ``}``.
    """

    def __init__(
        self,
        redis_url: str = DEFAULT_REDIS_URL,
        *,
        realm: str = DEFAULT_REALM,
        seal: Seal = PLAIN,
        actor: str = "",
        strict: bool = False,
    ) -> None:
        super().__init__(redis_url, realm, seal, strict=strict)
        self.environment = Environment(redis_url=redis_url, realm=realm)
        if not isinstance(actor, str):
            raise ConfigurationError(f"actor: {actor!r:.80} must be text for the audit, as actor='ann'")
        self._actor = actor

    @classmethod
    def from_env(
        cls, variables: Mapping[str, str] | None = None, *, seal: Seal | None = None, strict: bool = False
    ) -> Self:
        """A fleet as the environment says: ``JOBFLEET_REDIS_URL``, ``JOBFLEET_REALM``, and for a worker the rest.

        Where no ``seal`` is given, the keys of ``JOBFLEET_KEYS`` seal and open.

        Raises:
            ConfigurationError: a variable is wrong; the message names it.
        """
        environment = Environment.read(variables)
        fleet = cls(
            environment.redis_url,
            realm=environment.realm,
            seal=environment.seal if seal is None else seal,
            actor=environment.actor,
            strict=strict,
        )
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

    async def queues(self) -> list[str]:
        """The names of all queues of the realm that have had a job or were given settings, sorted.

        It goes through all keys of the Redis, some hundred thousand a second, without keeping others waiting.

        Raises:
            Unavailable: Redis gave no answer in time.
        """
        return queues_in(await self.client().keys(pattern_of(self.realm)))

    def queues_sync(self) -> list[str]:
        """As :meth:`queues`, from code without an event loop."""
        return queues_in(self.sync_client().keys(pattern_of(self.realm)))

    async def job_state(self, queue: str, job_id: str) -> JobView | None:
        """One job by its id; None where there is none, or no longer."""
        return await self.client().run(self._look(queue, job_id))

    def job_state_sync(self, queue: str, job_id: str) -> JobView | None:
        """As :meth:`job_state`, from code without an event loop."""
        return self.sync_client().run(self._look(queue, job_id))

    def _look(self, queue: str, job_id: str) -> Command[JobView | None]:
        return looking.look(self.realm, check_queue_name(queue), given.id_of(job_id), seal=self.seal)

    def queue(self, name: str, *, why: str = "") -> QueueHandle:
        """A queue, for whoever looks after it: its jobs, failures, limits, events.

        ``why``: the reason that its audit gives for what is done by this handle, at most 500 bytes.
        """
        return QueueHandle(self, check_queue_name(name), self.author(why))

    def queue_sync(self, name: str, *, why: str = "") -> SyncQueueHandle:
        """As :meth:`queue`, for code without an event loop."""
        return SyncQueueHandle(self, check_queue_name(name), self.author(why))

    def author(self, why: str = "") -> Author:
        """Who acts from here, for the audit of queues.

        Raises:
            InvalidJob: ``why`` is no text.
        """
        if not isinstance(why, str):
            raise InvalidJob("why", f"{why!r:.80} must be text for the audit, as why='ticket 7'")
        return Author(self._actor or actor_of(os.environ), why)

    async def result(self, queue: str, job_id: str, timeout: float | None = None) -> Any:  # noqa: ASYNC109 - the field's word
        """Wait for a job to end, and give what its handler returned.

        Raises:
            JobFailed: it failed or was cancelled.
            SealError: it completed, and its result cannot be opened: this fleet has not the key that sealed it.
            TimeoutError: it has not ended in ``timeout`` seconds.
            LookupError: there is no such job, or no longer.
        """
        return result_of(job_id, await self.queue(queue).wait(job_id, timeout))

    def result_sync(self, queue: str, job_id: str, timeout: float | None = None) -> Any:
        """As :meth:`result`, from code without an event loop."""
        return result_of(job_id, self.queue_sync(queue).wait(job_id, timeout))

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
