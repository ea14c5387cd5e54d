"""The phases of a run, each ending in numbers. What the operator did is read from the audit log."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from bench.children import Broken
from bench.operator import population
from bench.operator.api import Api
from bench.operator.audit import Call
from bench.operator.plant import Operator, Plant
from bench.operator.sizes import Sizes
from jobfleet import Fleet, JobOptions, flows

POLL_SECONDS = 0.05
QUIET_SECONDS = 3.0
"""Without a write for so long the operator has nothing left to do."""
ROUTINE = {"leases", "secrets", "poddisruptionbudgets"}
"""What is written for ever: the Lease, and what nobody watches, each object every 5 to 10 minutes."""
DELAY_SECONDS = 3_600.0
SEED = 7


@dataclass(slots=True)
class Cost:
    """What a phase cost.

    Attributes:
        cpu: share of one core that the operator used.
        rss: its resident memory at the end, bytes.
        calls: what it asked of the API server.
    """

    name: str
    seconds: float = 0.0
    cpu: float = 0.0
    rss: int = 0
    calls: list[Call] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Reaction:
    """One job into an empty queue: Unix seconds of each step."""

    enqueued: float
    received: float
    """When the API server had the operator's request."""
    patched: float
    """When it had answered it."""


@dataclass(slots=True)
class Calling:
    """Jobs on their way to a pool that grows for them, and those that arrived."""

    waiting: dict[tuple[str, str], float] = field(default_factory=dict)
    done: list[Reaction] = field(default_factory=list)


