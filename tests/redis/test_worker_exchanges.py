"""A worker with two exchanges under way: each outcome counts once, and no job is taken for lost or forgotten."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fixtures.workers import QUEUE, ended, until, until_true, working
from jobfleet import Fleet, State
from jobfleet.scripts.processing import Grant, settle_and_claim
from jobfleet.worker.exchanges import AT_ONCE, WORTH_A_CALL

JOBS = 4000


async def fill(fleet: Fleet, ran: dict[int, int], jobs: int = JOBS) -> None:
    @fleet.job(queue=QUEUE, name="count")
    async def count(n: int) -> None:
        ran[n] = ran.get(n, 0) + 1

    await count.enqueue_many({"n": n} for n in range(jobs))


async def completed(fleet: Fleet, jobs: int) -> None:
    async def look() -> bool:
        return (await fleet.status(QUEUE)).completed_total == jobs

    await until(look, seconds=30)


async def test_in_a_full_queue_two_are_under_way_and_every_outcome_counts_once(fleet: Fleet) -> None:
    ran: dict[int, int] = {}
    others: list[int] = []
    taken = 0

    async with working(fleet, concurrency=100) as worker:
        await worker.started.wait()
        (served,) = worker._lanes

        def settled(count: int) -> None:
            nonlocal taken
            taken += count
            others.append(len(served._exchanges))

        served.on_settled = settled
        await fill(fleet, ran)
        await completed(fleet, JOBS)
        await until_true(lambda: taken == JOBS)
    assert ran == dict.fromkeys(range(JOBS), 1)
    assert max(others) == AT_ONCE - 1
    status = await fleet.status(QUEUE)
    assert (status.waiting, status.active, status.failed) == (0, 0, 0)


async def test_a_few_slots_share_one_exchange(fleet: Fleet) -> None:
    ran: dict[int, int] = {}
    others: list[int] = []
    async with working(fleet, concurrency=WORTH_A_CALL) as worker:
        await worker.started.wait()
        (served,) = worker._lanes
        served.on_settled = lambda _: others.append(len(served._exchanges))
        await fill(fleet, ran, 500)
        await completed(fleet, 500)
    assert ran == dict.fromkeys(range(500), 1)
    assert set(others) == {0}


async def test_a_claim_whose_answer_was_lost_goes_back_while_exchanges_go_on(fleet: Fleet) -> None:
    ran: dict[int, int] = {}
    await fill(fleet, ran)
    lost = await fleet.client().run(settle_and_claim("test", QUEUE, "w1", 3, []))
    assert len(lost.jobs) == 3
    async with working(fleet, id="w1", concurrency=100, lease_ms=600):
        await completed(fleet, JOBS)
    assert ran == dict.fromkeys(range(JOBS), 1)


async def test_a_cancel_that_overtakes_the_answer_to_the_claim_is_not_forgotten(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    claimed, told = asyncio.Event(), asyncio.Event()

    @fleet.job(queue=QUEUE)
    async def hold() -> None:
        await asyncio.Event().wait()

    async with working(fleet) as worker:
        first = await hold.enqueue()  # while it runs the worker listens
        await until_true(lambda: worker._lanes and worker._lanes[0].holding)
        (lane,) = worker._lanes
        run, cancel = lane._client.run, lane.holding.cancel

        async def late(command: Any) -> Any:
            answer = await run(command)
            if isinstance(answer, Grant) and answer.jobs:
                claimed.set()
                await told.wait()
            return answer

        def heard(job_id: str, number: int) -> bool:
            found = cancel(job_id, number)
            told.set()
            return found

        monkeypatch.setattr(lane._client, "run", late)
        monkeypatch.setattr(lane.holding, "cancel", heard)
        second = await hold.enqueue()
        await claimed.wait()
        assert await fleet.queue(QUEUE).cancel(second)
        assert (await ended(fleet, second)).state is State.CANCELLED
        assert not lane.holding._to_cancel
        assert await fleet.queue(QUEUE).cancel(first)
        await ended(fleet, first)
