"""Writes statuses and Events, beside everything else: nothing waits until they are written.

Words are written at once. A status of which only numbers moved waits for its turn, whoever has waited longest first,
so that moving numbers never cost more than `CALM_SHARE` of what etcd would bear if all were written each second.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace

from jobfleet.inspection import InspectionError
from jobfleet_operator.actions import Note, PatchStatus
from jobfleet_operator.adapters.kube import KubeError
from jobfleet_operator.apply import Applier, Errand, NotActing
from jobfleet_operator.world import Subject

log = logging.getLogger(__name__)

CALM_SHARE = 0.005
"""Statuses of which only numbers moved: so many a second for each queue and pool there is."""
CALM_LEAST = 10.0
"""A second, however few there are."""
RETRY_SECONDS = 5.0
DEFECT_SECONDS = 30.0


class Telling:
    """One status at a time for each queue and pool."""

    def __init__(self, applier: Applier, subjects: Callable[[], int]) -> None:
        """`subjects` tells how many queues and pools there are."""
        self._applier, self._subjects = applier, subjects
        self._writing: set[Subject] = set()
        self._calm: dict[Subject, Errand] = {}
        """The newest of each, in the order in which they came to wait."""
        self._in_turn: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def status(self, subject: Subject, errand: Errand, action: PatchStatus | None) -> None:
        """Write this status; None: there is nothing to write any more.

        While an older one is being written nothing is done: the next round finds this one still to be written.
        """
        if action is None or not action.calm:
            self._calm.pop(subject, None)
        if action is None or subject in self._writing:
            return
        told = replace(errand, plan=[action])
        if not action.calm:
            self._keep(self._write(subject, told))
            self._writing.add(subject)
            return
        self._calm[subject] = told
        if self._in_turn is None or self._in_turn.done():
            self._in_turn = self._keep(self._write_in_turn())

    def note(self, action: Note) -> None:
        """Post an Event."""
        self._keep(self._applier.tell(action))

    def cancel(self) -> None:
        """Leave everything that is not written yet."""
        for task in self._tasks:
            task.cancel()

    def _keep(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _write_in_turn(self) -> None:
        while self._calm:
            subject = next(iter(self._calm))
            errand = self._calm.pop(subject)
            if subject not in self._writing:
                self._writing.add(subject)
                await self._write(subject, errand)
            await asyncio.sleep(1.0 / max(CALM_LEAST, CALM_SHARE * self._subjects()))

    async def _write(self, subject: Subject, errand: Errand) -> None:
        memory = errand.memory.status
        try:
            await self._applier.carry_out(errand, time.monotonic)
        except NotActing:
            pass
        except (KubeError, InspectionError) as error:
            memory.retry_at = time.monotonic() + max(RETRY_SECONDS, getattr(error, "wait_seconds", 0.0))
            log.debug("%s %s: its status could not be written: %s", subject.kind, subject.key, error)
        except Exception:
            memory.retry_at = time.monotonic() + DEFECT_SECONDS
            log.exception("%s %s: its status could not be written", subject.kind, subject.key)
        finally:
            self._writing.discard(subject)
