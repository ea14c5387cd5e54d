"""Limits of a whole queue: jobs at a time, jobs in a time, jobs that may wait, time that a job may wait."""

from __future__ import annotations

import pytest

from fixtures.verbs import Queue, done, new
from jobfleet.errors import QueueFull
from jobfleet.scripts.processing import Outcome
from jobfleet.states import State


async def test_a_queue_runs_no_more_jobs_at_a_time_than_it_may(queue: Queue) -> None:
    await queue.configure(max_active=3)
    await queue.enqueue(*(new(f"j{n}") for n in range(6)))
    assert await queue.claim(2, "w1") == ["j0", "j1"]
    assert await queue.claim(5, "w2") == ["j2"]
    assert await queue.claim(5, "w3") == []
    grant = await queue.exchange("w1", 5, done("j0"))
    assert [job.id for job in grant.jobs] == ["j3"]


async def test_a_slot_that_a_full_worker_frees_wakes_another(queue: Queue) -> None:
    await queue.configure(max_active=1)
    await queue.enqueue(new("j0"), new("j1"))
    await queue.claim(1, "w1")
    while await queue.client.pop("jf:{test/photos}:wake", 0.01):
        pass
    await queue.exchange("w1", 0, done("j0"))
    assert await queue.client.pop("jf:{test/photos}:wake", 0.01)


async def test_a_rate_holds_for_all_workers_together_and_the_answer_tells_when_to_ask_again(queue: Queue) -> None:
    await queue.configure(rate_count=4, rate_ms=3_600_000)
    await queue.enqueue(*(new(f"j{n}") for n in range(10)))
    assert len(await queue.claim(3, "w1")) == 3
    grant = await queue.exchange("w2", 3)
    assert len(grant.jobs) == 1
    assert 0 < grant.resume_ms - grant.now_ms <= 900_000
    assert await queue.claim(3, "w3") == []


async def test_a_handler_that_meets_a_limit_holds_up_the_queue(queue: Queue) -> None:
    await queue.enqueue(new("j0"), new("j1"))
    await queue.claim(1)
    grant = await queue.exchange("w1", 5, Outcome("j0", 1, "limit", delay_ms=60_000))
    assert (grant.jobs, grant.resume_ms - grant.now_ms) == ([], 60_000)
    view = await queue.look("j0")
    assert view is not None
    assert (view.state, view.failures) == (State.WAITING, 0)
    await queue.client._redis.hset("jf:{test/photos}:counters", "blocked_until", 1)
    assert await queue.claim(5) == ["j0", "j1"]


@pytest.mark.parametrize("held", ["paused", "limit"])
async def test_what_falls_due_while_nothing_is_handed_out_does_not_call_its_worker_back(
    queue: Queue, held: str
) -> None:
    await queue.enqueue(new("j0"), new("late", due=-60_000))
    await queue.claim(1)
    await queue.exchange("w1", 0, Outcome("j0", 1, "limit", delay_ms=60_000 if held == "limit" else 0))
    await queue.configure(paused=int(held == "paused"))
    await queue.client._redis.zadd("jf:{test/photos}:delayed", {"late": 1})
    grant = await queue.exchange("w1", 5)
    assert (grant.jobs, grant.next_due_ms) == ([], 0)
    assert await queue.state("late") is State.WAITING


async def test_a_full_queue_takes_nothing_and_says_how_full_it_is(queue: Queue) -> None:
    await queue.configure(max_length=3)
    await queue.enqueue(new("a"), new("b", due=-60_000))
    with pytest.raises(QueueFull, match="queue 'photos' holds 2 jobs and may hold 3"):
        await queue.enqueue(new("c"), new("d"))
    with pytest.raises(QueueFull):
        await queue.enqueue(new("c", group="g"), new("d"))
    assert await queue.enqueue(new("c")) == [True]
    assert await queue.state("d") is None


async def test_a_job_that_waited_too_long_fails_as_expired(queue: Queue) -> None:
    await queue.enqueue(new("old", expires_in=0.001), new("fresh", expires_in=3600))
    record = await queue.client._redis.hget("jf:{test/photos}:jobs", "old")
    assert record is not None
    past = record[:13] + (1_000_000).to_bytes(6, "big") + record[19:]
    await queue.client._redis.hset("jf:{test/photos}:jobs", "old", past)
    assert await queue.claim(10) == ["fresh"]
    view = await queue.look("old")
    assert view is not None
    assert view.error is not None
    assert (view.state, view.error.kind) == (State.FAILED, "expired")
    reading = await queue.read()
    assert (reading.count("waiting"), reading.count("failed"), reading.failed) == (0, 1, 1)


async def test_a_snooze_uses_no_attempt(queue: Queue) -> None:
    await queue.enqueue(new("a"))
    await queue.claim(1)
    await queue.exchange("w1", 0, Outcome("a", 1, "snooze", delay_ms=60_000))
    view = await queue.look("a")
    assert view is not None
    assert (view.state, view.failures, view.lost) == (State.DELAYED, 0, 0)
