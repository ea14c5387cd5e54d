"""The one place where code of yours goes around every enqueue and every run: subclass, override what you need, add.

::

    class Timing(Middleware):
        async def around_run(self, job: JobContext, call_next: CallNext) -> Any:
            begun = time.perf_counter()
            try:
                return await call_next()
            finally:
                log.info("ran", extra={"job": job.id, "seconds": time.perf_counter() - begun})

    fleet.middleware(Timing())

What was added first is outermost. A hook that is not overridden costs nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from jobfleet import checks

if TYPE_CHECKING:
    from jobfleet.context import JobContext
    from jobfleet.options import JobOptions

CallNext = Callable[[], Awaitable[Any]]
Item = tuple[str, Mapping[str, Any], "JobOptions"]
"""A job's name, arguments and options."""


@dataclass(slots=True)
class NewCall:
    """A job that is about to be enqueued. ``args`` and ``options`` may be exchanged; they are packed afterwards."""

    queue: str
    name: str
    args: dict[str, Any]
    options: JobOptions


class Middleware:
    """Hooks, all of them optional. An exception in one around a job is that job's failure."""

    def enqueueing(self, call: NewCall) -> None:
        """Before a job is sent, in the caller's thread, which this holds up: wait for nothing here.

        What it raises, the caller of ``enqueue`` gets, and no job of that call is sent.
        """

    async def around_run(self, job: JobContext, call_next: CallNext) -> Any:  # noqa: ARG002 - for those that override
        """Around one attempt, on the event loop, wherever the handler itself runs; inside the job's timeout.

        ``call_next`` makes what the handler depends on and runs it. What this returns is the job's result.
        """
        return await call_next()

    async def around_batch(self, jobs: Sequence[JobContext], call_next: CallNext) -> Any:  # noqa: ARG002 - likewise
        """Around one call of a batch handler, as :meth:`around_run`; the result counts for nothing."""
        return await call_next()

    async def worker_starting(self) -> None:
        """Before a worker claims its first job. An exception keeps it from starting."""

    async def worker_ended(self) -> None:
        """After its last job; in the reverse order of starting."""


class Chain:
    """The middleware of one fleet."""

    def __init__(self) -> None:
        self._members: list[Middleware] = []
        self._enqueueing: list[Callable[[NewCall], None]] = []

    def add(self, middleware: Middleware) -> None:
        """Put ``middleware`` inside those that are there.

        Raises:
            TypeError: it is no :class:`Middleware`.
        """
        if not isinstance(middleware, Middleware):
            raise TypeError(f"{middleware!r} must be an instance of a subclass of jobfleet.Middleware")
        self._members.append(middleware)
        self._enqueueing = self.of("enqueueing")

    def enqueueing(self, queue: str, items: Iterable[Item]) -> Iterable[Item]:
        """Jobs about to be sent, as the hooks leave them.

        Raises:
            InvalidJob: the arguments of one are no mapping.
        """
        if not self._enqueueing:
            return items
        calls = [NewCall(queue, name, dict(checks.mapping("args", args)), options) for name, args, options in items]
        for call in calls:
            for hook in self._enqueueing:
                hook(call)
        return [(call.name, call.args, call.options) for call in calls]

    def of(self, hook: str) -> list[Any]:
        """The bound hooks of that name that are overridden, outermost first."""
        plain = getattr(Middleware, hook)
        return [getattr(member, hook) for member in self._members if getattr(type(member), hook) is not plain]


def wrapped(hooks: Sequence[Callable[..., Awaitable[Any]]], about: Any, call: CallNext) -> CallNext:
    """``call`` with ``hooks`` around it, the first outermost."""
    for hook in reversed(hooks):
        call = partial(hook, about, call)
    return call
