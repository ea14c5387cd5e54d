"""What a batch handler may say of one item."""

from __future__ import annotations

from typing import Any

import pytest

from jobfleet import Backoff, BatchItem, JobContext, Snooze, Unrecoverable
from jobfleet.job import Body, ClaimedJob

JOB = JobContext(ClaimedJob("photos", "a", 1, 0, 0, 0, b""), Body("index", {}, 1, Backoff(), None, {}))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("no such document", "BatchItemFailed('no such document')"),
        (Snooze(5), "Snooze('Snooze for 5 s')"),
        (Unrecoverable, "Unrecoverable()"),
    ],
)
def test_an_item_fails_by_an_exception_its_class_or_a_text(given: Any, told: str) -> None:
    verdicts: list[str] = []
    item = BatchItem(1, JOB, lambda _, error: verdicts.append(repr(error)))
    item.fail(given)
    assert (verdicts, item.decided) == ([told], True)


@pytest.mark.parametrize("given", [None, {"type": "mapper_parsing_exception"}, 404, dict])
def test_what_is_no_failure_is_refused_and_decides_nothing(given: Any) -> None:
    item = BatchItem(1, JOB, lambda *_: pytest.fail("nothing is to be told"))
    with pytest.raises(TypeError, match=r"fail: .* must be an exception, a class of exceptions, or a text"):
        item.fail(given)
    assert not item.decided
