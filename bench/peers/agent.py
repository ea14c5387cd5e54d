"""The side of a benchmark that runs in the environment of a peer: its jobs, its producer, its worker.

A peer's program is one file that fills in an `Agent` and calls `serve`. The measurer starts it as

    python arq_peer.py produce SHAPE FIRST COUNT    enqueue jobs; prints one line of JSON
    python arq_peer.py count                        print how many jobs wait
    python arq_peer.py work                         process jobs until SIGTERM

and says the rest in variables of the environment, which are read here and nowhere else.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tally import Tally

URL = os.environ.get("BENCH_REDIS", "redis://127.0.0.1:6379/0")
HANDLER = os.environ.get("BENCH_HANDLER", "async")
"""async or sync: which kind of handler the worker has."""
CONCURRENCY = int(os.environ.get("BENCH_CONCURRENCY", "100"))
"""Jobs that the worker runs at a time: coroutines or threads."""
SLEEP = float(os.environ.get("BENCH_SLEEP", "0"))
"""Seconds that a handler sleeps; 0: it does nothing."""
KEEP = int(os.environ.get("BENCH_KEEP", "0"))
"""How many completed jobs are to be kept; 0: as few as the peer can."""
TEXT = "x" * 42
"""The second argument of every job. The arguments of one are 64 bytes as compact JSON."""

IN_FLIGHT = 1000
"""Enqueues that are under way at a time in the shape `concurrent`."""
PAUSE_SECONDS = 0.004
"""How long a worker may go idle between two jobs of the shape `paced`."""
LATE_SECONDS = 10.0
"""A job of the shape `paced` that has not run by then is an error."""


def tally() -> Tally | None:
    """The tally of this run, if there is one."""
    path = os.environ.get("BENCH_TALLY")
    return Tally(Path(path), int(os.environ["BENCH_JOBS"])) if path else None


def handler() -> Callable[..., Any]:
    """The job `noop` of every peer: marks its number in the tally, with a sleep before where one is asked for."""
    marks = tally()
    if SLEEP and marks:
        return _slow(marks)
    mark = marks.mark if marks else lambda n: None  # noqa: ARG005

    async def noop(n: int, text: str) -> None:  # noqa: ARG001
        mark(n)

    def noop_sync(n: int, text: str) -> None:  # noqa: ARG001
        mark(n)

    noop_sync.__name__ = noop_sync.__qualname__ = noop.__qualname__ = "noop"
    return noop if HANDLER == "async" else noop_sync


def _slow(marks: Tally) -> Callable[..., Any]:
    async def noop(n: int, text: str) -> None:  # noqa: ARG001
        marks.begin(n)
        await asyncio.sleep(SLEEP)
        marks.mark(n)

    def noop_sync(n: int, text: str) -> None:  # noqa: ARG001
        marks.begin(n)
        time.sleep(SLEEP)
        marks.mark(n)

    noop_sync.__name__ = noop_sync.__qualname__ = noop.__qualname__ = "noop"
    return noop if HANDLER == "async" else noop_sync


class Agent:
    """What a peer can do; a peer overrides what it has. Its header lists the shapes that may be asked of it."""

    async def open(self) -> None:
        """Connect."""

    async def close(self) -> None:
        """Give the connections back."""

    async def enqueue(self, n: int) -> None:
        """Enqueue job n with `TEXT`; returns when Redis has it."""
        self.enqueue_sync(n)

    def enqueue_sync(self, n: int) -> None:
        """As `enqueue`, without an event loop."""
        raise NotImplementedError

    async def enqueue_bulk(self, numbers: range) -> None:
        """Enqueue many, in the quickest way that the peer documents."""
        await in_flight(self.enqueue, numbers)

    async def enqueue_deep(self, numbers: range) -> None:
        """Enqueue many, spread over ten priorities, and over groups where there are any."""
        raise NotImplementedError

    async def count(self) -> int:
        """How many jobs wait."""
        raise NotImplementedError

    def work(self) -> None:
        """Process jobs until SIGTERM."""
        raise NotImplementedError


async def in_flight(enqueue: Callable[[int], Awaitable[Any]], numbers: range, width: int = IN_FLIGHT) -> None:
    """Enqueue with `width` calls under way at a time."""
    left = iter(numbers)

    async def lane() -> None:
        for n in left:
            await enqueue(n)

    await asyncio.gather(*(lane() for _ in range(min(width, len(numbers)))))


async def _paced(enqueue: Callable[[int], Awaitable[Any]], numbers: range) -> list[float]:
    """Enqueue a job, wait until it ran, pause, and again; seconds from the call to the start of each handler."""
    marks = tally()
    assert marks is not None
    took = []
    for n in numbers:
        sent = time.monotonic_ns()
        await enqueue(n)
        late = time.monotonic() + LATE_SECONDS
        while not marks.times[n]:
            if time.monotonic() > late:
                raise TimeoutError(f"job {n} did not run within {LATE_SECONDS} s")
            await asyncio.sleep(0.0005)
        took.append((marks.times[n] - sent) / 1e9)
        await asyncio.sleep(PAUSE_SECONDS)
    return took


async def _produce(agent: Agent, shape: str, numbers: range) -> dict[str, Any]:
    """Enqueue `numbers`; the first of them is not timed, since it opens the connection."""
    await agent.open()
    took: list[float] = []
    warm, rest = numbers[0], numbers[1:]
    if shape == "one_sync":
        agent.enqueue_sync(warm)
    else:
        await agent.enqueue(warm)
    begun = time.perf_counter()
    if shape == "bulk":
        await agent.enqueue_bulk(rest)
    elif shape == "deep":
        await agent.enqueue_deep(rest)
    elif shape == "concurrent":
        await in_flight(agent.enqueue, rest)
    elif shape == "one_async":
        for n in rest:
            await agent.enqueue(n)
    elif shape == "one_sync":
        for n in rest:
            agent.enqueue_sync(n)
    elif shape == "paced":
        took = await _paced(agent.enqueue, rest)
    else:
        raise ValueError(f"unknown shape {shape!r}")
    seconds = time.perf_counter() - begun
    await agent.close()
    return {"seconds": seconds, "timed": len(rest), "took": took}


async def _count(agent: Agent) -> int:
    await agent.open()
    try:
        return await agent.count()
    finally:
        await agent.close()


def run_fast(work: Any) -> Any:
    """Run a coroutine on uvloop where the peer's environment has it."""
    try:
        import uvloop  # noqa: PLC0415 - optional
    except ImportError:
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def become(*command: str) -> None:
    """Go on as the peer's own command line, in this very process, from the folder of the peers."""
    here = Path(__file__).parent
    os.chdir(here)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(here), os.environ.get("PYTHONPATH")]))
    os.execv(sys.executable, [sys.executable, *command])


def serve(agent: Agent) -> None:
    """Do what the command line says."""
    verb, *rest = sys.argv[1:]
    if verb == "produce":
        shape, first, count = rest[0], int(rest[1]), int(rest[2])
        print(json.dumps(run_fast(_produce(agent, shape, range(first, first + count)))), flush=True)
    elif verb == "count":
        print(json.dumps(run_fast(_count(agent))), flush=True)
    elif verb == "work":
        agent.work()
    else:
        raise SystemExit(f"unknown verb {verb!r}")
