"""One job for a key: unique, throttle, debounce."""

from __future__ import annotations

from typing import Literal

import pytest

from fixtures.verbs import QUEUE, REALM, Queue, done, new
from jobfleet.options import Dedup
from jobfleet.scripts import producing, steering
from jobfleet.scripts.processing import Outcome
from jobfleet.states import State


async def answer(queue: Queue, *jobs: producing.NewJob) -> list[str | None]:
    return await queue.client.run(producing.enqueue(REALM, QUEUE, jobs))


async def test_a_unique_job_is_one_until_it_has_ended_however_it_ends(queue: Queue) -> None:
    once = Dedup("report")
    assert await answer(queue, new("a", dedup=once), new("b", dedup=once)) == ["a", "a"]
    await queue.claim(10)
    assert await answer(queue, new("c", dedup=once)) == ["a"]
    await queue.exchange("w1", 0, Outcome("a", 1, "retry", delay_ms=60_000))
    assert await answer(queue, new("d", dedup=once)) == ["a"]
    assert await queue.cancel("a") == "cancelled"
    assert await answer(queue, new("e", dedup=once)) == ["e"]
    await queue.claim(10)
    await queue.exchange("w1", 0, done("e"))
    assert await answer(queue, new("f", dedup=once)) == ["f"]
    assert [await queue.state(i) for i in "bcd"] == [None, None, None]


async def test_a_job_that_has_waited_too_long_keeps_nobody_from_its_key(queue: Queue) -> None:
    once, redis, jobs = Dedup("report"), queue.client._redis, "jf:{test/photos}:jobs"
    assert await answer(queue, new("a", dedup=once, expires_in=600)) == ["a"]
    assert await answer(queue, new("b", dedup=once)) == ["a"]
    record = await redis.hget(jobs, "a")
    await redis.hset(jobs, "a", record[:13] + (1_000).to_bytes(6, "big") + record[19:])  # the clock, moved for this job
    assert await answer(queue, new("c", dedup=once, expires_in=600)) == ["c"]
    assert await queue.claim(10) == ["c"]
    assert await queue.state("a") is State.FAILED
    assert await answer(queue, new("d", dedup=once)) == ["c"], "the key is not free because the first one has ended"
    await queue.exchange("w1", 0, Outcome("c", 1, "return"))
    record = await redis.hget(jobs, "c")
    await redis.hset(jobs, "c", record[:13] + (1_000).to_bytes(6, "big") + record[19:])
    assert await queue.client.run(steering.retry(REALM, QUEUE, ["a"])) == [True], "nor from trying again"


async def test_a_throttled_job_is_one_for_its_time_even_after_it_has_ended(queue: Queue) -> None:
    brake = Dedup("mail", "throttle", 3600)
    assert await answer(queue, new("a", dedup=brake)) == ["a"]
    await queue.claim(1)
    await queue.exchange("w1", 0, done("a"))
    assert await answer(queue, new("b", dedup=brake)) == ["a"]
    await queue.client._redis.zadd("jf:{test/photos}:dedup_until", {"mail": 1})  # the clock, moved for this key
    assert await answer(queue, new("c", dedup=brake)) == ["c"]


async def test_a_throttled_job_that_was_done_and_forgotten_is_not_taken_again_under_its_own_id(queue: Queue) -> None:
    await queue.configure(keep_completed=0)
    brake = Dedup("mail", "throttle", 3600)
    assert await answer(queue, new("a", dedup=brake)) == ["a"]
    await queue.claim(1)
    await queue.exchange("w1", 0, done("a"))
    assert await queue.state("a") is None
    assert await answer(queue, new("a", dedup=brake)) == [None]


async def test_keys_of_bulk_calls_do_not_outlive_their_time(queue: Queue) -> None:
    redis = queue.client._redis
    await answer(queue, *(new(f"a{n}", dedup=Dedup(f"k{n}", "throttle", 3600)) for n in range(500)))
    for key in (await redis.hkeys("jf:{test/photos}:dedup"))[:400]:  # the clock, moved for these keys
        await redis.zadd("jf:{test/photos}:dedup_until", {key: 1})
    await answer(queue, *(new(f"b{n}", dedup=Dedup(f"l{n}", "throttle", 3600)) for n in range(500)))
    assert await redis.hlen("jf:{test/photos}:dedup") == await redis.zcard("jf:{test/photos}:dedup_until") == 600


