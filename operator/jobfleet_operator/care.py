"""Care of the queues in Redis: what no worker may be there to do, and the end of queues that are deleted.

It runs beside the loop, in one task for each Redis, so that a slow one holds nobody up.
"""

import asyncio
import logging
from collections.abc import Mapping

from jobfleet.inspection import InspectionError, QueueAddress, QueueSnapshot
from jobfleet_operator import observe
from jobfleet_operator.actions import Note
from jobfleet_operator.adapters.redis import Redises
from jobfleet_operator.addresses import RedisUrls
from jobfleet_operator.apply import Applier
from jobfleet_operator.cache import Cache
from jobfleet_operator.names import JOB_QUEUE
from jobfleet_operator.world import Key, QueueResource, cause

log = logging.getLogger(__name__)


class Care:
    """Promotes due jobs, reclaims from overdue workers, purges."""

    def __init__(self, cache: Cache, urls: RedisUrls, redises: Redises, applier: Applier) -> None:
        self._cache, self._urls, self._redises, self._applier = cache, urls, redises, applier
        self._needy: dict[str, dict[QueueAddress, QueueSnapshot]] = {}
        self._tending: dict[str, asyncio.Task[None]] = {}
        self._to_purge: dict[Key, QueueResource] = {}
        self._purging: asyncio.Task[None] | None = None

    def tend(self, urls: Mapping[Key, str | None], snapshots: Mapping[QueueAddress, QueueSnapshot]) -> None:
        """Promote due jobs and reclaim from overdue workers, where there are any."""
        for queue, url in urls.items():
            seen = snapshots.get(observe.address(queue))
            if url is None or seen is None or not seen.needy:
                continue
            self._needy.setdefault(url, {})[seen.address] = seen
            if url not in self._tending:
                self._tending[url] = asyncio.create_task(self._tend(url))

    async def _tend(self, url: str) -> None:
        try:
            while needy := self._needy.pop(url, None):
                try:
                    await self._redises.at(url).tend(needy.values())
                except InspectionError as error:
                    log.info("%d queues could not be tended: %s", len(needy), error)
        finally:
            del self._tending[url]

    def purge(self) -> None:
        """Delete the jobs of deleted JobQueues that ask for it."""
        for queue in self._cache.take_deletions():
            self._to_purge.pop(queue.key, None)
            if queue.spec is not None and queue.spec.deletion_policy == "Purge":
                self._to_purge[queue.key] = queue
        if self._to_purge and (self._purging is None or self._purging.done()):
            self._purging = asyncio.create_task(self._purge())

    def forget(self) -> None:
        """A new term begins: what was to be purged is for whoever acted then."""
        self._to_purge.clear()

    def cancel(self) -> None:
        """Leave everything where it is."""
        for task in [*self._tending.values(), *([self._purging] if self._purging else [])]:
            task.cancel()

    async def _purge(self) -> None:
        for key, queue in list(self._to_purge.items()):
            try:
                if key in self._cache.queues:
                    log.info("%s exists again: its jobs stay", key)
                elif self._to_purge.get(key) is queue:
                    await self._purge_one(queue)
            except InspectionError as error:
                log.warning("%s could not be purged yet: %s", key, error)
                if self._to_purge.get(key) is queue:
                    self._to_purge[key] = self._to_purge.pop(key)  # if it is not its Redis, others have their turn
                return  # the others are most likely in the same Redis
            if self._to_purge.get(key) is queue:
                del self._to_purge[key]

    async def _purge_one(self, queue: QueueResource) -> None:
        url, problem = self._urls.resolve(queue)
        if problem:
            message = f"deletionPolicy is Purge, and the jobs could not be deleted: {problem}"
            await self._applier.tell(Note(JOB_QUEUE, queue.identity, "PurgeFailed", message, "Warning"))
            return
        if url is None:
            msg = "its Redis is not known yet"
            raise InspectionError(msg)
        why = f"{cause(JOB_QUEUE, queue.identity)}: deleted, deletionPolicy is Purge"
        jobs = await self._redises.at(url).purge(observe.address(queue.key), why)
        message = f"deletionPolicy is Purge: {jobs} jobs were deleted with the JobQueue"
        await self._applier.tell(Note(JOB_QUEUE, queue.identity, "Purged", message))
