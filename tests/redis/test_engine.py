"""The verbs of a queue against a real Redis: each test says what a promise of the design means for the scripts."""

from __future__ import annotations

import pytest

from fixtures.verbs import QUEUE, REALM, Queue, done, new
from jobfleet import codec
from jobfleet.errors import InvalidJob
from jobfleet.scripts import looking, processing, steering
from jobfleet.scripts.processing import Hold, Outcome
from jobfleet.states import State


async def test_a_job_goes_from_waiting_through_active_to_completed(queue: Queue) -> None:
    assert await queue.enqueue(new("a")) == [True]
    assert await queue.state("a") is State.WAITING
    grant = await queue.exchange("w1", 10)
    assert [(job.id, job.attempt) for job in grant.jobs] == [("a", 1)]
    assert codec.unpack_body(grant.jobs[0].body).args["n"] == "a"
    assert await queue.state("a") is State.ACTIVE
    grant = await queue.exchange("w1", 0, done("a", data=codec.pack_result({"ok": True})))
    assert grant.refused == ()
    view = await queue.client.run(looking.look(REALM, QUEUE, "a"))
    assert view is not None
    assert (view.state, view.result, view.attempt) == (State.COMPLETED, {"ok": True}, 1)
    reading = await queue.read()
    assert (reading.count("waiting"), reading.count("active"), reading.completed) == (0, 0, 1)


async def test_a_known_id_is_not_accepted_twice(queue: Queue) -> None:
    assert await queue.enqueue(new("a"), new("a")) == [True, False]
    assert await queue.enqueue(new("a"), new("b")) == [False, True]
    assert (await queue.read()).count("waiting") == 2


async def test_a_batch_of_all_kinds_is_answered_in_its_order(queue: Queue) -> None:
    await queue.enqueue(new("c"), new("e", due=-60_000))
    batch = [new("a"), new("b", priority=1), new("c"), new("d", due=-60_000), new("e"), new("f", due=-50_000), new("a")]
    assert await queue.enqueue(*batch) == [True, True, False, True, False, True, False]
    assert await queue.claim(10) == ["b", "c", "a"]
    assert (await queue.read()).delayed == 3


async def test_priorities_come_first_to_last_and_in_order_within_one(queue: Queue) -> None:
    await queue.enqueue(new("c", priority=10), new("a1", priority=1), new("b1"), new("b2"), new("a2", priority=1))
    grant = await queue.exchange("w1", 10)
    assert [job.id for job in grant.jobs] == ["a1", "a2", "b1", "b2", "c"]


async def test_a_claim_takes_no_more_than_the_free_slots(queue: Queue) -> None:
    await queue.enqueue(*(new(f"j{n}") for n in range(5)))
    assert len((await queue.exchange("w1", 2)).jobs) == 2
    reading = await queue.read()
    assert (reading.count("waiting"), reading.count("active")) == (3, 2)


async def test_a_batch_with_one_job_too_large_is_refused_whole(queue: Queue) -> None:
    await queue.client.run(steering.configure(REALM, QUEUE, {"max_job_bytes": 500}))
    with pytest.raises(InvalidJob, match=r"job big weighs \d+ bytes and queue 'photos' takes at most 500"):
        await queue.enqueue(new("small"), new("big", size=600))
    with pytest.raises(InvalidJob, match=r"job grouped weighs 5\d\d bytes"):
        await queue.enqueue(new("grouped", size=400, group="g" * 100))
    assert await queue.state("small") is None
    assert (await queue.read()).count("enqueued") == 0


async def test_a_worker_that_lost_its_lease_cannot_complete_the_job(queue: Queue) -> None:
    await queue.enqueue(new("a"))
    await queue.exchange("w1", 1)
    assert await queue.reclaim("w1") == 1
    grant = await queue.exchange("w2", 1)
    assert [(job.id, job.attempt, job.lost) for job in grant.jobs] == [("a", 2, 1)]
    for late in ("complete", "fail", "retry", "return"):
        assert (await queue.exchange("w1", 0, Outcome("a", 1, late))).refused == ("a",)
        assert await queue.state("a") is State.ACTIVE
    assert (await queue.exchange("w2", 0, done("a", 2))).refused == ()


async def test_the_same_worker_is_fenced_by_the_attempt_too(queue: Queue) -> None:
    await queue.enqueue(new("a"))
    await queue.exchange("w1", 1)
    await queue.reclaim("w1")
    assert (await queue.exchange("w1", 1)).jobs[0].attempt == 2
    assert (await queue.exchange("w1", 0, done("a", 1))).refused == ("a",)
    assert (await queue.exchange("w1", 0, done("a", 2))).refused == ()


