"""Carries plans out in tasks of their own, one at a time for each queue or pool.

So a slow call holds up nobody else and never the loop. After a failure the subject is left alone for a while that
grows with each further one.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import replace

from jobfleet.inspection import InspectionError
from jobfleet_operator.actions import Action, Note, PatchStatus
from jobfleet_operator.adapters.kube import KubeError, Refused
from jobfleet_operator.apply import Applier, Errand, NotActing
from jobfleet_operator.telling import Telling
from jobfleet_operator.world import Subject

log = logging.getLogger(__name__)

FIRST_RETRY_SECONDS = 0.5
LAST_RETRY_SECONDS = 5.0
"""So soon after an outage everything goes on."""
REFUSED_RETRY_SECONDS = 30.0
"""What was refused is tried again this late, unless its resource is changed first."""


class Errands:
    """What is being done, by queue or pool."""

    def __init__(
        self, applier: Applier, ended: Callable[[Subject, Errand, bool], None], subjects: Callable[[], int]
    ) -> None:
        """`ended` is called after each errand, with whether all of it was done; `subjects` tells how many there are."""
        self._applier, self._ended = applier, ended
        self._telling = Telling(applier, subjects)
        self._tasks: dict[Subject, asyncio.Task[None]] = {}

    def busy(self, subject: Subject) -> bool:
        """Whether something is being done about it."""
        return subject in self._tasks

    def send(self, subject: Subject, errand: Errand) -> None:
        """Start to carry a plan out; the subject must not be busy. What only tells goes its own way."""
        doing: list[Action] = []
        said: PatchStatus | None = None
        for action in errand.plan:
            match action:
                case PatchStatus():
                    said = action
                case Note():
                    self._telling.note(action)
                case _:
                    doing.append(action)
        if doing:
            self._tasks[subject] = asyncio.create_task(self._run(subject, replace(errand, plan=doing)))
        self._telling.status(subject, errand, said)

    def cancel(self) -> None:
        """Leave everything where it is."""
        for task in self._tasks.values():
            task.cancel()
        self._telling.cancel()

    async def _run(self, subject: Subject, errand: Errand) -> None:
        memory, done = errand.memory, False
        changes = memory.changes
        try:
            await self._applier.carry_out(errand, time.monotonic)
        except NotActing:
            log.info("%s %s: not this replica's to do any more", subject.kind, subject.key)
        except (KubeError, InspectionError) as error:
            memory.failures += 1
            refused = isinstance(error, Refused)
            most = REFUSED_RETRY_SECONDS if refused else LAST_RETRY_SECONDS
            wait = min(FIRST_RETRY_SECONDS * 2 ** min(memory.failures - 1, 10), most)
            wait = max(wait, getattr(error, "wait_seconds", 0.0))
            if memory.changes == changes:
                memory.retry_at = time.monotonic() + wait
            # What goes on failing is told once, by the adapters, for all that it concerns.
            level = logging.WARNING if refused else logging.INFO if memory.failures == 1 else logging.DEBUG
            log.log(level, "%s %s: tried again in %.1f s: %s", subject.kind, subject.key, wait, error)
        except Exception:
            memory.retry_at = time.monotonic() + REFUSED_RETRY_SECONDS
            log.exception("%s %s: a plan could not be carried out", subject.kind, subject.key)
        else:
            memory.failures, done = 0, True
        finally:
            del self._tasks[subject]
            self._ended(subject, errand, done)
