"""Where queues are and how they are reached: one client for each event loop, one for synchronous code.

redis-py is imported with the first connection, not with the package: who only declares jobs does not pay for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Self

from jobfleet.clients.address import check_url, public_url
from jobfleet.keys import check_realm

if TYPE_CHECKING:
    from jobfleet.clients.asynchronous import AsyncClient
    from jobfleet.clients.blocking import SyncClient
    from jobfleet.ends import Ends
    from jobfleet.seal import Seal


class Connections:
    """A Redis, the realm that keeps queues apart from others', and what arguments and results are sealed with.

    Connections are made when first needed, and given back at the end of their event loop at the latest.

    Raises:
        ConfigurationError: the URL is none of Redis, or the realm has a character that keys cannot have.
    """

    def __init__(self, redis_url: str, realm: str, seal: Seal) -> None:
        self.redis_url = check_url(redis_url)
        self.realm = check_realm("realm", realm)
        self.seal = seal
        self._ends: dict[asyncio.AbstractEventLoop, dict[str, Ends]] = {}
        self._clients: dict[asyncio.AbstractEventLoop, AsyncClient] = {}
        self._stays: dict[asyncio.AbstractEventLoop, AsyncGenerator[None]] = {}
        self._sync: SyncClient | None = None
        self._lock = threading.Lock()

    def client(self) -> AsyncClient:
        """The client of the running event loop."""
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            from jobfleet.clients.asynchronous import AsyncClient  # noqa: PLC0415 - see the module's docstring

            for other in list(self._clients):
                if other.is_closed():  # by hand, without its last duties
                    self._forget(other)
            client = self._clients[loop] = AsyncClient(self.redis_url)
            self._stays[loop] = stay = self._stay(loop)
            with contextlib.suppress(StopIteration):
                stay.__anext__().send(None)  # as far as its yield, which needs no waiting
        return client

    async def _stay(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[None]:
        """Gives all back when the loop ends: ``asyncio.run`` then closes the generators that are left open."""
        try:
            yield
        finally:
            await self._leave(loop)

    async def _leave(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give back what an event loop has, which is the running one."""
        ends, client = self._ends.pop(loop, {}), self._clients.pop(loop, None)
        self._forget(loop)
        for one in ends.values():
            await one.close()
        if client is not None:
            await client.close()

    def _forget(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hold nothing more of an event loop."""
        for kept in (self._ends, self._clients, self._stays):
            kept.pop(loop, None)

    def sync_client(self) -> SyncClient:
        """The client of synchronous code; threads share it."""
        with self._lock:
            if self._sync is None:
                from jobfleet.clients.blocking import SyncClient  # noqa: PLC0415 - see the module's docstring

                self._sync = SyncClient(self.redis_url)
            return self._sync

    def ends(self, queue: str) -> Ends:
        """Who hears of the ends of a queue's jobs on the running event loop."""
        from jobfleet.ends import Ends  # noqa: PLC0415 - see the module's docstring

        found = self._ends.setdefault(asyncio.get_running_loop(), {})
        if queue not in found:
            found[queue] = Ends(self.client(), self.realm, queue, self.seal)
        return found[queue]

    async def close(self) -> None:
        """Give back the connections of the running event loop and of synchronous code. May be called twice.

        Who waits on that loop for a job's end, or for room in a queue, waits no longer.
        """
        stay = self._stays.pop(asyncio.get_running_loop(), None)
        if stay is not None:
            await stay.aclose()
        self.close_sync()

    def close_sync(self) -> None:
        """Give back the connections of synchronous code. May be called twice."""
        with self._lock:
            client, self._sync = self._sync, None
        if client is not None:
            client.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({public_url(self.redis_url)!r}, realm={self.realm!r})"
