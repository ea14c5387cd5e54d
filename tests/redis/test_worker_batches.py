"""Batch handlers: many jobs in one call, each with an end of its own."""

from __future__ import annotations

import asyncio
import logging
import threading
from dataclasses import dataclass
from typing import Any

import pytest
from typing_extensions import TypedDict

from fixtures.workers import QUEUE, ended, in_state, until_true, working
from jobfleet import (
    BatchItem,
    ConfigurationError,
    Fleet,
    InvalidJob,
    Job,
    Middleware,
    Snooze,
    State,
    Unrecoverable,
)
from jobfleet.clients.asynchronous import AsyncClient
from jobfleet.scripts.processing import Grant


@dataclass
class Document:
    number: int
    text: str = ""


def documents(count: int) -> list[dict[str, Any]]:
    return [{"number": n} for n in range(count)]


def indexing(fleet: Fleet, calls: list[list[int]], **options: Any) -> Job[[Document], None]:
    @fleet.job(queue=QUEUE, **{"batch": 50, "batch_wait": 0.2, **options})
    async def index(jobs: list[BatchItem[Document]]) -> None:
        calls.append(sorted(job.args.number for job in jobs))

    return index


async def test_jobs_that_are_claimed_together_run_in_one_call(fleet: Fleet) -> None:
    calls: list[list[int]] = []
    index = indexing(fleet, calls)
    ids = await index.enqueue_many(documents(50))
    async with working(fleet, concurrency=50):
        views = [await ended(fleet, job_id) for job_id in ids]
    assert calls == [list(range(50))]
    assert {view.state for view in views} == {State.COMPLETED}


async def test_a_batch_may_be_larger_than_the_worker_has_slots(fleet: Fleet) -> None:
    calls: list[list[int]] = []
    index = indexing(fleet, calls, batch=30, batch_wait=5)
    ids = await index.enqueue_many(documents(30))
    async with working(fleet, concurrency=4):
        for job_id in ids:
            await ended(fleet, job_id)
    assert calls == [list(range(30))]


async def test_an_incomplete_batch_waits_and_then_begins(fleet: Fleet) -> None:
    calls: list[list[int]] = []
    index = indexing(fleet, calls, batch_wait=0.1)
    async with working(fleet):
        view = await ended(fleet, await index.enqueue(Document(1)))
    assert calls == [[1]]
    assert view.since_ms - view.started_ms >= 90


async def test_a_batch_in_a_thread_tells_of_each_item(fleet: Fleet) -> None:
    names: list[str] = []

    @fleet.job(queue=QUEUE, batch=10, batch_wait=0.2, attempts=2)
    def index(jobs: list[BatchItem[Document]]) -> None:
        names.append(threading.current_thread().name)
        for job in jobs:
            match job.args.number:
                case 0:
                    job.complete({"number": job.job.attempt})
                case 1:
                    job.fail(Unrecoverable("no such document"))
                case 2:
                    job.fail(Snooze(3600))
                case 3:
                    job.fail("try again later")

    ids = await index.options(attempts=1).enqueue_many(documents(5))
    async with working(fleet, concurrency=10):
        views = [await in_state(fleet, job_id, State.COMPLETED, State.FAILED, State.DELAYED) for job_id in ids]
    assert [view.state for view in views] == [
        State.COMPLETED,
        State.FAILED,
        State.DELAYED,
        State.FAILED,
        State.COMPLETED,
    ]
    assert views[0].result == {"number": 1}
    assert [view.error.message for view in views if view.error] == ["no such document", "try again later"]
    assert names[0].startswith("jobfleet-handler")


async def test_one_exception_fails_all_that_have_no_verdict_of_their_own(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE, batch=3, attempts=1)
    async def index(jobs: list[BatchItem[Document]]) -> None:
        jobs[0].complete("kept")
        raise OSError("the engine is down")

    ids = await index.enqueue_many(documents(3))
    async with working(fleet, concurrency=3):
        views = [await ended(fleet, job_id) for job_id in ids]
    assert sorted(view.state for view in views) == [State.COMPLETED, State.FAILED, State.FAILED]
    assert {view.error.kind for view in views if view.error} == {"OSError"}


