"""What needs no room is taken by a full queue too, and a bulk that is refused says what of it was accepted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import redis.exceptions as redis_errors

import redis
from fixtures.verbs import QUEUE, Queue, new
from jobfleet import Dedup, Fleet, InvalidJob, JobOptions, MemoryHigh, QueueFull, State, Unavailable
from jobfleet.clients.asynchronous import AsyncClient

REPORT = Dedup("report")
INDEX = Dedup("index", "debounce")


@pytest.fixture
async def full(fleet: Fleet) -> Fleet:
    """A queue of one job that may hold one."""
    await fleet.queue(QUEUE).configure(max_length=1)
    return fleet


@pytest.fixture
def short_of_memory(redis_port: int) -> Iterator[None]:
    with redis.Redis(host="127.0.0.1", port=redis_port) as server:
        server.config_set("maxmemory", int(server.info("memory")["used_memory"] / 0.9))
        server.config_set("maxmemory-policy", "noeviction")
        yield
        server.config_set("maxmemory", 0)


@pytest.mark.parametrize("group", [None, "tenant"])
async def test_a_job_whose_answer_was_lost_is_not_refused_for_the_room_that_it_takes(
    full: Fleet, monkeypatch: pytest.MonkeyPatch, group: str | None
) -> None:
    exchange, lost = AsyncClient._exchange, 0

    async def loses_one(self: AsyncClient, calls: list[bytes]) -> list[Any]:
        nonlocal lost
        answers = await exchange(self, calls)
        if not lost and not isinstance(answers[0], Exception):
            lost += 1
            raise redis_errors.ConnectionError("the answer was lost")
        return answers

    monkeypatch.setattr(AsyncClient, "_exchange", loses_one)
    job_id = await full.enqueue(QUEUE, "job", {}, group=group)
    assert lost == 1
    assert [job.id for job in await full.queue(QUEUE).jobs(State.WAITING)] == [job_id]


async def test_what_is_known_or_stood_for_or_replaces_another_needs_no_room(full: Fleet) -> None:
    assert await full.enqueue(QUEUE, "job", {}, job_id="one", dedup=REPORT) == "one"
    assert await full.enqueue(QUEUE, "job", {}, job_id="one") == "one"
    assert await full.enqueue(QUEUE, "job", {}, job_id="one", group="g") == "one"
    assert await full.enqueue(QUEUE, "job", {}, dedup=REPORT) == "one"
    with pytest.raises(QueueFull):
        await full.enqueue(QUEUE, "job", {})
    with pytest.raises(QueueFull):
        await full.enqueue(QUEUE, "job", {}, dedup=Dedup("other"))
    assert (await full.status(QUEUE)).waiting == 1


async def test_the_latest_of_debounced_jobs_takes_the_room_of_the_first(full: Fleet) -> None:
    for n in range(3):
        await full.enqueue(QUEUE, "job", {"n": n}, delay=60, dedup=INDEX)
    assert [job.args["n"] for job in await full.queue(QUEUE).jobs(State.DELAYED)] == [2]


async def test_a_batch_is_weighed_as_a_whole_and_each_id_and_key_in_it_counts_once(full: Fleet) -> None:
    def items(*options: JobOptions) -> list[tuple[str, dict[str, Any], JobOptions]]:
        return [("job", {}, each) for each in options]

    a, b = JobOptions(job_id="a"), JobOptions(job_id="b")
    with pytest.raises(QueueFull):
        await full.send(QUEUE, items(a, b))
    assert await full.send(QUEUE, items(a, a)) == ["a", "a"]
    with pytest.raises(QueueFull):
        await full.send(QUEUE, items(a, b))
    assert await full.queue(QUEUE).obliterate(QUEUE) == 1
    await full.queue(QUEUE).configure(max_length=1)
    first, second = JobOptions(job_id="x", dedup=REPORT), JobOptions(job_id="y", dedup=REPORT)
    assert await full.send(QUEUE, items(first, second)) == ["x", "x"]
    await full.queue(QUEUE).configure(max_length=2)
    latest = [JobOptions(job_id=f"z{n}", delay=60, dedup=INDEX) for n in range(4)]
    await full.send(QUEUE, items(*latest))
    assert [job.id for job in await full.queue(QUEUE).jobs(State.DELAYED)] == ["z3"]


@pytest.mark.usefixtures("short_of_memory")
async def test_above_the_watermark_of_memory_what_takes_none_is_not_refused(fleet: Fleet) -> None:
    for job_id, dedup in (("one", None), ("two", REPORT)):
        await fleet.enqueue(QUEUE, "job", {}, job_id=job_id, dedup=dedup)
    await fleet.queue(QUEUE).configure(max_memory_percent=80)
    assert await fleet.enqueue(QUEUE, "job", {}, job_id="one") == "one"
    assert await fleet.enqueue(QUEUE, "job", {}, dedup=REPORT) == "two"
    with pytest.raises(MemoryHigh):
        await fleet.enqueue(QUEUE, "job", {})
    with pytest.raises(MemoryHigh):
        await fleet.enqueue(QUEUE, "job", {}, group="g")


@pytest.mark.parametrize("group", [None, "tenant"])
async def test_coalesced_jobs_that_need_no_room_are_taken_where_others_are_refused(
    fleet: Fleet, group: str | None
) -> None:
    await fleet.queue(QUEUE).configure(max_length=2)
    await fleet.enqueue(QUEUE, "job", {}, job_id="known")
    ids = ["a", "known", "b", "c", "known"]
    calls = [fleet.enqueue(QUEUE, "job", {}, job_id=job_id, group=group) for job_id in ("known", *ids)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [answer if isinstance(answer, str) else type(answer) for answer in answers] == [
        "known", "a", "known", QueueFull, QueueFull, "known",
    ]  # fmt: skip


async def test_a_refused_bulk_says_what_was_accepted_so_that_the_rest_can_be_sent_again(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE)
    async def note(n: int, pad: str = "") -> None: ...

    calls = [{"n": n} for n in range(2000)]
    await fleet.queue(QUEUE).configure(max_length=1500)
    with pytest.raises(QueueFull, match=r"; 1000 of the 2000 jobs were accepted before") as full:
        await note.enqueue_many(calls)
    await fleet.queue(QUEUE).configure(max_length=0)
    with pytest.raises(InvalidJob, match="takes at most") as wrong:
        await asyncio.to_thread(note.enqueue_many_sync, [*calls[:1000], {"n": 0, "pad": "x" * 300_000}])
    waiting = [job.id for job in await fleet.queue(QUEUE).jobs(State.WAITING, 3000)]
    assert waiting == [*full.value.accepted, *wrong.value.accepted]
    await note.enqueue_many(calls[len(full.value.accepted) :])
    last = (await fleet.queue(QUEUE).jobs(State.WAITING, 4000))[2000:]
    assert [job.args["n"] for job in last] == list(range(1000, 2000))


async def test_a_bulk_that_an_outage_ends_says_what_was_accepted_for_certain(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange, calls = AsyncClient.run, 0

    async def run(self: AsyncClient, command: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise Unavailable("Redis is away")
        return await exchange(self, command)

    monkeypatch.setattr(AsyncClient, "run", run)
    with pytest.raises(Unavailable) as away:
        await fleet.send(QUEUE, [("job", {"n": n}, JobOptions()) for n in range(1500)])
    monkeypatch.undo()
    jobs = await fleet.queue(QUEUE).jobs(State.WAITING, 2000)
    assert [job.id for job in jobs] == list(away.value.accepted)
    assert len(jobs) == 1000


async def test_a_waiter_hears_at_once_that_its_job_was_replaced(fleet: Fleet, queue: Queue) -> None:
    redis = queue.client._redis
    await queue.enqueue(new("a", delay=60, dedup=INDEX))
    waiting = asyncio.create_task(fleet.result(QUEUE, "a", 10))  # its own look comes after 15 s
    while not await redis.sismember("jf:{test/photos}:awaited", "a"):
        await asyncio.sleep(0.01)
    await queue.enqueue(new("b", delay=60, dedup=INDEX))
    with pytest.raises(LookupError, match="no job a"):
        await waiting
    assert await redis.scard("jf:{test/photos}:awaited") == 0
