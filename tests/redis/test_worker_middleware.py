"""Middleware around enqueue and run: in order, in every kind of execution, and at no cost where it is not used."""

from __future__ import annotations

import asyncio
import contextvars
import socket
from collections.abc import Iterator
from typing import Annotated, Any

import pytest

from cluster_tool import ports
from fixtures.workers import QUEUE, ended, working
from jobfleet import (
    CallNext,
    Depends,
    Fleet,
    InvalidJob,
    JobContext,
    Middleware,
    NewCall,
    Snooze,
    State,
    WorkerSettings,
    injected,
)

tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="nobody")


class Note(Middleware):
    def __init__(self, name: str, notes: list[str]) -> None:
        self.name, self.notes = name, notes

    async def around_run(self, job: JobContext, call_next: CallNext) -> Any:
        self.notes.append(f"{self.name} before {job.name}")
        try:
            return await call_next()
        finally:
            self.notes.append(f"{self.name} after")

    async def worker_starting(self) -> None:
        self.notes.append(f"{self.name} starts")

    async def worker_ended(self) -> None:
        self.notes.append(f"{self.name} ends")


async def test_what_was_added_first_is_outermost(fleet: Fleet) -> None:
    notes: list[str] = []
    fleet.middleware(Note("outer", notes))
    fleet.middleware(Note("inner", notes))

    @fleet.job(queue=QUEUE)
    async def quick() -> None:
        notes.append("runs")

    async with working(fleet):
        await ended(fleet, await quick.enqueue())
    assert notes == [
        "outer starts", "inner starts",
        "outer before quick", "inner before quick", "runs", "inner after", "outer after",
        "inner ends", "outer ends",
    ]  # fmt: skip


async def test_what_middleware_sets_reaches_handlers_in_threads_and_its_result_counts(fleet: Fleet) -> None:
    class Tenant(Middleware):
        async def around_run(self, job: JobContext, call_next: CallNext) -> Any:
            tenant.set(job.args["who"])
            return [await call_next()]

    fleet.middleware(Tenant())

    @fleet.job(queue=QUEUE)
    def in_thread(who: str) -> str:
        return tenant.get()

    @fleet.job(queue=QUEUE)
    async def on_loop(who: str) -> str:
        return tenant.get()

    async with working(fleet):
        for job in (in_thread, on_loop):
            assert (await ended(fleet, await job.enqueue(who="acme"))).result == ["acme"]
    assert tenant.get() == "nobody"


async def test_an_error_of_a_hook_is_the_jobs_failure_and_signals_count(fleet: Fleet) -> None:
    class Closed(Middleware):
        async def around_run(self, job: JobContext, call_next: CallNext) -> Any:
            if job.attempt == 1:
                raise Snooze(0.05)
            raise PermissionError("closed today")

    fleet.middleware(Closed())

    @fleet.job(queue=QUEUE, attempts=1)
    async def quick() -> None:
        pytest.fail("the handler must not run")

    async with working(fleet):
        view = await ended(fleet, await quick.enqueue())
    assert view.error is not None
    assert (view.error.kind, view.failures, view.attempt) == ("PermissionError", 1, 2)


async def test_middleware_may_turn_a_failure_into_a_result(fleet: Fleet) -> None:
    class Forgiving(Middleware):
        async def around_run(self, job: JobContext, call_next: CallNext) -> Any:
            try:
                return await call_next()
            except KeyError:
                return "forgiven"

    fleet.middleware(Forgiving())

    @fleet.job(queue=QUEUE)
    def explode() -> None:
        raise KeyError("photo")

    async with working(fleet):
        assert (await ended(fleet, await explode.enqueue())).result == "forgiven"


async def test_a_job_is_changed_or_refused_before_it_is_sent(fleet: Fleet) -> None:
    class Gate(Middleware):
        def enqueueing(self, call: NewCall) -> None:
            if call.args["n"] < 0:
                raise InvalidJob("args.n", "must not be negative")
            call.args["n"] += 1

    fleet.middleware(Gate())

    @fleet.job(queue=QUEUE)
    async def double(n: int) -> int:
        return 2 * n

    with pytest.raises(InvalidJob, match=r"args\.n: must not be negative"):
        await double.enqueue_many([{"n": 1}, {"n": -1}])
    assert (await fleet.status(QUEUE)).waiting == 0
    async with working(fleet):
        assert (await ended(fleet, await double.enqueue(n=20))).result == 42


async def test_a_worker_whose_middleware_does_not_start_claims_nothing(fleet: Fleet) -> None:
    class Broken(Middleware):
        async def worker_starting(self) -> None:
            raise RuntimeError("no licence")

    fleet.middleware(Broken())

    @fleet.job(queue=QUEUE)
    async def quick() -> None: ...

    job_id = await quick.enqueue()
    with pytest.raises(RuntimeError, match="no licence"):
        await fleet.worker().run()
    view = await fleet.job_state(QUEUE, job_id)
    assert view is not None
    assert view.state is State.WAITING


def pool() -> Iterator[str]:
    yield "pool"
    raise OSError("pool does not close")


async def test_whatever_fails_when_a_worker_ends_the_rest_of_it_ends_too(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    ended_hooks: list[str] = []

    class Outer(Middleware):
        async def worker_ended(self) -> None:
            ended_hooks.append("outer")

    class Inner(Middleware):
        async def worker_ended(self) -> None:
            ended_hooks.append("inner")
            raise OSError("hook")

    fleet.middleware(Outer())
    fleet.middleware(Inner())

    @fleet.job(queue=QUEUE)
    async def use(it: Annotated[str, Depends(pool, lifetime="worker")] = injected) -> str:
        return it

    (port,) = ports.free_ports(1)
    worker = fleet.worker(WorkerSettings(queues=(QUEUE,), health_port=port))
    running = asyncio.create_task(worker.run())
    assert (await ended(fleet, await use.enqueue())).result == "pool"
    worker.stop()
    with pytest.raises(OSError, match="pool does not close"):
        await running
    assert "OSError: hook" in caplog.text
    assert ended_hooks == ["inner", "outer"]
    with socket.create_server(("", port)):
        pass  # nobody listens there any more


def test_something_else_is_no_middleware() -> None:
    with pytest.raises(TypeError, match="must be an instance of a subclass"):
        Fleet().middleware(Middleware)  # type: ignore[type-var]
