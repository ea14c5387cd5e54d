"""Handlers in processes of their own: what they know, how they end, and that they end with their worker."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures import process_jobs
from fixtures.workers import QUEUE, ended, in_state, until, until_true, working
from jobfleet import CallNext, ConfigurationError, Fleet, JobContext, Middleware, State, WorkerSettings
from jobfleet.worker import processes
from jobfleet.worker.processes import Child, Processes

TESTS = Path(__file__).parents[1]


@pytest.fixture
def fleet(redis_url: str) -> Iterator[Fleet]:
    """The module's own fleet, on this test's Redis."""
    process_jobs.fleet.redis_url = redis_url
    yield process_jobs.fleet
    process_jobs.fleet.close_sync()


@pytest.fixture(autouse=True)
async def _close(fleet: Fleet) -> Any:
    yield
    await fleet.close()


def runs(pid: int) -> bool:
    """Whether a process lives; a dead one that nobody has collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def pid_in(folder: Path, name: str = "pid") -> int:
    path = folder / name
    return int(await until_true(lambda: path.exists() and path.read_text()))


async def test_a_process_runs_one_job_after_another_and_knows_its_job(fleet: Fleet) -> None:
    async with working(fleet, concurrency=1):
        first = await ended(fleet, await process_jobs.where.enqueue(7))
        second = await ended(fleet, await process_jobs.where.enqueue(8))
        third = await ended(fleet, await process_jobs.where_async.enqueue())
    assert first.result[1:] == [os.getpid(), 7, first.id, 1]
    assert first.result[0] == second.result[0] == third.result != os.getpid()
    assert not runs(third.result)


async def test_an_exception_in_a_process_is_the_jobs_failure_with_its_traceback(fleet: Fleet) -> None:
    async with working(fleet):
        view = await ended(fleet, await process_jobs.explode.enqueue())
    assert view.error is not None
    assert (view.error.kind, view.error.message) == ("LookupError", "nothing on shelf 17")
    assert "in explode" in view.error.traceback
    assert len(view.error.fingerprint) == 16


async def test_a_jobs_own_rules_hold_in_a_process(fleet: Fleet) -> None:
    async with working(fleet):
        view = await in_state(fleet, await process_jobs.not_now.enqueue(), State.DELAYED)
    assert view.failures == 0


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda: process_jobs.die_by.enqueue(9), "process ended by signal 9"),
        (process_jobs.segfault.enqueue, "process ended by signal 11"),
        (lambda: process_jobs.leave.enqueue(3), "process ended by exit code 3"),
    ],
)
async def test_a_process_that_dies_fails_its_attempt_and_nothing_else(fleet: Fleet, call: Any, kind: str) -> None:
    async with working(fleet, concurrency=1):
        view = await ended(fleet, await call())
        assert view.error is not None
        assert view.error.kind == kind
        assert (await ended(fleet, await process_jobs.where.enqueue(1))).state is State.COMPLETED


async def test_a_timeout_ends_a_process_that_never_gives_up_the_processor(fleet: Fleet, tmp_path: Path) -> None:
    async with working(fleet, concurrency=1):
        view = await ended(fleet, await process_jobs.busy.options(timeout=2).enqueue(str(tmp_path)))
        assert view.error is not None
        assert view.error.kind == "timeout"
        assert not runs(await pid_in(tmp_path))
        assert (tmp_path / "cleared").exists()
        assert (await ended(fleet, await process_jobs.where.enqueue(1))).state is State.COMPLETED


async def test_a_process_that_does_not_hear_is_killed_with_all_it_started(fleet: Fleet, tmp_path: Path) -> None:
    async with working(fleet, concurrency=1) as worker:
        job_id = await process_jobs.deaf.enqueue(str(tmp_path))
        pid = await pid_in(tmp_path)
        grandchild = await pid_in(tmp_path, "grandchild")
        assert worker.cancel(QUEUE, job_id, 1)
        assert (await ended(fleet, job_id)).state is State.CANCELLED
        assert not runs(pid)
        await until_true(lambda: not runs(grandchild))


