"""How attempts end that do not end by themselves: time, cancel, and handlers that will not hear."""

from __future__ import annotations

import asyncio
import signal
import threading

import pytest

from fixtures.workers import QUEUE, ended, in_state, until_true, working
from jobfleet import Fleet, State, current_job
from jobfleet.worker import attempt as attempts
from jobfleet.worker.holding import CALL_BYTES
from jobfleet.worker.verdict import MOST_RESULT_BYTES


async def test_a_running_async_job_is_cancelled_from_outside(fleet: Fleet) -> None:
    seen: list[str] = []
    begun = asyncio.Event()

    @fleet.job(queue=QUEUE)
    async def endless() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("cleared")

    async with working(fleet):
        job_id = await endless.enqueue()
        await begun.wait()
        assert await fleet.queue(QUEUE).cancel(job_id)
        view = await ended(fleet, job_id)
    assert (view.state, seen) == (State.CANCELLED, ["cleared"])


async def test_a_running_thread_is_told_that_its_job_was_cancelled(fleet: Fleet) -> None:
    begun, told = threading.Event(), threading.Event()

    @fleet.job(queue=QUEUE)
    def patient() -> None:
        begun.set()
        if current_job().cancelled.wait(20):
            told.set()

    async with working(fleet):
        job_id = await patient.enqueue()
        await asyncio.to_thread(begun.wait, 10)
        assert await fleet.queue(QUEUE).cancel(job_id)
        assert (await ended(fleet, job_id)).state is State.CANCELLED
        assert await asyncio.to_thread(told.wait, 10)


async def test_a_cancel_for_another_attempt_ends_nothing(fleet: Fleet) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    @fleet.job(queue=QUEUE)
    async def slow() -> str:
        begun.set()
        await go_on.wait()
        return "done"

    async with working(fleet) as worker:
        job_id = await slow.enqueue()
        await begun.wait()
        assert not worker.cancel(QUEUE, job_id, 2)
        assert not worker.cancel(QUEUE, "unheard-of", 1)
        go_on.set()
        assert (await ended(fleet, job_id)).result == "done"


async def test_a_handler_that_swallows_its_cancel_loses_its_job_but_keeps_its_slot(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "ABANDON_SECONDS", 0.1)
    go_on = asyncio.Event()

    @fleet.job(queue=QUEUE, timeout=0.1, attempts=1)
    async def stubborn() -> str:
        while not go_on.is_set():
            try:
                await go_on.wait()
            except asyncio.CancelledError:
                continue
        return "too late"

    @fleet.job(queue=QUEUE)
    async def quick() -> str:
        return "done"

    async with working(fleet, concurrency=1):
        view = await ended(fleet, await stubborn.enqueue())
        assert view.error is not None
        assert view.error.kind == "timeout"
        second = await quick.enqueue()
        waiting = await fleet.job_state(QUEUE, second)
        assert waiting is not None
        assert waiting.state is State.WAITING
        go_on.set()
        assert (await ended(fleet, second)).result == "done"


async def test_a_thread_past_its_time_keeps_its_slot_until_it_ends(fleet: Fleet) -> None:
    go_on = threading.Event()

    @fleet.job(queue=QUEUE, timeout=0.1, attempts=1)
    def deaf() -> None:
        go_on.wait(20)

    @fleet.job(queue=QUEUE)
    def quick() -> str:
        return "done"

    async with working(fleet, concurrency=1):
        await ended(fleet, await deaf.enqueue())
        second = await quick.enqueue()
        waiting = await fleet.job_state(QUEUE, second)
        assert waiting is not None
        assert waiting.state is State.WAITING
        go_on.set()
        assert (await ended(fleet, second)).result == "done"


async def test_a_worker_leaves_the_signals_to_the_program_that_it_is_in(fleet: Fleet) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    async with working(fleet) as worker:
        await worker.started.wait()
        assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


async def test_a_worker_that_is_cancelled_hands_its_jobs_back_at_once(fleet: Fleet) -> None:
    begun = asyncio.Event()

    @fleet.job(queue=QUEUE)
    async def endless() -> None:
        begun.set()
        await asyncio.Event().wait()

    running = asyncio.create_task(fleet.worker().run())
    job_id = await endless.enqueue()
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    view = await fleet.job_state(QUEUE, job_id)
    assert view is not None
    assert (view.state, view.lost) == (State.WAITING, 0)
    assert (await fleet.status(QUEUE)).workers == ()


