"""What handlers tell while they run, wherever they run: it arrives, in order, before their outcome, and cheaply."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fixtures import process_jobs
from fixtures.workers import QUEUE, ended, in_state, until, until_true, working
from jobfleet import Backoff, BatchItem, Fleet, JobContext, JobOptions, State, current_job
from jobfleet.job import Body, ClaimedJob
from jobfleet.report import LOG_BYTES
from jobfleet.scripts import looking, processing

FAR_MS = 300_000
"""A lease so long that no heartbeat comes while a test runs: what it sees, it sees by notes."""


@dataclass
class Item:
    n: int


async def texts(fleet: Fleet, job_id: str) -> list[str]:
    return [line.text for line in (await fleet.queue(QUEUE).log(job_id)).lines]


async def until_progress(fleet: Fleet, job_id: str) -> None:
    """Wait until something is told."""

    async def look() -> bool:
        view = await fleet.job_state(QUEUE, job_id)
        return view is not None and view.progress is not None

    await until(look)


def runs(pid: int) -> bool:
    """Whether a process lives; a dead one that nobody has collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def script_calls(fleet: Fleet) -> int:
    """Script calls since Redis began to count."""
    stats: Any = await fleet.client()._redis.info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("eval", "evalsha"))


async def take_away(fleet: Fleet, job_id: str) -> None:
    """Take a running job from its worker, as if that were dead; and nobody else is to run it."""
    await fleet.queue(QUEUE).pause()
    reading = await fleet.client().run(looking.inspect(fleet.realm, QUEUE))
    for worker in reading.workers:
        await fleet.client().run(processing.reclaim(fleet.realm, QUEUE, worker.id, known_dead=True))
    assert (await in_state(fleet, job_id, State.WAITING)).lost == 1


@pytest.fixture
async def process_fleet(redis_url: str) -> AsyncIterator[Fleet]:
    """The fleet of the jobs that run in processes, on this test's Redis."""
    process_jobs.fleet.redis_url = redis_url
    yield process_jobs.fleet
    await process_jobs.fleet.close()


async def test_what_an_async_handler_tells_is_there_when_it_has_ended(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE)
    async def work(n: int) -> None:
        current_job().log(f"first of {n}")
        current_job().progress({"done": n})
        current_job().log("two\nlines")

    ids = await work.enqueue_many({"n": n} for n in range(200))
    async with working(fleet, concurrency=50):
        views = [await ended(fleet, job_id) for job_id in ids]
        found = [await texts(fleet, job_id) for job_id in ids]  # while the worker still runs
    assert [view.progress for view in views] == [{"done": n} for n in range(200)]
    assert found == [[f"first of {n}", "two", "lines"] for n in range(200)]


async def test_what_a_handler_in_a_thread_and_its_own_threads_tell_is_there(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE)
    def work() -> None:
        job = current_job()
        helpers = [threading.Thread(target=lambda n=n: [job.log(f"{n} {i}") for i in range(50)]) for n in range(4)]
        for helper in helpers:
            helper.start()
        for helper in helpers:
            helper.join()
        job.progress(100)

    job_id = await work.enqueue()
    async with working(fleet):
        assert (await ended(fleet, job_id)).progress == 100
        lines = await texts(fleet, job_id)
    assert sorted(lines) == sorted(f"{n} {i}" for n in range(4) for i in range(50))
    assert [line for line in lines if line[0] == "2"] == [f"2 {i}" for i in range(50)]


async def test_what_a_failing_handler_told_is_there_and_its_next_attempt_goes_on_from_it(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE, attempts=2, backoff=Backoff(seconds=0.01))
    async def work() -> list[int]:
        job = current_job()
        before = await fleet.queue(QUEUE).job(job.id)
        done: int = before.progress["done"] if before and before.progress else 0
        for n in range(done, 10):
            job.progress({"done": n + 1})
            job.log(n)
            if n == 4 and job.attempt == 1:
                raise OSError("half way")
        return list(range(done, 10))

    job_id = await work.enqueue()
    async with working(fleet):
        assert (await ended(fleet, job_id)).result == [5, 6, 7, 8, 9]
        page = await fleet.queue(QUEUE).log(job_id)
    assert [(line.attempt, line.text) for line in page.lines] == [(1 if n < 5 else 2, str(n)) for n in range(10)]


