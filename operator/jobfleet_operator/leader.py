"""Who acts: one replica of the operator at a time, by a coordination Lease.

A Lease lasts 12 s, its holder must renew it within 7 s or stop acting, and everybody tries each 2 s, and in the
moment at which it runs out: so a stand-by sees the last renewal 2 s late at most and acts within 15 s of a death,
where Kubernetes' own components (15, 10 and 2 s) take up to 19. Whether a Lease has run out is judged by how long it
has not changed on the own clock, so that clocks need not agree, only run equally fast.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime

from jobfleet_operator import names
from jobfleet_operator.adapters.kube import CALL_SECONDS, Conflict, Kube, KubeError, NotFound
from jobfleet_operator.world import Key, Manifest

log = logging.getLogger(__name__)

LEASE_SECONDS = 12
RENEW_SECONDS = LEASE_SECONDS - CALL_SECONDS
"""So a write that was begun in the last moment has ended before anybody else may act."""
RETRY_SECONDS = 2.0
API_VERSION = "coordination.k8s.io/v1"
PLURAL = "leases"


class Leadership:
    """Tries to hold the Lease; `acting()` says whether this replica may write."""

    def __init__(self, kube: Kube, namespace: str, identity: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._kube, self._clock = kube, clock
        self._key = Key(namespace, names.LEASE)
        self._identity = identity
        self._renewed_at: float | None = None
        self._seen: tuple[str, float] = ("", 0.0)
        self._held_until = float("-inf")
        """Until when somebody else may act by the Lease that was seen last, whatever became of that."""
        self._changes = -1
        """How often the Lease had changed hands when it was seen last; -1: it never was."""
        self._runs_out_at: float | None = None
        """When somebody else's Lease runs out if it is not renewed; None: it is not held, or not known."""
        self._told = self._failing = False
        self.term = 0
        """How often the Lease has changed hands: later holders have higher terms."""

    def acting(self) -> bool:
        """Whether this replica holds the Lease for certain."""
        return self._renewed_at is not None and self._clock() - self._renewed_at < RENEW_SECONDS

    async def run(self) -> None:
        """Try for ever; give the Lease back when cancelled."""
        try:
            while True:
                started = self._clock()
                due = started + max(RETRY_SECONDS, await self._try(started))
                if self._runs_out_at is not None:
                    due = min(due, self._runs_out_at)
                await asyncio.sleep(max(0.0, due - self._clock()))
        finally:
            await self._release()

    async def _try(self, started: float) -> float:
        """Try once; returns how many seconds the API server asks to wait."""
        wait, self._runs_out_at = 0.0, None
        try:
            async with asyncio.timeout(RENEW_SECONDS / 2):
                held = await self._acquire_or_renew()
        except (KubeError, TimeoutError) as error:
            log.log(logging.DEBUG if self._failing else logging.WARNING, "the Lease cannot be renewed: %s", error)
            self._failing, held = True, False
            wait = getattr(error, "wait_seconds", 0.0)
        else:
            self._failing = False
            if not held:
                self._renewed_at = None
        if held:
            self._renewed_at = started
        if self.acting() != self._told:
            self._told = self.acting()
            log.info("this replica %s", "acts now" if self.acting() else "stands by now")
        return wait

    async def _acquire_or_renew(self) -> bool:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        try:
            lease = await self._kube.get(API_VERSION, self._key, PLURAL)
        except NotFound:
            if self._clock() < self._held_until:  # somebody deleted it, and who held it does not know yet
                self._runs_out_at = self._held_until
                return False
            return await self._write({}, {"acquireTime": now, "leaseTransitions": self._changes + 1}, now)
        spec = lease.get("spec") or {}
        self._changes = int(spec.get("leaseTransitions") or 0)
        if spec.get("holderIdentity") == self._identity:
            return await self._write(lease, spec, now)
        if spec.get("holderIdentity") and not self._expired(lease):
            return False
        return await self._write(lease, {"acquireTime": now, "leaseTransitions": self._changes + 1}, now)

    def _expired(self, lease: Manifest) -> bool:
        """Whether the Lease has not changed for as long as it lasts, on our own clock."""
        version = lease["metadata"]["resourceVersion"]
        if self._seen[0] != version:
            self._seen = (version, self._clock())
        runs_out_at = self._seen[1] + float(lease["spec"].get("leaseDurationSeconds") or LEASE_SECONDS)
        if self._clock() >= runs_out_at:
            return True
        self._runs_out_at = self._held_until = runs_out_at
        return False

    async def _write(self, lease: Manifest, spec: Manifest, now: str) -> bool:
        meta = lease.get("metadata") or {"name": self._key.name, "namespace": self._key.namespace}
        mine = {"holderIdentity": self._identity, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": now}
        body = {"apiVersion": API_VERSION, "kind": "Lease", "metadata": meta, "spec": spec | mine}
        try:
            await (self._kube.update(body, PLURAL) if lease else self._kube.create(body, PLURAL))
        except Conflict:
            return False
        self.term = self._changes = int(spec.get("leaseTransitions") or 0)
        self._held_until = float("-inf")
        return True

    async def _release(self) -> None:
        """Let the stand-by take over at once."""
        if not self.acting():
            return
        self._renewed_at = None
        try:
            async with asyncio.timeout(RETRY_SECONDS):
                lease = await self._kube.get(API_VERSION, self._key, PLURAL)
                spec = lease.get("spec") or {}
                if spec.get("holderIdentity") == self._identity:
                    lease["spec"] = spec | {"holderIdentity": ""}
                    await self._kube.update(lease, PLURAL)
        except (KubeError, TimeoutError) as error:
            log.warning("the Lease could not be given back, it runs out by itself: %s", error)


class Alone:
    """Stands for leadership where leader election is switched off: this replica always acts."""

    term = 0

    def acting(self) -> bool:
        """Always."""
        return True

    async def run(self) -> None:
        """Nothing to do, for ever."""
        await asyncio.Event().wait()