async def test_a_handler_that_exits_the_interpreter_only_fails_its_job(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE, attempts=1)
    async def leave() -> None:
        raise SystemExit(3)

    @fleet.job(queue=QUEUE, attempts=1)
    def leave_from_thread() -> None:
        raise SystemExit(4)

    async with working(fleet):
        for job_id in (await leave.enqueue(), await leave_from_thread.enqueue()):
            view = await ended(fleet, job_id)
            assert view.error is not None
            assert view.error.kind == "SystemExit"


async def test_where_no_thread_can_be_started_jobs_wait_for_one_or_fail(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = 0
    start = threading.Thread.start

    def limited(thread: threading.Thread) -> None:
        nonlocal allowed
        if thread.name.startswith("jobfleet-handler"):
            if allowed == 0:
                raise RuntimeError("can't start new thread")
            allowed -= 1
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)

    @fleet.job(queue=QUEUE, attempts=1)
    def work() -> str:
        return threading.current_thread().name

    async with working(fleet, concurrency=8):
        view = await ended(fleet, await work.enqueue())
        assert view.error is not None
        assert view.error.message == "can't start new thread"
        allowed = 1
        views = [await ended(fleet, job_id) for job_id in await work.enqueue_many([{}] * 8)]
    assert {view.state for view in views} == {State.COMPLETED}
    assert len({view.result for view in views}) == 1


async def test_a_plain_function_may_run_on_the_loop(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE, run_in="loop")
    def where() -> str:
        return threading.current_thread().name

    async with working(fleet):
        assert (await ended(fleet, await where.enqueue())).result == threading.current_thread().name


async def test_a_handler_whose_own_await_was_cancelled_fails(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE, attempts=1)
    async def careless() -> None:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    async with working(fleet):
        view = await ended(fleet, await careless.enqueue())
    assert view.error is not None
    assert view.error.kind == "CancelledError"


async def test_a_worker_is_resized_up_at_once_and_down_as_jobs_end(fleet: Fleet) -> None:
    running = 0
    go_on = asyncio.Semaphore(0)

    @fleet.job(queue=QUEUE)
    async def hold() -> None:
        nonlocal running
        running += 1
        try:
            await go_on.acquire()
        finally:
            running -= 1

    async def slots() -> int:
        return next((worker.slots for worker in (await fleet.status(QUEUE)).workers), 0)

    ids = await hold.enqueue_many([{}] * 10)
    async with working(fleet, concurrency=1, lease_ms=600) as worker:
        await until_true(lambda: running == 1)
        worker.resize(4)
        await until_true(lambda: running == 4)
        worker.resize(2)
        assert running == 4
        for _ in range(2):
            go_on.release()
        for job_id in ids[:2]:
            await in_state(fleet, job_id, State.COMPLETED)
        assert running == 2
        while await slots() != 2:
            await asyncio.sleep(0.02)
        for _ in range(20):
            go_on.release()
        for job_id in ids:
            await ended(fleet, job_id)


async def test_a_result_that_weighs_too_much_fails_its_job_and_holds_up_no_other(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE)
    async def scan(size: int) -> bytes:
        return b"x" * size

    async with working(fleet):
        heavy = await ended(fleet, await scan.enqueue(MOST_RESULT_BYTES))
        light = await ended(fleet, await scan.enqueue(MOST_RESULT_BYTES - 10))
    assert (heavy.state, heavy.failures) == (State.FAILED, 1)
    assert heavy.error is not None
    assert heavy.error.kind == "bad result"
    assert f"at most {MOST_RESULT_BYTES} are kept; return a reference" in heavy.error.message
    assert light.result == b"x" * (MOST_RESULT_BYTES - 10)


async def test_results_that_weigh_much_together_are_handed_in_by_several_calls(fleet: Fleet) -> None:
    taken: list[int] = []
    gate = asyncio.Event()

    @fleet.job(queue=QUEUE)
    async def scan() -> bytes:
        await gate.wait()
        return b"x" * (MOST_RESULT_BYTES - 10)

    async with working(fleet, concurrency=9) as worker:
        ids = [await scan.enqueue() for _ in range(9)]
        (lane,) = worker._lanes
        lane.on_settled = taken.append
        await until_true(lambda: len(lane.holding) == 9)
        gate.set()
        views = [await ended(fleet, job_id) for job_id in ids]
    assert {view.state for view in views} == {State.COMPLETED}
    assert sum(taken) == 9
    assert max(taken) * MOST_RESULT_BYTES <= CALL_BYTES
