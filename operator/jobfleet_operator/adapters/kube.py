"""The only modules that speak Kubernetes (beside kopf, which watches) are this one and those that it is made of.

Reads and writes for the loop. Every call has a time-out and goes through one rate limit. Writes are server-side apply
with the operator's own field manager where the object is its own, and small patches where it is not. Errors: `wire`.
"""

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from urllib.parse import quote
from uuid import uuid4

from jobfleet_operator import names
from jobfleet_operator.actions import Note
from jobfleet_operator.adapters.pace import Urgency
from jobfleet_operator.adapters.wire import (
    CALL_SECONDS,
    Conflict,
    Forbidden,
    Invalid,
    KubeError,
    NotFound,
    Refused,
    Unavailable,
    Wire,
)
from jobfleet_operator.world import Identity, Key, Manifest

__all__ = [
    "CALL_SECONDS",
    "Conflict",
    "Forbidden",
    "Invalid",
    "Kube",
    "KubeError",
    "NotFound",
    "Refused",
    "Unavailable",
]

PAGE = 200
"""Objects that one page of a list holds."""
CONFLICT_ATTEMPTS = 3
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
EVENT_MESSAGE_LIMIT = 1024


def namespaced(group_version: str, namespace: str, plural: str, name: str = "", sub: str = "") -> str:
    """The path of a collection, an object, or its subresource.

    >>> namespaced("v1", "shop", "pods", "a")
    '/api/v1/namespaces/shop/pods/a'
    >>> namespaced("apps/v1", "shop", "deployments", "a", "scale")
    '/apis/apps/v1/namespaces/shop/deployments/a/scale'
    >>> namespaced("apps/v1", "", "deployments")
    '/apis/apps/v1/deployments'

    A name that came from somebody stays one name, whatever it is:

    >>> namespaced("v1", "shop", "secrets", "../../bank/secrets/keys?")
    '/api/v1/namespaces/shop/secrets/..%2F..%2Fbank%2Fsecrets%2Fkeys%3F'
    """
    root = "/api" if "/" not in group_version else "/apis"
    place = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
    parts = (f"{root}/{group_version}{place}/{plural}", quote(name, safe=""), sub)
    return "/".join(part for part in parts if part)


