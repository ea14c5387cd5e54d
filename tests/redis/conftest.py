from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from jobfleet.clients.asynchronous import AsyncClient


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[AsyncClient]:
    client = AsyncClient(redis_url)
    yield client
    await client.close()
