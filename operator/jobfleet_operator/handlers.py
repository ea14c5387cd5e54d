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
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, cast

import kopf

from jobfleet_operator import names
from jobfleet_operator.adapters.kube import PAGE
from jobfleet_operator.adapters.login import FORBIDDEN, Login
from jobfleet_operator.adapters.reach import Reach
from jobfleet_operator.adapters.wire import CALL_SECONDS
from jobfleet_operator.cache import Kind
from jobfleet_operator.world import Manifest

log = logging.getLogger(__name__)

WATCH_SECONDS = 300
"""A watch is set up anew after this long, so that one that went deaf cannot last."""
FIRST_WAIT_SECONDS = 1.0
"""Between a failure and the next try."""
LONGEST_WAIT_SECONDS = 15.0
"""The same after many failures in a row."""
CALM_SECONDS = 60.0
"""Watches that stood for so long count as no failure in a row."""
STOP_SECONDS = 3.0
"""What a watch may take to end before it is left behind."""

IDLE_SECONDS = 0.1
"""So long after its last event kopf keeps a task and a queue for each object: with a list, for thousands at once."""

WATCHES = "the watches"
"""All of them, in sentences."""

Feed = Callable[[Kind, Manifest, bool], None]
"""Called with the kind, the object, and whether it was deleted."""


class Backoffs:
    """How long kopf waits before it asks again what failed: for ever, a little longer each time."""

    def __iter__(self) -> Iterator[float]:
        """Seconds, up to `LONGEST_WAIT_SECONDS`; a server that asks for more gets it."""
        wait = FIRST_WAIT_SECONDS
        while True:
            yield wait
            wait = min(2 * wait, LONGEST_WAIT_SECONDS)


def registry(feed: Feed, login: Login) -> kopf.OperatorRegistry:
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
    async def log_in(**_: object) -> kopf.AiohttpSession:
        server, session = await login.session()
        return kopf.AiohttpSession(server=server, aiohttp_session=session)

    return handlers


def settings(silence_seconds: float) -> kopf.OperatorSettings:
    """Kopf's settings: every wait is bounded, and nothing is written to the cluster."""
    chosen = kopf.OperatorSettings()
    chosen.posting.enabled = False
    chosen.peering.standalone = True
    # Without looking for new CRDs and namespaces there is no need of rights to see them.
    chosen.scanning.disabled = True
    chosen.networking.request_timeout = CALL_SECONDS * 3
    chosen.networking.connect_timeout = CALL_SECONDS
    chosen.networking.error_backoffs = Backoffs()
    chosen.watching.connect_timeout = CALL_SECONDS
    chosen.watching.server_timeout = WATCH_SECONDS
    chosen.watching.client_timeout = WATCH_SECONDS + 30
    chosen.watching.inactivity_timeout = silence_seconds
    chosen.watching.chunk_size = PAGE
    chosen.queueing.idle_timeout = IDLE_SECONDS
    chosen.watching.label_selectors["apps", "v1", "deployments"] = names.MANAGED_SELECTOR
    chosen.watching.label_selectors["", "v1", "pods"] = names.MANAGED_SELECTOR
    return chosen


def watched(path: str) -> str:
    """What a watch is called in sentences.

    >>> watched("/api/v1/namespaces/shop/pods"), watched("/apis/apps/v1/deployments")
    ('watches of pods in shop', 'watches of deployments')
    """
    parts = path.split("/")
    place = f" in {parts[-2]}" if parts[-3:-2] == ["namespaces"] else ""
    return f"watches of {parts[-1]}{place}"


class Watching:
    """The watches in their thread. Stopping twice does no harm."""

    def __init__(
        self,
        feed: Feed,
        listed: Callable[[], None],
        reach: Reach,
        namespaces: Sequence[str],
        identity: str,
        silence_seconds: float,
    ) -> None:
        """What is given is called in the loop that `run` is awaited in.

        `listed` is called when a watch began with a list: what was deleted before is not told to `feed`.
        `identity` names this replica; without one kopf asks for the user's name, and a Pod's uid may have none.
        """
        self._feed, self._listed, self._reach = feed, listed, reach
        self._namespaces, self._identity, self._silence_seconds = list(namespaces), identity, silence_seconds
        self._stopped = False
        self._halt = threading.Event()
        """Ends the present watches, and the thread of kopf's that waits for it."""
        self._thread: threading.Thread | None = None

    async def run(self) -> None:
        """Watch until stopped. What kopf cannot cope with ends it, and it is begun anew."""
        wait = FIRST_WAIT_SECONDS
        while True:
            began = time.monotonic()
            error = await self._watch()
            if time.monotonic() - began > CALM_SECONDS:
                wait = FIRST_WAIT_SECONDS
            log.warning("the watches ended and are begun anew in %.0f s: %s", wait, error)
            self._reach.note(WATCHES, f"they ended: {error}")
            await asyncio.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT_SECONDS)

    async def _watch(self) -> BaseException:
        """Watch until that fails; returns why."""
        home, halt = asyncio.get_running_loop(), threading.Event()
        self._halt = halt
        ended: asyncio.Future[BaseException] = home.create_future()

        def at_home(call: Callable[..., object], *words: object) -> None:
            with suppress(RuntimeError):  # that loop has ended
                home.call_soon_threadsafe(call, *words)

        def finish(error: BaseException) -> None:
            if not ended.done() and not self._stopped:
                ended.set_result(error)

        async def operate() -> None:
            handlers = registry(
                lambda kind, body, deleted: at_home(self._feed, kind, body, deleted),
                Login(lambda path, is_watch, sentence: at_home(self._met, path, is_watch, sentence)),
            )
            try:
                at_home(finish, await self._operator(handlers, halt))
            finally:
                halt.set()

        def work() -> None:
            try:
                asyncio.run(operate())
            except Exception as error:
                log.debug("the watches failed", exc_info=True)
                at_home(finish, error)

        self._thread = threading.Thread(target=work, name="watches", daemon=True)
        self._thread.start()
        return await ended

    def _met(self, path: str, is_watch: bool, sentence: str) -> None:
        if sentence == FORBIDDEN and len(self._namespaces) > 1:
            # One of several namespaces may be gone: lists tell, and whether there are others. The server answers.
            self._reach.note(watched(path))
            return
        self._reach.note(watched(path), sentence)
        if sentence:
            return
        if is_watch:
            self._reach.note(WATCHES)
        else:
            self._listed()

    async def _operator(self, handlers: kopf.OperatorRegistry, halt: threading.Event) -> BaseException:
        """Watch until any part of kopf ends; returns why. Kopf itself would wait for the others, which go on."""
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: log.debug("in the watches: %s", context, exc_info=context.get("exception"))
        )
        parts = await kopf.spawn_tasks(
            identity=cast("Any", self._identity),
            registry=handlers,
            settings=settings(self._silence_seconds),
            standalone=True,
            clusterwide=not self._namespaces,
            namespaces=self._namespaces,
            stop_flag=halt,
        )
        ended, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        errors = [one.exception() for one in ended if not one.cancelled()]
        return next(filter(None, errors), RuntimeError("kopf ended by itself"))

    def stop(self) -> bool:
        """Ask the watches to end and wait a little; returns whether they did."""
        self._stopped = True
        self._halt.set()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)
        return self._thread is None or not self._thread.is_alive()
