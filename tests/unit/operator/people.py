"""Short makers of the records that the tests of the operator play with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from jobfleet.inspection import DRAIN_MS, QueueAddress, QueueSettings, QueueSnapshot, WorkerView
from jobfleet_operator import world
from jobfleet_operator.drain import Member
from jobfleet_operator.pods import PodView, read_pod
from jobfleet_operator.world import DeploymentView, PoolResource, QueueResource

PHOTOS = QueueAddress("shop", "photos")
CONNECTION = "c0ffee"


def meta(name: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "namespace": "shop",
        "uid": f"uid-{name}",
        "resourceVersion": "10",
        "generation": 1,
        "creationTimestamp": "2026-01-01T00:00:00Z",
    } | more


def pod_body(
    name: str, *, node: str = "n", ready: bool = True, cost: int | None = None, **status: Any
) -> dict[str, Any]:
    labels = {"jobfleet.dev/pool": "photos", "pod-template-hash": "r1"}
    annotations = {} if cost is None else {"controller.kubernetes.io/pod-deletion-cost": str(cost)}
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    owner = {"kind": "ReplicaSet", "name": "photos-r1", "uid": "uid-r1", "controller": True}
    return {
        "metadata": meta(name, labels=labels, annotations=annotations, ownerReferences=[owner]),
        "spec": {"containers": [{"name": "worker"}]} | ({"nodeName": node} if node else {}),
        "status": {"phase": "Running" if ready else "Pending", "conditions": conditions} | status,
    }


def pod(name: str, **more: Any) -> PodView:
    return read_pod(pod_body(name, **more))


def older(name: str, *queues: str, **more: Any) -> PodView:
    """A Pod that a roll-out took away from its ReplicaSet, made for these queues."""
    return replace(pod(name, **more), owner="WorkerPool", revision="r0", queues=queues)


def worker(
    name: str, *, busy: int = 0, draining: bool = False, lease_ms: int = 9000, started_ms: int = 0
) -> WorkerView:
    return WorkerView(f"{name}.1", name, "photos", 4, busy, lease_ms, DRAIN_MS if draining else 0, started_ms)


def member(
    name: str, *, busy: int = 0, draining: bool = False, working: bool = True, told: bool = True, **more: Any
) -> Member:
    """A Pod with its worker; without one (`working`) it was told to take no job when it comes up, or not (`told`)."""
    seen = ((PHOTOS, worker(name, busy=busy, draining=draining)),) if working else ()
    return Member(pod(name, **more), seen, () if working else (PHOTOS,), told=told and not working)


def snapshot(*workers: WorkerView, **numbers: Any) -> QueueSnapshot:
    counts = dict.fromkeys(
        ("waiting", "active", "delayed", "delayed_due", "completed", "failed", "cancelled", "forwarding",
         "enqueued_total",
         "completed_total", "failed_total", "retried_total", "reclaimed_total", "cancelled_total", "busy_ms_total",
         "finished_total"),
        0,
    )  # fmt: skip
    fields: dict[str, Any] = counts | {
        "now_ms": 1_800_000_000_000, "oldest_waiting_ms": None, "next_due_ms": None, "settings": QueueSettings(),
    }  # fmt: skip
    fields |= {"oldest_free_ms": numbers.get("oldest_waiting_ms")}
    return QueueSnapshot(address=PHOTOS, workers=workers, **(fields | numbers))


def queue(**spec: Any) -> QueueResource:
    return world.read_queue({"metadata": meta("photos"), "spec": spec})


def pool(**spec: Any) -> PoolResource:
    template = {"spec": {"containers": [{"name": "main", "image": "a"}]}}
    return world.read_pool({"metadata": meta("photos"), "spec": {"queues": ["photos"], "template": template} | spec})


def deployment(replicas: int, **more: Any) -> DeploymentView:
    """A Deployment as the operator left it, with all its Pods up to date."""
    from jobfleet_operator import resources

    subject = pool()
    assert subject.spec is not None
    body = resources.deployment(subject, subject.spec, replicas, CONNECTION)
    body["metadata"] |= {"uid": "uid-d", "resourceVersion": "7", "generation": 3}
    body["status"] = {
        "replicas": replicas,
        "updatedReplicas": replicas,
        "readyReplicas": replicas,
        "observedGeneration": 3,
    }
    return world.read_deployment(body | more)
