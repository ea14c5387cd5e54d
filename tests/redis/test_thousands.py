"""What one call does to thousands of jobs is done whole: Lua's stack takes some 8,000 values."""

from __future__ import annotations

import pytest

from fixtures.verbs import QUEUE, REALM, Queue, done, new
from jobfleet.errors import JobfleetError
from jobfleet.scripts import steering
from jobfleet.scripts.processing import MAX_BATCH, Outcome
from jobfleet.scripts.producing import NewJob
from jobfleet.states import State

JOBS = 4100
"""With two values each, more than Lua's stack takes."""
WAKE = "jf:{test/photos}:wake"


async def enqueue(queue: Queue, jobs: list[NewJob]) -> None:
    for start in range(0, len(jobs), MAX_BATCH):
        await queue.enqueue(*jobs[start : start + MAX_BATCH])


@pytest.mark.parametrize("group", [None, "g"])
async def test_thousands_that_waited_too_long_fail_and_hold_nothing_up(queue: Queue, group: str | None) -> None:
    await enqueue(queue, [new(f"j{n}", group=group, expires_in=0.001) for n in range(JOBS)])
    await queue.enqueue(new("fresh", group=group))
    last = (await queue.read()).now_ms
    while (await queue.read()).now_ms <= last + 1:
        pass
    got, calls = [], 0
    again = True
    while again:
        await queue.client._redis.delete(WAKE)
        grant = await queue.exchange("w1", 100)
        got += [job.id for job in grant.jobs]
        again, calls = grant.again, calls + 1
        assert await queue.client._redis.llen(WAKE) == again, "who stops early tells others that there is more"
    assert got == ["fresh"]
    assert calls >= JOBS // (2 * MAX_BATCH), "one call steps over a bounded number"
    reading = await queue.read()
    assert (reading.count("waiting"), reading.count("failed"), reading.failed) == (0, JOBS, JOBS)
    assert await queue.state("j0") is State.FAILED


@pytest.mark.parametrize("dead_letter", ["", "graveyard"])
async def test_thousands_of_poison_jobs_of_one_worker_are_all_kept(queue: Queue, dead_letter: str) -> None:
    await queue.client.run(steering.configure(REALM, QUEUE, {"max_deliveries": 1, "dead_letter": dead_letter}))
    await enqueue(queue, [new(f"j{n}") for n in range(JOBS)])
    for worker in ("w1", "w2"):
        while await queue.claim(MAX_BATCH, worker):
            pass
        assert await queue.reclaim(worker) == JOBS
    reading = await queue.read()
    assert (reading.count("waiting"), reading.count("active")) == (0, 0)
    assert (reading.count("failed"), reading.failed) == (JOBS, JOBS)
    assert reading.forwarding == (JOBS if dead_letter else 0)


async def test_thousands_are_discarded_in_one_call(queue: Queue) -> None:
    ids = [f"j{n}" for n in range(2 * JOBS)]
    await enqueue(queue, [new(job_id) for job_id in ids])
    while got := await queue.claim(MAX_BATCH):
        await queue.exchange("w1", 0, *(Outcome(job_id, 1, "fail") for job_id in got))
    assert await queue.client.run(steering.discard(REALM, QUEUE, [*ids, "unknown"])) == 2 * JOBS
    assert (await queue.read()).failed == 0
    assert not await queue.client._redis.exists("jf:{test/photos}:jobs")


async def test_a_queue_is_purged_with_the_keys_of_thousands_of_workers(queue: Queue) -> None:
    await queue.enqueue(new("a"))
    await queue.claim(1, "w4100")
    assert await queue.client.run(steering.purge(REALM, QUEUE, [f"w{n}" for n in range(JOBS + 1)])) == 1
    assert await queue.client._redis.keys("jf:{test/photos}*") == [b"jf:{test/photos}:audit"]


async def test_more_than_an_exchange_may_bring_is_refused_or_left_for_the_next(queue: Queue) -> None:
    await enqueue(queue, [new(f"j{n}") for n in range(MAX_BATCH + 1)])
    ids = await queue.claim(MAX_BATCH + 500)
    assert len(ids) == MAX_BATCH
    assert await queue.client._redis.llen(WAKE) == 1
    ids += await queue.claim(1)
    with pytest.raises(JobfleetError, match="more than 1,000 outcomes"):
        await queue.exchange("w1", 0, *(done(job_id) for job_id in ids))
    assert (await queue.read()).count("active") == MAX_BATCH + 1
