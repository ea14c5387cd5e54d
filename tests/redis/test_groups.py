"""Groups take turns by weight, and may have limits of their own."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from fixtures.verbs import QUEUE, REALM, Queue, done, new
from jobfleet import Fleet, Limits, codec, flows
from jobfleet.scripts import steering
from jobfleet.scripts.processing import Outcome
from jobfleet.states import State


async def test_a_single_job_waits_no_longer_than_one_round_behind_another_tenants_thousands(queue: Queue) -> None:
    await queue.enqueue(*(new(f"big{n}", group="big") for n in range(900)))
    assert await queue.claim(10) == [f"big{n}" for n in range(10)]
    await queue.enqueue(new("small", group="small"))
    assert "small" in await queue.claim(2)


async def test_groups_take_turns_and_keep_their_order(queue: Queue) -> None:
    for n in range(3):
        await queue.enqueue(*(new(f"{g}{n}", group=g) for g in "abc"))
    got = await queue.claim(9)
    assert [sorted(got[i : i + 3]) for i in (0, 3, 6)] == [["a0", "b0", "c0"], ["a1", "b1", "c1"], ["a2", "b2", "c2"]]


async def test_weights_share_out_the_turns(queue: Queue) -> None:
    await queue.group("heavy", weight=3)
    for g in ("heavy", "light"):
        await queue.enqueue(*(new(f"{g}-{n}", group=g) for n in range(100)))
    got = Counter(job_id.split("-")[0] for job_id in await queue.claim(80))
    assert abs(got["heavy"] - 60) <= 2
    assert got["heavy"] + got["light"] == 80


async def test_jobs_of_no_group_have_turns_like_one_group(queue: Queue) -> None:
    await queue.enqueue(*(new(f"g{n}", group="g") for n in range(20)), *(new(f"plain{n}") for n in range(20)))
    got = Counter(job_id.rstrip("0123456789") for job_id in await queue.claim(20))
    assert abs(got["g"] - got["plain"]) <= 2
    assert len(await queue.claim(100)) == 20


async def test_within_a_group_the_first_priority_comes_first(queue: Queue) -> None:
    await queue.enqueue(new("late", group="g", priority=9), new("soon", group="g", priority=1), new("mid", group="g"))
    assert await queue.claim(3) == ["soon", "mid", "late"]


async def test_a_group_at_its_limit_lets_others_pass_and_goes_on_when_a_job_ends(queue: Queue) -> None:
    await queue.group("a", most=1)
    await queue.enqueue(*(new(f"a{n}", group="a") for n in range(3)), *(new(f"b{n}", group="b") for n in range(3)))
    first = await queue.claim(10)
    assert sorted(first) == ["a0", "b0", "b1", "b2"]
    assert await queue.claim(10) == []
    grant = await queue.exchange("w1", 10, done("a0"))
    assert [job.id for job in grant.jobs] == ["a1"]
    await queue.reclaim("w1")
    assert "a1" in await queue.claim(10, "w2")


async def test_all_groups_may_have_one_limit(queue: Queue) -> None:
    await queue.configure(group_max_active=2)
    await queue.enqueue(*(new(f"{g}{n}", group=g) for g in "ab" for n in range(5)))
    assert Counter(job_id[0] for job_id in await queue.claim(100)) == {"a": 2, "b": 2}


@pytest.mark.parametrize("own", [True, False])
async def test_a_changed_limit_of_groups_holds_from_the_next_claim_on(queue: Queue, own: bool) -> None:
    async def limit(most: int) -> None:
        await (queue.group("a", most=most) if own else queue.configure(group_max_active=most))

    await limit(1)
    await queue.enqueue(*(new(f"a{n}", group="a") for n in range(9)))
    assert await queue.claim(10) == ["a0"]
    await limit(3)
    assert await queue.claim(2) == ["a1", "a2"]
    await limit(5)
    assert await queue.claim(1) == ["a3"]
    await limit(2)
    assert await queue.claim(10) == []
    await queue.exchange("w1", 0, done("a0"), done("a1"), done("a2"))
    assert await queue.claim(10) == ["a4"]


async def test_a_group_whose_limit_was_lowered_goes_on_when_its_worker_dies(queue: Queue) -> None:
    await queue.enqueue(*(new(f"a{n}", group="a") for n in range(3)))
    await queue.claim(3)
    await queue.group("a", most=2)
    await queue.reclaim("w1")
    assert len(await queue.claim(10, "w2")) == 2


async def test_a_group_has_a_rate_of_its_own_and_the_answer_tells_when_it_may_go_on(queue: Queue) -> None:
    await queue.group("a", rate=2, rate_ms=3_600_000)
    await queue.enqueue(*(new(f"a{n}", group="a") for n in range(5)), new("b0", group="b"))
    grant = await queue.exchange("w1", 10)
    assert sorted(job.id for job in grant.jobs) == ["a0", "a1", "b0"]
    assert 1_700_000 < grant.resume_ms - grant.now_ms <= 1_800_000
    await queue.enqueue(new("b1", group="b"))
    assert await queue.claim(10) == ["b1"]


async def test_a_group_with_a_weight_of_its_own_has_the_rate_of_all_groups(queue: Queue, fleet: Fleet) -> None:
    await fleet.queue(QUEUE).limit(Limits(group_rate=2, group_rate_seconds=3600))
    await fleet.queue(QUEUE).group("a", weight=3)
    await queue.enqueue(*(new(f"a{n}", group="a") for n in range(5)))
    grant = await queue.exchange("w1", 10)
    assert [job.id for job in grant.jobs] == ["a0", "a1"]
    assert 1_700_000 < grant.resume_ms - grant.now_ms <= 1_800_000


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("rate", [0, 5])
async def test_a_changed_rate_of_groups_holds_from_the_next_claim_on(queue: Queue, own: bool, rate: int) -> None:
    async def limit(rate: int, rate_ms: int) -> None:
        if own:
            await queue.group("a", rate=rate, rate_ms=rate_ms)
        else:
            await queue.configure(group_rate_count=rate, group_rate_ms=rate_ms)

    await limit(1, 3_600_000)
    await queue.enqueue(*(new(f"{g}{n}", group=g) for g in "ab" for n in range(2)))
    assert sorted(await queue.claim(10)) == ["a0", "b0", *(["b1"] if own else [])]
    await limit(rate, 1)
    left, got = ["a1"] if own else ["a1", "b1"], list[str]()
    async with asyncio.timeout(5):
        while len(got) < len(left):  # until a millisecond has gone by
            got += await queue.claim(10)
    assert sorted(got) == left
    await queue.exchange("w1", 0, done("a0"), done("a1"))
    assert await queue.client._redis.hexists("jf:{test/photos}:group_tokens", "a") is bool(rate)


async def test_a_changed_rate_lets_a_group_wait_that_a_handler_told_to(queue: Queue) -> None:
    await queue.configure(group_rate_count=5, group_rate_ms=3_600_000)
    await queue.enqueue(new("a0", group="a"), new("a1", group="a"))
    assert await queue.claim(1) == ["a0"]
    await queue.exchange("w1", 0, Outcome("a0", 1, "limit", delay_ms=3_600_000))
    await queue.configure(group_rate_count=0)
    assert await queue.claim(10) == []


async def test_a_handler_that_meets_a_limit_parks_its_group_and_no_other(queue: Queue) -> None:
    await queue.enqueue(new("a0", group="a"), new("a1", group="a"))
    assert await queue.claim(1) == ["a0"]
    grant = await queue.exchange("w1", 10, Outcome("a0", 1, "limit", delay_ms=3_600_000))
    assert grant.jobs == []
    await queue.enqueue(new("b0", group="b"), new("plain"))
    assert sorted(await queue.claim(10)) == ["b0", "plain"]
    await queue.client._redis.zadd("jf:{test/photos}:group_parked", {"a": 1})  # the clock, moved for this group
    assert await queue.claim(10) == ["a0", "a1"]


async def test_a_cancelled_job_is_stepped_over_in_its_groups_line_and_may_come_back(queue: Queue) -> None:
    await queue.enqueue(*(new(f"a{n}", group="a") for n in range(3)))
    assert await queue.cancel("a0") == "cancelled"
    assert await queue.client.run(steering.retry(REALM, QUEUE, ["a0"])) == [True]
    assert await queue.cancel("a2") == "cancelled"
    assert sorted(await queue.claim(10)) == ["a0", "a1"]
    reading = await queue.read()
    assert (reading.count("waiting"), reading.count("active"), reading.count("grouped")) == (0, 2, 0)


async def test_an_id_that_comes_back_in_another_group_is_that_groups_alone(queue: Queue) -> None:
    await queue.configure(group_max_active=1)
    await queue.enqueue(new("x", group="a"))
    await queue.cancel("x")
    assert await queue.client.run(steering.discard(REALM, QUEUE, ["x"])) == 1
    await queue.enqueue(new("x", group="b"))
    assert await queue.claim(10) == ["x"]
    assert await queue.client._redis.hgetall("jf:{test/photos}:group_active") == {b"b": b"1"}
    await queue.exchange("w1", 0, done("x"))
    assert not await queue.client._redis.exists("jf:{test/photos}:group_active")
    await queue.enqueue(new("next", group="a"))
    assert await queue.claim(10) == ["next"]
    reading = await queue.read()
    assert (reading.count("waiting"), reading.count("active"), reading.count("grouped")) == (0, 1, 0)


async def test_an_id_that_comes_back_without_its_group_or_with_one_is_counted_as_what_it_is(queue: Queue) -> None:
    active = "jf:{test/photos}:group_active"
    await queue.enqueue(new("x", group="a"), new("y"))
    for job_id in "xy":
        await queue.cancel(job_id)
    await queue.client.run(steering.discard(REALM, QUEUE, ["x", "y"]))
    await queue.enqueue(new("x"))
    assert await queue.claim(10) == ["x"]
    assert not await queue.client._redis.exists(active)
    await queue.enqueue(new("y", group="a"))
    assert await queue.claim(10) == ["y"]
    assert await queue.client._redis.hgetall(active) == {b"a": b"1"}
    await queue.exchange("w1", 0, done("x"), done("y"))
    assert not await queue.client._redis.exists(active)


@pytest.mark.parametrize("group", [None, "g"])
async def test_an_id_that_comes_back_with_another_priority_does_not_run_with_the_old_one(
    queue: Queue, group: str | None
) -> None:
    await queue.enqueue(new("x", priority=1, group=group))
    await queue.cancel("x")
    await queue.client.run(steering.discard(REALM, QUEUE, ["x"]))
    await queue.enqueue(new("x", priority=10, group=group), new("mid", priority=5, group=group))
    assert await queue.claim(10) == ["mid", "x"]


async def test_an_id_that_comes_back_with_a_group_is_listed_once(queue: Queue) -> None:
    await queue.enqueue(new("x"))
    await queue.cancel("x")
    await queue.client.run(steering.discard(REALM, QUEUE, ["x"]))
    await queue.enqueue(new("x", group="g"), new("y", group="g"))
    found = await queue.client.follow(flows.jobs(REALM, QUEUE, State.WAITING, 10))
    assert [job.id for job in found] == ["x", "y"]
    assert len(await queue.client.follow(flows.jobs(REALM, QUEUE, State.WAITING, 2))) == 2


async def test_returned_retried_and_delayed_jobs_come_back_to_their_group(queue: Queue) -> None:
    await queue.enqueue(new("a0", group="a"), new("a1", group="a"), new("a2", group="a"))
    assert await queue.claim(2) == ["a0", "a1"]
    await queue.exchange("w1", 0, Outcome("a1", 1, "retry"), Outcome("a0", 1, "return"))
    assert await queue.claim(10) == ["a0", "a2", "a1"]
    await queue.exchange("w1", 0, Outcome("a0", 2, "snooze", delay_ms=60_000))
    await queue.client._redis.zadd("jf:{test/photos}:delayed", {"a0": 1})
    assert await queue.claim(10) == ["a0"]


async def test_nothing_is_left_of_groups_that_have_no_jobs(queue: Queue) -> None:
    await queue.configure(group_rate_count=1000, group_rate_ms=1)
    ids = [f"{g}{n}" for g in "abc" for n in range(5)]
    await queue.enqueue(*(new(job_id, group=job_id[0]) for job_id in ids))
    got: list[str] = []
    while len(got) < len(ids):
        got += await queue.claim(100)
    await queue.exchange("w1", 0, *(done(job_id) for job_id in got))
    for key in ("group_line", "group_part", "group_wait", "group_active", "ring"):
        assert not await queue.client._redis.exists(f"jf:{{test/photos}}:{key}"), key
    await queue.client._redis.zadd("jf:{test/photos}:group_parked", {f"\1{g}": 1 for g in "abc"})
    await queue.claim(1)
    assert not await queue.client._redis.exists("jf:{test/photos}:group_tokens")


async def test_the_bucket_of_a_group_whose_last_job_was_cancelled_is_forgotten(queue: Queue) -> None:
    redis = queue.client._redis
    await queue.configure(group_rate_count=2, group_rate_ms=3_600_000)
    await queue.enqueue(new("a0", group="a"), new("a1", group="a"))
    assert await queue.claim(1) == ["a0"]
    await queue.cancel("a1")
    await queue.exchange("w1", 10, done("a0"))
    await redis.zadd("jf:{test/photos}:group_parked", {"\1a": 1}, xx=True)  # the clock, moved for its mark
    assert await queue.claim(1) == []
    assert not await redis.exists("jf:{test/photos}:group_tokens")
    assert not await redis.exists("jf:{test/photos}:group_parked")


async def test_a_groups_settings_can_be_taken_away(queue: Queue) -> None:
    await queue.group("a", most=1)
    await queue.enqueue(*(new(f"a{n}", group="a") for n in range(3)))
    assert len(await queue.claim(10)) == 1
    await queue.client.run(steering.configure_group(REALM, QUEUE, "a", b""))
    assert len(await queue.claim(10)) == 2
    assert codec.pack_group(1, 0, 0, 0) == codec.pack_group(1, 0, 0, 0)
