"""Runs handlers: async ones on the event loop, others in threads or in processes; and ends them when they must end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from jobfleet import codec
from jobfleet.arguments import ItemArguments
from jobfleet.context import JobContext, enter
from jobfleet.handlers import Handler, Registry
from jobfleet.job import Body, ClaimedJob
from jobfleet.middleware import wrapped
from jobfleet.worker import verdict
from jobfleet.worker.attempt import Attempt, Ending, end, settle_ending
from jobfleet.worker.batches import Batches
from jobfleet.worker.injection import Injector, in_place, on_loop
from jobfleet.worker.processes import Processes
from jobfleet.worker.threads import Threads
from jobfleet.worker.wire import Word


class Execution:
    """Runs attempts. A thread cannot be ended from outside: its slot comes free when it does end."""

    def __init__(self, registry: Registry, process_memory_mb: int = 0) -> None:
        self._registry = registry
        self._loop = asyncio.get_running_loop()
        self._around = registry.middleware.of("around_run")
        self._injector = Injector()
        self._processes = Processes(process_memory_mb)
        self._batches = Batches(registry.middleware.of("around_batch"), self._place)
        self.threads = Threads()
        self.flush = self._batches.flush

    def start(self, attempt: Attempt) -> None:
        """Begin; the attempt's owner hears its outcome once, unless it is withdrawn, and once that its slot is free."""
        job = attempt.job
        try:
            attempt.body = body = codec.unpack_body(job.body)
            attempt.handler = handler = self._handler(job, body)
            kwargs = handler.arguments.unpack(body.args)
        except BaseException as error:  # noqa: BLE001 - whatever is wrong with a job is that job's failure
            attempt.owner.finished(attempt, verdict.failed(job, attempt.body, error))
            return
        attempt.context = JobContext(job, body, attempt.owner.reports)
        if handler.batch:
            self._batches.add(attempt, handler, kwargs[ItemArguments.ITEM])
            return
        attempt.limit = 0.0 if handler.run_in == "process" else body.timeout
        self._arm(attempt, body.timeout)
        if handler.run_in == "thread" and not handler.needs and not self._around:
            attempt.running = run = _ThreadRun(attempt, handler)
            self.threads.submit(partial(_call, attempt.context, handler.function, kwargs), run.done)
            return
        attempt.entered = False
        attempt.running = self._loop.create_task(self._run(attempt, handler, kwargs))

    def _handler(self, job: ClaimedJob, body: Body) -> Handler:
        handler = self._registry.find(job.queue, body.name)
        if handler is None:
            known = ", ".join(self._registry.names(job.queue)) or "none"
            raise verdict.UnknownJob(
                f"this worker has no handler named {body.name!r} for queue {job.queue!r} (it has: {known})"
            )
        return handler

    def _arm(self, attempt: Attempt, limit: float | None) -> None:
        if limit is not None:
            attempt.timer = self._loop.call_later(limit, end, attempt, Ending.TIMED_OUT)

    def _pause(self, attempt: Attempt) -> float | None:
        """Stop the attempt's clock; the seconds that it has left, None where there is no limit."""
        if attempt.timer is None or attempt.ending is not None:
            return None
        attempt.timer.cancel()
        return max(0.0, attempt.timer.when() - self._loop.time())

    async def _run(self, attempt: Attempt, handler: Handler, kwargs: dict[str, Any]) -> None:
        attempt.entered = True
        enter(attempt.context)
        try:
            if attempt.ending is not None:
                raise asyncio.CancelledError  # noqa: TRY301 - ended before it began
            if handler.simple and not self._around:
                result = await handler.function(**kwargs)
            else:
                result = await self._composed(attempt, handler, kwargs)
            outcome = verdict.completed(attempt.job, result)
        except BaseException as error:  # noqa: BLE001 - as in start
            outcome = verdict.failed(attempt.job, attempt.body, error, handler.policy, handler.home)
        _conclude(attempt, outcome)

    async def _composed(self, attempt: Attempt, handler: Handler, kwargs: dict[str, Any]) -> Any:
        if handler.run_in == "process":
            call = partial(self._in_process, attempt, handler)
        else:
            call = partial(self._place, handler, kwargs, partial(_let_go, attempt))
        return await wrapped(self._around, attempt.context, call)()

    # -- places

    async def _place(self, handler: Handler, kwargs: dict[str, Any], let_go: Callable[[], None]) -> Any:
        function, needs = handler.function, handler.needs
        if handler.run_in == "thread":
            if not needs:
                return await self._in_thread(partial(function, **kwargs), let_go)
            return await self._injector.around_thread(
                needs,
                lambda made: self._in_thread(partial(in_place, needs, made, partial(function, **kwargs)), let_go),
            )
        if not needs:
            return await function(**kwargs) if handler.is_async else function(**kwargs)
        return await self._injector.on_loop(needs, partial(on_loop, handler, kwargs))

    async def _in_thread(self, call: Callable[[], Any], let_go: Callable[[], None]) -> Any:
        """Its result. A cancel settles the job, then waits for the thread, which may still use what was injected."""
        rest = self.threads.future(call)
        try:
            return await asyncio.shield(rest)
        except asyncio.CancelledError:
            let_go()
            await asyncio.wait({rest})
            raise

    async def _in_process(self, attempt: Attempt, handler: Handler) -> Any:
        left = self._pause(attempt)  # the start of a process is not the job's time
        try:
            child = await self._processes.take(handler.function.__module__)
        finally:
            if attempt.ending is None:
                self._arm(attempt, left)
        assert attempt.context is not None  # noqa: S101 - set by start
        telling = attempt.context.telling

        def told(word: Word) -> None:
            telling.teller.take(telling.report, word.progress, word.lines.splitlines(keepends=True), word.first)

        return await self._processes.run(child, handler, attempt.job, told)

    async def close(self) -> None:
        """Take no more work, and clear up. Threads that still run are left to the end of the process."""
        self.threads.close()
        await self._processes.close()
        await self._injector.close()


class _ThreadRun:
    """A call in a thread that needs no task of its own."""

    __slots__ = ("_attempt", "_handler")

    def __init__(self, attempt: Attempt, handler: Handler) -> None:
        self._attempt, self._handler = attempt, handler

    def cancel(self) -> None:
        """The thread has been told by the token and goes on; its job does not wait for it."""
        settle_ending(self._attempt)

    def done(self, result: Any, error: BaseException | None) -> None:
        """The thread ended."""
        attempt = self._attempt
        if error is None:
            _conclude(attempt, verdict.completed(attempt.job, result))
        else:
            handler = self._handler
            _conclude(attempt, verdict.failed(attempt.job, attempt.body, error, handler.policy, handler.home))


def _call(context: JobContext, function: Callable[..., Any], kwargs: dict[str, Any]) -> Any:
    enter(context)
    return function(**kwargs)


def _let_go(attempt: Attempt) -> None:
    if attempt.context is not None:
        attempt.context.end()
    settle_ending(attempt)


def _conclude(attempt: Attempt, outcome: Any) -> None:
    """The handler is through: tell what became of its job, unless that is told, and give its slot back."""
    if attempt.timer is not None:
        attempt.timer.cancel()
    if attempt.ending is None:
        attempt.owner.finished(attempt, outcome)
    else:
        settle_ending(attempt)
        attempt.owner.freed()
