"""Jobs that went astray are found and put back; all others stay where they are."""

from __future__ import annotations

import pytest

from fixtures.verbs import QUEUE, REALM, Queue, new
from jobfleet import Fleet, mending
from jobfleet.audit import Author
from jobfleet.scripts import looking, steering
from jobfleet.scripts.processing import Outcome
from jobfleet.states import State

PREFIX = "jf:{test/photos}:"


async def mend(queue: Queue) -> int:
    return await queue.client.follow(mending.mend(REALM, QUEUE, Author("ann")))


async def test_a_queue_that_is_well_is_left_as_it_is(queue: Queue) -> None:
    await queue.enqueue(*(new(f"g{n}", group="g", priority=1 + n % 3) for n in range(100)), new("later", due=-60_000))
    await queue.enqueue(*(new(f"p{n}", priority=1 + n % 2) for n in range(700)))
    await queue.claim(2)
    before = await queue.client._redis.hgetall(PREFIX + "group_part"), await queue.client._redis.llen(PREFIX + "wait:1")
    assert await mend(queue) == 0
    after = await queue.client._redis.hgetall(PREFIX + "group_part"), await queue.client._redis.llen(PREFIX + "wait:1")
    assert before == after


@pytest.mark.parametrize("page", [1, 500])
async def test_waiting_jobs_that_stand_in_no_line_go_to_the_end_of_theirs(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(mending, "PAGE", page)
    await queue.enqueue(*(new(f"p{n}") for n in range(4)), new("first", priority=1))
    await queue.enqueue(*(new(f"g{n}", group="g") for n in range(2)))
    redis = queue.client._redis
    assert await redis.lpop(PREFIX + "wait:5", 2) == [b"p0", b"p1"]
    await redis.delete(*(PREFIX + name for name in ("group_part", "group_line", "group_wait", "ring")))
    await redis.hset(PREFIX + "counters", "grouped", 0)
    assert await mend(queue) == 4
    assert await mend(queue) == 0
    assert (await queue.read()).count("waiting") == 7
    got = await queue.claim(10)
    assert sorted(got) == ["first", "g0", "g1", "p0", "p1", "p2", "p3"]
    assert [job_id for job_id in got if job_id[0] == "p"] == ["p2", "p3", "p0", "p1"]
    (entry,) = await queue.client.run(looking.read_audit(REALM, QUEUE, 10))
    assert (entry.who, entry.verb, entry.count) == ("ann", "mend", 4)


async def test_an_id_in_the_line_of_another_group_or_priority_does_not_stand_for_the_job(queue: Queue) -> None:
    await queue.enqueue(new("x", priority=1), new("y", group="a"))
    for job_id in "xy":
        await queue.cancel(job_id)
    await queue.client.run(steering.discard(REALM, QUEUE, ["x", "y"]))
    await queue.enqueue(new("x"), new("y"))
    await queue.client._redis.delete(PREFIX + "wait:5")
    assert await mend(queue) == 2
    assert sorted(await queue.claim(5)) == ["x", "y"]


async def test_delayed_failed_and_cancelled_jobs_are_listed_again(queue: Queue) -> None:
    await queue.enqueue(new("dead"), new("gone"), new("later", due=-60_000))
    assert await queue.claim(1) == ["dead"]
    await queue.exchange("w1", 0, Outcome("dead", 1, "fail"))
    await queue.cancel("gone")
    redis = queue.client._redis
    await redis.delete(*(PREFIX + name for name in ("failed", "cancelled", "delayed")))
    assert await mend(queue) == 3
    for state, job_id in ((State.FAILED, "dead"), (State.CANCELLED, "gone"), (State.DELAYED, "later")):
        _, page = await queue.client.run(looking.list_jobs(REALM, QUEUE, state, 0, 10))
        assert [job.id for job in page] == [job_id]
    reading = await queue.read()
    assert reading.next_due_ms is not None
    assert 50_000 < reading.next_due_ms - reading.now_ms <= 60_000


async def test_the_handle_of_a_queue_mends_it(fleet: Fleet, queue: Queue) -> None:
    await queue.enqueue(new("a"), new("b"))
    await queue.client._redis.delete(PREFIX + "wait:5")
    assert await fleet.queue(QUEUE).mend() == 2
    assert await queue.claim(5) == ["a", "b"]
