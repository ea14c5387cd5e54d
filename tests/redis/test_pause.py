"""Pause: of a queue everywhere, with or without what runs, and of the workers of one process."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from fixtures import process_jobs
from fixtures.verbs import QUEUE, REALM, Queue, new
from fixtures.workers import ended, in_state, until, until_true, working
from jobfleet import ConfigurationError, Fleet, JobQueueCoordinator, State, SyncJobQueueCoordinator, current_job
from jobfleet.clients.asynchronous import AsyncClient
from jobfleet.coordinator import SimpleConfig
from jobfleet.inspection import Inspector, QueueAddress, QueueSettings
from jobfleet.scripts import steering
from jobfleet.scripts.command import Command
from jobfleet.scripts.looking import QueueReading
from jobfleet.scripts.processing import Grant, Hold, Outcome, heartbeat


class Endless:
    """An async job and one in a thread that run until they are told to stop, and say so."""

    def __init__(self, fleet: Fleet, queue: str = QUEUE) -> None:
        self.begun = asyncio.Event()
        self.thread_begun, self.told = threading.Event(), threading.Event()
        self.cancelled = 0
        self.go_on = False

        @fleet.job(queue=queue, attempts=1)
        async def endless() -> str:
            if self.go_on:
                return "done"
            self.begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled += 1
            return ""

        @fleet.job(queue=queue, attempts=1)
        def patient() -> str:
            if self.go_on:
                return "done"
            self.thread_begun.set()
            if current_job().cancelled.wait(20):
                self.told.set()
            return "too late"

        self.endless, self.patient = endless, patient

    async def start(self) -> tuple[str, str]:
        ids = await self.endless.enqueue(), await self.patient.enqueue()
        await self.begun.wait()
        assert await asyncio.to_thread(self.thread_begun.wait, 10)
        return ids


async def came_back(fleet: Fleet, *ids: str) -> None:
    for job_id in ids:
        view = await in_state(fleet, job_id, State.WAITING)
        assert (view.failures, view.lost, view.attempt) == (0, 0, 1)


async def test_a_pause_may_call_running_jobs_back_at_once_and_unfailed(fleet: Fleet) -> None:
    jobs = Endless(fleet)
    async with working(fleet):  # its heartbeat would come after three seconds
        ids = await jobs.start()
        await fleet.queue(QUEUE).pause(return_running=True)
        await came_back(fleet, *ids)
        assert [job.id for job in await fleet.queue(QUEUE).jobs(State.WAITING)] == list(ids), "in their order"
        assert await asyncio.to_thread(jobs.told.wait, 10)
        await until_true(lambda: jobs.cancelled == 1)
        jobs.go_on = True
        await fleet.queue(QUEUE).resume()
        assert [(await ended(fleet, job_id)).result for job_id in ids] == ["done", "done"]


async def test_a_pause_without_it_lets_running_jobs_go_on(fleet: Fleet, queue: Queue) -> None:
    await queue.enqueue(new("a"), new("b"))
    await queue.claim(1)
    await fleet.queue(QUEUE).pause()
    grant = await queue.exchange("w1", 5)
    assert (grant.jobs, grant.hold) == ([], Hold.PAUSED)
    assert not (await queue.client.run(heartbeat(REALM, QUEUE, "w1", b""))).returning
    await fleet.queue(QUEUE).pause(return_running=True)
    assert (await queue.exchange("w1", 5)).hold is Hold.RETURNING
    await queue.client.run(steering.drain(REALM, QUEUE, ["w1"]))
    assert (await queue.exchange("w1", 5)).hold is Hold.RETURNING, "also where it is draining"
    assert (await queue.client.run(heartbeat(REALM, QUEUE, "w1", b""))).returning
    await queue.exchange("w1", 0, Outcome("a", 1, "return"))
    await fleet.queue(QUEUE).resume()
    assert await queue.claim(5, "w2") == ["a", "b"]


async def test_a_worker_that_was_not_told_hears_of_it_with_its_heartbeat(fleet: Fleet, queue: Queue) -> None:
    jobs = Endless(fleet)
    async with working(fleet, lease_ms=900):
        ids = await jobs.start()
        await queue.configure(paused=1, return_running=1)  # the word to the workers got lost
        await came_back(fleet, *ids)
        await until_true(jobs.told.is_set)


async def test_the_operator_calls_running_jobs_back_too(fleet: Fleet, redis_url: str) -> None:
    jobs = Endless(fleet)
    inspector = Inspector(redis_url)
    place = QueueAddress(REALM, QUEUE)
    async with working(fleet):
        ids = await jobs.start()
        await inspector.apply_settings(place, QueueSettings(paused=True, return_running=True))
        await came_back(fleet, *ids)
        snapshot = (await inspector.snapshots([place]))[place]
        assert snapshot.settings == QueueSettings(paused=True, return_running=True)
    await inspector.close()


async def test_a_process_is_ended_when_its_job_is_called_back(redis_url: str, tmp_path: Path) -> None:
    fleet = process_jobs.fleet
    fleet.redis_url = redis_url
    async with working(fleet):
        job_id = await process_jobs.busy.enqueue(str(tmp_path))
        pid = int(await until_true(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))
        await fleet.queue(QUEUE).pause(return_running=True)
        view = await in_state(fleet, job_id, State.WAITING)
        assert view.failures == 0
        await until_true(lambda: not Path(f"/proc/{pid}/exe").exists() or not _alive(pid))
        await fleet.queue(QUEUE).cancel(job_id)
    await fleet.close()


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_a_paused_worker_leaves_the_work_to_others_and_keeps_its_lease(fleet: Fleet, queue: Queue) -> None:
    seen: list[int] = []

    @fleet.job(queue=QUEUE)
    async def note(n: int) -> None:
        seen.append(n)

    async with working(fleet, queues=(QUEUE, "mail"), lease_ms=2000) as worker:
        await worker.started.wait()
        with pytest.raises(ConfigurationError, match="does not serve 'fax', but photos, mail"):
            worker.pause("fax")
        worker.pause(QUEUE)
        await note.enqueue_many([{"n": n} for n in range(5)])
        assert await queue.client.pop("jf:{test/photos}:wake", 10), "a token that it took is laid down again"
        (first,) = (await queue.exchange("other", 1)).jobs
        begun = (await queue.read()).now_ms

        async def a_lease_is_over() -> QueueReading | None:
            reading = await queue.read()
            return reading if reading.now_ms > begun + 4000 else None

        reading = await until(a_lease_is_over)
        assert seen == []
        assert [w.lease_ms > 0 for w in reading.workers if w.id == worker.settings.id] == [True]
        await queue.exchange("other", 0, Outcome(first.id, first.attempt, "return"))
        worker.resume(QUEUE)
        await until_true(lambda: sorted(seen) == [0, 1, 2, 3, 4])


async def test_what_a_claim_under_way_brings_to_a_paused_worker_goes_back_unstarted(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[int] = []
    brought: list[int] = []

    @fleet.job(queue=QUEUE)
    async def note(n: int) -> None:
        ran.append(n)

    ask = AsyncClient.run
    ids = await note.enqueue_many([{"n": n} for n in range(3)])
    async with working(fleet) as worker:

        async def paused_meanwhile(client: AsyncClient, command: Command[Any]) -> Any:
            answer = await ask(client, command)
            if isinstance(answer, Grant) and answer.jobs and not brought:
                brought.append(len(answer.jobs))
                worker.pause()
            return answer

        monkeypatch.setattr(AsyncClient, "run", paused_meanwhile)

        async def came_back() -> bool:
            found = await fleet.queue(QUEUE).jobs(State.WAITING)
            return [(job.id, job.attempt, job.failures) for job in found] == [(job_id, 1, 0) for job_id in ids]

        await until(came_back)
        assert (ran, brought, worker._slots.free) == ([], [3], 4)
        worker.resume()
        for job_id in ids:
            await ended(fleet, job_id)
        assert ran == [0, 1, 2]


async def test_a_worker_paused_before_it_starts_starts_paused(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE)
    async def note() -> str:
        return "noted"

    job_id = await note.enqueue()
    worker = fleet.worker()
    worker.pause()
    task = asyncio.create_task(worker.run())
    await worker.started.wait()
    mail = await fleet.queue(QUEUE).status()
    assert (mail.waiting, mail.active) == (1, 0)
    worker.resume()
    assert (await ended(fleet, job_id)).result == "noted"
    worker.stop()
    await task


async def test_the_workers_of_this_process_are_paused_and_their_jobs_run_elsewhere(redis_url: str) -> None:
    async with (
        JobQueueCoordinator(SimpleConfig(redis_url, realm=REALM)) as here,
        JobQueueCoordinator(SimpleConfig(redis_url, realm=REALM)) as there,
    ):
        begun = asyncio.Event()

        async def endless() -> str:
            begun.set()
            await asyncio.Event().wait()
            return "never"

        async def quick() -> str:
            return "done"

        await here.register_worker(QUEUE, "job", endless, attempts=1)
        job_id = await here.enqueue_named_job(QUEUE, "job", {})
        await begun.wait()
        assert await here.pause_workers("mail") == 0
        assert await here.pause_workers(return_running=True) == 1
        await in_state(here.fleet, job_id, State.WAITING)
        await there.register_worker(QUEUE, "job", quick)
        view = await ended(there.fleet, job_id)
        assert (view.result, view.failures, view.attempt) == ("done", 0, 2)
        assert not (await here.get_queue_status(QUEUE)).paused
        assert await here.resume_workers(QUEUE) == 1
        await here.configure_queue(QUEUE, max_active=2)
        assert (await here.fleet.queue(QUEUE).settings()).max_active == 2


def test_synchronous_code_pauses_a_queue_too(redis_url: str) -> None:
    with SyncJobQueueCoordinator(SimpleConfig(redis_url, realm=REALM)) as queues:
        queues.pause_queue(QUEUE, return_running=True)
        assert queues.get_queue_status(QUEUE).paused
        assert queues.fleet.queue_sync(QUEUE).settings().return_running
        queues.resume_queue(QUEUE)
        assert not queues.get_queue_status(QUEUE).paused
        assert not queues.fleet.queue_sync(QUEUE).settings().return_running
        queues.configure_queue(QUEUE, max_length=4)
        assert queues.fleet.queue_sync(QUEUE).settings().max_length == 4
