"""Counts that must not rise: what jobfleet sends to Redis and what it keeps there. Times are measured in bench/."""

from __future__ import annotations

import asyncio
import functools
import socket
import time
from collections.abc import AsyncIterator, Iterator

import pytest

import redis
from fixtures.workers import until as until_within
from jobfleet import Fleet, Job, WorkerSettings

QUEUE = "bench"
TEXT = "x" * 42
"""With the number, a job's arguments are 64 bytes as JSON, as in bench/."""

BULK = 1000
"""Jobs that one round trip carries."""

BYTES_A_JOB = 220
"""Of one that waits, and of one that is kept when it has completed."""

CALLS_A_JOB = 1 / 20
"""Calls that settle and claim, for each job of a worker with 100 slots: twenty jobs a call at least."""
IDLE_COMMANDS_A_SECOND = 1.0
IDLE_SECONDS = 12.0
"""How long an idle worker is listened to: longer than its heartbeat's period and than its longest blocking wait."""

Noop = Job[[int, str], None]


@pytest.fixture
async def fleet(redis_url: str) -> AsyncIterator[Fleet]:
    async with Fleet(redis_url) as fleet:
        yield fleet


@pytest.fixture
def noop(fleet: Fleet) -> Noop:
    @fleet.job(queue=QUEUE)
    async def noop(n: int, text: str) -> None:
        pass

    return noop


@pytest.fixture
def server(redis_port: int) -> Iterator[redis.Redis]:
    with redis.Redis(host="127.0.0.1", port=redis_port) as client:
        yield client


def script_calls(server: redis.Redis) -> int:
    """Script calls since the statistics were reset."""
    stats = server.info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("eval", "evalsha"))


until = functools.partial(until_within, seconds=25)


async def test_bulk_enqueue_takes_one_round_trip_a_thousand_jobs(noop: Noop, server: redis.Redis) -> None:
    await noop.enqueue(n=0, text=TEXT)  # loads the script
    server.config_resetstat()
    await noop.enqueue_many({"n": n, "text": TEXT} for n in range(5 * BULK))
    assert script_calls(server) == 5


async def test_concurrent_enqueues_of_one_process_share_round_trips(noop: Noop, server: redis.Redis) -> None:
    await noop.enqueue(n=0, text=TEXT)
    server.config_resetstat()
    await asyncio.gather(*(noop.enqueue(n=n, text=TEXT) for n in range(1000)))
    assert script_calls(server) <= 20


async def test_settling_and_claiming_share_calls_and_calls_are_shared_by_jobs(
    fleet: Fleet, noop: Noop, server: redis.Redis
) -> None:
    jobs = 4000
    await noop.enqueue_many({"n": n, "text": TEXT} for n in range(jobs))
    server.config_resetstat()
    worker = fleet.worker(WorkerSettings(queues=(QUEUE,), concurrency=100))
    running = asyncio.create_task(worker.run())
    looks = 0

    async def all_done() -> bool:
        nonlocal looks
        looks += 1
        return (await fleet.status(QUEUE)).completed_total == jobs

    await until(all_done)
    calls = script_calls(server) - looks
    worker.stop()
    await running
    assert calls <= jobs * CALLS_A_JOB, f"{calls} calls for {jobs} jobs"


async def test_a_job_takes_no_more_memory_than_it_may_while_it_waits_and_when_it_is_kept(
    fleet: Fleet, noop: Noop, server: redis.Redis
) -> None:
    jobs = 30_000
    await noop.enqueue_many({"n": n, "text": TEXT} for n in range(BULK))
    server.flushall()
    await fleet.queue(QUEUE).configure(keep_completed=jobs)
    before = int(server.info("memory")["used_memory"])
    await noop.enqueue_many({"n": n, "text": TEXT} for n in range(jobs))
    after = int(server.info("memory")["used_memory"])
    assert (after - before) / jobs <= BYTES_A_JOB

    worker = fleet.worker(WorkerSettings(queues=(QUEUE,), concurrency=100))
    running = asyncio.create_task(worker.run())

    async def all_done() -> bool:
        return (await fleet.status(QUEUE)).completed_total == jobs

    await until(all_done)
    worker.stop()
    await running
    after = int(server.info("memory")["used_memory"])
    assert (await fleet.status(QUEUE)).completed == jobs
    assert (after - before) / jobs <= BYTES_A_JOB


@pytest.mark.usefixtures("noop")
async def test_an_idle_worker_sends_less_than_a_command_a_second_for_each_queue(fleet: Fleet, redis_port: int) -> None:
    worker = fleet.worker(WorkerSettings(queues=(QUEUE,)))
    running = asyncio.create_task(worker.run())
    await worker.started.wait()
    sent = await asyncio.to_thread(sent_commands, redis_port, IDLE_SECONDS)
    worker.stop()
    await running
    assert sent, "a worker that sends nothing at all does not renew its lease"
    assert len(sent) / IDLE_SECONDS < IDLE_COMMANDS_A_SECOND, sent


def sent_commands(port: int, seconds: float) -> list[str]:
    """What clients send meanwhile, by MONITOR; what scripts call inside Redis does not count."""
    deadline = time.monotonic() + seconds
    with socket.create_connection(("127.0.0.1", port)) as monitor:
        monitor.sendall(b"MONITOR\r\n")
        received = b""
        while (left := deadline - time.monotonic()) > 0:
            monitor.settimeout(left)
            try:
                received += monitor.recv(65_536)
            except TimeoutError:
                break
        lines = received.decode(errors="replace").splitlines()
    return [line for line in lines if "[" in line and " lua]" not in line]
