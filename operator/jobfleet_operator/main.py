"""The operator as a process: puts the parts together, runs them, and ends cleanly on SIGTERM."""

import argparse
import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any

from jobfleet.inspection import QueueAddress, end_tasks
from jobfleet_operator import handlers, names, records
from jobfleet_operator.adapters.kube import Forbidden, Kube, KubeError, Unavailable
from jobfleet_operator.adapters.reach import Reach
from jobfleet_operator.adapters.redis import Redises
from jobfleet_operator.addresses import RedisUrls
from jobfleet_operator.apply import Applier
from jobfleet_operator.cache import Cache, Kind
from jobfleet_operator.health import HealthServer
from jobfleet_operator.leader import Alone, Leadership
from jobfleet_operator.loop import Loop
from jobfleet_operator.settings import Settings, SettingsError, variable
from jobfleet_operator.world import Key, Manifest

log = logging.getLogger(__name__)

START_SECONDS = 60.0
"""How long the first lists may take: the CRDs may be a moment younger than the operator."""
RELIST_SECONDS = 300.0
"""How often everything is listed anew, in case a watch has missed something."""
LISTED_SECONDS = 1.0
"""When watches began with a list, further ones are waited for this long before everything is listed anew."""
AGAIN_SECONDS = 5.0
"""A list that failed is tried again after this."""

SOURCES: dict[Kind, tuple[str, str]] = {
    Kind.QUEUES: (names.API_VERSION, ""),
    Kind.POOLS: (names.API_VERSION, ""),
    Kind.DEPLOYMENTS: ("apps/v1", names.MANAGED_SELECTOR),
    Kind.PODS: ("v1", names.MANAGED_SELECTOR),
}

LISTED = (Kind.PODS, Kind.DEPLOYMENTS, Kind.QUEUES, Kind.POOLS)
"""In this order: a pool whose Pods may not be read must not come to be known."""
LISTS = "lists"


