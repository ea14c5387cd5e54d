"""Outages: one Redis that is silent holds up nobody but its own queues."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from jobfleet.inspection import QueueAddress
from jobfleet_operator.adapters.redis import Redises

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
    assert await redises.read("nonsense://", {PHOTOS: 0}) == {}
    await redises.close()
