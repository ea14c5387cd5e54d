"""Workers as processes of their own, started by the command line and ended the hard way."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from cluster_tool import ports
from fixtures.workers import until as until_within
from jobfleet import Fleet, State
from jobfleet.inspection import Inspector, QueueAddress
from jobfleet.job import JobView

HERE = Path(__file__).parent
QUEUE = "photos"
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
async def fleet(redis_url: str) -> AsyncIterator[Fleet]:
    async with Fleet(redis_url) as fleet:
        yield fleet


@pytest.fixture
def start(redis_url: str) -> Iterator[Start]:
    """Starts ``jobfleet worker`` with further arguments; whatever still runs at the end of the test is ended."""
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: str, **variables: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "jobfleet", "worker", "example_jobs:fleet", *arguments],
            cwd=HERE,
            env={**os.environ, "JOBFLEET_REDIS_URL": redis_url, **variables},
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
async def inspector(redis_url: str) -> AsyncIterator[Inspector]:
    inspector = Inspector(redis_url)
    yield inspector
    await inspector.close()


until = functools.partial(until_within, seconds=25)


async def in_state(fleet: Fleet, job_id: str, *states: State, seconds: float = 25) -> JobView:
    async def look() -> JobView | None:
        view = await fleet.job_state(QUEUE, job_id)
        return view if view and view.state in states else None

    return await until(look, seconds=seconds)


async def alive(fleet: Fleet, count: int) -> None:
    async def look() -> bool:
        return sum(worker.alive for worker in (await fleet.status(QUEUE)).workers) == count

    await until(look)


async def test_a_killed_workers_job_runs_on_another_by_heartbeats_alone(fleet: Fleet, start: Start) -> None:
    victim = start()
    job_id = await fleet.enqueue(QUEUE, "first_time_endless", {})
    await in_state(fleet, job_id, State.ACTIVE)
    start()
    await alive(fleet, 2)
    victim.kill()
    view = await in_state(fleet, job_id, State.COMPLETED, seconds=60)
    assert (view.result, view.lost, view.failures) == ("attempt 2", 1, 0)


async def test_a_job_that_kills_its_workers_stops_after_the_fourth(
    fleet: Fleet, start: Start, inspector: Inspector
) -> None:
    job_id = await fleet.enqueue(QUEUE, "kill_the_worker", {})
    for _ in range(4):
        worker = start(JOBFLEET_WORKER="pod")
        assert await asyncio.to_thread(worker.wait, 20) == -signal.SIGKILL
        address = QueueAddress("default", QUEUE)
        (dead,) = (await inspector.snapshots([address]))[address].workers
        assert dead.name == "pod"
        assert await inspector.reclaim(address, [dead.id]) == 1
    view = await in_state(fleet, job_id, State.FAILED)
    assert view.error is not None
    assert (view.error.kind, view.lost) == ("poison", 4)


async def test_a_full_collection_does_not_go_through_what_was_imported(fleet: Fleet, start: Start) -> None:
    """It would take tens of milliseconds, in which no job is picked up."""
    start()
    view = await in_state(fleet, await fleet.enqueue(QUEUE, "frozen", {}), State.COMPLETED)
    assert view.result > 10_000


async def test_sigterm_hands_back_what_cannot_end_and_exits_zero(fleet: Fleet, start: Start) -> None:
    """Even with a handler in a thread that nobody can end."""
    worker = start("--drain-seconds", "0.2")
    job_id = await fleet.enqueue(QUEUE, "deaf_thread", {})
    await in_state(fleet, job_id, State.ACTIVE)
    worker.terminate()
    assert await asyncio.to_thread(worker.wait, 20) == 0
    view = await fleet.job_state(QUEUE, job_id)
    assert view is not None
    assert (view.state, view.failures, view.lost) == (State.WAITING, 0, 0)
    assert (await fleet.status(QUEUE)).workers == ()


async def test_a_second_sigterm_does_not_wait_for_the_drain_time(fleet: Fleet, start: Start) -> None:
    worker = start("--drain-seconds", "3600")
    job_id = await fleet.enqueue(QUEUE, "first_time_endless", {})
    await in_state(fleet, job_id, State.ACTIVE)
    worker.terminate()

    async def ended() -> bool:
        worker.terminate()
        return worker.poll() is not None

    await until(ended)
    assert worker.returncode == 0
    await in_state(fleet, job_id, State.WAITING)


async def test_probes_answer_by_the_claim_loop_and_not_by_being_busy(fleet: Fleet, start: Start) -> None:
    (port,) = ports.free_ports(1)
    worker = start("--health-port", str(port), "--concurrency", "1", "--drain-seconds", "3600")
    await alive(fleet, 1)
    job_id = await fleet.enqueue(QUEUE, "first_time_endless", {})
    await in_state(fleet, job_id, State.ACTIVE)

    def get(path: str) -> int:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code

    assert [await asyncio.to_thread(get, path) for path in ("/livez", "/readyz", "/other")] == [200, 200, 404]
    worker.terminate()

    async def not_ready() -> bool:
        return await asyncio.to_thread(get, "/readyz") == 503

    await until(not_ready)
    assert await asyncio.to_thread(get, "/livez") == 200


async def test_the_status_of_a_queue_is_shown_as_table_and_as_json(fleet: Fleet, start: Start, redis_url: str) -> None:
    await fleet.enqueue(QUEUE, "quick", {"n": 1})
    environment = {**os.environ, "JOBFLEET_REDIS_URL": redis_url}

    def status(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "jobfleet", "status", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    table = (await asyncio.to_thread(status, QUEUE)).stdout
    assert table.splitlines()[0].split()[:3] == ["QUEUE", "WAITING", "ACTIVE"]
    assert "1 jobs wait" in table
    told = json.loads((await asyncio.to_thread(status, QUEUE, "--json")).stdout)
    assert (told["queue"], told["waiting"]) == (QUEUE, 1)
    assert (await asyncio.to_thread(status)).stdout.split()[9:11] == [QUEUE, "1"]


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("example_jobs", "must be MODULE:ATTRIBUTE"),
        ("no_such_module:fleet", "module 'no_such_module' is not found"),
        ("example_jobs:boat", "has no attribute 'boat'"),
        ("example_jobs:quick", "is a Job, not a Fleet"),
    ],
)
def test_a_wrong_target_gets_a_sentence(redis_url: str, target: str, says: str) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "jobfleet", "worker", target], cwd=HERE, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 2
    assert says in answer.stderr
    assert "Traceback" not in answer.stderr
