"""Starts a worker's parts, and stops them in the right order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from jobfleet.clients.asynchronous import AsyncClient
from jobfleet.ending import end_tasks
from jobfleet.errors import ConfigurationError
from jobfleet.worker import interrupts
from jobfleet.worker.execution import Execution
from jobfleet.worker.health import Health
from jobfleet.worker.keeper import Keeper
from jobfleet.worker.lane import Lane
from jobfleet.worker.recycling import Recycling
from jobfleet.worker.settings import WorkerSettings
from jobfleet.worker.slots import Slots

if TYPE_CHECKING:
    from jobfleet.handlers import Registry

log = logging.getLogger("jobfleet.worker")


async def _all(tasks: list[asyncio.Task[None]]) -> None:
    await asyncio.gather(*tasks)


async def _each(*steps: Callable[[], Awaitable[None]]) -> None:
    """Take all steps, one after the other, whatever one of them raises; the first error is raised then."""
    first: BaseException | None = None
    for step in steps:
        try:
            await step()
        except BaseException as error:
            if first is not None:
                log.exception("another error at the worker's end")
            first = first or error
    if first is not None:
        raise first


LAST_WORDS_SECONDS = 10.0
"""How long the last outcomes may take to reach Redis; after that the end of the lease gives the jobs back."""


PARTING_SECONDS = 2.0
"""How long Redis may be silent at the end of a worker that holds nothing and has nothing to hand in."""


class Worker:
    """One worker process.

    :meth:`run` serves until :meth:`stop`; then running jobs have ``drain_seconds`` to end, and the rest go back to the
    queue unfailed. A second :meth:`stop` hands them back at once.
    """

    def __init__(self, url: str, realm: str, registry: Registry, settings: WorkerSettings) -> None:
        self._url, self._realm = url, realm
        self._registry = registry
        self.settings = settings
        self._stops = 0
        self._told = asyncio.Event()
        self._hurry = asyncio.Event()
        self.started = asyncio.Event()
        self._lanes: list[Lane] = []
        self._paused: set[str] = set()
        self._slots = Slots(settings.concurrency)
        self._execution: Execution | None = None

    def resize(self, slots: int) -> int:
        """Run up to ``slots`` jobs at a time from now on: more at once, fewer as jobs end; no job is interrupted.

        Returns how many it had.

        Raises:
            ConfigurationError: it is no whole number, or less than one.
        """
        if isinstance(slots, bool) or not isinstance(slots, int) or slots < 1:
            raise ConfigurationError(
                f"slots: {slots!r} must be a whole number, at least 1; to run nothing, pause the queue"
            )
        before = self._slots.total
        log.info("worker resized", extra={"worker": self.settings.id, "slots": slots, "before": before})
        self._slots.resize(slots)
        if self._execution is not None:
            self._execution.threads.resize(slots)
        return before

    def pause(self, queue: str | None = None, *, return_running: bool = False) -> None:
        """Claim nothing more here, from one queue or from all; other workers go on, and this one keeps its leases.

        Running jobs go on. With ``return_running`` they do not: async handlers are cancelled, threads told by their
        token, processes ended, and the jobs go back to the queue at once, unfailed.

        Raises:
            ConfigurationError: this worker does not serve that queue.
        """
        for name in self._meant(queue):
            self._paused.add(name)
        for lane in self._lanes:
            if lane.queue in self._meant(queue):
                lane.pause(return_running=return_running)

    def resume(self, queue: str | None = None) -> None:
        """End a pause of this worker, for one queue or for all. Errors as of :meth:`pause`."""
        for name in self._meant(queue):
            self._paused.discard(name)
        for lane in self._lanes:
            if lane.queue in self._meant(queue):
                lane.resume()

    def _meant(self, queue: str | None) -> tuple[str, ...]:
        served = self.settings.queue_names
        if queue is None:
            return served
        if queue not in served:
            raise ConfigurationError(f"queue: this worker does not serve {queue!r}, but {', '.join(served)}")
        return (queue,)

    def cancel(self, queue: str, job_id: str, attempt: int) -> bool:
        """Cancel a job that runs here; False: it does not, or in another attempt."""
        return any(lane.holding.cancel(job_id, attempt) for lane in self._lanes if lane.queue == queue)

    def stop(self) -> None:
        """Ask the worker to end; again: at once."""
        self._stops += 1
        self._finish()
        if self._stops > 1:
            self._hurry.set()

    def _finish(self) -> None:
        for lane in self._lanes:
            lane.stop()
        self._told.set()

    async def run(self, *, signals: bool = False) -> None:
        """Serve until told to stop and everything is handed in or back.

        With ``signals``, SIGTERM and SIGINT call :meth:`stop` meanwhile, and mean nothing else: for a program that does
        nothing but run workers. Otherwise they are the program's own, which is to call :meth:`stop` before it ends.

        Cancelled, it hands in what is done and hands back what runs, for which Redis has ten seconds; cancelled again,
        it leaves that to the end of its lease.

        Raises:
            ConfigurationError: the health port cannot be opened.
            Exception: what ``worker_starting``, ``worker_ended`` or the clearing up of a lasting dependency raised.
        """
        settings, slots = self.settings, self._slots
        client = AsyncClient(self._url)
        execution = self._execution = Execution(self._registry, settings.max_memory_mb)
        queues = settings.queue_names
        self._lanes = [Lane(self._realm, queue, client, settings, slots, execution) for queue in queues]
        for lane in self._lanes:
            if lane.queue in self._paused:
                lane.pause(return_running=False)
        recycling = Recycling(settings.max_jobs, settings.max_memory_mb, self._finish)
        if recycling.wanted:
            for lane in self._lanes:
                lane.on_settled = recycling.note
        health = Health(settings.health_port, self._lanes, settings.stall_seconds)
        keeper = Keeper(self._url, self._lanes, settings, slots)
        middleware = self._registry.middleware
        loops: list[asyncio.Task[None]] = []
        with interrupts.taken(self.stop) if signals else contextlib.nullcontext():
            try:
                for starting in middleware.of("worker_starting"):
                    await starting()
                await keeper.start()
                loops += [asyncio.create_task(lane.run(), name=f"lane {lane.queue}") for lane in self._lanes]
                log.info(
                    "worker started",
                    extra={"worker": settings.id, "queues": ",".join(queues), "slots": slots.total},
                )
                for queue in queues:
                    if not self._registry.names(queue):
                        declared = ",".join(self._registry.queues())
                        log.warning(
                            "no job is declared for a queue that this worker serves: its jobs will fail as unknown",
                            extra={"queue": queue, "declared": declared},
                        )
                self.started.set()
                await self._serve(loops)
                health.ending = True
                await self._drain(loops)
            except asyncio.CancelledError:
                health.ending = True
                self._hurry.set()
                await self._drain(loops)
                raise
            finally:
                for lane in self._lanes:
                    lane.holding.hand_back()  # nothing is left, unless a claim loop broke or this was cancelled twice
                await _each(
                    partial(end_tasks, *loops),
                    partial(asyncio.to_thread, keeper.stop),
                    self._retire,  # after the last heartbeat
                    execution.close,
                    *reversed(middleware.of("worker_ended")),
                    partial(asyncio.to_thread, health.stop),
                    client.close,
                )
                log.info("worker ended", extra={"worker": settings.id})

    async def _retire(self) -> None:
        await asyncio.gather(*(lane.retire() for lane in self._lanes))

    async def _serve(self, loops: list[asyncio.Task[None]]) -> None:
        told = asyncio.create_task(self._told.wait())
        try:
            done, _ = await asyncio.wait({told, *loops}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            told.cancel()
        for task in done - {told}:
            task.result()  # a claim loop ends by itself only through a defect: let it be seen

    async def _drain(self, loops: list[asyncio.Task[None]]) -> None:
        for lane in self._lanes:
            lane.stop()
        running = sum(len(lane.holding) for lane in self._lanes)
        log.info("worker is ending", extra={"running": running, "drain_seconds": self.settings.drain_seconds})
        hurry = asyncio.create_task(self._hurry.wait())
        everything = asyncio.create_task(_all(loops))
        parted = asyncio.create_task(self._parted())
        either: set[asyncio.Task[Any]] = {hurry, everything, parted}
        try:
            await asyncio.wait(either, timeout=self.settings.drain_seconds, return_when=asyncio.FIRST_COMPLETED)
            if not everything.done() and not parted.done():
                left = sum(len(lane.holding) for lane in self._lanes)
                why = "the worker is to end at once" if self._hurry.is_set() else "the drain time is over"
                log.warning("running jobs go back to the queue", extra={"jobs": left, "why": why})
                for lane in self._lanes:
                    lane.holding.hand_back()
                last_words: set[asyncio.Task[Any]] = {everything, parted}
                await asyncio.wait(last_words, timeout=LAST_WORDS_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if everything.done():
                everything.result()
            elif parted.done():
                log.warning("Redis does not answer; the worker held nothing and ends")
            else:
                log.error("Redis did not take the last outcomes; the end of the lease will give the jobs back")
        finally:
            hurry.cancel()
            parted.cancel()
            everything.cancel()

    async def _parted(self) -> None:
        """Wait until for a while nothing was held and nothing to be handed in."""
        since = time.monotonic()
        while time.monotonic() - since < PARTING_SECONDS:
            await asyncio.sleep(0.05)
            if any(lane.holding.burdened for lane in self._lanes):
                since = time.monotonic()
