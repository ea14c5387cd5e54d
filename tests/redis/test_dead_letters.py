"""Jobs that fail for good are carried to the dead-letter queue, whoever dies on the way, and arrive once."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from fixtures.verbs import QUEUE, REALM, Queue, done, new
from fixtures.workers import ended, in_state, until, working
from jobfleet import Fleet, InvalidJob, Seal, State, Unrecoverable, current_job
from jobfleet.dead_letters import AT_ONCE, carry
from jobfleet.inspection import Inspector, QueueAddress
from jobfleet.scripts import forwarding, looking
from jobfleet.scripts.processing import Outcome, settle_and_claim

GRAVE = "graveyard"


async def fail(queue: Queue, *ids: str) -> None:
    await queue.enqueue(*(new(job_id, priority=2) for job_id in ids))
    jobs = (await queue.exchange("w1", len(ids))).jobs
    await queue.exchange("w1", 0, *(Outcome(job.id, job.attempt, "fail") for job in jobs))


async def letters(fleet: Fleet, queue: str = GRAVE) -> list[str]:
    """The ids of the jobs that arrived, by where they came from."""
    return sorted(job.metadata["dead_letter.job_id"] for job in await fleet.queue(queue).jobs(State.WAITING, 1000))


async def forget_leases(fleet: Fleet) -> None:
    """The time of whoever took jobs is over."""
    redis = fleet.client()._redis
    for member in await redis.zrange("jf:{test/photos}:forwarding", 0, -1):
        await redis.zadd("jf:{test/photos}:forwarding", {member: 1})


async def test_a_job_that_fails_for_good_arrives_with_where_and_why_it_failed(fleet: Fleet) -> None:
    seen: list[dict[str, str]] = []
    when = datetime(2026, 1, 2, tzinfo=UTC)

    @fleet.job(queue=QUEUE, attempts=1, priority=3, timeout=9, metadata={"tenant": "a"})
    async def develop(photo: str, at: datetime) -> None:
        raise Unrecoverable(f"{photo} is blank")

    @fleet.job(queue=GRAVE, name="develop")
    async def bury(photo: str, at: datetime) -> None:
        assert (photo, at) == ("p1", when)
        seen.append(dict(current_job().metadata))

    await fleet.queue(QUEUE).configure(dead_letter=GRAVE)
    async with working(fleet, queues=(QUEUE, GRAVE), lease_ms=600):
        job_id = await develop.enqueue("p1", when)
        view = await ended(fleet, job_id)

        async def buried() -> bool:
            return bool(seen)

        await until(buried)
    (told,) = seen
    assert told.pop("dead_letter.fingerprint")
    assert told == {
        "tenant": "a",
        "dead_letter.queue": QUEUE,
        "dead_letter.job_id": job_id,
        "dead_letter.failed_ms": str(view.since_ms),
        "dead_letter.attempt": "1",
        "dead_letter.kind": "Unrecoverable",
        "dead_letter.message": "p1 is blank",
        "dead_letter.path": QUEUE,
    }
    status = await fleet.status(QUEUE)
    assert (status.failed, status.forwarding) == (1, 0)
    assert [job.id for job in await fleet.queue(QUEUE).failed()] == [job_id]


async def test_what_fails_is_on_its_way_and_counted_until_it_has_arrived(fleet: Fleet, queue: Queue) -> None:
    await queue.configure(dead_letter=GRAVE, keep_failed=0)
    await fail(queue, "a", "b")
    status = await fleet.status(QUEUE)
    assert (status.failed, status.forwarding) == (2, 2)
    assert await queue.state("a") is State.FAILED
    assert {job.id for job in await fleet.queue(QUEUE).failed()} == {"a", "b"}
    assert await fleet.queue(QUEUE).forward() == 2
    assert await letters(fleet) == ["a", "b"]
    assert await queue.state("a") is None, "nothing failed is kept here, and only now it may go"
    assert (await fleet.status(QUEUE)).failed == 0


@pytest.mark.parametrize("steps", [1, 2])
async def test_who_carries_may_die_after_any_step_and_the_job_arrives_once(
    fleet: Fleet, queue: Queue, steps: int
) -> None:
    await queue.configure(dead_letter=GRAVE)
    await fail(queue, "a", "b")
    flow = carry(REALM, QUEUE)
    command = next(flow)
    for _ in range(steps - 1):
        command = flow.send(await queue.client.run(command))
    await queue.client.run(command)  # and here it dies
    assert await fleet.queue(QUEUE).forward() == 0, "they are another's for a while"
    await forget_leases(fleet)
    assert await fleet.queue(QUEUE).forward() == 2
    assert await letters(fleet) == ["a", "b"]
    assert (await fleet.status(QUEUE)).forwarding == 0


async def test_what_a_dead_carrier_left_arrives_once_even_where_it_has_been_done_and_forgotten(
    fleet: Fleet, queue: Queue
) -> None:
    await queue.configure(dead_letter=GRAVE)
    await fleet.queue(GRAVE).configure(keep_completed=0)
    await fail(queue, "a")
    carrier = carry(REALM, QUEUE)
    enqueue = carrier.send(await queue.client.run(carrier.send(None)))
    await queue.client.run(enqueue)  # and here it dies
    grant = await queue.client.run(settle_and_claim(REALM, GRAVE, "w2", 5, []))
    (letter,) = grant.jobs
    await queue.client.run(settle_and_claim(REALM, GRAVE, "w2", 0, [done(letter.id)]))
    assert await fleet.job_state(GRAVE, letter.id) is None
    await forget_leases(fleet)
    assert await fleet.queue(QUEUE).forward() == 1
    status = await fleet.status(GRAVE)
    assert (status.waiting, status.completed_total) == (0, 1)
    assert (await fleet.status(QUEUE)).forwarding == 0


async def test_a_late_carrier_neither_doubles_a_job_nor_swallows_its_next_failure(fleet: Fleet, queue: Queue) -> None:
    await queue.configure(dead_letter=GRAVE)
    await fail(queue, "a")
    late = carry(REALM, QUEUE)
    enqueue = late.send(None)
    enqueue = late.send(await queue.client.run(enqueue))
    tell = late.send(await queue.client.run(enqueue))
    assert await fleet.queue(QUEUE).retry("a") == 1
    assert (await fleet.status(QUEUE)).forwarding == 0, "a retry takes it back"

    async def a_later_millisecond() -> bool:
        seconds, micro = await queue.client._redis.time()
        return seconds * 1000 + micro // 1000 > since

    view = await queue.look("a")
    assert view is not None
    since = view.since_ms
    await until(a_later_millisecond)
    (job,) = (await queue.exchange("w1", 1)).jobs
    await queue.exchange("w1", 0, Outcome("a", job.attempt, "fail"))
    assert await queue.client.run(tell) == 0
    assert (await fleet.status(QUEUE)).forwarding == 1
    assert await fleet.queue(QUEUE).forward() == 1
    assert await letters(fleet) == ["a", "a"], "it failed twice"


async def test_jobs_in_bulk_and_jobs_of_groups_arrive(fleet: Fleet, queue: Queue) -> None:
    await queue.configure(dead_letter=GRAVE)
    await queue.enqueue(*(new(f"j{n}", group="g", expires_in=60) for n in range(AT_ONCE + 7)))
    while jobs := (await queue.exchange("w1", 50)).jobs:
        await queue.exchange("w1", 0, *(Outcome(job.id, job.attempt, "fail") for job in jobs))
    assert await fleet.queue(QUEUE).forward() == AT_ONCE + 7
    assert (await fleet.status(GRAVE)).waiting == AT_ONCE + 7
    record = await fleet.client().run(looking.inspect(REALM, GRAVE))
    assert record.groups == 1


async def test_a_full_dead_letter_queue_takes_what_it_can_and_loses_nothing(fleet: Fleet, queue: Queue) -> None:
    await queue.configure(dead_letter=GRAVE)
    await fleet.queue(GRAVE).configure(max_length=2)
    await fail(queue, "a", "b", "c")
    assert await fleet.queue(QUEUE).forward() == 2
    assert (await fleet.status(QUEUE)).forwarding == 1
    await fleet.queue(GRAVE).configure(max_length=3)
    await forget_leases(fleet)
    assert await fleet.queue(QUEUE).forward() == 1
    assert await letters(fleet) == ["a", "b", "c"]


async def test_a_job_too_large_for_the_dead_letter_queue_holds_up_no_other(fleet: Fleet, queue: Queue) -> None:
    await queue.configure(dead_letter=GRAVE)
    await fleet.queue(GRAVE).configure(max_job_bytes=2000)
    await queue.enqueue(new("large", size=5000))
    await fail(queue, "small")
    jobs = (await queue.exchange("w1", 5)).jobs
    await queue.exchange("w1", 0, *(Outcome(job.id, job.attempt, "fail") for job in jobs))
    await fleet.queue(QUEUE).forward()
    assert await letters(fleet) == ["small"]
    assert (await fleet.status(QUEUE)).forwarding == 1


async def test_queues_that_name_each_other_make_no_circle(fleet: Fleet, queue: Queue) -> None:
    await queue.configure(dead_letter=GRAVE)
    await fleet.queue(GRAVE).configure(dead_letter=QUEUE)
    with pytest.raises(InvalidJob, match="cannot be its own dead-letter queue"):
        await fleet.queue(GRAVE).configure(dead_letter=GRAVE)
    await fail(queue, "a")
    await fleet.queue(QUEUE).forward()

    @fleet.job(queue=GRAVE, name="job")
    async def worse(n: str, pad: str) -> None:
        raise Unrecoverable("again")

    async with working(fleet, queues=(GRAVE,), lease_ms=600):

        async def stays() -> bool:
            status = await fleet.status(GRAVE)
            return (status.failed_total, status.forwarding) == (1, 0)

        await until(stays)
    assert len(await fleet.queue(GRAVE).failed()) == 1
    assert (await fleet.status(QUEUE)).waiting == 0


async def test_without_its_dead_letter_queue_a_job_is_kept_as_any_other(fleet: Fleet, queue: Queue) -> None:
    await queue.configure(dead_letter=GRAVE)
    await fail(queue, "a", "b")
    await fleet.queue(QUEUE).discard("b")
    await queue.configure(dead_letter="")
    await fleet.queue(QUEUE).forward()
    status = await fleet.status(QUEUE)
    assert (status.failed, status.forwarding) == (1, 0)
    assert [job.id for job in await fleet.queue(QUEUE).failed()] == ["a"]


async def test_expired_and_poison_jobs_are_forwarded_too_and_where_no_worker_is_by_the_operator(
    fleet: Fleet, queue: Queue, redis_url: str
) -> None:
    await queue.configure(dead_letter=GRAVE, max_deliveries=1)
    await queue.enqueue(new("poison"))
    for _ in range(2):
        await queue.claim(1, "w1")
        await queue.reclaim("w1")
    assert await queue.state("poison") is State.FAILED
    inspector = Inspector(redis_url)
    try:
        seen = await inspector.snapshots([QueueAddress(REALM, QUEUE)])
        inspector._trouble_until = 0
        await inspector.tend(seen.values())
    finally:
        await inspector.close()
    (letter,) = await fleet.queue(GRAVE).jobs(State.WAITING)
    assert letter.metadata["dead_letter.kind"] == "poison"


async def test_a_sealed_job_is_carried_by_who_can_open_it(redis_url: str, queue: Queue) -> None:
    seal = Seal(keys={"k1": bytes(32)})
    async with Fleet(redis_url, realm=REALM, seal=seal) as owner, Fleet(redis_url, realm=REALM) as stranger:

        @owner.job(queue=QUEUE, attempts=1)
        async def secret(word: str) -> None:
            raise ValueError(word)

        @owner.job(queue=GRAVE, name="secret")
        async def bury(word: str) -> str:
            return word

        await queue.configure(dead_letter=GRAVE)
        job_id = await secret.enqueue("swordfish")
        async with working(owner, queues=(QUEUE,)):
            await in_state(owner, job_id, State.FAILED)
        assert await stranger.queue(QUEUE).forward() == 0
        await forget_leases(owner)
        assert await owner.queue(QUEUE).forward() == 1
        (letter,) = await owner.queue(GRAVE).jobs(State.WAITING)
        assert letter.args == {"word": "swordfish"}
        stored = await queue.client._redis.hget("jf:{test/graveyard}:jobs", letter.id)
        assert stored is not None
        assert b"swordfish" not in stored
        async with working(owner, queues=(GRAVE,)):
            assert (await ended(owner, letter.id, GRAVE)).result == "swordfish"


async def test_bytes_that_are_no_job_stay_with_their_queue(fleet: Fleet, queue: Queue) -> None:
    await queue.configure(dead_letter=GRAVE)
    await fail(queue, "a", "b")
    record = await queue.client._redis.hget("jf:{test/photos}:jobs", "a")
    assert record is not None
    await queue.client._redis.hset("jf:{test/photos}:jobs", "a", record[:25] + b"\x01nonsense")
    assert await fleet.queue(QUEUE).forward() == 2
    assert await letters(fleet) == ["b"]
    assert (await fleet.status(QUEUE)).failed == 2


async def test_a_completed_job_is_not_forwarded(fleet: Fleet, queue: Queue) -> None:
    await queue.configure(dead_letter=GRAVE)
    await queue.enqueue(new("a"))
    await queue.claim(1)
    await queue.exchange("w1", 0, done("a"))
    assert await fleet.queue(QUEUE).forward() == 0
    assert await queue.client.run(forwarding.forwarded(REALM, QUEUE, [("a", 1)])) == 0


def test_synchronous_code_reads_and_writes_settings_and_forwards(redis_url: str) -> None:
    fleet = Fleet(redis_url)
    queue = fleet.queue_sync(QUEUE)
    assert queue.settings().dead_letter == ""
    queue.configure(dead_letter=GRAVE, max_active=3)
    settings = queue.settings()
    assert (settings.dead_letter, settings.max_active, settings.max_deliveries) == (GRAVE, 3, 3)
    assert queue.forward() == 0
    fleet.close_sync()


async def test_a_failed_job_whose_failures_cannot_be_read_keeps_no_other_back(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE, attempts=1)
    async def develop() -> None:
        raise Unrecoverable("blank")

    queue = fleet.queue(QUEUE)
    await queue.configure(dead_letter=GRAVE)
    async with working(fleet):
        broken, sound = [(await ended(fleet, await develop.enqueue())).id for _ in range(2)]
    await fleet.client()._redis.hset("jf:{test/photos}:errors", broken, b"cut")
    assert await queue.forward() == 2
    assert await letters(fleet) == [sound]
