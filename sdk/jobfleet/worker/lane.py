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

from jobfleet.clients.asynchronous import AsyncClient
from jobfleet.clients.patience import BLOCK_SECONDS
from jobfleet.ending import end_tasks
from jobfleet.errors import JobfleetError
from jobfleet.scripts.processing import Grant, Hold, Outcome, Pulse, retire, settle_and_claim
from jobfleet.worker import listening, verdict
from jobfleet.worker.exchanges import Exchanges, most, one_by_one
from jobfleet.worker.execution import Execution
from jobfleet.worker.holding import Holding
from jobfleet.worker.listening import TROUBLE_SECONDS
from jobfleet.worker.outlook import Outlook
from jobfleet.worker.settings import WorkerSettings
from jobfleet.worker.slots import Slots

log = logging.getLogger("jobfleet.worker")

RETIRE_SECONDS = 2.0
"""How long taking the name off a queue's list may last; the end of the lease does it as well."""

PAUSED_SECONDS = 0.2
"""How long at least a worker of a paused queue waits before it asks again."""


class Lane:
    """One queue of one worker. All methods belong to the event loop's thread.

    Attributes:
        holding: what it holds.
        on_settled: called with the number of outcomes that Redis took, after each exchange that brought some.
        came_round: when the loop last did, seconds of the monotonic clock.
    """

    def __init__(
        self, realm: str, queue: str, client: AsyncClient, settings: WorkerSettings, slots: Slots, execution: Execution
    ) -> None:
        self.realm, self.queue = realm, queue
        self._client = client
        self._settings = settings
        self._slots = slots
        self._execution = execution
        self._stir = asyncio.Event()
        self._idle = asyncio.Event()
        self._share = slots.share(settings.weight(queue), self._stir.set)
        self._exchanges = Exchanges()
        self._outlook = Outlook()
        self._tasks: set[asyncio.Task[None]] = set()
        self._broken: BaseException | None = None
        self._asked = False
        self.holding = Holding(client, (realm, queue), settings, slots, self._exchanges, self._stir.set)
        self.on_settled: Callable[[int], None] | None = None
        self.came_round = time.monotonic()

    # -- the loop

    async def run(self) -> None:
        """Serve the queue until :meth:`stop`, and then until nothing runs and everything is handed in."""
        at, client, holding = (self.realm, self.queue), self._client, self.holding
        work = listening.for_work(client, at, self._idle, self._woken)
        words = listening.for_words(client, at, self._settings.id, holding, self._ask)
        listeners = [asyncio.create_task(duty) for duty in (work, words, holding.reports.run())]
        try:
            while not (self._outlook.stopping and not (holding or holding.outcomes or self._exchanges)):
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
                await end_tasks(task)

    def _begin(self) -> Coroutine[None, None, None] | None:
        """The next exchange, if there is cause to have one; None: there is not, or not now."""
        waiting = self.holding.outcomes
        if not self._exchanges.room(len(waiting)):
            return None
        size = most(self._slots.total, full=self._outlook.flood)
        want = self._share.take(size) if self._outlook.wants else 0
        if not (want or waiting or self._asked):
            return None
        outcomes = self.holding.hand_in(size)
        self._asked = False
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
        holding, settings = self.holding, self._settings
        command = settle_and_claim(
            self.realm, self.queue, settings.id, want, outcomes, lease_ms=settings.lease_ms, seal=settings.seal
        )
        try:
            await holding.reports.before(outcomes)
            grant = await self._client.run(command)
        except JobfleetError as error:
            self._share.unused(want)
            holding.outcomes = outcomes + holding.outcomes
            self._outlook.look_round()
            log.warning("Redis gave no answer to a claim: %s", error, extra={"queue": self.queue})
            await asyncio.sleep(TROUBLE_SECONDS)
            return
        finally:
            self._exchanges.end(number)
        if grant.refused:
            log.warning(
                "outcomes refused: the lease on these attempts was lost",
                extra={"queue": self.queue, "jobs": list(grant.refused)},
            )
        self._start(grant)
        self.holding.arrived()
        self._outlook.note(number, grant, want)
        if self._outlook.hold is Hold.RETURNING:
            holding.hand_back()
        self._share.unused(want - len(grant.jobs))
        if outcomes and self.on_settled is not None:
            self.on_settled(len(outcomes) - len(grant.refused))

    def _start(self, grant: Grant) -> None:
        if self._outlook.paused:  # since this claim was sent
            self.holding.outcomes += map(verdict.returned, reversed(grant.jobs))
            self._share.unused(len(grant.jobs))
            return
        for job in grant.jobs:
            self._execution.start(self.holding.take(job))

    # -- waiting

    async def _rest(self) -> None:
        """Wait until there is cause to go on; at most as long as a blocking call may last."""
        seconds = BLOCK_SECONDS
        if self._outlook.wants:
            self._share.wait()
        else:
            self._share.leave()
            if self._outlook.may_claim:
                if self._slots.free > 0:
                    seconds = self._outlook.wait(seconds)
                    self._idle.set()
                else:
                    self._slots.when_free(self._stir.set)
        try:
            async with asyncio.timeout(seconds):
                await self._stir.wait()
        except TimeoutError:
            self._outlook.look_round()  # a token may have been lost with the worker that took it
        self._stir.clear()

    async def _woken(self) -> None:
        """The wake token is taken, and may be put to use, or else goes to another worker."""
        if self._outlook.hold.paused:
            await asyncio.sleep(PAUSED_SECONDS)  # every enqueue lays a token, even while nothing is handed out
        self._outlook.look_round()
        self._asked = not (self._outlook.wants and self._slots.free > 0)
        self._stir.set()

    def _ask(self) -> None:
        """Have the next exchange now: it says how things stand."""
        self._asked = True
        self._stir.set()

    # -- what is told from outside

    def compare(self, believed: dict[str, int], pulse: Pulse) -> None:
        """Take note of a heartbeat; ``believed`` is what was held just before."""
        if self._outlook.beat(pulse):
            self._stir.set()
        if pulse.returning and self.holding:
            self._ask()
        self.holding.compare(believed, pulse.held)

    def pause(self, *, return_running: bool) -> None:
        """Claim nothing more, and keep the lease; running jobs go on, or back to the queue."""
        self._outlook.paused = True
        if return_running:
            self.holding.hand_back()
        self._stir.set()

    def resume(self) -> None:
        """Claim again."""
        self._outlook.paused = False
        self._outlook.look_round()
        self._stir.set()

    def stop(self) -> None:
        """Claim nothing more, and wait for nothing more to join a batch."""
        self._outlook.stopping = True
        self._execution.flush()
        self._stir.set()

    async def retire(self) -> None:
        """Take this worker off the queue's list, if nothing is held; never raises."""
        with contextlib.suppress(JobfleetError, TimeoutError):  # then the end of the lease does it
            async with asyncio.timeout(RETIRE_SECONDS):
                await self._client.run(retire(self.realm, self.queue, self._settings.id))
