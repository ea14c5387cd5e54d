"""The demo passes only when every number is right."""

from __future__ import annotations

from typing import Any

import pytest
from photo_demo.verdict import Verdict

EMPTY = {"waiting": 0, "active": 0, "delayed": 0, "completed": 0, "failed": 0}


def verdict(
    *,
    enqueued: int = 500,
    before: dict[str, int] | None = None,
    queue: dict[str, int] | None = None,
    audit: dict[str, Any] | None = None,
    workers: tuple[int, int, int] = (0, 6, 0),
) -> Verdict:
    produced = {"enqueued": enqueued, "before": {**EMPTY, **(before or {})}}
    found = {"opened": 500, "distinct": 500, "run_again": [], "never_run": [], **(audit or {})}
    return Verdict.of(produced, {**found, "queue": {**EMPTY, "completed": 500, **(queue or {})}}, workers=workers)


def test_the_last_line_holds_the_numbers() -> None:
    good = verdict()
    assert good.summary == "demo: 500 enqueued, 500 completed, 0 failed, 0 lost; workers 0 -> 6 -> 0"
    assert good.problems(500) == []


def test_jobs_of_an_earlier_run_do_not_count() -> None:
    again = verdict(before={"completed": 500, "failed": 2}, queue={"completed": 1000, "failed": 2})
    assert again.summary == "demo: 500 enqueued, 500 completed, 0 failed, 0 lost; workers 0 -> 6 -> 0"
    assert again.problems(500) == []


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"enqueued": 499}, "500 photographs should have been enqueued, but 499 were."),
        ({"queue": {"completed": 498}}, "2 jobs are lost."),
        ({"queue": {"completed": 499, "failed": 1}}, "1 jobs failed."),
        ({"queue": {"completed": 499, "active": 1}}, "1 jobs are still in the queue."),
        ({"audit": {"opened": 499}}, "499 of 500 thumbnails can be opened."),
        ({"audit": {"opened": 499}}, "1 jobs are lost."),
        ({"audit": {"distinct": 12}}, "12 of 500 thumbnails differ from each other."),
        ({"audit": {"run_again": ["7", "8"]}}, "Processed more than once: photographs 7, 8."),
        ({"audit": {"never_run": ["9"]}}, "Never processed: photographs 9."),
        ({"workers": (1, 6, 0)}, "There were 1 workers before there was any work."),
        ({"workers": (0, 0, 0)}, "No worker ever became ready."),
        ({"workers": (0, 6, 2)}, "2 workers are left after the work."),
    ],
)
def test_whatever_is_wrong_is_said(wrong: dict[str, Any], sentence: str) -> None:
    assert sentence in verdict(**wrong).problems(500)
