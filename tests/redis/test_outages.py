"""Redis goes away and comes back, and work goes on without a restart: on a Redis of the test's own."""

from __future__ import annotations

import asyncio
import functools
import os
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis._parsers.base import BaseParser

from cluster_tool import ports
from fixtures import verbs
from fixtures.redis_server import ask
from fixtures.requirement import lacking
from fixtures.verbs import REALM, Queue, done, new
from fixtures.workers import until as until_within
from jobfleet import Fleet, Seal, State, Unavailable, WorkerSettings, current_job
from jobfleet.clients.asynchronous import AsyncClient
from jobfleet.clients.patience import Patience, passes
from jobfleet.report import Report, log_lines, pack_progress
from jobfleet.worker.reports import Reports

QUEUE = "photos"


class OwnRedis:
    """A redis-server that keeps every write, and that can be killed, started again and stopped for a while."""

    def __init__(self, program: str, folder: Path) -> None:
        (self.port,) = ports.free_ports(1)
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._command = [program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
        self._command += ["--appendonly", "yes", "--appendfsync", "always"]
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while ask(self.port, "PING") != "+PONG":
            assert time.monotonic() < deadline, "redis-server does not answer"
            time.sleep(0.02)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[OwnRedis]:
    program = shutil.which("redis-server")
    if program is None:
        lacking("redis-server is missing; install it with: apt-get install redis-server")
    server = OwnRedis(program, tmp_path)
    yield server
    server.signal(signal.SIGCONT)
    server.kill()


@pytest.fixture
async def fleet(own_redis: OwnRedis) -> AsyncIterator[Fleet]:
    async with Fleet(own_redis.url) as fleet:
        yield fleet


until = functools.partial(until_within, seconds=30)


async def test_work_goes_on_after_redis_was_killed_and_started_again(fleet: Fleet, own_redis: OwnRedis) -> None:
    runs: list[int] = []

    @fleet.job(queue=QUEUE)
    async def note(n: int) -> None:
        runs.append(n)
        await asyncio.sleep(0.005)

    worker = fleet.worker(WorkerSettings(queues=(QUEUE,), concurrency=5, lease_ms=2_000))
    serving = asyncio.create_task(worker.run())
    accepted: set[str] = set()

    async def produce() -> None:
        for n in range(200):
            accepted.add(await note.enqueue(n=n))

    async def half() -> bool:
        return len(runs) >= 60

    async def all_done() -> bool:
        return (await fleet.status(QUEUE)).completed_total >= 200

    producing = asyncio.create_task(produce())
    await until(half)
    await asyncio.to_thread(own_redis.kill)
    await asyncio.to_thread(own_redis.start)
    await producing
    await until(all_done)
    worker.stop()
    await serving
    assert len(accepted) == 200
    assert set(runs) == set(range(200))
    status = await fleet.status(QUEUE)
    assert (status.waiting, status.active, status.delayed, status.failed, status.completed) == (0, 0, 0, 0, 200)


async def test_an_outage_longer_than_the_lease_takes_no_job_from_a_live_worker(
    fleet: Fleet, own_redis: OwnRedis
) -> None:
    begun = [asyncio.Event(), asyncio.Event()]
    go_on = asyncio.Event()

    @fleet.job(queue=QUEUE)
    async def hold(n: int) -> None:
        begun[n].set()
        await go_on.wait()

    ids = await hold.enqueue_many([{"n": 0}, {"n": 1}])
    workers = [fleet.worker(WorkerSettings(queues=(QUEUE,), concurrency=1, lease_ms=2_000)) for _ in range(2)]
    serving = [asyncio.create_task(worker.run()) for worker in workers]
    await asyncio.gather(*(event.wait() for event in begun))
    own_redis.signal(signal.SIGSTOP)
    stopped_at = time.monotonic()

    async def lease_is_over() -> bool:
        return time.monotonic() - stopped_at > 3.0

    await until(lease_is_over)
    own_redis.signal(signal.SIGCONT)

    async def renewed() -> bool:
        return sum(worker.alive for worker in (await fleet.status(QUEUE)).workers) == 2

    await until(renewed)
    go_on.set()
    for job_id in ids:

        async def done(job_id: str = job_id) -> bool:
            view = await fleet.job_state(QUEUE, job_id)
            return view is not None and view.state is State.COMPLETED and (view.attempt, view.lost) == (1, 0)

        await until(done)
    for worker in workers:
        worker.stop()
    await asyncio.gather(*serving)


async def test_a_handler_goes_on_telling_while_redis_is_away_and_all_of_it_arrives_once(
    fleet: Fleet, own_redis: OwnRedis
) -> None:
    told = 0
    back = asyncio.Event()

    @fleet.job(queue=QUEUE)
    async def tell() -> None:
        nonlocal told
        job = current_job()
        while not back.is_set() or told < 300:
            job.log(told)
            job.progress({"told": told})
            told += 1
            await asyncio.sleep(0.005)

    job_id = await tell.enqueue()
    worker = fleet.worker(WorkerSettings(queues=(QUEUE,), concurrency=1, lease_ms=2_000))
    serving = asyncio.create_task(worker.run())

    async def some_arrived() -> bool:
        return bool((await fleet.queue(QUEUE).log(job_id)).total)

    await until(some_arrived)
    await asyncio.to_thread(own_redis.kill)
    before = told

    async def more_told() -> bool:
        return told > before + 100

    await until(more_told)
    await asyncio.to_thread(own_redis.start)
    own_redis.signal(signal.SIGSTOP)  # now it takes notes whose answers come late
    before = told
    await until(more_told)
    own_redis.signal(signal.SIGCONT)
    back.set()
    view = await fleet.queue(QUEUE).wait(job_id, 30)
    assert view is not None
    assert (view.state, view.attempt, view.progress) == (State.COMPLETED, 1, {"told": told - 1})
    page = await fleet.queue(QUEUE).log(job_id, limit=told)
    assert [line.text for line in page.lines] == [str(n) for n in range(told)]
    worker.stop()
    await serving


async def test_what_was_told_while_redis_was_away_is_sent_again_by_itself(own_redis: OwnRedis) -> None:
    client = AsyncClient(own_redis.url, Patience(total=0.05))
    queue = Queue(client)
    await queue.enqueue(new("a"))
    await queue.claim(1)
    lost: list[str] = []
    reports = Reports(client, (REALM, verbs.QUEUE), "w1", Seal(), lambda job_id, attempt: lost.append(job_id))
    sending = asyncio.create_task(reports.run())
    report = Report("a", 1)
    await asyncio.to_thread(own_redis.kill)
    reports.take(report, pack_progress(50), log_lines(1, 1, "told once"))
    assert not await reports.kept(report)
    with pytest.raises(Unavailable):
        await reports.before([done("a")])
    await asyncio.to_thread(own_redis.start)

    async def taken() -> bool:
        return report.empty

    await until(taken)
    view = await queue.look("a")
    assert view is not None
    assert (view.progress, lost) == (50, [])
    sending.cancel()
    await client.close()


async def test_an_idle_worker_ends_within_seconds_while_redis_is_silent(fleet: Fleet, own_redis: OwnRedis) -> None:
    worker = fleet.worker(WorkerSettings(queues=(QUEUE,), drain_seconds=3600))
    serving = asyncio.create_task(worker.run())
    await worker.started.wait()
    own_redis.signal(signal.SIGSTOP)
    worker.stop()
    # Its drain time is an hour, and a call is tried for ten seconds.
    await asyncio.wait_for(serving, 10)


async def test_who_meets_a_redis_without_memory_waits_for_it(own_redis: OwnRedis) -> None:
    async with Fleet(own_redis.url, realm=REALM) as fleet:
        redis = fleet.client()._redis
        await redis.config_set("maxmemory", 1)
        sent = asyncio.create_task(fleet.enqueue(QUEUE, "develop", {}))

        async def refused() -> bool:
            return "errorstat_OOM" in await redis.info("errorstats")

        await until_within(refused)
        assert not sent.done()
        await redis.config_set("maxmemory", 0)
        assert (await fleet.job_state(QUEUE, await sent)) is not None


async def test_a_job_is_waited_for_in_a_redis_without_memory(fleet: Fleet, own_redis: OwnRedis) -> None:
    job_id = await fleet.enqueue(QUEUE, "develop", {})
    redis = fleet.client()._redis
    await redis.config_set("maxmemory", 1)
    with pytest.raises(TimeoutError):
        await fleet.result(QUEUE, job_id, timeout=0)
    await redis.config_set("maxmemory", 0)


async def test_a_redis_without_memory_is_emptied_by_workers_that_come_then(fleet: Fleet, own_redis: OwnRedis) -> None:
    ran: list[int] = []

    @fleet.job(queue=QUEUE)
    async def develop(n: int) -> None:
        ran.append(n)

    await develop.enqueue_many({"n": n} for n in range(20))
    redis = fleet.client()._redis
    await redis.config_set("maxmemory", 1)
    worker = fleet.worker(WorkerSettings(queues=(QUEUE,), concurrency=3))
    serving = asyncio.create_task(worker.run())

    async def emptied() -> bool:
        status = await fleet.status(QUEUE)
        return status.completed_total == 20 and [one.alive for one in status.workers] == [True]

    await until(emptied)
    queue = fleet.queue(QUEUE)
    await queue.pause()
    await queue.resume()
    assert await queue.obliterate(QUEUE, force=True) == 20
    assert sorted(ran) == list(range(20))
    await redis.config_set("maxmemory", 0)
    worker.stop()
    await serving


async def test_what_a_job_tells_keeps_no_outcome_back_where_redis_has_no_memory(
    fleet: Fleet, own_redis: OwnRedis
) -> None:
    begun, full = asyncio.Event(), asyncio.Event()

    @fleet.job(queue=QUEUE)
    async def tell() -> str:
        begun.set()
        await full.wait()
        current_job().log("done")
        return "told"

    redis = fleet.client()._redis
    worker = fleet.worker(WorkerSettings(queues=(QUEUE,)))
    serving = asyncio.create_task(worker.run())
    job_id = await tell.enqueue()
    await begun.wait()
    worker._lanes[0]._client._patience = Patience(total=0.05)
    await redis.config_set("maxmemory", 1)
    full.set()

    async def completed() -> bool:
        view = await fleet.job_state(QUEUE, job_id)
        return view is not None and (view.state, view.result) == (State.COMPLETED, "told")

    await until(completed)
    await redis.config_set("maxmemory", 0)
    worker.stop()
    await serving


@pytest.mark.parametrize(
    ("message", "will_pass"),
    [
        ("OOM command not allowed when used memory > 'maxmemory'.", True),
        ("LOADING Redis is loading the dataset in memory", True),
        ("READONLY You can't write against a read only replica.", True),
        ("ERR Error running script: READONLY You can't write against a read only replica.", True),
        ("CLUSTERDOWN The cluster is down", True),
        ("MASTERDOWN Link with MASTER is down", True),
        ("TRYAGAIN Multiple keys request during rehashing of slot", True),
        ("BUSY Redis is busy running a script.", True),
        ("ERR max number of clients reached", True),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", False),
        ("NOPERM this user has no permissions to run the 'evalsha' command", False),
        ("WRONGPASS invalid username-password pair or user is disabled.", False),
    ],
)
def test_errors_of_redis_are_told_apart_as_redis_py_reads_them(message: str, will_pass: bool) -> None:
    assert passes(BaseParser.parse_error(message)) is will_pass
