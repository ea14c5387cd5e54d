"""Handlers that hold the interpreter keep their lease."""

from __future__ import annotations

import time

import pytest

from fixtures.workers import QUEUE, ended, until, until_true, working
from jobfleet import Fleet

HOLD_SECONDS = 4.0
LEASE_MS = 2000


def spin() -> None:
    end = time.monotonic() + HOLD_SECONDS
    while time.monotonic() < end:
        pass


@pytest.mark.parametrize("place", ["loop", "thread"])
async def test_a_handler_that_never_rests_keeps_its_lease(fleet: Fleet, place: str) -> None:
    if place == "loop":

        @fleet.job(queue=QUEUE, name="busy")
        async def busy() -> str:
            spin()
            return "done"

    else:

        @fleet.job(queue=QUEUE, name="busy")
        def busy_in_thread() -> str:
            spin()
            return "done"

    job_id = await fleet.enqueue(QUEUE, "busy", {})
    async with working(fleet, lease_ms=LEASE_MS, concurrency=1), working(fleet, lease_ms=LEASE_MS, concurrency=1):
        view = await ended(fleet, job_id)
    assert (view.result, view.attempt, view.lost) == ("done", 1, 0)


async def test_a_heartbeat_that_breaks_is_told_and_is_not_the_last(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    async def slots() -> int:
        return next((worker.slots for worker in (await fleet.status(QUEUE)).workers), 0)

    async def seven() -> bool:
        return await slots() == 7

    async with working(fleet, lease_ms=LEASE_MS) as worker:
        await worker.started.wait()
        worker.resize(2**64)  # more than a heartbeat can say
        await until_true(lambda: "a heartbeat broke" in caplog.text)
        worker.resize(7)
        await until(seven)
