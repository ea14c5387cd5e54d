"""The second door leads to the same rooms."""

from __future__ import annotations

import asyncio
import time

import pytest

from jobfleet import (
    JobQueueCoordinator,
    RetryAfter,
    SyncJobQueueCoordinator,
    Treatment,
    Unrecoverable,
    create_simple_config,
    current_job,
)
from jobfleet.coordinator import SimpleConfig


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
