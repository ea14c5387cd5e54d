"""The only module that speaks Redis: through `jobfleet.inspection`, one Inspector per URL."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from jobfleet.errors import JobfleetError
from jobfleet.inspection import InspectionError, Inspector, QueueAddress, QueueSnapshot, end_tasks

log = logging.getLogger(__name__)

SAID_AFTER_SECONDS = 5.0
"""An outage is said in conditions when it has lasted this long; the fleet is held from its first moment."""
FORGOTTEN_AFTER_SECONDS = 60.0
"""What failed and was not asked for again since is forgotten: its queue is gone."""


@dataclass(slots=True)
class Outage:
    """What fails since when, and Redis' words about it."""

    since: float
    message: str
    failed_at: float
    """The last time that it failed."""
    queues: set[QueueAddress]
    """Those that were asked for then and could not be read since."""
    answers: bool = False
    """Whether Redis has answered since, if only to a small question."""

    def said(self, now: float) -> str:
        """The sentence, when it has lasted long enough; "" otherwise."""
        return self.message if now - self.since >= SAID_AFTER_SECONDS else ""


class Redises:
    """All the Redis servers that queues live in."""

    def __init__(
        self,
        woken: Callable[[QueueAddress], None],
        actor: str = "operator",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`woken` is called when a queue got work while it was empty; `actor` is who acts, for the queues' audit."""
        self._woken, self._actor, self._clock = woken, actor, clock
        self._inspectors: dict[str, Inspector] = {}
        self._listeners: dict[str, asyncio.Task[None]] = {}
        self._failing: dict[str, Outage] = {}
        self._unreadable: dict[tuple[str, QueueAddress], Outage] = {}
        """Single queues that cannot be read in a Redis that answers."""
        self._probes: dict[str, asyncio.Task[None]] = {}

    def at(self, url: str) -> Inspector:
        """The window into this Redis. Raises InspectionError when the URL is not one."""
        inspector = self._inspectors.get(url)
        if inspector is None:
            try:
                inspector = Inspector(url, self._actor)
            except JobfleetError as error:
                raise InspectionError(str(error)) from error
            self._inspectors[url] = inspector
            self._listeners[url] = asyncio.create_task(self._listen(inspector), name="wakes")
        return inspector

    async def read(self, url: str, ahead_ms: Mapping[QueueAddress, int]) -> dict[QueueAddress, QueueSnapshot]:
        """What these queues hold, in one round trip, of those that can be read; nothing when Redis does not answer.

        Each is read with how far to look ahead at its delayed jobs.

        Only the first failure is waited for: while a Redis fails, it is asked from a task of its own, and
        the queues in other ones do not wait for it.
        """
        wanted = list(ahead_ms)
        outage = self._failing.get(url)
        if outage is not None and not outage.answers:
            if url not in self._probes and wanted:
                self._probes[url] = asyncio.create_task(self._probe(url, outage, wanted[0]), name="probe")
            return {}
        try:
            found, unreadable = await self.at(url).read(wanted, ahead_ms)
        except InspectionError as error:
            self._note_outage(url, wanted, str(error))
            return {}
        except Exception as error:
            # What nobody thought of must not hold up the queues in other Redis servers.
            log.exception("a Redis was asked in vain")
            self._note_outage(url, wanted, f"{type(error).__name__}: {error}")
            return {}
        if outage is not None:
            outage.queues.difference_update(wanted)
            # What is answered to a few may still be too much for all: it is over when those that failed can be read.
            if not outage.queues and self._failing.get(url) is outage:
                del self._failing[url]
                log.info("Redis answers again")
        self._note_unreadable(url, found, unreadable)
        return found

    def _note_outage(self, url: str, wanted: Collection[QueueAddress], message: str) -> None:
        now = self._clock()
        outage = self._failing.get(url)
        if outage is None:
            log.warning("Redis cannot be read, the fleet is held: %s", message)
            outage = self._failing[url] = Outage(now, message, now, set())
        outage.message, outage.failed_at, outage.answers = message, now, False
        outage.queues.update(wanted)

    def _note_unreadable(
        self, url: str, found: Collection[QueueAddress], unreadable: Mapping[QueueAddress, str]
    ) -> None:
        now = self._clock()
        for address in found:
            if self._unreadable and self._unreadable.pop((url, address), None) is not None:
                log.info("queue %s can be read again", address)
        for address, message in unreadable.items():
            known = self._unreadable.get((url, address))
            if known is None:
                log.warning("queue %s cannot be read, its pools are held: %s", address, message)
                self._unreadable[url, address] = Outage(now, message, now, {address}, answers=True)
            else:
                known.message, known.failed_at = message, now

    async def _probe(self, url: str, outage: Outage, address: QueueAddress) -> None:
        try:
            await self.at(url).read([address])
        except InspectionError as error:
            outage.message, outage.failed_at = str(error), self._clock()
        else:
            outage.answers = True
            self._woken(address)
        finally:
            self._probes.pop(url, None)

    def outage(self, url: str) -> str:
        """The sentence about an outage that has lasted long enough to be said; "" otherwise."""
        outage = self._failing.get(url)
        return outage.said(self._clock()) if outage is not None else ""

    def unreadable(self, url: str) -> dict[QueueAddress, str]:
        """The same about the queues that cannot be read while this Redis answers."""
        found = {place: outage.said(self._clock()) for (at, place), outage in self._unreadable.items() if at == url}
        return {place: why for place, why in found.items() if why}

    def why(self, url: str, address: QueueAddress) -> str:
        """Why this queue could not be read the last time, however short ago that was; "": it could."""
        outage = self._failing.get(url) or self._unreadable.get((url, address))
        return outage.message if outage is not None else ""

    async def keep_only(self, urls: set[str]) -> None:
        """Close the connections to servers that no queue lives in any more."""
        for url in set(self._inspectors) - urls:
            await self._drop(url)
        long_ago = self._clock() - FORGOTTEN_AFTER_SECONDS
        for url, outage in list(self._failing.items()):
            if url not in urls or (outage.answers and outage.failed_at < long_ago):
                del self._failing[url]
        for (url, address), outage in list(self._unreadable.items()):
            if url not in urls or outage.failed_at < long_ago:
                del self._unreadable[url, address]

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
