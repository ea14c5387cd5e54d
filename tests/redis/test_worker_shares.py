"""Workers of several queues share their slots by weight; workers that are through end by themselves."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.workers import QUEUE, ended, until_true, working
from jobfleet import ConfigurationError, Fleet, WorkerSettings
from jobfleet.worker.memory import resident_mb


async def test_queues_with_a_backlog_get_slots_by_weight_and_none_starves(fleet: Fleet) -> None:
    """One slot comes free at a time, when both queues wait for it: whose it is, their weights decide."""
    runs: list[str] = []
    gates: list[asyncio.Event] = []

    async def hold(queue: str) -> None:
        gate = asyncio.Event()
        runs.append(queue)
        gates.append(gate)
        if len(runs) <= turns:
            await gate.wait()

    @fleet.job(queue="photos", name="work")
    async def photo() -> None:
        await hold("photos")

    @fleet.job(queue="mail", name="work")
    async def mail() -> None:
        await hold("mail")

    slots, turns = 4, 80
    for job in (photo, mail):
        await job.enqueue_many([{}] * 100)
    async with working(fleet, queues={"photos": 3, "mail": 1}, concurrency=slots):
        for n in range(turns):
            await until_true(lambda n=n: len(runs) >= min(n + slots, turns))
            for _ in range(20):
                await asyncio.sleep(0)  # whoever got the slot stands in line again
            gates[n].set()
        await until_true(lambda: len(runs) == 200)
    assert 50 <= runs[:turns].count("photos") <= 70


async def test_a_queue_gets_all_slots_while_the_other_is_empty(fleet: Fleet) -> None:
    running = 0
    go_on = asyncio.Event()

    @fleet.job(queue="mail")
    async def hold() -> None:
        nonlocal running
        running += 1
        await go_on.wait()

    await hold.enqueue_many([{}] * 6)
    async with working(fleet, queues={"photos": 1000, "mail": 1}, concurrency=6):
        await until_true(lambda: running == 6)
        go_on.set()


def test_queues_may_be_given_as_names_as_pairs_or_with_weights() -> None:
    for queues in (("photos", ("mail", 2)), {"photos": 1, "mail": 2}):
        settings = WorkerSettings(queues=queues)
        assert settings.queue_names == ("photos", "mail")
        assert (settings.weight("photos"), settings.weight("mail")) == (1, 2)
    with pytest.raises(ConfigurationError, match=r"queues: the weight 0 of 'photos' must be a number above 0"):
        WorkerSettings(queues={"photos": 0})


async def test_a_worker_ends_after_so_many_jobs_and_says_why(fleet: Fleet, caplog: pytest.LogCaptureFixture) -> None:
    @fleet.job(queue=QUEUE)
    async def quick() -> None: ...

    ids = await quick.enqueue_many([{}] * 20)
    caplog.set_level(logging.INFO, "jobfleet.worker")
    await asyncio.wait_for(fleet.worker(WorkerSettings(queues=(QUEUE,), concurrency=2, max_jobs=5)).run(), 30)
    status = await fleet.status(QUEUE)
    assert 5 <= status.completed_total <= 8
    assert (status.active, status.waiting) == (0, len(ids) - status.completed_total)
    (record,) = [record for record in caplog.records if record.message == "worker ends to be replaced"]
    assert "max_jobs 5" in record.__dict__["why"]


async def test_a_worker_that_grew_too_large_lets_its_jobs_end_and_ends(fleet: Fleet) -> None:
    kept: list[bytes] = []

    @fleet.job(queue=QUEUE)
    async def grow() -> str:
        kept.append(b"x" * (60 << 20))
        return "done"

    job_id = await grow.enqueue()
    settings = WorkerSettings(queues=(QUEUE,), max_memory_mb=resident_mb() + 30)
    await asyncio.wait_for(fleet.worker(settings).run(), 30)
    assert (await ended(fleet, job_id)).result == "done"


async def test_the_command_line_recycles_and_exits_zero(redis_url: str) -> None:
    async with Fleet(redis_url) as fleet:
        for n in range(5):
            await fleet.enqueue(QUEUE, "quick", {"n": n})
        worker = subprocess.Popen(  # noqa: ASYNC220 - it returns at once
            [sys.executable, "-m", "jobfleet", "worker", "example_jobs:fleet", "--max-jobs", "3", "--concurrency", "1"],
            cwd=Path(__file__).parent,
            env={**os.environ, "JOBFLEET_REDIS_URL": redis_url},
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            _, told = await asyncio.to_thread(worker.communicate, None, 30)
        finally:
            worker.kill()
        assert worker.returncode == 0
        assert "worker ends to be replaced why=" in told
        assert (await fleet.status(QUEUE)).completed_total >= 3


@pytest.mark.parametrize("field", ["max_jobs", "max_memory_mb"])
def test_a_limit_below_zero_is_refused(field: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"{field}: -1 must be 0 \(no limit\)"):
        WorkerSettings(queues=(QUEUE,), **{field: -1})  # type: ignore[arg-type]
