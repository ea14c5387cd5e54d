"""A node that is drained hands its jobs on, and no PodDisruptionBudget holds it up for good."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from .arena import WORKERS, Arena
from .polling import eventually


@pytest.fixture
def uncordoned(arena: Arena) -> Iterator[None]:
    """Every node takes Pods again after the test."""
    yield
    for node in nodes(arena):
        arena.kubectl.run("uncordon", node)


def nodes(arena: Arena) -> list[str]:
    """Those that run Pods."""
    selector = "--selector=!node-role.kubernetes.io/control-plane"
    return [node["metadata"]["name"] for node in arena.kubectl.json("get", "nodes", selector)["items"]]


def node_of(arena: Arena) -> dict[str, str]:
    """Worker Pod → its node; "" while it has none."""
    return {pod["metadata"]["name"]: pod["spec"].get("nodeName", "") for pod in arena.pods()}


def drain(arena: Arena, node: str) -> None:
    """Evict the workers from a node; the operator and Redis, which may be there as well, stay."""
    arena.kubectl.run(
        "drain", node, f"--pod-selector={WORKERS}", "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=120s",
        seconds=130,
    )  # fmt: skip


def test_the_jobs_of_a_drained_node_finish_elsewhere_unfailed(arena: Arena, uncordoned: None) -> None:
    arena.set_up(minReplicas=4, maxReplicas=4, drainSeconds=1)
    eventually(lambda: len(node_of(arena)) == 4 and all(node_of(arena).values()), "four workers have nodes")
    jobs = arena.hold_on(4)
    places = node_of(arena)
    drained, count = Counter(places.values()).most_common(1)[0]
    budget = arena.kubectl.json("get", "poddisruptionbudget/held")["spec"]
    assert budget["maxUnavailable"] == "25%"

    drain(arena, drained)

    eventually(lambda: sum(arena.job(job).attempt == 2 for job in jobs) >= count, "their jobs run elsewhere")
    arena.let_go()
    done = arena.until_completed(*jobs)
    assert [(job.failures, job.lost) for job in done] == [(0, 0)] * 4
    assert count >= 1
    assert arena.status.failed_total == 0
    assert drained not in node_of(arena).values()


def test_a_drain_without_room_elsewhere_ends_all_the_same(arena: Arena, uncordoned: None) -> None:
    arena.set_up(minReplicas=3, maxReplicas=3, drainSeconds=1)
    eventually(lambda: len(node_of(arena)) == 3 and all(node_of(arena).values()), "three workers have nodes")
    eventually(lambda: len(arena.status.workers) == 3, "three workers serve")
    for node in nodes(arena):
        arena.kubectl.run("cordon", node)
    for node in nodes(arena):
        drain(arena, node)
    assert not any(node_of(arena).values())
    budget = lambda: arena.kubectl.json("get", "poddisruptionbudget/held")["spec"].get("maxUnavailable")  # noqa: E731
    eventually(lambda: budget() == "100%", "nothing is held up")
