"""Runs handlers: async ones on the event loop, others in threads; and ends them when their time is over."""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from jobfleet import codec
from jobfleet.context import JobContext, enter
from jobfleet.handlers import Handler, Registry
from jobfleet.job import Body, ClaimedJob
from jobfleet.scripts.processing import Outcome
from jobfleet.worker import verdict


class Attempt:
    """One running attempt.

    Attributes:
        outcome: what to tell the queue; None while it runs, and for ever where the queue does not want to know.
        limit: seconds the job may take; None: no limit.
    """

    __slots__ = ("context", "job", "limit", "task", "withdrawn")

    def __init__(self, job: ClaimedJob) -> None:
        self.job = job
        self.limit: float | None = 0.0
        self.context: JobContext | None = None
        self.task: asyncio.Task[None] | None = None
        self.withdrawn = False

    def withdraw(self) -> None:
        """The queue no longer cares how this ends: cancel what can be cancelled, tell what can be told."""
        self.withdrawn = True
        if self.context is not None:
            self.context.end()
        if self.task is not None:
            self.task.cancel()


class Execution:
    """Runs attempts. A thread cannot be ended from outside: its slot comes free when it does end."""

    def __init__(self, registry: Registry, threads: int) -> None:
        self._registry = registry
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="jobfleet-handler")

    def start(
        self, attempt: Attempt, settle: Callable[[Attempt, Outcome], None], free: Callable[[Attempt], None]
    ) -> None:
        """Begin; ``settle`` is called once with the outcome, unless withdrawn; ``free`` once when the slot is free."""
        attempt.task = asyncio.create_task(self._run(attempt, settle, free), name=f"job {attempt.job.id}")

    async def _run(
        self, attempt: Attempt, settle: Callable[[Attempt, Outcome], None], free: Callable[[Attempt], None]
    ) -> None:
        rest: asyncio.Future[Any] | None = None
        body: Body | None = None
        try:
            body = codec.unpack_body(attempt.job.body)
            attempt.limit = body.timeout
            handler = self._handler(attempt.job, body)
            kwargs = handler.arguments.unpack(body.args)
            job = attempt.job
            attempt.context = JobContext(job.queue, job.id, body.name, job.attempt, job.failures, body.args)
            if handler.is_async:
                outcome = verdict.completed(job, await self._on_loop(attempt, handler, kwargs, body.timeout))
            else:
                rest = self._in_thread(attempt.context, handler, kwargs)
                outcome = verdict.completed(job, await self._bounded(asyncio.shield(rest), attempt, body.timeout))
        except asyncio.CancelledError as error:
            outcome = verdict.failed(attempt.job, body, error)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises is its job's failure
            outcome = verdict.failed(attempt.job, body, error)
        if not attempt.withdrawn:
            settle(attempt, outcome)
        if rest is None or rest.done():
            free(attempt)
        else:
            rest.add_done_callback(lambda _: free(attempt))

    def _handler(self, job: ClaimedJob, body: Body) -> Handler:
        handler = self._registry.find(job.queue, body.name)
        if handler is None:
            known = ", ".join(self._registry.names(job.queue)) or "none"
            raise verdict.UnknownJob(
                f"this worker has no handler named {body.name!r} for queue {job.queue!r} (it has: {known})"
            )
        return handler

    async def _on_loop(self, attempt: Attempt, handler: Handler, kwargs: dict[str, Any], limit: float | None) -> Any:
        assert attempt.context is not None  # noqa: S101 - set by the only caller
        enter(attempt.context)
        if limit is None:
            return await handler.function(**kwargs)
        return await self._bounded(handler.function(**kwargs), attempt, limit)

    @staticmethod
    async def _bounded(work: Any, attempt: Attempt, limit: float | None) -> Any:
        bound = asyncio.timeout(limit)
        try:
            async with bound:
                return await work
        except TimeoutError as error:
            if not bound.expired():
                raise
            if attempt.context is not None:
                attempt.context.end()
            raise verdict.TimedOut(f"the attempt took longer than its timeout of {limit} s") from error

    def _in_thread(self, context: JobContext, handler: Handler, kwargs: dict[str, Any]) -> asyncio.Future[Any]:
        def call() -> Any:
            enter(context)
            return handler.function(**kwargs)

        inside = contextvars.copy_context()
        future = asyncio.get_running_loop().run_in_executor(self._pool, functools.partial(inside.run, call))
        future.add_done_callback(_look_at_exception)
        return future

    def close(self) -> None:
        """Take no more work. Threads that still run are left to the end of the process."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _look_at_exception(future: asyncio.Future[Any]) -> None:
    """Keep asyncio from reporting the error of a thread whose attempt was over before it ended."""
    if not future.cancelled():
        future.exception()
