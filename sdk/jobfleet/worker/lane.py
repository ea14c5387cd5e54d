"""The claim loop of one queue: hands in outcomes and takes new jobs, in one call, as often as there is cause to.

It never polls: it waits for a finished job, a free slot, the queue's wake token, or the next delayed job's time, and
each wait has a bound.

While the queue is full of work there are two exchanges under way, each with half of the slots, so that Redis has
something to do while this worker runs the jobs of the other one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine

from jobfleet import flows
from jobfleet.clients.asynchronous import AsyncClient
from jobfleet.clients.patience import BLOCK_SECONDS
from jobfleet.errors import JobfleetError
from jobfleet.keys import queue_keys
from jobfleet.scripts.processing import Grant, Hold, Outcome, Pulse, retire, settle_and_claim
from jobfleet.worker import verdict
from jobfleet.worker.attempt import Attempt, Ending, end
from jobfleet.worker.exchanges import Exchanges, most, one_by_one
from jobfleet.worker.execution import Execution
from jobfleet.worker.orphans import Orphans
from jobfleet.worker.reports import Reports
from jobfleet.worker.settings import WorkerSettings
from jobfleet.worker.slots import Slots

log = logging.getLogger("jobfleet.worker")

TROUBLE_SECONDS = 1.0
"""How long the loop waits after Redis gave no answer within the client's patience."""

RETIRE_SECONDS = 2.0
"""How long taking the name off a queue's list may last; the end of the lease does it as well."""

PAUSED_SECONDS = 0.2
"""How long at least a worker of a paused queue waits before it asks again."""


