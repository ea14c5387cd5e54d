"""What a worker holds of one queue: attempts that run, and outcomes until Redis has them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from jobfleet import codec
from jobfleet.clients.asynchronous import AsyncClient
from jobfleet.job import ClaimedJob
from jobfleet.plain import cut, plain
from jobfleet.scripts.processing import Outcome
from jobfleet.worker import verdict
from jobfleet.worker.attempt import Attempt, Ending, end
from jobfleet.worker.exchanges import Exchanges
from jobfleet.worker.orphans import Orphans
from jobfleet.worker.reports import Reports
from jobfleet.worker.settings import WorkerSettings
from jobfleet.worker.slots import Slots

log = logging.getLogger("jobfleet.worker")


CALL_BYTES = 8 * 1024 * 1024
"""What the outcomes of one exchange weigh about at most, so that Redis has them within the bound of a call."""
MOST_ERROR_BYTES = 500
"""What a log line tells of a failure; all of it is kept with the job."""

_FAILED = {"retry": "an attempt failed, and the job will be tried again", "fail": "a job failed"}


class Holding:
    """The owner of a queue's attempts. All methods belong to the event loop's thread, unless they say otherwise.

    Attributes:
        reports: where it goes what running attempts tell.
        occupied: set when jobs come.
        outcomes: to be handed in with the next exchange.
    """

    def __init__(
        self,
        client: AsyncClient,
        at: tuple[str, str],
        settings: WorkerSettings,
        slots: Slots,
        exchanges: Exchanges,
        stir: Callable[[], None],
    ) -> None:
        """``at`` is realm and queue; ``stir`` is called when there is something to hand in, or a free slot."""
        self._queue = at[1]
        self._slots = slots
        self._exchanges = exchanges
        self._stir = stir
        self._running: dict[str, Attempt] = {}
        self._orphans = Orphans()
        self._to_cancel: dict[tuple[str, int], int] = {}
        self.outcomes: list[Outcome] = []
        self.reports = Reports(client, at, settings.id, settings.seal, self.lost)
        self.occupied = asyncio.Event()

    def __len__(self) -> int:
        """How many attempts run."""
        return len(self._running)

    @property
    def burdened(self) -> bool:
        """Whether something runs or is to be handed in."""
        return bool(self._running or self.outcomes or any(self._exchanges.ids()))

    def held(self) -> dict[str, int]:
        """What this worker believes to hold, id → attempt. May be called from any thread."""
        return {job_id: attempt.job.attempt for job_id, attempt in self._running.copy().items()}

    def longest_limit(self) -> float | None:
        """The longest time a running job may take, in seconds; None: at least one has no limit. From any thread."""
        limits = [attempt.limit for attempt in self._running.copy().values()]
        return None if None in limits else max((limit for limit in limits if limit is not None), default=0.0)

    # -- coming and going

    def take(self, job: ClaimedJob) -> Attempt:
        """A job that was claimed."""
        if earlier := self._running.get(job.id):
            end(earlier, Ending.WITHDRAWN)  # its lease was lost, and this very worker got the job again
        attempt = self._running[job.id] = Attempt(job, self)
        self.occupied.set()
        return attempt

    def settled(self, attempt: Attempt, outcome: Outcome) -> None:
        """An attempt's outcome, to be handed in with the next exchange."""
        if self._running.get(attempt.job.id) is attempt:
            del self._running[attempt.job.id]
        if outcome.verdict in _FAILED:
            _tell(attempt, outcome)
        self.outcomes.append(outcome)
        self._stir()

    def freed(self) -> None:
        """A slot came free."""
        self._slots.give(1)
        self._stir()

    def finished(self, attempt: Attempt, outcome: Outcome) -> None:
        """Both at once."""
        self.settled(attempt, outcome)
        self._slots.give(1)

    def hand_in(self, most: int) -> list[Outcome]:
        """Outcomes for one exchange; until it ends, nothing else hands them in."""
        outcomes = self.outcomes[:most]
        while sum([len(outcome.data) for outcome in outcomes]) > CALL_BYTES and len(outcomes) > 1:
            outcomes = outcomes[: len(outcomes) // 2]
        self.outcomes = self.outcomes[len(outcomes) :]
        return outcomes

    # -- endings

    def cancel(self, job_id: str, number: int) -> bool:
        """End a running attempt for good: async handlers are cancelled, threads told, processes killed.

        False: it does not run here, or its claim's answer has yet to come, and then it is ended when it has.
        """
        if self._cancelled(job_id, number):
            return True
        if self._exchanges:
            self._to_cancel[job_id, number] = self._exchanges.begun
        return False

    def arrived(self) -> None:
        """An exchange is over, and its jobs run: end those that were cancelled before they came."""
        for (job_id, number), begun in list(self._to_cancel.items()):
            if (
                self._cancelled(job_id, number) or self._exchanges.oldest >= begun
            ):  # else one under way may yet bring it
                del self._to_cancel[job_id, number]

    def _cancelled(self, job_id: str, number: int) -> bool:
        attempt = self._running.get(job_id)
        if attempt is None or attempt.job.attempt != number:
            return False
        log.info("job cancelled while it ran", extra={"queue": self._queue, "job": job_id, "attempt": number})
        end(attempt, Ending.CANCELLED)
        return True

    def lost(self, job_id: str, number: int) -> None:
        """Redis says that an attempt is this worker's no more: end its handler, and tell nothing more of it."""
        attempt = self._running.get(job_id)
        if attempt is not None and attempt.job.attempt == number:
            log.warning("lease lost, attempt ended", extra={"queue": self._queue, "job": job_id, "attempt": number})
            del self._running[job_id]
            end(attempt, Ending.WITHDRAWN)

    def hand_back(self) -> None:
        """Return what still runs, unfailed, and end its handlers."""
        if not self._running:
            return
        log.info("running jobs go back to the queue", extra={"queue": self._queue, "jobs": len(self._running)})
        for attempt in reversed(list(self._running.values())):  # each goes to the head of its line
            self._running.pop(attempt.job.id, None)
            self.outcomes.append(verdict.returned(attempt.job))
            end(attempt, Ending.WITHDRAWN)
        self._stir()

    def compare(self, believed: dict[str, int], held: dict[str, int]) -> None:
        """Mend what a heartbeat shows: attempts that were taken away, and jobs that nobody here knows of.

        ``believed`` is what this worker held just before, ``held`` what Redis then said it holds.
        """
        for job_id, number in believed.items():
            if held.get(job_id) != number:
                self.lost(job_id, number)
        exchanges = self._exchanges
        known = {outcome.id for outcome in self.outcomes} | set(exchanges.ids()) | self._running.keys()
        for job_id, number in self._orphans.look(held, known, exchanges.begun, exchanges.oldest):
            log.warning("a job was leased and never seen; returned", extra={"queue": self._queue, "job": job_id})
            self.outcomes.append(Outcome(job_id, number, "return"))
            self._stir()


def _tell(attempt: Attempt, outcome: Outcome) -> None:
    """Log a failure in one line; its traceback is kept with the job."""
    failure = codec.unpack_failure(outcome.data[4:])
    fields = {
        "queue": attempt.job.queue,
        "job": outcome.id,
        "handler": attempt.body.name if attempt.body else "",
        "attempt": outcome.attempt,
        "error": cut(plain(f"{failure.kind}: {failure.message}"), MOST_ERROR_BYTES),
    }
    log.warning(_FAILED[outcome.verdict], extra=fields)
