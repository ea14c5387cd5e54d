"""A bulk goes in calls that are bounded by number and by bytes."""

from __future__ import annotations

import pytest

from jobfleet import flows
from jobfleet.scripts.command import Pause
from jobfleet.scripts.producing import BATCH, BATCH_BYTES, NewJob


def calls(sizes: list[int], wait: float) -> list[int]:
    """The bytes of each call that it takes to enqueue jobs of these sizes, for as many as there are."""
    jobs = [NewJob(str(n), 5, 0, bytes(size), wait=wait) for n, size in enumerate(sizes)]
    flow = flows.enqueue("test", "photos", jobs)
    made = []
    answer = None
    while True:
        try:
            command = flow.send(answer)
        except StopIteration as end:
            ids = end.value
            break
        assert not isinstance(command, Pause)
        made.append(sum(len(arg) for arg in command.args[3:] if isinstance(arg, bytes)))
        answer = command.parse([])
    assert ids == [job.id for job in jobs]
    return made


@pytest.mark.parametrize("wait", [0.0, 1.0])
def test_a_bulk_of_large_jobs_takes_more_calls(wait: float) -> None:
    third = BATCH_BYTES // 3 + 1
    assert calls([third] * 7, wait) == [3 * third, 3 * third, third]
    assert calls([2 * BATCH_BYTES] * 2, wait) == [2 * BATCH_BYTES] * 2
    assert calls([1] * (2 * BATCH + 1), wait) == [BATCH, BATCH, 1]
    assert calls([], wait) == []