class Phases:
    """Runs phases on one plant, with one operator at a time."""

    def __init__(self, plant: Plant, api: Api, sizes: Sizes, say: Callable[[str], None]) -> None:
        self._plant, self._api, self.sizes, self._say = plant, api, sizes, say
        self._fleets: dict[str, Fleet] = {}
        self.operator: Operator | None = None
        self.costs: list[Cost] = []
        self._order = list(range(sizes.queues))
        random.Random(SEED).shuffle(self._order)
        self._next = 0

    async def close(self) -> None:
        """End the operator and give connections back."""
        for fleet in self._fleets.values():
            await fleet.close()
        if self.operator is not None:
            self.operator.child.end()

    # --- phases

    async def cold_start(self) -> dict[str, float]:
        """With all resources there and nothing made for them: seconds from the start of the process."""
        begun = time.time()
        self.operator = self._plant.operator()
        made: set[tuple[str, str]] = set()
        told: set[tuple[str, str, str]] = set()
        times: dict[str, float] = {}
        async with self.costing("cold start") as cost:
            while "all statuses are written" not in times:
                for call in await self._news():
                    cost.calls.append(call)
                    if call.what == "patch deployments" and call.status < 300:
                        made.add((call.namespace, call.name))
                        times.setdefault("the first Deployment is made", call.done - begun)
                        if len(made) == self.sizes.queues:
                            times.setdefault("all Deployments are made", call.done - begun)
                    if call.resource.endswith("/status") and call.status < 300:
                        told.add((call.resource, call.namespace, call.name))
                        if len(told) == 2 * self.sizes.queues:
                            times.setdefault("all statuses are written", call.done - begun)
                self._in_time(begun, f"cold start: {len(made)} Deployments, {len(told)} statuses")
        return times

    async def warm_starts(self) -> dict[str, list[float]]:
        """With everything there, and one job that came while no operator ran: seconds from the start of the process."""
        found: dict[str, list[float]] = {"it is ready": [], "the job that waited has its worker": []}
        for _ in range(self.sizes.restarts):
            await self.quiet()
            assert self.operator is not None
            self.operator.child.end()
            await self._news()
            namespace, name = population.place(self._pick())
            (job,) = await self._fleet(namespace).send(name, [("job", {}, JobOptions())])
            begun, ready, patched = time.time(), 0.0, 0.0
            self.operator = self._plant.operator()
            async with self.costing("warm start") as cost:
                while not (ready and patched):
                    if not ready and await asyncio.to_thread(self.operator.ready):
                        ready = time.time() - begun
                    for call in await self._news():
                        cost.calls.append(call)
                        if (call.namespace, call.name) == (namespace, name) and call.replicas and not patched:
                            patched = call.done - begun
                    self._in_time(begun, "warm start")
                cost.calls += await self.quiet()
            await self._fleet(namespace).client().follow(flows.cancel(namespace, name, job))
            for key, value in zip(found, (ready, patched), strict=True):
                found[key].append(value)
        return found

    async def idle(self) -> None:
        """Nothing happens."""
        await self.quiet()
        async with self.costing("nothing happens"):
            await asyncio.sleep(self.sizes.idle_seconds)

    async def reactions(self) -> tuple[Calling, list[float]]:
        """Jobs into empty queues at random moments; beside them the same PATCH from here: seconds of each."""
        await self.quiet()
        calling, control = Calling(), list[float]()
        dice = random.Random(SEED)
        async with self.costing(f"{self.sizes.rate:g} pools a second called up") as cost:
            watching = asyncio.create_task(self._watch(calling, cost))
            for n in range(self.sizes.samples):
                await self._call_up([self._pick()], calling)
                await asyncio.sleep(dice.expovariate(2 * self.sizes.rate))
                begun = time.perf_counter()
                await self._api.set_replicas(population.place(0)[0], population.CONTROL, (n + 1) % 2)
                control.append(time.perf_counter() - begun)
                await asyncio.sleep(dice.expovariate(2 * self.sizes.rate))
            await self._arrived(calling, watching)
        return calling, control

    async def burst(self) -> Calling:
        """Many empty queues get a job at the same moment."""
        await self.quiet()
        calling = Calling()
        async with self.costing(f"{self.sizes.burst} pools called up at once") as cost:
            watching = asyncio.create_task(self._watch(calling, cost))
            await self._call_up([self._pick() for _ in range(self.sizes.burst)], calling)
            await self._arrived(calling, watching)
        return calling

    async def moving(self) -> None:
        """The numbers of all queues move, and no pool changes its size: delayed jobs come, far from due."""
        await self.quiet()
        dice, step = random.Random(SEED), 0.1
        async with self.costing(f"{self.sizes.moving_rate:g} delayed jobs a second come in"):
            end = time.monotonic() + self.sizes.moving_seconds
            while time.monotonic() < end:
                for _ in range(round(self.sizes.moving_rate * step)):
                    namespace, name = population.place(dice.randrange(self.sizes.queues))
                    await self._fleet(namespace).send(name, [("job", {}, JobOptions(delay=DELAY_SECONDS))])
                await asyncio.sleep(step)

    # --- parts of them

    @asynccontextmanager
    async def costing(self, name: str) -> AsyncIterator[Cost]:
        """Measure what the operator uses meanwhile."""
        assert self.operator is not None
        await self._news()
        cost, child = Cost(name), self.operator.child
        begun, cpu = time.monotonic(), child.cpu_seconds()
        yield cost
        cost.seconds = time.monotonic() - begun
        cost.cpu = (child.cpu_seconds() - cpu) / cost.seconds
        cost.rss = child.rss_bytes()
        cost.calls += await self._news()
        self.costs.append(cost)
        self._say(f"{name}: {cost.seconds:.1f} s, {cost.cpu:.0%} of a core, {cost.rss >> 20} MB")

    async def quiet(self) -> list[Call]:
        """Wait until the operator has nothing left to do; returns what it called until then."""
        last, begun, calls = time.time(), time.time(), list[Call]()
        while time.time() - last < QUIET_SECONDS:
            news = await self._news()
            calls += news
            last = max([last, *(call.done for call in news if call.write and call.resource not in ROUTINE)])
            self._in_time(begun, "the operator comes to rest")
        return calls

    async def _news(self) -> list[Call]:
        await asyncio.sleep(POLL_SECONDS)
        return list(self._plant.log.news())

    async def _call_up(self, numbers: Sequence[int], calling: Calling) -> None:
        async def one(number: int) -> None:
            namespace, name = population.place(number)
            now = calling.waiting[namespace, name] = time.time()
            await self._fleet(namespace).send(name, [("job", {}, JobOptions(job_id=f"job-{now}"))])

        await asyncio.gather(*map(one, numbers))

    async def _watch(self, calling: Calling, cost: Cost) -> None:
        """Notes which pools have grown; their job is taken away, so that they shrink again."""
        while True:
            for call in await self._news():
                cost.calls.append(call)
                place = call.namespace, call.name
                if not call.replicas or call.status >= 300 or place not in calling.waiting:
                    continue
                calling.done.append(Reaction(calling.waiting.pop(place), call.received, call.done))
                client = self._fleet(call.namespace).client()
                await client.follow(flows.cancel(*place, f"job-{calling.done[-1].enqueued}"))

    async def _arrived(self, calling: Calling, watching: asyncio.Task[None]) -> None:
        begun = time.time()
        try:
            while calling.waiting:
                if watching.done():
                    watching.result()
                await asyncio.sleep(POLL_SECONDS)
                self._in_time(begun, f"pools called up: {len(calling.waiting)} of them stay at zero")
        finally:
            watching.cancel()

    def _fleet(self, namespace: str) -> Fleet:
        if namespace not in self._fleets:
            self._fleets[namespace] = Fleet(self._plant.redis.url, realm=namespace)
        return self._fleets[namespace]

    def _pick(self) -> int:
        """The queue that was called up the longest ago."""
        self._next += 1
        return self._order[self._next % len(self._order)]

    def _in_time(self, begun: float, what: str) -> None:
        if time.time() - begun > self.sizes.patience:
            raise Broken(f"{what}: not within {self.sizes.patience:.0f} s")
        if self.operator is not None and not self.operator.child.alive:
            raise Broken(f"{what}: the operator ended\n{self.operator.child.tail()}")
