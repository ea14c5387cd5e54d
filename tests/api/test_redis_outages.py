"""Redis under a running operator: silent, loading, a replica that takes no writes, and a fail-over."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api.conftest import Operators
from api.stage import QUICK, Process, Shop, enqueue, pool_manifest, queue_manifest, ready, start, until
from cluster_tool import ports
from fixtures.redis_server import ask

Server = Callable[..., Process]
"""Starts a Redis at a port, with further options."""


@pytest.fixture
def server(redis_port: int, tmp_path: Path) -> Iterator[Server]:
    """Redis servers of this test's own; `redis_port` is asked for its message on a machine without redis-server."""
    running: list[Process] = []

    def begin(port: int, *options: str) -> Process:
        name = f"redis-{len(running)}"
        command = ["redis-server", "--port", str(port), "--save", "", "--bind", "127.0.0.1", "--dir", str(tmp_path)]
        running.append(start(name, [*command, *options], tmp_path, {}))
        return running[-1]

    yield begin
    for process in running:
        process.end()


def url_of(port: int) -> str:
    return f"redis://127.0.0.1:{port}/0"


def told(port: int, command: str, answer: str = "+OK") -> None:
    said = ask(port, command)
    assert said == answer, f"{command}: {said!r}"


def killed(server: Process) -> None:
    server.popen.kill()
    server.popen.wait()


async def grown(shop: Shop, operators: Operators, port: int) -> None:
    """An operator, and a pool of three workers, by what the Redis at this port holds."""
    operators(url=url_of(port))
    shop.apply(queue_manifest(), pool_manifest(scaling=QUICK))
    await until("the Deployment is there", lambda: shop.replicas() == 0)
    await enqueue(shop, url_of(port), 60)
    await until("it grows", lambda: shop.replicas() == 3)


async def held(shop: Shop, words: str) -> None:
    """The pool is held at its three workers and says so in Redis' own words."""
    await until("the pool says that it is held", lambda: ready(shop) == "False RedisUnreachable", 40)
    said = lambda: shop.condition("workerpool", "photos", "Ready")["message"]  # noqa: E731
    await until(f"it says {words}", lambda: words in said())
    assert shop.get("jobqueue", "photos")["status"]["health"] == "Unreachable"
    assert shop.get("workerpool", "photos")["status"]["reason"] == "held at 3: RedisUnreachable"
    assert shop.replicas() == 3
    await until("an Event tells", lambda: shop.events("RedisUnreachable"))


async def recovered(shop: Shop, port: int) -> None:
    """Without a restart of the operator the pool is scaled again."""
    await until("it is scaled again", lambda: ready(shop) == "True Scaling")
    await until("the recovery is told", lambda: shop.events("Recovered"))
    assert shop.replicas() == 3
    await enqueue(shop, url_of(port), 40)
    await until("it grows on", lambda: shop.replicas() == 5)


async def test_while_redis_is_silent_the_fleet_is_held_and_says_so(
    shop: Shop, operators: Operators, server: Server
) -> None:
    (port,) = ports.free_ports(1)
    redis = server(port)
    await grown(shop, operators, port)
    redis.signal(signal.SIGSTOP)
    await held(shop, "")
    redis.signal(signal.SIGCONT)
    await recovered(shop, port)


@pytest.mark.parametrize("stale", ["yes", "no"])
async def test_while_redis_is_a_replica_the_fleet_is_held_and_says_so(
    shop: Shop, operators: Operators, server: Server, stale: str
) -> None:
    (port,) = ports.free_ports(1)
    server(port)
    await grown(shop, operators, port)
    told(port, f"CONFIG SET replica-serve-stale-data {stale}")
    told(port, "REPLICAOF 127.0.0.1 1")
    await held(shop, "read only replica")
    told(port, "REPLICAOF NO ONE")
    await recovered(shop, port)


async def test_while_redis_reads_its_data_again_the_fleet_is_held_and_says_so(
    shop: Shop, operators: Operators, server: Server
) -> None:
    (port,) = ports.free_ports(1)
    redis = server(port, "--enable-debug-command", "yes")
    await grown(shop, operators, port)
    told(port, "DEBUG POPULATE 4000 filler 100")
    told(port, "SAVE")
    killed(redis)
    slow = ("--key-load-delay", "20000", "--loading-process-events-interval-bytes", "1024")  # 80 s unless told
    server(port, *slow)
    await held(shop, "loading the dataset")
    told(port, "CONFIG SET key-load-delay 0")
    await recovered(shop, port)


async def test_when_a_replica_takes_the_address_over_the_fleet_goes_on_with_what_it_has(
    shop: Shop, operators: Operators, server: Server
) -> None:
    port, spare = ports.free_ports(2)
    primary = server(port)
    await grown(shop, operators, port)
    server(spare, "--replicaof", "127.0.0.1", str(port))
    await until("the replica has everything", lambda: ask(port, "WAIT 1 1000") == ":1")
    killed(primary)
    await held(shop, "")
    told(spare, "REPLICAOF 127.0.0.1 1")  # else it would be a replica of itself
    told(spare, f"CONFIG SET port {port}")
    await held(shop, "read only replica")
    told(port, "REPLICAOF NO ONE")
    await recovered(shop, port)
