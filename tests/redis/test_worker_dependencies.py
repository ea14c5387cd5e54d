"""What handlers depend on: made for each job or for the worker, cleared up whatever happens, never sent."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import pytest

from fixtures.workers import QUEUE, ended, until_true, working
from jobfleet import ConfigurationError, Depends, Fleet, InvalidJob, State, current_job, injected

notes: list[str] = []


@pytest.fixture(autouse=True)
def _fresh() -> None:
    notes.clear()


def thread() -> str:
    return "thread" if threading.current_thread().name.startswith("jobfleet-handler") else "loop"


async def pool() -> AsyncIterator[str]:
    notes.append(f"pool opens in {thread()}")
    yield "pool"
    notes.append("pool closes")


def session() -> Iterator[str]:
    notes.append(f"session opens in {thread()}")
    try:
        yield "session"
    except BaseException as error:
        notes.append(f"session sees {type(error).__name__}")
        raise
    finally:
        notes.append(f"session closes in {thread()}")


def store(used: Annotated[str, Depends(session)]) -> str:
    return f"store on {used} of {current_job().name}"


async def connection() -> AsyncIterator[str]:
    try:
        yield "connection"
    finally:
        notes.append("connection closes")


async def shaky() -> str:
    notes.append("tried")
    if len(notes) == 1:
        raise ConnectionError("not yet")
    return "connected"


def leave() -> str:
    raise SystemExit("no licence")


def swallowing() -> Iterator[None]:
    try:
        yield
    except KeyError:
        notes.append("swallowed")


class Opening:
    """An object that can be called, as are those that keep settings of their own."""

    async def __call__(self) -> AsyncIterator[str]:
        notes.append("opens")
        yield "opened"
        notes.append("closes")


class Asking:
    async def __call__(self) -> str:
        return "answered"


class Lending:
    def __call__(self) -> Iterator[str]:
        yield "lent"
        notes.append("given back")


Pool = Annotated[str, Depends(pool, lifetime="worker")]
Session = Annotated[str, Depends(session)]
Store = Annotated[str, Depends(store)]


async def test_an_async_handler_gets_what_it_needs_nested_and_once_a_job(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE)
    async def save(photo: str, used: Session = injected, where: Store = injected, pool: Pool = injected) -> list[str]:
        notes.append("runs")
        return [photo, used, where, pool]

    async with working(fleet):
        for photo in ("1", "2"):
            view = await ended(fleet, await save.enqueue(photo))
            assert view.result == [photo, "session", "store on session of save", "pool"]
        assert "pool closes" not in notes
    assert notes == [
        "session opens in loop", "pool opens in loop", "runs", "session closes in loop",
        "session opens in loop", "runs", "session closes in loop",
        "pool closes",
    ]  # fmt: skip


async def test_what_is_needed_may_come_from_an_object_that_can_be_called(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE)
    async def save(
        one: Annotated[str, Depends(Opening())] = injected,
        two: Annotated[str, Depends(Asking())] = injected,
        three: Annotated[str, Depends(Lending())] = injected,
    ) -> list[str]:
        return [one, two, three]

    async with working(fleet):
        assert (await ended(fleet, await save.enqueue())).result == ["opened", "answered", "lent"]
    assert notes == ["opens", "given back", "closes"]


async def test_a_handler_in_a_thread_has_its_sync_dependencies_made_in_that_thread(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE)
    def save(used: Session, pool: Pool, where: Store) -> str:
        notes.append(f"runs in {thread()}")
        return where

    async with working(fleet):
        assert (await ended(fleet, await fleet.enqueue(QUEUE, "save", {}))).result == "store on session of save"
    assert notes == [
        "pool opens in loop", "session opens in thread", "runs in thread", "session closes in thread", "pool closes",
    ]  # fmt: skip


@pytest.mark.parametrize("mode", ["async", "thread"])
async def test_what_was_made_sees_the_failure_and_is_cleared_up(fleet: Fleet, mode: str) -> None:
    if mode == "async":

        @fleet.job(queue=QUEUE, name="explode", attempts=1)
        async def explode(used: Session) -> None:
            raise KeyError(used)

    else:

        @fleet.job(queue=QUEUE, name="explode", attempts=1)
        def explode_in_thread(used: Session) -> None:
            raise KeyError(used)

    async with working(fleet):
        view = await ended(fleet, await fleet.enqueue(QUEUE, "explode", {}, attempts=1))
    assert view.error is not None
    assert view.error.kind == "KeyError"
    assert notes[1:] == ["session sees KeyError", notes[0].replace("opens", "closes")]


async def test_what_was_made_is_cleared_up_when_the_job_is_cancelled(fleet: Fleet) -> None:
    begun = asyncio.Event()

    @fleet.job(queue=QUEUE)
    async def endless(used: Session = injected) -> None:
        begun.set()
        await asyncio.Event().wait()

    async with working(fleet) as worker:
        job_id = await endless.enqueue()
        await begun.wait()
        assert worker.cancel(QUEUE, job_id, 1)
        assert (await ended(fleet, job_id)).state is State.CANCELLED
    assert notes[1:] == ["session sees CancelledError", "session closes in loop"]


async def test_what_a_thread_uses_is_not_cleared_up_under_its_hands(fleet: Fleet) -> None:
    begun, go_on = threading.Event(), threading.Event()

    @fleet.job(queue=QUEUE, timeout=0.1, attempts=1)
    def slow(used: Annotated[str, Depends(connection)] = injected) -> None:
        begun.set()
        go_on.wait(20)
        notes.append("thread ends")

    async with working(fleet):
        view = await ended(fleet, await slow.enqueue())
        assert view.error is not None
        assert (view.error.kind, notes) == ("timeout", [])
        go_on.set()
        await until_true(lambda: len(notes) == 2)
    assert notes == ["thread ends", "connection closes"]


async def test_a_dependency_that_fails_is_the_jobs_failure_and_a_lasting_one_is_tried_again(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE, attempts=1)
    async def use(link: Annotated[str, Depends(shaky, lifetime="worker")] = injected) -> str:
        return link

    async with working(fleet):
        first = await ended(fleet, await use.enqueue())
        second = await ended(fleet, await use.enqueue())
        third = await ended(fleet, await use.enqueue())
    assert first.error is not None
    assert first.error.kind == "ConnectionError"
    assert (second.result, third.result, notes) == ("connected", "connected", ["tried", "tried"])


async def test_a_lasting_dependency_that_exits_the_interpreter_only_fails_its_job(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE, attempts=1)
    async def use(link: Annotated[str, Depends(leave, lifetime="worker")] = injected) -> str:
        return link

    async with working(fleet):
        view = await ended(fleet, await use.enqueue())
    assert view.error is not None
    assert "raised SystemExit('no licence')" in view.error.message


async def test_a_generator_that_swallows_the_failure_does_not_make_it_a_success(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE, attempts=1)
    async def on_loop(used: Annotated[Any, Depends(swallowing)] = injected) -> None:
        raise KeyError("photo")

    @fleet.job(queue=QUEUE, attempts=1)
    def in_thread(used: Annotated[Any, Depends(swallowing)] = injected) -> None:
        raise KeyError("photo")

    async with working(fleet):
        for job in (on_loop, in_thread):
            assert (await ended(fleet, await job.enqueue())).state is State.FAILED
    assert notes == ["swallowed", "swallowed"]


async def test_what_is_injected_cannot_be_sent(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE, attempts=1)
    async def save(photo: str, used: Session = injected) -> None: ...

    with pytest.raises(InvalidJob, match=r"args\.used: the worker fills this in \(Depends\); it is not sent"):
        await save.enqueue(photo="1", used="mine")
    async with working(fleet):
        view = await ended(fleet, await fleet.enqueue(QUEUE, "save", {"photo": "1", "used": "mine"}))
    assert view.error is not None
    assert view.error.kind == "bad arguments"


def unfilled(url: str) -> str:
    return url


def lasting(used: Session) -> str:
    return used


def test_a_dependency_that_cannot_be_made_is_refused_where_the_job_is_declared() -> None:
    fleet = Fleet()
    job = fleet.job(queue=QUEUE)

    async def a(x: Annotated[str, Depends(unfilled)]) -> None: ...
    async def b(x: Annotated[str, Depends(lasting, lifetime="worker")]) -> None: ...
    async def c(x: str = Depends(session)) -> None: ...  # type: ignore[assignment]
    async def d(x: Annotated[str, Depends("session")]) -> None: ...  # type: ignore[arg-type]

    for handler, says in (
        (a, "dependency unfilled: parameter 'url' must be Annotated"),
        (b, "dependency lasting lives as long as the worker and cannot need session"),
        (c, "parameter 'x' has Depends as its default; write x: Annotated"),
        (d, "give a function that makes the value"),
    ):
        with pytest.raises(ConfigurationError, match=says):
            job(handler)


def test_dependencies_in_a_circle_are_refused() -> None:
    def one(x: Any) -> None: ...
    def two(x: Annotated[Any, Depends(one)]) -> None: ...

    one.__annotations__["x"] = Annotated[Any, Depends(two)]

    async def handler(x: Annotated[Any, Depends(one)]) -> None: ...

    handler.__annotations__["x"] = Annotated[Any, Depends(one)]
    two.__annotations__["x"] = Annotated[Any, Depends(one)]
    with pytest.raises(ConfigurationError, match=r"in a circle: .*one → .*two → .*one"):
        Fleet().job(queue=QUEUE)(handler)
