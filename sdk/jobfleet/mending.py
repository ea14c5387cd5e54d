"""Jobs that went astray found and put back: waiting in no line, or delayed, failed or cancelled in no set.

Nothing should bring a job there. What did, a bug or a hand in Redis, need not cost the job. Nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final

from jobfleet.audit import NOBODY, Author
from jobfleet.scripts import mending
from jobfleet.scripts.command import Command

PAGE: Final = 500
"""Jobs or ids in one call."""


def mend(realm: str, queue: str, by: Author = NOBODY) -> Generator[Command[Any], Any, int]:
    """Put all of them back; the answer is how many.

    The lines are read after the jobs, so that a job that is in order and stays where it is cannot seem lost.
    """
    waiting: dict[str, str] = {}
    lost: list[str] = []
    cursor = ""
    while cursor != "0":
        jobs: mending.Astray = yield mending.astray(realm, queue, cursor or "0", PAGE)
        cursor = jobs.cursor
        waiting.update(jobs.waiting)
        lost += jobs.unlisted
    line, place = 1, 0
    while line and waiting:
        line, place, found = yield mending.standing(realm, queue, line, place, PAGE)
        for where, ids in found:
            for job_id in ids:
                if waiting.get(job_id) == where:
                    del waiting[job_id]
    lost += sorted(waiting)
    total = 0
    for start in range(0, len(lost), PAGE):
        total += yield mending.mend(realm, queue, lost[start : start + PAGE], by.about("", goes_on=total > 0))
    return total
