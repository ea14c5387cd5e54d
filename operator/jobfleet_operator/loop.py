"""The one loop: observe, decide, plan, apply; level-triggered, woken by events, sweeping each second.

A round looks at what its subjects are now, not at what woke it. A sweep goes over everything, in slices: between two
of them what was woken has its turn, so that a job waits for a slice and not for a thousand queues. Plans are carried
out elsewhere (`errands`), so that a slow call never holds up the loop: its heartbeat is what the liveness probe
looks at.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

from jobfleet.inspection import InspectionError, Inspector, QueueAddress, QueueSnapshot
from jobfleet_operator import claims, lineage, observe, reconcile, resources, sweep
from jobfleet_operator.actions import ApplySecret
from jobfleet_operator.adapters.redis import Redises
from jobfleet_operator.addresses import RedisUrls
from jobfleet_operator.apply import Applier, Errand
from jobfleet_operator.cache import Cache, Kind
from jobfleet_operator.care import Care
from jobfleet_operator.errands import Errands
from jobfleet_operator.memory import Memory, PoolMemory, QueueMemory, Sample
from jobfleet_operator.names import JOB_QUEUE, WORKER_POOL
from jobfleet_operator.scaling import Limit, quota
from jobfleet_operator.scaling.quota import Quotas
from jobfleet_operator.world import Key, Subject

log = logging.getLogger(__name__)

SWEEP_SECONDS = 1.0
GATHER_SECONDS = 0.01
"""After a change in Kubernetes, further ones of this long are gathered into one round."""
STALE_SECONDS = 30.0
"""A loop that has not come round for this long is not alive."""


class Leader(Protocol):
    """Who says whether this replica acts."""

    term: int

    def acting(self) -> bool:
        """Whether this replica may write."""


class Loop:
    """Holds what the acting operator remembers and makes the rounds."""

    def __init__(
        self,
        cache: Cache,
        urls: RedisUrls,
        redises: Redises,
        applier: Applier,
        leader: Leader,
        quotas: Quotas | None = None,
    ) -> None:
        self._cache, self._urls, self._redises, self._leader = cache, urls, redises, leader
        self._quotas = quotas or Quotas()
        self._errands = Errands(applier, self._ended, lambda: len(cache.queues) + len(cache.pools))
        self._care = Care(cache, urls, redises, applier)
        self._memory = Memory()
        self._dirty: set[Subject] = set()
        self._behind: set[Subject] = set()
        """What is to be looked at again when the errand about it has ended."""
        self._wake = asyncio.Event()
        self._called = False
        """Whether a job waits for the next round: it gathers nothing more."""
        self._slices: Iterator[set[Subject]] | None = None
        """What is left of the sweep under way."""
        self._in_use: set[str] = set()
        """Redis URLs that were met since the sweep began."""
        self._shares: Mapping[Key, Limit] | None = None
        """What quotas leave to the pools; None: it is to be reckoned anew."""
        self._term: int | None = None
        """The term of leadership that the memory is of."""
        self._beat = time.monotonic()

    # --- what wakes it

    def changed(self, kind: Kind, key: Key) -> None:
        """Told by the cache: something about this queue or pool changed."""
        memory: QueueMemory | PoolMemory | None = None
        if kind is Kind.QUEUES:
            memory = self._memory.queues.get(key)
            self._touch_queue(key)
        else:
            memory = self._memory.pools.get(key) if kind is Kind.POOLS else None
            self._touch(WORKER_POOL, key)
        if memory is not None:
            memory.retry_at, memory.changes = 0.0, memory.changes + 1

    def woken(self, address: QueueAddress) -> None:
        """Told by Redis: this queue got work while it was empty."""
        self._called = True
        self._touch_queue(Key(address.realm, address.queue))

    def _touch_queue(self, queue: Key) -> None:
        self._touch(JOB_QUEUE, queue)
        for pool in self._cache.pools_of(queue):
            self._touch(WORKER_POOL, pool)

    def _touch(self, kind: str, key: Key) -> None:
        self._dirty.add(Subject(kind, key))
        self._wake.set()

    def _ended(self, subject: Subject, errand: Errand, done: bool) -> None:
        """Told by the errands: one of them has come to its end."""
        if done and any(isinstance(action, ApplySecret) for action in errand.plan):
            self._touch_queue(subject.key)
        if subject in self._behind:
            self._behind.discard(subject)
            self._touch(*subject)

    def trouble(self) -> str:
        """For the liveness probe: "" while the loop comes round."""
        silent = time.monotonic() - self._beat
        return f"the loop has not come round for {silent:.0f} s" if silent > STALE_SECONDS else ""

    # --- the loop

    async def run(self) -> None:
        """Make rounds for ever."""
        due = time.monotonic()
        try:
            while True:
                self._beat = time.monotonic()
                if self._slices is None:
                    await self._until(due)
                if not (self._leader.acting() and self._cache.synced):
                    self._rest()
                    due = max(due, time.monotonic() + SWEEP_SECONDS / 10)
                    continue
                self._begin_term(self._leader.term)
                if self._wake.is_set():
                    self._wake.clear()
                    self._called = False
                    dirty, self._dirty = self._dirty, set()
                    await self._guarded_round(dirty)
                if self._slices is None and time.monotonic() >= due:
                    due = time.monotonic() + SWEEP_SECONDS
                    self._begin_sweep()
                if self._slices is not None:
                    await self._sweep_on(self._slices)
        finally:
            self._errands.cancel()
            self._care.cancel()

    async def _until(self, due: float) -> None:
        """Wait until then, or until something happens."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, due - time.monotonic())):
                await self._wake.wait()
                if not self._called:
                    await asyncio.sleep(GATHER_SECONDS)

    def _rest(self) -> None:
        self._wake.clear()
        self._dirty.clear()
        self._behind.clear()
        self._slices, self._called = None, False

    def _begin_term(self, term: int) -> None:
        """A new term begins with no memory: others have acted since. A late renewal begins none."""
        if term == self._term:
            return
        self._term = term
        self._memory.forget()
        self._shares = None
        self._care.forget()

    def _begin_sweep(self) -> None:
        self._memory.keep_only(self._cache.queues, self._cache.pools)
        self._care.purge()
        self._slices, self._in_use, self._shares = sweep.slices(self._cache), set(), None

    async def _sweep_on(self, slices: Iterator[set[Subject]]) -> None:
        """Do the next slice, and then leave as much time to others as it took, unless something happens."""
        begun = time.monotonic()
        part = next(slices, None)
        if part is None:
            self._slices = None
            await self._redises.keep_only(self._in_use)
            return
        await self._guarded_round(part, sweep=True)
        now = time.monotonic()
        await self._until(now + (now - begun))

    async def _guarded_round(self, subjects: set[Subject], *, sweep: bool = False) -> None:
        try:
            await self._round(subjects, sweep=sweep)
        except Exception:
            # A defect must not stop the loop; the next sweep tries again, and the log tells.
            log.exception("a round failed")

    async def _round(self, subjects: set[Subject], *, sweep: bool) -> None:
        queues, pools = self._scope(subjects)
        look = await self._look(queues)
        self._in_use.update(url for url in look.urls.values() if url)
        if sweep:
            self._care.tend(look.urls, look.snapshots)
        for queue in queues:
            self._measure(look, queue)
        for pool in pools:
            self._guarded(self._note_pods, look, pool)
        if self._quotas:
            for pool in pools:
                self._guarded(self._claim, look, pool)
            look = replace(look, shares=self._shared(look))
        for pool in pools:
            self._guarded(self._do_pool, look, pool)
        for queue in [subject.key for subject in subjects if subject.kind == JOB_QUEUE]:
            self._guarded(self._do_queue, look, queue)

    def _claim(self, look: observe.Look, key: Key) -> None:
        """Note what a pool would have without quotas."""
        pool = self._cache.pools.get(key)
        if pool is not None and claims.renew(look, pool, self._memory.of_pool(pool), self._memory.queues):
            self._shares = None

    def _shared(self, look: observe.Look) -> Mapping[Key, Limit]:
        """What quotas leave to the pools: reckoned once a sweep, and when one of them claims something else."""
        if self._shares is None:
            self._shares = quota.shares(claims.claims(look, self._memory.pools), self._quotas)
        return self._shares

    def _guarded(self, do: Callable[[observe.Look, Key], None], look: observe.Look, key: Key) -> None:
        try:
            do(look, key)
        except Exception:
            # One resource that cannot be understood must not hold up the others.
            log.exception("%s could not be looked at", key)

    def _scope(self, subjects: set[Subject]) -> tuple[dict[Key, set[str]], list[Key]]:
        """The queues to look at, with the connections of Pods made for them, and the pools to decide about."""
        cache = self._cache
        pools = [s.key for s in subjects if s.kind == WORKER_POOL and s.key in cache.pools]
        queues: dict[Key, set[str]] = {s.key: set() for s in subjects if s.kind == JOB_QUEUE}
        for key in pools:
            pool = cache.pools[key]
            for queue, connections in lineage.served(cache, pool, self._memory.of_pool(pool)).items():
                queues.setdefault(queue, set()).update(connections)
        return queues, pools

    def _resolve(self, queue: Key, connections: set[str]) -> tuple[str | None, str]:
        """The Redis URL, or None and why; of a queue whose JobQueue is gone, as its Pods' connections tell."""
        resource = self._cache.queues.get(queue)
        if resource is not None:
            return self._urls.resolve(resource)
        if not connections:
            return None, ""
        return self._urls.recognise(lambda url: resources.connection(url, queue.namespace) in connections), ""

    async def _look(self, queues: Mapping[Key, set[str]]) -> observe.Look:
        """Read these queues, one round trip for each Redis."""
        urls: dict[Key, str | None] = {}
        problems: dict[Key, str] = {}
        by_url: dict[str, dict[QueueAddress, int]] = {}
        for queue, connections in queues.items():
            url, problem = self._resolve(queue, connections)
            urls[queue] = url
            if url is None:
                problems[queue] = problem
            else:
                ahead = observe.ahead_ms(self._cache, queue, self._memory.pools)
                by_url.setdefault(url, {})[observe.address(queue)] = ahead
        read = await asyncio.gather(*(self._redises.read(url, found) for url, found in by_url.items()))
        snapshots: dict[QueueAddress, QueueSnapshot] = {}
        for part in read:
            snapshots |= part
        outages = {url: self._redises.outage(url) for url in by_url}
        for url, outage in outages.items():
            if outage:
                self._urls.doubt(url)
        return observe.Look(
            cache=self._cache,
            urls=urls,
            problems=problems,
            snapshots=snapshots,
            outages=outages,
            unreadable={place: why for url in by_url for place, why in self._redises.unreadable(url).items()},
            seconds=time.monotonic(),
            now=datetime.now(UTC),
            term=self._leader.term,
        )

    # --- plans

    def _do_pool(self, look: observe.Look, key: Key) -> None:
        subject, pool = Subject(WORKER_POOL, key), self._cache.pools.get(key)
        if pool is None:
            return
        memory = self._memory.of_pool(pool)
        if not self._free(subject, memory, look.seconds):
            return
        scene = observe.pool_scene(look, pool, memory, self._memory.queues)
        plan = reconcile.plan_pool(scene)
        trouble = scene.trouble or reconcile.own_trouble(scene)
        memory.said = trouble[0] if trouble else ""
        queues = look.served(pool, memory)
        home = look.urls.get(queues[0]) if queues else None
        others = {queue: self._redis(look, queue) for queue in queues if look.urls.get(queue) != home}
        elsewhere = {observe.address(queue): redis for queue, redis in others.items() if redis is not None}
        redis = self._redis(look, queues[0]) if queues else None
        self._errands.send(subject, Errand(pool.identity, WORKER_POOL, plan, memory, redis, elsewhere))

    def _note_pods(self, look: observe.Look, key: Key) -> None:
        """Note what a pool's Pods show, before it and those that share a quota with it are decided about."""
        pool = self._cache.pools.get(key)
        if pool is not None:
            observe.note_pods(look, pool, self._memory.of_pool(pool))

    def _measure(self, look: observe.Look, key: Key) -> None:
        """Note what went through a queue, before its pools are decided about."""
        queue, seen = self._cache.queues.get(key), look.snapshots.get(observe.address(key))
        if queue is not None and seen is not None:
            arrived = seen.enqueued_total + seen.retried_total
            self._memory.of_queue(queue).measure(Sample(look.seconds, arrived, seen.finished_total, seen.busy_ms_total))

    def _do_queue(self, look: observe.Look, key: Key) -> None:
        subject, queue = Subject(JOB_QUEUE, key), self._cache.queues.get(key)
        if queue is None:
            return
        memory = self._memory.of_queue(queue)
        if not self._free(subject, memory, look.seconds):
            return
        plan = reconcile.plan_queue(observe.queue_scene(look, queue, memory, self._memory.pools))
        self._errands.send(subject, Errand(queue.identity, JOB_QUEUE, plan, memory, self._redis(look, key)))

    def _redis(self, look: observe.Look, queue: Key) -> Inspector | None:
        url = look.urls.get(queue)
        if url is None:
            return None
        try:
            return self._redises.at(url)
        except InspectionError:
            return None

    def _free(self, subject: Subject, memory: PoolMemory | QueueMemory, seconds: float) -> bool:
        """Whether nothing goes on about this subject and it need not wait after a failure."""
        if self._errands.busy(subject):
            self._behind.add(subject)
            return False
        return seconds >= memory.retry_at
