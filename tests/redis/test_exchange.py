"""The call that settles and claims, where it carries many jobs at once."""

from __future__ import annotations

import pytest

from fixtures.verbs import QUEUE, REALM, Queue, done, new
from jobfleet import codec
from jobfleet.clients.asynchronous import AsyncClient
from jobfleet.job import Failure
from jobfleet.keys import queue_keys
from jobfleet.scripts import processing, steering
from jobfleet.scripts.processing import Outcome
from jobfleet.states import State


async def test_each_outcome_of_a_batch_keeps_its_own_bytes(queue: Queue) -> None:
    """Some have bytes and some have none, among them bytes that are no text."""
    await queue.enqueue(*(new(f"j{n}") for n in range(6)))
    await queue.claim(6)
    failure = codec.pack_failure(Failure("Bang", "it broke", "", 1))
    await queue.exchange(
        "w1",
        0,
        done("j0"),
        done("j1", data=codec.pack_result("one")),
        Outcome("j2", 1, "fail", failure),
        done("j3"),
        done("j4", data=codec.pack_result(b"\x00\xff\r\n")),
        Outcome("j5", 1, "retry", failure, 60_000),
    )
    views = [await queue.look(f"j{n}") for n in range(6)]
    assert [view and view.result for view in views] == [None, "one", None, None, b"\x00\xff\r\n", None]
    assert [view and view.error and view.error.message for view in views] == [
        None,
        None,
        "it broke",
        None,
        None,
        "it broke",
    ]
    assert [view and view.failures for view in views] == [0, 0, 1, 0, 0, 1]
    assert [await queue.state(f"j{n}") for n in (2, 4, 5)] == [State.FAILED, State.COMPLETED, State.DELAYED]


async def test_an_outcome_given_twice_in_one_batch_counts_once(queue: Queue) -> None:
    await queue.enqueue(new("j"))
    await queue.claim(1)
    grant = await queue.exchange("w1", 0, done("j"), Outcome("j", 1, "fail"))
    assert grant.refused == ("j",)
    assert (await queue.state("j"), (await queue.read()).count("completed")) == (State.COMPLETED, 1)


async def test_an_outcome_of_another_attempt_is_refused_and_its_bytes_are_not_kept(queue: Queue) -> None:
    await queue.enqueue(new("a"), new("b"))
    await queue.claim(2)
    grant = await queue.exchange("w1", 0, done("a", 2, codec.pack_result("late")), done("b", 1, codec.pack_result("b")))
    assert grant.refused == ("a",)
    late, b = await queue.look("a"), await queue.look("b")
    assert late is not None
    assert (late.state, late.result) == (State.ACTIVE, None)
    assert b is not None
    assert b.result == "b"


async def test_a_worker_that_came_while_its_queue_was_purged_holds_nothing_for_ever(queue: Queue) -> None:
    await queue.enqueue(new("j"))
    await queue.claim(1)
    await queue.client.run(steering.purge(REALM, QUEUE, []))  # it was not there yet when the workers were listed
    assert (await queue.exchange("w1", 0, done("j"))).refused == ("j",)
    assert await queue.client.run(processing.retire(REALM, QUEUE, "w1")) == 0
    assert await queue.client._redis.keys(f"jf:{{{REALM}/{QUEUE}}}:*") == [b"jf:{test/photos}:audit"]


@pytest.mark.parametrize("want", [16, 17, 100])
async def test_what_a_worker_holds_is_a_real_hash_once_it_is_much(queue: Queue, client: AsyncClient, want: int) -> None:
    """A listpack would be searched from end to end for each outcome. Nothing but the jobs stays in it."""
    await queue.enqueue(*(new(f"j{n}") for n in range(100)))
    ids = await queue.claim(want)
    held = queue_keys(REALM, QUEUE).active("w1")
    assert await client._redis.hgetall(held) == {job_id.encode(): b"1" for job_id in ids}
    assert await client._redis.object("encoding", held) == (b"hashtable" if want > 16 else b"listpack")


async def test_times_and_counts_of_a_record_outlast_its_way_through_the_states(queue: Queue) -> None:
    await queue.enqueue(new("j", priority=2, group="tenant", expires_in=60))
    await queue.claim(1)
    first = await queue.look("j")
    assert first is not None
    await queue.exchange("w1", 0, Outcome("j", 1, "snooze", b"", 3_600_000))
    snoozed = await queue.look("j")
    assert snoozed is not None
    assert (snoozed.state, snoozed.priority, snoozed.attempt, snoozed.failures) == (State.DELAYED, 2, 1, 0)
    assert (snoozed.enqueued_ms, snoozed.started_ms, snoozed.group) == (first.enqueued_ms, first.started_ms, "tenant")
    assert snoozed.since_ms >= first.started_ms + 3_600_000
    assert snoozed.args == first.args