async def test_an_outcome_named_twice_counts_once(queue: Queue) -> None:
    await queue.enqueue(new("a"))
    await queue.exchange("w1", 1)
    assert (await queue.exchange("w1", 0, done("a"), done("a"))).refused == ("a",)
    assert (await queue.read()).count("completed") == 1
    assert (await queue.read()).count("active") == 0


async def test_a_live_lease_is_not_reclaimed_and_an_ended_one_is(queue: Queue) -> None:
    await queue.enqueue(new("a"))
    await queue.exchange("w1", 1)
    assert await queue.reclaim("w1", known_dead=False) == -1
    await queue.exchange("w1", 0, lease_ms=0)
    assert await queue.reclaim("w1", known_dead=False) == 1
    assert await queue.state("a") is State.WAITING
    assert await queue.reclaim("w1", known_dead=False) == 0


async def test_a_reclaimed_job_is_the_first_to_run_again(queue: Queue) -> None:
    await queue.enqueue(new("a"), new("b"))
    await queue.exchange("w1", 1)
    await queue.reclaim("w1")
    assert [job.id for job in (await queue.exchange("w2", 2)).jobs] == ["a", "b"]


@pytest.mark.parametrize("group", [None, "g"])
async def test_reclaimed_jobs_keep_their_order(queue: Queue, group: str | None) -> None:
    for n in range(20):  # more than Redis keeps in the order in which they were claimed
        await queue.enqueue(new(f"job{n:02}", group=group))
    claimed = await queue.claim(17) + await queue.claim(2)
    await queue.reclaim("w1")
    assert await queue.claim(20, "w2") == [*claimed, "job19"]


async def test_a_poison_job_fails_after_its_fourth_lost_lease(queue: Queue) -> None:
    await queue.enqueue(new("a"))
    for n in range(4):
        assert await queue.state("a") is State.WAITING, n
        await queue.exchange(f"w{n}", 1)
        await queue.reclaim(f"w{n}")
    view = await queue.client.run(looking.look(REALM, QUEUE, "a"))
    assert view is not None
    assert view.state is State.FAILED
    assert view.error is not None
    assert view.error.kind == "poison"
    reading = await queue.read()
    assert (reading.count("waiting"), reading.count("active"), reading.failed) == (0, 0, 1)


async def test_a_returned_job_goes_to_the_head_unfailed(queue: Queue) -> None:
    await queue.enqueue(new("a"), new("b"))
    await queue.exchange("w1", 1)
    await queue.exchange("w1", 0, Outcome("a", 1, "return"))
    grant = await queue.exchange("w2", 2)
    assert [(job.id, job.failures, job.lost) for job in grant.jobs] == [("a", 0, 0), ("b", 0, 0)]


async def test_a_retry_waits_for_its_time_and_counts_a_failure(queue: Queue) -> None:
    await queue.enqueue(new("a"))
    await queue.exchange("w1", 1)
    grant = await queue.exchange("w1", 1, Outcome("a", 1, "retry", b"", 3_600_000))
    assert grant.jobs == []
    assert grant.next_due_ms - grant.now_ms == 3_600_000
    assert await queue.state("a") is State.DELAYED


async def test_a_retry_without_delay_is_ready_at_once(queue: Queue) -> None:
    await queue.enqueue(new("a"))
    await queue.exchange("w1", 1)
    grant = await queue.exchange("w1", 1, Outcome("a", 1, "retry"))
    assert [(job.id, job.attempt, job.failures) for job in grant.jobs] == [("a", 2, 1)]


async def test_a_delayed_job_is_claimed_when_it_is_due_and_not_before(queue: Queue) -> None:
    await queue.enqueue(new("later", due=-3_600_000), new("past", due=1))
    grant = await queue.exchange("w1", 10)
    assert [job.id for job in grant.jobs] == ["past"]
    assert await queue.client.run(processing.promote(REALM, QUEUE)) == 0
    assert await queue.state("later") is State.DELAYED


async def test_due_jobs_are_promoted_without_a_worker(queue: Queue, redis_url: str) -> None:
    await queue.enqueue(new("soon", due=-3_600_000))
    await queue.client._redis.zadd("jf:{test/photos}:delayed", {"soon": 1})  # the clock, moved for this job
    assert await queue.client.run(processing.promote(REALM, QUEUE)) == 1
    assert await queue.state("soon") is State.WAITING
    assert (await queue.read()).oldest_waiting_ms == 1