async def test_an_async_handler_in_a_process_clears_up_when_it_is_ended(fleet: Fleet, tmp_path: Path) -> None:
    async with working(fleet, concurrency=1) as worker:
        job_id = await process_jobs.wait_for_ever.enqueue(str(tmp_path))
        pid = await pid_in(tmp_path)
        assert worker.cancel(QUEUE, job_id, 1)
        assert (await ended(fleet, job_id)).state is State.CANCELLED
    assert not runs(pid)
    assert (tmp_path / "log").read_text() == "opened ended "


async def test_a_process_that_hears_is_not_killed(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "KILL_GRACE_SECONDS", 600)
    async with working(fleet, concurrency=1) as worker:
        job_id = await process_jobs.busy.enqueue(str(tmp_path))
        pid = await pid_in(tmp_path)
        assert worker.cancel(QUEUE, job_id, 1)
        assert (await ended(fleet, job_id)).state is State.CANCELLED
    assert not runs(pid)
    assert (tmp_path / "cleared").exists()


async def test_a_process_ends_although_its_pool_does_not_close_and_a_thread_goes_on(
    fleet: Fleet, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "KILL_GRACE_SECONDS", 600)
    async with working(fleet, concurrency=1):
        pid = (await ended(fleet, await process_jobs.leave_a_thread.enqueue())).result
    assert not runs(pid)
    assert "the pool does not close" in capfd.readouterr().err


