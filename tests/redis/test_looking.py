"""What one can look up: a job with all that happened to it, and the jobs of every state, at a bounded cost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fixtures import verbs
from fixtures.verbs import REALM, Queue, done, new
from fixtures.workers import QUEUE, ended, in_state, working
from jobfleet import Backoff, FailureFilter, Fleet, JobFailed, State, Unrecoverable, codec, flows
from jobfleet.job import Failure
from jobfleet.scripts import looking
from jobfleet.scripts.processing import Outcome


def failure(message: str) -> bytes:
    return codec.pack_failure(Failure("Error", message))


async def jobs(queue: Queue, state: State, most: int = 10_000) -> list[str]:
    return [job.id for job in await queue.client.follow(flows.jobs(REALM, verbs.QUEUE, state, most))]


async def commands(queue: Queue) -> int:
    """Commands that Redis carried out so far, those of scripts among them."""
    stats: Any = await queue.client._redis.info("commandstats")
    return sum(entry["calls"] for entry in stats.values())


# -- one job


async def test_a_job_is_looked_up_with_all_that_happened_to_it(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE, attempts=3, backoff=Backoff(seconds=0.01))
    async def develop(photo: str) -> None:
        if photo == "torn":
            raise Unrecoverable("torn")
        raise OSError("no water")

    torn, dry = await develop.enqueue("torn"), await develop.enqueue("dry")
    async with working(fleet) as worker:
        await ended(fleet, torn)
        await ended(fleet, dry)
    view = await fleet.queue(QUEUE).job(dry)
    assert view is not None
    assert (view.state, view.attempt, view.failures, view.lost) == (State.FAILED, 3, 3, 0)
    assert [(f.attempt, f.kind, f.message, f.final) for f in view.history] == [
        (n, "OSError", "no water", False) for n in (1, 2, 3)
    ]
    assert {f.worker for f in view.history} == {worker.settings.id}
    assert view.error == view.history[-1]
    assert "raise OSError" in view.history[-1].traceback
    instants = [view.enqueued_ms, *(f.at_ms for f in view.history)]
    assert instants == sorted(instants)
    assert view.history[-2].at_ms <= view.started_ms <= view.ended_ms == view.history[-1].at_ms
    assert (view.worker, view.due_ms) == ("", 0)
    view = fleet.queue_sync(QUEUE).job(torn)
    assert view is not None
    assert view.error is not None
    assert (view.attempt, view.error.final) == (1, True)
    queue = fleet.queue(QUEUE)
    assert [job.id for job in await queue.failed(FailureFilter(final=True))] == [torn]
    assert [job.id for job in await queue.failed(FailureFilter(final=False))] == [dry]
    assert await queue.job("nobody") is None


@pytest.mark.parametrize("name", ["nobody", "typed", "strange"])
async def test_a_failure_says_whether_another_attempt_could_have_helped(fleet: Fleet, name: str) -> None:
    @fleet.job(queue=QUEUE, attempts=1)
    async def typed(n: int) -> None: ...

    @fleet.job(queue=QUEUE, attempts=1)
    async def strange(n: str) -> object:
        return object()

    job_id = await fleet.enqueue(QUEUE, name, {"n": "x"}, attempts=1)
    async with working(fleet):
        view = await ended(fleet, job_id)
    assert view.error is not None
    kinds = {"nobody": ("unknown job", False), "typed": ("bad arguments", True), "strange": ("bad result", True)}
    assert (view.error.kind, view.error.final) == kinds[name]


async def test_a_running_job_is_looked_up_with_its_worker(fleet: Fleet) -> None:
    go_on = asyncio.Event()

    @fleet.job(queue=QUEUE)
    async def hold() -> None:
        await go_on.wait()

    async with working(fleet, name="pod-1") as one, working(fleet, name="pod-2") as two:
        ids = await hold.enqueue_many({} for _ in range(8))
        for job_id in ids:
            await in_state(fleet, job_id, State.ACTIVE)
        views = [await fleet.queue(QUEUE).job(job_id) for job_id in ids]
        listed = await fleet.queue(QUEUE).jobs(State.ACTIVE)
        go_on.set()
    assert {view.worker for view in views if view} == {one.settings.id, two.settings.id}
    assert {view.id: view.worker for view in views if view} == {view.id: view.worker for view in listed}
    assert sorted(view.id for view in listed) == sorted(ids)


async def test_a_lost_lease_is_told_with_its_worker_and_its_time(queue: Queue) -> None:
    await queue.enqueue(new("a"))
    await queue.configure(max_deliveries=1)
    await queue.claim(1, "w1")
    assert await queue.reclaim("w1") == 1
    await queue.claim(1, "w2")
    assert await queue.reclaim("w2") == 1
    view = await queue.look("a")
    assert view is not None
    assert [(f.kind, f.worker, f.final) for f in view.history] == [("lease lost", "w1", False), ("poison", "w2", True)]
    assert view.enqueued_ms <= view.history[0].at_ms <= view.history[1].at_ms == view.ended_ms


async def test_of_many_failures_the_newest_are_kept(queue: Queue) -> None:
    await queue.enqueue(new("a", attempts=100))
    kept = []
    for attempt in range(1, 31):
        assert await queue.claim(1) == ["a"]
        told = codec.pack_failure(Failure("OSError", "x" * 1000, "y" * 3000, attempt))
        await queue.exchange("w1", 0, Outcome("a", attempt, "retry", told))
        view = await queue.look("a")
        assert view is not None
        numbers = [one.attempt for one in view.history]
        assert numbers == list(range(attempt - len(numbers) + 1, attempt + 1)), "the last ones, in order"
        kept.append(len(numbers))
    assert kept[:7] == [1, 2, 3, 4, 5, 6, 7], "all of some"
    assert min(kept[7:]) >= 3, "half of the room is never empty"


async def test_a_cancelled_job_does_not_blame_an_earlier_failure(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE, backoff=Backoff(seconds=3600))
    async def work() -> None:
        raise OSError("busy")

    async with working(fleet):
        job_id = await work.enqueue()
        view = await in_state(fleet, job_id, State.DELAYED)
        assert view.due_ms > view.enqueued_ms
        await fleet.queue(QUEUE).cancel(job_id)
        with pytest.raises(JobFailed, match=r"cancelled$"):
            await fleet.result(QUEUE, job_id, 10)


# -- the jobs of a state


async def test_waiting_jobs_of_groups_are_listed_behind_the_others_first_priority_first(queue: Queue) -> None:
    await queue.enqueue(new("plain"))
    for n in range(3):
        await queue.enqueue(new(f"late-{n}", group="a", priority=9), new(f"soon-{n}", group="a", priority=2))
    await queue.enqueue(new("other", group="b"))
    await queue.cancel("soon-1")
    found = await jobs(queue, State.WAITING)
    assert found[0] == "plain"
    of_a = [job_id for job_id in found if job_id not in ("plain", "other")]
    assert of_a == ["soon-0", "soon-2", "late-0", "late-1", "late-2"]
    assert sorted(found[1:]) == sorted([*of_a, "other"])
    assert (await jobs(queue, State.WAITING, 3))[0] == "plain"
    assert len(await jobs(queue, State.WAITING, 3)) == 3


async def test_long_lines_and_many_groups_are_listed_whole(queue: Queue) -> None:
    ids = [f"{g}-{n}" for g in range(700) for n in range(2)] + [f"long-{n}" for n in range(900)]
    for start in range(0, len(ids), 500):
        await queue.enqueue(*(new(i, group=i.partition("-")[0]) for i in ids[start : start + 500]))
    found = await jobs(queue, State.WAITING)
    assert sorted(found) == sorted(ids)
    assert [i for i in found if i.startswith("long")] == [f"long-{n}" for n in range(900)]


async def test_a_short_list_of_a_long_queue_costs_little(queue: Queue) -> None:
    for start in range(0, 6000, 500):
        await queue.enqueue(*(new(f"{n}", group=f"g{n % 2000}") for n in range(start, start + 500)))
    before = await commands(queue)
    assert len(await jobs(queue, State.WAITING, 20)) == 20
    assert await commands(queue) - before < 2500


async def test_where_a_whole_page_is_cancelled_the_list_goes_on_behind_it(queue: Queue) -> None:
    await queue.enqueue(*(new(f"{n}") for n in range(450)))
    for n in range(440):
        await queue.cancel(f"{n}")
    assert await jobs(queue, State.WAITING, 5) == [f"{n}" for n in range(440, 445)]


async def test_the_walk_through_a_group_bears_that_its_jobs_are_claimed_meanwhile(queue: Queue) -> None:
    ids = [f"{n:0100}" for n in range(40)]
    await queue.enqueue(*(new(i, group="a") for i in ids))

    async def walk(place: tuple[int, bytes]) -> tuple[list[str], looking.GroupsPage]:
        page = await queue.client.run(looking.list_groups(REALM, verbs.QUEUE, ["a"], place, 1))
        return [job.id for job in page.jobs], page

    first, page = await walk(looking.HEAD)
    assert 0 < len(first) < 20
    assert first == ids[: len(first)]
    await queue.claim(len(first) + 1)
    second, page = await walk(page.place)
    assert second == ids[len(first) + 1 : 2 * len(first)]
    await queue.claim(2 * len(first))
    third, page = await walk(page.place)
    assert third == ids[3 * len(first) + 1 : 4 * len(first)]
    await queue.claim(40)
    assert await walk(page.place) == ([], looking.GroupsPage(1, looking.HEAD, []))


async def test_active_jobs_are_listed_by_pages_over_all_workers(queue: Queue) -> None:
    await queue.enqueue(*(new(f"{n:02}") for n in range(25)))
    for worker, most in (("w1", 10), ("w2", 1), ("w3", 12)):
        await queue.claim(most, worker)
    assert sorted(await jobs(queue, State.ACTIVE)) == [f"{n:02}" for n in range(23)]
    workers = ["w1", "w2", "w3"]
    found = []
    for start in range(0, 25, 4):
        looked, page = await queue.client.run(looking.list_active(REALM, verbs.QUEUE, workers, start, 4))
        assert looked == len(page) == min(4, 23 - start) or start > 22
        found += [(job.worker, job.id) for job in page]
    assert sorted(found) == [("w1" if n < 10 else "w2" if n < 11 else "w3", f"{n:02}") for n in range(23)]
    assert len(await jobs(queue, State.ACTIVE, 5)) == 5
    assert await jobs(queue, State.BLOCKED) == []


async def test_jobs_that_have_ended_are_listed_in_every_state(queue: Queue) -> None:
    await queue.enqueue(*(new(f"{n}") for n in range(3)), new("later", due=2**47))
    await queue.claim(2)
    await queue.exchange("w1", 0, done("0"), Outcome("1", 1, "fail", failure("why")))
    await queue.cancel("2")
    found = {state: await jobs(queue, state) for state in State}
    assert {state.value: ids for state, ids in found.items() if ids} == {
        "delayed": ["later"], "completed": ["0"], "failed": ["1"], "cancelled": ["2"],
    }  # fmt: skip
