"""A full queue, or a Redis short of memory, pushes back: enqueue is refused, or waits, alone and in company."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

import redis
from fixtures.verbs import QUEUE, Queue, done
from fixtures.workers import until, until_true, working
from jobfleet import Fleet, InvalidJob, JobOptions, MemoryHigh, QueueFull, State, Unavailable


@pytest.fixture
def server(redis_port: int) -> Iterator[redis.Redis]:
    with redis.Redis(host="127.0.0.1", port=redis_port) as client:
        yield client
        client.config_set("maxmemory", 0)


@pytest.fixture
async def full(fleet: Fleet) -> Fleet:
    """A queue of two jobs that may hold two."""
    await fleet.queue(QUEUE).configure(max_length=2)
    for n in range(2):
        await fleet.enqueue(QUEUE, "job", {"n": n})
    return fleet


async def take(queue: Queue, count: int) -> None:
    """Make room."""
    for job in (await queue.exchange("w1", count)).jobs:
        await queue.exchange("w1", 0, done(job.id, job.attempt))


def calls(server: redis.Redis) -> int:
    stats = server.info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("eval", "evalsha"))


async def waits(fleet: Fleet, count: int) -> None:
    def all_there() -> bool:
        rooms = next(iter(fleet._rooms.values()), {})
        return sum(len(room._waiting) for room in rooms.values()) >= count

    await until_true(all_there)


async def test_a_producer_waits_for_room_and_says_when_there_was_none(full: Fleet, queue: Queue) -> None:
    with pytest.raises(QueueFull, match=r"holds 2 jobs and may hold 2; enqueue waited 0\.05 s for room"):
        await full.enqueue(QUEUE, "job", {}, wait_when_full=0.05)
    with pytest.raises(QueueFull, match=r"or let enqueue wait: wait_when_full=seconds"):
        await full.enqueue(QUEUE, "job", {})
    waiting = asyncio.create_task(full.enqueue(QUEUE, "job", {"n": 2}, wait_when_full=20))
    await waits(full, 1)
    await take(queue, 1)
    job_id = await waiting
    view = await queue.look(job_id)
    assert view is not None
    assert (view.state, view.args) == (State.WAITING, {"n": 2})


async def test_producers_that_wait_share_their_looks_and_come_in_their_order(
    full: Fleet, queue: Queue, server: redis.Redis
) -> None:
    tasks = [asyncio.create_task(full.enqueue(QUEUE, "job", {"n": n}, wait_when_full=20)) for n in range(300)]
    await waits(full, 299)
    server.config_resetstat()
    begun = time.monotonic()
    await until_true(lambda: calls(server) >= 5)
    assert calls(server) <= 10 + (time.monotonic() - begun) / 0.01, "not a look for each that waits"
    await full.queue(QUEUE).configure(max_length=0)
    ids = await asyncio.gather(*tasks)
    jobs = await full.queue(QUEUE).jobs(State.WAITING, 1000)
    assert [job.id for job in jobs[2:]] == ids
    assert calls(server) < 100, "they came together when there was room"


async def test_time_runs_out_for_one_and_not_for_the_others(full: Fleet, queue: Queue) -> None:
    patient = asyncio.create_task(full.enqueue(QUEUE, "job", {"n": 1}, wait_when_full=20))
    hasty = asyncio.create_task(full.enqueue(QUEUE, "job", {"n": 2}, wait_when_full=0.02))
    gone = asyncio.create_task(full.enqueue(QUEUE, "job", {"n": 3}, wait_when_full=20))
    await waits(full, 2)
    gone.cancel()
    with pytest.raises(QueueFull, match=r"waited 0\.02 s"):
        await hasty
    await take(queue, 2)
    await patient
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert [job.args["n"] for job in await full.queue(QUEUE).jobs(State.WAITING)] == [1]


async def test_who_waits_hears_of_an_outage_and_of_the_end_of_its_fleet(full: Fleet) -> None:
    async def broken(jobs: object) -> list[str | None]:
        raise Unavailable("Redis is away")

    lost = asyncio.create_task(full.enqueue(QUEUE, "job", {}, wait_when_full=20))
    await waits(full, 1)
    (room,) = next(iter(full._rooms.values())).values()
    send, room._send = room._send, broken
    with pytest.raises(Unavailable, match="is away"):
        await lost
    room._send = send
    left = [asyncio.create_task(full.enqueue(QUEUE, "job", {}, wait_when_full=20)) for _ in range(3)]
    await waits(full, 2)
    await full.close()
    answers = await asyncio.gather(*left, return_exceptions=True)
    assert all(isinstance(answer, asyncio.CancelledError) for answer in answers)


async def test_of_those_that_wait_only_the_job_to_blame_is_refused(full: Fleet) -> None:
    calls = [
        asyncio.create_task(full.enqueue(QUEUE, "job", {"pad": "x" * (9000 if n == 3 else 9)}, wait_when_full=20))
        for n in range(7)
    ]
    await waits(full, 6)
    await full.queue(QUEUE).configure(max_length=0, max_job_bytes=5000)
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(answer, InvalidJob) for answer in answers] == [n == 3 for n in range(7)]


async def test_a_coalesced_enqueue_takes_the_room_there_is_without_a_call_for_each(
    fleet: Fleet, server: redis.Redis
) -> None:
    await fleet.queue(QUEUE).configure(max_length=50)
    await fleet.enqueue(QUEUE, "job", {})
    server.config_resetstat()
    tasks = [fleet.enqueue(QUEUE, "job", {"n": n}) for n in range(500)]
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(isinstance(answer, str) for answer in answers) == 49
    assert sum(isinstance(answer, QueueFull) for answer in answers) == 451
    assert calls(server) <= 8


async def test_many_jobs_go_through_a_small_queue_as_room_comes(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE, wait_when_full=20)
    async def note(n: int) -> int:
        return n

    await fleet.queue(QUEUE).configure(max_length=7)
    async with working(fleet, concurrency=3):
        ids = await note.enqueue_many({"n": n} for n in range(100))
        more = await asyncio.to_thread(note.enqueue_many_sync, [{"n": n} for n in range(100, 150)])
        last = await asyncio.to_thread(note.enqueue_sync, 150)
        assert await fleet.result(QUEUE, last, 20) == 150

    async def all_done() -> bool:
        return (await fleet.status(QUEUE)).completed_total == 151

    await until(all_done)
    assert len({*ids, *more, last}) == 151


async def test_bulk_that_found_no_more_room_says_what_was_accepted(fleet: Fleet) -> None:
    await fleet.queue(QUEUE).configure(max_length=5)
    patient = JobOptions(wait_when_full=0.05)
    items = [("job", {"n": n}, patient) for n in range(8)]
    with pytest.raises(QueueFull, match=r"waited 0\.05 s for room") as caught:
        await fleet.send(QUEUE, items)
    jobs = await fleet.queue(QUEUE).jobs(State.WAITING)
    assert [job.id for job in jobs] == list(caught.value.accepted)
    assert [job.args["n"] for job in jobs] == [0, 1, 2, 3, 4]
    with pytest.raises(QueueFull, match="waited"):
        await asyncio.to_thread(fleet.send_sync, QUEUE, items)


def test_synchronous_code_waits_in_each_thread(redis_url: str, server: redis.Redis) -> None:
    fleet = Fleet(redis_url, realm="test")
    fleet.queue_sync(QUEUE).configure(max_length=1)
    fleet.enqueue_sync(QUEUE, "job", {})
    with pytest.raises(QueueFull, match="waited"):
        fleet.enqueue_sync(QUEUE, "job", {}, wait_when_full=0.03)
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda n=n: found.append(fleet.enqueue_sync(QUEUE, "job", {"n": n}, wait_when_full=20)))
        for n in range(3)
    ]
    for thread in threads:
        thread.start()
    fleet.queue_sync(QUEUE).configure(max_length=4)
    for thread in threads:
        thread.join(20)
    assert len(set(found)) == 3
    fleet.close_sync()


async def test_above_the_watermark_of_memory_jobs_are_refused_or_wait(
    fleet: Fleet, queue: Queue, server: redis.Redis
) -> None:
    await fleet.queue(QUEUE).configure(max_memory_percent=80)
    await fleet.enqueue(QUEUE, "job", {})  # no limit of Redis: nothing to be above of
    used = server.info("memory")["used_memory"]
    server.config_set("maxmemory", int(used / 0.9))
    server.config_set("maxmemory-policy", "noeviction")
    await _forget_the_sample(queue)
    with pytest.raises(MemoryHigh, match=r"Redis uses \d+ % of its memory and queue 'photos' takes jobs up to 80 %"):
        await fleet.enqueue(QUEUE, "job", {})
    with pytest.raises(MemoryHigh):
        await fleet.enqueue(QUEUE, "job", {}, group="g")
    with pytest.raises(QueueFull, match=r"up to 80 %"):
        await fleet.send(QUEUE, [("job", {}, JobOptions())] * 3)
    with pytest.raises(MemoryHigh, match=r"enqueue waited 0\.03 s for room"):
        await fleet.enqueue(QUEUE, "job", {}, wait_when_full=0.03)
    assert (await fleet.status(QUEUE)).waiting == 1
    waiting = asyncio.create_task(fleet.enqueue(QUEUE, "job", {}, wait_when_full=20))
    await waits(fleet, 1)
    server.config_set("maxmemory", used * 10)
    await waiting
    assert await fleet.enqueue(QUEUE, "job", {}, group="g")


async def test_memory_is_asked_for_once_a_second_at_most(fleet: Fleet, queue: Queue, server: redis.Redis) -> None:
    await fleet.queue(QUEUE).configure(max_memory_percent=80)
    server.config_set("maxmemory", server.info("memory")["used_memory"] * 10)
    server.config_resetstat()
    begun = time.monotonic()
    for n in range(100):
        await fleet.enqueue(QUEUE, "job", {"n": n})
    asked = server.info("commandstats").get("cmdstat_info", {}).get("calls", 0)
    assert 1 <= asked <= 2 + (time.monotonic() - begun)


async def test_a_user_who_may_not_ask_for_memory_is_let_through(
    redis_port: int, fleet: Fleet, queue: Queue, server: redis.Redis
) -> None:
    await fleet.queue(QUEUE).configure(max_memory_percent=1)
    server.config_set("maxmemory", server.info("memory")["used_memory"] * 2)
    admin = fleet.client()._redis
    await admin.execute_command("ACL", "SETUSER", "producer", "on", ">pw", "~*", "&*", "+@all", "-info")
    try:
        async with Fleet(f"redis://producer:pw@127.0.0.1:{redis_port}/0", realm="test") as producer:
            assert await producer.enqueue(QUEUE, "job", {})
        await _forget_the_sample(queue)
        with pytest.raises(MemoryHigh):
            await fleet.enqueue(QUEUE, "job", {})
    finally:
        await admin.execute_command("ACL", "DELUSER", "producer")


async def _forget_the_sample(queue: Queue) -> None:
    await queue.client._redis.hdel("jf:{test/photos}:counters", "memory")
