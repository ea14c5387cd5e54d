"""Tasks that have to end."""

from __future__ import annotations

import asyncio

from jobfleet.ending import end_tasks


async def test_a_task_that_swallows_a_cancel_is_cancelled_again() -> None:
    begun, swallowed = asyncio.Event(), 0

    async def stubborn() -> None:
        nonlocal swallowed
        while True:
            begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                swallowed += 1
                if swallowed == 3:
                    raise

    async def broken() -> None:
        raise ValueError("nobody looks at it")

    async def done() -> None:
        pass

    tasks = [asyncio.create_task(work()) for work in (stubborn, broken, done)]
    await begun.wait()
    await end_tasks(None, *tasks)
    assert [task.done() for task in tasks] == [True] * 3
    assert (tasks[0].cancelled(), swallowed) == (True, 3)
