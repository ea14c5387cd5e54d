"""The manifests that the operator applies: pure functions from a pool or queue to a manifest.

What the user wrote in the Pod template stays, and what a worker needs is added: its queues, its
connection, its name, probes, time to drain, labels, and a restricted security context where the
user gave none. The same input gives the same manifest, so that applying it again changes nothing.
"""

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from jobfleet.inspection import (
    HEALTH_PORT,
    HEALTH_PORT_VARIABLE,
    WORKER_NAME_VARIABLE,
    connection_environment,
    worker_environment,
)
from jobfleet_operator import names
from jobfleet_operator.models import WorkerPoolSpec
from jobfleet_operator.world import Identity, Manifest, PoolResource, QueueResource, controller_of

GRACE_BEYOND_DRAIN_SECONDS = 15
"""What a worker gets beyond its drain time to hand the rest back and to end."""

POD_SECURITY: Manifest = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
CONTAINER_SECURITY: Manifest = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
"""Together what the Pod Security level `restricted` asks for."""


def pool_labels(pool: str) -> dict[str, str]:
    """Labels of what belongs to a pool."""
    return {
        names.POOL_LABEL: pool,
        names.MANAGED_BY_LABEL: names.MANAGED_BY,
        names.NAME_LABEL: pool,
        names.COMPONENT_LABEL: names.WORKER_COMPONENT,
    }


def selector_labels(pool: str) -> dict[str, str]:
    """Labels that a pool's Deployment finds its Pods by; they can never change."""
    return {names.POOL_LABEL: pool, names.MANAGED_BY_LABEL: names.MANAGED_BY}


def selector(pool: str) -> str:
    """The same as one string, for `status.selector`.

    >>> selector("photos")
    'app.kubernetes.io/managed-by=jobfleet,jobfleet.dev/pool=photos'
    """
    return ",".join(f"{key}={value}" for key, value in sorted(selector_labels(pool).items()))


def owner_reference(kind: str, identity: Identity, *, controller: bool = True) -> Manifest:
    """Makes an object go with its owner, or with the last of several; it never holds the owner up."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": kind,
        "name": identity.key.name,
        "uid": identity.uid,
        "controller": controller,
        "blockOwnerDeletion": False,
    }


def connection_secret(queue: QueueResource, redis_url: str) -> Manifest:
    """The Secret that tells producers and workers of a queue where its jobs are."""
    key = queue.key
    content = connection_environment(redis_url=redis_url, realm=key.namespace)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": names.connection_secret(key.name),
            "namespace": key.namespace,
            "labels": {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.QUEUE_LABEL: key.name},
            "ownerReferences": [owner_reference(names.JOB_QUEUE, queue.identity)],
        },
        "type": "Opaque",
        # Not stringData: what server-side apply owns there is not what it finds again in data.
        "data": {name: b64encode(value.encode()).decode() for name, value in content.items()},
    }


def is_connection_of(secret: Manifest, queue: str) -> bool:
    """Whether the operator made this Secret for the queue: one that a backup gave back has lost its owner only."""
    owner, labels = controller_of(secret), secret["metadata"].get("labels") or {}
    if owner:
        return bool(owner.get("kind") == names.JOB_QUEUE and owner.get("name") == queue)
    return {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.QUEUE_LABEL: queue}.items() <= labels.items()


def connection(redis_url: str, realm: str) -> str:
    """A short name for a connection, which does not tell it: Pods that started with another one are renewed."""
    return fingerprint(connection_environment(redis_url=redis_url, realm=realm))


def _owned(pool: PoolResource) -> Manifest:
    """Metadata of what goes with its pool, and is called like it."""
    return {
        "name": pool.key.name,
        "namespace": pool.key.namespace,
        "labels": pool_labels(pool.key.name),
        "ownerReferences": [owner_reference(names.WORKER_POOL, pool.identity)],
    }


def deployment(
    pool: PoolResource, spec: WorkerPoolSpec, replicas: int, connected: str, *, paused: bool = False
) -> Manifest:
    """The Deployment of a pool, marked with its own fingerprint; `connected` is its `connection`.

    While it is `paused`, Kubernetes makes and ends no Pods for a changed template.
    """
    manifest: Manifest = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _owned(pool),
        "spec": {
            "selector": {"matchLabels": selector_labels(pool.key.name)},
            "revisionHistoryLimit": 2,
            # New workers come before old ones go: a roll-out never has fewer workers than wanted.
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}},
            "template": pod_template(pool, spec, connected),
        },
    }
    manifest["metadata"]["annotations"] = {names.APPLIED_ANNOTATION: fingerprint(manifest)}
    manifest["spec"] |= {"replicas": replicas, "paused": paused}
    return manifest


def disruption_budget(pool: PoolResource, percent: int, least: int | None = None) -> Manifest:
    """The PodDisruptionBudget of a pool: Kubernetes rounds up, so that one of few workers may always go.

    With `least` it is so many workers that stay, whatever share that is.
    """
    share: Manifest = {"maxUnavailable": f"{percent}%"} if least is None else {"minAvailable": least}
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _owned(pool),
        "spec": {
            "selector": {"matchLabels": selector_labels(pool.key.name)},
            **share,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }


def mark(pool: PoolResource, spec: WorkerPoolSpec, connected: str) -> str:
    """The fingerprint that the Deployment of a pool should carry, whatever its replicas."""
    found: str = deployment(pool, spec, 0, connected)["metadata"]["annotations"][names.APPLIED_ANNOTATION]
    return found


def fingerprint(manifest: Mapping[str, Any]) -> str:
    """A short name for the content of a manifest; equal content, equal name."""
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def pod_template(pool: PoolResource, spec: WorkerPoolSpec, connected: str) -> Manifest:
    """The user's Pod template with what a worker needs."""
    template = deepcopy(pool.template)
    meta = template.setdefault("metadata", {}) or {}
    template["metadata"] = meta
    meta["labels"] = (meta.get("labels") or {}) | pool_labels(pool.key.name)
    meta["annotations"] = (meta.get("annotations") or {}) | {names.CONNECTION_ANNOTATION: connected}
    pod = template["spec"]
    grace = spec.drain_seconds + GRACE_BEYOND_DRAIN_SECONDS
    pod["terminationGracePeriodSeconds"] = max(pod.get("terminationGracePeriodSeconds") or 0, grace)
    pod.setdefault("automountServiceAccountToken", False)
    pod.setdefault("enableServiceLinks", False)
    _secure(pod)
    _equip(worker_container(pod), pool.key.name, spec)
    return template