async def test_a_key_whose_time_is_over_holds_nothing_back_although_it_is_not_forgotten_yet(queue: Queue) -> None:
    redis = queue.client._redis
    await answer(queue, *(new(f"a{n}", dedup=Dedup(f"k{n}", "throttle", 3600)) for n in range(100)))
    for n in range(100):  # the clock, moved for these keys
        await redis.zadd("jf:{test/photos}:dedup_until", {f"k{n}": n + 1})
        await redis.hset("jf:{test/photos}:dedup", f"k{n}", f"a{n} {n + 1}")
    assert await answer(queue, new("late", dedup=Dedup("k99", "throttle", 3600))) == ["late"]


async def test_a_debounced_job_is_replaced_while_it_is_delayed(queue: Queue) -> None:
    latest = Dedup("index", "debounce")
    assert await answer(queue, new("a", dedup=latest, delay=60)) == ["a"]
    assert await answer(queue, new("b", dedup=latest, delay=60)) == ["b"]
    assert await queue.state("a") is None
    assert (await queue.read()).delayed == 1
    await queue.client._redis.zadd("jf:{test/photos}:delayed", {"b": 1})
    assert await queue.claim(10) == ["b"]
    assert await answer(queue, new("c", dedup=latest, delay=60)) == ["c"]
    assert await queue.state("b") is State.ACTIVE


@pytest.mark.parametrize("verdict", ["retry", "snooze"])
async def test_a_debounced_job_that_has_begun_is_not_dropped_while_it_waits_to_go_on(
    queue: Queue, verdict: Literal["retry", "snooze"]
) -> None:
    latest = Dedup("index", "debounce")
    redis = queue.client._redis
    await answer(queue, new("a", dedup=latest, delay=60))
    await redis.zadd("jf:{test/photos}:delayed", {"a": 1})
    assert await queue.claim(1) == ["a"]
    await queue.exchange("w1", 0, Outcome("a", 1, verdict, delay_ms=60_000))
    assert await answer(queue, new("b", dedup=latest, delay=60)) == ["b"]
    assert [await queue.state(i) for i in "ab"] == [State.DELAYED, State.DELAYED]
    assert await answer(queue, new("c", dedup=latest, delay=60)) == ["c"]
    assert [await queue.state(i) for i in "abc"] == [State.DELAYED, None, State.DELAYED]


@pytest.mark.parametrize(("mode", "delay"), [("unique", 0), ("debounce", 60)])
async def test_a_job_that_is_retried_takes_its_key_again_unless_another_has_it(
    queue: Queue, mode: Literal["unique", "debounce"], delay: float
) -> None:
    async def retry(*ids: str) -> list[bool]:
        return await queue.client.run(steering.retry(REALM, QUEUE, ids))

    one = Dedup("report", mode)
    await answer(queue, new("a", dedup=one, delay=delay))
    await queue.cancel("a")
    await answer(queue, new("b", dedup=one, delay=delay))
    assert await retry("a") == [False]
    assert await queue.state("a") is State.CANCELLED
    await queue.cancel("b")
    assert (await queue.read()).cancelled == 2
    assert await retry("a", "b") == [True, False]
    assert [await queue.state(i) for i in "ab"] == [State.WAITING, State.CANCELLED]
    assert await answer(queue, new("c", dedup=one, delay=delay)) == ["a" if mode == "unique" else "c"]


async def test_a_retried_job_takes_also_a_key_whose_owner_has_ended_and_leaves_throttle_alone(queue: Queue) -> None:
    brake, once = Dedup("k", "throttle", 3600), Dedup("k")
    await answer(queue, new("u", dedup=once))
    await queue.cancel("u")
    await answer(queue, new("t", dedup=brake))
    assert await queue.client.run(steering.retry(REALM, QUEUE, ["u"])) == [False]
    await queue.cancel("t")
    assert await queue.client.run(steering.retry(REALM, QUEUE, ["t", "u"])) == [True, False]
    await queue.cancel("t")
    assert await queue.client.run(steering.retry(REALM, QUEUE, ["u"])) == [True]
    assert await answer(queue, new("v", dedup=once)) == ["u"]
    assert await queue.client._redis.zcard("jf:{test/photos}:dedup_until") == 0


async def test_sending_the_same_batch_again_changes_nothing(queue: Queue) -> None:
    batch = [new("a", dedup=Dedup("k")), new("b", group="g"), new("c")]
    assert await answer(queue, *batch) == ["a", "b", "c"]
    assert await answer(queue, *batch) == [None, None, None]
    assert (await queue.read()).count("waiting") == 3


async def test_different_keys_and_no_key_do_not_meet(queue: Queue) -> None:
    jobs = [new("a", dedup=Dedup("x")), new("b", dedup=Dedup("y")), new("c")]
    assert await answer(queue, *jobs) == ["a", "b", "c"]
