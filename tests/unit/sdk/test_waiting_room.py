"""Those who wait for room: in order, and no longer than they want."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from jobfleet.errors import QueueFull
from jobfleet.scripts.producing import NewJob
from jobfleet.waiting_room import WaitingRoom

FULL = QueueFull("photos", 1, 1)


async def test_who_has_given_up_is_not_kept_behind_one_who_waits_for_long() -> None:
    sent: list[list[str]] = []
    room_now = 0

    async def send(jobs: Sequence[NewJob]) -> list[str | None]:
        sent.append([job.id for job in jobs])
        if len(jobs) > room_now:
            raise FULL
        return [job.id for job in jobs]

    room = WaitingRoom(send)
    patient = asyncio.create_task(room.enqueue(NewJob("patient", 5, 0, b"", wait=60.0), FULL))
    hasty = [room.enqueue(NewJob(f"hasty-{n}", 5, 0, b"", wait=0.001), FULL) for n in range(50)]
    refused = await asyncio.gather(*hasty, return_exceptions=True)
    assert {type(one) for one in refused} == {QueueFull}
    async with asyncio.timeout(5):
        while sum(waiter.answer.done() for waiter in room._waiting):
            await asyncio.sleep(0)
    assert len(room._waiting) <= 1
    room_now = 1
    async with asyncio.timeout(5):
        assert await patient == "patient"
    assert {job_id for batch in sent for job_id in batch} == {"patient"}, "who comes first is asked for first"


async def test_closing_ends_all_waits() -> None:
    async def send(jobs: Sequence[NewJob]) -> list[str | None]:
        raise FULL

    room = WaitingRoom(send)
    waiting = [asyncio.create_task(room.enqueue(NewJob(str(n), 5, 0, b"", wait=60.0), FULL)) for n in range(3)]
    await asyncio.sleep(0)
    await room.close()
    for one in waiting:
        with pytest.raises(asyncio.CancelledError):
            await one
