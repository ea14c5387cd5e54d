"""Statuses: words at once, numbers in turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from jobfleet_operator import names, telling
from jobfleet_operator.actions import PatchStatus
from jobfleet_operator.apply import Applier, Errand
from jobfleet_operator.memory import QueueMemory
from jobfleet_operator.telling import Telling
from jobfleet_operator.world import Identity, Key, Subject


class Writer:
    """Notes what is to be written, and ends when it is let."""

    def __init__(self) -> None:
        self.written: list[tuple[str, object]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def carry_out(self, errand: Errand, seconds: Callable[[], float]) -> None:
        (action,) = errand.plan
        assert isinstance(action, PatchStatus)
        self.written.append((action.subject.key.name, action.status["waiting"]))
        await self.gate.wait()


def tell(to: Telling, name: str, waiting: int | None, *, calm: bool = True) -> None:
    identity = Identity(Key("shop", name), f"uid-{name}", "1", 1, "")
    action = None if waiting is None else PatchStatus(names.JOB_QUEUES, identity, {"waiting": waiting}, calm=calm)
    errand = Errand(identity, names.JOB_QUEUE, [], QueueMemory(), None)
    to.status(Subject(names.JOB_QUEUE, identity.key), errand, action)


async def test_numbers_wait_for_their_turn_and_are_the_newest_when_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "CALM_LEAST", 1000.0)
    writer = Writer()
    to = Telling(cast("Applier", writer), lambda: 5)
    writer.gate.clear()
    for name in "abc":
        tell(to, name, 1)
    await asyncio.sleep(0)
    assert writer.written == [("a", 1)]
    tell(to, "b", 2)
    tell(to, "d", None)
    tell(to, "c", None)  # the numbers are back where they were
    tell(to, "e", 7, calm=False)
    await asyncio.sleep(0)
    assert writer.written == [("a", 1), ("e", 7)], "words wait for nobody"
    writer.gate.set()
    async with asyncio.timeout(5):
        while to._tasks:
            await asyncio.sleep(0.001)
    assert writer.written == [("a", 1), ("e", 7), ("b", 2)]


async def test_one_status_of_a_queue_is_written_at_a_time() -> None:
    writer = Writer()
    to = Telling(cast("Applier", writer), lambda: 5)
    writer.gate.clear()
    tell(to, "a", 1, calm=False)
    tell(to, "a", 2, calm=False)
    await asyncio.sleep(0)
    assert writer.written == [("a", 1)]
    writer.gate.set()
    async with asyncio.timeout(5):
        await asyncio.gather(*to._tasks)
    tell(to, "a", 3, calm=False)
    await asyncio.sleep(0)
    assert writer.written == [("a", 1), ("a", 3)]
    to.cancel()
