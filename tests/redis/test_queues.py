"""A queue in the hands of whoever looks after it, async and sync, on a real Redis."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fixtures.workers import working as worker_working
from jobfleet import (
    Event,
    FailureFilter,
    Fleet,
    InvalidJob,
    JobFailed,
    JobfleetError,
    JobLog,
    JobOptions,
    Limits,
    QueueFull,
    SealError,
    State,
    Unrecoverable,
)

QUEUE = "photos"


@pytest.fixture
async def fleet(redis_url: str) -> AsyncIterator[Fleet]:
    async with Fleet(redis_url) as fleet:

        @fleet.job(queue=QUEUE)
        async def double(n: int) -> int:
            return 2 * n

        @fleet.job(queue=QUEUE)
        async def explode(what: str) -> None:
            raise Unrecoverable(f"{what} is broken")

        yield fleet


working = functools.partial(worker_working, concurrency=10)


async def broken(fleet: Fleet, *what: str) -> list[str]:
    """Ids of jobs that have failed, one for each word."""
    ids = await fleet.send(QUEUE, [("explode", {"what": word}, JobOptions()) for word in what])
    async with working(fleet):
        for job_id in ids:
            await fleet.queue(QUEUE).wait(job_id, 15)
    return ids


async def test_a_result_is_waited_for_without_polling(fleet: Fleet) -> None:
    job_id = await fleet.enqueue(QUEUE, "double", {"n": 21})
    waiting = asyncio.create_task(fleet.result(QUEUE, job_id, 15))
    while not await fleet.client()._redis.sismember("jf:{default/photos}:awaited", job_id):
        await asyncio.sleep(0.01)
    before = (await fleet.client()._redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    await asyncio.sleep(0)
    async with working(fleet):
        assert await waiting == 42
    assert (await fleet.client()._redis.info("commandstats"))["cmdstat_evalsha"]["calls"] - before < 15


async def test_many_waits_share_one_subscription(fleet: Fleet) -> None:
    ids = [await fleet.enqueue(QUEUE, "double", {"n": n}) for n in range(50)]
    waits = [asyncio.create_task(fleet.result(QUEUE, job_id, 15)) for job_id in ids]
    while await fleet.client()._redis.scard("jf:{default/photos}:awaited") < 50:
        await asyncio.sleep(0.01)
    assert await fleet.client()._redis.pubsub_numsub("jf:ends:{default/photos}") == [(b"jf:ends:{default/photos}", 1)]
    async with working(fleet):
        assert await asyncio.gather(*waits) == [2 * n for n in range(50)]


async def test_a_wait_for_a_failed_an_unknown_and_a_slow_job_says_what_is_the_matter(fleet: Fleet) -> None:
    (job_id,) = await broken(fleet, "lens")
    with pytest.raises(JobFailed, match=f"job {job_id} failed: Unrecoverable: lens is broken"):
        await fleet.result(QUEUE, job_id, 5)
    with pytest.raises(LookupError, match="there is no job nobody"):
        await fleet.result(QUEUE, "nobody", 5)
    slow = await fleet.enqueue(QUEUE, "double", {"n": 1}, delay=3600)
    for seconds in (0, 0.05):
        with pytest.raises(TimeoutError, match=f"job {slow} has not ended in {seconds} s"):
            await fleet.result(QUEUE, slow, seconds)


async def test_who_has_no_time_to_wait_learns_how_it_ended_all_the_same(fleet: Fleet) -> None:
    (job_id,) = await broken(fleet, "lens")
    view = await fleet.queue(QUEUE).wait(job_id, 0)
    assert view is not None
    assert view.state is State.FAILED


async def test_synchronous_code_waits_too(fleet: Fleet) -> None:
    found: list[object] = []

    def service() -> None:
        job_id = fleet.enqueue_sync(QUEUE, "double", {"n": 4})
        found.append(fleet.result_sync(QUEUE, job_id, 15))
        with pytest.raises(TimeoutError):
            fleet.result_sync(QUEUE, fleet.enqueue_sync(QUEUE, "double", {"n": 1}, delay=60), 0.05)

    async with working(fleet):
        await asyncio.to_thread(service)
    assert found == [8]


async def test_what_is_no_id_and_no_age_is_refused_with_a_sentence(fleet: Fleet) -> None:
    queue: Any = fleet.queue(QUEUE)
    for verb in (queue.retry, queue.discard):
        with pytest.raises(InvalidJob, match=r"job_ids: \['a', 'b'\] must be the id of a job; give several as retry"):
            await verb(["a", "b"])
    for age in ("1h", -1, float("nan")):
        with pytest.raises(InvalidJob, match=r"older_than: .* must be seconds from 0 to"):
            await queue.clean(State.FAILED, age)


async def test_concurrent_enqueues_share_round_trips(fleet: Fleet) -> None:
    await fleet.enqueue(QUEUE, "double", {"n": 0})
    before = (await fleet.client()._redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    ids = await asyncio.gather(*(fleet.enqueue(QUEUE, "double", {"n": n}) for n in range(1500)))
    after = (await fleet.client()._redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    assert len(set(ids)) == 1500
    assert after - before <= 4
    assert (await fleet.status(QUEUE)).waiting == 1501
    (first, *_) = await fleet.queue(QUEUE).jobs(State.WAITING, 3)
    assert first.args == {"n": 0}


async def test_in_a_shared_round_trip_only_the_job_to_blame_is_refused(fleet: Fleet) -> None:
    await fleet.queue(QUEUE).limit(Limits(max_length=1000))
    from jobfleet.scripts.steering import configure

    await fleet.client().run(configure("default", QUEUE, {"max_job_bytes": 300}))
    calls = [fleet.enqueue(QUEUE, "any", {"pad": "x" * (400 if n == 3 else 10)}) for n in range(6)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(answer, InvalidJob) for answer in answers] == [n == 3 for n in range(6)]
    assert (await fleet.status(QUEUE)).waiting == 5


async def test_a_cancelled_enqueue_leaves_the_others_alone(fleet: Fleet) -> None:
    tasks = [asyncio.create_task(fleet.enqueue(QUEUE, "double", {"n": n})) for n in range(10)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    tasks[5].cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(isinstance(answer, str) for answer in answers) >= 8
    assert await fleet.enqueue(QUEUE, "double", {"n": 99})


async def test_failures_are_listed_filtered_and_grouped_by_cause(fleet: Fleet) -> None:
    ids = await broken(fleet, "lens 1", "lens 2", "shutter")
    queue = fleet.queue(QUEUE)
    assert {job.id for job in await queue.failed()} == set(ids)
    assert [job.args["what"] for job in await queue.failed(FailureFilter(text="shutter"))] == ["shutter"]
    assert await queue.failed(FailureFilter(kind="TimeoutError")) == []
    groups = await queue.failures()
    assert [(group.count, group.kind) for group in groups] == [(2, "Unrecoverable"), (1, "Unrecoverable")]
    by_cause = await queue.failed(FailureFilter(fingerprint=groups[0].fingerprint))
    assert sorted(job.args["what"] for job in by_cause) == ["lens 1", "lens 2"]


async def test_failed_jobs_are_retried_by_filter_at_a_rate(fleet: Fleet) -> None:
    await broken(fleet, "a", "b", "shutter")
    queue = fleet.queue(QUEUE)
    assert await queue.retry_where(FailureFilter(text="is broken"), per_second=0.01) == 3
    status = await queue.status()
    assert (status.failed, status.waiting, status.delayed) == (0, 1, 2)


async def test_jobs_are_discarded_and_cleaned(fleet: Fleet) -> None:
    first, second = await broken(fleet, "a", "b")
    queue = fleet.queue(QUEUE)
    assert await queue.discard(first, "nobody") == 1
    assert await queue.clean(State.FAILED, older_than=3600) == 0
    assert await queue.clean(State.FAILED) == 0 or await queue.job(second) is None
    with pytest.raises(InvalidJob, match="state: 'waiting' cannot be cleaned"):
        await queue.clean(State.WAITING)


async def test_cancel_reaches_a_waiting_job(fleet: Fleet) -> None:
    job_id = await fleet.enqueue(QUEUE, "double", {"n": 1})
    assert await fleet.queue(QUEUE).cancel(job_id) == "cancelled"
    with pytest.raises(JobFailed, match="cancelled"):
        await fleet.result(QUEUE, job_id, 5)


async def test_obliterate_wants_the_name_and_minds_running_jobs(fleet: Fleet) -> None:
    from jobfleet.scripts.processing import settle_and_claim

    await fleet.enqueue(QUEUE, "double", {"n": 1})
    await fleet.client().run(settle_and_claim("default", QUEUE, "w", 1, []))
    queue = fleet.queue(QUEUE)
    with pytest.raises(JobfleetError, match="repeat its name"):
        await queue.obliterate("invoices")
    with pytest.raises(JobfleetError, match="1 running jobs"):
        await queue.obliterate(QUEUE)
    assert await queue.obliterate(QUEUE, force=True) == 1
    assert await fleet.client()._redis.keys("*") == [b"jf:{default/photos}:audit"]


async def test_limits_hold_and_a_full_queue_says_so(fleet: Fleet) -> None:
    queue = fleet.queue(QUEUE)
    await queue.limit(Limits(max_length=2, max_active=1, rate=100, rate_seconds=1))
    await fleet.enqueue(QUEUE, "double", {"n": 1})
    await fleet.enqueue(QUEUE, "double", {"n": 2})
    with pytest.raises(QueueFull, match="may hold 2"):
        await fleet.enqueue(QUEUE, "double", {"n": 3})
    with pytest.raises(InvalidJob, match="rate"):
        Limits(rate=-1)
    running, most = 0, 0

    @fleet.job(queue=QUEUE)
    async def count() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    await queue.limit(Limits(max_length=0))
    ids = await count.enqueue_many([{} for _ in range(20)])
    async with working(fleet):
        for job_id in ids:
            await queue.wait(job_id, 15)
    assert most == 1


async def test_a_rate_limit_is_kept_by_a_worker_without_polling(fleet: Fleet) -> None:
    queue = fleet.queue(QUEUE)
    await queue.limit(Limits(rate=5, rate_seconds=0.5))
    ids = await fleet.send(QUEUE, [("double", {"n": n}, JobOptions()) for n in range(10)])
    async with working(fleet):
        views = [await queue.wait(job_id, 15) for job_id in ids]
    starts = sorted(view.started_ms for view in views if view)
    assert starts[9] - starts[0] >= 400


async def test_events_are_followed_and_resumed(fleet: Fleet) -> None:
    queue = fleet.queue(QUEUE)
    seen: list[Event] = []
    first = await fleet.enqueue(QUEUE, "double", {"n": 1})
    async with working(fleet):
        async for event in queue.events("0"):
            seen.append(event)
            if event.verb == "complete":
                break
    assert [(event.verb, event.job_ids) for event in seen] == [
        ("enqueue", (first,)), ("claim", (first,)), ("complete", (first,)),
    ]  # fmt: skip
    second = await fleet.enqueue(QUEUE, "double", {"n": 2})
    async for event in queue.events(seen[-1].id):
        assert (event.verb, event.job_ids) == ("enqueue", (second,))
        break


async def test_a_paused_queue_hands_out_nothing_until_it_is_resumed(fleet: Fleet) -> None:
    queue = fleet.queue(QUEUE)
    await queue.pause()
    async with working(fleet):
        job_id = await fleet.enqueue(QUEUE, "double", {"n": 1})
        with pytest.raises(TimeoutError):
            await queue.wait(job_id, 0.3)
        await queue.resume()
        assert await fleet.result(QUEUE, job_id, 15) == 2


def test_synchronous_code_has_the_same_verbs(redis_url: str) -> None:
    fleet = Fleet(redis_url)
    queue = fleet.queue_sync(QUEUE)
    ids = [fleet.enqueue_sync(QUEUE, "double", {"n": n}, group="g") for n in range(3)]
    assert queue.cancel(ids[0]) == "cancelled"
    assert queue.retry(ids[0], "nobody") == 1
    assert sorted(job.id for job in queue.jobs(State.WAITING)) == sorted(ids)
    assert queue.cancel(ids[1]) == "cancelled"
    assert [job.id for job in queue.jobs(State.CANCELLED)] == [ids[1]]
    assert queue.failed() == []
    assert queue.failures() == []
    assert queue.discard(ids[1]) == 1
    queue.group("g", weight=2, max_active=1)
    queue.limit(Limits(max_active=3))
    queue.pause()
    assert queue.status().paused
    queue.resume()
    assert queue.log(ids[0]) == JobLog(0, (), 0)
    assert queue.clean(State.FAILED) == 0
    job = queue.job(ids[2])
    assert job is not None
    assert job.group == "g"
    assert queue.obliterate(QUEUE) == 2
    fleet.close_sync()


async def test_sealed_jobs_and_results_are_read_by_who_has_the_key_and_by_nobody_else(redis_url: str) -> None:
    from jobfleet import Seal

    seal = Seal(compress_above=200, keys={"k1": bytes(range(32))})
    async with Fleet(redis_url, seal=seal) as owner, Fleet(redis_url) as stranger:

        @owner.job(queue=QUEUE)
        async def echo(text: str) -> str:
            return text

        @stranger.job(queue=QUEUE, name="echo")
        async def never(text: str) -> str:
            return text

        secret = "confidential " * 50
        job_id = await echo.enqueue(text=secret)
        async with working(owner):
            assert await owner.result(QUEUE, job_id, 15) == secret
        stored = await owner.client()._redis.hget("jf:{default/photos}:jobs", job_id)
        result = await owner.client()._redis.hget("jf:{default/photos}:results", job_id)
        assert stored is not None
        assert result is not None
        assert b"confidential" not in stored + result
        assert len(stored) < 200
        seen = await stranger.job_state(QUEUE, job_id)
        assert seen is not None
        assert (seen.name, seen.args, seen.result) == ("(sealed)", {}, None)
        with pytest.raises(SealError, match="not among this fleet's keys; give it that one"):
            await stranger.result(QUEUE, job_id, 15)
        with pytest.raises(SealError, match="not among"):
            await asyncio.to_thread(stranger.result_sync, QUEUE, job_id, 15)
        other = await echo.enqueue(text="again")
        async with working(stranger):
            with pytest.raises(JobFailed, match="give it the key"):
                await stranger.result(QUEUE, other, 15)


async def test_a_state_may_be_said_as_its_word(fleet: Fleet) -> None:
    await broken(fleet, "lens")
    queue = fleet.queue(QUEUE)
    assert [job.state for job in await queue.jobs("failed")] == [State.FAILED]
    assert await queue.clean("failed") == 1
