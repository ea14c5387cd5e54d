"""What a handler's exceptions mean for its job: signals, a job's own rules, and failures told apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import pytest

from fixtures.workers import QUEUE, ended, in_state, until, until_true, working
from jobfleet import (
    Backoff,
    BatchItem,
    CallNext,
    ConfigurationError,
    Depends,
    Fleet,
    JobContext,
    Middleware,
    RateLimited,
    RetryAfter,
    Snooze,
    State,
    Unrecoverable,
    current_job,
    injected,
)


async def test_a_snoozed_job_comes_back_and_has_used_no_attempt(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE, attempts=1)
    async def not_yet() -> int:
        if current_job().attempt < 3:
            raise Snooze(0.05)
        return current_job().failures

    async with working(fleet):
        view = await ended(fleet, await not_yet.enqueue())
    assert (view.state, view.result, view.failures, view.attempt) == (State.COMPLETED, 0, 0, 3)


async def test_a_rate_limit_that_a_handler_meets_holds_its_queue_for_all_workers(fleet: Fleet) -> None:
    runs: list[str] = []

    @fleet.job(queue=QUEUE, attempts=1)
    async def call(name: str) -> None:
        runs.append(name)
        if len(runs) == 1:
            raise RateLimited(0.4)

    async with working(fleet, concurrency=1), working(fleet, concurrency=1):
        ids = [await call.enqueue("one")]
        await until_true(lambda: runs)
        ids.append(await call.enqueue("two"))
        views = [await ended(fleet, job_id) for job_id in ids]
    assert sorted(runs) == ["one", "one", "two"]
    assert [view.failures for view in views] == [0, 0]
    assert views[1].started_ms - views[0].enqueued_ms >= 400


class Busy(Exception):
    pass


class VeryBusy(Busy):
    pass


def asked_for(error: Any) -> RetryAfter:
    return RetryAfter(float(error.args[0]))


@pytest.mark.parametrize(
    ("error", "state", "failures"),
    [
        (KeyError("gone"), State.FAILED, 1),
        (Busy("3600"), State.DELAYED, 1),
        (VeryBusy(), State.DELAYED, 0),
        (ConnectionResetError(), State.DELAYED, 1),
    ],
)
async def test_the_most_specific_rule_of_a_job_decides(
    fleet: Fleet, error: Exception, state: State, failures: int
) -> None:
    rules: dict[type[BaseException], Any] = {
        Exception: Snooze(1),
        LookupError: Unrecoverable,
        Busy: asked_for,
        VeryBusy: Snooze(3600),
        OSError: Backoff(seconds=3600),
    }

    @fleet.job(queue=QUEUE, attempts=5, on_error=rules)
    async def explode() -> None:
        raise error

    async with working(fleet):
        view = await in_state(fleet, await explode.enqueue(), state)
    assert view.failures == failures


async def test_a_timeout_may_have_a_rule(fleet: Fleet) -> None:
    import asyncio

    @fleet.job(queue=QUEUE, attempts=5, timeout=0.05, on_error={TimeoutError: Unrecoverable})
    async def slow() -> None:
        await asyncio.Event().wait()

    async with working(fleet):
        view = await ended(fleet, await slow.enqueue())
    assert (view.state, view.attempt) == (State.FAILED, 1)


async def test_a_rule_that_fails_itself_fails_the_attempt_and_shows_both_errors(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE, attempts=1, on_error={Busy: asked_for})
    async def explode() -> None:
        raise Busy("soon")

    async with working(fleet):
        view = await ended(fleet, await explode.enqueue())
    assert view.error is not None
    assert view.error.kind == "ValueError"
    assert "Busy: soon" in view.error.traceback


async def test_failures_with_one_cause_share_a_fingerprint(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE, attempts=1)
    async def lose(photo: int) -> None:
        raise LookupError(f"photo {photo} is gone")

    @fleet.job(queue=QUEUE, attempts=1)
    async def lose_elsewhere(photo: int) -> None:
        raise LookupError(f"photo {photo} is gone")

    ids = [await lose.enqueue(1), await lose.enqueue(2), await lose_elsewhere.enqueue(1)]
    async with working(fleet):
        prints = [view.error.fingerprint for job_id in ids if (view := await ended(fleet, job_id)).error]
    assert len(prints) == 3
    assert prints[0] == prints[1] != prints[2]


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ({"KeyError": Unrecoverable}, "on_error: 'KeyError' must be a class of exceptions"),
        ({KeyError: "fail"}, "on_error: the rule for KeyError is 'fail'; give Unrecoverable"),
    ],
)
def test_a_wrong_rule_is_refused_where_the_job_is_declared(rules: Any, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        Fleet().job(queue=QUEUE, on_error=rules)


async def test_jobs_that_were_limited_are_waiting_meanwhile(fleet: Fleet) -> None:
    @fleet.job(queue=QUEUE, attempts=1)
    async def call() -> None:
        raise RateLimited(3600)

    async with working(fleet):
        job_id = await call.enqueue()

        async def back() -> bool:
            view = await fleet.job_state(QUEUE, job_id)
            return view is not None and view.state is State.WAITING and view.attempt == 1

        await until(back)


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize("place", ["loop", "thread"])
@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError("no file \udcff"), "no file ?"),
        (Mute(), "(its text cannot be had: RuntimeError)"),
        (SyntaxError("a parser's own", ("photo.xml", 1, 1, b"<")), "a parser's own (photo.xml, line 1)"),
    ],
)
async def test_an_error_that_has_no_plain_text_fails_its_job_all_the_same(
    fleet: Fleet, error: Exception, message: str, place: Any
) -> None:
    @fleet.job(queue=QUEUE, attempts=1, run_in=None if place == "thread" else "loop")
    def explode() -> None:
        raise error

    async with working(fleet, concurrency=1):
        views = [await ended(fleet, await explode.enqueue()) for _ in range(2)]
    assert [view.error.message for view in views if view.error] == [message, message]


class Shy:
    def __str__(self) -> str:
        raise RuntimeError("no words")


Shy.__module__ = "pydantic.networks"  # of those types whose text is their form in bytes


@pytest.mark.parametrize("result", [object(), Shy(), {1: {2: {3, object()}}}])
async def test_a_result_that_cannot_be_stored_fails_its_job_wherever_it_ran(fleet: Fleet, result: object) -> None:
    @fleet.job(queue=QUEUE, attempts=1)
    def in_thread() -> object:
        return result

    @fleet.job(queue=QUEUE, attempts=1)
    async def on_loop() -> object:
        return result

    async with working(fleet, concurrency=1):
        for job in (in_thread, on_loop):
            view = await ended(fleet, await job.enqueue())
            assert view.error is not None
            assert view.error.kind == "bad result"


async def test_a_handler_has_a_backoff_of_its_own_decided_in_the_worker(fleet: Fleet) -> None:
    asked: list[tuple[int, str]] = []

    def wait(failures: int, error: Exception) -> float | None:
        asked.append((failures, str(error)))
        return {1: 0.0, 2: None, 3: 3600.0}[failures]

    @fleet.job(queue=QUEUE, attempts=9, backoff=Backoff(seconds=0), retry_in=wait)
    async def stubborn() -> None:
        raise OSError(f"attempt {current_job().attempt}")

    @fleet.job(queue=QUEUE, retry_in=wait, on_error={LookupError: Unrecoverable})
    async def hopeless() -> None:
        raise LookupError("rules are stronger")

    async with working(fleet):
        view = await in_state(fleet, await stubborn.enqueue(), State.DELAYED)
        assert (await ended(fleet, await hopeless.enqueue())).state is State.FAILED
    assert asked == [(n, f"attempt {n}") for n in (1, 2, 3)]
    assert view.failures == 3
    assert view.since_ms - view.started_ms >= 3_600_000


@pytest.mark.parametrize("gives", [-1, float("nan"), float("inf"), "soon"])
async def test_a_backoff_that_gives_nonsense_leaves_its_own_error_and_the_jobs_backoff(
    fleet: Fleet, gives: object
) -> None:
    @fleet.job(queue=QUEUE, attempts=2, backoff=Backoff(seconds=0), retry_in=lambda failures, error: gives)
    async def broken() -> None:
        raise OSError("disk")

    async with working(fleet):
        view = await ended(fleet, await broken.enqueue())
    assert (view.state, view.failures) == (State.FAILED, 2)
    assert view.error is not None
    assert view.error.kind in ("ValueError", "TypeError")
    assert "OSError: disk" in view.error.traceback


async def test_a_backoff_of_its_own_must_be_a_function(fleet: Fleet) -> None:
    with pytest.raises(ConfigurationError, match=r"retry_in: 5 must be a function .* give backoff=Backoff"):

        @fleet.job(queue=QUEUE, retry_in=5)  # type: ignore[call-overload]
        async def wrong() -> None: ...


@dataclass
class Photo:
    number: int


class Outlaw(BaseException):
    def __str__(self) -> str:
        raise KeyboardInterrupt


@pytest.mark.parametrize("error", [GeneratorExit, KeyboardInterrupt, Outlaw, SystemExit])
@pytest.mark.parametrize("place", ["loop", "thread", "batch"])
async def test_whatever_a_handler_raises_is_its_jobs_failure_and_its_slot_comes_free(
    fleet: Fleet, error: type[BaseException], place: str
) -> None:
    @fleet.job(queue=QUEUE, attempts=1, name="loop")
    async def on_loop() -> None:
        raise error

    @fleet.job(queue=QUEUE, attempts=1, name="thread")
    def in_thread() -> None:
        raise error

    @fleet.job(queue=QUEUE, attempts=1, name="batch", batch=2, batch_wait=0.01)
    async def in_batch(items: list[BatchItem[Photo]]) -> None:
        raise error

    async with working(fleet, concurrency=1):
        args = {"number": 1} if place == "batch" else {}
        views = [await ended(fleet, await fleet.enqueue(QUEUE, place, args)) for _ in range(2)]
    assert [view.error.kind if view.error else None for view in views] == [error.__name__] * 2
    assert {view.state for view in views} == {State.FAILED}


class Timeless(Snooze):
    def __init__(self) -> None:
        """Forgets to call the one above."""


@pytest.mark.parametrize("place", ["loop", "thread", "rule"])
async def test_a_signal_without_a_time_fails_its_job_with_a_sentence(fleet: Fleet, place: str) -> None:
    @fleet.job(queue=QUEUE, attempts=1, name="loop")
    async def on_loop() -> None:
        raise Timeless

    @fleet.job(queue=QUEUE, attempts=1, name="thread")
    def in_thread() -> None:
        raise Timeless

    @fleet.job(queue=QUEUE, attempts=1, name="rule", on_error={KeyError: lambda _: Timeless()})
    async def by_rule() -> None:
        raise KeyError

    async with working(fleet, concurrency=1):
        view = await ended(fleet, await fleet.enqueue(QUEUE, place, {}, attempts=1))
    assert view.error is not None
    assert view.error.kind == "ValueError"
    assert view.error.message.startswith("Timeless: its seconds are None")


async def test_every_failed_attempt_is_a_line_of_the_workers_log(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    @fleet.job(queue=QUEUE, attempts=2, backoff=Backoff(seconds=0))
    def develop() -> None:
        raise OSError("no \x1b[2J\nwater " + "x" * 600)

    @fleet.job(queue=QUEUE)
    async def fine() -> None: ...

    async with working(fleet):
        await ended(fleet, await fine.enqueue())
        job_id = await develop.enqueue()
        await ended(fleet, job_id)
    records = [record for record in caplog.records if record.levelname == "WARNING"]
    assert [one.message for one in records] == ["an attempt failed, and the job will be tried again", "a job failed"]
    told = records[0].__dict__
    assert (told["queue"], told["job"], told["handler"], told["attempt"]) == (QUEUE, job_id, "develop", 1)
    assert told["error"].startswith("OSError: no \\x1b[2J\\nwater xxx")
    assert len(told["error"].encode()) <= 500


async def test_a_queue_that_no_job_is_declared_for_is_told_when_its_worker_starts(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    @fleet.job(queue=QUEUE)
    async def fine() -> None: ...

    async with working(fleet, queues=(QUEUE, "fotos")) as worker:
        await worker.started.wait()
    (record,) = [record for record in caplog.records if "no job is declared for a queue" in record.message]
    assert (record.__dict__["queue"], record.__dict__["declared"]) == ("fotos", QUEUE)


async def test_a_stop_iteration_in_a_thread_fails_its_job_whatever_is_around_it(fleet: Fleet) -> None:
    class Around(Middleware):
        async def around_run(self, job: JobContext, call_next: CallNext) -> Any:
            return await call_next()

    fleet.middleware(Around())

    @fleet.job(queue=QUEUE, attempts=1)
    def with_middleware() -> None:
        next(iter([]))

    @fleet.job(queue=QUEUE, attempts=1)
    def with_dependency(five: Annotated[int, Depends(lambda: 5)] = injected) -> None:
        next(iter([]))

    @fleet.job(queue=QUEUE, attempts=1, batch=1)
    def in_batch(items: list[BatchItem[Photo]]) -> None:
        next(iter([]))

    async with working(fleet, concurrency=1):
        ids = [await with_middleware.enqueue(), await with_dependency.enqueue(), await in_batch.enqueue(Photo(1))]
        views = [await ended(fleet, job_id) for job_id in ids]
    assert [view.error.kind if view.error else None for view in views] == ["RuntimeError"] * 3
