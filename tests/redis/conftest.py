from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from fixtures.verbs import Queue
from jobfleet import Fleet
from jobfleet.clients.asynchronous import AsyncClient


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[AsyncClient]:
    client = AsyncClient(redis_url)
    yield client
    await client.close()


@pytest.fixture
def queue(client: AsyncClient) -> Queue:
    return Queue(client)


@pytest.fixture
async def fleet(redis_url: str) -> AsyncIterator[Fleet]:
    async with Fleet(redis_url, realm="test") as fleet:
        yield fleet
