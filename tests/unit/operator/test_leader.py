"""One acts at a time, and whoever stands by takes over in time, on a clock that jumps from one timer to the next."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from copy import deepcopy
from typing import Any, TypeVar, cast

import pytest

from jobfleet_operator import leader
from jobfleet_operator.adapters.kube import CALL_SECONDS, Conflict, Kube, NotFound, Unavailable
from jobfleet_operator.leader import Leadership
from jobfleet_operator.world import Key, Manifest

T = TypeVar("T")
TAKEN_OVER_WITHIN_SECONDS = 15.0


class JumpingSelector(selectors.SelectSelector):
    """Waits for nothing: the time that the loop would have waited has gone by."""

    now = 1000.0

    def select(self, timeout: float | None = None) -> Any:
        self.now += timeout or 0.0
        return super().select(0)


class JumpingLoop(asyncio.SelectorEventLoop):
    """A loop with a clock of its own."""

    def __init__(self) -> None:
        self.waits = JumpingSelector()
        super().__init__(self.waits)

    def time(self) -> float:
        return self.waits.now


def play(scene: Callable[[], Awaitable[T]]) -> T:
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:

        async def whole() -> T:
            return await scene()

        return runner.run(whole())


class Server:
    """Keeps one Lease; each call takes a moment."""

    def __init__(self, latency: float = 0.0) -> None:
        self.latency, self.lease, self.calls, self.away = latency, dict[str, Any](), 0, False

    async def get(self, _: str, key: Key, plural: str) -> Manifest:
        await self._answer()
        if not self.lease:
            raise NotFound(f"{plural} {key}")
        return deepcopy(self.lease)

    async def create(self, body: Manifest, plural: str) -> None:
        await self.update(body, plural)

    async def update(self, body: Manifest, _: str) -> None:
        await self._answer()
        meta = body["metadata"]
        version = self.lease["metadata"]["resourceVersion"] if self.lease else None
        if meta.get("resourceVersion") != version:
            raise Conflict("changed")
        self.lease = body | {"metadata": meta | {"resourceVersion": str(int(version or 0) + 1)}}

    async def _answer(self) -> None:
        self.calls += 1
        await asyncio.sleep(self.latency)
        if self.away:
            raise Unavailable("no answer")


def replica(server: Server, name: str) -> Leadership:
    return Leadership(cast("Kube", server), "default", name, asyncio.get_running_loop().time)


async def acts(one: Leadership) -> float:
    """The time at which it does."""
    while not one.acting():
        await asyncio.sleep(0.01)
    return asyncio.get_running_loop().time()


def taken_over_after(phase: float, life: float, latency: float) -> tuple[float, float]:
    """A leader dies; returns when the stand-by acts, and when the leader did so last by its own account."""

    async def scene() -> tuple[float, float]:
        server = Server(latency)
        first, second = replica(server, "first"), replica(server, "second")
        leading = asyncio.ensure_future(first.run())
        await acts(first)
        await asyncio.sleep(phase)
        standing_by = asyncio.ensure_future(second.run())
        await asyncio.sleep(life)
        died_at = asyncio.get_running_loop().time()
        first._release = forget  # type: ignore[method-assign]
        leading.cancel()
        renewed_at = first._renewed_at
        assert renewed_at is not None
        took_over_at = await acts(second)
        assert not first.acting()
        standing_by.cancel()
        await asyncio.wait([leading, standing_by])
        return took_over_at - died_at, renewed_at + leader.RENEW_SECONDS - died_at

    return play(scene)


async def forget() -> None:
    """A dead process gives nothing back."""


@pytest.mark.parametrize("latency", [0.0, 0.2])
@pytest.mark.parametrize("life", [7.0, 7.7, 8.9])
def test_a_stand_by_acts_within_15_s_of_a_death_and_never_beside_the_other(life: float, latency: float) -> None:
    for step in range(20):
        took_over_after, stopped_after = taken_over_after(step / 10, life, latency)
        assert took_over_after <= TAKEN_OVER_WITHIN_SECONDS, f"phase {step / 10}"
        assert took_over_after >= stopped_after + CALL_SECONDS, "a write of its last moment has ended"


@pytest.mark.parametrize("phase", [0.1, 0.9, 1.7])
def test_a_lease_that_somebody_deletes_makes_no_two_act_and_terms_go_on_rising(phase: float) -> None:
    async def scene() -> None:
        server = Server()
        first, second = replica(server, "first"), replica(server, "second")
        leading = asyncio.ensure_future(first.run())
        await acts(first)
        await asyncio.sleep(phase)
        standing_by = asyncio.ensure_future(second.run())
        await asyncio.sleep(5.0)
        before, server.lease = first.term, {}
        for _ in range(2000):
            assert not (first.acting() and second.acting())
            await asyncio.sleep(0.01)
        assert max(one.term for one in (first, second) if one.acting()) > before
        for one in (leading, standing_by):
            one.cancel()
        await asyncio.wait([leading, standing_by])

    play(scene)


def test_a_holder_that_cannot_renew_stops_before_the_other_begins_and_nobody_asks_without_a_pause() -> None:
    async def scene() -> None:
        server = Server()
        first = replica(server, "first")
        leading = asyncio.ensure_future(first.run())
        await acts(first)
        server.away = True
        before = server.calls
        await asyncio.sleep(leader.RENEW_SECONDS + 0.01)
        assert not first.acting()
        await asyncio.sleep(60 * leader.RETRY_SECONDS)
        assert server.calls - before < 70
        leading.cancel()
        await asyncio.wait([leading])

    play(scene)


def test_a_stand_by_of_an_operator_with_longer_leases_waits_as_long_as_these_last() -> None:
    async def scene() -> None:
        server = Server()
        spec = {"holderIdentity": "older", "leaseDurationSeconds": 15}
        server.lease = {"metadata": {"resourceVersion": "1"}, "spec": spec}
        began, second = asyncio.get_running_loop().time(), replica(server, "second")
        standing_by = asyncio.ensure_future(second.run())
        assert 15.0 <= await acts(second) - began < 15.1
        standing_by.cancel()
        await asyncio.wait([standing_by])

    play(scene)
