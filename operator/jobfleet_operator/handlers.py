"""The only module that knows kopf: it watches four kinds and feeds the cache, nothing else.

Only `on.event` is used: no finalizer, no annotation, no write of kopf's own. What is done about an
event is decided by the loop, which looks at the cache and not at the event.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import kopf

from jobfleet_operator import names
from jobfleet_operator.adapters.kube import CALL_SECONDS, in_cluster
from jobfleet_operator.cache import Cache, Kind

WATCH_SECONDS = 300
"""A watch is set up anew after this long, so that one that went deaf cannot last."""
INACTIVITY_SECONDS = 70.0
"""The API server sends a bookmark each minute; a watch that is silent for longer is dead."""


def registry(cache: Cache) -> kopf.OperatorRegistry:
    """Handlers that feed this cache."""
    handlers = kopf.OperatorRegistry()

    def feed(kind: Kind) -> Any:
        async def on_event(event: kopf.RawEvent, **_: object) -> None:
            cache.feed(kind, dict(event["object"]), deleted=event["type"] == "DELETED")

        return on_event

    kopf.on.event(names.GROUP, names.VERSION, names.JOB_QUEUES, id="queues", registry=handlers)(feed(Kind.QUEUES))
    kopf.on.event(names.GROUP, names.VERSION, names.WORKER_POOLS, id="pools", registry=handlers)(feed(Kind.POOLS))
    kopf.on.event("apps", "v1", "deployments", id="deployments", registry=handlers)(feed(Kind.DEPLOYMENTS))
    kopf.on.event("", "v1", "pods", id="pods", registry=handlers)(feed(Kind.PODS))

    @kopf.on.login(registry=handlers)
    async def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**kwargs) if in_cluster() else kopf.login_with_kubeconfig(**kwargs)

    return handlers


def settings() -> kopf.OperatorSettings:
    """Kopf's settings: every wait is bounded, and nothing is written to the cluster."""
    chosen = kopf.OperatorSettings()
    chosen.posting.enabled = False
    chosen.peering.standalone = True
    # Without looking for new CRDs and namespaces there is no need of rights to see them.
    chosen.scanning.disabled = True
    chosen.networking.request_timeout = CALL_SECONDS * 3
    chosen.networking.connect_timeout = CALL_SECONDS
    chosen.watching.connect_timeout = CALL_SECONDS
    chosen.watching.server_timeout = WATCH_SECONDS
    chosen.watching.client_timeout = WATCH_SECONDS + 30
    chosen.watching.inactivity_timeout = INACTIVITY_SECONDS
    chosen.watching.chunk_size = 500
    chosen.watching.label_selectors["apps", "v1", "deployments"] = names.MANAGED_SELECTOR
    chosen.watching.label_selectors["", "v1", "pods"] = names.MANAGED_SELECTOR
    return chosen


async def watch(cache: Cache, namespaces: Sequence[str], stop: asyncio.Event, identity: str) -> None:
    """Watch until told to stop. Ends earlier with an error when a watch cannot be kept up.

    `identity` names this replica; without one kopf asks for the user's name, and a Pod's uid may have none.
    """
    await kopf.operator(
        identity=cast("Any", identity),
        registry=registry(cache),
        settings=settings(),
        standalone=True,
        clusterwide=not namespaces,
        namespaces=list(namespaces),
        stop_flag=stop,
    )
