"""What the end of an attempt means for its job."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from jobfleet import codec
from jobfleet.errors import RetryAfter, Snooze, Unrecoverable
from jobfleet.job import Body, ClaimedJob
from jobfleet.policy import Policy
from jobfleet.retry import Backoff
from jobfleet.worker import verdict

JOB = ClaimedJob("photos", "id", attempt=1, failures=0, lost=0, enqueued_ms=0, body=b"")
BODY = Body("job", {}, 1, Backoff(), None, {})


@dataclass(frozen=True)
class Key:
    x: int


@pytest.mark.parametrize("result", [{Key(1): 2}, [{"a": {Key(1): 2}}]])
def test_a_result_that_nobody_could_read_fails_its_job(result: object) -> None:
    outcome = verdict.completed(JOB, result)
    assert outcome.verdict == "fail"
    failure = codec.unpack_failure(outcome.data[4:])
    assert (failure.kind, failure.final) == ("bad result", True)
    assert "hashable" in failure.message
    assert "mappings of these with text for keys" in failure.message


@pytest.mark.parametrize(
    "result", [0, "", b"x", 1.5, [1, {"a": (2, 3)}], {1: {(2, 3): 4}}, {"at": datetime(2026, 1, 2, tzinfo=UTC)}, Key(1)]
)
def test_other_results_complete_it(result: Any) -> None:
    assert verdict.completed(JOB, result).verdict == "complete"


def test_a_job_that_no_handler_knows_comes_back_once_and_has_used_no_attempt() -> None:
    unknown = verdict.UnknownJob("no handler")
    first = verdict.failed(JOB, BODY, unknown)
    assert (first.verdict, first.delay_ms, first.data) == ("snooze", verdict.UNKNOWN_WAIT_MS, b"")
    second = verdict.failed(msgspec.structs.replace(JOB, attempt=2), BODY, unknown)
    assert (second.verdict, second.blameless) == ("fail", True)
    third = verdict.failed(msgspec.structs.replace(JOB, attempt=2), msgspec.structs.replace(BODY, attempts=3), unknown)
    assert third.verdict == "retry"


def in_a_task_group(*errors: Exception) -> BaseException:
    """What an ``asyncio.TaskGroup`` raises, inside another one."""
    inner = ExceptionGroup("unhandled errors in a TaskGroup", errors)
    return ExceptionGroup("unhandled errors in a TaskGroup", [inner])


def test_the_only_exception_of_a_task_group_counts_as_if_it_had_none_around_it() -> None:
    snoozed = verdict.failed(JOB, BODY, in_a_task_group(Snooze(5)))
    assert (snoozed.verdict, snoozed.delay_ms) == ("snooze", 5_000)
    again = msgspec.structs.replace(BODY, attempts=3)
    assert verdict.failed(JOB, again, in_a_task_group(RetryAfter(7))).delay_ms == 7_000
    assert verdict.failed(JOB, again, in_a_task_group(Unrecoverable("no such photo"))).verdict == "fail"
    ruled = verdict.failed(JOB, again, in_a_task_group(OSError()), Policy(rules={OSError: Unrecoverable}))
    assert ruled.verdict == "fail"
    failed = verdict.failed(JOB, BODY, in_a_task_group(OSError("disk full")))
    failure = codec.unpack_failure(failed.data[4:])
    assert (failure.kind, failure.message) == ("OSError", "disk full")
    assert "TaskGroup" in failure.traceback
    assert failure.fingerprint == verdict.describe(JOB, OSError("disk full")).fingerprint


def test_several_exceptions_of_a_task_group_are_a_failure_of_their_own() -> None:
    failed = verdict.failed(JOB, BODY, in_a_task_group(Snooze(5), OSError("disk full")))
    failure = codec.unpack_failure(failed.data[4:])
    assert (failed.verdict, failure.kind) == ("fail", "ExceptionGroup")
