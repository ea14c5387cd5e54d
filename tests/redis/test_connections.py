"""Connections are kept for the next call, and a broken one never gives a call another's answer."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

import redis
from jobfleet import Fleet, Unavailable
from jobfleet.clients import asynchronous, blocking
from jobfleet.clients.asynchronous import AsyncClient
from jobfleet.clients.blocking import SyncClient
from jobfleet.clients.patience import Patience
from jobfleet.scripts.looking import inspect

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
