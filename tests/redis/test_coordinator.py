"""The second door leads to the same rooms."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from typing import Any

import pytest

from jobfleet import (
    ConfigurationError,
    InvalidJob,
    JobQueueCoordinator,
    Middleware,
    RetryAfter,
    SyncJobQueueCoordinator,
    Treatment,
    Unrecoverable,
    create_simple_config,
    current_job,
)
from jobfleet.clients.asynchronous import AsyncClient
from jobfleet.coordinator import Health, SimpleConfig


async def test_jobs_go_through_the_coordinator_and_its_worker(redis_port: int, redis_url: str) -> None:
    async def double(n: int) -> int:
        current_job().log(n)
        return 2 * n

    async with JobQueueCoordinator(create_simple_config("127.0.0.1", redis_port)) as queues:
        await queues.register_worker("numbers", "double", double, concurrency=2)
        job_id = await queues.enqueue_named_job("numbers", "double", {"n": 4}, priority=1)
        assert len(await queues.bulk_enqueue_jobs("numbers", "double", [{"n": 1}, {"n": 2}])) == 2
        deadline = time.monotonic() + 15
        while (await queues.get_queue_status("numbers")).completed_total < 3:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        view = await queues.get_job("numbers", job_id)
        assert view is not None
        assert [line.text for line in (await queues.get_job_log("numbers", job_id)).lines] == ["4"]
        assert (view.result, view.priority) == (8, 1)
        assert list(await queues.get_all_queue_status()) == ["numbers"]
        assert (await queues.get_health()).healthy


async def test_a_coordinator_steers_its_queues_and_resizes_its_workers(
    redis_port: int, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def explode() -> None:
        raise Unrecoverable("no")

    async with JobQueueCoordinator(create_simple_config("127.0.0.1", redis_port)) as queues:
        worker = await queues.register_worker("numbers", "explode", explode, concurrency=1)
        assert await queues.scale_workers(3) == "1 workers of this process have 3 slots each now"
        monkeypatch.setenv("JOBFLEET_POOL", "numbers")
        assert "kubectl patch workerpool numbers" in await queues.scale_workers(4)
        job_id = await queues.enqueue_named_job("numbers", "explode", {})
        await queues.fleet.queue("numbers").wait(job_id, 15)
        assert [job.id for job in await queues.get_failed_jobs("numbers")] == [job_id]
        await queues.pause_queue("numbers")
        assert (await queues.get_queue_status("numbers")).paused
        assert await queues.retry_job("numbers", job_id)
        assert await queues.cancel_job("numbers", job_id) == "cancelled"
        await queues.resume_queue("numbers")
        assert dict(worker.settings.queues) == {"numbers": 1}


async def test_health_names_what_is_wrong(redis_port: int, redis_url: str) -> None:
    async with JobQueueCoordinator(create_simple_config("127.0.0.1", redis_port)) as queues:
        await queues.enqueue_job("photos", {"n": 1})
        health = await queues.get_health()
    assert not health.healthy
    assert health.redis
    assert "photos: 1 jobs wait" in health.problems[0]
    assert health.queues == ("photos",)


def test_synchronous_code_has_the_same_door(redis_port: int, redis_url: str) -> None:
    with SyncJobQueueCoordinator(SimpleConfig(redis_url, realm="shop", queues=("photos",))) as queues:
        job_id = queues.enqueue_job("photos", {"n": 1})
        job = queues.get_job("photos", job_id)
        assert job is not None
        assert job.args == {"n": 1}
        assert queues.get_job_log("photos", job_id).lines == ()
        queues.bulk_enqueue_jobs("photos", "job", [{}, {}])
        assert queues.get_queue_status("photos").waiting == 3
        assert queues.get_all_queue_status()["photos"].waiting == 3
        assert not queues.get_health().healthy


async def test_a_registered_worker_is_told_how_to_treat_its_jobs(redis_url: str) -> None:
    tried: list[int] = []

    def unlucky() -> None:
        tried.append(current_job().failures)
        raise KeyError("no")

    treatment = Treatment(on_error={KeyError: RetryAfter(0)}, retry_in=lambda failures, error: 3600)
    async with JobQueueCoordinator(SimpleConfig(redis_url)) as queues:
        await queues.register_worker("numbers", "unlucky", unlucky, treatment=treatment, attempts=2)
        job_id = await queues.enqueue_named_job("numbers", "unlucky", {}, attempts=2)
        view = await queues.fleet.queue("numbers").wait(job_id, 15)
    assert view is not None
    assert (view.failures, tried) == (2, [0, 1])


async def nothing(**_: Any) -> None: ...


async def test_a_queue_that_was_refused_is_not_looked_at(redis_url: str) -> None:
    async with JobQueueCoordinator(SimpleConfig(redis_url)) as queues:
        for refused in (
            queues.enqueue_named_job("Bad Queue", "job", {}),
            queues.bulk_enqueue_jobs("Bad Queue", "job", [{}]),
            queues.enqueue_job("Bad Queue", {}),
        ):
            with pytest.raises(InvalidJob, match="'Bad Queue' must be"):
                await refused
        assert await queues.get_health() == Health(True, ())
    with SyncJobQueueCoordinator(SimpleConfig(redis_url)) as sync:
        with pytest.raises(InvalidJob, match="'Bad Queue' must be"):
            sync.enqueue_named_job("Bad Queue", "job", {})
        with pytest.raises(InvalidJob, match="'Bad Queue' must be"):
            sync.bulk_enqueue_jobs("Bad Queue", "job", [{}])
        assert sync.get_all_queue_status() == {}


async def test_one_id_is_not_for_many_jobs(redis_url: str) -> None:
    async with JobQueueCoordinator(SimpleConfig(redis_url)) as queues:
        with pytest.raises(InvalidJob, match="'same' is the id of one job, and there are 2"):
            await queues.bulk_enqueue_jobs("photos", "job", [{}, {}], job_id="same")
        assert await queues.bulk_enqueue_jobs("photos", "job", [{}], job_id="same") == ["same"]


@pytest.mark.parametrize(
    ("queue", "says"), [("3d-photos", "no job can be named like '3d-photos'.*enqueue_named_job"), (5, "5 must be")]
)
def test_a_job_that_cannot_be_named_like_its_queue_is_refused_by_the_queue(queue: Any, says: str) -> None:
    with pytest.raises(InvalidJob, match=says) as caught:
        SyncJobQueueCoordinator(create_simple_config(port=1)).enqueue_job(queue, {})
    assert caught.value.field == "queue"


@pytest.mark.parametrize(
    ("queues", "says"), [("photos", r"as in \('photos',\)"), (["a", "B"], "queues: .*'B' must be")]
)
def test_names_that_no_queue_can_have_are_refused_with_the_configuration(queues: Any, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        create_simple_config(queues=queues)
    with pytest.raises(ConfigurationError, match=says):
        SimpleConfig("redis://localhost", queues=queues)


async def test_all_queues_of_the_realm_are_looked_at_and_those_that_had_no_job_yet(redis_url: str) -> None:
    with SyncJobQueueCoordinator(SimpleConfig(redis_url)) as others:
        others.enqueue_job("photos", {})
        others.configure_queue("mail", max_active=1)
    with SyncJobQueueCoordinator(SimpleConfig(redis_url, realm="elsewhere*")) as elsewhere:
        elsewhere.enqueue_job("secret", {})
        assert list(elsewhere.get_all_queue_status()) == ["secret"]
    async with JobQueueCoordinator(SimpleConfig(redis_url, queues=("bills",))) as queues:
        queues.register_handler("shop", "job", nothing)
        assert (await queues.get_health()).queues == ("bills", "mail", "photos", "shop")
        assert await queues.fleet.queues() == ["mail", "photos"]


class Refusing(Middleware):
    """Keeps workers from starting."""

    refuses = True

    async def worker_starting(self) -> None:
        if self.refuses:
            raise LookupError("no database")


async def test_a_worker_that_cannot_start_says_why_and_may_be_registered_again(redis_url: str) -> None:
    async with JobQueueCoordinator(SimpleConfig(redis_url)) as queues:
        gate = queues.fleet.middleware(Refusing())
        async with asyncio.timeout(15):
            with pytest.raises(LookupError, match="no database"):
                await queues.register_worker("photos", "job", nothing)
        with pytest.raises(ConfigurationError, match="concurrency"):
            await queues.register_worker("photos", "job", nothing, concurrency=0)
        gate.refuses = False
        await queues.register_worker("photos", "job", nothing)
        assert (await queues.get_health()).healthy


async def test_a_worker_that_broke_is_told_of_and_keeps_no_connection_open(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[AsyncClient] = []
    close = AsyncClient.close

    async def closing(client: AsyncClient) -> None:
        closed.append(client)
        await close(client)

    async def fall_over(_: object) -> None:
        raise ArithmeticError("a defect")

    queues = JobQueueCoordinator(SimpleConfig(redis_url))
    await queues.initialize()
    broken = await queues.register_worker("photos", "job", nothing)
    well = await queues.register_worker("mail", "job", nothing)
    monkeypatch.setattr(broken, "_drain", fall_over)
    broken.stop()
    async with asyncio.timeout(15):
        while not (problems := (await queues.get_health()).problems):
            await asyncio.sleep(0.02)
    assert broken.settings.id in problems[0]
    own = queues.fleet.client()
    monkeypatch.setattr(AsyncClient, "close", closing)
    with pytest.raises(ArithmeticError, match="a defect"):
        await queues.shutdown()
    assert own in closed
    assert well._told.is_set()
    await queues.shutdown()


async def test_a_backlog_waits_for_a_handler_that_is_registered_late(redis_url: str) -> None:
    async with JobQueueCoordinator(SimpleConfig(redis_url)) as queues:
        early = await queues.enqueue_named_job("photos", "early", {}, attempts=1)
        late = await queues.enqueue_named_job("photos", "late", {}, attempts=1)
        queues.register_handler("photos", "early", nothing)
        await queues.register_worker("photos", "other", nothing)
        assert await queues.fleet.result("photos", early, 15) is None
        queues.register_handler("photos", "late", nothing)
        view = await queues.fleet.queue("photos").wait(late, 15)
        assert view is not None
        assert (view.state.value, view.failures) == ("completed", 0)


def test_synchronous_code_has_workers_too(redis_url: str) -> None:
    threads: set[str] = set()

    def double(n: int) -> int:
        return 2 * n

    async def note(n: int) -> int:
        threads.add(threading.current_thread().name)
        return n

    with SyncJobQueueCoordinator(SimpleConfig(redis_url)) as queues:
        assert queues.pause_workers() == 0
        queues.register_handler("numbers", "note", note)
        worker = queues.register_worker("numbers", "double", double, concurrency=2)
        assert queues.scale_workers(3) == "1 workers of this process have 3 slots each now"
        assert f"{worker} 2->3 slots" in queues.get_audit("numbers")[0].what
        ids = queues.bulk_enqueue_jobs("numbers", "double", [{"n": n} for n in range(5)])
        assert [queues.fleet.result_sync("numbers", job_id, 15) for job_id in ids] == [0, 2, 4, 6, 8]
        assert queues.pause_workers("numbers") == 1
        job_id = queues.enqueue_named_job("numbers", "note", {"n": 3})
        assert queues.get_queue_status("numbers").waiting == 1
        assert queues.resume_workers() == 1
        assert queues.fleet.result_sync("numbers", job_id, 15) == 3
        assert queues.get_health().healthy
        assert threading.current_thread().name not in threads
    assert not any(worker.alive for worker in queues.get_queue_status("numbers").workers)
    queues.shutdown()


def test_an_async_handler_hears_that_its_loop_would_wait_for_itself(redis_url: str) -> None:
    heard: list[str] = []

    async def note() -> None:
        for act in (queues.pause_workers, queues.shutdown):
            with pytest.raises(ConfigurationError) as caught:
                act()
            heard.append(str(caught.value))

    with SyncJobQueueCoordinator(SimpleConfig(redis_url)) as queues:
        queues.register_worker("numbers", "note", note)
        for _ in range(2):
            job_id = queues.enqueue_named_job("numbers", "note", {})
            assert queues.fleet.result_sync("numbers", job_id, 15) is None
    assert len(heard) == 4
    assert "make the handler a plain function" in heard[0]


def test_synchronous_code_hears_why_a_worker_does_not_start(redis_url: str) -> None:
    with SyncJobQueueCoordinator(SimpleConfig(redis_url)) as queues:
        queues.fleet.middleware(Refusing())
        with pytest.raises(LookupError, match="no database"):
            queues.register_worker("photos", "job", nothing)
        begun = queues._thread._thread
    assert begun is not None
    assert not begun.is_alive()


def test_both_coordinators_have_every_verb_with_the_same_parameters() -> None:
    verbs = {name for name in dir(JobQueueCoordinator) if not name.startswith("_")}
    assert verbs == {name for name in dir(SyncJobQueueCoordinator) if not name.startswith("_")}
    for verb in verbs:
        one, other = getattr(JobQueueCoordinator, verb), getattr(SyncJobQueueCoordinator, verb)
        assert inspect.signature(one).parameters == inspect.signature(other).parameters
        assert one.__doc__
        assert other.__doc__
