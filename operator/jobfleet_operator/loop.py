"""The one loop: observe, decide, plan, apply; level-triggered, woken by events, sweeping each second.

A round looks at what its subjects are now, not at what woke it. A round is either a sweep over
everything or a quick one over the queues and pools that an event was about. Plans are carried out
in tasks of their own, one at a time for each queue or pool, so that a slow call holds up nobody
else and never the loop: its heartbeat is what the liveness probe looks at.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from jobfleet.inspection import InspectionError, Inspector, QueueAddress, QueueSnapshot
from jobfleet_operator import claims, observe, reconcile
from jobfleet_operator.actions import Action, ApplySecret, Note, PatchStatus
from jobfleet_operator.adapters.kube import KubeError, Refused
from jobfleet_operator.adapters.redis import Redises
from jobfleet_operator.addresses import RedisUrls
from jobfleet_operator.apply import Applier, Errand, NotActing
from jobfleet_operator.cache import Cache, Kind
from jobfleet_operator.memory import PoolMemory, QueueMemory, Sample
from jobfleet_operator.names import JOB_QUEUE, WORKER_POOL
from jobfleet_operator.scaling import quota
from jobfleet_operator.scaling.quota import Quotas
from jobfleet_operator.world import Key, PoolResource, QueueResource

log = logging.getLogger(__name__)

SWEEP_SECONDS = 1.0
GATHER_SECONDS = 0.01
"""After a wake, events of this long are gathered into one round."""
FIRST_RETRY_SECONDS = 0.5
LAST_RETRY_SECONDS = 5.0
"""So soon after an outage everything goes on."""
REFUSED_RETRY_SECONDS = 30.0
"""What was refused is tried again this late, unless its resource is changed first."""
STALE_SECONDS = 30.0
"""A loop that has not come round for this long is not alive."""
SWEEPS_AT_ONCE = 32


class Leader(Protocol):
    """Who says whether this replica acts."""

    term: int

    def acting(self) -> bool:
        """Whether this replica may write."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A queue or pool, as the key of what goes on about it."""

    kind: str
    key: Key


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
        self._cache, self._urls, self._redises = cache, urls, redises
        self._quotas = quotas or Quotas()
        self._applier, self._leader = applier, leader
        self._queues: dict[Key, QueueMemory] = {}
        self._pools: dict[Key, PoolMemory] = {}
        self._dirty: set[Subject] = set()
        self._wake = asyncio.Event()
        self._errands: dict[Subject, asyncio.Task[None]] = {}
        self._telling: set[Subject] = set()
        """Whose status is being written."""
        self._told: set[asyncio.Task[None]] = set()
        self._caretaker: asyncio.Task[None] | None = None
        self._to_purge: dict[Key, QueueResource] = {}
        self._term: int | None = None
        """The term of leadership that the memory is of."""
        self._beat = time.monotonic()

    # --- what wakes it

    def changed(self, kind: Kind, key: Key) -> None:
        """Told by the cache: something about this queue or pool changed."""
        if kind is Kind.QUEUES:
            self._touch(JOB_QUEUE, key)
            for pool in self._cache.pools_of(key):
                self._touch(WORKER_POOL, pool)
        else:
            if kind is Kind.POOLS and key in self._pools:
                self._pools[key].retry_at = 0.0
            self._touch(WORKER_POOL, key)

    def woken(self, address: QueueAddress) -> None:
        """Told by Redis: this queue got work while it was empty."""
        self.changed(Kind.QUEUES, Key(address.realm, address.queue))

    def _touch(self, kind: str, key: Key) -> None:
        self._dirty.add(Subject(kind, key))
        self._wake.set()

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
                with suppress(TimeoutError):
                    async with asyncio.timeout(max(0.0, due - self._beat)):
                        await self._wake.wait()
                        await asyncio.sleep(GATHER_SECONDS)
                acting = self._leader.acting() and self._cache.synced
                if acting:
                    self._begin_term(self._leader.term)
                sweep = time.monotonic() >= due
                if sweep:
                    due = time.monotonic() + SWEEP_SECONDS
                self._wake.clear()
                if acting:
                    await self._guarded_round(sweep=sweep)
                else:
                    self._dirty.clear()
        finally:
            for task in [*self._errands.values(), *self._told, *([self._caretaker] if self._caretaker else [])]:
                task.cancel()

    def _begin_term(self, term: int) -> None:
        """A new term begins with no memory: others have acted since. A late renewal begins none."""
        if term == self._term:
            return
        self._term = term
        self._queues.clear()
        self._pools.clear()
        self._to_purge.clear()

    async def _guarded_round(self, *, sweep: bool) -> None:
        dirty, self._dirty = self._dirty, set()
        try:
            await self._round(None if sweep else dirty)
        except Exception:
            # A defect must not stop the loop; the sweep tries again, and the log tells.
            log.exception("a round failed")

    async def _round(self, only: set[Subject] | None) -> None:
        queues, pools = self._scope(only)
        look = await self._look(queues)
        if only is None:
            self._tidy()
            await self._redises.keep_only({url for url in look.urls.values() if url})
            self._care(look)
            await self._purge()
        for queue in queues:
            self._measure(look, queue)
        for pool in pools:
            self._guarded(self._note_pods, look, pool)
        if self._quotas:
            claimed = claims.claims(look, self._pools, self._queues, set(pools))
            look = replace(look, shares=quota.shares(claimed, self._quotas))
        for pool in pools:
            self._guarded(self._do_pool, look, pool)
        for queue in queues if only is None else [s.key for s in only if s.kind == JOB_QUEUE]:
            self._guarded(self._do_queue, look, queue)

    def _guarded(self, do: Callable[[observe.Look, Key], None], look: observe.Look, key: Key) -> None:
        try:
            do(look, key)
        except Exception:
            # One resource that cannot be understood must not hold up the others.
            log.exception("%s could not be looked at", key)

    def _scope(self, only: set[Subject] | None) -> tuple[list[Key], list[Key]]:
        """The queues to look at and the pools to decide about."""
        cache = self._cache
        if only is None:
            return list(cache.queues), list(cache.pools)
        pools = [s.key for s in only if s.kind == WORKER_POOL and s.key in cache.pools]
        queues = {s.key for s in only if s.kind == JOB_QUEUE}
        for key in pools:
            spec = cache.pools[key].spec
            queues |= {Key(key.namespace, name) for name in (spec.queues if spec else ())}
        return [queue for queue in queues if queue in cache.queues], pools

    async def _look(self, queues: Iterable[Key]) -> observe.Look:
        """Read these queues, one round trip for each Redis."""
        urls: dict[Key, str | None] = {}
        problems: dict[Key, str] = {}
        by_url: dict[str, dict[QueueAddress, int]] = {}
        for queue in queues:
            url, problem = self._urls.resolve(self._cache.queues[queue])
            urls[queue] = url
            if url is None:
                problems[queue] = problem
            else:
                ahead = observe.ahead_ms(self._cache, queue, self._pools)
                by_url.setdefault(url, {})[observe.address(queue)] = ahead
        read = await asyncio.gather(*(self._redises.read(url, found) for url, found in by_url.items()))
        snapshots: dict[QueueAddress, QueueSnapshot] = {}
        for part in read:
            snapshots |= part
        return observe.Look(
            cache=self._cache,
            urls=urls,
            problems=problems,
            snapshots=snapshots,
            outages={url: self._redises.outage(url) for url in by_url},
            seconds=time.monotonic(),
            now=datetime.now(UTC),
            term=self._leader.term,
        )

    # --- plans and errands

    def _do_pool(self, look: observe.Look, key: Key) -> None:
        subject, pool = Subject(WORKER_POOL, key), self._cache.pools.get(key)
        if pool is None:
            return
        memory = self._pool_memory(pool)
        if not self._free(subject, memory, look.seconds):
            return
        scene = observe.pool_scene(look, pool, memory, self._queues)
        plan = reconcile.plan_pool(scene)
        trouble = scene.trouble or reconcile.own_trouble(scene)
        memory.said = trouble[0] if trouble else ""
        queue = Key(key.namespace, pool.spec.queues[0]) if pool.spec and pool.spec.queues else None
        self._send(subject, Errand(pool.identity, WORKER_POOL, plan, memory, self._redis(look, queue)))

    def _note_pods(self, look: observe.Look, key: Key) -> None:
        """Note what a pool's Pods show, before it and those that share a quota with it are decided about."""
        pool = self._cache.pools.get(key)
        if pool is not None:
            observe.note_pods(look, pool, self._pool_memory(pool))

    def _pool_memory(self, pool: PoolResource) -> PoolMemory:
        memory = self._pools.get(pool.key)
        if memory is None or memory.uid != pool.identity.uid:
            memory = self._pools[pool.key] = PoolMemory(pool.identity.uid)
        return memory

    def _remembered(self, queue: QueueResource) -> QueueMemory:
        memory = self._queues.get(queue.key)
        if memory is None or memory.uid != queue.identity.uid:
            memory = self._queues[queue.key] = QueueMemory(queue.identity.uid)
        return memory

    def _measure(self, look: observe.Look, key: Key) -> None:
        """Note what went through a queue, before its pools are decided about."""
        queue, seen = self._cache.queues.get(key), look.snapshots.get(observe.address(key))
        if queue is not None and seen is not None:
            arrived = seen.enqueued_total + seen.retried_total
            self._remembered(queue).measure(Sample(look.seconds, arrived, seen.finished_total, seen.busy_ms_total))

    def _do_queue(self, look: observe.Look, key: Key) -> None:
        subject, queue = Subject(JOB_QUEUE, key), self._cache.queues.get(key)
        if queue is None:
            return
        memory = self._remembered(queue)
        if not self._free(subject, memory, look.seconds):
            return
        plan = reconcile.plan_queue(observe.queue_scene(look, queue, memory, self._pools))
        self._send(subject, Errand(queue.identity, JOB_QUEUE, plan, memory, self._redis(look, key)))

    def _redis(self, look: observe.Look, queue: Key | None) -> Inspector | None:
        url = look.urls.get(queue) if queue is not None else None
        if url is None:
            return None
        try:
            return self._redises.at(url)
        except InspectionError:
            return None

    def _free(self, subject: Subject, memory: PoolMemory | QueueMemory, seconds: float) -> bool:
        """Whether nothing goes on about this subject and it need not wait after a failure."""
        if subject in self._errands:
            self._dirty.add(subject)
            return False
        return seconds >= memory.retry_at

    def _send(self, subject: Subject, errand: Errand) -> None:
        """Start to carry a plan out. What only tells goes its own way: nothing waits until it is written."""
        doing: list[Action] = []
        for action in errand.plan:
            match action:
                case PatchStatus():
                    self._tell(subject, replace(errand, plan=[action]))
                case Note():
                    self._keep(self._applier.tell(action))
                case _:
                    doing.append(action)
        if doing:
            task = asyncio.create_task(self._run_errand(subject, replace(errand, plan=doing)))
            self._errands[subject] = task

    def _tell(self, subject: Subject, errand: Errand) -> None:
        """Write a status, unless an older one is under way: then the next round finds it still to be written."""
        if subject not in self._telling:
            self._telling.add(subject)
            self._keep(self._write_status(subject, errand))

    def _keep(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._told.add(task)
        task.add_done_callback(self._told.discard)

    async def _write_status(self, subject: Subject, errand: Errand) -> None:
        try:
            await self._applier.carry_out(errand, time.monotonic)
        except NotActing:
            pass
        except (KubeError, InspectionError) as error:
            errand.memory.status.retry_at = time.monotonic() + LAST_RETRY_SECONDS
            log.info("%s %s: its status could not be written: %s", subject.kind, subject.key, error)
        except Exception:
            errand.memory.status.retry_at = time.monotonic() + REFUSED_RETRY_SECONDS
            log.exception("%s %s: its status could not be written", subject.kind, subject.key)
        finally:
            self._telling.discard(subject)

    async def _run_errand(self, subject: Subject, errand: Errand) -> None:
        memory = errand.memory
        try:
            await self._applier.carry_out(errand, time.monotonic)
        except NotActing:
            log.info("%s %s: not this replica's to do any more", subject.kind, subject.key)
        except (KubeError, InspectionError) as error:
            memory.failures += 1
            refused = isinstance(error, Refused)
            most = REFUSED_RETRY_SECONDS if refused else LAST_RETRY_SECONDS
            wait = min(FIRST_RETRY_SECONDS * 2 ** min(memory.failures - 1, 10), most)
            memory.retry_at = time.monotonic() + wait
            log.log(
                logging.WARNING if refused else logging.INFO,
                "%s %s: tried again in %.1f s: %s",
                subject.kind,
                subject.key,
                wait,
                error,
            )
        except Exception:
            memory.retry_at = time.monotonic() + REFUSED_RETRY_SECONDS
            log.exception("%s %s: a plan could not be carried out", subject.kind, subject.key)
        else:
            memory.failures = 0
            if any(isinstance(action, ApplySecret) for action in errand.plan):
                for pool in self._cache.pools_of(subject.key):
                    self._touch(WORKER_POOL, pool)
        finally:
            del self._errands[subject]
            if subject in self._dirty:
                self._wake.set()

    # --- care of Redis

    def _care(self, look: observe.Look) -> None:
        """Promote due jobs and reclaim from overdue workers, where there are any."""
        if self._caretaker is not None and not self._caretaker.done():
            return
        needy: list[tuple[str, QueueAddress]] = []
        for queue, url in look.urls.items():
            place = observe.address(queue)
            snapshot = look.snapshots.get(place)
            if url is None or snapshot is None:
                continue
            overdue = any(worker.lease_ms < 0 for worker in snapshot.workers)
            if snapshot.delayed_due or overdue:
                needy.append((url, place))
        if needy:
            self._caretaker = asyncio.create_task(self._sweep(needy))

    async def _sweep(self, needy: list[tuple[str, QueueAddress]]) -> None:
        limit = asyncio.Semaphore(SWEEPS_AT_ONCE)

        async def one(url: str, place: QueueAddress) -> None:
            async with limit:
                try:
                    await self._redises.at(url).sweep(place)
                except InspectionError as error:
                    log.info("%s could not be swept: %s", place, error)

        await asyncio.gather(*(one(url, place) for url, place in needy))

    async def _purge(self) -> None:
        """Delete the jobs of deleted JobQueues that ask for it."""
        for queue in self._cache.take_deletions():
            self._to_purge.pop(queue.key, None)
            if queue.spec is not None and queue.spec.deletion_policy == "Purge":
                self._to_purge[queue.key] = queue
        for key, queue in list(self._to_purge.items()):
            if key in self._cache.queues:
                log.info("%s exists again: its jobs stay", key)
                del self._to_purge[key]
                continue
            try:
                await self._purge_one(queue)
            except InspectionError as error:
                log.warning("%s could not be purged yet: %s", key, error)
                break  # the others are most likely in the same Redis
            del self._to_purge[key]

    async def _purge_one(self, queue: QueueResource) -> None:
        url, problem = self._urls.resolve(queue)
        if problem:
            message = f"deletionPolicy is Purge, and the jobs could not be deleted: {problem}"
            await self._applier.tell(Note(JOB_QUEUE, queue.identity, "PurgeFailed", message, "Warning"))
            return
        if url is None:
            msg = "its Redis is not known yet"
            raise InspectionError(msg)
        jobs = await self._redises.at(url).purge(observe.address(queue.key))
        message = f"deletionPolicy is Purge: {jobs} jobs were deleted with the JobQueue"
        await self._applier.tell(Note(JOB_QUEUE, queue.identity, "Purged", message))

    def _tidy(self) -> None:
        """Forget about what is gone."""
        for key in [key for key in self._pools if key not in self._cache.pools]:
            del self._pools[key]
        for key in [key for key in self._queues if key not in self._cache.queues]:
            del self._queues[key]
