"""Every Kubernetes name, label and annotation of jobfleet, spelled once.

Other modules import from here and never write such a string themselves, so that a rename is one
line and a search for a label finds its meaning.
"""

from typing import Final

GROUP: Final = "jobfleet.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"

JOB_QUEUE: Final = "JobQueue"
JOB_QUEUES: Final = "jobqueues"
WORKER_POOL: Final = "WorkerPool"
WORKER_POOLS: Final = "workerpools"

FIELD_MANAGER: Final = "jobfleet-operator"
"""Owner of what the operator applies (server-side apply) and reporter of its Events."""

LEASE: Final = "jobfleet-operator"
"""The coordination Lease that says which replica of the operator acts."""

POOL_LABEL: Final = f"{GROUP}/pool"
QUEUE_LABEL: Final = f"{GROUP}/queue"
MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"
NAME_LABEL: Final = "app.kubernetes.io/name"
COMPONENT_LABEL: Final = "app.kubernetes.io/component"
MANAGED_BY: Final = "jobfleet"
WORKER_COMPONENT: Final = "worker"
MANAGED_SELECTOR: Final = f"{MANAGED_BY_LABEL}={MANAGED_BY}"
"""Selects the Deployments and Pods that the operator made; it watches no others."""

APPLIED_ANNOTATION: Final = f"{GROUP}/applied"
"""On a Deployment: fingerprint of the manifest that the operator applied last."""

CONNECTION_ANNOTATION: Final = f"{GROUP}/connection"
"""On a worker Pod: fingerprint of the connection that it started with; another one is a roll-out."""

DELETION_COST_ANNOTATION: Final = "controller.kubernetes.io/pod-deletion-cost"
VICTIM_COST: Final = -1000
"""Deletion cost of a drained Pod; Pods without the annotation cost 0 and stay."""

WORKER_CONTAINER: Final = "worker"
"""The container that runs `jobfleet worker`; without one of this name it is the first."""

TEMPLATE_LABEL: Final = "pod-template-hash"
"""Kubernetes' own, on ReplicaSets and their Pods: which template of their Deployment they were made from."""

QUEUE_NAME_LIMIT: Final = 63
POOL_NAME_LIMIT: Final = 52
"""A Pod is named `<pool>-<10 characters>-<5 characters>` and has at most 63 characters... less one."""


def connection_secret(queue: str) -> str:
    """Name of the Secret that tells producers and workers of a queue where its Redis is.

    >>> connection_secret("photos")
    'photos-jobqueue'
    """
    return f"{queue}-jobqueue"
