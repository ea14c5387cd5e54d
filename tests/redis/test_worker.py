"""Workers against a real Redis: each runs in this process, or as a process of its own where it must die."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import AsyncIterator

import pytest

from fixtures.workers import until as until_within
from fixtures.workers import working
from jobfleet import Fleet, RetryAfter, State, Unrecoverable, current_job
from jobfleet.job import JobView

QUEUE = "photos"


@pytest.fixture
async def fleet(redis_url: str) -> AsyncIterator[Fleet]:
    async with Fleet(redis_url, realm="test") as fleet:
        yield fleet


until = functools.partial(until_within, seconds=15)


async def ended(fleet: Fleet, job_id: str) -> JobView:
    async def look() -> JobView | None:
        view = await fleet.job_state(QUEUE, job_id)
        return view if view and view.state.terminal else None

    return await until(look)


async def test_async_and_sync_handlers_run_and_their_results_are_kept(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE)
    async def double(n: int) -> int:
        return 2 * n

    @fleet.job(queue=QUEUE)
    def where() -> str:
        return threading.current_thread().name

    one, two = await double.enqueue(n=21), await where.enqueue()
    async with working(fleet):
        assert (await ended(fleet, one)).result == 42
        assert (await ended(fleet, two)).result.startswith("jobfleet-handler")


async def test_jobs_enqueued_while_the_worker_is_idle_wake_it(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE)
    async def double(n: int) -> int:
        return 2 * n

    async with working(fleet) as worker:
        await worker.started.wait()
        for n in range(3):
            assert (await ended(fleet, await double.enqueue(n))).result == 2 * n


async def test_a_thousand_jobs_run_once_each_on_two_workers(fleet: Fleet) -> None:
    runs: list[int] = []

    @fleet.job(queue=QUEUE)
    async def note(n: int) -> None:
        runs.append(n)

    await note.enqueue_many({"n": n} for n in range(1000))
    async with working(fleet, concurrency=50), working(fleet, concurrency=50):

        async def all_done() -> bool:
            return (await fleet.status(QUEUE)).completed_total == 1000

        await until(all_done)
    assert sorted(runs) == list(range(1000))
    status = await fleet.status(QUEUE)
    assert (status.waiting, status.active, status.failed, status.workers) == (0, 0, 0, ())


async def test_a_failing_handler_is_tried_again_and_then_fails_with_its_traceback(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE, attempts=3)
    async def explode() -> None:
        raise RetryAfter(0, f"attempt {current_job().attempt}")

    job_id = await explode.enqueue()
    async with working(fleet):
        view = await ended(fleet, job_id)
    assert (view.state, view.attempt, view.failures) == (State.FAILED, 3, 3)
    assert view.error is not None
    assert (view.error.kind, view.error.message, view.error.attempt) == ("RetryAfter", "attempt 3", 3)
    assert "explode" in view.error.traceback


async def test_an_unrecoverable_error_ends_the_attempts(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE, attempts=5)
    def give_up() -> None:
        raise Unrecoverable("the file is gone")

    job_id = await give_up.enqueue()
    async with working(fleet):
        view = await ended(fleet, job_id)
    assert (view.state, view.attempt) == (State.FAILED, 1)


async def test_a_failed_attempt_waits_out_its_backoff(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE, attempts=2)
    async def explode() -> None:
        raise RetryAfter(3600)

    job_id = await explode.enqueue()
    async with working(fleet):

        async def delayed() -> JobView | None:
            view = await fleet.job_state(QUEUE, job_id)
            return view if view and view.state is State.DELAYED else None

        view = await until(delayed)
    assert view.since_ms - view.started_ms >= 3_600_000


async def test_a_timeout_cancels_an_async_handler_and_tells_a_threaded_one(fleet: Fleet) -> None:
    seen: list[str] = []

    @fleet.job(queue=QUEUE, timeout=0.1, attempts=1)
    async def slow() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    @fleet.job(queue=QUEUE, timeout=0.1, attempts=1)
    def deaf() -> None:
        if current_job().cancelled.wait(10):
            seen.append("told")

    ids = [await slow.enqueue(), await deaf.enqueue()]
    async with working(fleet):
        for job_id in ids:
            view = await ended(fleet, job_id)
            assert view.error is not None
            assert view.error.kind == "timeout"
    assert sorted(seen) == ["cancelled", "told"]


async def test_a_handler_may_raise_timeout_error_of_its_own(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE, timeout=30, attempts=1)
    async def slow_server() -> None:
        raise TimeoutError("the server is slow")

    job_id = await slow_server.enqueue()
    async with working(fleet):
        view = await ended(fleet, job_id)
    assert view.error is not None
    assert (view.error.kind, view.error.message) == ("TimeoutError", "the server is slow")


async def test_a_delayed_job_runs_when_it_is_due(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE)
    async def note() -> float:
        return time.time() * 1000

    async with working(fleet) as worker:
        await worker.started.wait()
        job_id = await note.options(delay=0.3).enqueue()
        view = await ended(fleet, job_id)
    assert view.started_ms - view.enqueued_ms >= 300
    assert view.attempt == 1


async def test_a_job_without_a_handler_fails_with_the_names_that_are_known(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE)
    async def known() -> None: ...

    job_id = await fleet.enqueue(QUEUE, "unheard_of", {}, attempts=1)
    async with working(fleet):
        view = await ended(fleet, job_id)
    assert view.error is not None
    assert view.error.kind == "unknown job"
    assert "'unheard_of'" in view.error.message
    assert "known" in view.error.message


async def test_arguments_that_do_not_fit_fail_at_once_naming_the_field(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE, attempts=5)
    async def double(n: int) -> int:
        return 2 * n

    job_id = await fleet.enqueue(QUEUE, "double", {"n": "many"}, attempts=5)
    async with working(fleet):
        view = await ended(fleet, job_id)
    assert view.error is not None
    assert (view.attempt, view.error.kind) == (1, "bad arguments")
    assert view.error.message.startswith("args.n:")


async def test_stop_lets_running_jobs_end_within_the_drain_time(fleet: Fleet) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    @fleet.job(queue=QUEUE)
    async def slow() -> str:
        begun.set()
        await go_on.wait()
        return "finished"

    first, second = await slow.enqueue(), await slow.enqueue()
    async with working(fleet, concurrency=1, drain_seconds=30) as worker:
        await begun.wait()
        worker.stop()
        go_on.set()
        assert (await ended(fleet, first)).result == "finished"
    view = await fleet.job_state(QUEUE, second)
    assert view is not None
    assert (view.state, view.attempt) == (State.WAITING, 0)


@pytest.mark.parametrize("mode", ["async", "thread"])
async def test_what_cannot_end_in_the_drain_time_goes_back_unfailed(fleet: Fleet, mode: str) -> None:
    begun = threading.Event()
    ended_thread = threading.Event()

    if mode == "async":

        @fleet.job(queue=QUEUE, name="slow")
        async def slow() -> None:
            begun.set()
            await asyncio.Event().wait()

    else:

        @fleet.job(queue=QUEUE, name="slow")
        def slow_thread() -> None:
            begun.set()
            current_job().cancelled.wait(20)
            ended_thread.set()

    job_id = await fleet.enqueue(QUEUE, "slow", {})
    async with working(fleet, drain_seconds=0.1):
        assert await asyncio.to_thread(begun.wait, 10)
    view = await fleet.job_state(QUEUE, job_id)
    assert view is not None
    assert (view.state, view.attempt, view.failures, view.lost) == (State.WAITING, 1, 0, 0)
    assert mode == "async" or ended_thread.wait(10)


async def test_a_second_stop_hands_back_at_once(fleet: Fleet) -> None:
    begun = asyncio.Event()

    @fleet.job(queue=QUEUE)
    async def endless() -> None:
        begun.set()
        await asyncio.Event().wait()

    job_id = await endless.enqueue()
    async with working(fleet, drain_seconds=3600) as worker:
        await begun.wait()
        worker.stop()
    view = await fleet.job_state(QUEUE, job_id)
    assert view is not None
    assert view.state is State.WAITING


async def test_a_handler_that_blocks_the_event_loop_keeps_its_lease(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE)
    async def rude() -> str:
        time.sleep(4.0)  # noqa: ASYNC251 - what this test is about
        return "done"

    job_id = await rude.enqueue()
    async with working(fleet, lease_ms=2000), working(fleet, lease_ms=2000):
        view = await ended(fleet, job_id)
    assert (view.result, view.attempt, view.lost) == ("done", 1, 0)


async def test_a_lost_lease_cancels_the_handler_and_its_result_does_not_count(fleet: Fleet) -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    @fleet.job(queue=QUEUE)
    async def slow() -> str:
        if current_job().attempt > 1:
            return "second"
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return "first"

    job_id = await slow.enqueue()
    from jobfleet.scripts.processing import reclaim

    async with working(fleet, lease_ms=600) as worker:
        await begun.wait()
        assert await fleet.client().run(reclaim("test", QUEUE, worker.settings.id, known_dead=True)) == 1
        await asyncio.wait_for(cancelled.wait(), 10)
        view = await ended(fleet, job_id)
    assert (view.result, view.attempt, view.lost) == ("second", 2, 1)


async def test_the_jobs_of_a_worker_that_vanished_are_taken_over_by_another(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE)
    async def quick() -> str:
        return "done"

    job_id = await quick.enqueue()
    from jobfleet.scripts.processing import settle_and_claim

    await fleet.client().run(settle_and_claim("test", QUEUE, "vanished", 1, [], lease_ms=200))
    async with working(fleet, lease_ms=600):
        view = await ended(fleet, job_id)
    assert (view.result, view.attempt, view.lost) == ("done", 2, 1)


async def test_a_job_leased_but_never_seen_goes_back_unfailed(fleet: Fleet) -> None:
    """A claim whose answer is lost on the way: here the test makes the claim, in the name of a worker that is full."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    @fleet.job(queue=QUEUE)
    async def hold() -> None:
        begun.set()
        await go_on.wait()

    @fleet.job(queue=QUEUE)
    async def quick() -> str:
        return "done"

    from jobfleet.scripts.processing import settle_and_claim

    await hold.enqueue()
    async with working(fleet, lease_ms=600, concurrency=1) as worker:
        await begun.wait()
        job_id = await quick.enqueue()
        grant = await fleet.client().run(settle_and_claim("test", QUEUE, worker.settings.id, 1, []))
        assert [job.id for job in grant.jobs] == [job_id]
        go_on.set()
        view = await ended(fleet, job_id)
    assert (view.result, view.attempt, view.failures, view.lost) == ("done", 2, 0, 0)