async def test_a_draining_worker_gets_nothing_and_its_busy_count_is_exact(queue: Queue) -> None:
    await queue.enqueue(new("a"), new("b"))
    await queue.exchange("w1", 1)
    assert await queue.client.run(steering.drain(REALM, QUEUE, ["w1", "nobody"])) == {"w1": 1, "nobody": -1}
    grant = await queue.exchange("w1", 1, done("a"))
    assert (grant.jobs, grant.hold, grant.refused) == ([], Hold.DRAINING, ())
    assert await queue.client.run(steering.drain(REALM, QUEUE, ["w1"])) == {"w1": 0}
    assert await queue.client.run(steering.undrain(REALM, QUEUE, ["w1"])) == 1
    assert [job.id for job in (await queue.exchange("w1", 1)).jobs] == ["b"]


async def test_a_name_that_was_told_to_drain_holds_for_its_worker_from_the_first_moment(queue: Queue) -> None:
    await queue.enqueue(new("a"))
    assert await queue.client.run(steering.drain(REALM, QUEUE, ["pod"])) == {"pod": -1}
    pulse = await queue.client.run(processing.heartbeat(REALM, QUEUE, "pod.1", b"", name="pod"))
    grant = await queue.exchange("pod.1", 1)
    assert (pulse.draining, grant.jobs, grant.hold) == (True, [], Hold.DRAINING)
    await queue.client.run(steering.undrain(REALM, QUEUE, ["pod.1"]))
    await queue.client.run(processing.heartbeat(REALM, QUEUE, "pod.1", b"", name="pod"))
    assert [job.id for job in (await queue.exchange("pod.1", 1)).jobs] == ["a"], "only when it comes up"


async def test_a_drain_that_nobody_renews_runs_out(queue: Queue) -> None:
    await queue.enqueue(new("a"))
    await queue.client.run(processing.heartbeat(REALM, QUEUE, "w1", b""))
    await queue.client.run(steering.drain(REALM, QUEUE, ["w1"]))
    (worker,) = (await queue.read()).workers
    assert steering.DRAIN_MS - 5_000 < worker.drain_ms <= steering.DRAIN_MS
    await queue.client._redis.zadd("jf:{test/photos}:draining", {"w1": 1})  # the clock, moved for this mark
    pulse = await queue.client.run(processing.heartbeat(REALM, QUEUE, "w1", b""))
    (worker,) = (await queue.read()).workers
    assert (pulse.draining, worker.draining, worker.drain_ms) == (False, False, 0)
    assert [job.id for job in (await queue.exchange("w1", 1)).jobs] == ["a"]


async def test_a_paused_queue_accepts_and_hands_out_nothing(queue: Queue) -> None:
    await queue.client.run(steering.configure(REALM, QUEUE, {"paused": 1}))
    assert await queue.enqueue(new("a")) == [True]
    grant = await queue.exchange("w1", 1)
    assert (grant.jobs, grant.hold) == ([], Hold.PAUSED)
    await queue.client.run(steering.configure(REALM, QUEUE, {"paused": 0}))
    assert len((await queue.exchange("w1", 1)).jobs) == 1


async def test_completed_jobs_are_kept_by_count(queue: Queue) -> None:
    await queue.client.run(steering.configure(REALM, QUEUE, {"keep_completed": 3}))
    await queue.enqueue(*(new(f"j{n}") for n in range(10)))
    grant = await queue.exchange("w1", 10)
    await queue.exchange("w1", 0, *(done(job.id, data=b"\x01") for job in grant.jobs))
    assert [n for n in range(10) if await queue.state(f"j{n}")] == [7, 8, 9]
    reading = await queue.read()
    assert (reading.completed, reading.count("completed")) == (3, 10)
    assert await queue.client._redis.hlen("jf:{test/photos}:results") == 3


async def test_nothing_completed_is_kept_where_the_queue_says_so(queue: Queue) -> None:
    await queue.client.run(steering.configure(REALM, QUEUE, {"keep_completed": 0}))
    await queue.enqueue(new("a"))
    await queue.exchange("w1", 1)
    await queue.exchange("w1", 0, done("a", data=b"\x01"))
    assert await queue.state("a") is None
    assert (await queue.read()).count("completed") == 1


async def test_completed_jobs_are_kept_by_age(queue: Queue) -> None:
    await queue.enqueue(new("a"), new("b"))
    await queue.exchange("w1", 2)
    await queue.exchange("w1", 0, done("a"))
    await queue.client._redis.hset(
        "jf:{test/photos}:config", "keep_completed_seconds", -1
    )  # its clock is not ours to set
    await queue.exchange("w1", 0, done("b"))
    assert await queue.state("a") is None


async def test_an_idle_worker_forgets_what_was_kept_for_long_enough(queue: Queue) -> None:
    redis = queue.client._redis
    await queue.enqueue(*(new(i) for i in "abcd"))
    await queue.cancel("d")
    await queue.exchange("w1", 3)
    await queue.exchange("w1", 0, done("a"), Outcome("b", 1, "fail"))
    for name in ("keep_completed_seconds", "keep_failed_seconds"):
        await redis.hset("jf:{test/photos}:config", name, -1)  # as above
    assert await queue.claim(1) == []
    assert [await queue.state(i) for i in "abcd"] == [None, None, State.ACTIVE, None]
    for key in ("completed", "failed", "cancelled"):
        assert not await redis.exists(f"jf:{{test/photos}}:{key}")