class Kube(Wire):
    """What the operator asks of an API server. Open it before use; closing it twice does no harm."""

    # --- reads

    async def pages(
        self, group_version: str, namespace: str, plural: str, selector: str
    ) -> AsyncIterator[tuple[list[Manifest], str]]:
        """All objects of a kind, page by page, each with the version at which the list was read."""
        path = namespaced(group_version, namespace, plural)
        query: dict[str, str] = {"limit": str(PAGE)} | ({"labelSelector": selector} if selector else {})
        while True:
            page = await self.call("GET", path, query=query)
            if "items" not in page or "metadata" not in page:
                msg = f"Kubernetes answers GET {path} with something that is no list"
                raise Unavailable(msg)
            yield page.get("items") or [], page["metadata"].get("resourceVersion", "")
            following = page["metadata"].get("continue")
            if not following:
                return
            query = query | {"continue": following}

    async def list(self, group_version: str, namespace: str, plural: str, selector: str) -> tuple[list[Manifest], str]:
        """The same in one piece, for kinds of which there are few."""
        found: list[Manifest] = []
        read_at = ""
        async for items, version in self.pages(group_version, namespace, plural, selector):
            found += items
            read_at = version
        return found, read_at

    async def get(self, group_version: str, key: Key, plural: str) -> Manifest:
        """One object. Raises NotFound."""
        return await self.call("GET", namespaced(group_version, key.namespace, plural, key.name))

    # --- writes

    async def apply(self, manifest: Manifest, plural: str, urgency: Urgency = Urgency.UPKEEP) -> Manifest:
        """Server-side apply of an object that the operator owns; returns what came of it.

        With a resourceVersion only if it is still that one. Raises Conflict.
        """
        meta = manifest["metadata"]
        path = namespaced(manifest["apiVersion"], meta["namespace"], plural, meta["name"])
        return await self._apply(path, manifest, urgency)

    async def apply_status(self, kind: str, plural: str, subject: Identity, status: Manifest) -> Manifest:
        """Write the status of one of our resources. Raises Conflict when it was replaced by a new one."""
        namespace, name = subject.key
        manifest = {
            "apiVersion": names.API_VERSION,
            "kind": kind,
            "metadata": {"name": name, "namespace": namespace, "uid": subject.uid},
            "status": status,
        }
        path = namespaced(names.API_VERSION, namespace, plural, name, "status")
        return await self._apply(path, manifest, Urgency.TELLING)

    async def _apply(self, path: str, manifest: Manifest, urgency: Urgency) -> Manifest:
        query = {"fieldManager": names.FIELD_MANAGER, "force": "true"}
        for _ in range(0 if "resourceVersion" in manifest["metadata"] else CONFLICT_ATTEMPTS - 1):
            with suppress(Conflict):
                return await self.call("PATCH", path, query=query, body=manifest, content_type=APPLY, urgency=urgency)
        return await self.call("PATCH", path, query=query, body=manifest, content_type=APPLY, urgency=urgency)

    async def lower_replicas(self, seen: Identity, replicas: int) -> Manifest:
        """Lower the replicas of a Deployment; returns all of it. Raises Conflict when it is not as it was seen."""
        body: Manifest = {"spec": {"replicas": replicas}, "metadata": {"resourceVersion": seen.resource_version}}
        return await self._merge(
            namespaced("apps/v1", seen.key.namespace, "deployments", seen.key.name), body, Urgency.SCALING
        )

    async def raise_replicas(self, deployment: Key, before: int, replicas: int) -> Manifest:
        """Raise the replicas of a Deployment; returns all of it. Raises Invalid when there are not so many `before`.

        That its status moves while it grows does no harm.
        """
        test = {"op": "test", "path": "/spec/replicas", "value": before}
        patch = [test, {"op": "replace", "path": "/spec/replicas", "value": replicas}]
        path = namespaced("apps/v1", deployment.namespace, "deployments", deployment.name)
        query = {"fieldManager": names.FIELD_MANAGER}
        return await self.call("PATCH", path, query=query, body=patch, content_type=JSON_PATCH, urgency=Urgency.SCALING)

    async def set_deletion_cost(self, pod: Key, cost: int | None) -> Manifest:
        """Write the deletion cost of a Pod, or take it away."""
        value = None if cost is None else str(cost)
        body = {"metadata": {"annotations": {names.DELETION_COST_ANNOTATION: value}}}
        return await self._merge(namespaced("v1", pod.namespace, "pods", pod.name), body, Urgency.UPKEEP)

    async def _merge(self, path: str, body: Manifest, urgency: Urgency) -> Manifest:
        query = {"fieldManager": names.FIELD_MANAGER}
        return await self.call("PATCH", path, query=query, body=body, content_type=MERGE, urgency=urgency)

    async def add_owner(self, pod: Key, owner: Manifest) -> None:
        """Give a Pod one more owner, with the last of which it goes. Raises NotFound."""
        path = namespaced("v1", pod.namespace, "pods", pod.name)
        query, body = {"fieldManager": names.FIELD_MANAGER}, {"metadata": {"ownerReferences": [owner]}}
        await self.call("PATCH", path, query=query, body=body, content_type=STRATEGIC, urgency=Urgency.SCALING)

    async def adopt(self, pod: Identity, owner: Manifest) -> Manifest:
        """Give a Pod that has no owner one. Raises Conflict when it has changed since it was seen."""
        body = {"metadata": {"resourceVersion": pod.resource_version, "ownerReferences": [owner]}}
        return await self._merge(namespaced("v1", pod.key.namespace, "pods", pod.key.name), body, Urgency.UPKEEP)

    async def delete(self, group_version: str, subject: Identity, plural: str, *, orphan: bool = False) -> None:
        """Delete this very object; with `orphan` what it owns stays, without an owner. Raises NotFound and Conflict."""
        body: Manifest = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": subject.uid}}
        if orphan:
            body["propagationPolicy"] = "Orphan"
        path = namespaced(group_version, subject.key.namespace, plural, subject.key.name)
        await self.call("DELETE", path, query={"fieldManager": names.FIELD_MANAGER}, body=body, urgency=Urgency.SCALING)

    async def create(self, manifest: Manifest, plural: str, urgency: Urgency = Urgency.UPKEEP) -> Manifest:
        """Create an object. Raises Conflict when it is there already."""
        path = namespaced(manifest["apiVersion"], manifest["metadata"]["namespace"], plural)
        query = {"fieldManager": names.FIELD_MANAGER}
        return await self.call("POST", path, query=query, body=manifest, urgency=urgency)

    async def update(self, manifest: Manifest, plural: str) -> Manifest:
        """Replace an object that is still as it was read. Raises Conflict when it is not."""
        meta = manifest["metadata"]
        path = namespaced(manifest["apiVersion"], meta["namespace"], plural, meta["name"])
        return await self.call("PUT", path, query={"fieldManager": names.FIELD_MANAGER}, body=manifest)

    async def tell(self, note: Note, reporter: str) -> None:
        """Post an Event."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        key, uid = note.subject.key, note.subject.uid
        await self.create(
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": f"{key.name}.{uuid4().hex[:16]}", "namespace": key.namespace},
                "involvedObject": {
                    "apiVersion": names.API_VERSION,
                    "kind": note.kind,
                    "name": key.name,
                    "namespace": key.namespace,
                    "uid": uid,
                },
                "type": note.type,
                "reason": note.reason,
                "message": note.message[:EVENT_MESSAGE_LIMIT],
                "firstTimestamp": now,
                "lastTimestamp": now,
                "count": 1,
                "source": {"component": names.FIELD_MANAGER},
                "reportingComponent": names.FIELD_MANAGER,
                "reportingInstance": reporter,
            },
            "events",
            Urgency.TELLING,
        )