async def _has_worker(fleet: Fleet) -> bool:
    return bool((await fleet.status(QUEUE)).workers)


async def test_a_draining_worker_takes_nothing_and_an_undrained_one_goes_on(fleet: Fleet) -> None:
    from jobfleet.scripts.steering import drain, undrain

    @fleet.job(queue=QUEUE)
    async def quick() -> str:
        return "done"

    async with working(fleet, lease_ms=600) as worker:
        await until(lambda: _has_worker(fleet))
        await fleet.client().run(drain("test", QUEUE, [worker.settings.id]))
        job_id = await quick.enqueue()

        async def seen_draining() -> bool:
            return (await fleet.status(QUEUE)).workers[0].draining

        await until(seen_draining)
        view = await fleet.job_state(QUEUE, job_id)
        assert view is not None
        assert view.state is State.WAITING
        await fleet.client().run(undrain("test", QUEUE, [worker.settings.id]))
        assert (await ended(fleet, job_id)).result == "done"


async def test_a_worker_of_two_queues_serves_both(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE)
    async def here() -> str:
        return "here"

    @fleet.job(queue="invoices")
    async def there() -> str:
        return "there"

    one, two = await here.enqueue(), await there.enqueue()
    async with working(fleet, queues=(QUEUE, "invoices"), concurrency=1):
        assert (await ended(fleet, one)).result == "here"

        async def other() -> bool:
            view = await fleet.job_state("invoices", two)
            return view is not None and view.state is State.COMPLETED

        await until(other)


