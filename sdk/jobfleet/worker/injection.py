"""Makes what handlers depend on, and clears it up: in the reverse order, whatever way the handler ended.

Two places: what must be awaited, and what lives as long as the worker, is made on the event loop; for a handler in a
thread the rest is made in that thread, so that a blocking connect blocks nobody and a connection stays in its thread.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any

from jobfleet.dependencies import Need
from jobfleet.handlers import Handler

Made = dict[Need, Any]


class Injector:
    """The dependencies of one worker's handlers, and those that live as long as the worker."""

    def __init__(self) -> None:
        self._lasting: dict[Need, asyncio.Task[Any]] = {}
        self._stack = contextlib.AsyncExitStack()

    async def on_loop(self, needs: Mapping[str, Need], call: Callable[[dict[str, Any]], Awaitable[Any]]) -> Any:
        """Make all ``needs`` on the loop, and await ``call`` with them by name."""
        async with _clearing() as stack:
            return await call(await self.open(needs, stack))

    async def around_thread(self, needs: Mapping[str, Need], call: Callable[[Made], Awaitable[Any]]) -> Any:
        """Make what must be made on the loop, and await ``call``; in the thread, :func:`in_place` makes the rest."""
        made: Made = {}
        async with _clearing() as stack:
            for need in _of_loop(needs.values()):
                await self._value(need, made, stack)
            return await call(made)

    async def open(self, needs: Mapping[str, Need], stack: contextlib.AsyncExitStack) -> dict[str, Any]:
        """Make all ``needs`` on the loop; ``stack`` clears them up."""
        made: Made = {}
        return {name: await self._value(need, made, stack) for name, need in needs.items()}

    async def _value(self, need: Need, made: Made, stack: contextlib.AsyncExitStack) -> Any:
        if need not in made:
            made[need] = await (self._last(need) if need.lifetime == "worker" else self._make(need, made, stack))
        return made[need]

    async def _make(self, need: Need, made: Made, stack: contextlib.AsyncExitStack) -> Any:
        values = {name: await self._value(inner, made, stack) for name, inner in need.needs.items()}
        match need.form:
            case "plain":
                return need.function(**values)
            case "awaitable":
                return await need.function(**values)
            case "generator":
                return stack.enter_context(contextlib.contextmanager(need.function)(**values))
            case "async generator":
                return await stack.enter_async_context(contextlib.asynccontextmanager(need.function)(**values))

    async def _last(self, need: Need) -> Any:
        """In a task of its own: the job that asked first may be cancelled while others wait for the same value."""
        task = self._lasting.get(need)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = self._lasting[need] = asyncio.create_task(self._make_lasting(need))
            task.add_done_callback(_look_at_exception)
        return await asyncio.shield(task)

    async def _make_lasting(self, need: Need) -> Any:
        try:
            return await self._make(need, {}, self._stack)
        except (KeyboardInterrupt, SystemExit) as error:  # out of a task it would end the event loop, and all jobs
            raise RuntimeError(f"{need.function!r} raised {error!r}") from error

    async def close(self) -> None:
        """Clear up what lived as long as the worker. May be called twice."""
        for task in self._lasting.values():
            task.cancel()
        self._lasting.clear()
        await self._stack.aclose()


@contextlib.asynccontextmanager
async def _clearing() -> AsyncIterator[contextlib.AsyncExitStack]:
    """A stack that cannot turn a failure into a success: what a generator swallows is raised all the same."""
    error: BaseException | None = None
    async with contextlib.AsyncExitStack() as stack:
        try:
            yield stack
        except BaseException as raised:
            error = raised
            raise
    if error is not None:
        raise error


def in_place(needs: Mapping[str, Need], made: Made, call: Callable[..., Any]) -> Any:
    """In the handler's thread: make what is not ``made`` yet, and call ``call`` with all ``needs`` by name."""
    with contextlib.ExitStack() as stack:
        values = {name: _value_here(need, made, stack) for name, need in needs.items()}
        result: Any = None
        error: BaseException | None = None
        try:
            result = call(**values)
        except BaseException as raised:
            error = raised
            raise
    if error is not None:
        raise error  # see _clearing
    return result


async def on_loop(handler: Handler, kwargs: dict[str, Any], made: dict[str, Any]) -> Any:
    """Call a handler, async or not, on the loop."""
    result = handler.function(**kwargs, **made)
    return await result if handler.is_async else result


def _value_here(need: Need, made: Made, stack: contextlib.ExitStack) -> Any:
    if need not in made:
        values = {name: _value_here(inner, made, stack) for name, inner in need.needs.items()}
        if need.form == "generator":
            made[need] = stack.enter_context(contextlib.contextmanager(need.function)(**values))
        else:
            made[need] = need.function(**values)
    return made[need]


def _of_loop(needs: Iterable[Need]) -> Iterable[Need]:
    for need in needs:
        if need.waits or need.lifetime == "worker":
            yield need
        else:
            yield from _of_loop(need.needs.values())


def _look_at_exception(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()
