"""Keeps the leases: a thread with a connection of its own, which no handler and no blocked event loop can hold up."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Sequence

from jobfleet import codec
from jobfleet.clients.blocking import SyncClient
from jobfleet.clients.patience import Patience
from jobfleet.dead_letters import AT_ONCE, carry
from jobfleet.errors import JobfleetError
from jobfleet.scripts.processing import heartbeat, reclaim
from jobfleet.worker.lane import Lane
from jobfleet.worker.settings import WorkerSettings
from jobfleet.worker.slots import Slots

log = logging.getLogger("jobfleet.worker")

BEATS_PER_LEASE = 3


class Keeper:
    """Renews the lease on every lane's queue, compares notes with the lane, and does what falls to any worker.

    It reclaims from workers that died, and carries failed jobs to the dead-letter queue.

    For one lease after trouble with Redis nothing is reclaimed, since live workers could not renew theirs either.
    """

    def __init__(self, url: str, lanes: Sequence[Lane], settings: WorkerSettings, slots: Slots) -> None:
        self._lanes = lanes
        self._settings = settings
        self._period = settings.lease_ms / 1000 / BEATS_PER_LEASE
        self._client = SyncClient(url, Patience(total=self._period / 2), answer_seconds=max(0.5, self._period / 2))
        self._slots = slots
        self._loop = asyncio.get_running_loop()
        self._ended = threading.Event()
        self._trouble_until = 0.0
        self._started_ms = round(time.time() * 1000)
        self._thread = threading.Thread(target=self._run, name="jobfleet-keeper", daemon=True)

    async def start(self) -> None:
        """Begin to beat. The first beat is over when this returns: no job is claimed by a worker that nobody knows."""
        await asyncio.to_thread(self._round)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it. May be called twice."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        self._client.close()

    def _run(self) -> None:
        wait = self._period
        while not self._ended.wait(wait):
            begun = time.monotonic()
            self._round()
            wait = max(0.05, self._period - (time.monotonic() - begun))

    def _round(self) -> None:
        to_forward = []
        for lane in self._lanes:
            try:
                if self._beat(lane):
                    to_forward.append(lane)
            except JobfleetError as error:
                self._trouble_until = time.monotonic() + self._settings.lease_ms / 1000
                log.warning("a heartbeat failed: %s", error, extra={"queue": lane.queue})
            except Exception:  # whatever is wrong with one beat, the lease needs the next
                log.exception("a heartbeat broke", extra={"queue": lane.queue})
        for lane in to_forward:
            self._forward(lane)

    def _forward(self, lane: Lane) -> None:
        """Carry failed jobs to the dead-letter queue, for no longer than the heartbeats leave time."""
        until = time.monotonic() + self._period / 4
        try:
            while self._client.follow(carry(lane.realm, lane.queue, self._settings.seal)) == AT_ONCE:
                if time.monotonic() > until:
                    break
        except JobfleetError as error:
            log.warning("failed jobs are not forwarded yet: %s", error, extra={"queue": lane.queue})
        except Exception:  # as above
            log.exception("failed jobs cannot be forwarded", extra={"queue": lane.queue})

    def _beat(self, lane: Lane) -> bool:
        """One heartbeat; whether there are failed jobs to be forwarded."""
        settings = self._settings
        believed = lane.holding.held()
        info = codec.pack_info(settings.name, settings.pool, self._slots.total, self._started_ms)
        beat = heartbeat(lane.realm, lane.queue, settings.id, info, lease_ms=settings.lease_ms, name=settings.name)
        pulse = self._client.run(beat)
        self._loop.call_soon_threadsafe(lane.compare, believed, pulse)
        to_forward = pulse.to_forward > 0
        if time.monotonic() < self._trouble_until:
            return to_forward
        for peer in pulse.overdue:
            if peer != self._settings.id:
                taken = self._client.run(reclaim(lane.realm, lane.queue, peer, known_dead=False))
                if taken >= 0:
                    log.warning(
                        "a worker's lease ended, its jobs go back to the queue",
                        extra={"queue": lane.queue, "worker": peer, "jobs": taken},
                    )
        return to_forward
