"""Cancel, retry, list, clean, discard, notes and events."""

from __future__ import annotations

from fixtures.verbs import QUEUE, REALM, Queue, done, new
from jobfleet import codec, flows
from jobfleet.job import Failure
from jobfleet.scripts import looking, steering
from jobfleet.scripts.processing import Outcome
from jobfleet.states import State


def failure(message: str) -> bytes:
    return codec.pack_failure(Failure("Error", message))


async def test_waiting_and_delayed_jobs_are_cancelled_at_once(queue: Queue) -> None:
    await queue.enqueue(new("a"), new("b", due=-60_000), new("c"))
    assert [await queue.cancel(i) for i in "ab"] == ["cancelled", "cancelled"]
    assert await queue.cancel("a") == "cancelled", "as after a lost answer"
    assert await queue.cancel("nobody") == "unknown"
    assert await queue.claim(10) == ["c"]
    reading = await queue.read()
    assert (reading.count("waiting"), reading.delayed, reading.cancelled, reading.count("cancelled")) == (0, 0, 2, 2)


async def test_of_a_running_job_its_worker_is_told_and_the_job_ends_as_cancelled(queue: Queue) -> None:
    await queue.enqueue(new("a"))
    await queue.claim(1)
    assert await queue.cancel("a") == "told"
    assert await queue.client._redis.lrange("jf:{test/photos}:control:w1", 0, -1) == [b"cancel a 1"]
    assert await queue.state("a") is State.ACTIVE
    await queue.exchange("w1", 0, Outcome("a", 1, "cancel"))
    assert await queue.state("a") is State.CANCELLED
    assert (await queue.read()).count("active") == 0


async def test_a_cancelled_attempt_that_fails_or_is_lost_is_cancelled_and_one_that_completes_is_completed(
    queue: Queue,
) -> None:
    await queue.enqueue(*(new(i) for i in "abcd"))
    await queue.claim(10)
    for i in "abcd":
        await queue.cancel(i)
    await queue.exchange("w1", 0, Outcome("a", 1, "retry"), Outcome("b", 1, "return"), done("c"))
    await queue.reclaim("w1")
    states = [await queue.state(i) for i in "abcd"]
    assert states == [State.CANCELLED, State.CANCELLED, State.COMPLETED, State.CANCELLED]
    assert not await queue.client._redis.exists("jf:{test/photos}:cancelling")


async def test_failed_jobs_are_listed_newest_first_with_all_their_failures(queue: Queue) -> None:
    await queue.enqueue(new("a"), new("b"))
    await queue.claim(2)
    await queue.exchange("w1", 0, Outcome("a", 1, "retry", failure("first")))
    await queue.claim(1)
    await queue.exchange("w1", 0, Outcome("a", 2, "fail", failure("second")))
    await queue.client._redis.zadd("jf:{test/photos}:failed", {"a": (await queue.read()).now_ms - 60_000})
    await queue.exchange("w1", 0, Outcome("b", 1, "fail", failure("only")))
    _, page = await queue.client.run(looking.list_jobs(REALM, QUEUE, State.FAILED, 0, 10))
    assert [view.id for view in page] == ["b", "a"]
    assert [f.message for f in page[1].history] == ["first", "second"]
    _, page = await queue.client.run(looking.list_jobs(REALM, QUEUE, State.FAILED, 1, 10))
    assert [view.id for view in page] == ["a"]


async def test_waiting_jobs_are_listed_in_the_order_of_their_lines(queue: Queue) -> None:
    await queue.enqueue(*(new(f"p{p}-{n}", priority=p) for p in (3, 1) for n in range(3)))
    await queue.cancel("p1-1")
    found = []
    for start in (0, 2, 4):
        _, page = await queue.client.run(looking.list_jobs(REALM, QUEUE, State.WAITING, start, 2))
        found += [view.id for view in page]
    assert found == ["p1-0", "p1-2", "p3-0", "p3-1", "p3-2"]


async def test_failed_and_cancelled_jobs_are_retried_with_all_their_attempts(queue: Queue) -> None:
    await queue.enqueue(new("a"), new("b"), new("c"))
    await queue.claim(1)
    await queue.exchange("w1", 0, Outcome("a", 1, "fail", failure("why")))
    await queue.cancel("b")
    assert await queue.client.run(steering.retry(REALM, QUEUE, ["a", "b", "c", "x"])) == [True, True, False, False]
    view = await queue.look("a")
    assert view is not None
    assert (view.state, view.failures, len(view.history)) == (State.WAITING, 0, 1)
    reading = await queue.read()
    assert (reading.failed, reading.cancelled, reading.count("waiting")) == (0, 0, 3)


