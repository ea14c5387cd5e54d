"""Calls to the API server: so many at a time, the urgent ones first."""

from __future__ import annotations

import asyncio

from jobfleet_operator.adapters.pace import Pace, Urgency


async def test_the_urgent_go_first_and_among_equals_who_asked_first() -> None:
    pace, order = Pace(at_once=1), list[str]()

    async def call(name: str, urgency: Urgency) -> None:
        async with pace.turn(urgency):
            order.append(name)

    async with pace.turn(Urgency.TELLING):
        asked = [("status", Urgency.TELLING), ("secret", Urgency.UPKEEP), ("one", Urgency.SCALING)]
        calls = [asyncio.create_task(call(*one)) for one in [*asked, ("two", Urgency.SCALING)]]
        await asyncio.sleep(0)
        assert order == []
    await asyncio.gather(*calls)
    assert order == ["one", "two", "secret", "status"]


async def test_who_gives_up_waiting_keeps_nobody_else_from_a_turn() -> None:
    pace = Pace(at_once=1)

    async def call() -> None:
        async with pace.turn(Urgency.UPKEEP):
            pass

    async with pace.turn(Urgency.UPKEEP):
        impatient, patient = asyncio.create_task(call()), asyncio.create_task(call())
        await asyncio.sleep(0)
        impatient.cancel()
    async with asyncio.timeout(5):
        await patient
        await call()


async def test_telling_leaves_room_for_what_jobs_wait_for() -> None:
    pace, inside, end = Pace(at_once=6), list[Urgency](), asyncio.Event()

    async def call(urgency: Urgency) -> None:
        async with pace.turn(urgency):
            inside.append(urgency)
            await end.wait()

    calls = [asyncio.create_task(call(Urgency.TELLING)) for _ in range(10)]
    await asyncio.sleep(0)
    assert len(inside) == 2
    calls += [asyncio.create_task(call(Urgency.SCALING)) for _ in range(10)]
    await asyncio.sleep(0)
    assert inside[2:] == [Urgency.SCALING] * 4
    end.set()
    async with asyncio.timeout(5):
        await asyncio.gather(*calls)
    assert len(inside) == 20
    assert inside[6:12] == [Urgency.SCALING] * 6


async def test_beyond_the_rate_scaling_still_goes_at_once() -> None:
    pace = Pace(rate=1e-9, burst=1, clock=lambda: 0.0)
    async with asyncio.timeout(5):
        for _ in range(20):
            async with pace.turn(Urgency.SCALING):
                pass


async def test_beyond_the_burst_calls_come_at_the_rate() -> None:
    now = 0.0
    pace = Pace(rate=1000.0, burst=2, clock=lambda: now)
    for _ in range(2):
        async with pace.turn(Urgency.UPKEEP):
            pass
    began = asyncio.get_running_loop().time()
    for _ in range(5):
        async with pace.turn(Urgency.UPKEEP):
            now += 0.0
    assert asyncio.get_running_loop().time() - began >= 0.005


def test_a_server_that_asks_to_wait_is_tried_by_one_write_a_second_until_one_goes_through() -> None:
    now = [100.0]
    pace = Pace(clock=lambda: now[0])
    assert pace.lets_through()
    pace.told(to_wait=True)
    assert not pace.lets_through()
    now[0] += 1.0
    assert [pace.lets_through() for _ in range(3)] == [True, False, False]
    pace.told(to_wait=True)
    assert not pace.lets_through()
    pace.told(to_wait=False)
    assert all(pace.lets_through() for _ in range(3))
