"""The five traces: when jobs come, when they fall due, and how long they run. The same on every run."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

MINUTE, HOUR = 60.0, 3600.0


@dataclass(frozen=True, slots=True)
class Job:
    """One job; times in seconds since the trace began.

    Attributes:
        enqueued: when the queue has it.
        due: when it may run: later, where it was enqueued with a delay.
        seconds: how long it runs when nothing interrupts it.
    """

    number: int
    enqueued: float
    due: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Trace:
    """Jobs, and the settings that both sides get.

    Attributes:
        slots: jobs that a worker runs at the same time.
        most: the largest number of workers.
        per_worker: jobs that one worker is to carry: `backlogPerWorker` here, `listLength` there.
    """

    name: str
    about: str
    jobs: tuple[Job, ...]
    slots: int
    most: int
    per_worker: int


def _jobs(dice: random.Random, times: Iterator[tuple[float, float]], least: float, most: float) -> tuple[Job, ...]:
    """Jobs from (enqueued, due), each with a run time from the range, short ones being more frequent."""
    return tuple(
        Job(number, enqueued, due, dice.triangular(least, most, least)) for number, (enqueued, due) in enumerate(times)
    )


def _poisson(dice: random.Random, begin: float, end: float, per_second: float) -> Iterator[tuple[float, float]]:
    at = begin + dice.expovariate(per_second)
    while at < end:
        yield at, at
        at += dice.expovariate(per_second)


def burst() -> Trace:
    """Everything at once, into an empty queue without workers."""
    dice = random.Random("burst")
    jobs = _jobs(dice, ((45.0, 45.0) for _ in range(2000)), 1.0, 5.0)
    return Trace("burst", "2,000 jobs of 1 to 5 s at one moment, none before", jobs, 4, 50, 20)


def ramp() -> Trace:
    """A load that grows and goes, as a working day's does, in an hour."""
    dice = random.Random("ramp")

    def times() -> Iterator[tuple[float, float]]:
        for minute in range(60):
            rate = 0.2 + 14.8 * (1 - abs(minute - 30) / 30)
            yield from _poisson(dice, minute * MINUTE, (minute + 1) * MINUTE, rate)

    about = "0.2 jobs a second, rising to 15 within half an hour and falling again; 1 to 5 s each"
    return Trace("ramp", about, _jobs(dice, times(), 1.0, 5.0), 4, 50, 20)


def nightly() -> Trace:
    """Scheduled beforehand with a delay: nothing, then all of it falls due."""
    dice = random.Random("nightly")
    jobs = _jobs(dice, ((1.0, 15 * MINUTE + 5.0) for _ in range(1500)), 10.0, 40.0)
    about = "1,500 jobs of 10 to 40 s, enqueued beforehand with a delay, due at one moment"
    return Trace("nightly batch", about, jobs, 4, 50, 20)


def long_jobs() -> Trace:
    """Jobs that outlive every window and every grace period."""
    dice = random.Random("long")
    jobs = _jobs(dice, _poisson(dice, 0.0, 2 * HOUR, 1 / 90), 2 * MINUTE, 15 * MINUTE)
    return Trace("long jobs", "for two hours one job every 90 s or so, each of 2 to 15 min", jobs, 1, 30, 1)


def trickle() -> Trace:
    """A job now and then."""
    dice = random.Random("trickle")
    jobs = _jobs(dice, _poisson(dice, 0.0, 4 * HOUR, 1 / 120), 1.0, 5.0)
    return Trace("trickle", "for four hours one job every 2 min or so, each of 1 to 5 s", jobs, 4, 10, 20)


def all_traces() -> list[Trace]:
    """The five, in the order of the report."""
    return [burst(), ramp(), nightly(), long_jobs(), trickle()]
