"""The queues and pools that the operator is to look after."""

from __future__ import annotations

from bench.operator.api import Api, Manifest
from bench.operator.audit import OPERATOR

NAMESPACES = 10
NODE = "fake"
GROUP = "/apis/jobfleet.dev/v1alpha1"
CONTROL = "control"
"""The Deployment that the benchmark patches by itself, to tell the API server's own time."""


def place(number: int) -> tuple[str, str]:
    """Namespace and name of a queue, which are its pool's as well.

    >>> place(1234)
    ('team-4', 'queue-1234')
    """
    return f"team-{number % NAMESPACES}", f"queue-{number:04}"


def _meta(namespace: str, name: str) -> Manifest:
    return {"namespace": namespace, "name": name}


def pod_template() -> Manifest:
    """Pods that are on the fake node without a scheduler."""
    container = {"name": "worker", "image": "localhost/none:1", "command": ["jobfleet", "worker", "shop.jobs:fleet"]}
    return {"spec": {"nodeName": NODE, "containers": [container]}}


def queue(number: int) -> Manifest:
    """A JobQueue with all its defaults."""
    return {
        "apiVersion": "jobfleet.dev/v1alpha1",
        "kind": "JobQueue",
        "metadata": _meta(*place(number)),
        "spec": {},
    }


def pool(number: int) -> Manifest:
    """A WorkerPool that goes back to zero soon, so that it can be called up again."""
    down = {"stabilizationSeconds": 5, "percentPerStep": 100, "periodSeconds": 1}
    return {
        "apiVersion": "jobfleet.dev/v1alpha1",
        "kind": "WorkerPool",
        "metadata": _meta(*place(number)),
        "spec": {
            "queues": [place(number)[1]],
            "maxReplicas": 5,
            "template": pod_template(),
            "scaling": {"scaleDown": down},
        },
    }


def control() -> Manifest:
    """A Deployment like those of the pools, of nobody's."""
    labels = {"app": CONTROL}
    template = pod_template() | {"metadata": {"labels": labels}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _meta(place(0)[0], CONTROL),
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template},
    }


def node() -> Manifest:
    """The node that kwok plays."""
    room = {"cpu": "100k", "memory": "100Ti", "pods": "100k"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": NODE, "annotations": {"kwok.x-k8s.io/node": "fake"}},
        "status": {"capacity": room, "allocatable": room},
    }


def rights() -> Manifest:
    """The operator may do everything, and waits in the API server's queues like everybody."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": OPERATOR},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": OPERATOR}],
    }


async def create(api: Api, queues: int) -> None:
    """Create all of it, while no operator runs."""
    await api.create([("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", rights())])
    await api.create(
        ("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": place(n)[0]}})
        for n in range(NAMESPACES)
    )
    await api.create([(f"/apis/apps/v1/namespaces/{place(0)[0]}/deployments", control()), ("/api/v1/nodes", node())])
    for plural, manifest in (("jobqueues", queue), ("workerpools", pool)):
        await api.create((f"{GROUP}/namespaces/{place(n)[0]}/{plural}", manifest(n)) for n in range(queues))