async def test_what_is_told_in_a_process_arrives(process_fleet: Fleet) -> None:
    async with working(process_fleet):
        first = await ended(process_fleet, await process_jobs.telling.enqueue(500))
        assert (first.result, first.progress) == ("told", {"done": 500, "of": 500})
        assert await texts(process_fleet, first.id) == [str(n) for n in range(500)]
        second = await ended(process_fleet, await process_jobs.telling_async.enqueue(3))
        assert (second.result, second.progress) == (True, 100)
        assert await texts(process_fleet, second.id) == ["0", "1", "2"]


async def test_each_job_of_a_batch_tells_for_itself(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE, batch=3, batch_wait=5)
    async def work(jobs: list[BatchItem[Item]]) -> None:
        for item in jobs:
            item.job.progress(item.args.n)
            item.job.log(f"item {item.args.n}")
            item.complete()
            item.job.log("late")  # its verdict is on its way; this may arrive, and harms nobody

    ids = await fleet.send(QUEUE, [("work", {"n": n}, JobOptions()) for n in range(3)])
    async with working(fleet):
        views = [await ended(fleet, job_id) for job_id in ids]
        assert [view.progress for view in views] == [0, 1, 2]
        assert [(await texts(fleet, job_id))[0] for job_id in ids] == ["item 0", "item 1", "item 2"]
    assert {view.state for view in views} == {State.COMPLETED}


async def test_a_hot_loop_of_notes_costs_few_calls(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE)
    async def work() -> None:
        job = current_job()
        for n in range(20_000):
            job.progress(n / 200)
            job.log(n)
            if n % 100 == 0:
                await asyncio.sleep(0)

    job_id = await work.enqueue()
    before = await script_calls(fleet)
    async with working(fleet):
        view = await fleet.queue(QUEUE).wait(job_id, 60)
    assert view is not None
    assert view.progress == 19_999 / 200
    assert await script_calls(fleet) - before < 200


async def test_a_log_without_end_fills_neither_memory_nor_redis(fleet: Fleet) -> None:
    contexts: list[JobContext] = []
    lines = 300_000

    @fleet.job(queue=QUEUE, timeout=120)
    def flood() -> None:
        contexts.append(current_job())
        for n in range(lines):
            current_job().log(n)

    job_id = await flood.enqueue()
    async with working(fleet):

        async def weight() -> bool:
            if contexts:
                assert len(contexts[0].telling.report.told().lines) <= LOG_BYTES
            view = await fleet.job_state(QUEUE, job_id)
            return view is not None and view.state is State.COMPLETED

        await until(weight, 60)
        page = await fleet.queue(QUEUE).log(job_id, -1)
    assert (page.total, page.first, page.lines[0].text) == (lines, lines - 1, str(lines - 1))
    assert await fleet.client()._redis.hstrlen("jf:{test/photos}:logs", job_id) <= LOG_BYTES + 11
    assert contexts[0].telling.report.empty


async def test_a_late_async_handler_is_refused_and_cancelled(fleet: Fleet) -> None:
    over = asyncio.Event()

    @fleet.job(queue=QUEUE)
    async def work() -> None:
        job = current_job()
        try:
            while True:
                job.progress(1)
                await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            assert not await job.log("late")
            over.set()
            raise

    job_id = await work.enqueue()
    async with working(fleet, lease_ms=FAR_MS):
        await until_progress(fleet, job_id)
        await take_away(fleet, job_id)
        await asyncio.wait_for(over.wait(), 20)
    assert await texts(fleet, job_id) == []
    assert (await in_state(fleet, job_id, State.WAITING)).attempt == 1


async def test_a_late_handler_in_a_thread_is_refused_and_told(fleet: Fleet) -> None:
    told = threading.Event()

    @fleet.job(queue=QUEUE)
    def work() -> None:
        job = current_job()
        while not job.cancelled.wait(0.01):
            job.log("here")
        job.log("late")
        told.set()

    job_id = await work.enqueue()
    async with working(fleet, lease_ms=FAR_MS):
        await until(lambda: texts(fleet, job_id))
        await take_away(fleet, job_id)
        assert await asyncio.to_thread(told.wait, 20)
    assert "late" not in await texts(fleet, job_id)


async def test_a_late_handler_in_a_process_is_refused_and_ended(process_fleet: Fleet, tmp_path: Path) -> None:
    job_id = await process_jobs.telling_for_ever.enqueue(str(tmp_path))
    async with working(process_fleet, lease_ms=FAR_MS):
        await until(lambda: texts(process_fleet, job_id))
        await take_away(process_fleet, job_id)
        pid = int((tmp_path / "pid").read_text())
        await until_true(lambda: not runs(pid))
    page = await process_fleet.queue(QUEUE).log(job_id, -1)
    assert [line.text for line in page.lines] == [str(page.total - 1)]