async def test_an_item_that_does_not_fit_fails_alone(fleet: Fleet) -> None:
    calls: list[list[int]] = []
    index = indexing(fleet, calls, batch=2)
    good = await index.enqueue(number=1)
    bad = await fleet.enqueue(QUEUE, "index", {"number": "many"})
    async with working(fleet):
        view = await ended(fleet, bad)
        assert (await ended(fleet, good)).state is State.COMPLETED
    assert view.error is not None
    assert (view.error.kind, view.error.message[:12]) == ("bad arguments", "args.number:")


async def test_a_cancelled_item_leaves_and_the_others_go_on(fleet: Fleet) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    unwanted: list[bool] = []

    @fleet.job(queue=QUEUE, batch=2)
    async def index(jobs: list[BatchItem[Document]]) -> None:
        begun.set()
        await go_on.wait()
        unwanted.extend(bool(job.job.cancelled) for job in sorted(jobs, key=lambda job: job.args.number))

    ids = await index.enqueue_many(documents(2))
    async with working(fleet) as worker:
        await begun.wait()
        assert worker.cancel(QUEUE, ids[0], 1)
        assert (await ended(fleet, ids[0])).state is State.CANCELLED
        go_on.set()
        assert (await ended(fleet, ids[1])).state is State.COMPLETED
    assert unwanted == [True, False]


async def test_a_batch_whose_items_have_all_left_is_cancelled_and_its_slot_comes_free(fleet: Fleet) -> None:
    begun = asyncio.Event()
    calls: list[str] = []

    @fleet.job(queue=QUEUE, batch=2, batch_wait=0)
    async def index(jobs: list[BatchItem[Document]]) -> None:
        if jobs[0].args.number < 2:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                calls.append("cancelled")

    ids = await index.enqueue_many(documents(2))
    async with working(fleet, concurrency=2) as worker:
        await begun.wait()
        for job_id in ids:
            worker.cancel(QUEUE, job_id, 1)
        await until_true(lambda: calls)
        after = await index.enqueue_many([{"number": n} for n in range(2, 8)])
        for job_id in after:
            assert (await ended(fleet, job_id)).state is State.COMPLETED


async def test_a_batch_in_the_making_can_be_cancelled(fleet: Fleet) -> None:
    calls: list[list[int]] = []
    index = indexing(fleet, calls, batch=2, batch_wait=3)
    async with working(fleet, concurrency=1) as worker:
        job_id = await index.enqueue(Document(1))
        await in_state(fleet, job_id, State.ACTIVE)
        await until_true(lambda: worker.cancel(QUEUE, job_id, 1))
        assert (await ended(fleet, job_id)).state is State.CANCELLED
        assert (await ended(fleet, await index.enqueue(Document(2)))).state is State.COMPLETED
    assert calls == [[2]]


async def test_a_timeout_of_another_job_of_the_batch_is_told_as_such(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE, batch=2, batch_wait=60, attempts=1)
    async def slow(jobs: list[BatchItem[Document]]) -> None:
        await asyncio.Event().wait()

    ids = [await slow.enqueue(Document(1)), await slow.options(timeout=0.1).enqueue(Document(2))]
    async with working(fleet):
        views = [await ended(fleet, job_id) for job_id in ids]
    assert [view.error.message for view in views if view.error] == [
        "its batch took longer than the shortest timeout of the jobs in it, 0.1 s",
        "the attempt took longer than its timeout of 0.1 s",
    ]


async def test_a_timeout_fails_all_that_are_left(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE, batch=2, timeout=0.1, attempts=1)
    async def index(jobs: list[BatchItem[Document]]) -> None:
        jobs[0].complete()
        await asyncio.Event().wait()

    ids = await index.enqueue_many(documents(2))
    async with working(fleet):
        views = [await ended(fleet, job_id) for job_id in ids]
    assert sorted(view.state for view in views) == [State.COMPLETED, State.FAILED]
    assert [view.error.kind for view in views if view.error] == ["timeout"]