async def test_failed_jobs_are_kept_by_count(queue: Queue) -> None:
    await queue.client.run(steering.configure(REALM, QUEUE, {"keep_failed": 2}))
    await queue.enqueue(*(new(f"j{n}") for n in range(5)))
    grant = await queue.exchange("w1", 5)
    for job in grant.jobs:
        await queue.exchange("w1", 0, Outcome(job.id, 1, "fail", b"\x01"))
    assert (await queue.read()).failed == 2
    assert await queue.client._redis.hlen("jf:{test/photos}:jobs") == 2


async def test_one_token_wakes_and_a_claim_that_leaves_work_lays_down_the_next(queue: Queue) -> None:
    await queue.enqueue(*(new(f"j{n}") for n in range(3)))
    wake = "jf:{test/photos}:wake"
    assert await queue.client.pop(wake, 0.01)
    assert not await queue.client.pop(wake, 0.01)
    await queue.exchange("w1", 1)
    assert await queue.client.pop(wake, 0.01)
    await queue.exchange("w2", 5)
    assert not await queue.client.pop(wake, 0.01)


async def test_a_full_worker_that_took_the_token_lays_it_down_again(queue: Queue) -> None:
    await queue.enqueue(new("a"))
    assert await queue.client.pop("jf:{test/photos}:wake", 0.01)
    await queue.exchange("w1", 0)
    assert await queue.client.pop("jf:{test/photos}:wake", 0.01)


async def test_a_worker_retires_only_when_it_holds_nothing(queue: Queue) -> None:
    await queue.enqueue(new("a"))
    await queue.exchange("w1", 1)
    assert await queue.client.run(processing.retire(REALM, QUEUE, "w1")) == 1
    await queue.exchange("w1", 0, done("a"))
    assert await queue.client.run(processing.retire(REALM, QUEUE, "w1")) == 0
    assert (await queue.read()).workers == ()


async def test_a_heartbeat_tells_what_is_held_and_whose_lease_has_ended(queue: Queue) -> None:
    await queue.enqueue(new("a"))
    await queue.exchange("w1", 1)
    await queue.exchange("gone", 0, lease_ms=-1)
    info = codec.pack_info("pod-1", "pool", 4)
    pulse = await queue.client.run(processing.heartbeat(REALM, QUEUE, "w1", info))
    assert (pulse.draining, pulse.held, pulse.overdue) == (False, {"a": 1}, ("gone",))
    (gone, alive) = (await queue.read()).workers
    assert (gone.id, gone.lease_ms < 0) == ("gone", True)
    assert (alive.id, alive.name, alive.pool, alive.slots, alive.busy) == ("w1", "pod-1", "pool", 4, 1)


async def test_a_purge_leaves_no_key_behind_but_the_audit_which_ends_some_day(queue: Queue) -> None:
    await queue.enqueue(new("a"), new("b", due=-1000))
    await queue.exchange("w1", 1)
    await queue.client.run(steering.configure(REALM, QUEUE, {"paused": 0}))
    assert await queue.client.run(steering.purge(REALM, QUEUE, ["w1"])) == 2
    assert await queue.client._redis.keys("*") == [b"jf:{test/photos}:audit"]
    assert await queue.client._redis.ttl("jf:{test/photos}:audit") == 90 * 86_400


async def test_the_oldest_waiting_job_is_found_among_all_priorities(queue: Queue) -> None:
    await queue.enqueue(new("first", priority=9))
    first = (await queue.read()).oldest_waiting_ms
    assert first is not None
    await queue.enqueue(new("second", priority=1))
    assert (await queue.read()).oldest_waiting_ms == first


async def test_the_scripts_come_back_after_redis_forgot_them(queue: Queue) -> None:
    await queue.enqueue(new("a"))
    await queue.client._redis.script_flush()
    assert await queue.enqueue(new("b")) == [True]
    reading, _ = await queue.client.run_many([looking.inspect(REALM, QUEUE), looking.inspect(REALM, QUEUE)])
    assert reading.count("waiting") == 2


async def test_an_attempt_that_nobody_holds_cannot_be_settled_whatever_its_number(queue: Queue) -> None:
    await queue.enqueue(new("a"))
    for number in (0, 1, 2):
        assert (await queue.exchange("w1", 0, done("a", number))).refused == ("a",)
    assert await queue.state("a") is State.WAITING
