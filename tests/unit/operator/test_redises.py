"""Outages: one Redis that is silent holds up nobody but its own queues."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection
from typing import Any

import pytest

from jobfleet.inspection import InspectionError, Inspector, QueueAddress, QueueSnapshot
from jobfleet_operator.adapters.redis import SAID_AFTER_SECONDS, Redises
from unit.operator.people import snapshot

PHOTOS = QueueAddress("shop", "photos")


@contextlib.asynccontextmanager
async def silent_server() -> AsyncIterator[str]:
    """Accepts connections and never says a word."""
    held: list[asyncio.StreamWriter] = []

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    for writer in held:
        writer.close()
    server.close()


async def test_only_the_first_failure_is_waited_for() -> None:
    redises = Redises(lambda _: None)
    async with silent_server() as url:
        loop = asyncio.get_running_loop()
        assert await redises.read(url, {PHOTOS: 0}) == {}
        began = loop.time()
        assert await redises.read(url, {PHOTOS: 0}) == {}
        assert loop.time() - began < 0.5, "the outage is looked at from a task of its own"
        await redises.close()


async def test_a_wrong_url_is_told_as_an_outage_and_not_raised() -> None:
    redises = Redises(lambda _: None)
    for url in ("nonsense://", "redis://:pass/word@redis:6379/0", "redis://redis/0?colour=red"):
        assert await redises.read(url, {PHOTOS: 0}) == {}
        assert "the Redis URL" in redises.why(url, PHOTOS)
    await redises.close()


async def test_what_nobody_thought_of_holds_up_no_other_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    async def read(*_: Any) -> Any:
        raise AttributeError("no attribute")

    monkeypatch.setattr(Inspector, "read", read)
    redises = Redises(lambda _: None)
    url = "redis://127.0.0.1:1/0"
    assert await redises.read(url, {PHOTOS: 0}) == {}
    assert redises.why(url, PHOTOS) == "AttributeError: no attribute"
    await redises.close()


async def test_an_outage_lasts_until_what_failed_can_be_read_whatever_smaller_questions_are_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    others, now, busy = QueueAddress("shop", "others"), [100.0], [True]
    answered = asyncio.Event()

    async def read(_: Inspector, wanted: Collection[QueueAddress], *__: Any) -> Any:
        if busy[0] and len(wanted) > 1:
            raise InspectionError("no answer to so much")
        found: dict[QueueAddress, QueueSnapshot] = dict.fromkeys(wanted, snapshot())
        return found, {}

    monkeypatch.setattr(Inspector, "read", read)
    redises, url = Redises(lambda _: answered.set(), clock=lambda: now[0]), "redis://127.0.0.1:1/0"
    for _ in range(3):
        assert await redises.read(url, {PHOTOS: 0, others: 0}) == {}
        answered.clear()
        assert await redises.read(url, {PHOTOS: 0}) == {}, "a probe goes first"
        await answered.wait()
        assert await redises.read(url, {PHOTOS: 0}), "what is answered is not held"
        now[0] += SAID_AFTER_SECONDS / 2
    assert redises.outage(url) == "no answer to so much"
    busy[0] = False
    assert len(await redises.read(url, {PHOTOS: 0, others: 0})) == 2
    assert redises.outage(url) == ""
    await redises.close()