class Lane:
    """One queue of one worker. All methods belong to the event loop's thread, but :meth:`held`.

    Attributes:
        reports: where it goes what running attempts tell.
        on_settled: called with the number of outcomes that Redis took, after each exchange that brought some.
    """

    def __init__(
        self, realm: str, queue: str, client: AsyncClient, settings: WorkerSettings, slots: Slots, execution: Execution
    ) -> None:
        self.realm, self.queue = realm, queue
        self._client = client
        self._settings = settings
        self._slots = slots
        self._execution = execution
        keys = queue_keys(realm, queue)
        self._wake, self._control = keys.wake, keys.control(settings.id)
        self._running: dict[str, Attempt] = {}
        self._outcomes: list[Outcome] = []
        self._exchanges = Exchanges()
        self._tasks: set[asyncio.Task[None]] = set()
        self._noted = 0
        self._broken: BaseException | None = None
        self._orphans = Orphans()
        self.reports = Reports(client, (realm, queue), settings.id, settings.seal, self.lost)
        self._stir = asyncio.Event()
        self._share = slots.share(settings.weight(queue), self._stir.set)
        self._idle = asyncio.Event()
        self._occupied = asyncio.Event()
        self._more = True
        self._flood = False
        self._relay = False
        self._hold = Hold.NONE
        self._paused = False
        self._due_at: float | None = None
        self._stopping = False
        self.on_settled: Callable[[int], None] | None = None
        self.came_round = time.monotonic()

    # -- the loop

    async def run(self) -> None:
        """Serve the queue until :meth:`stop`, and then until nothing runs and everything is handed in."""
        listeners = [
            asyncio.create_task(self._listen(), name=f"wake {self.queue}"),
            asyncio.create_task(self._obey(), name=f"control {self.queue}"),
            asyncio.create_task(self.reports.run(), name=f"reports {self.queue}"),
        ]
        try:
            while not (self._stopping and not (self._running or self._outcomes or self._exchanges)):
                self.came_round = self._exchanges.since()
                exchange = self._begin()
                if exchange is None:
                    await self._rest()
                elif one_by_one(self._slots.total):
                    await exchange
                else:
                    self._launch(exchange)
                    await asyncio.sleep(0)  # one goes out before the next is made, so that Redis begins with it
                if self._broken is not None:
                    raise self._broken
        finally:
            self.stop()
            self._share.leave()
            for task in (*listeners, *self._tasks):
                await _ended(task)

    def _wants(self) -> bool:
        return self._more and self._hold is Hold.NONE and not (self._stopping or self._paused)

    def _begin(self) -> Coroutine[None, None, None] | None:
        """The next exchange, if there is cause to have one; None: there is not, or not now."""
        if not self._exchanges.room(len(self._outcomes)):
            return None
        size = most(self._slots.total, full=self._flood)
        want = self._share.take(size) if self._wants() else 0
        if not (want or self._outcomes or self._relay):
            return None
        outcomes, self._outcomes = self._outcomes[:size], self._outcomes[size:]
        self._relay = False
        return self._exchange(self._exchanges.begin(outcomes), want, outcomes)

    def _launch(self, exchange: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(exchange)
        self._tasks.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            self._broken = self._broken or task.exception()
        self._stir.set()

    async def _exchange(self, number: int, want: int, outcomes: list[Outcome]) -> None:
        settings = self._settings
        command = settle_and_claim(
            self.realm, self.queue, settings.id, want, outcomes, lease_ms=settings.lease_ms, seal=settings.seal
        )
        try:
            await self.reports.before(outcomes)
            grant = await self._client.run(command)
        except JobfleetError as error:
            self._share.unused(want)
            self._outcomes = outcomes + self._outcomes
            self._more = True
            log.warning("Redis gave no answer to a claim: %s", error, extra={"queue": self.queue})
            await asyncio.sleep(TROUBLE_SECONDS)
            return
        finally:
            self._exchanges.end(number)
        jobs = grant.jobs
        if self._paused and jobs:  # since this claim was sent
            self._outcomes += map(verdict.returned, reversed(jobs))
            jobs = []
        for job in jobs:
            if earlier := self._running.get(job.id):
                end(earlier, Ending.WITHDRAWN)  # its lease was lost, and this very worker got the job again
            attempt = self._running[job.id] = Attempt(job, self)
            self._execution.start(attempt)
        if jobs:
            self._occupied.set()
        if grant.refused:
            log.warning(
                "outcomes refused: the lease on these attempts was lost",
                extra={"queue": self.queue, "jobs": list(grant.refused)},
            )
        if number >= self._noted:
            self._noted = number
            self._note(grant, want)
        self._share.unused(want - len(jobs))
        if outcomes and self.on_settled is not None:
            self.on_settled(len(outcomes) - len(grant.refused))

    def _note(self, grant: Grant, want: int) -> None:
        self._hold = grant.hold
        if grant.hold is Hold.RETURNING:
            self.hand_back()
        if want > 0:
            self._flood = len(grant.jobs) == want
            self._more = grant.again or self._flood
        self._due_at = None
        if due_ms := min((ms for ms in (grant.next_due_ms, grant.resume_ms) if ms), default=0):
            self._due_at = time.monotonic() + max(0, due_ms - grant.now_ms) / 1000

    # -- waiting

    async def _rest(self) -> None:
        """Wait until there is cause to go on; at most as long as a blocking call may last."""
        seconds = BLOCK_SECONDS
        if self._wants():
            self._share.wait()
        else:
            self._share.leave()
            if self._hold is not Hold.DRAINING and not (self._stopping or self._paused):
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
                if self._hold.paused:
                    await asyncio.sleep(PAUSED_SECONDS)  # every enqueue lays a token, even while nothing is handed out
                self._look_round()
                self._relay = not (
                    self._wants() and self._slots.free > 0
                )  # a token that this worker cannot use goes to another
                self._stir.set()

    def _look_round(self) -> None:
        """Believe nothing about the queue but what the next exchange says."""
        self._more = True
        if self._hold.paused:
            self._hold = Hold.NONE

    async def _obey(self) -> None:
        """Carry out what this worker is told, only while some jobs run: ``cancel <id> <attempt>``, or ``look``."""
        while True:
            if not self._running:
                self._occupied.clear()
                await self._occupied.wait()
            try:
                told = await self._client.pop_value(self._control)
            except JobfleetError:
                await asyncio.sleep(TROUBLE_SECONDS)  # the listener for work says why
                continue
            match (told or b"").decode("utf-8", "replace").split():
                case ["cancel", job_id, attempt] if attempt.isdigit():
                    self.cancel(job_id, int(attempt))
                case [flows.LOOK]:
                    self._ask()
                case []:
                    pass
                case _:
                    log.warning("told something unheard of", extra={"queue": self.queue, "told": told})

    def _ask(self) -> None:
        """Have the next exchange now: it says how things stand."""
        self._relay = True
        self._stir.set()

    # -- attempts

    def settled(self, attempt: Attempt, outcome: Outcome) -> None:
        """An attempt's outcome, to be handed in with the next exchange."""
        if self._running.get(attempt.job.id) is attempt:
            del self._running[attempt.job.id]
        self._outcomes.append(outcome)
        self._stir.set()

    def freed(self) -> None:
        """A slot came free."""
        self._slots.give(1)
        self._stir.set()

    def finished(self, attempt: Attempt, outcome: Outcome) -> None:
        """Both at once."""
        self.settled(attempt, outcome)
        self._slots.give(1)

    def cancel(self, job_id: str, attempt: int) -> bool:
        """End a running attempt for good: async handlers are cancelled, threads told, processes killed."""
        running = self._running.get(job_id)
        if running is None or running.job.attempt != attempt:
            return False
        log.info("job cancelled while it ran", extra={"queue": self.queue, "job": job_id, "attempt": attempt})
        end(running, Ending.CANCELLED)
        return True

    def held(self) -> dict[str, int]:
        """What this worker believes to hold, id → attempt. May be called from any thread."""
        return {job_id: attempt.job.attempt for job_id, attempt in self._running.copy().items()}

    @property
    def burdened(self) -> bool:
        """Whether something runs or is to be handed in."""
        return bool(self._running or self._outcomes or any(self._exchanges.ids()))

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
        if pulse.returning and self._running:
            self._ask()
        for job_id, number in believed.items():
            if pulse.held.get(job_id) != number:
                self.lost(job_id, number)
        exchanges = self._exchanges
        known = {outcome.id for outcome in self._outcomes} | set(exchanges.ids()) | self._running.keys()
        for job_id, number in self._orphans.look(pulse.held, known, exchanges.begun, exchanges.oldest):
            log.warning("a job was leased and never seen; returned", extra={"queue": self.queue, "job": job_id})
            self._outcomes.append(Outcome(job_id, number, "return"))
            self._stir.set()

    def lost(self, job_id: str, number: int) -> None:
        """Redis says that an attempt is this worker's no more: end its handler, and tell nothing more of it."""
        attempt = self._running.get(job_id)
        if attempt is not None and attempt.job.attempt == number:
            log.warning("lease lost, attempt ended", extra={"queue": self.queue, "job": job_id, "attempt": number})
            del self._running[job_id]
            end(attempt, Ending.WITHDRAWN)

    # -- pause

    def pause(self, *, return_running: bool) -> None:
        """Claim nothing more, and keep the lease; running jobs go on, or back to the queue."""
        self._paused = True
        if return_running:
            self.hand_back()
        self._stir.set()

    def resume(self) -> None:
        """Claim again."""
        self._paused = False
        self._more = True
        self._stir.set()

    # -- the end

    def stop(self) -> None:
        """Claim nothing more, and wait for nothing more to join a batch."""
        self._stopping = True
        self._execution.flush()
        self._stir.set()
        self._idle.set()

    def hand_back(self) -> None:
        """Return what still runs, unfailed, and end its handlers."""
        if self._running:
            log.info("running jobs go back to the queue", extra={"queue": self.queue, "jobs": len(self._running)})
        for attempt in reversed(list(self._running.values())):  # each goes to the head of its line
            self._running.pop(attempt.job.id, None)
            self._outcomes.append(verdict.returned(attempt.job))
            end(attempt, Ending.WITHDRAWN)
        self._stir.set()

    async def retire(self) -> None:
        """Take this worker off the queue's list, if nothing is held; never raises."""
        with contextlib.suppress(JobfleetError, TimeoutError):  # then the end of the lease does it
            async with asyncio.timeout(RETIRE_SECONDS):
                await self._client.run(retire(self.realm, self.queue, self._settings.id))


async def _ended(task: asyncio.Task[None]) -> None:
    """End a task. One cancel may not do: redis-py can swallow it while it gives a connection up."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=0.1)
