"""What takes more than one Command, written once for async and sync: a generator that yields Commands and Pauses.

A client sends it the answers: it follows it (``AsyncClient.follow``, ``SyncClient.follow``); nothing here does I/O.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, TypeVar

from jobfleet import checks
from jobfleet.audit import NOBODY, Author
from jobfleet.errors import InvalidJob, JobfleetError, QueueFull, Unavailable
from jobfleet.job import JobView
from jobfleet.scripts import looking, producing, steering
from jobfleet.scripts.command import Command, Pause
from jobfleet.scripts.looking import Page
from jobfleet.scripts.producing import BATCH, NewJob
from jobfleet.scripts.steering import Cancellation
from jobfleet.seal import PLAIN, Seal
from jobfleet.states import State

T = TypeVar("T")
Flow = Generator[Command[Any] | Pause, Any, T]

LOOK = "look"
"""What a worker is told that should ask the queue how things stand."""

PAGE = 200
"""Jobs looked at, retried or forgotten in one call."""

MOST_MS = 2**48 - 1
"""The latest instant, in Unix ms, that a record can tell: it has six bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureFilter:
    """Which failed jobs are meant; what is not given does not matter.

    Attributes:
        name: the job's name.
        kind: of the last failure: the exception's class, or ``timeout``, ``poison``, ``expired``, …
        fingerprint: of the last failure: what failures with one cause have in common.
        group: the job's group.
        text: found in the last failure's message.
        final: of the last failure: whether no attempt could have helped; see :class:`jobfleet.Failure`.
        failed_before_ms, failed_after_ms: Unix ms at which it failed.

    Raises:
        InvalidJob: naming the field, the value and what would be right.
    """

    name: str | None = None
    kind: str | None = None
    fingerprint: str | None = None
    group: str | None = None
    text: str | None = None
    final: bool | None = None
    failed_before_ms: int | None = None
    failed_after_ms: int | None = None

    def __post_init__(self) -> None:
        for name in ("name", "kind", "fingerprint", "group", "text"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                remedy = "the name of the exception's class, as kind='OSError'" if name == "kind" else "text"
                raise InvalidJob(name, f"{value!r:.80} must be {remedy}")
        if self.final is not None:
            checks.truth("final", self.final)
        for name in ("failed_before_ms", "failed_after_ms"):
            if (at := getattr(self, name)) is not None:
                checks.number(name, at, 0, MOST_MS, what="Unix ms")

    def words(self) -> str:
        """What is given, in words.

        >>> FailureFilter(kind="OSError", final=False).words(), FailureFilter().words()
        ('kind=OSError final=False', 'all failed')
        """
        given = [(field.name, getattr(self, field.name)) for field in fields(self)]
        return " ".join(f"{name}={value}" for name, value in given if value is not None) or "all failed"

    def matches(self, job: JobView) -> bool:
        """Whether a failed job is meant."""
        error = job.error
        return (
            self.name in (None, job.name)
            and self.group in (None, job.group)
            and self.kind in (None, error.kind if error else "")
            and self.fingerprint in (None, error.fingerprint if error else "")
            and self.final in (None, error.final if error else False)
            and (self.text is None or (error is not None and self.text in error.message))
            and (self.failed_before_ms is None or job.since_ms < self.failed_before_ms)
            and (self.failed_after_ms is None or job.since_ms > self.failed_after_ms)
        )


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Failed jobs with one cause: how many, and the newest of them."""

    fingerprint: str
    kind: str
    message: str
    count: int
    newest: JobView


def enqueue(realm: str, queue: str, jobs: Sequence[NewJob]) -> Flow[list[str]]:
    """Enqueue any number of jobs, a batch in a call; the answer has the id of each, or of what stands for it.

    Where a job's producer waits for room, all are sent as room comes.

    Raises:
        InvalidJob, QueueFull, Unavailable: with the ids of those that were accepted before.
    """
    wait = max((job.wait for job in jobs), default=0.0)
    ids: list[str] = []
    try:
        if wait:
            yield from _enqueue_patiently(realm, queue, jobs, wait, ids)
        else:
            while len(ids) < len(jobs):
                batch = producing.batch_of(jobs, len(ids))
                answers = yield producing.enqueue(realm, queue, batch)
                ids += _ids(batch, answers)
    except (InvalidJob, QueueFull, Unavailable) as error:
        error.accepted = tuple(ids)
        if ids:
            error.args = (
                f"{error}; {len(ids)} of the {len(jobs)} jobs were accepted before, see the error's accepted",
            )
        raise
    return ids


def _ids(batch: Sequence[NewJob], answers: Sequence[str | None]) -> list[str]:
    return [answer or job.id for job, answer in zip(batch, answers, strict=True)]


def _enqueue_patiently(realm: str, queue: str, jobs: Sequence[NewJob], wait: float, ids: list[str]) -> Flow[None]:
    """Send as many as there is room for; where there is none, look again with one, every now and then.

    ``ids`` grows by those that are accepted.
    """
    most, tries, until = BATCH, 0, time.monotonic() + wait
    while len(ids) < len(jobs):
        batch = producing.batch_of(jobs, len(ids), most)
        answer: list[str | None] | InvalidJob | QueueFull = yield producing.offer(realm, queue, batch)
        if isinstance(answer, InvalidJob):
            raise answer
        if not isinstance(answer, QueueFull):
            ids += _ids(batch, answer)
            most, tries, until = min(2 * most, BATCH), 0, time.monotonic() + wait
        elif answer.room:
            most = answer.room
        else:
            left = until - time.monotonic()
            if left <= 0:
                raise answer.after(wait)
            tries += 1
            most = 1
            yield Pause(min(left, producing.room_pause(tries)))


def job(realm: str, queue: str, job_id: str, seal: Seal = PLAIN) -> Flow[JobView | None]:
    """One job, with the worker that runs it, if one does."""
    found: JobView | None = yield looking.look(realm, queue, job_id, seal=seal)
    if found is None or found.state is not State.ACTIVE:
        return found
    reading = yield looking.inspect(realm, queue)
    worker = yield looking.holder(realm, queue, job_id, [worker.id for worker in reading.workers])
    return replace(found, worker=worker)


def jobs(realm: str, queue: str, state: State, most: int, seal: Seal = PLAIN) -> Flow[list[JobView]]:
    """The jobs of a state, at most ``most``, a page at a time."""
    if state is State.ACTIVE:
        reading = yield looking.inspect(realm, queue)
        workers = [worker.id for worker in reading.workers]
        return (yield from _pages(partial(looking.list_active, realm, queue, workers, seal=seal), most))
    found = yield from _pages(partial(looking.list_jobs, realm, queue, state, seal=seal), most)
    if state is State.WAITING and len(found) < most:
        grouped = yield from _of_groups(realm, queue, most, seal)
        found = list({job.id: job for job in (*found, *grouped)}.values())[:most]
    return found


def _pages(
    page: Callable[[int, int], Command[Page]], most: int, wanted: FailureFilter | None = None
) -> Flow[list[JobView]]:
    """Pages one after the other, until there are enough jobs or no more; each job once, though it may stand twice."""
    found = yield from _walk(page, most, wanted, lambda job: job)
    return list(found.values())[:most]


def _walk(
    page: Callable[[int, int], Command[Page]], most: int, wanted: FailureFilter | None, keep: Callable[[JobView], T]
) -> Flow[dict[str, T]]:
    """As :func:`_pages`; of each job, by its id, what is to be kept of it."""
    found: dict[str, T] = {}
    start, size = 0, min(PAGE, most) if wanted is None else PAGE
    while len(found) < most:
        looked, jobs = yield page(start, size)
        found |= {job.id: keep(job) for job in jobs if wanted is None or wanted.matches(job)}
        start += looked
        if looked < size:
            break
    return found


def _of_groups(realm: str, queue: str, most: int, seal: Seal) -> Flow[list[JobView]]:
    """The waiting jobs of groups, group by group."""
    found: dict[str, JobView] = {}
    seen: set[str] = set()
    cursor = -1
    while cursor and len(found) < most:
        cursor, named = yield looking.waiting_groups(realm, queue, max(0, cursor))
        groups = [group for group in named if group not in seen]
        seen.update(groups)
        place = looking.HEAD
        while groups and len(found) < most:
            walk = yield looking.list_groups(realm, queue, groups, place, PAGE, seal=seal)
            found |= {job.id: job for job in walk.jobs}
            groups, place = groups[walk.through :], walk.place
    return list(found.values())[:most]


def failed(realm: str, queue: str, wanted: FailureFilter, most: int, seal: Seal = PLAIN) -> Flow[list[JobView]]:
    """The failed jobs that are meant, the newest first, at most ``most``.

    Raises:
        InvalidJob: ``wanted`` is no filter.
    """
    return (yield from _pages(_failed_pages(realm, queue, wanted, seal), most, wanted))


def _failed_pages(realm: str, queue: str, wanted: object, seal: Seal) -> Callable[[int, int], Command[Page]]:
    if not isinstance(wanted, FailureFilter):
        raise InvalidJob("wanted", f"{wanted!r:.80} must be a FailureFilter, as FailureFilter(kind='OSError')")
    return partial(looking.list_jobs, realm, queue, State.FAILED, seal=seal)


def grouped(jobs: Iterable[JobView]) -> list[FailureGroup]:
    """Failed jobs by the fingerprint of their last failure, the largest group first. Pure."""
    groups: dict[str, list[JobView]] = {}
    for job in jobs:
        if job.error is not None:
            groups.setdefault(job.error.fingerprint or job.error.kind, []).append(job)
    made = []
    for fingerprint, members in groups.items():
        newest = max(members, key=lambda job: job.since_ms)
        error = newest.error
        if error is not None:
            made.append(FailureGroup(fingerprint, error.kind, error.message, len(members), newest))
    return sorted(made, key=lambda group: -group.count)


def configure(realm: str, queue: str, settings: Mapping[str, int | str], by: Author = NOBODY) -> Flow[None]:
    """Write settings; where they call running jobs back, their workers hear of it at once."""
    yield steering.configure(realm, queue, settings, by)
    if settings.get("paused") and settings.get("return_running"):
        reading = yield looking.inspect(realm, queue)
        if workers := [worker.id for worker in reading.workers]:
            yield steering.tell(realm, queue, workers, LOOK)


def cancel(realm: str, queue: str, job_id: str, by: Author = NOBODY) -> Flow[Cancellation]:
    """Cancel a job wherever it is."""
    reading = yield looking.inspect(realm, queue)
    workers = [worker.id for worker in reading.workers]
    answer: Cancellation = yield steering.cancel(realm, queue, job_id, workers, by)
    return answer


def retry_where(
    realm: str, queue: str, wanted: FailureFilter, spacing_us: int, seal: Seal = PLAIN, by: Author = NOBODY
) -> Flow[int]:
    """Retry all failed jobs that are meant, so many microseconds apart; the answer is how many."""
    found = yield from _walk(_failed_pages(realm, queue, wanted, seal), 1_000_000, wanted, lambda _: None)
    ids = list(found)  # and no more of them: a million jobs may weigh much
    total, by = 0, by.about(wanted.words())
    for start in range(0, len(ids), PAGE):
        page = ids[start : start + PAGE]
        answers = yield steering.retry(realm, queue, page, spacing_us, total * spacing_us, by)
        total += sum(answers)
        by = by.about(by.words, goes_on=total > 0)
    return total


def clean(realm: str, queue: str, state: State, older_than_ms: int, by: Author = NOBODY) -> Flow[int]:
    """Forget all jobs of a state that came into it longer ago than that; the answer is how many."""
    reading = yield looking.inspect(realm, queue)
    total, by = 0, by.about(f"{state.value}, older than {older_than_ms / 1000:g} s")
    while True:
        gone: int = yield steering.clean(realm, queue, state, reading.now_ms - older_than_ms, PAGE, by)
        total += gone
        if gone < PAGE:
            return total
        by = by.about(by.words, goes_on=True)


def obliterate(realm: str, queue: str, *, force: bool, by: Author = NOBODY) -> Flow[int]:
    """Delete a queue with all that is in it; the answer is how many jobs went.

    Raises:
        JobfleetError: jobs are running, and ``force`` is not set.
    """
    reading = yield looking.inspect(realm, queue)
    active = reading.count("active")
    if active and not force:
        raise JobfleetError(f"queue {queue!r} has {active} running jobs; wait, cancel them, or give force=True")
    removed: int = yield steering.purge(realm, queue, [worker.id for worker in reading.workers], by)
    return removed
