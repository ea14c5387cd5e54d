"""Concurrent enqueues share calls, and none waits for more than two that fail, nor is sent for a producer that left."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Sequence

import pytest

from jobfleet import InvalidJob, Unavailable
from jobfleet.coalescing import Coalescer
from jobfleet.scripts.producing import BATCH, BATCH_BYTES, NewJob

Enqueue = asyncio.Task[str | None]


class Redis:
    """Answers a call when the test says so."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self._answers: list[asyncio.Future[None]] = []

    async def send(self, jobs: Sequence[NewJob]) -> list[str | None]:
        self.calls.append([job.id for job in jobs])
        self._answers.append(asyncio.get_running_loop().create_future())
        await self._answers[-1]
        return [job.id for job in jobs]

    async def answer(self, error: Exception | None = None) -> None:
        """End the newest call, and let what follows from that happen."""
        if error is None:
            self._answers[-1].set_result(None)
        else:
            self._answers[-1].set_exception(error)
        await settle()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def job(name: str, size: int = 0) -> NewJob:
    return NewJob(name, 5, 0, bytes(size))


async def begin(coalescer: Coalescer, *names: str) -> list[Enqueue]:
    tasks = [asyncio.create_task(coalescer.enqueue(job(name))) for name in names]
    await settle()
    return tasks


async def test_when_redis_is_away_all_hear_so_who_waited_before_the_call_that_failed() -> None:
    redis = Redis()
    coalescer = Coalescer(redis.send)
    first, *crowd = await begin(coalescer, "first", *map(str, range(2 * BATCH + 1)))
    await redis.answer(Unavailable("away"))
    assert isinstance(first.exception(), Unavailable)
    assert not any(task.done() for task in crowd), "these have not been tried"
    late = await begin(coalescer, "late", "later")
    await redis.answer(Unavailable("away"))
    assert all(isinstance(task.exception(), Unavailable) for task in crowd)
    assert not any(task.done() for task in late)
    await redis.answer()
    assert [await task for task in late] == ["late", "later"]
    assert [len(call) for call in redis.calls] == [1, BATCH, 2]


async def test_when_redis_goes_away_while_jobs_go_one_by_one_the_others_of_the_call_are_not_tried() -> None:
    redis = Redis()
    coalescer = Coalescer(redis.send)
    first, *crowd = await begin(coalescer, "first", "a", "b", "c")
    await redis.answer()
    await redis.answer(InvalidJob("args", "one is too large"))
    await redis.answer()
    await redis.answer(Unavailable("away"))
    assert (await first, await crowd[0]) == ("first", "a")
    assert all(isinstance(task.exception(), Unavailable) for task in crowd[1:])
    assert redis.calls == [["first"], ["a", "b", "c"], ["a"], ["b"]]


async def test_large_jobs_go_fewer_at_a_time() -> None:
    redis = Redis()
    coalescer = Coalescer(redis.send)
    tasks = [asyncio.create_task(coalescer.enqueue(job(name, BATCH_BYTES // 2))) for name in "abcde"]
    for _ in range(4):
        await settle()
        if not all(task.done() for task in tasks):
            await redis.answer()
    assert [await task for task in tasks] == list("abcde")
    assert redis.calls == [["a"], ["b", "c"], ["d", "e"]]


async def test_nothing_is_sent_for_who_waits_no_longer() -> None:
    redis = Redis()
    coalescer = Coalescer(redis.send)
    first, gone, stays, also_gone = await begin(coalescer, "first", "gone", "stays", "also gone")
    gone.cancel()
    also_gone.cancel()
    await redis.answer()
    await redis.answer()
    assert (await first, await stays) == ("first", "stays")
    assert redis.calls == [["first"], ["stays"]]
    await begin(coalescer, "next")
    assert redis.calls[-1] == ["next"]
    await redis.answer()


def test_a_loop_that_ends_amid_enqueues_leaves_no_task_behind() -> None:
    said: list[str] = []

    async def leave() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context["message"]))
        await begin(Coalescer(Redis().send), *"abcde")

    asyncio.run(leave())
    gc.collect()
    assert said == []


@pytest.mark.parametrize("refused", [0, 2])
async def test_a_job_that_is_refused_harms_no_other(refused: int) -> None:
    calls: list[int] = []

    async def send(jobs: Sequence[NewJob]) -> list[str | None]:
        calls.append(len(jobs))
        await asyncio.sleep(0)
        if any(job.id == str(refused) for job in jobs):
            raise InvalidJob("args", "too large")
        return [job.id for job in jobs]

    answers = await asyncio.gather(*await begin(Coalescer(send), *"0123"), return_exceptions=True)
    assert [isinstance(answer, InvalidJob) for answer in answers] == [n == refused for n in range(4)]
