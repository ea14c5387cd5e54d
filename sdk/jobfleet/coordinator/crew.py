"""The workers that a coordinator runs in its own process, on one event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from jobfleet.ending import end_tasks
from jobfleet.environment import Environment
from jobfleet.errors import Unavailable
from jobfleet.scripts import steering
from jobfleet.worker.settings import WorkerSettings

if TYPE_CHECKING:
    from jobfleet.fleet import Fleet
    from jobfleet.handlers import Handler
    from jobfleet.worker.supervision import Worker

log = logging.getLogger("jobfleet.coordinator")


class Crew:
    """Workers, each for one queue. All coroutines are for one event loop."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._workers: list[tuple[Worker, asyncio.Task[None]]] = []

    async def register(self, handler: Handler, concurrency: int) -> Worker:
        """Start a worker for the handler's queue; it has started when this returns.

        Raises:
            ConfigurationError: ``concurrency`` is below 1, or the queue has a handler of that name.
            Exception: what kept the worker from starting; the handler is not registered then.
        """
        settings = WorkerSettings(queues=(handler.queue,), concurrency=concurrency)
        self._fleet.registry.add(handler)
        worker = self._fleet.worker(settings)
        running = asyncio.create_task(worker.run(), name=f"worker {settings.id}")
        started = asyncio.create_task(worker.started.wait())
        try:
            await asyncio.wait({running, started}, return_when=asyncio.FIRST_COMPLETED)
            if not worker.started.is_set():
                await running  # it raises what kept it
        except BaseException:
            self._fleet.registry.remove(handler)
            await end_tasks(running)
            raise
        finally:
            started.cancel()
        self._workers.append((worker, running))
        return worker

    async def scale(self, slots: int, why: str) -> str:
        """Give each worker so many slots; the answer says what was done."""
        resized: dict[str, list[str]] = {}
        for worker, _ in self._workers:
            before = worker.resize(slots)
            for queue in worker.settings.queue_names if before != slots else ():
                resized.setdefault(queue, []).append(f"{worker.settings.id} {before}->{slots} slots")
        await self._record_resized(resized, why)
        done = f"{len(self._workers)} workers of this process have {slots} slots each now"
        pool = Environment.read().pool
        if not pool:
            return done
        ask = f'kubectl patch workerpool {pool} --type merge -p \'{{"spec": {{"minReplicas": N}}}}\''
        return f"{done}; the number of workers is the WorkerPool's: {ask}"

    async def _record_resized(self, resized: Mapping[str, list[str]], why: str) -> None:
        realm, by = self._fleet.realm, self._fleet.author(why)
        told = [steering.record(realm, q, by, "resize", len(whom), ", ".join(whom)) for q, whom in resized.items()]
        try:
            if told:
                await self._fleet.client().run_many(told)
        except Unavailable as error:
            log.warning("the audit does not tell that workers were resized: %s", error)

    async def pause(self, queue: str | None, *, return_running: bool) -> int:
        """Have those of a queue, or all, claim nothing more; returns how many that are."""
        serving = self._serving(queue)
        for worker in serving:
            worker.pause(queue, return_running=return_running)
        return len(serving)

    async def resume(self, queue: str | None) -> int:
        """Have those of a queue, or all, claim again; returns how many that are."""
        serving = self._serving(queue)
        for worker in serving:
            worker.resume(queue)
        return len(serving)

    def _serving(self, queue: str | None) -> list[Worker]:
        return [worker for worker, _ in self._workers if queue is None or queue in worker.settings.queue_names]

    def problems(self) -> list[str]:
        """Which workers have ended before they were told to, a sentence each."""
        ended = [worker.settings.id for worker, task in self._workers if task.done()]
        return [f"the worker {worker} of this process has ended; shutdown tells why" for worker in ended]

    async def end(self) -> None:
        """Drain and end all. May be called twice.

        Raises:
            Exception: what one of them ended with; all have ended.
        """
        workers, self._workers = self._workers, []
        for worker, _ in workers:
            worker.stop()
        for end in await asyncio.gather(*(task for _, task in workers), return_exceptions=True):
            if end is not None:
                raise end