async def test_a_stopping_worker_begins_an_incomplete_batch_at_once(fleet: Fleet) -> None:
    calls: list[list[int]] = []
    index = indexing(fleet, calls, batch_wait=60)
    async with working(fleet, drain_seconds=20) as worker:
        job_id = await index.enqueue(Document(1))
        await in_state(fleet, job_id, State.ACTIVE)
        worker.stop()
        assert (await ended(fleet, job_id)).state is State.COMPLETED


async def test_a_job_that_arrives_while_its_worker_stops_waits_for_no_other(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[list[int]] = []
    index = indexing(fleet, calls, batch_wait=60)
    ids = await index.enqueue_many(documents(2))
    caplog.set_level(logging.INFO, "jobfleet.worker")
    run = AsyncClient.run

    async def late(client: AsyncClient, command: Any) -> Any:
        answer = await run(client, command)
        if isinstance(answer, Grant) and answer.jobs:
            worker.stop()
            await until_true(lambda: "worker is ending" in caplog.messages)
        return answer

    monkeypatch.setattr(AsyncClient, "run", late)
    async with working(fleet, drain_seconds=20) as worker:
        for job_id in ids:
            assert (await ended(fleet, job_id)).state is State.COMPLETED
    assert calls == [[0, 1]]


async def test_an_item_has_one_verdict(fleet: Fleet) -> None:
    problems: list[str] = []

    @fleet.job(queue=QUEUE, batch=1)
    async def index(jobs: list[BatchItem[Document]]) -> None:
        jobs[0].complete()
        try:
            jobs[0].fail("no")
        except RuntimeError as error:
            problems.append(str(error))

    async with working(fleet):
        job_id = await index.enqueue(Document(1))
        assert (await ended(fleet, job_id)).state is State.COMPLETED
    assert problems == [f"job {job_id} has its verdict already"]


async def test_middleware_goes_around_a_batch_as_a_whole(fleet: Fleet) -> None:
    seen: list[int] = []

    class Count(Middleware):
        async def around_batch(self, jobs: Any, call_next: Any) -> Any:
            seen.append(len(jobs))
            return await call_next()

    fleet.middleware(Count())
    calls: list[list[int]] = []
    index = indexing(fleet, calls, batch=3)
    ids = await index.enqueue_many(documents(3))
    async with working(fleet):
        for job_id in ids:
            await ended(fleet, job_id)
    assert seen == [3]


def test_what_is_sent_for_a_batch_is_one_item() -> None:
    fleet = Fleet()
    index = indexing(fleet, [])
    pack = index.handler.arguments.pack
    assert pack((Document(1, "a"),), {}) == pack((), {"number": 1, "text": "a"}) == {"number": 1, "text": "a"}
    with pytest.raises(InvalidJob, match=r"args\.number: Field required"):
        pack((), {"text": "a"})
    with pytest.raises(InvalidJob, match="give one item, or its fields by name"):
        pack((Document(1), Document(2)), {})


class Row(TypedDict):
    number: int


def test_a_batch_handler_that_cannot_be_one_is_refused() -> None:
    fleet = Fleet()
    job = fleet.job(queue=QUEUE, batch=10)

    async def two(jobs: list[BatchItem[Document]], more: int) -> None: ...
    async def plain(jobs: list[Document]) -> None: ...
    async def number(jobs: list[BatchItem[int]]) -> None: ...
    async def row(jobs: list[BatchItem[Row]]) -> None: ...

    for handler, says in ((two, "give it one parameter"), (plain, "give it one parameter"), (number, "named fields")):
        with pytest.raises(ConfigurationError, match=says):
            job(handler)  # type: ignore[call-overload]
    job(row)
    with pytest.raises(ConfigurationError, match="batch: 5000 must be a whole number from 1 to 1000"):
        fleet.job(queue=QUEUE, batch=5000)
    with pytest.raises(ConfigurationError, match="not in a process"):
        fleet.job(queue=QUEUE, batch=5, run_in="process")
