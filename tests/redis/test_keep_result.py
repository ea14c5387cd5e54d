"""A job may have a time of its own for which its result is kept, whatever its queue keeps."""

from __future__ import annotations

import pytest

from fixtures.verbs import QUEUE, Queue, done, new
from fixtures.workers import until, working
from jobfleet import Fleet, InvalidJob, JobOptions, State

KEPT = "jf:{test/photos}:kept"


async def complete(queue: Queue, *ids: str) -> None:
    """Claim what waits and hand these in, each with a result."""
    await queue.claim(100)
    await queue.exchange("w1", 0, *(done(job_id, data=b"\x01") for job_id in ids))


async def its_time_is_over(queue: Queue, job_id: str) -> None:
    await queue.client._redis.zadd(KEPT, {job_id: 1}, xx=True)


async def test_a_result_outlives_its_queues_retention_for_its_own_time(queue: Queue, fleet: Fleet) -> None:
    await queue.configure(keep_completed=1)
    await queue.enqueue(new("long", keep_result=3600), new("a"), new("b"), new("none", keep_result=0))
    await complete(queue, "long", "a", "b", "none")
    assert [await queue.state(i) for i in ("long", "a", "b", "none")] == [State.COMPLETED, None, State.COMPLETED, None]
    status = await fleet.status(QUEUE)
    assert (status.completed, status.completed_total) == (2, 4)
    assert [job.id for job in await fleet.queue(QUEUE).jobs(State.COMPLETED)] == ["b", "long"]
    assert await fleet.result(QUEUE, "long", 1) == 1
    score = await queue.client._redis.zscore(KEPT, "long")
    assert score == (await queue.look("long")).since_ms + 3_600_000  # type: ignore[union-attr]


async def test_a_queue_that_keeps_nothing_keeps_what_wants_to_be_kept(queue: Queue) -> None:
    await queue.configure(keep_completed=0)
    await queue.enqueue(new("a"), new("b", keep_result=60))
    await complete(queue, "a", "b")
    assert [await queue.state(i) for i in ("a", "b")] == [None, State.COMPLETED]


async def test_when_its_time_is_over_it_goes_with_the_next_that_completes(queue: Queue) -> None:
    await queue.enqueue(*(new(f"j{n}", keep_result=60) for n in range(4)), new("k", keep_result=60))
    await complete(queue, "j0", "j1", "j2", "j3")
    for n in range(4):
        await its_time_is_over(queue, f"j{n}")
    await queue.exchange("w1", 0, done("k"))
    left = [n for n in range(4) if await queue.state(f"j{n}") is not None]
    assert len(left) == 2, "one in, two out: the work is bounded"
    for key in ("jobs", "results"):
        assert not await queue.client._redis.hexists(f"jf:{{test/photos}}:{key}", "j0")


async def test_an_idle_worker_forgets_those_whose_time_is_over(queue: Queue) -> None:
    await queue.enqueue(*(new(f"j{n}", keep_result=60) for n in range(4)))
    await complete(queue, "j0", "j1", "j2", "j3")
    for n in range(3):
        await its_time_is_over(queue, f"j{n}")
    assert await queue.claim(5) == []
    assert [await queue.state(f"j{n}") is None for n in range(4)] == [True, True, True, False]


async def test_one_that_failed_is_kept_as_all_failed_jobs_are(queue: Queue) -> None:
    from jobfleet.scripts.processing import Outcome

    await queue.enqueue(new("a", keep_result=0))
    await queue.claim(1)
    await queue.exchange("w1", 0, Outcome("a", 1, "fail"))
    assert await queue.state("a") is State.FAILED


async def test_it_can_be_discarded(queue: Queue, fleet: Fleet) -> None:
    await queue.enqueue(new("a", keep_result=60), new("b"))
    await complete(queue, "a", "b")
    assert await fleet.queue(QUEUE).discard("a", "b") == 2
    assert (await fleet.status(QUEUE)).completed == 0


async def test_it_is_said_at_the_job_or_at_each_enqueue_and_checked(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE, keep_result=60)
    async def double(n: int) -> int:
        return 2 * n

    with pytest.raises(InvalidJob, match="keep_result: -1 must be seconds from 0"):
        JobOptions(keep_result=-1)
    async with working(fleet):
        job_id = await double.enqueue(4)
        assert await fleet.result(QUEUE, job_id, 15) == 8
        gone = await double.options(keep_result=0).enqueue(5)

        async def is_gone() -> bool:
            return await fleet.job_state(QUEUE, gone) is None

        await until(is_gone)
