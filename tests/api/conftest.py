"""A namespace of its own for each api test, with the CRDs of this checkout and operators on demand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from api.gate import Gate, gate
from api.stage import Node, Process, Shop, look, start_operator
from fixtures.api_server import Kubectl
from jobfleet.inspection import Inspector

ROOT = Path(__file__).parents[2]
_numbers = count(1)


@pytest.fixture(scope="session")
def crds(api_kubectl: Kubectl) -> None:
    """The CRDs of this checkout, established."""
    api_kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "crds"))
    for plural in ("jobqueues", "workerpools"):
        api_kubectl("wait", "--for=condition=Established", f"crd/{plural}.jobfleet.dev", "--timeout=30s")


@pytest.fixture
def shop(crds: None, api_kubectl: Kubectl) -> Iterator[Shop]:
    """A fresh namespace."""
    namespace = f"shop-{next(_numbers)}"
    api_kubectl("create", "namespace", namespace)
    yield Shop(namespace, api_kubectl)
    api_kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.fixture
async def inspector(redis_url: str) -> AsyncIterator[Inspector]:
    """The operator's own window into the test's Redis."""
    inspector = Inspector(redis_url)
    yield inspector
    await inspector.close()


Operators = Callable[..., Process]
"""`operators("one", JOBFLEET_…="…")` starts an operator; all are ended after the test."""


@pytest.fixture
def operators(shop: Shop, api_server: Path, redis_url: str, tmp_path: Path) -> Iterator[Operators]:
    """Starts operators that serve the shop only."""
    started: list[Process] = []
    own = {"JOBFLEET_NAMESPACES": shop.namespace, "JOBFLEET_OPERATOR_NAMESPACE": shop.namespace}

    def begin(name: str = "one", url: str = redis_url, **more: str) -> Process:
        started.append(start_operator(name, api_server, url, tmp_path, **(own | more)))
        return started[-1]

    yield begin
    for process in started:
        process.end()


@pytest.fixture
async def way(api_server: Path, tmp_path: Path) -> AsyncIterator[Gate]:
    """A gate to the API server; operators that are to go through it are given its kubeconfig."""
    async with gate(api_server, tmp_path) as opened:
        yield opened


@pytest.fixture
async def node(shop: Shop, inspector: Inspector, tmp_path: Path) -> AsyncIterator[Node]:
    """A node that runs the shop's Pods and notes which were ended while they held a job."""
    node = Node(shop, tmp_path, f"node-{shop.namespace}")
    node.join()

    async def busy(pod: str) -> bool:
        workers = (await look(inspector, shop)).workers
        return any(worker.busy for worker in workers if worker.name == pod)

    playing = asyncio.create_task(node.run(busy))
    yield node
    node.leaving = True
    try:
        await playing
    finally:
        node.leave()
