"""What the operator takes for an outage: a Redis that answers, and that nobody can work on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from cluster_tool import ports, processes
from fixtures.redis_server import ask
from jobfleet.inspection import QueueAddress
from jobfleet.keys import queue_keys
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
        assert "read only replica" in redises.why(url, PLACE)
        assert ask(port, "REPLICAOF NO ONE") == "+OK"
        await becomes(redises, url, known=True)
    await redises.close()


async def test_a_server_that_is_full_still_tells(port: int) -> None:
    redises, url = Redises(lambda _: None), f"redis://127.0.0.1:{port}/0"
    assert ask(port, "CONFIG SET maxmemory 1") == "+OK"
    assert await redises.read(url, {PLACE: 0}), "its workers are needed now"
    await redises.close()


BAD, GOOD = QueueAddress("shop", "bad"), QueueAddress("shop", "good")
KEYS = queue_keys(BAD.realm, BAD.queue)


async def test_a_queue_that_cannot_be_read_has_its_own_trouble_and_the_others_go_on(port: int) -> None:
    minutes = count(0.0, 60.0)
    redises, url = Redises(lambda _: None, clock=lambda: next(minutes)), f"redis://127.0.0.1:{port}/0"
    assert ask(port, f"SET {KEYS.delayed} x") == "+OK"
    for _ in range(3):
        assert set(await redises.read(url, {BAD: 0, GOOD: 0, PLACE: 0})) == {GOOD, PLACE}
    assert set(redises.unreadable(url)) == {BAD}
    assert redises.unreadable(url)[BAD] == redises.why(url, BAD)
    assert "WRONGTYPE" in redises.why(url, BAD)
    assert redises.outage(url) == redises.why(url, GOOD) == ""
    assert ask(port, f"DEL {KEYS.delayed}") == ":1"
    assert set(await redises.read(url, {BAD: 0})) == {BAD}
    assert redises.unreadable(url) == {}
    assert redises.why(url, BAD) == ""
    await redises.close()


async def test_what_a_worker_did_not_write_is_the_trouble_of_one_queue(port: int) -> None:
    redises, url = Redises(lambda _: None), f"redis://127.0.0.1:{port}/0"
    assert ask(port, f"ZADD {KEYS.workers} 1 w") == ":1"
    assert ask(port, f"HSET {KEYS.info} w nonsense") == ":1"
    assert set(await redises.read(url, {BAD: 0, GOOD: 0})) == {GOOD}
    assert "holds what cannot be read" in redises.why(url, BAD)
    await redises.close()
