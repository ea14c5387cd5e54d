"""Handlers that hold the interpreter keep their lease."""

from __future__ import annotations

import time

import pytest

from fixtures.workers import QUEUE, ended, working
from jobfleet import Fleet

HOLD_SECONDS = 1.5
LEASE_MS = 600


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