def _secure(pod: Manifest) -> None:
    """Ask for what is `restricted` where the user says nothing, and nothing that what the user says rules out.

    >>> pod = {"containers": [{"securityContext": {"runAsUser": 0}}, {"securityContext": {"privileged": True}}]}
    >>> _secure(pod)
    >>> [one["securityContext"].get("runAsNonRoot") for one in pod["containers"]]
    [False, None]
    >>> ["allowPrivilegeEscalation" in one["securityContext"] for one in pod["containers"]]
    [True, False]
    """
    asked = pod.get("securityContext") or {}
    pod["securityContext"] = POD_SECURITY | _as_root(asked) | asked
    for container in [*(pod.get("initContainers") or []), *pod["containers"]]:
        own = container.get("securityContext") or {}
        found = CONTAINER_SECURITY | ({} if "runAsNonRoot" in asked else _as_root(own)) | own
        if own.get("privileged") and "allowPrivilegeEscalation" not in own:
            del found["allowPrivilegeEscalation"]
        container["securityContext"] = found


def _as_root(security: Manifest) -> Manifest:
    """What lets a user run who was named as root: no kubelet starts that where it must not be root."""
    return {"runAsNonRoot": False} if security.get("runAsUser") == 0 else {}


def worker_container(pod: Manifest) -> Manifest:
    """The container that runs the worker: the one named `worker`, else the first."""
    containers: list[Manifest] = pod["containers"]
    return next((one for one in containers if one.get("name") == names.WORKER_CONTAINER), containers[0])


def _equip(container: Manifest, pool: str, spec: WorkerPoolSpec) -> None:
    port = _health_port(container)
    given = worker_environment(
        queues=spec.queues,
        concurrency=spec.concurrency,
        drain_seconds=spec.drain_seconds,
        pool=pool,
        health_port=port,
    )
    injected: list[Manifest] = [{"name": key, "value": value} for key, value in given.items()]
    own_name = {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}
    injected.append({"name": WORKER_NAME_VARIABLE, "valueFrom": own_name})
    taken = {variable["name"] for variable in injected}
    kept = [variable for variable in container.get("env") or [] if variable.get("name") not in taken]
    container["env"] = [*kept, *injected]
    source = {"secretRef": {"name": names.connection_secret(spec.queues[0])}}
    container["envFrom"] = [*(one for one in container.get("envFrom") or [] if one != source), source]
    # What it said last is then in the Pod's status, and so in the pool's conditions.
    container.setdefault("terminationMessagePolicy", "FallbackToLogsOnError")
    # A start that imports for a minute is no failure; afterwards thirty silent seconds are.
    container.setdefault("startupProbe", _probe("/livez", port, period_seconds=1, failures=120))
    container.setdefault("livenessProbe", _probe("/livez", port, period_seconds=10, failures=3))
    container.setdefault("readinessProbe", _probe("/readyz", port, period_seconds=5, failures=3))


def _health_port(container: Manifest) -> int:
    """Where the worker answers probes: the user may choose, for a sidecar or the node's network may have ours.

    >>> _health_port({"env": [{"name": "JOBFLEET_HEALTH_PORT", "value": "9090"}]}), _health_port({})
    (9090, 8081)
    """
    said = next((one.get("value") for one in container.get("env") or [] if one.get("name") == HEALTH_PORT_VARIABLE), "")
    return int(said) if said and re.fullmatch("[1-9][0-9]{0,4}", said) and int(said) < 65_536 else HEALTH_PORT


def _probe(path: str, port: int, *, period_seconds: int, failures: int) -> Manifest:
    return {
        "httpGet": {"path": path, "port": port},
        "periodSeconds": period_seconds,
        "failureThreshold": failures,
        "timeoutSeconds": 5,
    }