async def test_a_process_killed_in_the_middle_of_telling_leaves_what_arrived(
    process_fleet: Fleet, tmp_path: Path
) -> None:
    async with working(process_fleet, concurrency=1):
        job_id = await process_jobs.telling_for_ever.enqueue(str(tmp_path))
        await until(lambda: texts(process_fleet, job_id))
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
        view = await ended(process_fleet, job_id)
        assert view.error is not None
        assert view.error.kind == "process ended by signal 9"
        lines = await texts(process_fleet, job_id)
        assert lines == [str(n) for n in range(len(lines))]
        after = await ended(process_fleet, await process_jobs.telling.enqueue(1))
        assert after.result == "told"


async def test_what_a_process_tells_while_it_is_ended_arrives(process_fleet: Fleet, tmp_path: Path) -> None:
    async with working(process_fleet):
        job_id = await process_jobs.telling_for_ever.options(timeout=1.5).enqueue(str(tmp_path))
        view = await ended(process_fleet, job_id)
        assert view.error is not None
        assert view.error.kind == "timeout"
        page = await process_fleet.queue(QUEUE).log(job_id, -1)
        assert [line.text for line in page.lines] == ["cleared up"]


async def test_whoever_awaits_knows_that_it_is_kept(fleet: Fleet) -> None:
    seen: list[object] = []

    @fleet.job(queue=QUEUE)
    async def work() -> None:
        job = current_job()
        for n in range(5):
            assert await job.progress(n)
            view = await fleet.job_state(QUEUE, job.id)
            seen.append(view.progress if view else None)

    @fleet.job(queue=QUEUE)
    def with_a_loop_of_its_own() -> bool:
        async def inner() -> bool:
            return await current_job().log("from another loop")

        return asyncio.run(inner())

    async with working(fleet):
        await ended(fleet, await work.enqueue())
        assert (await ended(fleet, await with_a_loop_of_its_own.enqueue())).result is True
    assert seen == [0, 1, 2, 3, 4]


async def test_many_may_await_and_one_that_is_cancelled_meanwhile_takes_nothing_from_the_others(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE)
    async def work() -> list[bool]:
        job = current_job()

        async def tell(n: int) -> bool:
            return await job.log(n)

        telling = [asyncio.create_task(tell(n)) for n in range(20)]
        await asyncio.sleep(0)
        telling[0].cancel()
        return [answer is True for answer in await asyncio.gather(*telling, return_exceptions=True)]

    ids = await work.enqueue_many({} for _ in range(50))
    async with working(fleet, concurrency=50):
        answers = [(await ended(fleet, job_id)).result for job_id in ids]
        lines = await texts(fleet, ids[0])
    assert all(answer[1:] == [True] * 19 for answer in answers)
    assert lines == [str(n) for n in range(20)]


async def test_what_redis_refuses_to_keep_holds_no_outcome_back(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE)
    async def work() -> str:
        current_job().log("nobody can keep this")
        return "done"

    await fleet.client()._redis.set("jf:{test/photos}:logs", "not a hash")
    async with working(fleet):
        assert (await ended(fleet, await work.enqueue())).result == "done"


async def test_a_value_that_cannot_be_told_is_refused_where_it_is_told(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE)
    async def work() -> list[str]:
        found = []
        for value in (float("nan"), object(), "x" * 20_000, 2**70):
            try:
                current_job().progress(value)
            except (TypeError, ValueError) as error:
                found.append(str(error))
        current_job().log("\udcff " + "y" * 3_000)
        current_job().log("")
        return found

    async with working(fleet):
        view = await ended(fleet, await work.enqueue())
        first, second = await texts(fleet, view.id)
    assert len(view.result) == 4
    assert view.result[0] == "progress: nan is no number from 0 to 100; give one, or data"
    assert "at most 16384 are kept" in view.result[2]
    assert (first[:7], len(first), second) == ("\\udcff ", 2_000 + 6, "")
    assert view.progress is None


async def test_a_context_that_no_worker_made_tells_nobody() -> None:
    body = Body("job", {}, 1, Backoff(), None, {})
    job = JobContext(ClaimedJob("photos", "a", 1, 0, 0, 0, b""), body)
    job.progress(5)
    assert not await job.log("hello")
