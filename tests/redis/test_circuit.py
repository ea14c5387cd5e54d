"""The circuit breaker: opens on failures, lets probes through after a while, and closes when they succeed.

Time is moved by editing when probes may begin.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Literal

import msgspec
import pytest

from fixtures.verbs import QUEUE, REALM, Queue, done, new
from fixtures.workers import ended, until, until_true, working
from jobfleet import Backoff, Fleet, InvalidJob, State, Unrecoverable
from jobfleet.codec import pack_failure
from jobfleet.job import Failure
from jobfleet.scripts import steering
from jobfleet.scripts.looking import Circuit
from jobfleet.scripts.processing import Hold, Outcome

PREFIX = "jf:{test/photos}:"
ERROR = pack_failure(Failure("ProviderDown", "no answer"))


@pytest.fixture
async def guarded(queue: Queue) -> Queue:
    """A queue whose circuit opens when half of at least four outcomes are failures, and takes two probes."""
    await queue.configure(breaker_percent=50, breaker_least=4, breaker_probes=2, breaker_open_ms=3_600_000)
    return queue


def failed(
    job_id: str, attempt: int = 1, verdict: Literal["retry", "fail"] = "fail", *, blameless: bool = False
) -> Outcome:
    return Outcome(job_id, attempt, verdict, ERROR, blameless=blameless)


async def run(queue: Queue, worker: str, *goods: bool, group: str | None = None) -> None:
    """So many new jobs, each of which completes or fails."""
    ids = [f"{worker}-{group}-{n}-{id(goods)}" for n in range(len(goods))]
    await queue.enqueue(*(new(job_id, group=group) for job_id in ids))
    got = await queue.claim(len(ids), worker)
    assert sorted(got) == sorted(ids)
    await queue.exchange(worker, 0, *(done(i) if good else failed(i) for i, good in zip(ids, goods, strict=True)))
    await queue.client.run(steering.discard(REALM, QUEUE, ids))


async def circuits(queue: Queue) -> Sequence[Circuit]:
    return (await queue.read()).circuits


async def time_passes(queue: Queue, group: str = "") -> None:
    """The circuit has been open for long enough: at least for a millisecond."""
    redis = queue.client._redis
    before = await milliseconds(queue)
    while await milliseconds(queue) == before:
        pass
    packed = await redis.hget(PREFIX + "circuit", group)
    assert packed
    await redis.hset(PREFIX + "circuit", group, msgspec.msgpack.encode(msgspec.msgpack.decode(packed) | {"ends": 1}))
    if group:
        await redis.zadd(PREFIX + "group_parked", {group: 1}, xx=True)


async def milliseconds(queue: Queue) -> int:
    seconds, micros = await queue.client._redis.time()
    return int(seconds) * 1000 + int(micros) // 1000


async def half_window_passes(queue: Queue) -> None:
    await queue.client._redis.hincrby(PREFIX + "counters", "circuit_half", -1)


async def told(queue: Queue) -> list[tuple[str, str]]:
    entries = await queue.client._redis.xrange(PREFIX + "events")
    words = [(fields[b"verb"].decode(), fields[b"ids"].decode()) for _, fields in entries]
    return [word for word in words if word[0] in ("open", "half-open", "close")]


async def opened(queue: Queue, group: str | None = None) -> None:
    await run(queue, "w1", True, False, False, False, group=group)
    assert len(await circuits(queue)) == 1


async def test_it_opens_on_the_ratio_of_failures_of_all_workers_and_hands_out_nothing(guarded: Queue) -> None:
    await run(guarded, "w1", True, False)
    assert await circuits(guarded) == ()
    await run(guarded, "w2", True, False)
    (circuit,) = await circuits(guarded)
    assert (circuit.group, circuit.half_open, circuit.failed_percent, circuit.kind) == ("", False, 50, "ProviderDown")
    await guarded.enqueue(new("a"))
    grant = await guarded.exchange("w3", 5)
    assert (grant.jobs, grant.hold, grant.resume_ms) == ([], Hold.OPEN, circuit.probes_ms)
    assert 3_500_000 < grant.resume_ms - grant.now_ms <= 3_600_000
    assert await told(guarded) == [("open", "")]


async def test_too_few_outcomes_or_too_few_failures_open_nothing(guarded: Queue) -> None:
    await run(guarded, "w1", False, False, False)
    assert await circuits(guarded) == ()
    await run(guarded, "w1", True, True, True, True, True, False)
    assert await circuits(guarded) == ()


async def test_what_says_nothing_of_what_handlers_depend_on_does_not_count(guarded: Queue) -> None:
    ids = [f"j{n}" for n in range(12)]
    await guarded.enqueue(*(new(job_id) for job_id in ids))
    await guarded.claim(12)
    words = [failed(i, blameless=True) for i in ids[:4]]
    words += [Outcome(i, 1, "snooze", delay_ms=10) for i in ids[4:6]] + [Outcome(i, 1, "return") for i in ids[6:8]]
    words += [Outcome(i, 1, "cancel") for i in ids[8:10]]
    await guarded.exchange("w1", 0, *words)
    assert await guarded.reclaim("w1") == 2
    redis = guarded.client._redis
    assert await circuits(guarded) == ()
    assert not await redis.exists(PREFIX + "circuit_now")


async def test_a_queue_that_has_no_breaker_counts_nothing(queue: Queue) -> None:
    await run(queue, "w1", *[False] * 30)
    assert not await queue.client._redis.exists(PREFIX + "circuit", PREFIX + "circuit_now")


async def test_failures_are_forgotten_with_the_window(guarded: Queue) -> None:
    await run(guarded, "w1", False, False)
    await half_window_passes(guarded)
    await run(guarded, "w1", False)
    assert await guarded.client._redis.hget(PREFIX + "circuit_before", "") == b"2 2"
    await half_window_passes(guarded)
    await run(guarded, "w1", True)
    assert await circuits(guarded) == (), "the first two are over"
    await half_window_passes(guarded)
    await half_window_passes(guarded)
    await run(guarded, "w1", True)
    assert await guarded.client._redis.hgetall(PREFIX + "circuit_before") == {}
    assert 0 < await guarded.client._redis.pttl(PREFIX + "circuit_now") <= 60_000, "and Redis forgets it without us"


async def test_after_a_while_probes_run_and_as_many_successes_close_it(guarded: Queue) -> None:
    await opened(guarded)
    await guarded.enqueue(*(new(f"p{n}") for n in range(9)))
    await time_passes(guarded)
    assert await guarded.claim(1, "w1") == ["p0"]
    assert await guarded.claim(5, "w2") == ["p1"]
    grant = await guarded.exchange("w3", 5)
    assert (grant.jobs, grant.hold, grant.resume_ms) == ([], Hold.OPEN, 0)
    assert (await circuits(guarded))[0].half_open
    assert [job.id for job in (await guarded.exchange("w1", 5, done("p0"))).jobs] == ["p2"]
    assert [job.id for job in (await guarded.exchange("w2", 5, done("p1"))).jobs] == [f"p{n}" for n in range(3, 8)]
    assert await circuits(guarded) == ()
    assert await told(guarded) == [("open", ""), ("half-open", ""), ("close", "")]


async def test_a_probe_that_fails_opens_it_again_since_the_same_time(guarded: Queue) -> None:
    await opened(guarded)
    (before,) = await circuits(guarded)
    await guarded.enqueue(*(new(f"p{n}") for n in range(9)))
    await time_passes(guarded)
    await guarded.claim(1)
    await guarded.exchange("w1", 5, failed("p0", verdict="retry"))
    (circuit,) = await circuits(guarded)
    assert (circuit.half_open, circuit.since_ms, circuit.failed_percent) == (False, before.since_ms, 75)
    assert circuit.probes_ms >= before.probes_ms
    assert await guarded.claim(5) == []


async def test_what_runs_when_it_opens_goes_on_and_neither_closes_nor_reopens_it(guarded: Queue) -> None:
    await guarded.enqueue(*(new(f"old{n}") for n in range(5)))
    await guarded.claim(5, "old")
    await opened(guarded)
    assert (await guarded.exchange("old", 0, done("old0"), failed("old1"))).refused == ()
    await guarded.enqueue(new("p0"), new("p1"), new("p2"))
    await time_passes(guarded)
    assert await guarded.claim(5) == ["p0", "p1"], "the old ones take no probe's place"
    await guarded.exchange("old", 0, done("old2"), done("old3"), failed("old4"))
    (circuit,) = await circuits(guarded)
    assert circuit.half_open
    await guarded.exchange("w1", 0, done("p0"), done("p1"))
    assert await circuits(guarded) == ()


async def test_a_probe_whose_worker_dies_makes_room_for_another(guarded: Queue) -> None:
    await opened(guarded)
    await guarded.enqueue(*(new(f"p{n}") for n in range(3)))
    await time_passes(guarded)
    assert await guarded.claim(5, "doomed") == ["p0", "p1"]
    assert await guarded.claim(5, "w2") == []
    assert await guarded.reclaim("doomed") == 2
    assert len(await guarded.claim(5, "w2")) == 2
    assert len(await circuits(guarded)) == 1, "a lost lease is no success"


async def test_a_probe_that_is_handed_back_makes_room_for_another(guarded: Queue) -> None:
    await opened(guarded)
    await guarded.enqueue(*(new(f"p{n}") for n in range(3)))
    await time_passes(guarded)
    await guarded.claim(5)
    grant = await guarded.exchange("w1", 5, Outcome("p0", 1, "return"), failed("p1", blameless=True))
    assert len(grant.jobs) == 2


async def test_pause_and_limits_hold_beside_it(guarded: Queue) -> None:
    await opened(guarded)
    await guarded.enqueue(*(new(f"p{n}") for n in range(9)))
    await guarded.configure(paused=1)
    assert (await guarded.exchange("w1", 5)).hold is Hold.PAUSED
    await time_passes(guarded)
    await guarded.configure(paused=0, max_active=1)
    assert await guarded.claim(5) == ["p0"]
    await guarded.configure(max_active=3)
    assert await guarded.claim(5) == ["p1"]
    await guarded.exchange("w1", 0, done("p0"), done("p1"))
    assert len(await guarded.claim(5)) == 3


async def test_it_can_be_closed_by_hand_and_that_wakes_a_worker(guarded: Queue, fleet: Fleet) -> None:
    await opened(guarded)
    await guarded.enqueue(new("a"))
    while await guarded.client.pop(PREFIX + "wake", 0.01):
        pass
    assert await fleet.queue(QUEUE).close_circuit()
    assert await guarded.client.pop(PREFIX + "wake", 0.01)
    assert await guarded.claim(5) == ["a"]
    assert not await asyncio.to_thread(fleet.queue_sync(QUEUE).close_circuit)
    assert (await told(guarded))[-1] == ("close", "")
    assert next(entry.verb for entry in await fleet.queue(QUEUE).audit()) == "close-circuit"


async def test_the_command_line_tells_of_an_open_circuit_and_closes_it(guarded: Queue, redis_url: str) -> None:
    await opened(guarded)
    env = {**os.environ, "JOBFLEET_REDIS_URL": redis_url, "JOBFLEET_REALM": REALM}

    async def jobfleet(*words: str) -> str:
        command = [sys.executable, "-m", "jobfleet", *words]
        done = await asyncio.to_thread(subprocess.run, command, env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return str(done.stdout)

    assert "the circuit is open: 75 % of the attempts failed, the last by ProviderDown" in await jobfleet(
        "status", QUEUE
    )
    assert await jobfleet("close-circuit", QUEUE) == "the circuit is closed\n"
    assert await circuits(guarded) == ()
    assert await jobfleet("close-circuit", QUEUE, "--group", "a") == "the circuit was closed already\n"


async def test_without_the_breaker_what_it_held_goes_on(guarded: Queue) -> None:
    await opened(guarded)
    await guarded.enqueue(new("a"), new("b"))
    await guarded.configure(max_length=1000)
    assert await guarded.claim(5) == [], "another setting changes nothing"
    await guarded.configure(breaker_percent=0)
    assert await guarded.claim(1) == ["a"]
    await guarded.configure(breaker_percent=50)
    assert await guarded.claim(1) == ["b"], "and it begins anew"


async def test_jobs_that_fall_due_meanwhile_wait_in_their_lines(guarded: Queue) -> None:
    await opened(guarded)
    await guarded.enqueue(new("late", due=-60_000))
    await guarded.client._redis.zadd(PREFIX + "delayed", {"late": 1})
    grant = await guarded.exchange("w1", 5)
    assert (grant.jobs, grant.next_due_ms) == ([], 0), "or its worker would come back at once, again and again"
    assert await guarded.state("late") is State.WAITING


# -- a circuit for each group


@pytest.fixture
async def by_group(guarded: Queue) -> Queue:
    await guarded.configure(breaker_per_group=1)
    return guarded


async def test_a_groups_circuit_holds_no_other_up(by_group: Queue) -> None:
    await opened(by_group, "bad")
    await by_group.enqueue(*(new(f"{g}{n}", group=g) for g in ("bad", "good") for n in range(3)), new("plain"))
    grant = await by_group.exchange("w1", 20)
    assert sorted(job.id for job in grant.jobs) == ["good0", "good1", "good2", "plain"]
    (circuit,) = await circuits(by_group)
    assert (circuit.group, circuit.waiting) == ("bad", 3)
    assert (grant.hold, grant.resume_ms) == (Hold.NONE, circuit.probes_ms)
    assert await told(by_group) == [("open", "bad")]


async def ready_since(queue: Queue, **since_ms: int) -> None:
    for job_id, ms in since_ms.items():
        record = await queue.client._redis.hget(PREFIX + "jobs", job_id)
        await queue.client._redis.hset(PREFIX + "jobs", job_id, record[:13] + ms.to_bytes(6, "big") + record[19:])


async def test_for_how_long_jobs_wait_behind_a_groups_circuit_is_told_apart(by_group: Queue) -> None:
    await opened(by_group, "bad")
    await by_group.enqueue(new("bad", group="bad"))
    await ready_since(by_group, bad=1000)
    seen = await by_group.read()
    assert (seen.oldest_waiting_ms, seen.oldest_free_ms) == (1000, None)
    await by_group.enqueue(new("good", group="good"), new("plain"))
    await ready_since(by_group, good=3000, plain=2000)
    assert (await by_group.read()).oldest_free_ms == 2000
    await by_group.cancel("plain")
    assert (await by_group.read()).oldest_free_ms == 3000


async def test_jobs_of_no_group_have_no_circuit_then(by_group: Queue) -> None:
    await run(by_group, "w1", *[False] * 10)
    assert await circuits(by_group) == ()


async def test_a_group_is_probed_and_closed_by_itself(by_group: Queue) -> None:
    await opened(by_group, "bad")
    await by_group.enqueue(*(new(f"bad{n}", group="bad") for n in range(6)))
    await time_passes(by_group, "bad")
    assert await by_group.claim(20) == ["bad0", "bad1"]
    assert await by_group.claim(20) == []
    grant = await by_group.exchange("w1", 20, done("bad0"))
    assert [job.id for job in grant.jobs] == ["bad2"]
    grant = await by_group.exchange("w1", 20, done("bad1"))
    assert [job.id for job in grant.jobs] == ["bad3", "bad4", "bad5"]
    assert await circuits(by_group) == ()


async def test_a_probe_of_a_group_that_fails_or_is_lost(by_group: Queue) -> None:
    await opened(by_group, "bad")
    await by_group.enqueue(*(new(f"bad{n}", group="bad") for n in range(6)))
    await time_passes(by_group, "bad")
    assert await by_group.claim(20, "doomed") == ["bad0", "bad1"]
    assert await by_group.claim(20) == []
    await by_group.reclaim("doomed")
    assert len(await by_group.claim(1)) == 1
    await by_group.exchange("w1", 0, failed("bad0", 2), failed("bad1", 2))
    assert await by_group.claim(20) == []
    assert not (await circuits(by_group))[0].half_open


async def test_a_group_can_be_closed_by_hand(by_group: Queue, fleet: Fleet) -> None:
    await opened(by_group, "bad")
    await by_group.enqueue(new("bad0", group="bad"))
    assert not await fleet.queue(QUEUE).close_circuit()
    assert await fleet.queue(QUEUE).close_circuit("bad")
    assert await by_group.claim(20) == ["bad0"]


async def test_a_group_that_was_told_to_wait_for_longer_waits_for_longer(by_group: Queue) -> None:
    await opened(by_group, "bad")
    await by_group.enqueue(*(new(f"bad{n}", group="bad") for n in range(6)))
    await time_passes(by_group, "bad")
    assert await by_group.claim(20) == ["bad0", "bad1"]
    await by_group.exchange("w1", 0, Outcome("bad0", 1, "limit", delay_ms=7_200_000), done("bad1"))
    grant = await by_group.exchange("w1", 20)
    until_ms = await by_group.client._redis.zscore(PREFIX + "group_parked", "bad")
    assert (grant.jobs, until_ms - grant.now_ms > 7_100_000) == ([], True)


async def test_nothing_is_left_of_groups_that_nobody_hears_of(by_group: Queue) -> None:
    await opened(by_group, "a")
    assert await by_group.client.run(steering.close_circuit(REALM, QUEUE, "a"))
    await opened(by_group, "b")
    await time_passes(by_group, "b")
    redis = by_group.client._redis
    assert await redis.hkeys(PREFIX + "circuit") == [b"b"]
    await redis.zadd(PREFIX + "group_parked", {"\1a": 1, "\1b": 1})
    await by_group.claim(1)
    assert not await redis.exists(PREFIX + "circuit", PREFIX + "group_parked")


async def test_the_circuit_of_a_group_is_forgotten_also_where_a_job_of_it_ran_for_longer_than_that(
    by_group: Queue,
) -> None:
    redis = by_group.client._redis
    await by_group.enqueue(new("long", group="bad"))
    assert await by_group.claim(1, "w2") == ["long"]
    await opened(by_group, "bad")
    await redis.zadd(PREFIX + "group_parked", {"bad": 1, "\1bad": 1})
    await by_group.claim(1)
    await by_group.exchange("w2", 0, done("long"))
    assert await redis.zadd(PREFIX + "group_parked", {"\1bad": 1}, xx=True, ch=True)
    await by_group.claim(1)
    assert not await redis.exists(PREFIX + "circuit", PREFIX + "group_parked")


# -- workers


async def test_two_workers_share_it_sleep_while_it_is_open_and_go_on_when_it_closes(fleet: Fleet) -> None:
    await fleet.queue(QUEUE).configure(
        breaker_percent=50, breaker_least=6, breaker_probes=2, breaker_open_ms=2_000, breaker_window_ms=60_000
    )
    broken, calls, running, most = True, 0, 0, 0

    @fleet.job(queue=QUEUE, attempts=100, backoff=Backoff(seconds=0.01, cap_seconds=0.01))
    async def call(n: int) -> int:
        nonlocal calls, running, most
        calls, running = calls + 1, running + 1
        try:
            most = max(most, running)
            await asyncio.sleep(0)
            if broken:
                raise ConnectionError("the provider is down")
            return n
        finally:
            running -= 1

    ids = await call.enqueue_many({"n": n} for n in range(40))
    async with working(fleet, name="one", concurrency=2), working(fleet, name="two", concurrency=2):

        async def is_open() -> bool:
            return bool((await fleet.status(QUEUE)).circuits)

        await until(is_open)
        at_opening = calls
        assert at_opening <= 6 + 4, "six outcomes, and what ran beside them"
        await until_true(lambda: calls >= at_opening + 4)  # probes, that failed
        told = [event async for event in circuit_events(fleet, 3)]
        assert told == ["open", "half-open", "open"]
        broken = False
        assert [(await ended(fleet, job_id)).state for job_id in ids] == [State.COMPLETED] * 40
        assert (await fleet.status(QUEUE)).circuits == ()
    assert most <= 4


async def circuit_events(fleet: Fleet, most: int):  # type: ignore[no-untyped-def]
    seen = 0
    async for event in fleet.queue(QUEUE).events("0"):
        if event.verb in ("open", "half-open", "close"):
            assert (event.group, event.job_ids) == (None, ())
            yield event.verb
            seen += 1
            if seen == most:
                return


async def test_a_worker_says_which_failures_say_nothing(fleet: Fleet) -> None:
    await fleet.queue(QUEUE).configure(breaker_percent=1, breaker_least=2)

    @fleet.job(queue=QUEUE, attempts=1)
    async def choose(how: str) -> object:
        if how == "unrecoverable":
            raise Unrecoverable("never")
        if how == "bad result":
            return object()
        raise TimeoutError(how)

    async with working(fleet):
        for how in ("unrecoverable", "bad result", "unrecoverable"):
            await ended(fleet, await choose.enqueue(how=how))
        await ended(fleet, await fleet.enqueue(QUEUE, "unheard_of", {}, attempts=1))
        await ended(fleet, await fleet.enqueue(QUEUE, "choose", {"what": 1}, attempts=1))
        assert (await fleet.status(QUEUE)).circuits == ()
        for _ in range(2):
            await ended(fleet, await choose.enqueue(how="slow"))
        (circuit,) = (await fleet.status(QUEUE)).circuits
        assert (circuit.kind, circuit.group) == ("TimeoutError", "")
        (problem,) = (await fleet.status(QUEUE)).problems()
        assert problem.startswith(
            "the circuit is open: 100 % of the attempts failed, the last by TimeoutError; probes in"
        )


async def test_a_wrong_setting_of_the_breaker_is_refused(fleet: Fleet) -> None:
    with pytest.raises(InvalidJob, match="breaker_percent: 101 must be a whole number from 0 to 100"):
        await fleet.queue(QUEUE).configure(breaker_percent=101)
