"""The only module that speaks Kubernetes (beside kopf, which watches): reads and writes for the loop.

Every call has a time-out and goes through one rate limit. Writes are server-side apply with the
operator's own field manager where the object is its own, and small merge patches where it is not.
Foreign errors are translated:

    KubeError               the API server did not do it
    ├── Unavailable         no answer, overloaded, or failing: later it may
    ├── Conflict            the object is not as it was seen: look again
    ├── NotFound            there is no such object
    └── Refused             it never will: not allowed or not valid
"""

import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
from kubernetes.aio import client, config

from jobfleet_operator import names
from jobfleet_operator.actions import Note
from jobfleet_operator.adapters.pace import Pace, Urgency
from jobfleet_operator.world import Identity, Key, Manifest

CALL_SECONDS = 5.0
"""Time-out of one call: a write begun in the last moment of a term ends before the next term can begin."""
PAGE = 200
"""Objects that one page of a list holds."""
CONFLICT_ATTEMPTS = 3
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
EVENT_MESSAGE_LIMIT = 1024


class KubeError(Exception):
    """The API server did not do what was asked; the message is its sentence."""


class Unavailable(KubeError):
    """No answer, or the server is overloaded or failing."""


class Conflict(KubeError):
    """The object is not as it was seen."""


class NotFound(KubeError):
    """There is no such object."""


class Refused(KubeError):
    """Not allowed or not valid: asking again does not help."""


_KINDS: dict[int, type[KubeError]] = {
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.CONFLICT: Conflict,
    HTTPStatus.UNAUTHORIZED: Unavailable,  # the token is being renewed
    HTTPStatus.TOO_MANY_REQUESTS: Unavailable,
    HTTPStatus.REQUEST_TIMEOUT: Unavailable,
    HTTPStatus.GONE: Unavailable,  # the rest of a list that took too long: it is read anew
}


def namespaced(group_version: str, namespace: str, plural: str, name: str = "", sub: str = "") -> str:
    """The path of a collection, an object, or its subresource.

    >>> namespaced("v1", "shop", "pods", "a")
    '/api/v1/namespaces/shop/pods/a'
    >>> namespaced("apps/v1", "shop", "deployments", "a", "scale")
    '/apis/apps/v1/namespaces/shop/deployments/a/scale'
    >>> namespaced("apps/v1", "", "deployments")
    '/apis/apps/v1/deployments'
    """
    root = "/api" if "/" not in group_version else "/apis"
    place = f"/namespaces/{namespace}" if namespace else ""
    return "/".join(part for part in (f"{root}/{group_version}{place}/{plural}", name, sub) if part)


def in_cluster() -> bool:
    """Whether this process runs in a Pod that has a service account."""
    return TOKEN.exists() and "KUBERNETES_SERVICE_HOST" in os.environ


class Kube:
    """A connection to one API server. Open it before use; closing it twice does no harm."""

    def __init__(self, allowed: Callable[[], bool] = lambda: True, pace: Pace | None = None) -> None:
        """Before each write, when its turn has come, `allowed` is asked whether this replica acts."""
        self._allowed, self._pace = allowed, pace or Pace()
        self._client: client.ApiClient | None = None

    async def open(self) -> None:
        """Find the API server: in a Pod by its service account, else by the kubeconfig."""
        settings = client.Configuration()
        if in_cluster():
            config.load_incluster_config(client_configuration=settings)  # type: ignore[no-untyped-call]
        else:
            await config.load_kube_config(client_configuration=settings)  # type: ignore[no-untyped-call]
        self._client = client.ApiClient(configuration=settings)

    async def close(self) -> None:
        """Give the connections back."""
        if self._client is not None:
            await self._client.close()  # type: ignore[no-untyped-call]
            self._client = None

    # --- reads

    async def pages(
        self, group_version: str, namespace: str, plural: str, selector: str
    ) -> AsyncIterator[tuple[list[Manifest], str]]:
        """All objects of a kind, page by page, each with the version at which the list was read."""
        path = namespaced(group_version, namespace, plural)
        query: dict[str, str] = {"limit": str(PAGE)} | ({"labelSelector": selector} if selector else {})
        while True:
            page = await self.call("GET", path, query=query)
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
        """Server-side apply of an object that the operator owns; returns what came of it."""
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
        for _ in range(CONFLICT_ATTEMPTS - 1):
            with suppress(Conflict):
                return await self.call("PATCH", path, query=query, body=manifest, content_type=APPLY, urgency=urgency)
        return await self.call("PATCH", path, query=query, body=manifest, content_type=APPLY, urgency=urgency)

    async def set_replicas(self, key: Key, replicas: int, only_version: str | None) -> Manifest:
        """Change the replicas of a Deployment; with a version only if it is still that one (else Conflict).

        Returns the whole Deployment, which the scale subresource would not.
        """
        body: Manifest = {"spec": {"replicas": replicas}}
        if only_version:
            body["metadata"] = {"resourceVersion": only_version}
        return await self._merge(namespaced("apps/v1", key.namespace, "deployments", key.name), body, Urgency.SCALING)

    async def set_deletion_cost(self, pod: Key, cost: int | None) -> Manifest:
        """Write the deletion cost of a Pod, or take it away."""
        value = None if cost is None else str(cost)
        body = {"metadata": {"annotations": {names.DELETION_COST_ANNOTATION: value}}}
        return await self._merge(namespaced("v1", pod.namespace, "pods", pod.name), body, Urgency.UPKEEP)

    async def _merge(self, path: str, body: Manifest, urgency: Urgency) -> Manifest:
        query = {"fieldManager": names.FIELD_MANAGER}
        return await self.call("PATCH", path, query=query, body=body, content_type=MERGE, urgency=urgency)

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

    # --- the wire

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Manifest | None = None,
        content_type: str = "application/json",
        urgency: Urgency = Urgency.UPKEEP,
    ) -> Manifest:
        """One request within the time-out and the rate limit.

        Raises:
            KubeError: see the tree in the module's docstring.
        """
        if self._client is None:
            msg = "the connection to Kubernetes is not open"
            raise Unavailable(msg)
        async with self._pace.turn(urgency):
            if method != "GET" and not self._allowed():
                msg = f"{method} {path} was not sent: another replica of the operator acts"
                raise Unavailable(msg)
            status, text = await self._exchange(self._client, method, path, query, body, content_type)
        if status < HTTPStatus.BAD_REQUEST:
            answer: Manifest = json.loads(text)
            return answer
        raise _error(status, text)

    async def _exchange(
        self,
        api: client.ApiClient,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Manifest | None,
        content_type: str,
    ) -> tuple[int, bytes]:
        try:
            request = await api.param_serialize(
                method,
                path,
                query_params=list((query or {}).items()),
                header_params={"Accept": "application/json", "Content-Type": content_type},
                body=body,
                auth_settings=["BearerToken"],
            )
            limit = aiohttp.ClientTimeout(total=CALL_SECONDS)
            response = await api.call_api(*request, _request_timeout=limit)
            return response.status, await response.read()  # type: ignore[no-untyped-call]
        except (aiohttp.ClientError, TimeoutError, OSError, client.ApiException) as error:
            msg = f"Kubernetes does not answer {method} {path}: {error or type(error).__name__}"
            raise Unavailable(msg) from error


def _error(status: int, text: bytes) -> KubeError:
    try:
        said: Any = json.loads(text)
        message = str(said.get("message", said))
    except (ValueError, AttributeError):
        message = text.decode(errors="replace")[:500]
    fallback = Unavailable if status >= HTTPStatus.INTERNAL_SERVER_ERROR else Refused
    return _KINDS.get(status, fallback)(message)