async def test_a_paused_queue_resumes_without_a_restart(fleet: Fleet) -> None:
    from jobfleet.scripts.steering import configure

    @fleet.job(queue=QUEUE)
    async def quick() -> str:
        return "done"

    await fleet.client().run(configure("test", QUEUE, {"paused": 1}))
    async with working(fleet):
        await until(lambda: _has_worker(fleet))
        job_id = await quick.enqueue()
        view = await fleet.job_state(QUEUE, job_id)
        assert view is not None
        assert view.state is State.WAITING
        await fleet.client().run(configure("test", QUEUE, {"paused": 0}))
        assert (await ended(fleet, job_id)).result == "done"


async def test_synchronous_code_enqueues_and_looks(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE)
    def double(n: int) -> int:
        return 2 * n

    def service() -> str:
        job_id = double.enqueue_sync(n=4)
        assert double.enqueue_many_sync([{"n": 1}, {"n": 2}])
        assert fleet.status_sync(QUEUE).waiting == 3
        return job_id

    job_id = await asyncio.to_thread(service)
    async with working(fleet):
        assert (await ended(fleet, job_id)).result == 8
    view = await asyncio.to_thread(fleet.job_state_sync, QUEUE, job_id)
    assert view is not None
    assert view.args == {"n": 4}
