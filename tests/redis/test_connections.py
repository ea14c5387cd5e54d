"""Connections are kept for the next call, and a broken one never gives a call another's answer."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import redis
from cluster_tool import ports
from fixtures.workers import until_true
from jobfleet import Fleet, State, Unavailable
from jobfleet.clients import asynchronous, blocking
from jobfleet.clients.asynchronous import AsyncClient
from jobfleet.clients.blocking import SyncClient
from jobfleet.clients.patience import Patience
from jobfleet.scripts.looking import inspect
from jobfleet.seal import PLAIN

ONE_TRY = Patience(total=0.0)


@pytest.fixture
def server(redis_port: int) -> Iterator[redis.Redis]:
    with redis.Redis(host="127.0.0.1", port=redis_port) as client:
        yield client


def break_others(server: redis.Redis) -> None:
    server.client_kill_filter(_type="normal", skipme=True)


async def test_calls_one_after_the_other_share_a_connection(fleet: Fleet, server: redis.Redis) -> None:
    await fleet.enqueue("photos", "job", {})
    fleet.enqueue_sync("photos", "job", {})
    before = server.info("stats")["total_connections_received"]
    for _ in range(10):
        await fleet.enqueue("photos", "job", {})
        fleet.enqueue_sync("photos", "job", {})
    assert server.info("stats")["total_connections_received"] == before


async def test_a_connection_that_breaks_is_replaced(fleet: Fleet, server: redis.Redis) -> None:
    for number in range(1, 4):
        await fleet.enqueue("photos", "job", {})
        fleet.enqueue_sync("photos", "job", {})
        assert (await fleet.status("photos")).waiting == 2 * number
        break_others(server)


def test_one_that_has_rested_is_looked_at_before_it_is_used(
    redis_url: str, server: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocking, "FRESH_SECONDS", 0.0)
    client = SyncClient(redis_url, ONE_TRY)
    for _ in range(2):
        client.run(inspect("test", "photos"))
        break_others(server)
    client.close()


async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


async def test_a_server_that_takes_a_connection_and_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asynchronous, "ANSWER_SECONDS", 0.2)
    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as silent:
        host, port = silent.sockets[0].getsockname()
        client = AsyncClient(f"redis://{host}:{port}/0", ONE_TRY)
        with pytest.raises(Unavailable, match=r"no answer within 0\.2 s"):
            await client.run(inspect("test", "photos"))
        await client.close()


async def test_looking_for_keys_is_given_up_like_any_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asynchronous, "ANSWER_SECONDS", 0.2)
    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as silent, asyncio.timeout(20):
        host, port = silent.sockets[0].getsockname()
        client = AsyncClient(f"redis://{host}:{port}/0", ONE_TRY)
        with pytest.raises(Unavailable):
            await client.keys("*")
        await client.close()


async def test_connections_have_no_cap(redis_url: str) -> None:
    blocking_client, client = SyncClient(redis_url), AsyncClient(redis_url)
    pool: Any = client._redis.connection_pool
    for connection in [blocking_client._redis.connection_pool.get_connection() for _ in range(130)]:
        blocking_client._redis.connection_pool.release(connection)
    for connection in [await pool.get_connection() for _ in range(130)]:
        await pool.release(connection)
    blocking_client.close()
    await client.close()


def test_a_cap_in_the_url_holds(redis_url: str) -> None:
    client = SyncClient(f"{redis_url}?max_connections=2")
    for _ in range(2):
        client._redis.connection_pool.get_connection()
    with pytest.raises(redis.exceptions.ConnectionError):
        client._redis.connection_pool.get_connection()
    client.close()


def subscribers(server: redis.Redis) -> set[str]:
    return {client["id"] for client in server.client_list(_type="pubsub")}


async def test_who_waits_without_a_loop_subscribes_anew_when_its_connection_breaks(
    fleet: Fleet, server: redis.Redis
) -> None:
    job_id = await fleet.enqueue("photos", "job", {})
    queue = fleet.queue_sync("photos")
    waiting = asyncio.create_task(asyncio.to_thread(queue.wait, job_id, 30))
    for _ in range(3):
        await until_true(lambda: bool(subscribers(server)))
        (subscriber,) = subscribers(server)
        server.client_kill_filter(_id=subscriber)
        await until_true(lambda old=subscriber: bool(subscribers(server) - {old}))  # type: ignore[misc]
    await fleet.queue("photos").cancel(job_id)
    view = await waiting
    assert view is not None
    assert view.state is State.CANCELLED


async def test_events_go_on_and_none_is_lost_when_the_connection_breaks(fleet: Fleet, server: redis.Redis) -> None:
    seen: list[str] = []

    async def watch() -> None:
        async for event in fleet.queue("photos").events("0"):
            seen.extend(event.job_ids)

    def readers() -> set[str]:
        return {client["id"] for client in server.client_list() if client["cmd"] == "xread"}

    watching = asyncio.create_task(watch())
    sent: list[str] = []
    for _ in range(3):
        await until_true(lambda: bool(readers()))
        for reader in readers():
            server.client_kill_filter(_id=reader)
        sent.append(await fleet.enqueue("photos", "job", {}))
        await until_true(lambda: watching.done() or seen == sent)
    assert seen == sent
    watching.cancel()


async def test_who_watches_or_waits_does_so_no_longer_than_the_fleet_is_open(
    redis_url: str, server: redis.Redis
) -> None:
    fleet = Fleet(redis_url, realm="test")
    job_id = await fleet.enqueue("photos", "job", {}, delay=3600)

    async def watch() -> None:
        async for _ in fleet.queue("photos").events():
            pass

    ends = [asyncio.create_task(watch()), asyncio.create_task(fleet.queue("photos").wait(job_id))]
    await until_true(lambda: subscribers(server) and "xread" in {client["cmd"] for client in server.client_list()})
    await fleet.close()
    async with asyncio.timeout(10):
        found = await asyncio.gather(*ends, return_exceptions=True)
    assert {type(one) for one in found} == {Unavailable}


async def test_a_wait_ends_when_redis_stays_away() -> None:
    (port,) = ports.free_ports(1)
    url = f"redis://127.0.0.1:{port}/0"
    patience = Patience(total=0.05)
    events = AsyncClient(url, patience)
    with pytest.raises(Unavailable):
        await events.read_stream("events", "0")
    await events.close()
    with pytest.raises(Unavailable):
        SyncClient(url, patience).wait_for_end(("test", "photos"), "a", None, PLAIN)


async def test_a_wait_that_hears_something_as_it_is_cancelled_ends(fleet: Fleet) -> None:
    job_id = await fleet.enqueue("photos", "job", {})
    waiting = asyncio.create_task(fleet.result("photos", job_id, 60))
    subscribed = fleet.ends("photos")
    await until_true(lambda: bool(subscribed._waiting))
    (event,) = subscribed._waiting[job_id]
    await until_true(lambda: bool(event._waiters))
    event.set()
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting], timeout=5)
    assert waiting.cancelled()


def connections(server: redis.Redis) -> int:
    return int(server.info("clients")["connected_clients"])


async def enqueue_and_wait(fleet: Fleet) -> None:
    """Leaves a wait under way."""
    job_id = await fleet.enqueue("photos", "job", {})
    waiting = asyncio.create_task(fleet.result("photos", job_id))
    await until_true(lambda: fleet.ends("photos")._waiting)
    assert not waiting.done()


def test_a_fleet_without_end_keeps_nothing_of_a_loop_that_has_ended(redis_url: str, server: redis.Redis) -> None:
    fleet = Fleet(redis_url, realm="test")
    before = connections(server)
    for _ in range(3):
        asyncio.run(enqueue_and_wait(fleet))
    assert (fleet._clients, fleet._ends, fleet._coalescers, fleet._stays) == ({}, {}, {}, {})
    asyncio.run(until_true(lambda: connections(server) == before))


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_loop_that_was_only_closed_is_forgotten_with_the_next(redis_url: str, server: redis.Redis) -> None:
    fleet = Fleet(redis_url, realm="test")
    before = connections(server)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(fleet.enqueue("photos", "job", {}))
    loop.close()
    assert connections(server) == before + 1
    del loop
    asyncio.run(fleet.enqueue("photos", "job", {}))
    gc.collect()
    assert fleet._coalescers == {}
    asyncio.run(until_true(lambda: connections(server) == before))


FORKING = """
import os, sys
from jobfleet import Fleet

fleet = Fleet(sys.argv[1], realm="test")
fleet.enqueue_sync("photos", "job", {})
children = []
for _ in range(3):
    pid = os.fork()
    if pid == 0:
        for _ in range(50):
            fleet.enqueue_sync("photos", "job", {})
        os._exit(0)
    children.append(pid)
for _ in range(50):
    fleet.enqueue_sync("photos", "job", {})
sys.exit(any(os.waitpid(pid, 0)[1] for pid in children))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
async def test_a_forked_process_uses_connections_of_its_own(fleet: Fleet, redis_url: str) -> None:
    forking = [sys.executable, "-W", "error", "-c", FORKING, redis_url]
    await asyncio.to_thread(subprocess.run, forking, check=True, timeout=30)
    assert (await fleet.status("photos")).waiting == 201
