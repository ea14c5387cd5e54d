"""What the operator takes for an outage: a Redis that answers, and that nobody can work on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster_tool import ports, processes
from fixtures.redis_server import ask
from jobfleet.inspection import QueueAddress
from jobfleet_operator.adapters.redis import Redises

PLACE = QueueAddress("shop", "photos")
OPTIONS = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """The port of a Redis of the test's own."""
    (number,) = ports.free_ports(1)
    command = ["redis-server", "--port", str(number), "--dir", str(tmp_path), *OPTIONS]
    server = processes.start(command, log=tmp_path / "redis.log")
    assert processes.wait_until(lambda: ask(number, "PING") == "+PONG", 10)
    yield number
    processes.end(server)


async def becomes(redises: Redises, url: str, *, known: bool) -> None:
    """Look, as the loop does, until the queue is known, or is not."""
    deadline = time.monotonic() + 20
    while bool(await redises.read(url, {PLACE: 0})) is not known:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def test_a_server_that_became_a_replica_is_an_outage_until_it_takes_writes_again(port: int) -> None:
    redises, url = Redises(lambda _: None), f"redis://127.0.0.1:{port}/0"
    await becomes(redises, url, known=True)
    (nobody,) = ports.free_ports(1)
    for stale in ("yes", "no"):  # its data may be looked at, or may not since its master is away
        assert ask(port, f"CONFIG SET replica-serve-stale-data {stale}") == "+OK"
        assert ask(port, f"REPLICAOF 127.0.0.1 {nobody}") == "+OK"
        await becomes(redises, url, known=False)
        assert "read only replica" in redises._failing[url][1]
        assert ask(port, "REPLICAOF NO ONE") == "+OK"
        await becomes(redises, url, known=True)
    await redises.close()


async def test_a_server_that_is_full_still_tells(port: int) -> None:
    redises, url = Redises(lambda _: None), f"redis://127.0.0.1:{port}/0"
    assert ask(port, "CONFIG SET maxmemory 1") == "+OK"
    assert await redises.read(url, {PLACE: 0}), "its workers are needed now"
    await redises.close()
