"""A declared job in the hands of whoever enqueues it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, Unpack

from jobfleet.errors import InvalidJob
from jobfleet.options import JobOptions, Options, check_shared_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobfleet.handlers import Handler
    from jobfleet.producer import Producer

P = ParamSpec("P")
R = TypeVar("R")


class Job(Generic[P, R]):
    """What ``@fleet.job`` makes of a function: call it and it runs here; enqueue it and a worker runs it.

    Every enqueue returns after Redis has the job, and gives the job's id.

    Raises (from every enqueue):
        InvalidJob: an argument or option is wrong, or the job too large for its queue; it was not accepted.
        QueueFull: the queue, or Redis (:class:`jobfleet.MemoryHigh`), has no room for it; it was not accepted.
        Unavailable: Redis gave no answer in time; the job may or may not have been accepted.

    A call with many jobs may have been accepted in part: the error's ``accepted`` has the ids of these, the first ones
    of the call. Where it is empty, none was, but for ``Unavailable``.
    """

    def __init__(self, producer: Producer, handler: Handler, function: Callable[P, R], options: JobOptions) -> None:
        self._producer = producer
        self._handler = handler
        self._function = function
        self._options = options
        self.__doc__ = function.__doc__
        self.__wrapped__ = function

    @property
    def name(self) -> str:
        """The job's name in its queue."""
        return self._handler.name

    @property
    def handler(self) -> Handler:
        """What a worker needs to run it; for workers."""
        return self._handler

    @property
    def queue(self) -> str:
        """The queue it goes to."""
        return self._handler.queue

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function here and now, without a queue."""
        return self._function(*args, **kwargs)

    def options(self, **changes: Unpack[Options]) -> Job[P, R]:
        """The same job with other options: ``await job.options(priority=1, delay=30).enqueue(...)``."""
        if changes.get("run_at") is not None:
            changes.setdefault("delay", 0.0)
        return Job(self._producer, self._handler, self._function, dataclasses.replace(self._options, **changes))

    async def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Enqueue one job."""
        return await self._producer.send_one(self.queue, self._item(args, kwargs))

    def enqueue_sync(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Enqueue one job, from code without an event loop."""
        return self._producer.send_one_sync(self.queue, self._item(args, kwargs))

    async def enqueue_many(self, calls: Iterable[Mapping[str, Any]]) -> list[str]:
        """Enqueue many, a thousand a round trip; each call is its arguments by name, all checked first."""
        return await self._producer.send(self.queue, self._items(calls))

    def enqueue_many_sync(self, calls: Iterable[Mapping[str, Any]]) -> list[str]:
        """As :meth:`enqueue_many`, from code without an event loop."""
        return self._producer.send_sync(self.queue, self._items(calls))

    def _item(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, dict[str, Any], JobOptions]:
        return self.name, self._handler.arguments.pack(args, kwargs), self._options

    def _items(self, calls: Iterable[Mapping[str, Any]]) -> list[tuple[str, dict[str, Any], JobOptions]]:
        name, pack, options = self.name, self._handler.arguments.pack, self._options
        items = [(name, pack((), call if type(call) is dict else _named(call)), options) for call in _each(calls)]
        check_shared_options(options, len(items))
        return items

    def __repr__(self) -> str:
        return f"<Job {self.name!r} in queue {self.queue!r}>"


def _each(calls: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    if isinstance(calls, Mapping | str | bytes) or not isinstance(calls, Iterable):
        raise InvalidJob("calls", f"{calls!r:.80} must be a list of calls, each a mapping of argument names to values")
    return calls


def _named(call: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(call, Mapping):
        raise InvalidJob("calls", f"{call!r:.80} must be a mapping of argument names to values")
    return dict(call)
