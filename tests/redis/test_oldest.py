"""For how long the oldest job has waited, as an inspection finds it. Time is moved by editing records."""

from __future__ import annotations

import pytest

from fixtures.verbs import Queue, done, new
from jobfleet.scripts.processing import Outcome

JOBS = "jf:{test/photos}:jobs"


async def ready_since(queue: Queue, **since_ms: int) -> None:
    for job_id, ms in since_ms.items():
        record = await queue.client._redis.hget(JOBS, job_id)
        await queue.client._redis.hset(JOBS, job_id, record[:13] + ms.to_bytes(6, "big") + record[19:])


async def oldest(queue: Queue) -> int | None:
    return (await queue.read()).oldest_waiting_ms


async def test_of_jobs_of_groups_the_oldest_is_found(queue: Queue) -> None:
    await queue.enqueue(new("a", group="a"), new("b", group="b", priority=9), new("c"))
    await ready_since(queue, a=3000, b=2000, c=4000)
    assert await oldest(queue) == 2000
    await queue.cancel("b")
    assert await oldest(queue) == 3000


async def test_the_oldest_is_found_in_groups_at_their_limit_and_in_parked_ones(queue: Queue) -> None:
    await queue.group("full", most=1)
    await queue.enqueue(new("f1", group="full"), new("f2", group="full"), new("p1", group="parked"))
    await ready_since(queue, f2=2000)
    assert await queue.claim(2) == ["f1", "p1"]
    assert await oldest(queue) == 2000
    await queue.exchange("w1", 0, Outcome("p1", 1, "limit", delay_ms=3_600_000))
    await ready_since(queue, p1=1000)
    assert await oldest(queue) == 1000


async def test_of_many_groups_those_are_looked_at_whose_turn_is_next(queue: Queue) -> None:
    await queue.enqueue(*(new(f"j{n}", group=f"g{n}") for n in range(300)))
    assert len(await queue.claim(150)) == 150
    waiting = await queue.client._redis.zrange("jf:{test/photos}:ring", 0, 0)
    await ready_since(queue, **{f"j{waiting[0].decode()[1:]}": 1000})
    assert await oldest(queue) == 1000


async def test_groups_that_have_run_dry_do_not_hide_those_at_their_limit(queue: Queue) -> None:
    await queue.configure(group_max_active=1, group_rate_count=1, group_rate_ms=3_600_000)
    await queue.enqueue(*(new(f"d{n}", group=f"dry{n}") for n in range(20)))
    await queue.exchange("w1", 0, *(done(job_id) for job_id in await queue.claim(20)))
    await queue.enqueue(*(new(f"j{n}", group=f"g{n % 20}") for n in range(40)))
    assert len(await queue.claim(40)) == 20
    await ready_since(queue, **{f"j{n}": 1000 for n in range(20, 40)})
    assert await oldest(queue) == 1000


@pytest.mark.parametrize("group", [None, "g"])
@pytest.mark.parametrize("returned", [1, 100])
async def test_jobs_that_were_handed_back_do_not_hide_for_how_long_others_have_waited(
    queue: Queue, group: str | None, returned: int
) -> None:
    ids = [f"j{n}" for n in range(4 * returned)]
    await queue.enqueue(*(new(job_id, group=group) for job_id in ids))
    await ready_since(queue, **dict.fromkeys(ids, 1000))
    assert await queue.claim(returned) == ids[:returned]
    await queue.reclaim("w1")
    assert await oldest(queue) == 1000


async def test_ids_of_cancelled_jobs_do_not_hide_it_either(queue: Queue) -> None:
    await queue.enqueue(*(new(i) for i in "abc"))
    await ready_since(queue, c=1000)
    await queue.cancel("a")
    await queue.cancel("b")
    assert await oldest(queue) == 1000