async def test_what_a_handler_in_a_process_prints_is_there_when_its_job_has_ended(
    fleet: Fleet, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    async with working(fleet, concurrency=1):
        await ended(fleet, await process_jobs.say.enqueue("hello"))
        assert "hello" in capfd.readouterr().out


async def test_a_process_whose_job_goes_back_at_the_drains_end_is_ended(fleet: Fleet, tmp_path: Path) -> None:
    async with working(fleet, drain_seconds=0.1):
        job_id = await process_jobs.busy.enqueue(str(tmp_path))
        pid = await pid_in(tmp_path)
    assert not runs(pid)
    view = await fleet.job_state(QUEUE, job_id)
    assert view is not None
    assert (view.state, view.failures) == (State.WAITING, 0)


async def test_a_process_ends_with_its_worker_even_if_that_is_killed(
    fleet: Fleet, redis_url: str, tmp_path: Path
) -> None:
    worker = subprocess.Popen(  # noqa: ASYNC220 - it returns at once
        [sys.executable, "-m", "jobfleet", "worker", "fixtures.process_jobs:fleet"],
        cwd=TESTS,
        env={**os.environ, "JOBFLEET_REDIS_URL": redis_url},
    )
    try:
        await process_jobs.busy.enqueue(str(tmp_path))
        pid = await pid_in(tmp_path)
        assert runs(pid)
        worker.kill()
        await until_true(lambda: not runs(pid))
    finally:
        worker.kill()
        worker.wait()
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


async def test_a_process_that_grew_too_large_is_replaced_after_its_job(fleet: Fleet) -> None:
    from jobfleet.worker.memory import resident_mb

    limit = resident_mb() + 50
    async with working(fleet, concurrency=1, max_memory_mb=limit):
        large = await ended(fleet, await process_jobs.large.enqueue(limit))
        after = await ended(fleet, await process_jobs.where_async.enqueue())
    assert large.state is after.state is State.COMPLETED
    assert large.result != after.result


async def test_dependencies_are_made_and_cleared_up_in_the_process(fleet: Fleet, tmp_path: Path) -> None:
    async with working(fleet, concurrency=1):
        view = await ended(fleet, await process_jobs.injected_job.enqueue(folder=str(tmp_path)))
    assert view.result == "connected"
    assert (tmp_path / "log").read_text() == "opened connected closed "


async def test_a_call_of_c_that_keeps_the_interpreter_to_itself_keeps_its_lease_in_a_process(fleet: Fleet) -> None:
    async with working(fleet, lease_ms=2000), working(fleet, lease_ms=2000):
        view = await ended(fleet, await process_jobs.hold_in_c.enqueue(4.0))
    assert (view.result, view.attempt, view.lost) == ("done", 1, 0)


async def test_as_many_processes_run_as_there_are_slots(fleet: Fleet, tmp_path: Path) -> None:
    folders = [tmp_path / str(n) for n in range(2)]
    for folder in folders:
        folder.mkdir()
    async with working(fleet, concurrency=2, drain_seconds=0.1):
        for folder in folders:
            await process_jobs.busy.enqueue(str(folder))
        pids = await asyncio.gather(*(pid_in(folder) for folder in folders))
        assert len(set(pids)) == 2


class Slow(Middleware):
    """Holds each job up, before it runs, until it is cancelled."""

    async def around_run(self, job: JobContext, call_next: CallNext) -> Any:
        await asyncio.Event().wait()


async def test_middleware_is_inside_the_timeout_of_a_job_in_a_process(redis_url: str) -> None:
    async with Fleet(redis_url) as fleet:
        fleet.middleware(Slow())
        job = fleet.job(queue=QUEUE, run_in="process", timeout=0.1, attempts=1)(process_jobs.where.handler.function)
        async with working(fleet):
            view = await ended(fleet, await job.enqueue(n=1))
    assert view.error is not None
    assert view.error.kind == "timeout"


async def test_the_start_of_a_process_is_not_the_jobs_time(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    timers: list[bool] = []
    take = Processes.take

    def stopped() -> bool:
        (attempt,) = worker._lanes[0].holding._running.values()
        assert attempt.timer is not None
        return attempt.timer.cancelled()

    async def look(processes: Processes, module: str) -> Child:
        timers.append(stopped())
        return await take(processes, module)

    async def run(processes: Processes, child: Child, *rest: Any) -> object:
        timers.append(stopped())
        processes.give_back(child)
        return "ran"

    monkeypatch.setattr(Processes, "take", look)
    monkeypatch.setattr(Processes, "run", run)
    async with working(fleet) as worker:
        view = await ended(fleet, await process_jobs.where.options(timeout=60).enqueue(1))
    assert (view.result, timers) == ("ran", [True, False])


async def test_a_process_that_takes_too_long_to_start_says_so(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "START_SECONDS", 0)
    async with working(fleet):
        view = await ended(fleet, await process_jobs.where.options(attempts=1).enqueue(1))
    assert view.error is not None
    assert view.error.message == "the process has not imported fixtures.process_jobs in 0 s"


def test_a_function_that_no_process_can_import_is_refused() -> None:
    fleet = Fleet()
    with pytest.raises(ConfigurationError, match="must be defined at the top of a module"):

        @fleet.job(queue=QUEUE, run_in="process")
        def inner() -> None: ...


async def test_a_worker_that_is_torn_down_in_the_middle_ends_its_processes(fleet: Fleet, tmp_path: Path) -> None:
    running = asyncio.create_task(fleet.worker(WorkerSettings(queues=(QUEUE,))).run())
    await process_jobs.busy.enqueue(str(tmp_path))
    pid = await pid_in(tmp_path)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not runs(pid)


async def test_nothing_is_left_running_when_a_worker_has_ended(fleet: Fleet) -> None:
    async with working(fleet):
        pids = [(await ended(fleet, await process_jobs.where_async.enqueue())).result for _ in range(2)]

    async def gone() -> bool:
        return not any(runs(pid) for pid in pids)

    await until(gone)


async def test_a_handler_that_forks_and_returns_twice_answers_once_and_for_no_other_job(fleet: Fleet) -> None:
    async with working(fleet, concurrency=1):
        views = [await ended(fleet, await process_jobs.return_twice.enqueue()) for _ in range(3)]
        other = await ended(fleet, await process_jobs.where.enqueue(7))
    assert [view.result for view in views] == ["parent"] * 3
    assert other.result[2:] == [7, other.id, 1]


async def test_the_end_of_a_process_is_seen_although_a_process_that_it_forked_lives_on(fleet: Fleet) -> None:
    async with working(fleet, concurrency=1):
        view = await ended(fleet, await process_jobs.end_beside_a_fork.enqueue())
    assert view.error is not None
    assert view.error.kind == "process ended by signal 9"
