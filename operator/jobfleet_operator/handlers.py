"""The only module that knows kopf: it watches four kinds and feeds the cache, nothing else.

Only `on.event` is used: no finalizer, no annotation, no write of kopf's own. What is done about an
event is decided by the loop, which looks at the cache and not at the event.

kopf runs in a thread and an event loop of its own. It takes every task of its loop for its own when
it ends, and waits for watches for as long as they like; here neither can keep the operator's loop
from working or the process from ending.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any, cast

import kopf

from jobfleet_operator import names
from jobfleet_operator.adapters.kube import CALL_SECONDS, PAGE, in_cluster
from jobfleet_operator.cache import Kind
from jobfleet_operator.world import Manifest

log = logging.getLogger(__name__)

WATCH_SECONDS = 300
"""A watch is set up anew after this long, so that one that went deaf cannot last."""
INACTIVITY_SECONDS = 70.0
"""The API server sends a bookmark each minute; a watch that is silent for longer is dead."""
STOP_SECONDS = 3.0
"""What a watch may take to end before it is left behind."""

Feed = Callable[[Kind, Manifest, bool], None]
"""Called with the kind, the object, and whether it was deleted."""


def registry(feed: Feed) -> kopf.OperatorRegistry:
    """Handlers that pass every event on."""
    handlers = kopf.OperatorRegistry()

    def passing_on(kind: Kind) -> Any:
        async def on_event(event: kopf.RawEvent, **_: object) -> None:
            feed(kind, dict(event["object"]), event["type"] == "DELETED")

        return on_event

    kopf.on.event(names.GROUP, names.VERSION, names.JOB_QUEUES, id="queues", registry=handlers)(passing_on(Kind.QUEUES))
    kopf.on.event(names.GROUP, names.VERSION, names.WORKER_POOLS, id="pools", registry=handlers)(passing_on(Kind.POOLS))
    kopf.on.event("apps", "v1", "deployments", id="deployments", registry=handlers)(passing_on(Kind.DEPLOYMENTS))
    kopf.on.event("", "v1", "pods", id="pods", registry=handlers)(passing_on(Kind.PODS))

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
    chosen.watching.chunk_size = PAGE
    chosen.watching.label_selectors["apps", "v1", "deployments"] = names.MANAGED_SELECTOR
    chosen.watching.label_selectors["", "v1", "pods"] = names.MANAGED_SELECTOR
    return chosen


class Watching:
    """The watches in their thread. Stopping twice does no harm."""

    def __init__(self, feed: Feed, namespaces: Sequence[str], identity: str) -> None:
        """`feed` is called in the loop that `run` is awaited in.

        `identity` names this replica; without one kopf asks for the user's name, and a Pod's uid may have none.
        """
        self._feed, self._namespaces, self._identity = feed, list(namespaces), identity
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    async def run(self) -> None:
        """Watch until stopped. Ends earlier with an error when the watches cannot be kept up."""
        home = asyncio.get_running_loop()
        ended: asyncio.Future[None] = home.create_future()

        def feed(kind: Kind, body: Manifest, deleted: bool) -> None:
            home.call_soon_threadsafe(self._feed, kind, body, deleted)

        def finish(error: BaseException | None) -> None:
            if not ended.done() and not self._stop.is_set():
                ended.set_exception(error or RuntimeError("the watches ended by themselves"))

        def work() -> None:
            failure: BaseException | None = None
            try:
                asyncio.run(self._operator(feed))
            except Exception as error:
                log.exception("the watches failed")
                failure = error
            if not home.is_closed():
                home.call_soon_threadsafe(finish, failure)

        self._thread = threading.Thread(target=work, name="watches", daemon=True)
        self._thread.start()
        await ended

    async def _operator(self, feed: Feed) -> None:
        await kopf.operator(
            identity=cast("Any", self._identity),
            registry=registry(feed),
            settings=settings(),
            standalone=True,
            clusterwide=not self._namespaces,
            namespaces=self._namespaces,
            stop_flag=self._stop,
        )

    def stop(self) -> bool:
        """Ask the watches to end and wait a little; returns whether they did."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)
        return self._thread is None or not self._thread.is_alive()
