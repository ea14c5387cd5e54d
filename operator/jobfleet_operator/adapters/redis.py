"""The only module that speaks Redis: through `jobfleet.inspection`, one Inspector per URL."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

from jobfleet.errors import JobfleetError
from jobfleet.inspection import InspectionError, Inspector, QueueAddress, QueueSnapshot, end_tasks

log = logging.getLogger(__name__)

SAID_AFTER_SECONDS = 5.0
"""An outage is said in conditions when it has lasted this long; the fleet is held from its first moment."""


class Redises:
    """All the Redis servers that queues live in."""

    def __init__(self, woken: Callable[[QueueAddress], None], actor: str = "operator") -> None:
        """`woken` is called when a queue got work while it was empty; `actor` is who acts, for the queues' audit."""
        self._woken, self._actor = woken, actor
        self._inspectors: dict[str, Inspector] = {}
        self._listeners: dict[str, asyncio.Task[None]] = {}
        self._failing: dict[str, tuple[float, str]] = {}
        self._probes: dict[str, asyncio.Task[None]] = {}

    def at(self, url: str) -> Inspector:
        """The window into this Redis. Raises InspectionError when the URL is not one."""
        inspector = self._inspectors.get(url)
        if inspector is None:
            try:
                inspector = Inspector(url, self._actor)
            except (ValueError, JobfleetError) as error:
                msg = f"the Redis URL is not valid: {error}"
                raise InspectionError(msg) from error
            self._inspectors[url] = inspector
            self._listeners[url] = asyncio.create_task(self._listen(inspector), name="wakes")
        return inspector

    async def read(self, url: str, ahead_ms: Mapping[QueueAddress, int]) -> dict[QueueAddress, QueueSnapshot]:
        """What these queues hold, in one round trip; nothing when Redis does not answer.

        Each is read with how far to look ahead at its delayed jobs.

        Only the first failure is waited for: while a Redis fails, it is asked from a task of its own, and
        the queues in other ones do not wait for it.
        """
        wanted = list(ahead_ms)
        if url in self._failing:
            if url not in self._probes and wanted:
                self._probes[url] = asyncio.create_task(self._probe(url, wanted[0]), name="probe")
            return {}
        try:
            return await self.at(url).snapshots(wanted, ahead_ms)
        except InspectionError as error:
            log.warning("Redis cannot be read, the fleet is held: %s", error)
            self._failing[url] = (time.monotonic(), str(error))
            return {}

    async def _probe(self, url: str, address: QueueAddress) -> None:
        try:
            await self.at(url).snapshots([address])
        except InspectionError as error:
            since, _ = self._failing.get(url, (time.monotonic(), ""))
            self._failing[url] = (since, str(error))
        else:
            self._failing.pop(url, None)
            log.info("Redis answers again")
            self._woken(address)
        finally:
            self._probes.pop(url, None)

    def outage(self, url: str) -> str:
        """The sentence about an outage that has lasted long enough to be said; "" otherwise."""
        since, message = self._failing.get(url, (0.0, ""))
        return message if message and time.monotonic() - since >= SAID_AFTER_SECONDS else ""

    async def keep_only(self, urls: set[str]) -> None:
        """Close the connections to servers that no queue lives in any more."""
        for url in set(self._inspectors) - urls:
            await self._drop(url)
        for url in set(self._failing) - urls:
            del self._failing[url]

    async def close(self) -> None:
        """Close all connections."""
        await self.keep_only(set())

    async def _drop(self, url: str) -> None:
        await end_tasks(self._listeners.pop(url, None), self._probes.pop(url, None))
        await self._inspectors.pop(url).close()
        self._failing.pop(url, None)

    async def _listen(self, inspector: Inspector) -> None:
        while True:
            try:
                async for address in inspector.wakes():
                    self._woken(address)
            except Exception:
                log.exception("listening for work failed; the sweep finds it meanwhile")
            await asyncio.sleep(1.0)