class Operator:
    """All parts of one replica. `run` until told to `stop`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # The Lease has a connection of its own: it must be renewed however much else there is to do.
        self._reach = Reach()
        self._lease_kube = Kube(reach=self._reach, name="Lease")
        identity = settings.pod_name or socket.gethostname()
        self.leader: Leadership | Alone = (
            Leadership(self._lease_kube, settings.operator_namespace, identity) if settings.leader_election else Alone()
        )
        self._kube = Kube(self.leader.acting, reach=self._reach)
        self.cache = Cache(self._changed)
        self._redises = Redises(self._woken, f"operator/{identity}")
        applier = Applier(self._kube, self.cache, acting=self.leader.acting, reporter=identity)
        self._urls = RedisUrls(
            self._kube,
            settings.redis_url,
            lambda queue: self._changed(Kind.QUEUES, queue),
            own_file=settings.redis_url_file,
        )
        self.loop = Loop(self.cache, self._urls, self._redises, applier, self.leader, settings.quotas)
        self._health = HealthServer(
            settings.health_port,
            {"/livez": self.loop.trouble, "/readyz": self._readiness},
        )
        self._stale = asyncio.Event()
        self._shut: frozenset[str] = frozenset()
        """Namespaces that may not be read. From half of one, such as pools without their Pods, nothing follows."""
        self._watching = handlers.Watching(
            self._fed, self._stale.set, self._reach, settings.namespaces, identity, settings.watch_silence_seconds
        )

    def _fed(self, kind: Kind, body: Manifest, deleted: bool) -> None:
        if deleted or body["metadata"].get("namespace") not in self._shut:
            self.cache.feed(kind, body, deleted=deleted)

    def _changed(self, kind: Kind, key: Key) -> None:
        self.loop.changed(kind, key)

    def _woken(self, address: QueueAddress) -> None:
        self.loop.woken(address)

    def _readiness(self) -> str:
        return self._reach.trouble() if self.cache.synced else "the first lists have not arrived"

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT, then end in order: stop acting first, give the Lease back last.

        Raises:
            KubeError: the first lists did not come, for example because the CRDs are not installed.
            OSError: the port of the probes is taken.
        """
        stop, here = asyncio.Event(), asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            here.add_signal_handler(number, stop.set)
        work, told = asyncio.ensure_future(self._work()), asyncio.ensure_future(stop.wait())
        await asyncio.wait([work, told], return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work

    async def _work(self) -> None:
        await self._health.start()
        try:
            await self._kube.open()
            await self._lease_kube.open()
            await self._first_lists()
            await self._run_parts()
        finally:
            await self._urls.close()
            await self._redises.close()
            await self._kube.close()
            await self._lease_kube.close()
            await self._health.stop()

    async def _run_parts(self) -> None:
        lead = asyncio.ensure_future(self.leader.run())
        looping = asyncio.ensure_future(self.loop.run())
        parts: list[Awaitable[Any]] = [self._relist(), self._watching.run()]
        if self._settings.external_metrics_port:
            parts.append(self._external_metrics())
        tasks = [looping, *(asyncio.ensure_future(part) for part in parts)]
        try:
            await asyncio.wait([lead, *tasks], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await end_tasks(looping)
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            lead.cancel()
            outcomes += await asyncio.gather(lead, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    async def _external_metrics(self) -> None:
        # The server costs memory, so it is only loaded where it is asked for.
        from jobfleet_operator.metrics_api import MetricsApi  # noqa: PLC0415

        port, folder = self._settings.external_metrics_port, self._settings.external_metrics_folder
        await MetricsApi(port, folder, self._kube, self.cache, self._urls, self._redises).run()

    def stop_watching(self) -> bool:
        """End the watches; returns whether they did so in time."""
        return self._watching.stop()

    async def _first_lists(self) -> None:
        why = ""
        try:
            async with asyncio.timeout(START_SECONDS):
                while True:
                    try:
                        await self._list_all()
                    except KubeError as error:
                        why = str(error)
                        log.warning("waiting for the API server and the CRDs: %s", error)
                        await asyncio.sleep(max(1.0, error.wait_seconds))
                    else:
                        break
        except TimeoutError as error:
            msg = f"the first lists did not come within {START_SECONDS:.0f} s (are the CRDs installed?): {why}"
            raise KubeError(msg) from error
        # What was read stays: the collector need not go through it again and again, which would hold up the loop.
        gc.collect()
        gc.freeze()
        self.cache.synced = True
        log.info("watching %s", ", ".join(self._settings.namespaces) or "all namespaces")

    async def _list_all(self) -> None:
        """List everything. A namespace that may not be read holds up no other: deleted, it took the rights in it along.

        Nothing of it is forgotten: a queue that is gone may be purged, and perhaps only the rights are gone.

        Raises:
            KubeError: it cannot be read, or none of the namespaces may be.
        """
        served = self._settings.namespaces or ("",)
        shut: dict[str, Forbidden] = {}
        for namespace in served:
            try:
                for kind in LISTED:
                    await self._list(kind, namespace)
            except Forbidden as error:
                shut[namespace] = error
                continue
            if namespace in self._shut:
                self._shut -= {namespace}
                self._stale.set()  # what its watches told meanwhile was not taken
                log.info("namespace %s is served", namespace)
        if len(shut) == len(served):
            raise shut[served[0]]
        for namespace in shut.keys() - self._shut:
            log.warning("namespace %s is not served, the others are: %s", namespace, shut[namespace])
        self._shut = frozenset(shut)

    async def _list(self, kind: Kind, namespace: str) -> None:
        group_version, selector = SOURCES[kind]
        uids, read_at = set[str](), ""
        async for bodies, version in self._kube.pages(group_version, namespace, kind.value, selector):
            read_at = version
            for body in bodies:
                uids.add(body["metadata"]["uid"])
                self.cache.feed(kind, body)
        self.cache.keep_only(kind, uids, read_at, namespace)

    async def _relist(self) -> None:
        """List everything now and then, and when a watch began anew: what was deleted meanwhile it does not tell."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(RELIST_SECONDS):
                    await self._stale.wait()
                    while self._stale.is_set():
                        self._stale.clear()
                        await asyncio.sleep(LISTED_SECONDS)
            try:
                await self._list_all()
                self._reach.note(LISTS)
            except KubeError as error:
                if not isinstance(error, Unavailable):
                    log.warning("could not list anew: %s", error)
                self._reach.note(LISTS, str(error))
                self._stale.set()
                await asyncio.sleep(max(AGAIN_SECONDS, error.wait_seconds))


def main(arguments: list[str] | None = None) -> int:
    """Run the operator; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="jobfleet-operator",
        description="The jobfleet operator: brings worker pools to the size that their queues ask for. "
        "It takes its settings from the environment. `jobfleet explain workerpool/NAME` says why a pool has its size.",
        epilog="\n".join(f"{variable(name)}: {field.description}" for name, field in Settings.model_fields.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.parse_args(arguments)
    try:
        settings = Settings.from_env(os.environ)
    except SettingsError as error:
        sys.stderr.write(f"jobfleet-operator: {error}\n")
        return 2
    records.configure(settings.log_format, settings.log_level)
    code = asyncio.run(_run(settings))
    logging.shutdown()
    if code is None:
        os._exit(0)  # a watch that does not end must not hold the process up
    return code


async def _run(settings: Settings) -> int | None:
    """Run the operator; returns the exit status, or None when all is done but a watch hangs on."""
    operator = Operator(settings)
    try:
        await operator.run()
    except (KubeError, OSError) as error:
        log.error("%s", error)  # noqa: TRY400 a sentence, not a traceback
        return 1
    return 0 if operator.stop_watching() else None


if __name__ == "__main__":
    sys.exit(main())