async def test_many_retries_can_be_spread_out(queue: Queue) -> None:
    await queue.enqueue(*(new(i) for i in "abc"))
    await queue.claim(3)
    await queue.exchange("w1", 0, *(Outcome(i, 1, "fail") for i in "abc"))
    await queue.client.run(steering.retry(REALM, QUEUE, list("abc"), spacing_us=60_000_000))
    views = [await queue.look(i) for i in "abc"]
    assert [view.state for view in views if view] == [State.WAITING, State.DELAYED, State.DELAYED]
    assert [view.since_ms - views[0].since_ms for view in views if view and views[0]] == [0, 60_000, 120_000]


async def test_jobs_are_retried_at_more_than_one_a_millisecond(queue: Queue) -> None:
    ids = [f"j{n:03}" for n in range(101)]
    await queue.enqueue(*(new(i) for i in ids))
    await queue.claim(101)
    await queue.exchange("w1", 0, *(Outcome(i, 1, "fail") for i in ids))
    rate = flows.retry_where(REALM, QUEUE, flows.FailureFilter(), spacing_us=200)
    assert await queue.client.follow(rate) == 101
    views = [view for i in ids if (view := await queue.look(i))]
    assert max(view.since_ms for view in views) - min(view.since_ms for view in views) == 20


async def test_ended_jobs_are_discarded_and_others_not(queue: Queue) -> None:
    await queue.enqueue(*(new(i) for i in "abc"))
    await queue.claim(2)
    await queue.exchange("w1", 0, done("a", data=b"\x01"), Outcome("b", 1, "fail", failure("why")))
    assert await queue.client.run(steering.discard(REALM, QUEUE, ["a", "b", "c", "x"])) == 2
    reading = await queue.read()
    assert (reading.completed, reading.failed, reading.count("waiting")) == (0, 0, 1)
    assert await queue.client._redis.exists("jf:{test/photos}:results", "jf:{test/photos}:errors") == 0


async def test_old_jobs_are_cleaned_a_bounded_number_at_a_time(queue: Queue) -> None:
    await queue.enqueue(*(new(f"j{n}") for n in range(6)))
    await queue.claim(6)
    await queue.exchange("w1", 0, *(done(f"j{n}") for n in range(4)), Outcome("j4", 1, "fail"))
    far = 2**47
    assert await queue.client.run(steering.clean(REALM, QUEUE, State.COMPLETED, 1, 10)) == 0
    assert await queue.client.run(steering.clean(REALM, QUEUE, State.COMPLETED, far, 3)) == 3
    assert await queue.client.run(steering.clean(REALM, QUEUE, State.COMPLETED, far, 3)) == 1
    assert await queue.client.run(steering.clean(REALM, QUEUE, State.FAILED, far, 3)) == 1
    assert await queue.state("j5") is State.ACTIVE


async def test_events_tell_what_happened_in_order_and_stay_bounded(queue: Queue) -> None:
    await queue.configure(events=5)
    await queue.enqueue(new("a"), new("b"))
    await queue.claim(2)
    await queue.exchange("w1", 0, done("a"), Outcome("b", 1, "fail"))
    entries = await queue.client._redis.xrange("jf:{test/photos}:events")
    told = [(fields[b"verb"], fields[b"ids"]) for _, fields in entries]
    assert told == [(b"enqueue", b"a b"), (b"claim", b"a b"), (b"fail", b"b"), (b"complete", b"a")]
    for n in range(300):
        await queue.enqueue(new(f"j{n}"))
    assert await queue.client._redis.xlen("jf:{test/photos}:events") < 150


async def test_events_about_many_jobs_do_not_fill_redis(queue: Queue) -> None:
    await queue.configure(events=100)
    for batch in range(20):
        await queue.enqueue(*(new(f"j{batch}-{n}") for n in range(500)))
    entries = await queue.client._redis.xrange("jf:{test/photos}:events")
    ids = [fields[b"ids"].split() for _, fields in entries]
    assert ids[-1][0] == b"j19-0"
    assert 100 * 20 <= sum(map(len, ids)) <= 100 * 20 + 500


async def test_an_awaited_end_is_told_once(queue: Queue) -> None:
    await queue.enqueue(new("a"))
    pubsub = queue.client._redis.pubsub(ignore_subscribe_messages=True)
    await pubsub.subscribe("jf:ends:{test/photos}")
    assert await pubsub.get_message(timeout=5) is None
    view = await queue.client.run(looking.await_end(REALM, QUEUE, "a"))
    assert view is not None
    assert view.state is State.WAITING
    await queue.claim(1)
    await queue.exchange("w1", 0, done("a"))
    message = await pubsub.get_message(timeout=5)
    assert message is not None
    assert message["data"] == b"a"
    assert not await queue.client._redis.exists("jf:{test/photos}:awaited")
    await pubsub.aclose()  # type: ignore[no-untyped-call]
