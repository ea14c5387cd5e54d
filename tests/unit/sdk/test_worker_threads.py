"""Threads for handlers: each call is told of, and there are as many threads as calls, up to the most."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from fixtures.workers import until_true
from jobfleet.worker.threads import Threads

PATIENCE = 20.0


def alive() -> int:
    return sum(thread.name.startswith("jobfleet-handler") for thread in threading.enumerate())


class Exhausted(StopIteration):
    """Of a class of its own."""


@pytest.mark.parametrize("kind", [StopIteration, Exhausted])
async def test_a_stop_iteration_arrives_as_it_does_from_a_coroutine(kind: type[StopIteration]) -> None:
    threads = Threads()

    def exhaust() -> None:
        raise kind("no photo left")

    with pytest.raises(RuntimeError, match="the handler raised StopIteration") as caught:
        await asyncio.wait_for(threads.future(exhaust), PATIENCE)
    assert isinstance(caught.value.__cause__, kind)
    threads.close()


async def test_one_that_cannot_be_told_of_holds_up_no_other() -> None:
    threads = Threads()
    told: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, about: told.append(repr(about["exception"])))

    def broken(result: Any, error: Any) -> None:
        raise LookupError(result)

    threads.submit(lambda: "first", broken)
    threads.submit(lambda: "second", lambda result, error: told.append(result))
    deadline = time.monotonic() + PATIENCE
    while len(threads._done) < 2 and time.monotonic() < deadline:
        pass
    await until_true(lambda: len(told) == 2)
    assert sorted(told) == ["LookupError('first')", "second"]
    threads.close()


async def test_a_call_after_a_resize_down_and_up_waits_for_no_other() -> None:
    threads, go_on = Threads(), threading.Event()
    held = [threads.future(go_on.wait) for _ in range(3)]
    threads.resize(1)
    threads.resize(4)
    try:
        assert await asyncio.wait_for(threads.future(lambda: "done"), PATIENCE) == "done"
    finally:
        go_on.set()
        await asyncio.gather(*held)
        threads.close()


async def test_threads_beyond_the_most_end_as_they_come_free() -> None:
    await until_true(lambda: alive() == 0)
    threads, gates = Threads(), [threading.Event() for _ in range(3)]
    held = [threads.future(gate.wait) for gate in gates]
    threads.resize(1)
    assert alive() == 3
    gates[0].set()
    await until_true(lambda: alive() == 2)
    gates[1].set()
    await until_true(lambda: alive() == 1)
    threads.close()
    assert alive() == 1
    gates[2].set()
    await until_true(lambda: alive() == 0)
    await asyncio.gather(*held)
