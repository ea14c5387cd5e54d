"""The claim loop of one queue: hands in outcomes and takes new jobs, in one call, as often as there is cause to.

It never polls: it waits for a finished job, a free slot, the queue's wake token, or the next delayed job's time, and
each wait has a bound.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time

from jobfleet.clients.asynchronous import AsyncClient
from jobfleet.clients.patience import BLOCK_SECONDS
from jobfleet.errors import JobfleetError
from jobfleet.keys import queue_keys
from jobfleet.scripts.processing import MAX_BATCH, Grant, Hold, Outcome, Pulse, retire, settle_and_claim
from jobfleet.worker import verdict
from jobfleet.worker.execution import Attempt, Execution
from jobfleet.worker.settings import WorkerSettings
from jobfleet.worker.slots import Slots

log = logging.getLogger("jobfleet.worker")

TROUBLE_SECONDS = 1.0
"""How long the loop waits after Redis gave no answer within the client's patience."""

PAUSED_SECONDS = 0.2
"""How long at least a worker of a paused queue waits before it asks again."""


class Lane:
    """One queue of one worker. All methods belong to the event loop's thread, but :meth:`held`."""

    def __init__(
        self, realm: str, queue: str, client: AsyncClient, settings: WorkerSettings, slots: Slots, execution: Execution
    ) -> None:
        self.realm, self.queue = realm, queue
        self._client = client
        self._settings = settings
        self._slots = slots
        self._execution = execution
        self._wake = queue_keys(realm, queue).wake
        self._running: dict[str, Attempt] = {}
        self._outcomes: list[Outcome] = []
        self._sending: dict[str, int] = {}
        self._in_flight = False
        self._exchanges = 0
        self._unknown: dict[tuple[str, int], int] = {}
        self._stir = asyncio.Event()
        self._idle = asyncio.Event()
        self._more = True
        self._relay = False
        self._hold = Hold.NONE
        self._due_at: float | None = None
        self._stopping = False
        self.came_round = time.monotonic()

    # -- the loop

    async def run(self) -> None:
        """Serve the queue until :meth:`stop`, and then until nothing runs and everything is handed in."""
        listener = asyncio.create_task(self._listen(), name=f"wake {self.queue}")
        try:
            while not (self._stopping and not self._running and not self._outcomes):
                self.came_round = time.monotonic()
                if self._outcomes or self._relay or self._can_claim():
                    await self._exchange()
                else:
                    await self._rest()
        finally:
            await self._end(listener)

    def _can_claim(self) -> bool:
        return self._more and self._hold is Hold.NONE and not self._stopping and self._slots.free > 0

    async def _exchange(self) -> None:
        outcomes, self._outcomes = self._outcomes[:MAX_BATCH], self._outcomes[MAX_BATCH:]
        self._sending = {outcome.id: outcome.attempt for outcome in outcomes}
        want = 0 if self._stopping or self._hold is not Hold.NONE else self._slots.take(MAX_BATCH)
        self._relay = False
        self._in_flight = True
        settings = self._settings
        command = settle_and_claim(
            self.realm, self.queue, settings.id, want, outcomes, lease_ms=settings.lease_ms, seal=settings.seal
        )
        try:
            grant = await self._client.run(command)
        except JobfleetError as error:
            self._slots.give(want)
            self._outcomes = outcomes + self._outcomes
            self._more = True
            log.warning("Redis gave no answer to a claim: %s", error, extra={"queue": self.queue})
            await asyncio.sleep(TROUBLE_SECONDS)
            return
        finally:
            self._sending = {}
            self._in_flight = False
            self._exchanges += 1
        for job in grant.jobs:
            if earlier := self._running.get(job.id):
                earlier.withdraw()  # its lease was lost, and this very worker got the job again
            attempt = self._running[job.id] = Attempt(job)
            self._execution.start(attempt, self._settle, self._free)
        self._note(grant, want)
        self._slots.give(want - len(grant.jobs))

    def _note(self, grant: Grant, want: int) -> None:
        self._hold = grant.hold
        if want > 0:
            self._more = grant.again or len(grant.jobs) == want
        self._due_at = None
        if due_ms := min((ms for ms in (grant.next_due_ms, grant.resume_ms) if ms), default=0):
            self._due_at = time.monotonic() + max(0, due_ms - grant.now_ms) / 1000
        if grant.refused:
            log.warning(
                "outcomes refused: the lease on these attempts was lost",
                extra={"queue": self.queue, "jobs": list(grant.refused)},
            )

    # -- waiting

    async def _rest(self) -> None:
        """Wait until there is cause to go on; at most as long as a blocking call may last."""
        seconds = BLOCK_SECONDS
        if self._hold is not Hold.DRAINING and not self._stopping:
            if self._slots.free > 0:
                if self._due_at is not None:
                    seconds = min(seconds, max(0.001, self._due_at - time.monotonic()))
                self._idle.set()
            else:
                self._slots.when_free(self._stir.set)
        try:
            async with asyncio.timeout(seconds):
                await self._stir.wait()
        except TimeoutError:
            self._look_round()  # a token may have been lost with the worker that took it
        self._stir.clear()

    async def _listen(self) -> None:
        """Take the wake token whenever the loop is idle with free slots."""
        while True:
            await self._idle.wait()
            if self._stopping:
                return
            self._idle.clear()
            try:
                woken = await self._client.pop(self._wake)
            except JobfleetError as error:
                log.warning("the wait for work broke: %s", error, extra={"queue": self.queue})
                await asyncio.sleep(TROUBLE_SECONDS)
                woken = True
            if woken:
                if self._hold is Hold.PAUSED:
                    await asyncio.sleep(PAUSED_SECONDS)  # every enqueue lays a token, even while nothing is handed out
                self._look_round()
                self._relay = not self._can_claim()  # a token that this worker cannot use goes to another
                self._stir.set()

    def _look_round(self) -> None:
        """Believe nothing about the queue but what the next exchange says."""
        self._more = True
        if self._hold is Hold.PAUSED:
            self._hold = Hold.NONE

    # -- attempts

    def _settle(self, attempt: Attempt, outcome: Outcome) -> None:
        self._running.pop(attempt.job.id, None)
        self._outcomes.append(outcome)
        self._stir.set()

    def _free(self, attempt: Attempt) -> None:
        if self._running.get(attempt.job.id) is attempt:
            del self._running[attempt.job.id]
        self._slots.give(1)
        self._stir.set()

    def held(self) -> dict[str, int]:
        """What this worker believes to hold, id → attempt. May be called from any thread."""
        return {job_id: attempt.job.attempt for job_id, attempt in self._running.copy().items()}

    def longest_limit(self) -> float | None:
        """The longest time a running job may take, in seconds; None: at least one has no limit. From any thread."""
        limits = [attempt.limit for attempt in self._running.copy().values()]
        return None if None in limits else max((limit for limit in limits if limit is not None), default=0.0)

    def compare(self, believed: dict[str, int], pulse: Pulse) -> None:
        """Mend what a heartbeat shows: attempts that were taken away, and jobs that nobody here knows of."""
        if pulse.draining is not (self._hold is Hold.DRAINING):
            self._hold = Hold.DRAINING if pulse.draining else Hold.NONE
            self._more = True
            self._stir.set()
        for job_id, number in believed.items():
            attempt = self._running.get(job_id)
            if attempt is not None and attempt.job.attempt == number and pulse.held.get(job_id) != number:
                log.warning("lease lost, attempt ended", extra={"queue": self.queue, "job": job_id, "attempt": number})
                del self._running[job_id]
                attempt.withdraw()
        self._return_orphans(pulse)

    def _return_orphans(self, pulse: Pulse) -> None:
        """A claim whose answer was lost leaves jobs leased to this worker that it never saw; they go back unfailed.

        Sure only if seen twice, and if an exchange that was under way at the first sight has ended since.
        """
        known = {outcome.id for outcome in self._outcomes} | self._sending.keys() | self._running.keys()
        seen, self._unknown = self._unknown, {}
        for job in pulse.held.items():
            if job[0] in known:
                continue
            sure_after = seen.get(job)
            if sure_after is None:
                self._unknown[job] = self._exchanges + self._in_flight
            elif self._exchanges < sure_after:
                self._unknown[job] = sure_after
            else:
                log.warning("a job was leased and never seen; returned", extra={"queue": self.queue, "job": job[0]})
                self._outcomes.append(Outcome(*job, "return"))
                self._stir.set()

    # -- the end

    def stop(self) -> None:
        """Claim nothing more."""
        self._stopping = True
        self._stir.set()
        self._idle.set()

    async def _end(self, listener: asyncio.Task[None]) -> None:
        """End the listener. One cancel may not do: redis-py can swallow it while it gives a connection up."""
        self.stop()
        while not listener.done():
            listener.cancel()
            await asyncio.wait({listener}, timeout=0.1)

    def hand_back(self) -> None:
        """Return what still runs, unfailed, and end its handlers."""
        for attempt in list(self._running.values()):
            self._running.pop(attempt.job.id, None)
            self._outcomes.append(verdict.returned(attempt.job))
            attempt.withdraw()
        self._stir.set()

    async def retire(self) -> None:
        """Take this worker off the queue's list, if nothing is held; never raises."""
        with contextlib.suppress(JobfleetError):  # then the end of the lease does it
            await self._client.run(retire(self.realm, self.queue, self._settings.id))
